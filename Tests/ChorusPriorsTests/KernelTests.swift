import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@Suite("Kernels")
struct KernelTests {
  static func kernel(_ form: Kernel.Term.Form, variance: Double = 1.3, scales: [Double]) throws -> Kernel {
    try Kernel([.init(form, variance: variance, scales: scales)])
  }

  @Test("Values by hand")
  func values() throws {
    let (a, b) = ([0.2, -0.4], [0.9, 0.5])
    let scales = [0.7, 1.8]  // scaled differences 1 and 0.5
    let square = 1.25
    let r = square.squareRoot()
    let cases: [(Kernel.Term.Form, Double)] = [
      (.rbf, exp(-0.5 * square)), (.matern12, exp(-r)),
      (.matern32, (1 + 3.0.squareRoot() * r) * exp(-3.0.squareRoot() * r)),
      (.matern52, (1 + 5.0.squareRoot() * r + 5 * square / 3) * exp(-5.0.squareRoot() * r)),
      (.linear(offset: 2), 2 + 0.2 * 0.9 / 0.49 - 0.4 * 0.5 / 3.24),
    ]
    for (form, expected) in cases {
      let kernel = try Self.kernel(form, scales: scales)
      #expect(abs(kernel(a, b) - 1.3 * expected) < 1e-14)
      #expect(abs(kernel(a, b) - kernel(b, a)) < 1e-15)
    }
    // Along (0.6, 0.8) the points are 0.42 + 0.72 = 1.14 apart: 3.8 turns of period 0.3.
    let wave = Kernel.Term.Form.periodic(period: 0.3, roughness: 0.5, direction: [0.6, 0.8])
    let sine = sin(0.2 * Double.pi)
    let forgetting = try Self.kernel(wave, scales: scales)
    #expect(abs(forgetting(a, b) - 1.3 * exp(-0.5 * square - 2 * sine * sine / 0.25)) < 1e-13)
    let lasting = try Self.kernel(wave, scales: [.infinity, .infinity])
    #expect(abs(lasting(a, b) - 1.3 * exp(-2 * sine * sine / 0.25)) < 1e-13)
    let sum = try Kernel(forgetting.terms + lasting.terms)
    #expect(abs(sum(a, b) - forgetting(a, b) - lasting(a, b)) < 1e-14)
    #expect(sum.description == "periodic + periodic")
  }

  @Test("Terms of different dimensions are refused")
  func refusals() {
    #expect(throws: PriorError.dimensions(asked: 1, supported: 2...2)) {
      try Kernel([.init(.rbf, variance: 1, scales: [1, 1]), .init(.rbf, variance: 1, scales: [1])])
    }
  }

  @Test("Draws have the kernel's covariance at every lag")
  func autocovariance() throws {
    // Many draws at fixed inputs through the same factor and colouring as a task's.
    let x = [0, 0.1, 0.35, 1, 2.2]
    let n = x.count
    let noise = 0.05
    let kernel = try Kernel([
      .init(.matern32, variance: 0.8, scales: [0.5]), .init(.linear(offset: 1), variance: 0.3, scales: [1]),
      .init(.periodic(period: 0.7, roughness: 1, direction: [1]), variance: 0.4, scales: [.infinity]),
    ])
    let matrix = kernel.matrix(x, count: n, noise: noise)
    let factor = try CholeskyFactor(lower: matrix, count: n)
    var stream = RandomStream(seed: 4)
    let draws = 40_000
    var products = [Double](repeating: 0, count: n * n)
    for _ in 0..<draws {
      let y = try factor.colour(stream.normals(n))
      for i in 0..<n { for j in 0...i { products[i * n + j] += y[i] * y[j] } }
    }
    for i in 0..<n {
      for j in 0...i {
        let (c, ci, cj) = (matrix[i * n + j], matrix[i * n + i], matrix[j * n + j])
        let error = ((ci * cj + c * c) / Double(draws)).squareRoot()  // Isserlis
        #expect(abs(products[i * n + j] / Double(draws) - c) < 4.5 * error)
      }
    }
  }
}
