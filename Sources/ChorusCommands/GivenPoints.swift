import ArgumentParser
import ChorusData
import ChorusInference
import ChorusTables

/// Where to predict, if not at the rows without a target.
struct PointOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Points to predict at.", valueName: "first..last/step"))
  var at: String?

  @Option(
    help: ArgumentHelp(
      "A file with the points to predict at, in columns named as the inputs.", valueName: "file"))
  var atFile: String?

  var isEmpty: Bool { at == nil && atFile == nil }

  func validate() throws {
    if at != nil, atFile != nil { throw ValidationError("give --at or --at-file, not both") }
  }

  /// Standard input is read once.
  func check(file: String?) throws {
    if atFile == "-", file == "-" {
      throw ValidationError("FILE and --at-file are both standard input; name one of them as a file")
    }
  }

  /// The points; nil where none are given.
  func given(
    for selection: Selection, groups: Groups? = nil, reading: ReadingOptions
  ) throws -> GivenPoints? {
    if let at { return try GivenPoints(grid: at, for: selection) }
    return try atFile.map { try GivenPoints(file: $0, for: selection, groups: groups, reading: reading) }
  }

  /// - Parameter targets: their names, as an error has them.
  static func nothing(_ file: String, _ targets: String) -> InferenceError {
    .input(
      "\(file): no row lacks a value of \(targets), so there is nothing to predict; pass --at FIRST..LAST/STEP or --at-file FILE"
    )
  }
}

/// The points of `--at` or `--at-file`.
struct GivenPoints {
  private let all: Inputs
  /// The points of each series; nil where every series has all.
  private let ofGroup: [String: Inputs]?

  /// A grid for each input column, crossed.
  init(grid text: String, for selection: Selection) throws {
    let grid = try GridSpecification.parse(text, dimensions: selection.dimensions)
    for (axis, (name, kind)) in zip(grid.axes, zip(selection.inputs, selection.kinds)) {
      try PointKinds.check(axis.kind, of: name, holding: kind, in: "--at", what: "grid")
    }
    all = try Inputs(grid.points, dimensions: selection.dimensions)
    ofGroup = nil
  }

  /// Every row of a file with columns named like the inputs.
  ///
  /// Where the file has the column of the groups as well, a row is a point of the series that it names; a series that
  /// the observed file does not have is refused, for nothing is known of it. Else every series has all points.
  init(file: String, for selection: Selection, groups: Groups?, reading: ReadingOptions) throws {
    let label = groups.map { [$0.column] } ?? []
    let table = try reading.table(file, numbers: selection.inputs, texts: label, optional: label)
    var columns: [[Double]] = []
    for (name, kind) in zip(selection.inputs, selection.kinds) {
      let column = try table.values(of: name)
      try PointKinds.check(column.kind, of: name, holding: kind, in: file, what: "points")
      columns.append(column.values.compactMap { $0 })
    }
    func inputs(_ rows: some Sequence<Int>) throws -> Inputs {
      try Inputs(rows.flatMap { row in columns.map { $0[row] } }, dimensions: columns.count)
    }
    all = try inputs(0..<table.rowCount)
    guard let groups, table.columns.contains(groups.column) else {
      ofGroup = nil
      return
    }
    ofGroup = try groups.rows(of: table).mapValues { try inputs($0) }
  }

  /// The points of a series; none where the file names others only.
  func points(of group: String?) throws -> Inputs {
    guard let ofGroup, let group else { return all }
    return try ofGroup[group] ?? Inputs([], dimensions: all.dimensions)
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
