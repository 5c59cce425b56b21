import ChorusData
import Foundation

/// What classical estimators say of the rows of a table, fitted to a context: what a network of the family `table` reads in place of
/// the cells.
///
/// Every row is told as `TableExperts.width` numbers of order 1: estimates and log-deviations of ridge, processes, forest and stack,
/// how the trees disagree, how each is from the stack, how well each did, and the row's place among the others. Of a row of the context it is told
/// what is said without it.
///
/// Where errors of outputs are known, estimators weigh rows by them, and all that is said is of outputs without their errors. An output
/// y that the others foretell as m ± d is then told as m + (y − m)·d/√(d² + e²), which scatters as one without an error does.
///
/// ```swift
/// let fit = try TableFit(cells, y: masses)
/// let told = fit.tell(others)          // [others.count * TableExperts.width]
/// ```
public struct TableFit: Sendable {
  /// Rows observed, as they came.
  public let cells: Cells
  public let y: [Double]
  /// The unit of outputs: mean and deviation of the context's, as they would be without errors.
  public let unit: Scaling.Unit
  /// How much each column tells alone: the part of the outputs' variance that it explains of rows not seen, 0…1.
  public var relevance: [Double] { reading.relevance }
  /// The rows in their canonical order, by their numbers as they came.
  public let order: [Int]
  /// What is told of rows of the context, in the canonical order, and their outputs in units: of all rows, or of the thousand that
  /// processes read.
  public let observed: NetworkInputs
  /// The same outputs as they were measured, in units, and their known errors; empty for none.
  public let measured: (y: [Double], errors: [Double])

  /// The rows of `observed` as a process with a length for every column reads them (`JointProcess`), `[count, designWidth]`.
  public let observedDesign: [Double]
  /// Columns of that, those that tell the most first and at most `mostDesigned`: numbers as scores, levels, whether cells are missing,
  /// of about unit deviation; then `designNames` that name levels, one for each category with more than twelve.
  public var designWidth: Int { processDesign.width }
  /// How many of them, the last, name levels.
  public var designNames: Int { processDesign.names }
  private let processDesign: ProcessDesign

  /// The mean log-density of a measured output, in units, given all other rows, by what the stack says.
  public let leftOut: Double

  /// Told rows, `[count, TableExperts.width]`, and outputs in units.
  public struct NetworkInputs: Sendable, Hashable {
    public var x: [Double]
    public var y: [Double]
  }

  private let reading: TableReading
  private let distance: TableDistance
  private let ridge: RidgeExpert
  private let process: ProcessExpert
  private let forest: ForestExpert
  private let stack: StackedExperts
  /// What is the same of all rows.
  private let overall: [Double]

