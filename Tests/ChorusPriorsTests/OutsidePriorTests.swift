import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@Suite("Priors for evaluation")
struct OutsidePriorTests {
  @Test("Rational quadratic and Gibbs kernels by hand")
  func kernels() throws {
    let (a, b) = ([0.2, -0.4], [0.9, 0.5])
    let scales = [0.7, 1.8]  // scaled differences 1 and 0.5
    func kernel(_ form: Kernel.Term.Form, _ scales: [Double]) throws -> Kernel {
      try Kernel([.init(form, variance: 1.3, scales: scales)])
    }
    let rational = try kernel(.rationalQuadratic(alpha: 0.6), scales)
    #expect(abs(rational(a, b) - 1.3 * pow(1 + 1.25 / 1.2, -0.6)) < 1e-14)
    // For large alpha an RBF.
    let smooth = try kernel(.rationalQuadratic(alpha: 1e9), scales)
    #expect(abs(smooth(a, b) - 1.3 * exp(-0.625)) < 1e-8)
    // Equation 4.32 of Rasmussen and Williams, a dimension at a time.
    let direction = [0.6, 0.8]
    func scale(_ x: [Double], _ k: Int) -> Double {
      scales[k] * exp(0.9 * (x[0] * direction[0] + x[1] * direction[1]))
    }
    var expected = 1.3
    for k in 0..<2 {
      let (l, m) = (scale(a, k), scale(b, k))
      let sum = l * l + m * m
      expected *= (2 * l * m / sum).squareRoot() * exp(-(a[k] - b[k]) * (a[k] - b[k]) / sum)
    }
    let gibbs = try kernel(.gibbs(rate: 0.9, direction: direction), scales)
    #expect(abs(gibbs(a, b) - expected) < 1e-14 && abs(gibbs(a, b) - gibbs(b, a)) < 1e-15)
    #expect(abs(gibbs(a, a) - 1.3) < 1e-14)
    let still = try kernel(.gibbs(rate: 0, direction: direction), scales)
    #expect(abs(still(a, b) - 1.3 * exp(-0.625)) < 1e-14)
    #expect(throws: PriorError.dimensions(asked: 1, supported: 2...2)) {
      try kernel(.gibbs(rate: 1, direction: [1]), scales)
    }
  }

  @Test(
    "The oracle is calibrated on the drawn tasks",
    arguments: ["rational-quadratic", "gibbs", "linear-regression"])
  func calibration(name: String) throws {
    let generator = TaskGenerator(try Priors.named(name), seed: 2)
    var squares = [Double]()
    for index in 0..<1500 {
      let shape = TaskShape(context: 9, targets: 2, dimensions: 1 + index % 3)
      let task = try generator.task(index, step: 0, shape: shape)
      let law = try #require(task.oracle).density(of: task.targetRows, given: task.contextRows)
      let residual = task.y[10] - law.means[1]
      squares.append(residual * residual / law.variances[1])
      #expect(task.component == name && law.error == 0)
    }
    let mean = Average(squares)
    #expect(abs(mean.mean - 1) < 4 * mean.error)
  }

  @Test(
    "Every prior can be asked for by name, and draws one to three inputs, a series one",
    arguments: Priors.evaluation.map(\.name))
  func names(name: String) throws {
    let prior = try Priors.named(name)
    #expect(prior.name == name)
    for d in prior.dimensions.clamped(to: 1...3) {
      let task = try TaskGenerator(prior, seed: 9).task(
        d, step: 0, shape: .init(context: 12, targets: 5, dimensions: d))
      #expect(task.x.count == 17 * d && task.y.allSatisfy(\.isFinite))
      if name.hasPrefix("functions/") { #expect("functions/" + task.component == name) }
      #expect((task.oracle == nil) == (name == "functions/sawtooth" && d > 1 || name == "series"))
    }
  }

  /// The posterior of the weights, equations 2.7 to 2.9 of Rasmussen and Williams, in the form that inverts a matrix of
  /// the weights and none of the rows.
  @Test("The oracle of linear regression is the Bayesian one, in eight inputs")
  func regression() throws {
    let d = 8
    let task = try TaskGenerator(LinearRegressionPrior(), seed: 5).task(
      0, step: 0, shape: .init(context: 20, targets: 3, dimensions: d))
    let oracle = try #require(task.oracle as? GaussianOracle)
    let noise = oracle.noise[0]
    let law = try oracle.density(of: task.targetRows, given: task.contextRows)
    let k = d + 1
    func features(_ row: Int) -> [Double] { [1] + task.x[row * d..<(row + 1) * d] }
    var precision = [Double](repeating: 0, count: k * k)
    for i in 0..<k { precision[i * k + i] = i == 0 ? 4 : Double(d) }
    var right = [Double](repeating: 0, count: k)
    for row in task.contextRows {
      let f = features(row)
      for i in 0..<k {
        right[i] += f[i] * task.y[row] / noise
        for j in 0..<k { precision[i * k + j] += f[i] * f[j] / noise }
      }
    }
    let factor = try CholeskyFactor(lower: precision, count: k)
    let weights = try factor.solve(right)
    for (place, row) in task.targetRows.enumerated() {
      let f = features(row)
      let mean = zip(f, weights).reduce(0) { $0 + $1.0 * $1.1 }
      let variance = noise + zip(f, try factor.solve(f)).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(law.means[place] - mean) < 1e-8)
      #expect(abs(law.variances[place] - variance) < 1e-8)
    }
  }
}

