import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPriors
import ChorusTensors

/// How well a network of sequences foretells what is asked of tasks, each value from all before it.
public struct SequenceScores: Sendable {
  /// Log-density of what is asked, in nats a value: a mean a task.
  public let logDensity: OracleComparison.Estimate
  /// The share of asked values that were the likeliest; nil where values are numbers.
  public let accuracy: OracleComparison.Estimate?
  /// Squared error of the mean; nil where values are levels.
  public let squaredError: OracleComparison.Estimate?
  public let tasks: Int

  /// - Throws: `PriorError`; `ModelError.input` for a network of another family.
  public init(
    _ model: Model, _ generator: TaskGenerator, _ shape: TaskShape, tasks: Int, on pool: ThreadPool
  ) throws {
    guard model.blueprint.family == .sequence else {
      throw ModelError.input(
        "\(model.source) is of the family '\(model.blueprint.family.rawValue)'; name a sequence model")
    }
    let network = model.network
    let scored: [Task] = try pool.map(tasks) { index in
      let task = try generator.task(index, step: 0, shape: shape)
      return Task(Self.laws(network, task))
    }
    self.init(scored)
  }

  /// How well somebody does who knows the law that tasks are drawn from; nil where a task has no such oracle.
  public init?(
    oracleOf generator: TaskGenerator, _ shape: TaskShape, tasks: Int, on pool: ThreadPool
  ) throws {
    let scored: [Task?] = try pool.map(tasks) { index in
      let task = try generator.task(index, step: 0, shape: shape)
      guard let oracle = task.oracle else { return nil }
      let laws = try Self.asked(of: task).map { row in
        (law: try oracle.density(of: row..<row + 1, given: 0..<row), came: task.y[row])
      }
      return Task(laws)
    }
    guard scored.allSatisfy({ $0 != nil }) else { return nil }
    self.init(scored.compactMap { $0 })
  }

  /// How well somebody does whose law of each task's targets `law` gives, each target by itself.
  public init(
    of generator: TaskGenerator, _ shape: TaskShape, tasks: Int, on pool: ThreadPool,
    by law: @escaping @Sendable (PriorTask) throws -> OracleDensity
  ) throws {
    let scored: [Task] = try pool.map(tasks) { index in
      let task = try generator.task(index, step: 0, shape: shape)
      return Task(try law(task), came: Array(task.y[task.targetRows]))
    }
    self.init(scored)
  }

  private init(_ scored: [Task]) {
    tasks = scored.count
    logDensity = .init(scored.map(\.logDensity))
    accuracy = scored.allSatisfy { $0.accuracy != nil } ? .init(scored.compactMap(\.accuracy)) : nil
    squaredError =
      scored.allSatisfy { $0.squaredError != nil } ? .init(scored.compactMap(\.squaredError)) : nil
  }

  private static func asked(of task: PriorTask) -> [Int] {
    task.targetRows.filter { task.asked.isEmpty || task.asked[$0 - task.targetRows.lowerBound] }
  }

  /// The law of every asked target given the values before it, with what came.
  private static func laws<A: Architecture>(
    _ network: A, _ task: PriorTask
  ) -> [(law: any Predictive, came: Double)] {
    let asked = Self.asked(of: task)
    let dimensions = task.shape.dimensions
    // A network of pairs is told those of the context, and of the others their inputs.
    let told = network.blueprint.pairsValues ? task.shape.context : 0
    let x = task.x.map(Float.init)
    let rows = NetworkRows(
      x: Array(x.prefix(told * dimensions)), y: task.y.prefix(told).map(Float.init), dimensions: dimensions)
    let context = network.encode(rows, HintFits(), on: nil)
    let paths = network.branch(paths: 1, capacity: task.shape.rows)
    var call = RowBatch()
    call.begin()
    for row in told..<max(told, task.shape.rows - 1) {
      let place = row - told
      call.commit(
        input: Int32(place), y: Float(task.y[row]), slot: Int32(place), reads: .prefix(place + 1))
    }
    for row in asked { call.query(input: Int32(row - told), reads: .prefix(row - told)) }
    var laws: [(law: any Predictive, came: Double)] = []
    network.advance(
      paths, context,
      network.embed(Array(x.dropFirst(told * dimensions)), dimensions: dimensions, for: context), call
    ) { answer in laws.append((answer.law, task.y[asked[laws.count]])) }
    return laws
  }

  private struct Task: Sendable {
    let logDensity: Double
    let accuracy: Double?
    let squaredError: Double?

    init(_ laws: [(law: OracleDensity, came: Double)]) {
      let count = Double(max(laws.count, 1))
      logDensity = laws.reduce(0) { $0 + $1.law.joint } / count
      accuracy = nil
      squaredError = laws.reduce(0) { $0 + ($1.law.means[0] - $1.came) * ($1.law.means[0] - $1.came) } / count
    }

    init(_ law: OracleDensity, came: [Double]) {
      let count = Double(max(came.count, 1))
      logDensity = law.independent / count
      accuracy = nil
      squaredError = zip(law.means, came).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / count
    }

    init(_ laws: [(law: any Predictive, came: Double)]) {
      let count = Double(max(laws.count, 1))
      var (sum, right, squares, levels) = (0.0, 0.0, 0.0, 0)
      for (law, came) in laws {
        if let law = law as? Categorical {
          sum += law.logDensity(.level(Int(came)))
          let p = law.logProbabilities
          right += p.indices.max { p[$0] < p[$1] } == Int(came) ? 1 : 0
          levels += 1
        } else {
          sum += law.logDensity(.number(came))
          squares += (law.mean - came) * (law.mean - came)
        }
      }
      logDensity = sum / count
      accuracy = levels > 0 ? right / count : nil
      squaredError = levels > 0 ? nil : squares / count
    }
  }
}