  /// - Parameter errors: the standard deviation of each output's known error of measurement, in the unit of the outputs, or none.
  /// - Throws: `DataError.rowCount`, `.notFinite` for an output, `.badError` for an error that is negative or not finite,
  ///   `.tooFewRowsToScale` for fewer than two rows.
  public init(_ cells: Cells, y: [Double], errors: [Double] = []) throws(DataError) {
    guard cells.count == y.count else {
      throw .rowCount(what: "outputs for the rows", expected: cells.count, found: y.count)
    }
    guard y.count >= 2 else { throw .tooFewRowsToScale(found: y.count) }
    if let bad = y.firstIndex(where: { !$0.isFinite }) {
      throw .notFinite(row: bad, column: nil, value: "\(y[bad])")
    }
    guard errors.isEmpty || errors.count == y.count else {
      throw .rowCount(what: "errors of the outputs", expected: y.count, found: errors.count)
    }
    if let bad = errors.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
      throw .badError(row: bad, value: errors[bad])
    }
    self.cells = cells
    self.y = y
    let given = KnownErrors(errors)
    let found = TableOrder(cells, y, given)
    order = found.rows
    let sorted = found.rows.map { y[$0] }
    let known = given.rows(found.rows)
    let (centre, deviation) = known.isEmpty ? Scaling.moments(sorted) : known.unit(of: sorted)
    let unit = Scaling.Unit(
      origin: centre, scale: deviation > 0 ? deviation : Scaling.unitOfConstant(centre))
    self.unit = unit
    let outputs = sorted.map { unit.scaled($0) }
    let scaled = known.divided(by: unit.scale)
    reading = TableReading(cells, order: found, outputs: [outputs], errors: scaled)
    let context = reading.context(outputs, errors: scaled)
    distance = TableDistance(relevance: context.designRelevance)
    ridge = RidgeExpert(context)
    process = ProcessExpert(context)
    forest = ForestExpert(context, beside: ridge.variance)
    let read = ProcessExpert.read(outputs.count)
    func some<T>(_ all: [T]) -> [T] { read.count == all.count ? all : read.map { all[$0] } }
    let own = scaled.rows(read)
    stack = StackedExperts(
      [some(ridge.observed), process.observed, some(forest.observed)], y: some(outputs), own,
      beside: ridge.variance)
    let missing = Double(cells.values.count { $0.isNaN }) / Double(cells.values.count)
    let categories = Double(cells.categories.count { $0 }) / Double(cells.columns)
    overall =
      stack.errors.map { log($0) } + stack.weights + [
        log(Double(cells.count)) / 3 - 1.3, log(Double(cells.columns)) / 1.5 - 1, 3 * missing, categories,
      ]
    processDesign = reading.processDesign(most: Self.mostDesigned)
    observedDesign = processDesign.rows(context.rows, read)
    measured = (some(outputs), own.deviations)
    let said = stack.observed[stack.observed.count - 1].enumerated().map { own.measured($1, row: $0) }
    leftOut =
      -zip(said, measured.y).reduce(0) { sum, row in
        let z = (row.1 - row.0.value) / row.0.deviation
        return sum + 0.5 * (z * z + log(2 * .pi)) + log(row.0.deviation)
      } / Double(read.count)
    observed = NetworkInputs(
      x: Self.written(
        stack.observed, some(forest.disagreement), overall,
        some(distance.places(context.rows.design, count: outputs.count))),
      y: own.told(measured.y, stack.observed[stack.observed.count - 1]))
  }

  /// The rows of a table by what they hold, whatever order they came in: by their outputs.
  public static func order(_ cells: Cells, _ y: [Double], errors: [Double] = []) -> [Int] {
    TableOrder(cells, y, KnownErrors(errors)).rows
  }

  /// What is told of rows that are not the context's, `[count, TableExperts.width]`.
  ///
  /// - Precondition: the rows have the columns of the context.
  public func tell(_ rows: Cells) -> [Double] {
    precondition(rows.categories == cells.categories, "rows have the columns of the context")
    // In parts, whose covariances with the context are held at once; a row's bytes do not depend on the others.
    return stride(from: 0, to: rows.count, by: Self.together).flatMap { first in
      let end = min(first + Self.together, rows.count)
      return tell(part: first == 0 && end == rows.count ? rows : rows.rows(first..<end))
    }
  }

  /// Rows as the process of `observedDesign` reads them, `[count, designWidth]`.
  public func design(_ rows: Cells) -> [Double] {
    processDesign.rows(reading.shown(rows), Array(0..<rows.count))
  }

  /// Columns beyond these are left out, so that a table of thousands does not make covariances take minutes.
  static let mostDesigned = 64

  private static let together = 512

  private func tell(part rows: Cells) -> [Double] {
    let shown = reading.shown(rows)
    let forested = forest.laws(shown)
    let estimates = stack.estimates([
      ridge.estimates(shown), process.estimates(shown), forested.map(\.estimate),
    ])
    return Self.written(
      estimates, forested.map(\.disagreement), overall,
      distance.places(shown.design, count: rows.count))
  }

  /// - Parameters:
  ///   - estimates: of each estimator and the stack, row by row.
  ///   - places: coordinates, row by row.
  private static func written(
    _ estimates: [[Estimate]], _ disagreement: [Double], _ overall: [Double], _ places: [[Double]]
  ) -> [Double] {
    var out: [Double] = []
    out.reserveCapacity(disagreement.count * TableExperts.width)
    for row in disagreement.indices {
      let own = estimates.map { $0[row] }
      let best = own[own.count - 1]
      for estimate in own { out.append(estimate.value) }
      for estimate in own { out.append(log(estimate.deviation)) }
      out.append(disagreement[row])
      for estimate in own { out.append(min(max((estimate.value - best.value) / best.deviation, -8), 8)) }
      out += overall
      out += places[row]
    }
    return out
  }
}

/// A table's estimators, as a blueprint names them.
public enum TableExperts {
  /// Ridge, processes, forest, and the stack of the three.
  public static let count = 4
  /// Numbers told of a row beside its place.
  public static let features = 3 * count + 1 + 2 * count + 4
  public static let coordinates = TableDistance.coordinates
  /// All numbers told of a row: features, then coordinates (`TableDistance`).
  public static let width = features + TableDistance.coordinates

