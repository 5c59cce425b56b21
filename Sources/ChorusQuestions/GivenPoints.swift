import ChorusData
import ChorusInference
import ChorusTables

/// The points of `--at`, `--at-file` or `--horizon`.
package struct GivenPoints {
  private enum Source {
    /// Every series has all.
    case all(Inputs)
    case ofGroup([String: Inputs], dimensions: Int)
    /// Steps behind the last row of each series, or of the saved one; spaced as all rows are where its own do not tell.
    case horizon(Int, Step?, all: Spacing?, saved: SeriesEnd?)
  }

  private let source: Source

  /// A grid for each input column, crossed.
  package init(grid text: String, for selection: Selection) throws {
    try Self.refuseCovariates(selection, "--at")
    let grid = try GridSpecification.parse(text, dimensions: selection.dimensions, kinds: selection.kinds)
    for (axis, (name, kind)) in zip(grid.axes, zip(selection.inputs, selection.kinds)) {
      try PointKinds.check(axis.kind, of: name, holding: kind, in: "--at", what: "grid")
    }
    source = .all(try Inputs(grid.points, dimensions: selection.dimensions))
  }

  /// The steps after the last row with a value.
  package init(horizon: Int, every: String?, for selection: Selection, end: SeriesEnd?) throws {
    try Self.refuseCovariates(selection, "--horizon")
    guard selection.dimensions == 1 else {
      throw TableError(
        .grid, "--horizon",
        "goes along one input column, and there are \(selection.dimensions); give --at or --at-file.")
    }
    let step = every.flatMap { Step($0, ofDates: selection.kinds[0].notation != nil) }
    if let every, step == nil {
      throw TableError(
        .grid, "--every",
        "column '\(selection.inputs[0])' holds numbers, and '\(every)' is a step of dates; give a number.")
    }
    let all = Spacing(of: selection.observed.inputs, kind: selection.kinds[0])
    source = .horizon(horizon, step, all: all, saved: end)
  }

  /// Columns beside time have to be known where something is predicted.
  private static func refuseCovariates(_ selection: Selection, _ option: String) throws(TableError) {
    guard selection.covariates > 0 else { return }
    let names = selection.inputs.suffix(selection.covariates).map { "'\($0)'" }.joined(separator: ", ")
    throw TableError(
      .grid, option,
      "has no values of \(names); give the rows to predict with theirs: in the file, without a target, or by --at-file."
    )
  }

  /// Every row of a file with columns named like the inputs.
  ///
  /// Where the file has the column of the groups as well, a row is a point of the series that it names; a series that
  /// the observed file does not have is refused, for nothing is known of it. Else every series has all points.
  package init(_ rows: RowsSource, for selection: Selection, groups: Groups?) throws {
    let label = groups.map { [$0.column] } ?? []
    let categories = selection.levels.keys.sorted().map { selection.inputs[$0] }
    let table = try rows.table(numbers: selection.inputs, texts: label + categories, optional: label)
    var columns: [[Double]] = []
    for (place, (name, kind)) in zip(selection.inputs, selection.kinds).enumerated() {
      if let levels = selection.levels[place] {
        let column = try table.covariate(name, like: levels).column.values
        if let row = column.firstIndex(where: \.isNaN) {
          throw TableError(
            .missingValue, rows.name, line: table.line(ofRow: row),
            "no value (column '\(name)'); every row needs one: fill it in or leave the row out.")
        }
        columns.append(column)
        continue
      }
      let column = try table.values(of: name, like: kind)
      try PointKinds.check(column.kind, of: name, holding: kind, in: rows.name, what: "points")
      columns.append(column.values.compactMap { $0 })
    }
    func inputs(_ rows: some Sequence<Int>) throws -> Inputs {
      try Inputs(rows.flatMap { row in columns.map { $0[row] } }, dimensions: columns.count)
    }
    guard let groups, table.columns.contains(groups.column) else {
      source = .all(try inputs(0..<table.rowCount))
      return
    }
    source = .ofGroup(try groups.rows(of: table).mapValues { try inputs($0) }, dimensions: columns.count)
  }

  /// The points of a series; none where a file names other series only. Those of a horizon also in words, as
  /// `months, at their starts; 12 points, 2024-04 to 2025-03`.
  package func points(of observations: Observations) throws -> (points: Inputs, words: String?) {
    switch source {
    case .all(let points): return (points, nil)
    case .ofGroup(let points, let dimensions):
      return (try points[observations.group ?? ""] ?? Inputs([], dimensions: dimensions), nil)
    case .horizon(let count, let step, let all, let saved):
      let selection = observations.selection
      guard let end = saved ?? SeriesEnd(of: selection) else { return (try Inputs([], dimensions: 1), nil) }
      let kind = selection.kinds[0]
      let told = step.map { Spacing($0, after: selection.observed.inputs, kind: kind) }
      guard let spacing = told ?? end.spacing ?? (saved == nil ? all : nil) else {
        throw TableError(
          .grid, observations.file,
          "the rows are not evenly spaced in '\(selection.inputs[0])'; tell the step with --every, or the points with --at or --at-file."
        )
      }
      let points = spacing.points(count, after: end.last)
      guard points.count == count, let last = points.last else {
        throw TableError(.grid, "--horizon", "\(count) steps go beyond the year 9999; take fewer.")
      }
      let places =
        count == 1
        ? "1 point, \(kind.text(last))" : "\(count) points, \(kind.text(points[0])) to \(kind.text(last))"
      return (try Inputs(points, dimensions: 1), "\(spacing.words(after: end.last)); \(places)")
    }
  }
}

/// Points have to be of the kind of the column that they are points of.
package enum PointKinds {
  package static func check(
    _ kind: ColumnKind, of column: String, holding held: ColumnKind, in source: String, what: String
  ) throws {
    func words(_ kind: ColumnKind) -> String { kind.notation == nil ? "numbers" : "dates" }
    guard (kind.notation == nil) == (held.notation == nil) else {
      throw TableError(
        .grid, source, "column '\(column)' holds \(words(held)) and the \(what) \(words(kind)).")
    }
    if let utc = kind.isUTC, let heldUTC = held.isUTC, utc != heldUTC {
      throw TableError(
        .grid, source,
        "the times of column '\(column)' have \(heldUTC ? "an" : "no") offset from UTC and the \(what) "
          + "\(utc ? "one" : "none"); write them alike.")
    }
  }
}
