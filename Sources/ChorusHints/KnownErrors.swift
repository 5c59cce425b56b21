/// Known errors of measurement of rows: what they leave of a variance, and how much rows count beside them.
///
/// An output is what would be seen without its error plus a normal draw of deviation e. Where no error is known all weights are 1 and all
/// sums are the plain ones, to the bit.
struct KnownErrors: Sendable, Hashable {
  /// Of each row, in the unit of the outputs; empty for none.
  let deviations: [Double]
  var isEmpty: Bool { deviations.isEmpty }

  static let none = KnownErrors([])

  /// - Parameter deviations: one a row, or none. Where all are 0 there are none.
  init(_ deviations: [Double]) {
    self.deviations = deviations.contains { $0 > 0 } ? deviations : []
  }

  /// e² of a row, 0 where none is known.
  func variance(_ row: Int) -> Double { isEmpty ? 0 : deviations[row] * deviations[row] }

  func rows(_ picked: [Int]) -> KnownErrors { KnownErrors(isEmpty ? [] : picked.map { deviations[$0] }) }

  /// In another unit.
  func divided(by unit: Double) -> KnownErrors { KnownErrors(deviations.map { $0 / unit }) }

  /// How much each of `count` rows counts where outputs vary by `variance` beside their errors: v/(v + e²).
  func weights(beside variance: Double, count: Int) -> [Double] {
    isEmpty
      ? [Double](repeating: 1, count: count) : deviations.map { variance / (variance + $0 * $0) }
  }

  /// The harmonic mean of the errors' variances: that of the rows that tell the most. 0 where a row has no error.
  var typical: Double { Double(deviations.count) / deviations.reduce(0) { $0 + 1 / ($1 * $1) } }

  /// A variance beside the errors that so many rows do not tell from none, by its standard error √(2/n) of them.
  private var untold: Double {
    isEmpty ? 0 : 0.5 * (2 / Double(deviations.count)).squareRoot() * typical
  }

  /// Mean and variance that outputs would have without their errors: the variance under which their squares, each in units of its own
  /// variance, have the sum that they should (Paule and Mandel 1982). 0 where errors explain all.
  func moments(of outputs: [Double]) -> (mean: Double, variance: Double) {
    let count = Double(outputs.count)
    func look(_ variance: Double) -> (mean: Double, excess: Double) {
      let weights = deviations.map { 1 / ($0 * $0 + variance) }
      let sum = weights.reduce(0, +)
      let mean = zip(weights, outputs).reduce(0) { $0 + $1.0 * $1.1 } / sum
      let squares = zip(weights, outputs).reduce(0) { $0 + $1.0 * ($1.1 - mean) * ($1.1 - mean) }
      return (mean, squares - (count - 1))
    }
    let plain = outputs.reduce(0, +) / count
    let high = 2 * outputs.reduce(0) { $0 + ($1 - plain) * ($1 - plain) } / count
    guard high > 0, look(1e-12 * high).excess > 0 else {
      return (high > 0 ? look(1e-12 * high).mean : plain, 0)
    }
    let variance = Self.root(below: high) { look($0).excess }
    return (look(variance).mean, variance)
  }

  /// Mean and deviation that are told of outputs as those without errors; no less than what rows do not tell from none.
  func unit(of outputs: [Double]) -> (mean: Double, deviation: Double) {
    let (mean, variance) = moments(of: outputs)
    return (mean, max(variance, untold).squareRoot())
  }

  /// The deviation that residuals, of mean 0, would have without the errors of their rows: as above, and their root mean square where
  /// no error is known.
  func deviation(of residuals: [Double]) -> Double {
    guard !isEmpty else { return ForestExpert.rootMeanSquare(residuals) }
    let count = Double(residuals.count)
    func excess(_ variance: Double) -> Double {
      zip(residuals, deviations).reduce(-count) { $0 + $1.0 * $1.0 / (variance + $1.1 * $1.1) }
    }
    let high = 2 * residuals.reduce(0) { $0 + $1 * $1 } / count
    let variance = high > 0 && excess(1e-12 * high) > 0 ? Self.root(below: high, excess) : 0
    return max(variance, untold).squareRoot()
  }

  /// What is said of an output without its error, as of the one that is measured.
  func measured(_ estimate: Estimate, row: Int) -> Estimate {
    guard !isEmpty else { return estimate }
    let all = estimate.deviation * estimate.deviation + variance(row)
    return Estimate(value: estimate.value, deviation: all.squareRoot())
  }

  /// Outputs moved to what was said of each without it, m ± d, so that they scatter as those without errors: m + (y − m)·d/√(d² + e²).
  func told(_ outputs: [Double], _ said: [Estimate]) -> [Double] {
    guard !isEmpty else { return outputs }
    return outputs.indices.map { row in
      let (own, error) = (said[row], deviations[row])
      guard error > 0 else { return outputs[row] }
      let part = own.deviation / (own.deviation * own.deviation + error * error).squareRoot()
      return own.value + (outputs[row] - own.value) * part
    }
  }

  /// Where a falling function of a variance is 0, by halves of the logarithm.
  private static func root(below high: Double, _ excess: (Double) -> Double) -> Double {
    var (low, high) = (1e-12 * high, high)
    for _ in 0..<60 {
      let middle = (low * high).squareRoot()
      if excess(middle) > 0 { low = middle } else { high = middle }
    }
    return (low * high).squareRoot()
  }
}
