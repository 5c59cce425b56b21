import ChorusTensors
import Testing

@Suite("Random streams")
struct RandomStreamTests {
  @Test("Philox4x32-10 gives the published known answers (Random123, kat_vectors)")
  func knownAnswers() {
    #expect(
      Philox.block(SIMD4(0, 0, 0, 0), key: SIMD2(0, 0))
        == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
    let ones = UInt32.max
    #expect(
      Philox.block(SIMD4(ones, ones, ones, ones), key: SIMD2(ones, ones))
        == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
    #expect(
      Philox.block(
        SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), key: SIMD2(0xA409_3822, 0x299F_31D0))
        == SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
  }

  @Test("A stream depends on its name only, and names are not mixed up")
  func names() {
    var first = RandomStream(seed: 7, .tasks, 3, 12)
    var again = RandomStream(seed: 7).child(1).child(3, 12)
    _ = first.nextUInt32()
    _ = again.nextUInt32()
    var branch = first.child(5)
    var sibling = RandomStream(seed: 7, .tasks, 3, 12, 5)
    #expect(branch.nextUInt64() == sibling.nextUInt64())
    for _ in 0..<9 { #expect(first.nextUInt64() == again.nextUInt64()) }

    var firsts = Set<UInt64>()
    for seed in 0..<4 as Range<UInt64> {
      for a in 0..<30 as Range<UInt64> {
        for path in [[a], [a, 0], [0, a, 1], [a, 1], [a, a, 2]] {
          var stream = RandomStream(seed: seed, path: path)
          firsts.insert(stream.nextUInt64())
        }
      }
    }
    #expect(firsts.count == 4 * 30 * 5)
  }

  @Test("Uniforms and normals have their moments, in a stream and across streams", arguments: [false, true])
  func moments(across: Bool) {
    let count = 200_000
    var stream = RandomStream(seed: 11, 1)
    var (sum, squares, lag, fourth, uniformSum) = (0.0, 0.0, 0.0, 0.0, 0.0)
    var previous = 0.0
    for index in 0..<count {
      if across { stream = RandomStream(seed: 11, 2, UInt64(index)) }
      let z = stream.normal()
      sum += z
      squares += z * z
      fourth += z * z * z * z
      lag += z * previous
      previous = z
      uniformSum += stream.uniform()
    }
    let n = Double(count)
    // Tolerances: 4 standard errors; the variances of z, z², z⁴, z z' and u are 1, 2, 96, 1 and 1/12.
    let error = 4 / n.squareRoot()
    #expect(abs(sum / n) < error)
    #expect(abs(squares / n - 1) < error * 2.0.squareRoot())
    #expect(abs(fourth / n - 3) < error * 96.0.squareRoot())
    #expect(abs(lag / n) < error)
    #expect(abs(uniformSum / n - 0.5) < error / 12.0.squareRoot())
  }

  @Test("The normal quantile is AS 241")
  func quantile() {
    // Python 3, statistics.NormalDist().inv_cdf
    let known: [(Double, Double)] = [
      (0.5, 0), (0.6, 0.2533471031357998), (0.925, 1.439531470938456), (0.97, 1.8807936081512504),
      (1e-5, -4.2648907939228256), (1e-12, -7.034483825301132), (1e-40, -13.310921371425172),
    ]
    for (p, x) in known { #expect(abs(NormalQuantile.value(p) - x) <= 4e-15 * abs(x)) }
    #expect(NormalQuantile.value(0) == -.infinity)
    #expect(NormalQuantile.value(1) == .infinity)
    #expect(NormalQuantile.value(-0.1).isNaN)
    #expect(NormalQuantile.value(.nan).isNaN)
  }

  @Test("Integers, permutations and weighted choices are uniform")
  func choices() {
    var stream = RandomStream(seed: 3)
    var counts = [Int](repeating: 0, count: 7)
    var firsts = [Int](repeating: 0, count: 5)
    var picks = [Int](repeating: 0, count: 4)
    let count = 70_000
    for _ in 0..<count {
      counts[stream.below(7)] += 1
      let order = stream.permutation(5)
      firsts[order[0]] += 1
      if order.sorted() != Array(0..<5) { Issue.record("not a permutation: \(order)") }
      picks[stream.choice(weights: [1, 0, 2, -3])] += 1
    }
    func near(_ found: Int, _ p: Double) -> Bool {
      abs(Double(found) - Double(count) * p) < 4.5 * (Double(count) * p * (1 - p)).squareRoot()
    }
    for found in counts { #expect(near(found, 1 / 7)) }
    for found in firsts { #expect(near(found, 1 / 5)) }
    #expect(near(picks[0], 1 / 3))
    #expect(picks[1] == 0 && picks[3] == 0)
    #expect(stream.below(0) == 0 && stream.below(1) == 0 && stream.below(-4) == 0)
    #expect(Set(stream.sample(3, of: 4)).count == 3)
    #expect(stream.sample(9, of: 4).count == 4)
    for _ in 0..<1000 { #expect((0.0..<1).contains(stream.uniform())) }
  }
}
