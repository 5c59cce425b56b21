import ChorusData
import ChorusTensors

/// Inputs of targets as the series of a context sees them: their joint law, and how the network's numbers become its
/// deviations. Made once of a context and the targets.
package final class SeriesInputs: RowTellerInputs {
  let joint: SeriesJoint
  /// Mean and deviation of what is foretold at each input, in the unit that the network reads it in.
  let laws: [Scaling.Unit?]
  /// The number of an input by what the network has of it.
  private let numbers: [Float: Int]

  /// nil where the context has no series that takes a path into account.
  ///
  /// - Parameters:
  ///   - x: scaled inputs of one dimension.
  ///   - later: rows of the context that the fits have not seen.
  package init?(_ fits: HintFits, x: some Collection<Float>, dimensions: Int, later: [SeriesRow] = []) {
    guard dimensions == 1, let fit = fits.first(SeriesLevelAndSeason.Fit.self), fit.joins,
      let model = fit.said?.model
    else { return nil }
    let all = x + later.map(\.x)
    let places = all.map { model.rows.place(of: $0) }
    guard let joint = SeriesJoint(model, places: places) else { return nil }
    self.joint = joint
    laws = zip(places, joint.laws).map { place, law in
      guard let law, law.mean.isFinite, law.deviation > 0, law.deviation.isFinite else { return nil }
      let unit = fits.unit(at: [place], otherwise: fit.plain)
      return Scaling.Unit(origin: unit.scaled(law.mean), scale: law.deviation / unit.scale)
    }
    numbers = Dictionary(all.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The number of a row's input; -1 for one that is not among these.
  func number(of row: SeriesRow) -> Int { numbers[row.x] ?? -1 }
}

/// The committed rows of some paths, for what the series says of a value given those before it on its path. Belongs to one
/// thread at a time.
///
/// With R the correlation of the rows read and r that with the value asked for, the value's law has the mean rᵀ R⁻¹ z and
/// the variance 1 − rᵀ R⁻¹ r. A path's Cholesky factor of R grows by a row when a value is committed (`SeriesFactors`).
package final class SeriesPaths: RowTellerPaths {
  /// Slots that are looked at: more would cost more than they tell.
  package static let most = 512

  private struct Row {
    /// -1 for one that nothing is foretold of.
    var input = -1
    /// As the network holds it.
    var value: Float = 0
  }

  private struct Path {
    /// Rows of the path's context that the fits have not seen, then those of its slots.
    var later: [SeriesRow] = []
    var rows: [Row] = []
    /// The factor's rows, and L⁻¹ z.
    var nodes: [Int32] = []
    var white: [Double] = []

    mutating func forget(from row: Int) {
      guard row < white.count else { return }
      white.removeSubrange(row...)
      nodes.removeSubrange(row...)
    }

    /// Adds a row to the factor. A value of which nothing is foretold tells nothing.
    mutating func append(_ row: Row, to factors: SeriesFactors) {
      let count = nodes.count
      let node = factors.node(row.input, after: nodes, count: count)
      if let law = factors.law(row.input) {
        let mean = factors.mean(node, white, count: count)
        white.append((law.scaled(Double(row.value)) - mean) / factors.deviation(node))
      } else {
        white.append(0)
      }
      nodes.append(node)
    }
  }

  private var paths: [Path]
  private var askedIn = AskedIn<SeriesContext, SeriesInputs>()
  private var known: SeriesFactors?

  package init(paths: Int) { self.paths = [Path](repeating: Path(), count: paths) }

  /// Bytes that a path of so many slots holds at most.
  package static func bytes(capacity: Int) -> Int {
    let slots = min(capacity, most)
    return slots * 80 + 4 * slots * (slots + 1)
  }

  /// Keeps a committed row.
  package func keep(input: Int, _ value: Float, path: Int, slot: Int) {
    guard slot < Self.most else { return }
    let row = paths[path].later.count + slot
    while paths[path].rows.count <= row { paths[path].rows.append(Row()) }
    paths[path].rows[row] = Row(input: input, value: value)
    paths[path].forget(from: row)
  }

  package func tell(
    _ row: RowRead, _ context: any RowTellerContext, _ inputs: any RowTellerInputs,
    into features: UnsafeMutablePointer<Float>
  ) -> Scaling.Unit? {
    let law = askedIn.these(context, inputs).flatMap { tell(row, $0.inputs, after: $0.context.later) }
    SeriesOnPaths.write(law, to: features)
    return law
  }

  /// Mean and deviation of the value at a row's input given the rows of its path that it reads; nil where nothing is said.
  ///
  /// - Parameter later: rows of its context that the fits have not seen.
  func tell(_ row: RowRead, _ inputs: SeriesInputs, after later: [SeriesRow] = []) -> Scaling.Unit? {
    guard let own = inputs.laws[row.input] else { return nil }
    let factors = factors(inputs)
    if paths[row.path].later != later {
      let slots = paths[row.path].rows.dropFirst(paths[row.path].later.count)
      paths[row.path].rows = later.map { Row(input: inputs.number(of: $0), value: $0.y) } + slots
      paths[row.path].later = later
      paths[row.path].forget(from: 0)
    }
    let law = conditional(row, later.count, factors)
    return Scaling.Unit(origin: own.raw(law.mean), scale: own.scale * law.deviation)
  }

  private func factors(_ inputs: SeriesInputs) -> SeriesFactors {
    if let known, known.inputs === inputs, !known.isFull { return known }
    for path in paths.indices { paths[path].forget(from: 0) }
    let new = SeriesFactors(inputs)
    known = new
    return new
  }

  /// Mean and deviation of the value at a row's input, in units of its deviation when nothing is read.
  private func conditional(_ row: RowRead, _ before: Int, _ factors: SeriesFactors) -> (
    mean: Double, deviation: Double
  ) {
    if let prefix = row.prefix {
      let count = min(before + min(prefix, Self.most), paths[row.path].rows.count)
      while paths[row.path].white.count < count {
        let next = paths[row.path].rows[paths[row.path].white.count]
        paths[row.path].append(next, to: factors)
      }
      return condition(row.input, on: paths[row.path], first: count, factors)
    }
    var part = Path()
    func read(_ row: Row) { part.append(row, to: factors) }
    for own in paths[row.path].rows.prefix(before) { read(own) }
    row.forEachSlot(from: 0, to: Self.most) { read(paths[row.path].rows[before + $0]) }
    return condition(row.input, on: part, first: part.white.count, factors)
  }

  private func condition(
    _ input: Int, on path: Path, first count: Int, _ factors: SeriesFactors
  ) -> (mean: Double, deviation: Double) {
    let node = factors.node(input, after: path.nodes, count: count)
    return (factors.mean(node, path.white, count: count), factors.deviation(node))
  }
}
