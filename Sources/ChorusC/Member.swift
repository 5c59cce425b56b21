import ChorusData
import ChorusInference
import ChorusModels
import ChorusTensors

/// One context of a posterior: rows of a function or a series, or of a table.
struct Member: Sendable {
  private enum Reading: Sendable {
    /// What is known of paths beside the rows.
    case rows(Posterior, known: [Known])
    /// A series with columns known beside time.
    case series(CovariatePosterior, names: [String], known: [Known])
    /// What was found in a table, whose rows are asked for as estimators tell of them.
    case table(TablePosterior, Posterior)
    case classes(ClassPosterior)
  }
  private let reading: Reading

  private init(_ reading: Reading) { self.reading = reading }

  init(_ posterior: Posterior) { reading = .rows(posterior, known: []) }

  /// Reads the rows of a context as the model takes them.
  init(
    _ model: Model, _ rows: ObservedParts, _ context: Int, _ options: Options, asked: Inputs?,
    on pool: ThreadPool?
  ) throws {
    guard model.blueprint.readsTables else {
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
    if let levels = rows.levels {
      guard options.limits == nil else { throw CallError.usage("a category has no least and no most") }
      let (cells, observed) = try rows.cellsAndLevels(context)
      self.init(
        .classes(try ClassPosterior(cells, levels: observed, of: levels, by: model, on: pool)))
      return
    }
    let (cells, y) = try rows.cells(context)
    let table = try model.condition(on: cells, y: y, limits: options.limits, pool: pool)
    self.init(.table(table, table.posterior))
  }

  /// Reads the rows of a series, of which more may be known: errors, and columns beside time.
  init(
    series model: Model, _ rows: ObservedParts, _ context: Int, _ options: Options, asked: Inputs?,
    on pool: ThreadPool?
  ) throws {
    guard !model.blueprint.readsTables else {
      throw CallError.usage("a model of tables reads no series; open 'functions', or call chorus_condition()")
    }
    guard rows.levels == nil else {
      throw CallError.usage("the target is a category, which only a model of tables takes")
    }
    let (data, kinds) = (try rows.dataset(context), try rows.covariates(context))
    guard kinds.isEmpty else {
      let names = data.inputColumns.dropFirst().enumerated().map {
        $1.name.isEmpty ? "column \($0 + 1)" : $1.name
      }
      let posterior = try CovariatePosterior(
        model, data, kinds, values: options.values, limits: options.limits, asked: asked, on: pool)
      self.init(.series(posterior, names: names, known: []))
      return
    }
    self.init(
      try model.condition(on: data, values: options.values, limits: options.limits, asked: asked, pool: pool))
  }

  /// What has read the rows where the target is a number; nil where it is a category.
  var numbers: Posterior? {
    switch reading {
    case .rows(let posterior, _), .table(_, let posterior): posterior
    case .series(let posterior, _, _): posterior.rest
    case .classes: nil
    }
  }

  /// What values are seen as, where the target is a number.
  var values: ValueScale? {
    if case .series(let posterior, _, _) = reading { return posterior.values }
    return numbers?.preparation.values
  }

  /// What answers where the target is a category; nil where it is a number.
  var classes: ClassPosterior? { if case .classes(let classes) = reading { classes } else { nil } }

  /// How many columns the inputs of rows and points have.
  var columns: Int {
    switch reading {
    case .rows(let posterior, _): posterior.inputColumns.count
    case .series(let posterior, _, _): posterior.shares.count + 1
    case .table(let table, _): table.fit.cells.columns
    case .classes(let classes): classes.categories.count
    }
  }

  /// The inputs of rows of a function or a series without columns beside time; nil elsewhere.
  var inputColumns: [Column]? {
    if case .rows(let posterior, _) = reading { posterior.inputColumns } else { nil }
  }

  /// The laws of numbers of which nothing is known but rows.
  func laws() throws(CallError) -> any Answering {
    switch reading {
    case .rows(let posterior, let known):
      try Self.refuseBounds(known)
      return posterior
    case .series(let posterior, _, let known):
      try Self.refuseBounds(known)
      return posterior
    case .table(_, let posterior): return posterior
    case .classes: throw Self.noNumber
    }
  }

  private static func refuseBounds(_ known: [Known]) throws(CallError) {
    guard known.isEmpty else {
      throw .usage(
        "with bounds that paths have to keep there are paths alone, no densities and no laws of single values"
      )
    }
  }

  static let noNumber = CallError.usage(
    "a category has no mean and no quantiles; chorus_probabilities() tells how likely its levels are")

  /// The inputs of points as the posterior is asked for them.
  func inputs(_ points: PointParts, _ context: Int) throws -> Inputs {
    switch reading {
    case .rows, .series: try points.inputs(context)
    case .table(let table, _): try table.told(points.cells(context, categories: table.fit.cells.categories))
    case .classes: throw Self.noNumber
    }
  }

  /// Words about points whose columns beside time lie outside of what the rows have.
  func beyond(_ points: PointParts, _ context: Int) throws -> [String] {
    guard case .series(let posterior, let names, _) = reading else { return [] }
    return posterior.notes(at: try points.inputs(context), names: names)
  }

  /// Paths through points, of a table by the seeds of the program.
  func sample(
    _ count: Int, _ points: PointParts, _ context: Int, _ options: Options
  ) throws -> Posterior.Samples {
    let inputs = try inputs(points, context)
    switch reading {
    case .rows(let posterior, let known):
      return try posterior.sample(
        count, at: inputs, given: known.map { $0.event(at: inputs) },
        plan: options.plan ?? posterior.model.defaultPlan, seed: options.seed,
        latent: options.latent, flopLimit: options.flopLimit)
    case .series(let posterior, _, let known):
      return try posterior.sample(
        count, at: inputs, given: known.map { $0.event(at: inputs) },
        plan: options.plan ?? posterior.rest.model.defaultPlan, seed: options.seed,
        latent: options.latent, flopLimit: options.flopLimit)
    case .table(_, let posterior):
      return try posterior.sample(
        count, at: inputs, plan: options.plan ?? .sequential, seed: TableChain.seed(of: options.seed),
        latent: options.latent, flopLimit: options.flopLimit)
    case .classes: throw Self.noNumber
    }
  }

  /// The same with further rows.
  func observing(_ rows: ObservedParts, _ context: Int) throws -> Member {
    guard rows.levels == nil, classes == nil else {
      throw CallError.usage("rows are not added to those of a category; read all of them again")
    }
    switch reading {
    case .rows(let posterior, let known):
      return Member(.rows(try posterior.observing(more: rows.dataset(context)), known: known))
    case .series:
      throw CallError.usage("rows are not added to those with columns beside time; read all of them again")
    case .table(let table, let posterior):
      let (cells, y) = try rows.cells(context)
      let more = try Dataset(inputs: table.told(cells), y: y)
      return Member(.table(table, try posterior.observing(more: more)))
    case .classes: throw Self.noNumber
    }
  }

  /// The same with what is known of paths.
  func knowing(_ known: [Known]) throws -> Member {
    let rows = known.filter(\.isRow)
    if case .series(let posterior, let names, let before) = reading {
      guard rows.isEmpty else {
        throw CallError.usage(
          "beside columns known at all times a value that is known is a row more; read it with the rows")
      }
      return Member(.series(posterior, names: names, known: before + known))
    }
    guard case .rows(let posterior, let before) = reading else {
      throw CallError.usage(
        "what is known of paths goes with rows of a series or a function, not with a table")
    }
    let informed =
      rows.isEmpty
      ? posterior
      : try posterior.given(
        Dataset(
          inputs: Inputs(rows.flatMap(\.input), dimensions: columns),
          y: rows.map(\.range.lowerBound),
          inputColumns: posterior.inputColumns, outputColumn: posterior.outputColumn))
    return Member(.rows(informed, known: before + known.filter { !$0.isRow }))
  }

  /// The posterior, to be kept in a file.
  func kept() throws(CallError) -> Posterior {
    if case .series = reading {
      throw .usage("rows with columns beside time are not kept in a file; keep the rows, and read them again")
    }
    guard case .rows(let posterior, let known) = reading else {
      throw .usage("a table that was read is not kept in a file yet; keep its rows, and read them again")
    }
    guard known.isEmpty else { throw .usage("bounds that paths have to keep are not kept in a file") }
    return posterior
  }

  var notes: [String] {
    switch reading {
    case .rows(let posterior, _): posterior.notes.map(\.description)
    case .series(let posterior, _, _): posterior.rest.notes.map(\.description)
    case .table(let table, let posterior):
      posterior.notes.map(\.description) + (table.note.map { [$0] } ?? [])
    case .classes(let classes): classes.note.map { [$0] } ?? []
    }
  }
}
