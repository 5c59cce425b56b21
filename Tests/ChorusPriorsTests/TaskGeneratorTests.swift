import ChorusData
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

/// A stand-in for tasks read from a file: draws pick a stored task and a random split of its rows.
private struct StoredPrior: Prior {
  let name = "stored"
  let dimensions = 1...1
  let stored: [Dataset]

  func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    let data = stored[stream.below(stored.count)]
    guard shape.rows <= data.count else { throw .rows(asked: shape.rows, limit: data.count) }
    let part = data.rows(stream.sample(shape.rows, of: data.count))
    return PriorTask(shape: shape, x: part.x, y: part.y, component: name)
  }
}

@Suite("Task generators")
struct TaskGeneratorTests {
  @Test("A prior over stored tasks fits the protocol")
  func stored() throws {
    let data = try Dataset(x: [0, 1, 2, 3, 4], y: [10, 11, 12, 13, 14])
    let generator = TaskGenerator(StoredPrior(stored: [data]), seed: 1)
    let task = try generator.task(0, step: 0, shape: .init(context: 2, buffer: 1, targets: 2))
    #expect(task.y.sorted() == [10, 11, 12, 13, 14])
    #expect(zip(task.x, task.y).allSatisfy { $0 + 10 == $1 })
    #expect(try task.dataset(task.contextRows).y == Array(task.y.prefix(2)))
    #expect(throws: PriorError.rows(asked: 6, limit: 5)) {
      try generator.task(0, step: 0, shape: .init(context: 4, targets: 2))
    }
  }

  @Test("Names and sizes that cannot be served are refused with what can")
  func refusals() {
    #expect(
      Priors.names == [
        "gp", "gp-noisy", "sawtooth", "functions", "observations", "tables", "classes", "causal",
        "causal-wide", "recall", "recall-random",
      ])
    let known = Priors.names + Priors.evaluation.map(\.name)
    #expect(Set(known).count == known.count && known.contains("functions/matern32"))
    #expect(throws: PriorError.unknown(name: "gpp", known: known)) { try Priors.named("gpp") }
    let generator = TaskGenerator(GPPrior.gp, seed: 1)
    #expect(throws: PriorError.dimensions(asked: 4, supported: 1...3)) {
      try generator.task(0, step: 0, shape: .init(context: 1, targets: 1, dimensions: 4))
    }
    #expect(throws: PriorError.rows(asked: -1, limit: 8192)) {
      try generator.task(0, step: 0, shape: .init(context: -1, targets: 1))
    }
  }

  @Test("gp-small is gp in other units")
  func units() throws {
    let shape = TaskShape(context: 5, targets: 4)
    let task = try TaskGenerator(GPPrior.gp, seed: 3).task(1, step: 2, shape: shape)
    let small = try TaskGenerator(GPPrior.small, seed: 3).task(1, step: 2, shape: shape)
    for (a, b) in zip(task.x, small.x) { #expect(abs(0.5 * a - b) < 1e-12) }
    for (a, b) in zip(task.y, small.y) { #expect(abs(0.6 * a - b) < 1e-6) }
    let (law, smallLaw) = (try #require(try task.exactLaw()), try #require(try small.exactLaw()))
    #expect(abs(law.joint - smallLaw.joint - 4 * log(0.6)) < 1e-5)
  }
}
