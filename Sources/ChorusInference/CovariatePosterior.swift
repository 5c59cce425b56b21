import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// What is asked of rows that are observed, whoever answers: paths, joint densities, laws of single rows.
package protocol Answering: Sendable {
  func paths(
    _ count: Int, at inputs: Inputs, plan: PlanTemplate, seed: UInt64, latent: Bool, flopLimit: Double,
    progress: (@Sendable (Int) -> Void)?
  ) throws -> Posterior.Samples
  func density(
    of y: [Double], at inputs: Inputs, plan: PlanTemplate, orders: Int, seed: UInt64, flopLimit: Double
  ) throws -> Posterior.LogDensity
  func laws(of inputs: Inputs, flopLimit: Double) throws -> [any ContinuousLaw]
}

/// The same, of paths that meet conditions.
package protocol Conditionable: Answering {
  func paths(
    _ count: Int, at inputs: Inputs, given conditions: [PathEvent], plan: PlanTemplate, seed: UInt64,
    latent: Bool, flopLimit: Double, progress: (@Sendable (Int) -> Void)?
  ) throws -> Posterior.Samples
}

extension Posterior: Conditionable {
  package func paths(
    _ count: Int, at inputs: Inputs, plan: PlanTemplate, seed: UInt64, latent: Bool, flopLimit: Double,
    progress: (@Sendable (Int) -> Void)?
  ) throws -> Samples {
    try sample(
      count, at: inputs, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit, progress: progress)
  }
  package func paths(
    _ count: Int, at inputs: Inputs, given conditions: [PathEvent], plan: PlanTemplate, seed: UInt64,
    latent: Bool, flopLimit: Double, progress: (@Sendable (Int) -> Void)?
  ) throws -> Samples {
    try sample(
      count, at: inputs, given: conditions, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit,
      progress: progress)
  }
  package func density(
    of y: [Double], at inputs: Inputs, plan: PlanTemplate, orders: Int, seed: UInt64, flopLimit: Double
  ) throws -> LogDensity {
    try logDensity(of: y, at: inputs, plan: plan, orders: orders, seed: seed, flopLimit: flopLimit)
  }
  package func laws(of inputs: Inputs, flopLimit: Double) throws -> [any ContinuousLaw] {
    try marginals(at: inputs, flopLimit: flopLimit)
  }
}

/// A series with columns known beside time: what they move is taken out, the model reads and foretells the rest, and they move it back.
///
/// The columns' factors are estimated beside level and seasons (`SeriesEffects`). They are not known exactly: the law is that of `draws`
/// equally likely sets of factors, for paths and densities alike. A shift by what is known has Jacobian 1, so densities are exact.
///
/// ```swift
/// let rows = try Dataset(x: [[0, 18.2], [1, 17.9], …], y: demand)      // a time and a temperature each
/// let posterior = try CovariatePosterior(Model(named: "functions"), rows, [.number])
/// let paths = try posterior.sample(100, at: Inputs([[48, 21.5], [49, 22.0]]))
/// ```
public struct CovariatePosterior: Conditionable {
  /// What the model says of the rest, by time alone.
  public let rest: Posterior
  /// What values are seen as before anything is taken out.
  public let values: ValueScale
  /// The share of the variance of the values (as they are seen) that each covariate moves.
  public let shares: [Double]

  private let basis: CovariateBasis
  private let effects: SeriesEffects
  private let draws: [[Double]]
  /// That not all rows were read.
  private let aside: [Note]
  /// Where values lie, as they are seen.
  private let range: ClosedRange<Double>?
  /// How values are bounded, or whole; nil where they are neither.
  private let bounded: Preparation?

  /// Sets of factors that the law is a mixture of.
  private static let sets = 8

