import ChorusData
import ChorusPlans
import ChorusTensors
import Foundation

/// Something known of values that are not observed: that one lies within bounds, or that a number made of all values asked for
/// does.
///
/// ```swift
/// let atLeast = PathEvent.row([12], in: 100 ... .infinity)
/// let total = PathEvent.path(in: 1_000 ... .infinity) { $0.reduce(0, +) }
/// let paths = try posterior.sample(100, at: months, given: [atLeast, total])
/// ```
public struct PathEvent: Sendable {
  enum Subject: Sendable {
    case row([Double])
    case path(@Sendable ([Double]) -> Double)
  }
  let subject: Subject
  let range: ClosedRange<Double>

  /// The value at an input `[dimensions]`, which need not be among those asked for.
  public static func row(_ input: [Double], in range: ClosedRange<Double>) -> PathEvent {
    PathEvent(subject: .row(input), range: range)
  }

  /// A number made of a path's values, in the order of the inputs asked for.
  public static func path(
    in range: ClosedRange<Double>, _ number: @escaping @Sendable ([Double]) -> Double
  ) -> PathEvent {
    PathEvent(subject: .path(number), range: range)
  }
}

extension Posterior {
  /// The posterior with values that are known of further rows: each is read as a row more, so this is as exact as reading
  /// all rows at once.
  ///
  /// - Throws: as `Model.condition(on:)`.
  public func given(_ rows: Dataset) throws -> Posterior {
    let observed = try observed
    guard rows.dimensions == observed.dimensions else {
      throw InferenceError.input(
        "the rows given have \(rows.dimensions) input columns and those observed \(observed.dimensions)")
    }
    if let mixed = conditioned as? MixedContext {
      let more = try Self.rows(rows, preparation)
      let told = mixed.columns(of: more, isProcess: false)
      let network = try replacing(mixed.network).given(
        Dataset(inputs: Inputs(told.x.map(Double.init), dimensions: told.dimensions), y: rows.y))
      return mixed.changed(network.conditioned, by: more).map(network.replacing) ?? network
    }
    let all = try Dataset(
      inputs: Inputs(observed.x + rows.x, dimensions: rows.dimensions), y: observed.y + rows.y,
      errors: observed.error + rows.error,
      inputColumns: inputColumns, outputColumn: outputColumn)
    // Rows of a table are told in the units of what was fitted to it.
    let units = model.blueprint.family == .table ? scaling : nil
    return try model.condition(
      on: all, values: preparation.values.choice, limits: preparation.limits, whole: preparation.isWhole,
      scaling: units,
      pool: pool)
  }

  /// Draws `count` coherent paths among those that meet conditions.
  ///
  /// Paths are drawn as `sample` draws them, and those that meet all conditions are kept: what comes out has exactly the law
  /// of the paths given the conditions. A note says how many were drawn. Where fewer than asked for are found in a hundred draws
  /// for each (ten thousand at least), there are fewer.
  ///
  /// - Throws: as `sample(_:at:)`; `InferenceError.input` where too few paths meet the conditions to say anything.
  public func sample(
    _ count: Int, at inputs: Inputs, given conditions: [PathEvent],
    plan template: PlanTemplate = .sequential, seed: UInt64 = 0, latent: Bool = false,
    flopLimit: Double = Posterior.flopLimit, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Samples {
    guard !conditions.isEmpty, count > 0, inputs.count > 0 else {
      return try sample(
        count, at: inputs, plan: template, seed: seed, latent: latent, flopLimit: flopLimit,
        progress: progress)
    }
    let (all, places) = try Self.drawn(inputs, for: conditions)
    return try Self.kept(count, of: inputs.count, conditions, places, seed: seed, progress: progress) {
      try sample(
        $0, at: all, plan: template, seed: $1, latent: latent, flopLimit: flopLimit)
    }
  }

  /// Paths that meet conditions, of those that `draw` makes of a number and a seed.
  ///
  /// - Parameters:
  ///   - targets: how many values of a path, the first, are asked for.
  ///   - places: where the values of conditions of single rows stand.
  static func kept(
    _ count: Int, of targets: Int, _ conditions: [PathEvent], _ places: [Int?], seed: UInt64,
    progress: (@Sendable (Int) -> Void)?, draw: (Int, UInt64) throws -> Samples
  ) throws -> Samples {
    func holds(_ path: [Double]) -> Bool {
      zip(conditions, places).allSatisfy { condition, place in
        switch condition.subject {
        case .row: place.map { condition.range.contains(path[$0]) } ?? false
        case .path(let number): condition.range.contains(number(Array(path.prefix(targets))))
        }
      }
    }
    var found = Conditioning(count)
    var last: Samples?
    while let number = found.next() {
      var seeds = RandomStream(seed: seed, .evaluation, UInt64(found.drawn))
      let samples = try draw(number, found.drawn == 0 ? seed : seeds.nextUInt64())
      found.add(samples.paths, holds: holds)
      last = samples
      progress?(min(Int(found.effective), count))
    }
    let (whole, note) = try found.result(seed: seed)
    let kept = whole.map { Array($0.prefix(targets)) }
    guard let last else { throw InferenceError.input("no path was drawn") }
    return Samples(
      paths: kept, means: Self.average(kept), plan: last.plan, trace: nil, notes: last.notes + [note],
      outside: Array(last.outside.prefix(targets)))
  }

  /// The inputs to draw at: those asked for, then those of conditions that are not among them; and where each condition's is.
  static func drawn(
    _ inputs: Inputs, for conditions: [PathEvent]
  ) throws -> (all: Inputs, places: [Int?]) {
    var rows = (0..<inputs.count).map { Array(inputs[$0]) }
    var places: [Int?] = []
    for condition in conditions {
      guard case .row(let input) = condition.subject else {
        places.append(nil)
        continue
      }
      guard input.count == inputs.dimensions else {
        throw InferenceError.input(
          "a condition has \(input.count) inputs and the points asked for have \(inputs.dimensions)")
      }
      if let place = rows.firstIndex(of: input) {
        places.append(place)
      } else {
        places.append(rows.count)
        rows.append(input)
      }
    }
    return (try Inputs(rows.flatMap { $0 }, dimensions: inputs.dimensions), places)
  }
}
