import ArgumentParser
import ChorusData
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

  /// The table in a file, of whose columns only the named ones are kept.
  func table(_ file: String, numbers: [String], texts: [String] = []) throws(TableError) -> Table {
    var options = TableOptions(delimiter: delimiter, decimal: decimal)
    options.expansionLimit = maxExpansion
    options.numbers = numbers
    options.texts = texts
    return try Table.read(path: file, options: options)
  }

  /// The points of `--at-file`: every row of a file with columns named like the inputs.
  func points(of file: String, for selection: Selection) throws -> Inputs {
    let table = try table(file, numbers: selection.inputs)
    var columns: [[Double]] = []
    for (name, kind) in zip(selection.inputs, selection.kinds) {
      let column = try table.values(of: name)
      try PointKinds.check(column.kind, of: name, holding: kind, in: file, what: "points")
      columns.append(column.values.compactMap { $0 })
    }
    let rows = (0..<table.rowCount).flatMap { row in columns.map { $0[row] } }
    return try Inputs(rows, dimensions: columns.count)
  }

  static func validate(at: String?, atFile: String?, file: String?) throws {
    if at != nil, atFile != nil { throw ValidationError("give --at or --at-file, not both") }
    if atFile == "-", file == "-" {
      throw ValidationError("FILE and --at-file are both standard input; name one of them as a file")
    }
  }
}

/// Points have to be of the kind of the column that they are points of.
enum PointKinds {
  static func check(
    _ kind: ColumnKind, of column: String, holding held: ColumnKind, in source: String, what: String
  ) throws {
    func words(_ kind: ColumnKind) -> String { kind == .number ? "numbers" : "dates" }
    guard (kind == .number) == (held == .number) else {
      throw TableError(
        .grid, source, "column '\(column)' holds \(words(held)) and the \(what) \(words(kind)).")
    }
    if case .dateTime(let utc) = kind, case .dateTime(let heldUTC) = held, utc != heldUTC {
      throw TableError(
        .grid, source,
        "the times of column '\(column)' have \(heldUTC ? "an" : "no") offset from UTC and the \(what) "
          + "\(utc ? "one" : "none"); write them alike.")
    }
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
