import ChorusHints
import ChorusModels
import ChorusPriors
import Testing

@testable import ChorusTraining

@Suite("Task sources")
struct TaskSourceTests {
  /// Tables, whose missing cells equal nothing and whose y repeats, have a test of their own, and so have sequences of tokens.
  @Test(
    "A task depends on seed, step and index only",
    arguments: Priors.all.filter { !$0.isSequence && !["tables", "classes"].contains($0.name) }.map(\.name))
  func purity(name: String) throws {
    let prior = try Priors.named(name)
    let shape = TaskShape(context: 6, buffer: 2, targets: 4, dimensions: prior.dimensions.lowerBound)
    let source = TaskSource(TaskGenerator(prior, seed: 42))
    let batch = try source.batch(5, step: 3, shape: shape)
    #expect(batch == (try TaskSource(TaskGenerator(prior, seed: 42)).batch(5, step: 3, shape: shape)))
    // Any order, any batch size, packed by hand.
    var other = try TaskSource(TaskGenerator(GPPrior.gp, seed: 1)).empty(5, shape)
    for index in [4, 2, 0, 1, 3] {
      try source.store(source.generator.task(index, step: 3, shape: shape), index, into: &other)
    }
    #expect(other == batch)
    let smaller = try source.batch(2, step: 3, shape: shape)
    #expect(Array(batch.y.prefix(2 * 12)) == smaller.y)
    #expect(batch.x != (try source.batch(5, step: 4, shape: shape).x))
    #expect(batch.x != (try TaskSource(TaskGenerator(prior, seed: 43)).batch(5, step: 3, shape: shape).x))
    #expect(
      batch.x
        != (try TaskSource(TaskGenerator(prior, seed: 42, domain: .evaluation)).batch(
          5, step: 3, shape: shape
        ).x))
    #expect(Set(batch.y).count == batch.y.count)
  }

  @Test("Tasks in units of their context are standardised by it")
  func units() throws {
    let standardising = Preparation.Rule(scaling: .standardise)
    let shape = TaskShape(context: 30, buffer: 2, targets: 8, dimensions: 2)
    let batch = try TaskSource(TaskGenerator(FunctionsPrior(), seed: 1), standardising).batch(
      6, step: 0, shape: shape)
    for task in 0..<6 {
      let y = batch.y[(task * 40)..<(task * 40 + 30)]
      #expect(abs(y.reduce(0, +)) < 1e-3)
      #expect(abs(y.map { $0 * $0 }.reduce(0, +) / 30 - 1) < 1e-3)
    }
    let short = try TaskSource(TaskGenerator(GPPrior.gp, seed: 1), standardising).batch(
      1, step: 0, shape: .init(context: 1, targets: 3))
    #expect(
      short
        == (try TaskSource(TaskGenerator(GPPrior.gp, seed: 1)).batch(
          1, step: 0, shape: .init(context: 1, targets: 3))))
  }

  @Test(
    "Networks that read cells get the context's mean in the place of a missing one, in the units that told networks have"
  )
  func missingCells() throws {
    let generator = TaskGenerator(TablesPrior(), seed: 4)
    let shape = TaskShape(context: 20, buffer: 3, targets: 5, dimensions: 6)
    let drawn = try (0..<40).map { try generator.task($0, step: 0, shape: shape) }
    #expect(drawn.contains { $0.x.contains { $0.isNaN } })
    var cells = Blueprint()
    cells.family = .cells
    cells.inputDimensions = 6
    cells.scaling = .standardise
    var told = try TrainingConfiguration.preset("tables").blueprint
    told.trainedContext = 20
    let own = try TaskSource(generator, for: cells).batch(40, step: 0, shape: shape)
    #expect(own.x.allSatisfy { $0.isFinite } && own.y.allSatisfy { $0.isFinite })
    for (index, task) in drawn.enumerated() {
      for place in task.x.indices.prefix(20 * 6) where task.x[place].isNaN {
        #expect(abs(own.x[index * 28 * 6 + place]) < 1e-4)
      }
    }
    let others = try TaskSource(generator, for: told).batch(40, step: 0, shape: shape)
    for task in 0..<40 {
      for row in 20..<28 {
        let (a, b) = (own.y[task * 28 + row], others.y[task * 28 + row])
        #expect(abs(a - b) < 1e-4 * max(1, abs(b)))
      }
    }
  }

  @Test("A task of classes is as wide as it has levels, and its values are numbers of passes")
  func classes() throws {
    let blueprint = try TrainingConfiguration.preset("classes").blueprint
    let generator = TaskGenerator(TablesPrior.classes, seed: 4)
    let source = TaskSource(generator, for: blueprint)
    let shape = TaskShape(context: 24, buffer: 3, targets: 5, dimensions: 3)
    var widths: Set<Int> = []
    for index in 0..<12 {
      let task = try generator.task(index, step: 0, shape: shape)
      let batch = try source.batch(of: task)
      let seen = Set(task.y[task.contextRows]).sorted()
      #expect(batch.dimensions == seen.count * ToldRow.level.width + 1)
      let again = try source.batch(of: task)
      #expect(batch == again && batch.x.allSatisfy { $0.isFinite })
      // The context comes in an order of its own; the others keep theirs.
      let passes = task.y[task.contextRows].map { y in Float(seen.firstIndex(of: y) ?? seen.count) }
      #expect(batch.y[batch.contextRows].sorted() == passes.sorted())
      for row in 24..<32 { #expect(Int(batch.y[row]) == seen.firstIndex(of: task.y[row]) ?? seen.count) }
      widths.insert(batch.dimensions)
    }
    #expect(widths.count > 2)
  }
}
