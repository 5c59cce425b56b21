import ChorusTensors
import Foundation

/// Gaussian processes of Hassan et al., "Efficient autoregressive inference for transformer probabilistic
/// models", ICLR 2026, appendix D.2.
///
/// Inputs: a random N+C+M of a scrambled Sobol set of 512 points on [-2, 2] (of the next power of two when
/// more are asked for). Kernel: RBF with probability 0.4, Matern-3/2 0.3, Matern-5/2 0.3; variance uniform on
/// [0.5, 1.5], length-scale uniform on [0.1, 1]; zero mean; noise of fixed variance. The paper draws the kernel
/// once a batch, here it is drawn once a task: the law of a task is the same, the gradient's variance lower.
/// Beyond the paper's one dimension the length-scale is shared by all dimensions.
public struct GPPrior: Prior {
  public let name: String
  public let dimensions = 1...SobolSet.maximumDimensions
  /// Variance of the noise.
  public let noise: Double
  /// What inputs and outputs of the paper's law are multiplied by.
  private let scale: (input: Double, output: Double)

  /// `gp`: the paper's, noise variance 1e-5.
  public static let gp = GPPrior(name: "gp", noise: 1e-5)
  /// `gp-noisy`: noise variance 1e-2.
  public static let noisy = GPPrior(name: "gp-noisy", noise: 1e-2)

  /// `gp-small`: the tasks of `gp` with inputs half as wide and outputs 0.6 times as high, for models that were trained on inputs in
  /// ±1 and smaller functions. A log density of `gp` is log 0.6 = −0.511 more than one of these.
  public static let small = GPPrior(name: "gp-small", noise: 0.36e-5, scale: (0.5, 0.6))

  /// The same law with another noise variance.
  public init(name: String, noise: Double) { self.init(name: name, noise: noise, scale: (1, 1)) }

  /// - Parameter noise: variance, in the outputs' units.
  private init(name: String, noise: Double, scale: (input: Double, output: Double)) {
    self.name = name
    self.noise = noise
    self.scale = scale
  }

  private static let forms: [(form: Kernel.Term.Form, probability: Double)] = [
    (.rbf, 0.4), (.matern32, 0.3), (.matern52, 0.3),
  ]
  private static let variances = 0.5...1.5
  private static let lengths = 0.1...1.0

  /// Choices of hyperparameters at the midpoints of a grid over their law, each with its part of it.
  func hyperparameters(
    dimensions: Int, lengths: Int, variances: Int
  ) -> [(term: Kernel.Term, share: Double)] {
    func midpoints(_ range: ClosedRange<Double>, _ count: Int) -> [Double] {
      let width = range.upperBound - range.lowerBound
      return (0..<count).map { (place: Int) -> Double in
        range.lowerBound + (Double(place) + 0.5) / Double(count) * width
      }
    }
    var choices = [(term: Kernel.Term, share: Double)]()
    for (form, probability) in Self.forms {
      for length in midpoints(Self.lengths, lengths) {
        for variance in midpoints(Self.variances, variances) {
          let term = Kernel.Term(
            form, variance: scale.output * scale.output * variance,
            scales: Array(repeating: scale.input * length, count: dimensions))
          choices.append((term, probability / Double(lengths * variances)))
        }
      }
    }
    return choices
  }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    let x = SobolSet.subset(
      shape.rows, dimensions: shape.dimensions, low: -2 * scale.input, high: 2 * scale.input, from: &stream)
    let form = Self.forms[stream.choice(weights: Self.forms.map(\.probability))].form
    let variance = scale.output * scale.output * stream.uniform(in: Self.variances)
    let length = scale.input * stream.uniform(in: Self.lengths)
    let kernel = try Kernel([
      .init(form, variance: variance, scales: Array(repeating: length, count: shape.dimensions))
    ])
    var task = try gaussianTask(
      shape, x: x, kernel: kernel, noise: noise, component: kernel.description, &stream)
    task.attainable = AttainableOracle(prior: self, x: task.x, y: task.y, dimensions: shape.dimensions)
    return task
  }
}

/// A draw of a Gaussian process at `x`, with its oracle.
func gaussianTask(
  _ shape: TaskShape, x: [Double], kernel: Kernel, noise: Double, component: String,
  _ stream: inout RandomStream
) throws(PriorError) -> PriorTask {
  try gaussianTask(
    shape, x: x, kernel: kernel, noise: Array(repeating: noise, count: shape.rows), skew: nil,
    component: component, &stream)
}

/// A draw of a Gaussian process at `x` with noise of its own on each row, seen through `skew`, with its oracle.
func gaussianTask(
  _ shape: TaskShape, x: [Double], kernel: Kernel, noise: [Double], skew: Skew?, component: String,
  _ stream: inout RandomStream
) throws(PriorError) -> PriorTask {
  do {
    let factor = try CholeskyFactor(
      lower: kernel.matrix(x, count: shape.rows, noise: noise), count: shape.rows)
    let y = try factor.colour(stream.normals(shape.rows))
    let oracle = try GaussianOracle(kernel: kernel, noise: noise, x: x, y: y)
    guard let skew else { return PriorTask(shape: shape, x: x, y: y, oracle: oracle, component: component) }
    let skewed = SkewedOracle(latent: oracle, skew: skew)
    return PriorTask(shape: shape, x: x, y: skewed.y, oracle: skewed, component: component)
  } catch LinearAlgebraError.notPositiveDefinite(let pivot, _) {
    throw .notPositiveDefinite(kernel: kernel.description, pivot: pivot)
  } catch {
    throw .stored("\(error)")
  }
}
