import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("The series prior")
struct SeriesPriorTests {
  private static func task(_ index: Int, context: Int = 40) throws -> PriorTask {
    let generator = TaskGenerator(SeriesPrior(), seed: 4)
    return try generator.task(index, step: 0, shape: TaskShape(context: context, buffer: 8, targets: 16))
  }

  @Test("Rows are finite, of different places and of a series that changes, from two rows to five hundred")
  func rows() throws {
    for (index, context) in [2, 3, 5, 9, 17, 40, 130, 512].flatMap({ size in (0..<25).map { ($0, size) } }) {
      let task = try Self.task(index, context: context)
      #expect(task.x.count == context + 24 && task.y.count == context + 24)
      #expect((task.x + task.y).allSatisfy { $0.isFinite })
      #expect(Set(task.x).count == task.x.count, "a row a place")
      #expect(Set(task.y).count > task.y.count / 2, "\(context): \(index)")
    }
  }

  @Test("Asked are the rows after the last, gaps, and rows among the others, each in many tasks")
  func geometry() throws {
    var (ends, inside) = (0, 0)
    for index in 0..<300 {
      let task = try Self.task(index)
      let context = task.x[task.contextRows]
      let asked = Array(task.x[task.bufferRows]) + task.x[task.targetRows]
      let last = try #require(context.max())
      if asked.contains(where: { $0 > last }) { ends += 1 }
      if asked.contains(where: { $0 < last }) { inside += 1 }
      // Buffer and targets follow one law: neither is later than the other.
      #expect(task.x[task.bufferRows].min() != task.x.min() || task.x[task.targetRows].min() != task.x.min())
    }
    #expect((150...299).contains(ends) && (100...220).contains(inside))
  }

  @Test("A good part of the series repeats, and a good part does not")
  func seasons() throws {
    // How much of the differences a whole lag takes out, against the best of noise.
    var clear = 0
    for index in 0..<200 {
      let task = try Self.task(index, context: 120)
      let order = task.x.indices.sorted { task.x[$0] < task.x[$1] }
      let y = order.map { task.y[$0] }
      let steps = zip(y.dropFirst(), y).map { $0 - $1 }
      let total = steps.reduce(0) { $0 + $1 * $1 }
      let best = (2...40).map { lag -> Double in
        let pairs = zip(steps.dropFirst(lag), steps)
        return pairs.reduce(0) { $0 + $1.0 * $1.1 } / total
      }.max()
      if let best, best > 0.45 { clear += 1 }
    }
    #expect((40...150).contains(clear), "\(clear)")
  }

  @Test("Poisson numbers have their mean and their variance, few and many")
  func counts() {
    var stream = RandomStream(seed: 8)
    for mean in [0.3, 4.0, 29, 31, 400] {
      let drawn = (0..<4000).map { _ in Double(stream.poisson(mean)) }
      let average = drawn.reduce(0, +) / 4000
      let variance = drawn.reduce(0) { $0 + ($1 - average) * ($1 - average) } / 4000
      #expect(abs(average - mean) < 5 * (mean / 4000).squareRoot())
      #expect(abs(variance / mean - 1) < 0.2)
    }
  }

  @Test("Observations are functions or series of one input, and functions of several")
  func mixture() throws {
    let generator = TaskGenerator(ObservationsPrior(), seed: 5)
    var series = 0
    for index in 0..<400 {
      let one = try generator.task(index, step: 0, shape: .init(context: 8, targets: 4))
      if one.component == "series" { series += 1 }
      let two = try generator.task(index, step: 1, shape: .init(context: 8, targets: 4, dimensions: 2))
      #expect(two.component != "series")
    }
    #expect((230...300).contains(series))
  }
}
