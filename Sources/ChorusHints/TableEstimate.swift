import ChorusData

/// What an estimator says of one row: an estimate and the standard deviation of its error, in units of the context's outputs.
struct Estimate: Sendable, Hashable {
  var value: Double
  var deviation: Double
}

/// A classical estimator of a table's outputs that is fitted to a context.
///
/// Of a row of the context it says what it would say without that row (leave-one-out or out-of-bag), so that a network learns how
/// far to trust it; of any other row, what it says with all of the context. To add one, write a file like `RidgeExpert` and name
/// it in `TableFit.estimators`.
protocol TableEstimator: Sendable {
  /// Of each row of the context, in its order; of processes, of those that they read.
  var observed: [Estimate] { get }
  /// Of other rows.
  func estimates(_ rows: TableRows) -> [Estimate]
}

/// Rows in the forms that estimators take: cells in the canonical order of columns, and as the design shows them.
struct TableRows: Sendable {
  let cells: Cells
  /// `[count, columns]`; see `TableDesign.cuttable`.
  let cuttable: [Float]
  /// `[count, width of the design]`.
  let design: [Double]
  var count: Int { cells.count }
}

/// How a table is read: its columns by relevance, and the design of its rows.
struct TableReading: Sendable {
  /// How much each column tells alone, in the order they came: of several outputs, the most that it tells of one.
  let relevance: [Double]
  /// Columns in their canonical order.
  private let columns: [Int]
  private let design: TableDesign
  /// Those of the context, in the canonical order.
  let rows: TableRows
  private let seed: UInt64

  /// - Parameters:
  ///   - outputs: what estimators will be fitted to, rows in the canonical order.
  ///   - errors: known ones of the outputs.
  init(_ cells: Cells, order: TableOrder, outputs: [[Double]], errors: KnownErrors = .none) {
    let rows = cells.rows(order.rows)
    let relevance = (0..<cells.columns).map { column in
      let values = (0..<rows.count).map { rows[$0, column] }
      return outputs.map {
        ColumnSmoother.relevance(of: values, isCategory: cells.categories[column], y: $0, errors: errors)
      }.max() ?? 0
    }
    self.relevance = relevance
    columns = relevance.indices.sorted { a, b in
      relevance[a] != relevance[b]
        ? relevance[a] > relevance[b] : order.signatures[a] < order.signatures[b]
    }
    let ordered = rows.columns(columns)
    design = TableDesign(ordered)
    self.rows = design.rows(ordered)
    seed = order.seed
  }

  /// The context of outputs, rows in the canonical order.
  func context(_ y: [Double], errors: KnownErrors = .none) -> TableContext {
    TableContext(
      rows: rows, y: y, errors: errors, relevance: columns.map { relevance[$0] },
      designRelevance: designRelevance, seed: seed)
  }

  /// How much each column of the design tells: that of the column behind it.
  var designRelevance: [Double] {
    let byOrder = columns.map { relevance[$0] }
    return design.owners.map { byOrder[$0] }
  }

  /// Rows as a process with a length for every column reads them.
  func processDesign(most: Int) -> ProcessDesign { ProcessDesign(design, most: most) }

  /// Rows as estimators take them.
  func shown(_ rows: Cells) -> TableRows { design.rows(rows.columns(columns)) }
}

/// A context as estimators take it, rows and columns in their canonical order.
struct TableContext: Sendable {
  let rows: TableRows
  /// Outputs of mean 0 and deviation 1.
  let y: [Double]
  /// Known ones of the outputs.
  var errors = KnownErrors.none
  /// How much each column of the table tells, and each of the design: that of the column behind it.
  let relevance: [Double]
  let designRelevance: [Double]
  /// A hash of the context.
  let seed: UInt64
  var count: Int { y.count }
  var width: Int { designRelevance.count }

  /// How much each row counts: outputs vary by 1 beside their errors, or by what is left where something is told of them.
  func weights(beside variance: Double = 1) -> [Double] { errors.weights(beside: variance, count: count) }

  /// The mean of the outputs, each as much as it counts.
  func mean(_ weights: [Double]) -> Double {
    let total = weights.reduce(0, +)
    return total > 0 ? zip(weights, y).reduce(0) { $0 + $1.0 * $1.1 } / total : 0
  }
}
