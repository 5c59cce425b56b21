import ChorusTensors
import Foundation

/// A filter, a bent line, a filter: y_t = Σ_j g_j f(Σ_i h_i u_{t−i−j}), the block model of system identification (Wiener–Hammerstein;
/// as a law of systems to be identified in context: Forgione, Pura and Piga 2023, arXiv 2308.13380, with other filters).
///
/// A system is a function of fourteen numbers that are standard normal under the law, so that what fits it can weigh
/// them. A filter is the response of a second-order system to an impulse, cut off after `taps` steps: h_i ∝ r^i (a cos θi + b sin θi)
/// of length 1, r = 0.3 + 0.5 Φ(z₀), θ = π Φ(z₁), a and b normal. The line is f(w) ∝ Σ_{j=1,2} c_j tanh(a_j w + b_j), c_j and b_j normal, a_j ~ N(0, 9/4),
/// brought to mean 0 and variance 1 over w ~ N(0, 1), which is the law of the first filter's output of white noise.
public struct WienerHammersteinSystem: Sendable, Hashable {
  /// Numbers that tell a system.
  public static let count = 14
  /// Steps of each filter's response.
  public let taps: Int
  /// h and g.
  public let first: [Double]
  public let second: [Double]
  /// c, a and b.
  private struct Unit: Sendable, Hashable {
    let scale: Double
    let slope: Double
    let offset: Double
  }
  private let units: [Unit]
  private let mean: Double
  private let inverseDeviation: Double

  /// - Precondition: `numbers` are `count`, and `taps` is at least 1.
  public init(_ numbers: [Double], taps: Int) {
    precondition(numbers.count == Self.count && taps > 0, "a system is told by fourteen numbers")
    self.taps = taps
    first = Self.filter(numbers[0..<4], taps)
    second = Self.filter(numbers[4..<8], taps)
    let units = [8, 11].map {
      Unit(scale: numbers[$0], slope: 1.5 * numbers[$0 + 1], offset: numbers[$0 + 2])
    }
    self.units = units
    // By the trapezoid rule, which converges faster than any power of its step under a normal law.
    var (sums, squares, total) = (0.0, 0.0, 0.0)
    for point in -24...24 {
      let w = Double(point) / 4
      let weight = exp(-w * w / 2)
      let value = Self.bend(w, units)
      (sums, squares, total) = (sums + weight * value, squares + weight * value * value, total + weight)
    }
    mean = sums / total
    inverseDeviation = 1 / max(squares / total - mean * mean, 1e-12).squareRoot()
  }

  /// One drawn from the law.
  public init(taps: Int, from stream: inout RandomStream) {
    self.init(stream.normals(Self.count), taps: taps)
  }

  private static func filter(_ numbers: ArraySlice<Double>, _ taps: Int) -> [Double] {
    let z = Array(numbers)
    let (radius, angle) = (0.3 + 0.5 * normalShare(z[0]), Double.pi * normalShare(z[1]))
    let response = (0..<taps).map { step in
      pow(radius, Double(step)) * (z[2] * cos(angle * Double(step)) + z[3] * sin(angle * Double(step)))
    }
    let length = response.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return response.map { $0 / max(length, 1e-12) }
  }

  private static func bend(_ w: Double, _ units: [Unit]) -> Double {
    units.reduce(0) { $0 + $1.scale * tanh($1.slope * w + $1.offset) }
  }

  /// The line between the filters.
  public func bend(_ w: Double) -> Double { (Self.bend(w, units) - mean) * inverseDeviation }

  /// The output at the newest of some inputs.
  ///
  /// - Parameter window: the newest input and those before it, newest first, `2·taps − 1`.
  public func output(_ window: ArraySlice<Double>) -> Double {
    var sum = 0.0
    for (lag, weight) in second.enumerated() {
      var inner = 0.0
      for (back, response) in first.enumerated() {
        inner += response * window[window.startIndex + lag + back]
      }
      sum += weight * bend(inner)
    }
    return sum
  }
}

/// Φ: the share of a standard normal number below z.
private func normalShare(_ z: Double) -> Double { 0.5 * erfc(-z / 2.0.squareRoot()) }

/// Systems to be identified in context: outputs of one white input with noise, then the output of a new one, which is to be simulated.
///
/// A row is the newest input and the 2·taps − 2 before it, newest first, and the output; the context is one record, the targets another of the
/// same system. The noise's variance is log-uniform on `noise`, where the output's own is about 1. There is no oracle in closed form;
/// `WienerHammersteinFit` fits a system by the law's own numbers.
public struct WienerHammersteinPrior: Prior {
  public let name = "wiener-hammerstein"
  /// Inputs of a row: odd, 2·taps − 1.
  public let dimensions = 3...31
  /// A column is an input so many steps ago.
  public let keepsColumns = true
  /// The range of the noise's variance.
  public static let noise = 1e-3...0.1

  public init() {}

  /// - Throws: `PriorError.stored` for an even number of inputs, or a buffer.
  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    guard !shape.dimensions.isMultiple(of: 2), shape.buffer == 0 else {
      throw .stored(
        "\(name) has an odd number of inputs (two filters of n steps see 2·n − 1) and no buffer; not \(shape.dimensions) and"
          + " \(shape.buffer)")
    }
    let d = shape.dimensions
    let system = WienerHammersteinSystem(taps: (d + 1) / 2, from: &stream)
    let deviation = stream.logUniform(in: Self.noise).squareRoot()
    var (x, y) = ([Double](), [Double]())
    for count in [shape.context, shape.targets] where count > 0 {
      let input = stream.normals(count + d - 1)
      for row in 0..<count {
        let window = (0..<d).map { input[row + d - 1 - $0] }
        y.append(system.output(window[...]) + deviation * stream.normal())
        x += window
      }
    }
    return PriorTask(shape: shape, x: x, y: y, component: name)
  }
}
