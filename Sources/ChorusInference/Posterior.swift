import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// What a model says after it has read a data set: encoded once, asked as often as wanted.
///
/// A value that can be shared between threads. Every answer is a pure function of the model, the data, the request
/// and the seed; the number of threads and of paths asked for does not change a byte.
///
/// ```swift
/// let posterior = try model.condition(on: Dataset(x: [0, 1, 2, 4], y: [3.1, 2.9, 3.4, 4.0]))
/// let days = try Inputs.grid(5...7, count: 3)
/// let paths = try posterior.sample(1_000, at: days, seed: 7).paths  // [1000][3], each a coherent path
/// let largest = paths.map { $0.max() ?? 0 }.sorted()  // any function of a path has its law in them
/// let joint = try posterior.logDensity(of: [4.1, 4.2, 4.2], at: days).value  // nats
/// ```
public struct Posterior: Sendable {
  public let model: Model
  /// How the data's numbers and the network's relate; fixed by the context.
  public let preparation: Preparation
  /// The units of the data's columns.
  public var scaling: Scaling { preparation.scaling }
  /// Things to know about the context, repeated in every result.
  public let notes: [Note]
  /// Rows of the data, those included that thinning left out.
  public let rows: Int
  /// Names and units of the data's columns.
  public let inputColumns: [Column]
  public let outputColumn: Column
  let conditioned: any AnyContext
  /// Known errors of the rows; nil where there are none.
  let measured: MeasuredRows?
  /// Whether the rows, where there were more than are read, are those near to points that were named then.
  let isNearest: Bool
  let pool: ThreadPool?

  /// Contexts up to this many times the trained size are used whole; longer ones are thinned to it.
  public static let contextStretch = 4
  /// Contexts with fewer rows than this get a note: models are trained on at least so many.
  public static let fewRows = 4
  /// Requests that need more arithmetic than this are refused unless the caller lifts the limit.
  public static let flopLimit = 2e13
  /// Requests whose paths would hold more bytes of buffers and values at once than this are refused: 8 GB, or half of the memory that
  /// the process may have where that is less.
  public static let byteLimit = min(8e9, Double(Machine.memory) / 2)

  /// Encodes `data`.
  ///
  /// - Parameters:
  ///   - values: the scale that values are seen on. By default the model's hints decide; a model without one that can
  ///     tell takes them as they are.
  ///   - limits: bounds that values have: what is drawn lies within, and densities are those of laws cut there.
  ///   - whole: whether values are whole numbers: what is drawn is rounded before later values read it, and densities are
  ///     probabilities of the intervals that round to the values.
  ///   - scaling: the units to use instead of the context's own mean and standard deviation. A model that was trained
  ///     on standardised data needs it when there are fewer than two rows.
  ///   - preparation: units and what hints found, of another context.
  ///   - asked: inputs that will be asked for, said now: of a series with more rows than the model reads, those near to them are
  ///     kept; without, the latest. No later request changes which.
  ///   - pool: threads to work on; nil keeps to the caller's.
  /// - Throws: `ModelError` for more inputs than the model has, `InferenceError.scale` for too few rows to scale by,
  ///   `InferenceError.input` for known errors of rows (`Dataset.errors`) that the model does not take into account.
  public init(
    _ model: Model, _ data: Dataset, values: ValueScale.Choice? = nil, limits: ClosedRange<Double>? = nil,
    whole: Bool = false, scaling: Scaling? = nil, preparation: Preparation? = nil, asked: Inputs? = nil,
    on pool: ThreadPool? = nil
  ) throws {
    let blueprint = model.blueprint
    let dimensions = data.dimensions
    guard blueprint.takes(dimensions: dimensions) else {
      throw ModelError.input(
        blueprint.isTold
          ? "this model reads the rows of tables, and not \(dimensions) inputs as they are; ask it by a table's cells"
          : "the data has \(dimensions) input columns; this model takes 1 to \(blueprint.inputDimensions)")
    }
    let limit = Self.contextLimit(blueprint, dimensions: dimensions)
    let all = data.count
    var data = Self.telling(data)
    rows = data.count
    let hidden = all - data.count
    (inputColumns, outputColumn) = (data.inputColumns, data.outputColumn)
    isNearest =
      data.count > limit && Self.isSeries(blueprint, dimensions: dimensions)
      && Self.isAmid(asked?.values, data.x)
    if data.count > limit {
      data =
        Self.isSeries(blueprint, dimensions: dimensions)
        ? Self.nearest(data, to: limit, asked) : Self.thin(data, to: limit)
    }
    self.model = model
    self.pool = pool
    try Self.checkCancellation()
    self.preparation =
      try preparation
      ?? Self.preparation(
        of: data, by: blueprint, values ?? (scaling == nil ? .automatic : .raw), limits, whole, scaling)
    try Self.refuseErrors(data, self.preparation)
    let scaled = try self.preparation.apply(data)
    let observed = try Self.rows(scaled: scaled)
    measured = scaled.errors.isEmpty ? nil : MeasuredRows(errors: scaled.errors, hidden: hidden)
    try Self.checkCancellation()
    conditioned = model.network.condition(observed, self.preparation.fits, on: pool)
    notes =
      Self.notes(rows: rows, blueprint, dimensions: dimensions, isNearest: isNearest)
      + Self.notes(raised: conditioned.raised, measured)
    try Self.checkCancellation()
  }

