import ArgumentParser
import ChorusData
import ChorusInference
import ChorusTables
import Foundation

/// What a command asks of a file: the rows to condition on, and the points to predict at.
struct Question {
  let file: String
  let selection: Selection
  let data: Dataset
  let points: Inputs
  /// Whether the points are those of `--at` or `--at-file` and not the rows without a target.
  let isGrid: Bool
  /// Units of columns by their names in the file.
  private let units: [String: String]

  /// - Parameter units: like `accel=g,times=ms`.
  init(
    file: String, input: String, target: String, at: String?, atFile: String? = nil, units: String? = nil,
    reading: ReadingOptions
  ) throws {
    let names = input.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    let table = try reading.table(file, numbers: names + [target])
    self.file = file
    self.units = try Self.units(units, of: table)
    selection = try table.select(inputs: names, target: target)
    guard selection.observed.indices.count >= 2 else {
      throw InferenceError.input(
        "\(file): \(selection.observed.indices.count) rows have both \(input) and \(target); at least 2 are needed"
      )
    }
    data = try Dataset(
      inputs: Inputs(selection.observed.inputs, dimensions: selection.dimensions),
      y: selection.observed.targets)
    if let atFile {
      points = try reading.points(of: atFile, for: selection)
    } else {
      points = try Self.points(file, selection, at)
    }
    isGrid = at != nil || atFile != nil
  }

  private static func points(_ file: String, _ selection: Selection, _ at: String?) throws -> Inputs {
    if let at {
      let grid = try GridSpecification.parse(at, dimensions: selection.dimensions)
      for (axis, (name, kind)) in zip(grid.axes, zip(selection.inputs, selection.kinds)) {
        try PointKinds.check(axis.kind, of: name, holding: kind, in: "--at", what: "grid")
      }
      return try Inputs(grid.points, dimensions: selection.dimensions)
    }
    guard !selection.missing.indices.isEmpty else {
      throw InferenceError.input(
        "\(file): no row lacks a value of '\(selection.target)', so there is nothing to predict; pass --at FIRST..LAST/STEP"
      )
    }
    return try Inputs(selection.missing.inputs, dimensions: selection.dimensions)
  }

  private static func units(_ text: String?, of table: Table) throws -> [String: String] {
    var units: [String: String] = [:]
    for part in text?.split(separator: ",") ?? [] {
      let sides = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      guard sides.count == 2, !sides[0].isEmpty, !sides[1].isEmpty else {
        throw ValidationError("--units: '\(part)' is not like column=unit")
      }
      guard table.columns.contains(sides[0]) else {
        throw ValidationError("--units: \(table.source) has no column '\(sides[0])'")
      }
      units[sides[0]] = sides[1]
    }
    return units
  }

  /// A column's name and its unit: as given, or what the header has in brackets, like `accel (g)` or `level [m]`.
  func named(_ column: String) -> (title: String, unit: String) {
    if let unit = units[column] { return (column, unit) }
    for (open, close) in [("(", ")"), ("[", "]")] as [(Character, Character)] {
      guard column.last == close, let start = column.lastIndex(of: open), start != column.startIndex else {
        continue
      }
      let title = column[..<start].trimmingCharacters(in: .whitespaces)
      let unit = column[column.index(after: start)...].dropLast()
      if !title.isEmpty, !unit.isEmpty { return (title, String(unit)) }
    }
    return (column, "")
  }

  /// The inputs of a point as they were read.
  func inputCells(_ row: Int) -> [Cell] {
    zip(points[row], selection.kinds).map { Self.cell($0, $1) }
  }

  /// A value of an input column as it was read. A date grid may step by hours.
  static func cell(_ value: Double, _ kind: ColumnKind) -> Cell {
    if case .number = kind { return .number(value) }
    if kind == .date, value != value.rounded() { return .value(value, .dateTime(utc: false)) }
    return .value(value, kind)
  }

  /// Refuses an input column that has the name of one of the output's own: a reader could not tell them apart.
  func check(outputColumns own: [String]) throws {
    if let taken = selection.inputs.first(where: own.contains) {
      throw TableError(
        .unknownColumn, file, "the input column '\(taken)' has the name of an output column; rename it.")
    }
  }
}

/// Finds out before the work that nothing could be written after it.
func checkFolder(of path: String) throws {
  let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
  guard FileManager.default.isWritableFile(atPath: folder) else {
    throw TableError(
      .system, path, "can not be made: its folder is not there or not writable. Check the folder.")
  }
}
