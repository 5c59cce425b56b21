import ArgumentParser
import ChorusTables

/// How files are read, in every command that reads one.
struct ReadingOptions: ParsableArguments {
  @Option(
    help:
      "The decimal mark of numbers in the files: point or comma; with comma, cells are separated by ; or tabs."
  )
  var decimal = DecimalMark.point

  @Option(help: "What separates cells: comma, semicolon or tab. (default: found out)")
  var delimiter: Delimiter?

  @Option(
    help: ArgumentHelp(
      "Refuse a compressed file that expands to more than this times its size.", valueName: "times"))
  var maxExpansion = TableOptions().expansionLimit

  func validate() throws {
    guard (1...1_000_000).contains(maxExpansion) else {
      throw ValidationError("--max-expansion must be within 1...1000000")
    }
    if decimal == .comma, delimiter == .comma {
      throw ValidationError("--decimal comma and --delimiter comma: a comma can not be both")
    }
  }

  /// The words for what was asked and needs a file; nil where nothing was.
  var given: String? {
    if decimal != .point { return "--decimal" }
    if delimiter != nil { return "--delimiter" }
    return maxExpansion == TableOptions().expansionLimit ? nil : "--max-expansion"
  }

  /// The table in a file, of whose columns only the named ones are kept; without `numbers`, all.
  ///
  /// - Parameter optional: those of them that the file may lack.
  func table(
    _ file: String, numbers: [String]? = nil, texts: [String] = [], optional: [String] = []
  ) throws(TableError) -> Table {
    var options = TableOptions(delimiter: delimiter, decimal: decimal)
    options.expansionLimit = maxExpansion
    options.numbers = numbers
    options.texts = texts
    options.optional = optional
    return try Table.read(path: file, options: options)
  }
}

extension DecimalMark: ExpressibleByArgument {
  public init?(argument: String) {
    switch argument {
    case "point": self = .point
    case "comma": self = .comma
    default: return nil
    }
  }

  public static var allValueStrings: [String] { ["point", "comma"] }
  public var defaultValueDescription: String { self == .point ? "point" : "comma" }
}

extension Delimiter: ExpressibleByArgument {
  public init?(argument: String) {
    switch argument {
    case "comma", ",": self = .comma
    case "semicolon", ";": self = .semicolon
    case "tab", "\t", "\\t": self = .tab
    default: return nil
    }
  }

  public static var allValueStrings: [String] { ["comma", "semicolon", "tab"] }
}
