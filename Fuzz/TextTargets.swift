import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTables
import ChorusTensors
import Foundation

@testable import ChorusInference
@testable import ChorusStorage
@testable import ChorusTraining

/// A text that is a plan is written as it is read, and gives a plan for any sizes or says why not.
let plans: @Sendable ([UInt8]) -> Void = { bytes in
  guard let text = String(bytes: bytes, encoding: .utf8), let template = try? PlanTemplate(parsing: text)
  else {
    return
  }
  precondition((try? PlanTemplate(parsing: template.description)) == template)
  let (context, targets) = (bytes.count % 7, 1 + bytes.count % 13)
  for strict in [Plan.WhenUnsupported.refuse, .reencode] {
    let capability = Plan.Capability(trainedBuffer: 4)
    guard
      let plan = try? template.resolve(
        context: context, targets: targets, capability: capability, whenUnsupported: strict)
    else { continue }
    precondition(plan.targets == targets && plan.contextRows == context)
    precondition(!plan.explanation.isEmpty)
  }
}

/// Whatever the settings, they are refused or can be trained with, and are written as they are read.
let configuration: @Sendable ([UInt8]) -> Void = { bytes in
  guard let read = try? JSONDecoder().decode(TrainingConfiguration.self, from: Data(bytes)) else { return }
  if let written = try? JSONEncoder().encode(read) {
    precondition((try? JSONDecoder().decode(TrainingConfiguration.self, from: written)) == read)
    precondition((try? read.differences(from: read)) == [])
    _ = try? read.differences(from: TrainingConfiguration())
  }
  guard (try? read.validate()) != nil else { return }
  for step in [0, 1, read.steps / 2, read.steps - 1] { precondition(read.rate(at: step).isFinite) }
}

/// A small model, whose contexts are read.
private let model: Model = {
  var blueprint = Blueprint()
  (blueprint.width, blueprint.layers, blueprint.heads) = (16, 1, 2)
  (blueprint.feedForward, blueprint.embedderHidden, blueprint.headHidden) = (16, 16, 16)
  (blueprint.scaling, blueprint.inputDimensions) = (.standardise, 2)
  blueprint.hints = Hints([TrendAndWaves(waves: 6, subtracts: true)], rows: [LocalSplines(neighbours: 4)])
  blueprint.head = .mixture(components: 3, around: 1)
  do {
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 1)
    weights.pack()
    return Model(network: try declared.network(weights), source: "small")
  } catch {
    print(error)
    exit(70)
  }
}()

/// The bytes are the description of a context, behind a count of rows; its arrays fit the model. `FINGERPRINT` in it is the
/// model's.
let contexts: @Sendable ([UInt8]) -> Void = { bytes in
  guard let first = bytes.first, let fingerprint = try? model.fingerprint,
    let text = String(bytes: bytes.dropFirst(), encoding: .utf8)
  else { return }
  let rows = Int(first & 7)
  let dimensions = 1 + Int(first >> 7)
  var writer = SafetensorsWriter(metadata: [
    "format": "chorus-context-\(1 + Int(first >> 6 & 1))",
    "context": text.replacingOccurrences(of: "FINGERPRINT", with: fingerprint),
  ])
  var stream = RandomStream(seed: UInt64(first))
  func add(_ name: String, _ shape: [Int]) {
    let values = (0..<shape.reduce(1, *)).map { _ in Float(stream.normal()) }
    try? writer.add(name, shape: shape, floats: values)
  }
  add("x", [rows, dimensions])
  add("y", [rows])
  for array in model.network.stateArrays(rows: rows) { add(array.name, array.shape) }
  guard let content = try? Safetensors(bytes: writer.encoded(), file: "c"),
    let context = try? SavedContext(content), let posterior = try? context.posterior(model)
  else { return }
  precondition(context.fingerprint == fingerprint && context.inputColumns.count == dimensions)
  _ = try? posterior.observed
  let columns = dimensions
  guard let inputs = try? Inputs((0..<3 * columns).map { Double($0) / 2 - 1 }, dimensions: columns) else {
    return
  }
  _ = try? posterior.marginals(at: inputs)
  if let drawn = try? posterior.sample(2, at: inputs, seed: 1) { precondition(drawn.paths.count == 2) }
}

/// What a task file gives can be trained on.
let tasks: @Sendable ([UInt8]) -> Void = { bytes in
  guard let file = try? TaskFile(bytes: bytes, source: "t") else { return }
  precondition(!file.tasks.isEmpty)
  for task in file.tasks {
    precondition(task.dimensions > 0 && task.x.count == task.y.count * task.dimensions)
    precondition((task.x + task.y).allSatisfy(\.isFinite))
  }
  let sets = file.tasks.compactMap { task in
    try? Dataset(inputs: Inputs(task.x, dimensions: task.dimensions), y: task.y)
  }
  guard let prior = try? StoredTasks(sets) else { return }
  var stream = RandomStream(seed: UInt64(bytes.count))
  for dimensions in Set(sets.map(\.dimensions)) {
    let shape = TaskShape(context: 1, buffer: 1, targets: 2, dimensions: dimensions)
    if let task = try? prior.draw(shape, from: &stream) { precondition(task.y.count == shape.rows) }
  }
}
