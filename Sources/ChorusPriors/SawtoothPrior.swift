import ChorusTensors
import Foundation

/// Sawtooth waves of Hassan et al., ICLR 2026, appendix D.2:
/// y = (omega (u·x - phi)) mod 1 + noise, u uniform on the unit sphere (a random sign in one dimension), omega
/// uniform on [3, 5], phi on [0, 1], the noise's standard deviation on [0.05, 0.1]; inputs as in `GPPrior`.
///
/// The law of the wave given a context has no closed form; with one input it is summed out (`SawtoothOracle`, which is told
/// the noise; the attainable one sums that out too), with more there is no oracle. `PriorTask.ceiling` is
/// -log(2 pi e sigma²)/2, the expected log density of a target when everything but its noise is known; its
/// average over sigma is `averageCeiling`.
public struct SawtoothPrior: Prior {
  public let name = "sawtooth"
  public let dimensions = 1...SobolSet.maximumDimensions
  static let deviations = 0.05...0.1
  static let frequencies = 3.0...5.0

  public init() {}

  /// The mean of -log(2 pi e sigma²)/2 for sigma uniform on [a, b] = [0.05, 0.1]:
  /// -log(2 pi e)/2 - (b log b - a log a)/(b - a) + 1 = 1.190 nats.
  public static var averageCeiling: Double {
    let (a, b) = (deviations.lowerBound, deviations.upperBound)
    return -0.5 * log(2 * .pi * M_E) - (b * log(b) - a * log(a)) / (b - a) + 1
  }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions)
    let x = SobolSet.subset(shape.rows, dimensions: shape.dimensions, low: -2, high: 2, from: &stream)
    let wave = Sawtooth(
      dimensions: shape.dimensions, frequency: stream.uniform(in: Self.frequencies), from: &stream)
    let deviation = stream.uniform(in: Self.deviations)
    let y = wave.values(x).map { $0 + deviation * stream.normal() }
    func oracle(_ deviations: [Double]) -> SawtoothOracle? {
      guard shape.dimensions == 1 else { return nil }
      return SawtoothOracle(.init(frequencies: Self.frequencies, deviations: deviations), x: x, y: y)
    }
    var task = PriorTask(
      shape: shape, x: x, y: y, oracle: oracle([deviation]), ceiling: noiseCeiling(deviation: deviation),
      component: name)
    let range = Self.deviations.upperBound - Self.deviations.lowerBound
    task.attainable = oracle(
      (0..<8).map { (place: Int) -> Double in
        Self.deviations.lowerBound + (Double(place) + 0.5) / 8 * range
      })
    return task
  }
}

/// -log(2 pi e sigma²)/2: the expected log density of Gaussian noise under its own law.
func noiseCeiling(deviation: Double) -> Double {
  -0.5 * log(2 * .pi * M_E) - log(deviation)
}

/// The wave (frequency (direction·x - phase)) mod 1.
struct Sawtooth: Sendable {
  let direction: [Double]
  let frequency: Double
  let phase: Double

  init(dimensions: Int, frequency: Double, from stream: inout RandomStream) {
    direction = unitVector(dimensions, from: &stream)
    self.frequency = frequency
    phase = stream.uniform()
  }

  func values(_ x: [Double]) -> [Double] {
    stride(from: 0, to: x.count, by: direction.count).map { row in
      var along = 0.0
      for (k, u) in direction.enumerated() { along += u * x[row + k] }
      let turns = frequency * (along - phase)
      return turns - turns.rounded(.down)
    }
  }
}

/// A direction uniform on the unit sphere; a random sign in one dimension.
func unitVector(_ dimensions: Int, from stream: inout RandomStream) -> [Double] {
  let vector = stream.normals(dimensions)
  var squares = 0.0
  for value in vector { squares += value * value }
  return vector.map { $0 / squares.squareRoot() }
}
