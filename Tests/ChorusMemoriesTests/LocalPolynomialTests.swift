import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Local polynomial fits of order 0, 1 and 2 in one form (spec 2.4), as a reference: with monomials φ of degree 1...p of
/// k − q, the intercept is v̄ − C_vφ (C_φφ + ε·I)⁻¹ φ̄. Order 0 is softmax, order 1 the library's local linear memory; order
/// 2 costs the fourth power of the width a row and stays here.
@Suite struct LocalPolynomialTests {
  private static let width = 4
  private static let sizes = AttentionSizes(heads: 1, width: width)

  private static func monomials(_ d: [Double], _ order: Int) -> [Double] {
    guard order > 0 else { return [] }
    guard order > 1 else { return d }
    return d + d.indices.flatMap { i in (i..<d.count).map { d[i] * d[$0] } }
  }

  private static func weights(_ q: [Double], _ keys: [[Double]]) -> [Double] {
    let scores = keys.map { key in zip(q, key).reduce(0) { $0 + $1.0 * $1.1 } / Double(width).squareRoot() }
    let top = scores.max() ?? 0
    let powers = scores.map { exp($0 - top) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
  }

  /// In the additive form.
  private static func intercept(
    _ q: [Double], _ keys: [[Double]], _ values: [Double], order: Int, ridge: Double
  ) throws -> Double {
    let p = weights(q, keys)
    let phi = keys.map { key in monomials(zip(key, q).map { $0 - $1 }, order) }
    let m = phi[0].count
    let mean = (0..<m).map { i in zip(p, phi).reduce(0) { $0 + $1.0 * $1.1[i] } }
    let level = zip(p, values).reduce(0) { $0 + $1.0 * $1.1 }
    guard m > 0 else { return level }
    var (c, b) = ([Double](repeating: 0, count: m * m), [Double](repeating: 0, count: m))
    for (weight, (row, value)) in zip(p, zip(phi, values)) {
      for i in 0..<m {
        b[i] += weight * (row[i] - mean[i]) * (value - level)
        for j in 0..<m { c[i * m + j] += weight * (row[i] - mean[i]) * (row[j] - mean[j]) }
      }
    }
    for i in 0..<m { c[i * m + i] += ridge }
    let slope = try CholeskyFactor(lower: c, count: m).solve(b)
    return level - zip(slope, mean).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// By brute force: the whole weighted least-squares problem with an intercept that is not penalised.
  private static func fitted(
    _ q: [Double], _ keys: [[Double]], _ values: [Double], order: Int, ridge: Double
  ) throws -> Double {
    let p = weights(q, keys)
    let rows = keys.map { key in [1] + monomials(zip(key, q).map { $0 - $1 }, order) }
    let m = rows[0].count
    var (a, b) = ([Double](repeating: 0, count: m * m), [Double](repeating: 0, count: m))
    for (weight, (row, value)) in zip(p, zip(rows, values)) {
      for i in 0..<m {
        b[i] += weight * row[i] * value
        for j in 0..<m { a[i * m + j] += weight * row[i] * row[j] }
      }
    }
    for i in 1..<max(m, 1) { a[i * m + i] += ridge }
    return try CholeskyFactor(lower: a, count: m).solve(b)[0]
  }

  private static func data(_ rows: Int) -> (keys: [[Double]], queries: [[Double]], stream: RandomStream) {
    var stream = RandomStream(seed: 61, 1)
    let keys = (0..<rows).map { _ in stream.normals(width) }
    return (keys, (0..<5).map { _ in stream.normals(width) }, stream)
  }

  @Test(arguments: [0, 1, 2]) func theAdditiveFormIsTheWeightedFit(order: Int) throws {
    var (keys, queries, stream) = Self.data(40)
    let values = keys.map { _ in stream.normal() }
    for q in queries {
      let one = try Self.intercept(q, keys, values, order: order, ridge: 0.05)
      let other = try Self.fitted(q, keys, values, order: order, ridge: 0.05)
      #expect(abs(one - other) < 1e-10)
    }
  }

  /// A fit of order p repeats polynomials of degree p, and one of order 1 does not repeat those of degree 2.
  @Test func anOrderRepeatsItsPolynomials() throws {
    let (keys, queries, _) = Self.data(60)
    func quadratic(_ x: [Double]) -> Double { 1 + 2 * x[0] - x[1] + 0.5 * x[0] * x[2] - x[3] * x[3] }
    for q in queries {
      let values = keys.map(quadratic)
      #expect(abs(try Self.intercept(q, keys, values, order: 2, ridge: 1e-10) - quadratic(q)) < 1e-6)
      #expect(abs(try Self.intercept(q, keys, values, order: 1, ridge: 1e-10) - quadratic(q)) > 1e-3)
    }
  }

  @Test func orderOneIsTheLibrarysMemory() throws {
    var (keys, queries, stream) = Self.data(40)
    let values = keys.map { _ in stream.normals(Self.width) }
    let spec = MemorySpec(
      weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 12))
    let compiled = try CompiledMemory(LayerMemory(spec), Self.sizes)
    var table = ParameterTable()
    let handle = table.declare("ridge", 1, 1)
    let weights = Weights(table)
    weights[handle][0] = -1
    let memory = compiled.memory(weights, [handle])
    let stored = zip(keys, values).flatMap { ($0 + $1).map { Float($0) } }
    let (scratch, draft) = (Arena(), memory.anyDraft(rows: keys.count))
    memory.write(stored, rows: 0..<keys.count, toAny: draft, scratch: scratch)
    let asked = queries.flatMap { $0.map { Float($0) } }
    var got = [Float](repeating: 0, count: asked.count)
    memory.read(
      asked, rows: queries.count, anyContext: memory.finish(any: draft), into: &got, scratch: scratch)
    let ridge = log(1 + exp(-1.0)) + LocalLinearMemory.floor
    for (row, q) in queries.enumerated() {
      for j in 0..<Self.width {
        let wanted = try Self.intercept(q, keys, values.map { $0[j] }, order: 1, ridge: ridge)
        #expect(abs(Double(got[row * Self.width + j]) - wanted) < 2e-5)
      }
    }
  }
}
