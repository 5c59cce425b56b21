import ChorusData
import ChorusInference
import ChorusModels
import ChorusTensors

/// One context of a posterior: rows of a function or a series, or of a table.
struct Member: Sendable {
  private enum Reading: Sendable {
    /// What is known of paths beside the rows.
    case rows(RowsRead<Posterior>, known: [Known])
    /// A series with columns known beside time.
    case series(RowsRead<CovariatePosterior>, names: [String], known: [Known])
    /// What was found in a table, whose rows are asked for as the network reads them.
    case table(TablePosterior, Posterior)
    case classes(ClassPosterior)
  }
  private let reading: Reading

  private init(_ reading: Reading) { self.reading = reading }

  /// A posterior that was kept in a file.
  init(_ posterior: Posterior) { reading = .rows(RowsRead(posterior), known: []) }

  /// Reads rows of numbers.
  private init(
    _ model: Model, _ data: Dataset, _ options: Options, asked: Inputs?, on pool: ThreadPool?
  ) throws {
    let rows = try RowsRead(model, data, asked: asked) { rows, asked in
      try model.condition(on: rows, values: options.values, limits: options.limits, asked: asked, pool: pool)
    }
    self.init(.rows(rows, known: []))
  }

  /// Reads the rows of a context as the model takes them.
  init(
    _ model: Model, _ rows: ObservedParts, _ context: Int, _ options: Options, asked: Inputs?,
    on pool: ThreadPool?
  ) throws {
    guard model.blueprint.readsTables else {
      try rows.refuseCategories()
      try self.init(model, rows.dataset(context), options, asked: asked, on: pool)
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
      let rows = try RowsRead(model, data, columns: kinds.count, asked: asked) { rows, asked in
        try CovariatePosterior(
          model, rows, kinds, values: options.values, limits: options.limits, asked: asked, on: pool)
      }
      self.init(.series(rows, names: names, known: []))
      return
    }
    try self.init(model, data, options, asked: asked, on: pool)
  }

  /// What has read the rows where the target is a number; nil where it is a category.
  var numbers: Posterior? {
    switch reading {
    case .rows(let rows, _): rows.main
    case .table(_, let posterior): posterior
    case .series(let rows, _, _): rows.main.rest
    case .classes: nil
    }
  }

  /// What values are seen as, where the target is a number.
  var values: ValueScale? {
    if case .series(let rows, _, _) = reading { return rows.main.values }
    return numbers?.preparation.values
  }

  /// How many rows were given, where the target is a number.
  var count: Int? {
    switch reading {
    case .rows(let rows, _): rows.count ?? rows.main.rows
    case .series(let rows, _, _): rows.count ?? rows.main.rest.rows
    case .table(_, let posterior): posterior.rows
    case .classes: nil
    }
  }

  /// What answers where the target is a category; nil where it is a number.
  var classes: ClassPosterior? { if case .classes(let classes) = reading { classes } else { nil } }

  /// How many columns the inputs of rows and points have.
  var columns: Int {
    switch reading {
    case .rows(let rows, _): rows.main.inputColumns.count
    case .series(let rows, _, _): rows.main.shares.count + 1
    case .table(let table, _): table.categories.count
    case .classes(let classes): classes.categories.count
    }
  }

  /// The inputs of rows of a function or a series without columns beside time; nil elsewhere.
  var inputColumns: [Column]? {
    if case .rows(let rows, _) = reading { rows.main.inputColumns } else { nil }
  }

  /// The laws of numbers of which nothing is known but rows.
  func laws() throws(CallError) -> any Answering {
    switch reading {
    case .rows(let rows, let known):
      try Self.refuseBounds(known)
      return rows.answering
    case .series(let rows, _, let known):
      try Self.refuseBounds(known)
      return rows.answering
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
    case .table(let table, _): try table.told(points.cells(context, categories: table.categories))
    case .classes: throw Self.noNumber
    }
  }

  /// Words about points whose columns beside time lie outside of what the rows have.
  func beyond(_ points: PointParts, _ context: Int) throws -> [String] {
    guard case .series(let rows, let names, _) = reading else { return [] }
    return rows.main.notes(at: try points.inputs(context), names: names)
  }

