import ChorusTensors
import Foundation
import Testing

@testable import ChorusTraining

@Suite struct ObjectiveTests {
  @Test func halfOfTheTargetsSeeNoBuffer() {
    var stream = RandomStream(seed: 1)
    for (targets, buffer) in [(2, 1), (7, 3), (64, 16), (64, 64), (65, 10), (512, 32), (3, 100)] {
      let prefixes = Objective.prefixes(targets: targets, buffer: buffer, from: &stream)
      #expect(prefixes.count == targets)
      #expect(prefixes.filter { $0 == 0 }.count == targets - targets / 2)
      #expect(prefixes.allSatisfy { (0...Int32(buffer)).contains($0) })
    }
    #expect(Objective.prefixes(targets: 6, buffer: 0, from: &stream) == [0, 0, 0, 0, 0, 0])
  }

  /// M/2 a multiple of C: each of 1...C equally often in every draw.
  @Test func strataCoverTheBufferEvenly() {
    var stream = RandomStream(seed: 2)
    for (targets, buffer) in [(64, 16), (64, 32), (512, 32), (8, 1)] {
      for _ in 0..<20 {
        var counts = [Int](repeating: 0, count: buffer + 1)
        for prefix in Objective.prefixes(targets: targets, buffer: buffer, from: &stream) {
          counts[Int(prefix)] += 1
        }
        #expect(counts[1...].allSatisfy { $0 == targets / 2 / buffer })
      }
    }
  }

  /// Otherwise equally often on average: over R draws a count is R·M/2/C give or take its standard deviation, which
  /// is at most that of independent draws.
  @Test func everyPrefixIsEquallyLikely() {
    var stream = RandomStream(seed: 3)
    for (targets, buffer) in [(20, 7), (10, 16), (64, 24)] {
      let rounds = 4000
      var counts = [Double](repeating: 0, count: buffer + 1)
      for _ in 0..<rounds {
        for prefix in Objective.prefixes(targets: targets, buffer: buffer, from: &stream) {
          counts[Int(prefix)] += 1
        }
      }
      let expected = Double(rounds * (targets / 2)) / Double(buffer)
      for count in counts[1...] { #expect(abs(count - expected) < 5 * expected.squareRoot()) }
    }
  }

  @Test func rateWarmsUpAndComesDown() {
    let configuration = tinyConfiguration {
      $0.steps = 1000
      $0.rate = 2e-3
      $0.warmUp = 0.1
    }
    func rate(_ step: Int) -> Double { configuration.rate(at: step) }
    #expect(abs(rate(0) - 2e-5) < 1e-12)
    #expect(abs(rate(49) - 1e-3) < 1e-12)
    #expect(abs(rate(99) - 2e-3) < 1e-12)
    #expect(abs(rate(100) - 2e-3) < 1e-12)
    #expect(abs(rate(550) - 1e-3) < 1e-12)
    #expect(abs(rate(100 + 225) - 2e-3 * 0.5 * (1 + 0.5.squareRoot())) < 1e-12)
    #expect(rate(999) > 0 && rate(999) < 1e-7)
    #expect(abs(rate(1000)) < 1e-12 && abs(rate(5000)) < 1e-12)
    for step in 1..<1000 { #expect(step < 100 ? rate(step) > rate(step - 1) : rate(step) <= rate(step - 1)) }
    for warmUp in [0.0, 1.0] {
      let edge = tinyConfiguration {
        $0.steps = 3
        $0.warmUp = warmUp
      }
      #expect((0...3).allSatisfy { edge.rate(at: $0).isFinite && edge.rate(at: $0) >= 0 })
    }
  }

  @Test func sumsKeepBothHalvesApart() {
    var sums = LossSums()
    #expect(sums.mean == 0 && sums.meanFree == 0 && sums.meanBuffered == 0)
    sums.add(logDensities: [-1, -3, 2, 4], prefixes: [0, 0, 1, 5])
    #expect(sums.meanFree == 2 && sums.meanBuffered == -3 && sums.mean == -0.5 && sums.tasks == 1)
    sums.add(logDensities: [-4, 1], prefixes: [0, 1])
    #expect(sums.meanFree == 3 && sums.meanBuffered == -2 && sums.mean == 0.5)
    var other = LossSums()
    other.add(logDensities: [0, 0], prefixes: [0, 2])
    sums.add(other)
    #expect(sums.tasks == 3 && sums.meanFree == 2)
    #expect(abs(sums.meanBuffered + 4.0 / 3) < 1e-12)
    var poisoned = LossSums()
    poisoned.add(logDensities: [.nan, 1], prefixes: [0, 1])
    #expect(!poisoned.mean.isFinite)
  }
}
