import ChorusData
import ChorusFiles
import ChorusHints
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import ChorusTraining
import Foundation

/// Answers requests from stdin, one JSON object a line, with one JSON object a line. `seconds` in an answer is what
/// the work itself took, without reading the request.
///
/// | do | reads | answers beside `seconds` and `processor` |
/// |---|---|---|
/// | `model` | `blueprint`, `seed`, `precision`, `write` | nothing; a fresh network, written to a file in full precision |
/// | `sample` | `x`, `y`, `at`, `paths`, `plan`, `seed` | `values` `[paths][targets]` and `memory`, each if asked for |
/// | `density` | `x`, `y`, `at`, `of`, `orders`, `plan`, `seed` | `values` `[1][orders]` if asked for |
/// | `train` | `configuration` | `loss` and `gradient` of one step |
/// | `tasks` | `configuration` | the tasks of step 0 as `values`, inputs and outputs in turn |
///
/// Times of `sample` and `density` include encoding the context.
final class BenchWorker {
  private let pool: ThreadPool
  private var model: Model?
  private var trainer: Trainer?

  init(pool: ThreadPool) { self.pool = pool }

  struct Request: Decodable {
    let `do`: String
    var blueprint: Blueprint?
    var seed: UInt64?
    var precision: Precision?
    var write: String?
    var x: [Double]?
    var y: [Double]?
    var at: [Double]?
    var of: [Double]?
    var paths: Int?
    var orders: Int?
    var plan: String?
    var values: Bool?
    var memory: Bool?
    var configuration: TrainingConfiguration?
  }

  struct Answer: Encodable {
    var seconds = 0.0
    var processor = 0.0
    var values: [[Double]]?
    /// Bytes that residence grew by at the most.
    var memory: Int?
    var loss: Double?
    var gradient: Double?
    var error: String?
  }

  func run() throws {
    let encoder = JSONEncoder()
    while let line = readLine() {
      var answer: Answer
      do {
        answer = try self.answer(JSONDecoder().decode(Request.self, from: Data(line.utf8)))
      } catch {
        answer = Answer(error: "\(error)")
      }
      try StandardStreams.write(encoder.encode(answer) + Data("\n".utf8))
    }
  }

  func answer(_ request: Request) throws -> Answer {
    switch request.do {
    case "model": return try make(request)
    case "sample":
      let (data, inputs, template) = try question(request)
      // Taking the measure of memory gives it back first, which the next call pays for; not while times are wanted.
      let memory = request.memory == true ? MemoryGrowth() : nil
      var drawn: Posterior.Samples?
      var answer = try timed {
        drawn = try condition(data).sample(
          request.paths ?? 1, at: inputs, plan: template, seed: request.seed ?? 0, flopLimit: .infinity)
      }
      answer.memory = memory?.bytes
      if request.values == true { answer.values = drawn?.paths }
      return answer
    case "density":
      let (data, inputs, template) = try question(request)
      var density: Posterior.LogDensity?
      var answer = try timed {
        density = try condition(data).logDensity(
          of: request.of ?? [], at: inputs, plan: template, orders: request.orders ?? 1,
          seed: request.seed ?? 0, flopLimit: .infinity)
      }
      if request.values == true { answer.values = density.map { [$0.orders] } }
      return answer
    case "train": return try train(configuration(request))
    case "tasks": return try tasks(configuration(request))
    default: throw InferenceError.input("a request does one of model, sample, density, train, tasks")
    }
  }

  private func make(_ request: Request) throws -> Answer {
    let blueprint = request.blueprint ?? Blueprint()
    let made = try BenchData.model(
      blueprint, context: blueprint.trainedContext, seed: request.seed ?? 0,
      precision: request.precision ?? .f32)
    if let path = request.write { try made.write(to: path, half: false) }
    model = made
    return Answer()
  }

  private func condition(_ data: Dataset) throws -> Posterior {
    guard let model else { throw InferenceError.input("there is no model yet; ask for one first") }
    return try model.condition(on: data, pool: pool)
  }

  private func question(_ request: Request) throws -> (Dataset, Inputs, PlanTemplate) {
    (
      try Dataset(inputs: Inputs(request.x ?? [], dimensions: 1), y: request.y ?? []),
      try Inputs(request.at ?? [], dimensions: 1), try PlanTemplate(parsing: request.plan ?? "sequential")
    )
  }

  private func configuration(_ request: Request) throws -> TrainingConfiguration {
    guard let configuration = request.configuration else {
      throw TrainingError.configuration("the request lacks one")
    }
    return configuration
  }

  /// One step of the run that the configuration describes, from its start when it is a new one.
  private func train(_ configuration: TrainingConfiguration) throws -> Answer {
    if trainer?.configuration != configuration {
      trainer = try Trainer(configuration, prior: Priors.named(configuration.prior), on: pool)
    }
    var report: Trainer.StepReport?
    var answer = try timed { report = try trainer?.advance() }
    answer.loss = report?.loss.mean
    answer.gradient = report?.gradientNorm
    return answer
  }

  private func tasks(_ configuration: TrainingConfiguration) throws -> Answer {
    let source = TaskSource(TaskGenerator(try Priors.named(configuration.prior), seed: configuration.seed))
    let shape = TaskShape(
      context: configuration.context[0], buffer: configuration.buffers[0], targets: configuration.targets,
      dimensions: configuration.dimensions[0])
    var batch: TaskBatch?
    var answer = try timed { batch = try source.batch(configuration.batch, step: 0, shape: shape) }
    answer.values = batch.map { [$0.x.map(Double.init), $0.y.map(Double.init)] }
    return answer
  }

  private func timed(_ body: () throws -> Void) rethrows -> Answer {
    let spent = try BenchClock.time(body)
    return Answer(seconds: spent.wall, processor: spent.processor)
  }
}
