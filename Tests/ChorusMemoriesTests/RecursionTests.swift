import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Sequence memories whose rows move several times, or whose state is not what their papers write, beside their papers' recursions;
/// and what implicit steps minimise.
@Suite struct RecursionTests {
  private static let sizes = AttentionSizes(heads: 1, width: 8)
  private static let count = 45

  /// A head's rows as key, value and gates, and what a memory reads of all of them, partly from a context.
  private static func read(_ name: String, seed: UInt64) throws -> (
    bench: Bench, rows: [(key: [Double], value: [Double], gates: [Double])], query: [Double], got: [Float]
  ) {
    let bench = try Bench(MemoryRegistry.named(name), sizes: sizes)
    let (stored, asked) = (bench.stored(count, seed: seed), bench.queries(1, seed: seed + 1))
    let got = bench.run(
      context: stored[0..<18], own: stored[18..<count], asked, [Sight(limit: count - 18)])
    let rows = stored.doubles.map { (Array($0[0..<8]), Array($0[8..<16]), Array($0[16...])) }
    return (bench, rows, asked.doubles[0], got)
  }

  private static func unit(_ x: [Double]) -> [Double] {
    let length = x.reduce(1e-6) { $0 + $1 * $1 }.squareRoot()
    return x.map { $0 / length }
  }
  private static func product(_ x: [Double], _ s: [[Double]]) -> [Double] {
    (0..<8).map { j in (0..<8).reduce(0) { $0 + x[$1] * s[$1][j] } }
  }
  private static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  private static let nothing = [[Double]](repeating: [Double](repeating: 0, count: 8), count: 8)

  /// P ← η P − θ k (k·M − v)ᵀ, M ← a M + P.
  @Test func momentum() throws {
    let (bench, rows, query, got) = try Self.read("titans-linear", seed: 110)
    let numbers = bench.numbers.map { $0[0] }
    let a = Self.sigmoid(numbers[1])
    let eta = 0.95 * Self.sigmoid(numbers[2]) * a
    var (m, p) = (Self.nothing, Self.nothing)
    for (key, value, gates) in rows {
      let (k, theta) = (Self.unit(key), Self.sigmoid(gates[0] + numbers[0]))
      let known = Self.product(k, m)
      for i in 0..<8 {
        for j in 0..<8 {
          p[i][j] = eta * p[i][j] - theta * k[i] * (known[j] - value[j])
          m[i][j] = a * m[i][j] + p[i][j]
        }
      }
    }
    #expect(deviation(got, Self.product(Self.unit(query), m)) < 1e-5)
  }

  /// o = q·(S + Diag(u) k vᵀ), then S ← Diag(w) S + k vᵀ.
  @Test func bonus() throws {
    let (bench, rows, query, got) = try Self.read("rwkv-6", seed: 112)
    let (decay, bonus) = (bench.numbers[0], bench.numbers[1])
    var (s, out) = (Self.nothing, [Double]())
    for (k, value, gates) in rows {
      let weighed = Self.product(
        query.indices.map { query[$0] * bonus[$0] * k[$0] }, [[Double]](repeating: value, count: 8))
      out = zip(Self.product(query, s), weighed).map { $0 + $1 }
      for i in 0..<8 {
        for j in 0..<8 { s[i][j] = exp(-exp(gates[i] + decay[i])) * s[i][j] + k[i] * value[j] }
      }
    }
    #expect(deviation(got, out) < 1e-5)
  }

  /// S ← Diag(w) S − (a ⊙ κ̂)(κ̂·S) + k̃ vᵀ.
  @Test func replacement() throws {
    let (bench, rows, query, got) = try Self.read("rwkv-7", seed: 114)
    let n = bench.numbers
    var s = Self.nothing
    for (k, value, gates) in rows {
      let removed = Self.unit((0..<8).map { k[$0] * n[2][$0] })
      let known = Self.product(removed, s)
      for i in 0..<8 {
        let a = Self.sigmoid(gates[8 + i] + n[1][i])
        let w = exp(-exp(-0.5) * Self.sigmoid(gates[i] + n[0][i]))
        for j in 0..<8 {
          s[i][j] = w * s[i][j] - a * removed[i] * known[j] + k[i] * (1 + (a - 1) * n[3][i]) * value[j]
        }
      }
    }
    #expect(deviation(got, Self.product(query, s)) < 1e-5)
  }

  /// P = H⁻¹ handed on by Sherman and Morrison's formula: g = P k/(γ + k·P k), S ← S + g (v − k·S)ᵀ, P ← (P − g (k·P))/γ.
  @Test func recursiveLeastSquares() throws {
    let (bench, rows, query, got) = try Self.read("rls", seed: 116)
    let keep = 1 - exp2(-5.0)
    let ridge = log1p(exp(bench.numbers[0][0]))
    var (s, p) = (Self.nothing, Self.nothing)
    for i in 0..<8 { p[i][i] = 1 / ridge }
    for (key, value, _) in rows {
      let k = Self.unit(key)
      let pk = Self.product(k, p)
      let gain = pk.map { $0 / (keep + zip(k, pk).reduce(0) { $0 + $1.0 * $1.1 }) }
      let known = Self.product(k, s)
      for i in 0..<8 {
        for j in 0..<8 {
          s[i][j] += gain[i] * (value[j] - known[j])
          p[i][j] = (p[i][j] - gain[i] * pk[j]) / keep
        }
      }
    }
    #expect(deviation(got, Self.product(Self.unit(query), s)) < 1e-5)
  }

  /// Where keys are nearly all alike and the ridge has long faded the answer is finite, and what it took is told.
  @Test func aSingularFitIsFiniteAndTellsWhatItTook() throws {
    let bench = try Bench(MemoryRegistry.named("rls"), sizes: Self.sizes)
    var rows = bench.stored(3000, seed: 118)
    for row in 0..<3000 { rows[row] = Array(rows[0][0..<8]) + Array(rows[row][8...]) }
    let state = bench.context(rows)
    #expect(bench.read(bench.queries(4, seed: 119), state).allSatisfy { $0.isFinite })
    #expect(bench.memory.raised(any: state) > 0)
    #expect(bench.memory.raised(any: bench.context(bench.stored(60, seed: 120))) == 0)
  }

  /// Longhorn's state minimises ‖S − S₋‖² + β‖v − k·S‖², so that S − S₋ = β k (v − k·S)ᵀ; read at some queries.
  @Test func anImplicitStepMinimisesItsObjective() throws {
    let sizes = AttentionSizes(heads: 1, width: 8)
    let bench = try Bench(MemoryRegistry.named("longhorn").context, sizes: sizes, set: ["rate": 0.3])
    let (set, row) = (bench.stored(20, seed: 103), bench.stored(1, seed: 104, scale: 3))
    let key = Rows(8, Array(row[0][0..<8]))
    let asked = bench.queries(5, seed: 105)
    let (before, after) = (bench.context(set), bench.context(set + row))
    let known = bench.read(key, after)
    let beta = 1 / (1 + exp(-Double(row[0][16]) - 0.3))
    let wanted = asked.doubles.indices.flatMap { query in
      let similar = zip(asked[query], key[0]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      return (0..<8).map { beta * similar * Double(row[0][8 + $0] - known[$0]) }
    }
    let change = zip(bench.read(asked, after), bench.read(asked, before)).map { $0 - $1 }
    #expect(deviation(change, wanted) < 1e-5)
    #expect(wanted.contains { abs($0) > 0.05 })
  }
}
