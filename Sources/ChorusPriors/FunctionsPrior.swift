import ChorusTensors
import Foundation

/// Smooth, rough, repeating, trending, jumping and skewed functions of one to three inputs: what standardised real
/// series and small tables look like, so that one model pretrained on it can be asked about any of them.
///
/// A task is drawn in these steps, all from its own stream.
///
/// 1. Inputs: an `InputLayout` on [-√3, √3] in every dimension (standard deviation 1 when uniform).
/// 2. A family: one of the kernels RBF, Matern-1/2, -3/2, -5/2, a wave of fixed period (whose shape is forgotten
///    over a longer distance in half of the tasks), a sum of two of these, or a sawtooth.
/// 3. Length-scales log-uniform, from 0.03 (0.1 in two dimensions, 0.2 in three) to 3, then per dimension times
///    exp(N(0, 1/4)); beyond one dimension each input is nearly irrelevant (ten times longer) with probability
///    0.2. Periods log-uniform on [0.05, 4].
/// 4. The variances of the terms sum to one uniform number of [0.5, 1.5].
/// 5. With probability 0.35 a linear trend: slopes and constant are Gaussian, their variance log-uniform on
///    [0.1, 10] times that of the rest, so trends dominate in many tasks.
/// 6. Noise variance log-uniform on [1e-5, 0.3] times that of the rest without the trend. With probability 0.15 it
///    changes along a random direction, from 1/r to r times that, r log-uniform on [1.5, 12], as a logistic curve whose
///    width is log-uniform on [0.05, 2].
/// 7. Without a trend, with probability 0.25, all of this is seen through a `Skew` of rate ±log-uniform on [0.1, 1], so
///    that large values vary more than small ones.
///
/// The sawtooth (which takes part in 1, 2, 4 and 6 with constant noise) has an oracle with one input, with more a ceiling
/// only; everything else has an exact oracle. Offset and
/// unit of x and y are not varied: a model for this prior reads tasks in units of their context.
public struct FunctionsPrior: Prior {
  public var name: String { family.map { "functions/\($0)" } ?? "functions" }
  /// The only family drawn; nil for all of them by their probabilities.
  public let family: String?
  public let dimensions = 1...3

  /// The families and their probabilities; `PriorTask.component` is one of these names.
  public static let families: [(name: String, probability: Double)] = [
    ("rbf", 0.12), ("matern12", 0.10), ("matern32", 0.12), ("matern52", 0.12), ("periodic", 0.18),
    ("sum", 0.28), ("sawtooth", 0.08),
  ]

  public init() { family = nil }

  private init(family: String) { self.family = family }

