import ChorusData
import ChorusHints
import ChorusLayers
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTraining

@Suite struct TrainerTests {
  private static func trainer(
    threads: Int = 1, prior: LinePrior = LinePrior(),
    _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> Trainer {
    try Trainer(tinyConfiguration(change), prior: prior, on: ThreadPool(threads: threads))
  }

  /// Rounded products move a step's loss and gradient a little; the numbers of threads do not.
  @Test func roundedProductsTrainAlmostTheSame() throws {
    func steps(_ precision: Precision, threads: Int) throws -> (losses: [Double], weights: [Float]) {
      let trainer = try Trainer(
        tinyConfiguration { $0.precision = precision }, prior: LinePrior(), on: ThreadPool(threads: threads))
      let losses = try (0..<4).map { _ in try trainer.advance().loss.mean }
      return (losses, trainer.weights.values.array)
    }
    let (whole, rounded) = (try steps(.f32, threads: 1), try steps(.bf16, threads: 1))
    #expect(try steps(.bf16, threads: 2).weights == rounded.weights)
    #expect(whole.weights != rounded.weights)
    #expect(zip(whole.losses, rounded.losses).allSatisfy { abs($0 - $1) < 0.02 })
    #expect(zip(whole.weights, rounded.weights).allSatisfy { abs($0 - $1) < 0.05 })
  }

  /// More shards than tasks, as many, and more tasks than shards.
  @Test(arguments: [5, 8, 19])
  func theNumberOfThreadsDoesNotChangeABit(batch: Int) throws {
    func run(_ threads: Int) throws -> (state: [[UInt32]], losses: [LossSums], validation: LossSums) {
      let trainer = try Self.trainer(threads: threads) { $0.batch = batch }
      let losses = try (0..<5).map { _ in try trainer.advance().loss }
      #expect(trainer.step == 5 && trainer.tasksSeen == 5 * batch)
      return (trainer.state, losses, try trainer.validate())
    }
    let one = try run(1)
    for threads in [2, 3] {
      let other = try run(threads)
      #expect(other.state == one.state)
      #expect(other.losses == one.losses)
      #expect(other.validation == one.validation)
    }
  }

  @Test func stepsOfSeveralCallersFollowEachOther() throws {
    let alone = try Self.trainer(threads: 2)
    for _ in 0..<12 { _ = try alone.advance() }
    let shared = try Self.trainer(threads: 2)
    let steps = Lock<[Int]>([])
    DispatchQueue.concurrentPerform(iterations: 4) { caller in
      for turn in 0..<3 {
        guard let report = try? shared.advance() else { continue }
        steps.withLock { $0.append(report.step) }
        // Reading beside the others' steps changes nothing either.
        if turn == caller % 3 { _ = try? (shared.validate(), shared.model(card: [:])) }
      }
    }
    #expect(steps.withLock { $0.sorted() } == Array(1...12))
    #expect(shared.state == alone.state)
  }

  @Test func theSeedDecides() throws {
    func state(_ seed: UInt64) throws -> [[UInt32]] {
      let trainer = try Self.trainer { $0.seed = seed }
      _ = try trainer.advance()
      return trainer.state
    }
    #expect(try state(1) == state(1))
    #expect(try state(1) != state(2))
  }

  @Test func theLossComesDown() throws {
    let trainer = try Self.trainer(threads: 2) {
      $0.steps = 300
      $0.batch = 8
      $0.rate = 1e-2
      $0.average = 0.95
      $0.validationTasks = 64
    }
    let before = try trainer.validate()
    for _ in 0..<300 { _ = try trainer.advance() }
    let after = try trainer.validate()
    // Lines known from one to eight noisy points: most of a nat is there to be gained.
    #expect(after.mean < before.mean - 0.5, "\(before.mean) to \(after.mean)")
    #expect(after.tasks == 64)
    #expect(after.meanBuffered < after.meanFree, "buffer rows tell something")
  }

  /// A head that predicts in the unit of a spline is judged in the network's.
  @Test func lossesAreInTheUnitsOfTheNetwork() throws {
    let trainer = try Self.trainer {
      $0.blueprint.hints = Hints(rows: [LocalSplines(neighbours: 4)])
      $0.blueprint.head = .mixture(components: 3, around: 2)
      $0.validationTasks = 3
    }
    let network = try #require(trainer.network as? SetNetwork<MixtureHead>)
    let told = try trainer.validate()
    var sums = LossSums()
    for index in 0..<3 {
      var stream = RandomStream(seed: trainer.configuration.seed, .evaluation, UInt64(index))
      let shape = trainer.shape(from: &stream)
      let batch = try Objective.buffered.batch(trainer.validation, index: index, step: 0, shape, &stream)
      let prefixes = Objective.buffered.prefixes(targets: shape.targets, buffer: shape.buffer, from: &stream)
      let tape = Tape(trainer.averagedWeights)
      let prediction = network.layers.record(batch, tasks: 0..<1, prefixes: prefixes, on: tape)
      let units = try #require(prediction.units)
      let raw = tape.values(prediction.raw)
      let count = network.layers.head.components
      let densities = units.enumerated().map { target, unit in
        let row = (0..<3 * count).map { Double(raw[target * 3 * count + $0]) }
        let total = (0..<count).reduce(0) { $0 + exp(row[$1]) }
        let y = Double(batch.y[batch.targetRows.lowerBound + target])
        let terms = (0..<count).map { c in
          let own = c < 2 ? unit : Scaling.Unit(origin: 0, scale: 1)
          let deviation = own.scale * (log(1 + exp(row[2 * count + c])) + 1e-3)
          let z = (y - own.raw(row[count + c])) / deviation
          return row[c] - log(total) - z * z / 2 - log(deviation) - log(2 * Double.pi) / 2
        }
        let top = terms.max() ?? 0
        return Float(top + log(terms.reduce(0) { $0 + exp($1 - top) }))
      }
      sums.add(logDensities: densities, prefixes: prefixes)
    }
    #expect(abs(told.meanFree - sums.meanFree) < 1e-4 * max(1, abs(sums.meanFree)))
    #expect(abs(told.meanBuffered - sums.meanBuffered) < 1e-4 * max(1, abs(sums.meanBuffered)))
  }

  @Test func splinesAreWhereTheLossBegins() throws {
    func loss(_ neighbours: Int) throws -> Double {
      let trainer = try Self.trainer {
        $0.blueprint.hints = Hints(rows: neighbours > 0 ? [LocalSplines(neighbours: neighbours)] : [])
        $0.blueprint.head = .mixture(components: 8, around: neighbours)
        $0.context = [6, 8]
        $0.validationTasks = 32
      }
      return try trainer.validate().mean
    }
    #expect(try loss(8) < loss(0) - 1)
  }

  /// Validation looks and leaves no trace.
  @Test func validationChangesNothing() throws {
    let (plain, watched) = (try Self.trainer(), try Self.trainer())
    for _ in 0..<3 {
      _ = try plain.advance()
      let first = try watched.validate()
      #expect(try watched.validate() == first)
      _ = try watched.advance()
    }
    #expect(plain.state == watched.state)
  }

  /// The first step of AdamW in float64: with corrections, each value moves by rate·g/(|g| + ε), and matrices decay.
  @Test func theFirstStepIsAdamW() throws {
    let trainer = try Self.trainer {
      $0.clip = 1e9
      $0.epsilon = 1e-8
      $0.decay = 0.1
    }
    let before = trainer.weights.values.array
    let report = try trainer.advance()
    let rate = Float(trainer.configuration.rate(at: 0))
    var norm = 0.0
    for p in trainer.weights.table.all {
      for i in p.offset..<p.offset + p.count {
        // first = (1 - β1) g after one step.
        let gradient = trainer.optimiser.first.pointer[i] / Float(1 - trainer.configuration.beta1)
        norm += Double(gradient * gradient)
        let moved = trainer.weights.values.pointer[i] - before[i]
        let decay = p.isWeight ? rate * 0.1 * before[i] : 0
        let step = abs(gradient) > 1e-5 ? rate * (gradient < 0 ? 1 : -1) : 0
        guard gradient == 0 || abs(gradient) > 1e-5 else { continue }
        #expect(abs(moved - (step - decay)) < 2e-3 * rate + 2e-7, "\(p.path)")
      }
    }
    #expect(abs(norm.squareRoot() - report.gradientNorm) < 1e-4 * report.gradientNorm)
    #expect(trainer.step == report.step)
  }

  @Test func clippingShortensTheGradient() throws {
    func first(_ clip: Double) throws -> (moments: [Float], norm: Double) {
      let trainer = try Self.trainer { $0.clip = clip }
      let report = try trainer.advance()
      return (trainer.optimiser.first.array, report.gradientNorm)
    }
    let (free, clipped) = (try first(1e9), try first(1e-3))
    #expect(free.norm == clipped.norm && free.norm > 1e-3)
    let scale = Float(1e-3 / free.norm)
    #expect(zip(free.moments, clipped.moments).allSatisfy { abs($0 * scale - $1) <= 1e-5 * abs($1) + 1e-12 })
  }

  @Test(arguments: [Double.nan, .infinity, 1e30])
  func aLossThatIsNoNumberEndsTheRun(poison: Double) throws {
    let trainer = try Self.trainer(prior: LinePrior(poison: poison))
    let before = trainer.state
    #expect(throws: TrainingError.diverged(step: 0)) { _ = try trainer.advance() }
    #expect(trainer.step == 0)
    #expect(trainer.state == before, "weights of before the step")
  }

  /// A step that failed is as if it had not been tried: what other shards had added up is gone.
  @Test func aStepThatFailedLeavesNothingBehind() throws {
    let configuration = tinyConfiguration { $0.batch = 16 }
    let failing = try Trainer(configuration, prior: LinePrior(fails: true), on: ThreadPool(threads: 2))
    #expect(throws: (any Error).self) { for _ in 0..<20 { _ = try failing.advance() } }
    #expect(failing.optimiser.shards.allSatisfy { $0.array.allSatisfy { $0 == 0 } })
  }

  private static func classes(_ change: (inout TrainingConfiguration) -> Void = { _ in }) throws
    -> TrainingConfiguration
  {
    var configuration = try TrainingConfiguration.preset("classes")
    (configuration.blueprint.width, configuration.blueprint.heads, configuration.blueprint.layers) = (
      32, 2, 1
    )
    (configuration.blueprint.feedForward, configuration.blueprint.embedderHidden) = (16, 16)
    configuration.blueprint.headHidden = 16
    (configuration.batch, configuration.steps, configuration.validationTasks) = (2, 4, 4)
    (configuration.context, configuration.buffers, configuration.targets) = ([8, 12], [4], 6)
    configuration.dimensions = [2]
    change(&configuration)
    return configuration
  }

  @Test func aNetworkOfClassesIsTrainedAndBeginsWithOneOfTables() throws {
    let configuration = try Self.classes()
    let trainer = try Trainer(configuration, prior: TablesPrior.classes, on: ThreadPool(threads: 1))
    let before = trainer.weights.values.array
    var tables = try TrainingConfiguration.preset("tables").blueprint
    (tables.width, tables.heads) = (32, 2)
    // Of which the first layer is taken.
    (tables.layers, tables.feedForward, tables.embedderHidden, tables.headHidden) = (2, 16, 16, 16)
    let declared = try Declaration(tables)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 9)
    try trainer.begin(from: Model(network: declared.network(weights)))
    for p in trainer.weights.table.all {
      let own = (0..<p.count).map { trainer.weights[p][$0] }
      let drawn = Array(before[p.offset..<p.offset + p.count])
      if p.path.hasPrefix("head.") {
        #expect(own == drawn, "\(p.path)")
      } else if let from = declared.table[p.path], from.rows == p.rows {
        #expect(own == (0..<p.count).map { weights[from][$0] }, "\(p.path)")
      } else {
        // What is told beside what tables are told of is judged anew.
        #expect(own != drawn && own.suffix(p.columns).elementsEqual(drawn.suffix(p.columns)), "\(p.path)")
      }
    }
    let first = try trainer.validate().mean
    #expect(first.isFinite && first > 0)
    for _ in 0..<configuration.steps {
      let norm = try trainer.advance().gradientNorm
      #expect(norm > 0)
    }
    let last = try trainer.validate().mean
    #expect(last != first)
    // Other sizes are still refused.
    let other = try Trainer(
      Self.classes { $0.blueprint.headHidden = 12 }, prior: TablesPrior.classes, on: ThreadPool(threads: 1))
    #expect(throws: TrainingError.self) {
      try other.begin(from: Model(network: declared.network(weights)))
    }
  }
}
