import ArgumentParser
import ChorusQuestions
import ChorusTables

/// How files are read, in every command that reads one.
struct ReadingOptions: ParsableArguments {
  @Option(
    help:
      "The decimal mark of numbers in the files: point or comma; with comma, no comma separates cells. (default: point)"
  )
  var decimal: DecimalMark?

  @Option(help: "What separates cells: comma, semicolon, tab, pipe or space. (default: found out)")
  var delimiter: Delimiter?

  @Option(
    help: ArgumentHelp(
      "How dates are written, as %d/%m/%Y, where the column does not tell whether day or month is first.",
      valueName: "pattern"))
  var dateFormat: DateNotation?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "What stands for a missing value, beside empty cells, NA, N/A, #N/A, NaN, null, None, -, ? and the point; may be given several times.",
      valueName: "text"))
  var missing: [String] = []

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
    if decimal != nil { return "--decimal" }
    if delimiter != nil { return "--delimiter" }
    if dateFormat != nil { return "--date-format" }
    if !missing.isEmpty { return "--missing" }
    return maxExpansion == TableOptions().expansionLimit ? nil : "--max-expansion"
  }

  /// A file that is read in this way.
  func rows(_ file: String) -> RowsSource {
    var options = TableOptions(delimiter: delimiter, decimal: decimal)
    options.dateNotation = dateFormat
    options.missing = missing
    options.expansionLimit = maxExpansion
    return RowsSource(path: file, options: options)
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
}

extension DateNotation: ExpressibleByArgument {
  public init?(argument: String) { self.init(pattern: argument) }

  public static var allValueStrings: [String] { ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y %H:%M", "…"] }
}

extension Delimiter: ExpressibleByArgument {
  public init?(argument: String) {
    switch argument {
    case "comma", ",": self = .comma
    case "semicolon", ";": self = .semicolon
    case "tab", "\t", "\\t": self = .tab
    case "pipe", "|": self = .pipe
    case "space", " ": self = .space
    default: return nil
    }
  }

  public static var allValueStrings: [String] { ["comma", "semicolon", "tab", "pipe", "space"] }
}
