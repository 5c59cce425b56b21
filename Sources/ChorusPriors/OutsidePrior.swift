import ChorusTensors
import Foundation

/// Functions that `FunctionsPrior` never draws, to see what a model makes of them. For evaluation only: a model that
/// was trained on one of these laws says nothing by its score on it.
///
/// Inputs, length-scales, the variance (uniform on [0.5, 1.5]) and the noise's are those of `FunctionsPrior`; there is
/// one term and no trend. Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 4.2.
public struct OutsidePrior: Prior {
  public enum Law: String, Sendable, Hashable, CaseIterable {
    /// Rational quadratic kernel, alpha log-uniform on [0.1, 2].
    case rationalQuadratic = "rational-quadratic"
    /// Gibbs kernel: the length-scale grows along a random direction, over the whole domain by a factor log-uniform
    /// on [3, 30]; in the middle it is that of `FunctionsPrior`.
    case gibbs
    /// RBF, Matern-3/2 or -5/2, and noise by Student's t with 3 to 6 degrees of freedom, whose squared scale is log-uniform
    /// on [1e-3, 0.3] times the variance. See `StudentOracle`.
    case student
  }

  public let law: Law
  public var name: String { law.rawValue }
  public let dimensions = 1...3

  public init(_ law: Law) { self.law = law }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    let x = InputLayout.draw(from: &stream).points(shape, from: &stream)
    let variance = stream.uniform(in: 0.5...1.5)
    let scales = FunctionsPrior.scales(shape.dimensions, &stream)
    let form: Kernel.Term.Form
    switch law {
    case .rationalQuadratic: form = .rationalQuadratic(alpha: stream.logUniform(in: 0.1...2))
    case .gibbs:
      let growth = stream.logUniform(in: 3...30)
      form = .gibbs(
        rate: log(growth) / (2 * InputLayout.half), direction: unitVector(shape.dimensions, from: &stream))
    case .student:
      let forms: [Kernel.Term.Form] = [.rbf, .matern32, .matern52]
      form = forms[stream.below(3)]
    }
    let kernel = try Kernel([.init(form, variance: variance, scales: scales)])
    guard law == .student else {
      let noise = variance * stream.logUniform(in: 1e-5...0.3)
      return try gaussianTask(shape, x: x, kernel: kernel, noise: noise, component: name, &stream)
    }
    let noise = StudentNoise(
      degrees: stream.integer(in: 3...6), variance: variance * stream.logUniform(in: 1e-3...0.3))
    return try studentTask(shape, x: x, kernel: kernel, noise: noise, &stream)
  }

  private func studentTask(
    _ shape: TaskShape, x: [Double], kernel: Kernel, noise: StudentNoise, _ stream: inout RandomStream
  ) throws(PriorError) -> PriorTask {
    do {
      let factor = try CholeskyFactor(
        lower: kernel.matrix(x, count: shape.rows, noise: StudentOracle.nugget), count: shape.rows)
      let y = try factor.colour(stream.normals(shape.rows)).map { $0 + noise.draw(&stream) }
      let oracle = try StudentOracle(kernel: kernel, noise: noise, x: x, y: y, seed: stream.nextUInt64())
      return PriorTask(shape: shape, x: x, y: y, oracle: oracle, component: name)
    } catch LinearAlgebraError.notPositiveDefinite(let pivot, _) {
      throw .notPositiveDefinite(kernel: kernel.description, pivot: pivot)
    } catch {
      throw .stored("\(error)")
    }
  }
}

/// Linear functions of up to sixteen inputs, to be learned in context (Garg et al., "What can transformers learn
/// in-context?", NeurIPS 2022): y = b + w·x + noise with x standard normal, w ~ N(0, I/D), b ~ N(0, 1/4), and the
/// noise's variance log-uniform on [1e-3, 0.3].
///
/// The oracle is the posterior predictive of Bayesian linear regression with known variances, as the Gaussian process
/// with kernel 1/4 + x·x'/D, which is the same law.
public struct LinearRegressionPrior: Prior {
  public let name = "linear-regression"
  public let dimensions = 1...16

  public init() {}

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    let d = Double(shape.dimensions)
    let x = stream.normals(shape.rows * shape.dimensions)
    let noise = stream.logUniform(in: 1e-3...0.3)
    let kernel = try Kernel([
      .init(
        .linear(offset: d / 4), variance: 1 / d, scales: Array(repeating: 1, count: shape.dimensions))
    ])
    return try gaussianTask(shape, x: x, kernel: kernel, noise: noise, component: name, &stream)
  }
}