  private static func checkCancellation() throws(InferenceError) {
    if Cancellation.isWanted { throw .cancelled }
  }

  /// The same questions to another state of the context.
  func replacing(_ conditioned: any AnyContext) -> Posterior {
    // Another state may have more columns, of which nothing is called anything.
    let (named, count) = (inputColumns, conditioned.rows.dimensions)
    return Posterior(
      model, conditioned, rows: rows + conditioned.rows.count - self.conditioned.rows.count,
      preparation: preparation,
      inputColumns: (0..<count).map { $0 < named.count ? named[$0] : Column("x\($0 + 1)") },
      outputColumn: outputColumn, measured: measured, isNearest: isNearest, on: pool)
  }

  /// The same answers, worked out on other threads.
  func using(_ pool: ThreadPool?) -> Posterior {
    Posterior(
      model, conditioned, rows: rows, preparation: preparation, inputColumns: inputColumns,
      outputColumn: outputColumn, measured: measured, isNearest: isNearest, on: pool)
  }

  /// From a context that was encoded before.
  init(
    _ model: Model, _ conditioned: any AnyContext, rows: Int, preparation: Preparation,
    inputColumns: [Column], outputColumn: Column, measured: MeasuredRows?, isNearest: Bool = false,
    on pool: ThreadPool?
  ) {
    self.model = model
    self.conditioned = conditioned
    self.rows = rows
    self.preparation = preparation
    self.inputColumns = inputColumns
    self.outputColumn = outputColumn
    self.measured = measured
    self.isNearest = isNearest
    self.pool = pool
    notes =
      Self.notes(rows: rows, model.blueprint, dimensions: inputColumns.count, isNearest: isNearest)
      + Self.notes(raised: conditioned.raised, measured)
  }

  static func contextLimit(_ blueprint: Blueprint, dimensions: Int) -> Int {
    let limit = max(blueprint.trainedContext, 1) * contextStretch
    return isSeries(blueprint, dimensions: dimensions) ? min(limit, SeriesLevelAndSeason.mostRows) : limit
  }

  /// Whether rows are read as a series, of which those near to what is asked tell the most.
  static func isSeries(_ blueprint: Blueprint, dimensions: Int) -> Bool {
    dimensions == 1 && blueprint.hints.first(SeriesLevelAndSeason.self) != nil
  }

  /// What there is to know about a context of `rows` rows.
  private static func notes(
    rows: Int, _ blueprint: Blueprint, dimensions: Int, isNearest: Bool
  ) -> [Note] {
    let (trained, limit) = (blueprint.trainedContext, contextLimit(blueprint, dimensions: dimensions))
    let read = min(rows, limit)
    var notes: [Note] = []
    if rows > limit {
      notes.append(
        !isSeries(blueprint, dimensions: dimensions)
          ? .contextThinned(from: rows, to: limit)
          : isNearest ? .contextNearest(from: rows, to: limit) : .contextLatest(from: rows, to: limit))
    }
    if read > trained { notes.append(.contextBeyondTraining(rows: read, trained: trained)) }
    if read < fewRows { notes.append(.fewRows(read)) }
    return notes
  }