  /// - Parameters:
  ///   - data: rows of a time, then the covariates.
  ///   - kinds: what each covariate holds.
  ///   - values: the scale that values are seen on.
  ///   - limits: bounds that values have: what is drawn lies within, and densities are those of laws cut there.
  ///   - whole: whether values are whole numbers.
  ///   - asked: inputs that will be asked for; of more rows than a series may have those near to them are read.
  /// - Throws: as `Model.condition(on:)`; `InferenceError.input` where the rows are no series, or covariates have too many levels.
  public init(
    _ model: Model, _ data: Dataset, _ kinds: [Covariate], values choice: ValueScale.Choice = .automatic,
    limits: ClosedRange<Double>? = nil, whole: Bool = false, asked: Inputs? = nil, on pool: ThreadPool? = nil
  ) throws {
    guard data.dimensions == kinds.count + 1, !kinds.isEmpty else {
      throw InferenceError.input(
        "\(data.dimensions) input columns are no time and \(kinds.count) covariates")
    }
    let read = data.count
    let all = Posterior.telling(data)
    let (allTimes, askedTimes) = (Self.times(all.inputs), asked.map { Self.times($0) })
    let nearest = Posterior.nearestRows(
      times: allTimes, y: all.y, to: Posterior.contextLimit(model.blueprint, dimensions: 1), askedTimes)
    let data = nearest.map { all.rows($0) } ?? all
    let times = Self.times(data.inputs)
    let areDates = data.inputColumns.first?.isDate == true
    let values = try Self.scale(choice, model, times, data)
    let seen = try data.y.map { value in
      guard let z = values.seen(value) else { throw DataError.noPlace(value: value, scale: values) }
      return z
    }
    bounded =
      limits == nil && !whole
      ? nil
      : try Preparation.Rule().prepare(
        x: times, y: data.y, errors: data.errors, dimensions: 1, values: values.choice, limits: limits,
        whole: whole)
    let errors = data.errors.enumerated().map { values.seen(error: $1, of: data.y[$0]) }
    let (basis, most) = (Self.basis(data, kinds), Self.mostTerms(data))
    guard basis.width <= most else {
      throw InferenceError.input(
        "the columns beside time make \(basis.width) terms, more than \(most) for \(data.count) rows; name fewer, or ones with fewer levels, or let model 'tables' read them (--model tables)"
      )
    }
    let rows = (0..<data.count).map { basis.columns(data.inputs[$0].dropFirst()) }
    guard
      let effects = SeriesEffects(
        x: times, y: seen, columns: (0..<basis.width).map { column in rows.map { $0[column] } },
        groups: basis.groups, errors: errors, known: areDates ? [365.2425, 7, 1, 1.0 / 24] : [],
        clock: areDates ? MonthClock(days: times, origin: 0, unit: 1) : nil)
    else {
      throw InferenceError.input(
        "the \(data.count) rows are too few, or change too little, to tell what columns beside time do; leave out --with"
      )
    }
    let left = zip(seen, rows).map { z, row in
      zip(row, effects.factors).reduce(z) { $0 - $1.0 * $1.1 }
    }
    rest = try model.condition(
      on: Dataset(
        inputs: Inputs(times), y: left, errors: errors, inputColumns: [data.inputColumns[0]],
        outputColumn: data.outputColumn),
      values: .raw, pool: pool)
    (self.values, self.basis, self.effects) = (values, basis, effects)
    aside =
      (nearest.map {
        [
          Posterior.isAmid(askedTimes, allTimes)
            ? .contextNearest(from: all.count, to: $0.count) : .contextLatest(from: all.count, to: $0.count)
        ]
      } ?? [])
      + (all.count < read ? [.hiddenByErrors(read - all.count)] : [])
    range = values.range(of: seen)
    draws = effects.draws(Self.sets)
    shares = kinds.indices.map { covariate in
      basis.owners.indices.filter { basis.owners[$0] == covariate }.reduce(0) { $0 + effects.shares[$1] }
    }
  }

  /// Terms that columns beside time make of some rows, and the most that so many rows tell apart.
  package static func terms(_ data: Dataset, _ kinds: [Covariate]) -> (count: Int, most: Int) {
    (basis(data, kinds).width, mostTerms(data))
  }

  private static func mostTerms(_ data: Dataset) -> Int { min(CovariateBasis.most, data.count / 2) }

  private static func basis(_ data: Dataset, _ kinds: [Covariate]) -> CovariateBasis {
    let (x, dimensions) = (data.x, data.dimensions)
    return CovariateBasis(
      kinds, (1..<dimensions).map { column in (0..<data.count).map { x[$0 * dimensions + column] } })
  }

  private static func times(_ inputs: Inputs) -> [Double] {
    (0..<inputs.count).map { inputs[$0].first ?? .nan }
  }

  private static func scale(
    _ choice: ValueScale.Choice, _ model: Model, _ times: [Double], _ data: Dataset
  ) throws -> ValueScale {
    switch choice {
    case .raw: .raw
    case .logarithm: .logarithm
    case .root: .root(of: data.y)
    // As the model chooses it for the series alone.
    case .automatic:
      try model.blueprint.preparation.prepare(
        x: times, y: data.y, errors: data.errors, dimensions: 1,
        dates: data.inputColumns.first?.isDate == true, values: .automatic
      ).values
    }
  }

  /// Notes on rows asked for that lie outside of what was seen.
  public func notes(at inputs: Inputs, names: [String]) -> [String] {
    var counts = [Int](repeating: 0, count: names.count)
    for row in 0..<inputs.count {
      for covariate in basis.beyond(inputs[row].dropFirst()) { counts[covariate] += 1 }
    }
    return zip(names, counts).filter { $0.1 > 0 }.map {
      "\($0.1) point\($0.1 == 1 ? " has" : "s have") '\($0.0)' outside of what the rows have, where its effect is drawn on in a line"
    }
  }

