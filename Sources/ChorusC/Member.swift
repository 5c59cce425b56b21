import ChorusData
import ChorusInference
import ChorusModels
import ChorusTensors

/// One context of a posterior: rows of a function or a series, or of a table.
struct Member: Sendable {
  let posterior: Posterior
  /// What was found in a table, whose rows are asked for as estimators tell of them.
  private let table: TablePosterior?

  init(_ posterior: Posterior) { (self.posterior, table) = (posterior, nil) }

  /// Reads the rows of a context as the model takes them.
  init(
    _ model: Model, _ rows: ObservedParts, _ context: Int, _ options: Options, asked: Inputs?,
    on pool: ThreadPool?
  ) throws {
    guard model.blueprint.family == .table else {
      try rows.refuseCategories()
      self.init(
        try model.condition(
          on: rows.dataset(context), values: options.values, limits: options.limits, asked: asked, pool: pool)
      )
      return
    }
    guard options.values == .automatic || options.values == .raw else {
      throw CallError.usage("a model of tables sees values as they are; leave the scale out")
    }
    let (cells, y) = try rows.cells(context)
    let table = try model.condition(on: cells, y: y, limits: options.limits, pool: pool)
    self.init(table.posterior, table)
  }

  private init(_ posterior: Posterior, _ table: TablePosterior?) {
    (self.posterior, self.table) = (posterior, table)
  }

  /// The inputs of points as the posterior is asked for them.
  func inputs(_ points: PointParts, _ context: Int) throws -> Inputs {
    guard let table else { return try points.inputs(context) }
    return try table.told(points.cells(context, categories: table.fit.cells.categories))
  }

  /// The same with further rows.
  func observing(_ rows: ObservedParts, _ context: Int) throws -> Member {
    guard let table else { return Member(try posterior.observing(more: rows.dataset(context))) }
    let (cells, y) = try rows.cells(context)
    return Member(
      try posterior.observing(more: Dataset(inputs: table.told(cells), y: y)), table)
  }

  /// The posterior, to be kept in a file.
  func kept() throws(CallError) -> Posterior {
    guard table == nil else {
      throw .usage("a table that was read is not kept in a file yet; keep its rows, and read them again")
    }
    return posterior
  }

  var notes: [String] { posterior.notes.map(\.description) + (table?.note.map { [$0] } ?? []) }
}