  private static func notes(raised: Double, _ measured: MeasuredRows?) -> [Note] {
    (raised > 0 ? [.regressionRaised(by: raised)] : [])
      + (measured.map { $0.hidden > 0 ? [.hiddenByErrors($0.hidden)] : [] } ?? [])
  }

  /// Numbers in the network's units beyond this are refused: its sums could leave the range of a `Float`, and
  /// an answer so far from everything seen in training would mean nothing.
  static let reach = 1e9

  /// As the network holds numbers.
  static func narrow(_ values: [Double], _ what: String) throws -> [Float] {
    if let far = values.first(where: { !(abs($0) <= reach) }) {
      throw InferenceError.input(
        "\(what) is \(far) in the network's units, too far from anything a model is trained on; change its"
          + " unit, or leave it out")
    }
    return values.map(Float.init)
  }

  /// A data set as the network holds it.
  static func rows(_ data: Dataset, _ preparation: Preparation) throws -> NetworkRows {
    try rows(scaled: preparation.apply(data))
  }

  private static func rows(scaled: Dataset) throws -> NetworkRows {
    NetworkRows(
      x: try narrow(scaled.x, "an input of the data"), y: try narrow(scaled.y, "a value of the data"),
      dimensions: scaled.dimensions)
  }

  private static func preparation(
    of data: Dataset, by blueprint: Blueprint, _ values: ValueScale.Choice, _ limits: ClosedRange<Double>?,
    _ whole: Bool, _ scaling: Scaling?
  ) throws -> Preparation {
    if let scaling, !scaling.inputCentres.isEmpty, scaling.inputCentres.count != data.dimensions {
      throw DataError.dimensions(
        what: "the data to scale", expected: scaling.inputCentres.count, found: data.dimensions)
    }
    guard scaling != nil || blueprint.scaling == .none || data.count >= 2 else {
      throw InferenceError.scale(
        "this model scales data by the context's mean and standard deviation and needs at least 2 observed rows"
          + " (found \(data.count)); observe more, or pass a scale")
    }
    return try blueprint.preparation.prepare(
      x: data.x, y: data.y, errors: data.errors, dimensions: data.dimensions,
      dates: data.dimensions == 1 && data.inputColumns.first?.isDate == true, values: values, limits: limits,
      whole: whole, scaling: scaling)
  }

  // MARK: Requests

  /// Paths drawn together, with the plan that drew them.
  public struct Samples: Sendable {
    /// `[paths][targets]`, in the data's units and the caller's order of targets.
    public let paths: [[Double]]
    /// The expected value of each target: the mean over paths of the means of the laws that it was drawn from. It has the mean
    /// of the paths' values and varies less from seed to seed, since what comes after a value's law is known is not drawn.
    public let means: [Double]
    public let plan: Plan
    /// What a plan that verifies drafts came to, path by path; nil for other plans.
    public let trace: Trace?
    public let notes: [Note]
    /// What of the request lies outside training, target by target.
    public let outside: [Outside]

    public init(
      paths: [[Double]], means: [Double], plan: Plan, trace: Trace? = nil, notes: [Note] = [],
      outside: [Outside] = []
    ) {
      self.paths = paths
      self.means = means
      self.plan = plan
      self.trace = trace
      self.notes = notes
      self.outside = outside
    }

    /// The empirical quantile of each target, `[targets][levels]`: by linear interpolation between order statistics (Hyndman & Fan
    /// 1996, type 7), and of draws that are all whole numbers the least of which that share is no greater (type 1), so that the
    /// quantiles of counts are counts.
    public func quantiles(_ levels: [Double]) -> [[Double]] {
      guard let first = paths.first else { return [] }
      return first.indices.map { target in Self.quantiles(of: paths.map { $0[target] }, levels) }
    }

    /// The empirical quantiles of some draws, at least one.
    package static func quantiles(of draws: [Double], _ levels: [Double]) -> [Double] {
      let sorted = draws.sorted()
      let areWhole = sorted.allSatisfy { $0 == $0.rounded() }
      return levels.map { level in
        guard !level.isNaN else { return .nan }
        if areWhole {
          // Shares such as 0.05 · 100 are not exact.
          let rank = (min(max(level, 0), 1) * Double(sorted.count) - 1e-9).rounded(.up)
          return sorted[max(Int(rank), 1) - 1]
        }
        let position = min(max(level, 0), 1) * Double(sorted.count - 1)
        let low = Int(position.rounded(.down))
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (sorted[high] - sorted[low]) * (position - Double(low))
      }
    }
  }

