import ChorusData
import ChorusTensors

/// Inputs of targets as the series of a context sees them: their joint law, and how the network's numbers become its
/// deviations. Made once of a context and the targets.
package final class SeriesInputs: Sendable {
  let joint: SeriesJoint
  /// Mean and deviation of what is foretold at each input, in the unit that the network reads it in.
  let laws: [Scaling.Unit?]

  /// nil where the context has no series that takes a path into account.
  ///
  /// - Parameter x: scaled inputs of one dimension.
  package init?(_ fits: HintFits, x: some Collection<Float>, dimensions: Int) {
    guard dimensions == 1, let fit = fits.first(SeriesLevelAndSeason.Fit.self), fit.joins,
      let model = fit.said?.model
    else { return nil }
    let places = x.map { model.rows.place(of: $0) }
    guard let joint = SeriesJoint(model, places: places) else { return nil }
    self.joint = joint
    laws = zip(places, joint.laws).map { place, law in
      guard let law, law.mean.isFinite, law.deviation > 0, law.deviation.isFinite else { return nil }
      let unit = fits.unit(at: [place], otherwise: fit.plain)
      return Scaling.Unit(origin: unit.scaled(law.mean), scale: law.deviation / unit.scale)
    }
  }
}

/// The committed rows of some paths, for what the series says of a value given those before it on its path. Belongs to one
/// thread at a time.
///
/// With R the correlation of the rows read and r that with the value asked for, the value's law has the mean rᵀ R⁻¹ z and
/// the variance 1 − rᵀ R⁻¹ r. A path's Cholesky factor of R grows by a row when a value is committed.
package final class SeriesPaths {
  /// Slots that are looked at: more would cost more than they tell.
  static let most = 512

  private struct Path {
    var inputs: [Int] = []
    /// Values as the network holds them.
    var values: [Float] = []
    /// The factor's rows one after another, the first of one number, and L⁻¹ z.
    var factor: [Double] = []
    var white: [Double] = []

    mutating func forget(from slot: Int) {
      guard slot < white.count else { return }
      white.removeSubrange(slot...)
      factor.removeSubrange(slot * (slot + 1) / 2..<factor.count)
    }
  }

  private var paths: [Path]
  private var known: SeriesInputs?
  private var solved: [Double] = []

  package init(paths: Int) { self.paths = [Path](repeating: Path(), count: paths) }

  /// Bytes that a path of so many slots holds at most.
  package static func bytes(capacity: Int) -> Int {
    let slots = min(capacity, most)
    return slots * 24 + 4 * slots * (slots + 1)
  }

  /// Keeps a committed row.
  package func keep(input: Int, _ value: Float, path: Int, slot: Int) {
    guard slot < Self.most else { return }
    while paths[path].inputs.count <= slot {
      paths[path].inputs.append(-1)
      paths[path].values.append(0)
    }
    paths[path].inputs[slot] = input
    paths[path].values[slot] = value
    paths[path].forget(from: slot)
  }

  /// Mean and deviation of the value at a row's input given the rows of its path that it reads; nil where nothing is said.
  package func tell(_ row: NearPaths.Row, _ inputs: SeriesInputs) -> Scaling.Unit? {
    guard let own = inputs.laws[row.input] else { return nil }
    if known !== inputs {
      for path in paths.indices { paths[path].forget(from: 0) }
      known = inputs
    }
    var law = (mean: 0.0, variance: 1.0)
    if let prefix = row.prefix {
      extend(row.path, to: min(prefix, Self.most), inputs)
      law = condition(row.input, on: paths[row.path], first: min(prefix, Self.most), inputs)
    } else {
      var part = Path()
      for slot in 0..<min(row.limit, Self.most) where slot != row.slot {
        if let mask = row.mask, mask[slot / 64] >> UInt64(slot % 64) & 1 == 0 { continue }
        part.inputs.append(paths[row.path].inputs[slot])
        part.values.append(paths[row.path].values[slot])
      }
      for slot in part.inputs.indices { append(slot, to: &part, inputs) }
      law = condition(row.input, on: part, first: part.inputs.count, inputs)
    }
    // The noise of the value itself is never told by others.
    let least = 1 / (1 + inputs.joint.variance(row.input))
    return Scaling.Unit(
      origin: own.raw(law.mean), scale: own.scale * max(law.variance, least).squareRoot())
  }

  private func extend(_ path: Int, to count: Int, _ inputs: SeriesInputs) {
    for slot in paths[path].white.count..<max(count, paths[path].white.count) {
      append(slot, to: &paths[path], inputs)
    }
  }

  /// Adds a slot to a path's factor. A value of which nothing is foretold tells nothing.
  private func append(_ slot: Int, to path: inout Path, _ inputs: SeriesInputs) {
    let input = path.inputs[slot]
    let law = input >= 0 ? inputs.laws[input] : nil
    guard let law else {
      path.factor += [Double](repeating: 0, count: slot) + [1]
      path.white.append(0)
      return
    }
    let found = condition(input, on: path, first: slot, inputs)
    let deviation = max(found.variance, 1 / (1 + inputs.joint.variance(input))).squareRoot()
    path.factor += solved.prefix(slot)
    path.factor.append(deviation)
    path.white.append((law.scaled(Double(path.values[slot])) - found.mean) / deviation)
  }

  /// Mean and variance of what is foretold at an input, in units of its deviation, given the first slots; leaves L⁻¹ r behind.
  private func condition(
    _ input: Int, on path: Path, first count: Int, _ inputs: SeriesInputs
  ) -> (mean: Double, variance: Double) {
    if solved.count < count { solved = [Double](repeating: 0, count: max(count, 64)) }
    var (mean, variance) = (0.0, 1.0)
    path.factor.withUnsafeBufferPointer { factor in
      solved.withUnsafeMutableBufferPointer { solved in
        var start = 0
        for slot in 0..<count {
          let other = path.inputs[slot]
          var value = other >= 0 && inputs.laws[other] != nil ? inputs.joint.correlation(input, other) : 0
          for before in 0..<slot { value -= factor[start + before] * solved[before] }
          value /= factor[start + slot]
          solved[slot] = value
          mean += value * path.white[slot]
          variance -= value * value
          start += slot + 1
        }
      }
    }
    return (mean, variance)
  }
}