  /// The prior of each family alone, named like `functions/matern32`: for evaluation by part. All but the family
  /// follows the same law.
  public static let parts = families.map { FunctionsPrior(family: $0.name) }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    let x = InputLayout.draw(from: &stream).points(shape, from: &stream)
    let drawn = Self.families[stream.choice(weights: Self.families.map(\.probability))].name
    let family = self.family ?? drawn
    let total = stream.uniform(in: 0.5...1.5)
    let noise = total * stream.logUniform(in: 1e-5...0.3)
    if family == "sawtooth" {
      return sawtooth(shape, x: x, variance: total, noise: noise, &stream)
    }
    var terms = [Kernel.Term]()
    if family == "sum" {
      let share = stream.uniform(in: 0.05...0.95)
      for part in [share, 1 - share] {
        let single = Self.families[stream.choice(weights: Self.families.prefix(5).map(\.probability))].name
        terms.append(term(single, variance: total * part, shape.dimensions, &stream))
      }
    } else {
      terms.append(term(family, variance: total, shape.dimensions, &stream))
    }
    let trend = stream.uniform() < 0.35
    if trend {
      let slope = total * stream.logUniform(in: 0.1...10)
      terms.append(
        .init(.linear(offset: 1), variance: slope, scales: Array(repeating: 1, count: shape.dimensions)))
    }
    return try gaussianTask(
      shape, x: x, kernel: Kernel(terms), noise: Self.noise(noise, x, shape, &stream),
      skew: !trend && stream.uniform() < 0.25 ? Skew(from: &stream) : nil, component: family, &stream)
  }

  /// The variance of the noise on each row.
  private static func noise(
    _ variance: Double, _ x: [Double], _ shape: TaskShape, _ stream: inout RandomStream
  ) -> [Double] {
    let (d, rows) = (shape.dimensions, 0..<shape.rows)
    guard stream.uniform() < 0.15 else { return rows.map { _ in variance } }
    let direction = unitVector(d, from: &stream)
    let strength = log(stream.logUniform(in: 1.5...12))
    let width = stream.logUniform(in: 0.05...2)
    let centre = stream.uniform(in: -InputLayout.half...InputLayout.half)
    return rows.map { row in
      let along = (0..<d).reduce(0) { $0 + direction[$1] * x[row * d + $1] }
      return variance * exp(strength * tanh((along - centre) / width))
    }
  }

  private func term(
    _ family: String, variance: Double, _ dimensions: Int, _ stream: inout RandomStream
  ) -> Kernel.Term {
    if family == "periodic" {
      let period = stream.logUniform(in: 0.05...4)
      let form = Kernel.Term.Form.periodic(
        period: period, roughness: stream.logUniform(in: 0.4...2),
        direction: unitVector(dimensions, from: &stream))
      let memory = stream.uniform() < 0.5 ? .infinity : max(2 * period, stream.logUniform(in: 0.5...4))
      return .init(form, variance: variance, scales: Array(repeating: memory, count: dimensions))
    }
    let forms: [String: Kernel.Term.Form] = [
      "matern12": .matern12, "matern32": .matern32, "matern52": .matern52,
    ]
    return .init(forms[family] ?? .rbf, variance: variance, scales: Self.scales(dimensions, &stream))
  }

  /// Length-scales of one term.
  static func scales(_ dimensions: Int, _ stream: inout RandomStream) -> [Double] {
    let shortest = [0.03, 0.1, 0.2][min(max(dimensions, 1), 3) - 1]
    let length = stream.logUniform(in: shortest...3)
    return (0..<dimensions).map { _ in
      let own = length * exp(0.5 * stream.normal())
      return dimensions > 1 && stream.uniform() < 0.2 ? 10 * own : own
    }
  }

  /// A sawtooth of the given variance (a wave of height 1 has 1/12), period log-uniform on [0.1, 4].
  private func sawtooth(
    _ shape: TaskShape, x: [Double], variance: Double, noise: Double, _ stream: inout RandomStream
  ) -> PriorTask {
    let periods = 0.1...4.0
    let frequency = 1 / stream.logUniform(in: periods)
    let wave = Sawtooth(dimensions: shape.dimensions, frequency: frequency, from: &stream)
    let height = (12 * variance).squareRoot()
    let deviation = noise.squareRoot()
    let y = wave.values(x).map { height * ($0 - 0.5) + deviation * stream.normal() }
    var oracle: SawtoothOracle?
    if shape.dimensions == 1 {
      let waves = SawtoothOracle.Waves(
        frequencies: 1 / periods.upperBound...1 / periods.lowerBound, logUniform: true, height: height,
        offset: 0.5, deviations: [deviation])
      oracle = SawtoothOracle(waves, x: x, y: y)
    }
    return PriorTask(
      shape: shape, x: x, y: y, oracle: oracle, ceiling: noiseCeiling(deviation: deviation),
      component: "sawtooth")
  }
}

extension RandomStream {
  /// exp of a uniform number between the logarithms of the bounds, which are positive.
  mutating func logUniform(in range: ClosedRange<Double>) -> Double {
    exp(uniform(in: log(range.lowerBound)...log(range.upperBound)))
  }
}
