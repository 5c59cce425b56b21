import ChorusData
import ChorusHints
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusTraining

@Suite struct ObjectiveTests {
  @Test func halfOfTheTargetsSeeNoBuffer() {
    var stream = RandomStream(seed: 1)
    for (targets, buffer) in [(2, 1), (7, 3), (64, 16), (64, 64), (65, 10), (512, 32), (3, 100)] {
      let prefixes = Objective.buffered.prefixes(targets: targets, buffer: buffer, from: &stream)
      #expect(prefixes.count == targets)
      #expect(prefixes.filter { $0 == 0 }.count == targets - targets / 2)
      #expect(prefixes.allSatisfy { (0...Int32(buffer)).contains($0) })
    }
    #expect(Objective.buffered.prefixes(targets: 6, buffer: 0, from: &stream) == [0, 0, 0, 0, 0, 0])
  }

  /// M/2 a multiple of C: each of 1...C equally often in every draw.
  @Test func strataCoverTheBufferEvenly() {
    var stream = RandomStream(seed: 2)
    for (targets, buffer) in [(64, 16), (64, 32), (512, 32), (8, 1)] {
      for _ in 0..<20 {
        var counts = [Int](repeating: 0, count: buffer + 1)
        for prefix in Objective.buffered.prefixes(targets: targets, buffer: buffer, from: &stream) {
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
        for prefix in Objective.buffered.prefixes(targets: targets, buffer: buffer, from: &stream) {
          counts[Int(prefix)] += 1
        }
      }
      let expected = Double(rounds * (targets / 2)) / Double(buffer)
      for count in counts[1...] { #expect(abs(count - expected) < 5 * expected.squareRoot()) }
    }
  }

  /// Autoregressive: the targets are the buffer, in their order, and each sees those before it.
  @Test func targetsAreTheirOwnBuffer() throws {
    let shape = Objective.autoregressive.shape(TaskShape(context: 5, buffer: 16, targets: 6))
    #expect(shape == TaskShape(context: 5, buffer: 6, targets: 6))
    var stream = RandomStream(seed: 6)
    let source = TaskSource(TaskGenerator(GPPrior.gp, seed: 7))
    let batch = try Objective.autoregressive.batch(source, index: 0, step: 0, shape, &stream)
    #expect(Array(batch.y[5..<11]) == Array(batch.y[11..<17]))
    #expect(Array(batch.x[5..<11]) == Array(batch.x[11..<17]))
    #expect(Set(batch.y).count == 11)
    let prefixes = Objective.autoregressive.prefixes(targets: 6, buffer: 6, from: &stream)
    #expect(prefixes == [0, 1, 2, 3, 4, 5])
    // The tasks are those that the other objective draws without a buffer.
    let plain = try Objective.buffered.batch(
      source, index: 0, step: 0, TaskShape(context: 5, targets: 6), &stream)
    #expect(Array(plain.y) == Array(batch.y[..<11]))
  }

  /// Columns come in random order, and what was fitted along a column is that column's.
  @Test func fitsTravelWithTheirColumns() throws {
    let shape = TaskShape(context: 60, buffer: 2, targets: 3, dimensions: 3)
    let source = TaskSource(
      TaskGenerator(ColumnsPrior(), seed: 4),
      Preparation.Rule(scaling: .standardise, hints: Hints([TrendAndWaves(waves: 2, subtracts: true)])))
    var places: Set<Int> = []
    for index in 0..<40 {
      var stream = RandomStream(seed: 5, UInt64(index))
      let batch = try Objective.buffered.batch(source, index: index, step: 0, shape, &stream)
      // The prior's waves run along its first column alone, and that column's rows alone are evenly spaced.
      let columns = (0..<3).map { column in (0..<60).map { batch.x[$0 * 3 + column] } }
      let even = columns.map { values in
        let sorted = values.sorted()
        let steps = zip(sorted.dropFirst(), sorted).map { $0 - $1 }
        return (steps.max() ?? 0) < 1.01 * (steps.min() ?? 0)
      }
      #expect(even.count { $0 } == 1)
      let place = try #require(even.firstIndex(of: true))
      let periods = try #require(batch.fits[0]?.first(TrendAndWaves.Fit.self)).periods
      #expect(periods.skill > 0.5)
      let evidence = periods.lines.map { $0?.waves.first?.evidence ?? 0 }
      #expect(evidence[place] > 100)
      #expect(evidence.indices.allSatisfy { $0 == place || evidence[$0] < 30 })
      places.insert(place)
    }
    #expect(places.count == 3)
  }

  /// Evenly spaced rows with a wave along the first of three columns, noise along the others.
  private struct ColumnsPrior: Prior {
    let name = "columns"
    let dimensions = 3...3
    func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
      let x = (0..<shape.rows).flatMap { [Double($0) / 30, stream.normal(), stream.normal()] }
      let y = (0..<shape.rows).map { sin(2 * .pi * 3 * x[3 * $0]) + 0.01 * stream.normal() }
      return PriorTask(shape: shape, x: x, y: y, component: name)
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
