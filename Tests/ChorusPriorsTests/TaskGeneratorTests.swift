import ChorusData
import ChorusPriors
import ChorusTensors
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
  @Test("A task depends on seed, step and index only", arguments: Priors.names)
  func purity(name: String) throws {
    let prior = try Priors.named(name)
    let shape = TaskShape(context: 6, buffer: 2, targets: 4)
    let generator = TaskGenerator(prior, seed: 42)
    let batch = try generator.batch(5, step: 3, shape: shape)
    #expect(batch == (try TaskGenerator(prior, seed: 42).batch(5, step: 3, shape: shape)))
    // Any order, any batch size, packed by hand.
    var other = try TaskGenerator.empty(5, shape)
    for index in [4, 2, 0, 1, 3] { try generator.fill(index, step: 3, into: &other) }
    #expect(other == batch)
    let smaller = try generator.batch(2, step: 3, shape: shape)
    #expect(Array(batch.y.prefix(2 * 12)) == smaller.y)
    #expect(batch.x != (try generator.batch(5, step: 4, shape: shape).x))
    #expect(batch.x != (try TaskGenerator(prior, seed: 43).batch(5, step: 3, shape: shape).x))
    #expect(
      batch.x != (try TaskGenerator(prior, seed: 42, domain: .evaluation).batch(5, step: 3, shape: shape).x))
    #expect(Set(batch.y).count == batch.y.count)
  }

  @Test("Tasks in units of their context are standardised by it")
  func units() throws {
    let shape = TaskShape(context: 30, buffer: 2, targets: 8, dimensions: 2)
    let batch = try TaskGenerator(FunctionsPrior(), seed: 1, units: .context).batch(6, step: 0, shape: shape)
    for task in 0..<6 {
      let y = batch.y[(task * 40)..<(task * 40 + 30)]
      #expect(abs(y.reduce(0, +)) < 1e-3)
      #expect(abs(y.map { $0 * $0 }.reduce(0, +) / 30 - 1) < 1e-3)
    }
    let short = try TaskGenerator(GPPrior.gp, seed: 1, units: .context).batch(
      1, step: 0, shape: .init(context: 1, targets: 3))
    #expect(
      short
        == (try TaskGenerator(GPPrior.gp, seed: 1).batch(1, step: 0, shape: .init(context: 1, targets: 3))))
  }

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
    #expect(Priors.names == ["gp", "gp-noisy", "sawtooth", "functions"])
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
}