  /// Draws `count` coherent paths through the targets.
  ///
  /// - Parameters:
  ///   - latent: draw the noiseless curve: after a path is drawn, one more pass reads all of it and gives its mean.
  ///   - unsupported: what to do with a plan whose reads the model's memories cannot do.
  ///   - flopLimit: requests above it are refused; see `cost(of:at:plan:)`.
  /// - Throws: `InferenceError` for inputs that are not finite or have another number of columns, a plan that is too
  ///   expensive, or a cancelled task; `PlanError` when the plan does not fit the targets.
  public func sample(
    _ count: Int, at inputs: Inputs, plan template: PlanTemplate = .sequential, seed: UInt64 = 0,
    latent: Bool = false, unsupported: Plan.WhenUnsupported = .refuse,
    flopLimit: Double = Posterior.flopLimit,
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Samples {
    try sample(
      count, at: inputs, in: preparation.units(inputUnits(inputs)), plan: template, seed: seed,
      latent: latent, unsupported: unsupported, flopLimit: flopLimit, progress: progress)
  }

  /// Inputs in the network's units; where they are none of it, as they are, to be refused later.
  func inputUnits(_ inputs: Inputs) throws -> Inputs {
    inputs.count > 0 ? try scaling.apply(inputs) : inputs
  }

  /// - Parameter units: of each target, how its values become the network's and back.
  func sample(
    _ count: Int, at inputs: Inputs, in units: [Preparation.OutputUnit], plan template: PlanTemplate,
    seed: UInt64, latent: Bool, unsupported: Plan.WhenUnsupported = .refuse, flopLimit: Double,
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Samples {
    guard count >= 0 else {
      throw InferenceError.input("the number of paths is \(count); it must not be negative")
    }
    let whole = Self.whole(units)
    guard !latent || whole == nil && !preparation.isWhole else {
      throw InferenceError.input("a curve without noise has no whole numbers; draw values with noise")
    }
    let plan = try resolve(template, inputs, paths: count, flopLimit, latent: latent, unsupported)
    guard count > 0, inputs.count > 0 else {
      return Samples(
        paths: [[Double]](repeating: [], count: count), means: [], plan: plan, notes: notes)
    }
    let x = try questions(inputs)
    let request = Request(
      plan: plan, seed: seed, pool: pool, bounds: Self.bounds(units), whole: whole, progress: progress)
    let drawn = try conditioned.sample(count, at: x, request, latent: latent)
    let notes = notes + bufferNotes(plan, latent: latent)
    let (outside, note) = try outside(inputs, notes)
    let raw = drawn.paths.map { path in zip(path, units).map { $1.raw(Double($0)) } }
    // The mean of what a bent scale shows is not what it shows of the mean: there it is that of the paths.
    let means =
      units.allSatisfy({ $0.values == .raw }) && whole == nil
      ? zip(drawn.means, units).map { $1.raw($0) } : Self.average(raw)
    guard raw.allSatisfy({ $0.allSatisfy(\.isFinite) }), means.allSatisfy(\.isFinite) else {
      throw Self.notFinite
    }
    return Samples(
      paths: raw, means: means, plan: plan, trace: drawn.trace,
      notes: notes + (note.map { [$0] } ?? []), outside: outside)
  }

  /// Where the value of each target lies, in the network's units; nil where all lie anywhere.
  static func bounds(_ units: [Preparation.OutputUnit]) -> [ClosedRange<Double>]? {
    let bounds = units.compactMap(\.scaledRange)
    return bounds.isEmpty ? nil : bounds
  }

  static func whole(_ units: [Preparation.OutputUnit]) -> [Preparation.OutputUnit]? {
    units.contains { $0.whole != nil } ? units : nil
  }

  /// The mean of each target over paths.
  static func average(_ paths: [[Double]]) -> [Double] {
    guard let first = paths.first else { return [] }
    return first.indices.map { target in paths.reduce(0) { $0 + $1[target] } / Double(paths.count) }
  }

  /// What a network with weights that are finite and absurd comes to.
  static let notFinite = InferenceError.input(
    "the model answers with numbers that are not finite: its weights, or the units of the data, are out of all range;"
      + " take another model, or change the units")

  /// The plan of a request, resolved for this context, these targets and what the model can do.
  public func plan(
    _ template: PlanTemplate, at inputs: Inputs, unsupported: Plan.WhenUnsupported = .refuse
  ) throws(PlanError) -> Plan {
    try template.resolve(
      context: max(conditioned.rows.count, 1), targets: inputs.count,
      geometry: Plan.Geometry(inputs: inputs.values, dimensions: inputs.dimensions),
      capability: model.network.capability, whenUnsupported: unsupported)
  }

  /// What a request would cost, before anything runs. Of a plan that verifies drafts, the most it can cost.
  public func cost(
    at inputs: Inputs, plan template: PlanTemplate, paths: Int
  ) throws -> (counts: Plan.Cost, work: NominalWork) {
    let counts = try plan(template, at: inputs).cost(paths: max(paths, 1))
    return (counts, counts.work(model.network.rates))
  }

  // MARK: -

  func resolve(
    _ template: PlanTemplate, _ inputs: Inputs, paths: Int, _ limit: Double, latent: Bool = false,
    _ unsupported: Plan.WhenUnsupported = .refuse
  ) throws -> Plan {
    let plan = try plan(template, at: inputs, unsupported: unsupported)
    guard !latent || !model.network.capability.inOrder else {
      throw InferenceError.input(
        "this model predicts each value from those before it, so no pass reads a whole path and tells the curve without"
          + " noise; draw values with noise")
    }
    var flops = try plan.cost(paths: max(paths, 1)).work(model.network.rates).total
    if latent {
      // The last pass commits all targets and asks for each again: no more than two blocks of them.
      let pass = try PlanTemplate.blocks(of: max(inputs.count, 1))
        .resolve(context: plan.contextRows, targets: 2 * inputs.count)
      flops += try pass.cost(paths: max(paths, 1)).work(model.network.rates).total
    }
    // Not the reverse comparison: a limit that is no number is none that anything is within.
    guard flops <= limit else { throw InferenceError.tooExpensive(flops: flops, limit: limit) }
    let capacity = latent ? max(plan.peakBufferRows, inputs.count) : plan.peakBufferRows
    let each = model.network.bufferBytes(capacity: capacity)
    let alive = min(max(paths, 1), SamplerTile.most(bytes: each) * (pool?.threads ?? 1))
    let bytes = Double(each) * Double(alive)
    // And the drawn values with their laws' means, as they are drawn and in the data's units.
    let values = Double(max(paths, 1)) * Double(max(inputs.count, 1)) * 16
    guard bytes + values <= Self.byteLimit else {
      throw InferenceError.tooLarge(
        bytes: bytes + values, limit: Self.byteLimit, merging: model.network.capability.merges)
    }
    return plan
  }

  /// Inputs of targets as the network holds them.
  func questions(_ inputs: Inputs) throws -> [Float] {
    guard inputs.dimensions == conditioned.rows.dimensions else {
      throw InferenceError.input(
        "the targets have \(inputs.dimensions) input columns and the context \(conditioned.rows.dimensions)")
    }
    guard inputs.values.allSatisfy(\.isFinite) else {
      throw InferenceError.input("an input of the targets is not a finite number")
    }
    return try Self.narrow(scaling.apply(inputs).values, "an input of the targets")
  }

  func bufferNotes(_ plan: Plan, latent: Bool = false) -> [Note] {
    let trained = model.blueprint.trainedBuffer
    let merged = plan.instructions.last?.context.ranges.reduce(0) { $0 + $1.count } ?? 0
    let last = latent ? plan.targets - (plan.endsWithAPrefix ? merged : 0) : 0
    // Who reads a part may read less than there is.
    let most = plan.requirements.subsetReads ? plan.mostReads : plan.peakBufferRows
    let rows = max(most, last)
    var notes = plan.template == .independent ? [] : conditioned.notes(targets: plan.targets)
    if rows > trained {
      notes.append(
        .bufferBeyondTraining(rows: rows, trained: trained, merging: model.network.capability.merges))
    }
    if plan.requirements.subsetReads { notes.append(.readsBeyondTraining(plan.template?.strictForm)) }
    return notes
  }
}