  /// The rows' times, and what each set of factors moves each row by, `[sets][rows]`.
  private func shifts(_ inputs: Inputs) throws -> (times: Inputs, shifts: [[Double]]) {
    guard inputs.dimensions == rest.conditioned.rows.dimensions + shares.count else {
      throw InferenceError.input(
        "the points have \(inputs.dimensions) input columns; a time and \(shares.count) covariates are needed"
      )
    }
    guard inputs.values.allSatisfy(\.isFinite) else {
      throw InferenceError.input("an input of the points is not a finite number")
    }
    let times = Self.times(inputs)
    let rows = times.indices.map { row in
      let columns = basis.columns(inputs[row].dropFirst())
      let carried = effects.carried(at: times[row])
      return (
        mean: zip(columns, effects.factors).reduce(0) { $0 + $1.0 * $1.1 },
        moved: zip(columns, carried).map { $0 - $1 }
      )
    }
    let shifts = draws.map { draw in
      rows.map { row in zip(row.moved, draw).reduce(row.mean) { $0 + $1.0 * $1.1 } }
    }
    return (try Inputs(times), shifts)
  }

  private func value(_ z: Double) -> Double {
    values.value(range.map { min(max(z, $0.lowerBound), $0.upperBound) } ?? z)
  }

  /// Draws coherent paths; parameters and errors as `Posterior.sample(_:at:)`.
  public func sample(
    _ count: Int, at inputs: Inputs, plan: PlanTemplate = .sequential, seed: UInt64 = 0, latent: Bool = false,
    flopLimit: Double = Posterior.flopLimit, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Posterior.Samples {
    let (times, shifts) = try shifts(inputs)
    if let bounded, count > 0 {
      return try sample(
        count, at: times, in: shifts.map { try units(times, $0, bounded) }, plan: plan, seed: seed,
        latent: latent, flopLimit: flopLimit, progress: progress)
    }
    let samples = try rest.sample(
      count, at: times, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit, progress: progress)
    let paths = samples.paths.enumerated().map { path, values in
      zip(values, shifts[path % shifts.count]).map { value($0 + $1) }
    }
    return Posterior.Samples(
      paths: paths, means: Posterior.average(paths), plan: samples.plan, trace: samples.trace,
      notes: aside + samples.notes, outside: samples.outside)
  }

  /// How values at some times become what the rest is told in, and back, with what a set of factors moves them by.
  private func units(
    _ times: Inputs, _ shift: [Double], _ bounded: Preparation
  ) throws -> [Preparation.OutputUnit] {
    guard times.count > 0 else { return [] }
    return try zip(rest.preparation.units(rest.scaling.apply(times)), shift).map {
      $0.moved(by: $1, like: bounded)
    }
  }

  /// Bounds of what is left differ with what factors move: paths of each set are drawn by themselves, and taken in turn.
  private func sample(
    _ count: Int, at times: Inputs, in units: [[Preparation.OutputUnit]], plan: PlanTemplate, seed: UInt64,
    latent: Bool, flopLimit: Double, progress: (@Sendable (Int) -> Void)?
  ) throws -> Posterior.Samples {
    var seeds = RandomStream(seed: seed, .paths, UInt64(units.count))
    let each = try units.enumerated().map { set, units in
      let samples = try rest.sample(
        (count + draws.count - 1 - set) / draws.count, at: times, in: units, plan: plan,
        seed: seeds.nextUInt64(), latent: latent, flopLimit: flopLimit)
      progress?(count * (set + 1) / draws.count)
      return samples
    }
    let paths = (0..<max(count, 0)).map { each[$0 % each.count].paths[$0 / each.count] }
    return Posterior.Samples(
      paths: paths, means: Posterior.average(paths), plan: each[0].plan, trace: nil,
      notes: aside + each[0].notes, outside: each[0].outside)
  }

  /// Draws coherent paths among those that meet conditions, of points asked for or of all; as `Posterior.sample(_:at:given:)`.
  public func sample(
    _ count: Int, at inputs: Inputs, given conditions: [PathEvent], plan: PlanTemplate = .sequential,
    seed: UInt64 = 0, latent: Bool = false, flopLimit: Double = Posterior.flopLimit,
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Posterior.Samples {
    guard !conditions.isEmpty, count > 0, inputs.count > 0 else {
      return try sample(
        count, at: inputs, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit, progress: progress)
    }
    let (all, places) = try Posterior.drawn(inputs, for: conditions)
    return try Posterior.kept(
      count, of: inputs.count, conditions, places, seed: seed, progress: progress
    ) {
      try sample($0, at: all, plan: plan, seed: $1, latent: latent, flopLimit: flopLimit)
    }
  }

  /// The joint log-density, in nats; parameters and errors as `Posterior.logDensity(of:at:)`.
  public func logDensity(
    of y: [Double], at inputs: Inputs, plan: PlanTemplate = .sequential, orders: Int = 8, seed: UInt64 = 0,
    flopLimit: Double = Posterior.flopLimit
  ) throws -> Posterior.LogDensity {
    guard y.count == inputs.count else {
      throw InferenceError.input("\(y.count) values for \(inputs.count) inputs")
    }
    let (times, shifts) = try shifts(inputs)
    if let bounded {
      let all = try shifts.map { shift in
        try rest.logDensity(
          of: y, at: times, in: units(times, shift, bounded), plan: plan, orders: orders, seed: seed,
          flopLimit: flopLimit)
      }
      let scores = all[0].orders.indices.map { order in Posterior.logMeanExp(all.map { $0.orders[order] }) }
      return Posterior.LogDensity(
        value: scores.isEmpty ? 0 : Posterior.logMeanExp(scores), orders: scores, plan: all[0].plan,
        notes: all[0].notes)
    }
    let seen = y.compactMap { values.seen($0) }
    guard seen.count == y.count else {
      // The plan is that of values that have a place.
      let other = try logDensity(
        of: y.map { values.seen($0) == nil ? 1 : $0 }, at: inputs, plan: plan, orders: orders, seed: seed,
        flopLimit: flopLimit)
      return Posterior.LogDensity(none: y.count - seen.count, other.orders.count, other.plan, other.notes)
    }
    let jacobian = y.reduce(0) { $0 + values.logSlope($1) }
    let all = try shifts.map { shift in
      try rest.logDensity(
        of: zip(seen, shift).map { $0 - $1 }, at: times, plan: plan, orders: orders, seed: seed,
        flopLimit: flopLimit)
    }
    let scores = (all.first?.orders ?? []).indices.map { order in
      Posterior.logMeanExp(all.map { $0.orders[order] }) + jacobian
    }
    guard let first = all.first else { throw InferenceError.input("there is no set of factors") }
    return Posterior.LogDensity(
      value: scores.isEmpty ? 0 : Posterior.logMeanExp(scores), orders: scores, plan: first.plan,
      notes: first.notes)
  }

  /// The law of each row on its own.
  public func marginals(
    at inputs: Inputs, flopLimit: Double = Posterior.flopLimit
  ) throws -> [any ContinuousLaw] {
    let (times, shifts) = try shifts(inputs)
    if let bounded {
      let parts = try shifts.map { shift in
        try rest.continuous(at: times, in: units(times, shift, bounded), flopLimit: flopLimit)
      }
      return (0..<times.count).map { row in
        let law = MixedLaw(parts: parts.map { $0[row] })
        return bounded.whole.map { WholeNumbers(law, within: $0) } ?? law
      }
    }
    return try rest.marginals(at: times, flopLimit: flopLimit).enumerated().map { row, law in
      guard let law = law as? GaussianMixture else {
        throw InferenceError.input("this model's laws cannot be shifted; leave out --with")
      }
      let sets = Double(shifts.count)
      let mixed = GaussianMixture(
        logWeights: shifts.flatMap { _ in law.logWeights.map { $0 - log(sets) } },
        means: shifts.flatMap { shift in law.means.map { $0 + shift[row] } },
        deviations: shifts.flatMap { _ in law.deviations })
      return values == .raw ? mixed : SeenLaw(mixed, on: values)
    }
  }

  package func paths(
    _ count: Int, at inputs: Inputs, plan: PlanTemplate, seed: UInt64, latent: Bool, flopLimit: Double,
    progress: (@Sendable (Int) -> Void)?
  ) throws -> Posterior.Samples {
    try sample(
      count, at: inputs, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit, progress: progress)
  }
  package func paths(
    _ count: Int, at inputs: Inputs, given conditions: [PathEvent], plan: PlanTemplate, seed: UInt64,
    latent: Bool, flopLimit: Double, progress: (@Sendable (Int) -> Void)?
  ) throws -> Posterior.Samples {
    try sample(
      count, at: inputs, given: conditions, plan: plan, seed: seed, latent: latent, flopLimit: flopLimit,
      progress: progress)
  }
  package func density(
    of y: [Double], at inputs: Inputs, plan: PlanTemplate, orders: Int, seed: UInt64, flopLimit: Double
  ) throws -> Posterior.LogDensity {
    try logDensity(of: y, at: inputs, plan: plan, orders: orders, seed: seed, flopLimit: flopLimit)
  }
  package func laws(of inputs: Inputs, flopLimit: Double) throws -> [any ContinuousLaw] {
    try marginals(at: inputs, flopLimit: flopLimit)
  }
}