@Suite("Student-t noise")
struct StudentOracleTests {
  static let kernel = try? Kernel([.init(.matern32, variance: 1.1, scales: [0.8])])
  static let x = [-0.3, 0.1, 0.2, 0.5]
  static let y = [0.4, -2.0, 0.7, 0.9]

  /// log density of the given rows by sums over all their λ, on a grid of its own.
  private func reference(_ rows: [Int], degrees: Double, noise: Double) throws -> Double {
    let kernel = try #require(Self.kernel)
    let n = rows.count
    let places = Array(stride(from: -9.0, through: 3.5, by: 0.25))
    let shape = degrees / 2
    let logs = places.map { shape * log(shape) - lgamma(shape) + shape * $0 - shape * exp($0) + log(0.25) }
    let matrix = kernel.matrix(rows.map { Self.x[$0] }, count: n, noise: StudentOracle.nugget)
    let values = rows.map { Self.y[$0] }
    var total = 0.0
    func sum(_ row: Int, _ matrix: [Double], _ weight: Double) throws {
      guard row < n else {
        total += exp(weight + (try CholeskyFactor(lower: matrix, count: n).logDensity(values)))
        return
      }
      for (place, log) in zip(places, logs) {
        var next = matrix
        next[row * n + row] += noise * exp(-place)
        try sum(row + 1, next, weight + log)
      }
    }
    try sum(0, matrix, 0)
    return log(total)
  }

  @Test("Densities are those of a sum over all scales, within the stated error")
  func quadrature() throws {
    let kernel = try #require(Self.kernel)
    let oracle = try StudentOracle(
      kernel: kernel, noise: .init(degrees: 3, variance: 0.2), x: Self.x, y: Self.y, seed: 3, particles: 4000)
    func reference(_ rows: [Int]) throws -> Double { try self.reference(rows, degrees: 3, noise: 0.2) }
    // No context: nothing but the particles' own λ is drawn.
    let alone = try oracle.density(of: [1], given: [])
    #expect(abs(alone.joint - (try reference([1]))) < 1e-6 && abs(alone.joint - alone.independent) < 1e-9)
    // An outlier in the context, and one among the targets.
    for (targets, context) in [([0, 2], [1]), ([1, 3], [0]), ([2], [0, 1])] {
      let law = try oracle.density(of: targets, given: context)
      let expected = try reference(context + targets) - reference(context)
      #expect(law.error > 0 && law.error < 0.03)
      #expect(abs(law.joint - expected) < 4 * law.error + 1e-3, "\(law.joint) \(expected) \(law.error)")
      let first = try reference(context + [targets[0]]) - reference(context)
      #expect(abs(law.marginal[0] - first) < 0.03, "\(law.marginal[0]) \(first)")
      #expect(abs(law.sequential[0] - first) < 0.03)
    }
  }

  @Test("With many degrees of freedom the noise is Gaussian")
  func gaussian() throws {
    let kernel = try #require(Self.kernel)
    let student = try StudentOracle(
      kernel: kernel, noise: .init(degrees: 2000, variance: 0.2), x: Self.x, y: Self.y, seed: 1)
    let plain = try GaussianOracle(kernel: kernel, noise: 0.2 + StudentOracle.nugget, x: Self.x, y: Self.y)
    let (one, other) = (
      try student.density(of: [2, 3], given: [0, 1]), try plain.density(of: [2, 3], given: [0, 1])
    )
    #expect(abs(one.joint - other.joint) < 0.02 && abs(one.independent - other.independent) < 0.02)
    for k in 0..<2 {
      #expect(abs(one.means[k] - other.means[k]) < 0.02)
      #expect(abs(one.variances[k] / other.variances[k] - 1) < 0.02)
    }
  }

  @Test("The oracle beats the Gaussian one of equal variance on its own tasks, and repeats itself")
  func tasks() throws {
    let generator = TaskGenerator(OutsidePrior(.student), seed: 4)
    var gains = [Double]()
    for index in 0..<300 {
      let task = try generator.task(index, step: 0, shape: .init(context: 16, targets: 8))
      let oracle = try #require(task.oracle as? StudentOracle)
      let degrees = Double(oracle.noise.degrees)
      #expect((3...6).contains(oracle.noise.degrees))
      let gaussian = try GaussianOracle(
        kernel: oracle.kernel, noise: oracle.noise.variance * degrees / (degrees - 2), x: task.x, y: task.y)
      let law = try oracle.density(of: task.targetRows, given: task.contextRows)
      gains.append(law.joint - (try gaussian.density(of: task.targetRows, given: task.contextRows).joint))
      if index == 0 {
        #expect(law == (try oracle.density(of: task.targetRows, given: task.contextRows)))
      }
    }
    let gain = Average(gains)
    #expect(gain.mean > 3 * gain.error, "\(gain)")
  }

  @Test("Bad questions are refused")
  func refusals() throws {
    let kernel = try #require(Self.kernel)
    let oracle = try StudentOracle(
      kernel: kernel, noise: .init(degrees: 4, variance: 0.1), x: Self.x, y: Self.y, seed: 0)
    #expect(throws: OracleError.row(4, rows: 4)) { try oracle.density(of: [4], given: [0]) }
    #expect(throws: OracleError.repeated(1)) { try oracle.density(of: [1], given: [1]) }
    #expect(throws: OracleError.values(expected: 4, found: 3)) {
      try StudentOracle(
        kernel: kernel, noise: .init(degrees: 4, variance: 0.1), x: Self.x, y: [1, 2, 3], seed: 0)
    }
  }
}