  /// The units that an estimator's statements are: its estimate and deviation, read back from what was told of a row.
  public static func unit(_ estimator: Int, of row: UnsafePointer<Float>) -> Scaling.Unit {
    Scaling.Unit(origin: Double(row[estimator]), scale: exp(Double(row[count + estimator])))
  }
}

/// The estimators together: a weighted mean of theirs and of the plain mean, weights of sum 1 by least leave-one-out error
/// (Wolpert 1992; exponentiated gradient, Kivinen & Warmuth 1997).
struct StackedExperts: Sendable {
  /// Of each estimator, then of the stack: what is said of the context's rows.
  let observed: [[Estimate]]
  /// Root mean squared error of each, then of the stack, on rows not seen.
  let errors: [Double]
  /// Of the plain mean, then of each estimator.
  let weights: [Double]
  private let mean: Double
  private let plainDeviation: Double
  private let rescale: Double
  private let least: Double

  private static let steps = 60

  /// - Parameters:
  ///   - errors: known ones of the outputs, which count less the larger they are beside `variance`; errors and deviations are those of
  ///     outputs without them.
  init(_ estimators: [[Estimate]], y: [Double], _ known: KnownErrors = .none, beside variance: Double = 1) {
    let counts = known.weights(beside: variance, count: y.count)
    let n = counts.reduce(0, +)
    let total = zip(counts, y).reduce(0) { $0 + $1.0 * $1.1 }
    mean = total / n
    let plain = zip(counts, y).map { (total - $0 * $1) / (n - $0) }
    let all = [plain] + estimators.map { $0.map(\.value) }
    weights = Self.weights(all, y, counts)
    plainDeviation = known.deviation(of: zip(plain, y).map { $0 - $1 })
    let (weights, plainDeviation) = (weights, plainDeviation)
    let values = y.indices.map { row in zip(weights, all).reduce(0) { $0 + $1.0 * $1.1[row] } }
    let spreads = y.indices.map { row in
      zip(weights.dropFirst(), estimators).reduce(weights[0] * plainDeviation) {
        $0 + $1.0 * $1.1[row].deviation
      }
    }
    let error = known.deviation(of: zip(values, y).map { $0 - $1 }) + 1e-3
    rescale = error / max(ForestExpert.rootMeanSquare(spreads), 1e-9)
    least = 0.1 * error
    let (rescale, least) = (rescale, least)
    observed =
      estimators
      + [zip(values, spreads).map { Estimate(value: $0, deviation: max($1 * rescale, least)) }]
    errors =
      estimators.map { known.deviation(of: zip($0, y).map { $0.value - $1 }) + 1e-3 } + [error]
  }

  /// What the estimators and the stack say of other rows.
  func estimates(_ estimators: [[Estimate]]) -> [[Estimate]] {
    let stacked = (estimators.first ?? []).indices.map { row in
      let value = zip(weights.dropFirst(), estimators).reduce(weights[0] * mean) {
        $0 + $1.0 * $1.1[row].value
      }
      let spread = zip(weights.dropFirst(), estimators).reduce(weights[0] * plainDeviation) {
        $0 + $1.0 * $1.1[row].deviation
      }
      return Estimate(value: value, deviation: max(spread * rescale, least))
    }
    return estimators + [stacked]
  }

  private static func weights(_ all: [[Double]], _ y: [Double], _ counts: [Double]) -> [Double] {
    let (k, n) = (all.count, counts.reduce(0, +))
    func product(_ a: [Double], _ b: [Double]) -> Double {
      counts.indices.reduce(0) { $0 + counts[$1] * (a[$1] * b[$1]) } / n
    }
    let gram = all.map { a in all.map { product(a, $0) } }
    let right = all.map { product($0, y) }
    let step = 4 / ((gram.joined().map { abs($0) }.max() ?? 0) + 1e-6)
    var weights = [Double](repeating: 1 / Double(k), count: k)
    for _ in 0..<steps {
      let moved = weights.indices.map { i in
        weights[i] * exp(-step * (zip(gram[i], weights).reduce(0) { $0 + $1.0 * $1.1 } - right[i]))
      }
      let sum = moved.reduce(0, +)
      weights = moved.map { $0 / sum }
    }
    return weights
  }
}