  /// Paths through points, of a table by the seeds of the program.
  func sample(
    _ count: Int, _ points: PointParts, _ context: Int, _ options: Options
  ) throws -> Posterior.Samples {
    let inputs = try inputs(points, context)
    switch reading {
    case .rows(let rows, let known):
      return try Self.paths(count, inputs, rows.answering, rows.main.model, known, options)
    case .series(let rows, _, let known):
      return try Self.paths(count, inputs, rows.answering, rows.main.rest.model, known, options)
    case .table(_, let posterior):
      return try posterior.sample(
        count, at: inputs, plan: options.plan ?? .sequential, seed: TableChain.seed(of: options.seed),
        latent: options.latent, flopLimit: options.flopLimit)
    case .classes: throw Self.noNumber
    }
  }

  private static func paths(
    _ count: Int, _ inputs: Inputs, _ posterior: any Conditionable, _ model: Model, _ known: [Known],
    _ options: Options
  ) throws -> Posterior.Samples {
    try posterior.paths(
      count, at: inputs, given: known.map { $0.event(at: inputs) }, plan: options.plan ?? model.defaultPlan,
      seed: options.seed, latent: options.latent, flopLimit: options.flopLimit, progress: nil)
  }

  /// The same with further rows.
  func observing(_ rows: ObservedParts, _ context: Int) throws -> Member {
    guard rows.levels == nil, classes == nil else {
      throw CallError.usage("rows are not added to those of a category; read all of them again")
    }
    switch reading {
    case .rows(let read, let known):
      let more = try rows.dataset(context)
      return Member(.rows(try read.appending(more) { try $0.observing(more: more) }, known: known))
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
    if case .series(let read, let names, let before) = reading {
      guard rows.isEmpty else {
        throw CallError.usage(
          "beside columns known at all times a value that is known is a row more; read it with the rows")
      }
      return Member(.series(read, names: names, known: before + known))
    }
    guard case .rows(let read, let before) = reading else {
      throw CallError.usage(
        "what is known of paths goes with rows of a series or a function, not with a table")
    }
    guard !rows.isEmpty else { return Member(.rows(read, known: before + known)) }
    let more = try Dataset(
      inputs: Inputs(rows.flatMap(\.input), dimensions: columns), y: rows.map(\.range.lowerBound),
      inputColumns: read.main.inputColumns, outputColumn: read.main.outputColumn)
    let informed = try read.rereading(more) { try $0.given(more) }
    return Member(.rows(informed, known: before + known.filter { !$0.isRow }))
  }

  /// The posterior, to be kept in a file.
  func kept() throws -> Posterior {
    if case .series = reading {
      throw CallError.usage(
        "rows with columns beside time are not kept in a file; keep the rows, and read them again")
    }
    guard case .rows(let rows, let known) = reading else {
      throw CallError.usage(
        "a table that was read is not kept in a file yet; keep its rows, and read them again")
    }
    guard known.isEmpty else {
      throw CallError.usage("bounds that paths have to keep are not kept in a file")
    }
    return try rows.kept()
  }

  /// Words about what answers some points.
  func notes(at points: PointParts, _ context: Int) throws -> [String] {
    switch reading {
    case .rows(let rows, _): Self.words(rows.notes(at: try points.inputs(context)), rows.main.notes)
    case .series(let rows, _, _): Self.words(rows.notes(at: try points.inputs(context)), rows.main.rest.notes)
    case .table, .classes: notes
    }
  }

  /// What is said of windows, and what else is said of one of them.
  private static func words(_ windows: [Note], _ main: [Note]) -> [String] {
    (windows + main.filter { !windows.contains($0) }).map(\.description)
  }

  var notes: [String] {
    switch reading {
    case .rows(let rows, _): Self.words(rows.notes, rows.main.notes)
    case .series(let rows, _, _): Self.words(rows.notes, rows.main.rest.notes)
    case .table(let table, let posterior):
      posterior.notes.map(\.description) + (table.note.map { [$0] } ?? [])
    case .classes(let classes): classes.note.map { [$0] } ?? []
    }
  }
}
