import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPriors
import ChorusStorage
import ChorusTensors
import Foundation

/// A training run in a folder: checkpoints, a log in JSON lines, and the model so far.
///
/// The folder holds `configuration.json`, `log.jsonl`, `checkpoints/`, and `model.safetensors` (the averaged
/// weights, replaced at every checkpoint). A run that is killed goes on from its newest checkpoint that verifies and
/// ends with the same bytes.
public struct Run {
  public let folder: String
  public let trainer: Trainer
  private let checkpoints: Checkpoints
  /// What was found wrong with newer checkpoints while resuming.
  public private(set) var skipped: [String] = []

  /// A line of the log.
  public struct Entry: Sendable, Codable {
    public var step: Int
    public var tasks: Int
    /// Mean training loss since the last entry, nats a target, in the network's units.
    public var loss: Double
    public var validation: Double?
    public var validationFree: Double?
    public var validationBuffered: Double?
    public var rate: Double
    public var gradientNorm: Double
    public var tasksPerSecond: Double
    public var seconds: Double
  }

  /// Opens a folder.
  ///
  /// - Parameters:
  ///   - resume: go on from the newest checkpoint; without it the folder must not hold any.
  ///   - start: a model to take the first weights from.
  public init(
    _ configuration: TrainingConfiguration, prior: any Prior, folder: String, resume: Bool,
    start: Model? = nil, on pool: ThreadPool
  ) throws {
    self.folder = folder
    trainer = try Trainer(configuration, prior: prior, on: pool)
    if let start { try trainer.begin(from: start) }
    // The folder is made once nothing but the disk can be in the way.
    checkpoints = try Checkpoints(folder: folder + "/checkpoints", keep: 2)
    let (found, failures) = try checkpoints.newest()
    skipped = failures.map(\.description)
    if let found {
      guard resume else {
        throw TrainingError.checkpoint(
          "\(folder) holds a run at step \(found.step); pass --resume to go on with it, or another folder")
      }
      guard configuration.steps >= found.step else {
        throw TrainingError.configuration(
          "\(folder) has done \(found.step) steps already; --steps \(configuration.steps) would be fewer")
      }
      try trainer.restore(found.file, step: found.step, path: found.path)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try AtomicFile.write(try encoder.encode(configuration), to: folder + "/configuration.json")
  }

  /// The configuration that a folder's run began with.
  public static func configuration(in folder: String) throws -> TrainingConfiguration {
    try JSONDecoder().decode(
      TrainingConfiguration.self, from: AtomicFile.read(folder + "/configuration.json"))
  }

  public var modelPath: String { folder + "/model.safetensors" }

  /// Trains to the last step, or until `stop` says so; either way everything done is on disk at the end.
  public func train(
    card: [String: String], stop: () -> Bool, report: (Entry) -> Void
  ) throws {
    let configuration = trainer.configuration
    let begin = Date()
    var last = (time: begin, step: trainer.step)
    var sums = LossSums()
    var norm = 0.0
    while trainer.step < configuration.steps, !stop() {
      let result = try trainer.advance()
      sums.add(result.loss)
      norm = result.gradientNorm
      let step = result.step
      let ended = step == configuration.steps
      let validates = step % configuration.validateEvery == 0 || ended
      if validates || step % 50 == 0 {
        let now = Date()
        let speed =
          Double((step - last.step) * configuration.batch) / max(now.timeIntervalSince(last.time), 1e-9)
        let validation = validates ? try trainer.validate() : nil
        let entry = Entry(
          step: step, tasks: trainer.tasksSeen, loss: sums.mean, validation: validation?.mean,
          validationFree: validation?.meanFree, validationBuffered: validation?.meanBuffered,
          rate: configuration.rate(at: step - 1), gradientNorm: norm, tasksPerSecond: speed,
          seconds: now.timeIntervalSince(begin))
        if validates { try append(entry) }
        report(entry)
        sums = LossSums()
        last = (Date(), step)
      }
      if step % configuration.checkpointEvery == 0 || ended { try save(card) }
    }
    if trainer.step < configuration.steps { try save(card) }
  }

  private func save(_ card: [String: String]) throws {
    try checkpoints.write(try trainer.checkpoint(), step: trainer.step)
    var card = card
    card["tasks"] = String(trainer.tasksSeen)
    card["steps"] = String(trainer.step)
    try trainer.model(card: card).write(to: modelPath, half: false)
  }

  private func append(_ entry: Entry) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var line = try encoder.encode(entry)
    line.append(0x0A)
    let path = folder + "/log.jsonl"
    if !FileManager.default.fileExists(atPath: path) {
      _ = FileManager.default.createFile(atPath: path, contents: nil)
    }
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { try? handle.close() }
    try handle.seekToEnd()
    try handle.write(contentsOf: line)
  }
}

extension Trainer {
  private var arrays: [(name: String, buffer: FloatBuffer)] {
    [
      ("weights", optimiser.weights.values), ("average", optimiser.average.values),
      ("first", optimiser.first),
      ("second", optimiser.second),
    ]
  }

  /// Everything a later process needs to go on with the next step.
  func checkpoint() throws -> SafetensorsWriter {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var writer = SafetensorsWriter(metadata: [
      "format": "chorus-checkpoint-1",
      "configuration": String(decoding: try encoder.encode(configuration), as: UTF8.self),
    ])
    for (name, buffer) in arrays { try writer.add(name, shape: [buffer.count], floats: buffer.array) }
    return writer
  }

  /// Takes the state of a checkpoint.
  ///
  /// - Throws: `TrainingError.checkpoint` when it belongs to another configuration. The number of steps may differ (a
  /// finished run goes on under a longer schedule), as may how often to validate and save.
  func restore(_ file: Safetensors, step: Int, path: String) throws {
    guard file.metadata["format"] == "chorus-checkpoint-1", let json = file.metadata["configuration"],
      var stored = try? JSONDecoder().decode(TrainingConfiguration.self, from: Data(json.utf8))
    else { throw TrainingError.checkpoint("\(path) is not a Chorus checkpoint") }
    stored.steps = configuration.steps
    stored.validateEvery = configuration.validateEvery
    stored.checkpointEvery = configuration.checkpointEvery
    stored.validationTasks = configuration.validationTasks
    guard stored == configuration else {
      throw TrainingError.checkpoint(
        "\(path) belongs to a run with another configuration; resume with the same one, or start a new folder"
      )
    }
    for (name, buffer) in arrays {
      buffer.copy(from: FloatBuffer(try file.floats(name, shape: [buffer.count])))
    }
    weights.pack(on: pool)
    progress.withLock { $0 = step }
  }

  /// Takes a model's weights as the first ones; it may have read plainly standardised data, and have had no neighbours.
  ///
  /// Where it was shown no fit, the last rows of the input embedder's first matrix are for the fit's features and stay as drawn:
  /// from zeros, queries and keys would both have to grow before either gained by it. Where it had no neighbours, what they say
  /// begins at zero, and its components are the head's other ones.
  func begin(from model: Model) throws {
    var blueprint = model.blueprint
    let own = configuration.blueprint
    if blueprint.hints.hints.isEmpty, blueprint.scaling == .standardise || own.scaling == .none {
      blueprint.hints = Hints(own.hints.hints, rows: blueprint.hints.rows)
    }
    let (from, to) = (blueprint.head.specification, own.head.specification)
    if blueprint.hints.rows == nil, from.around == 0, let wider = from.widened(around: to.around) {
      blueprint.hints = Hints(blueprint.hints.hints, rows: own.hints.rows)
      blueprint.head = HeadChoice(wider)
    }
    (blueprint.trainedContext, blueprint.trainedBuffer) = (own.trainedContext, own.trainedBuffer)
    guard blueprint == own else {
      throw TrainingError.configuration(
        "the model to start from has another blueprint"
          + (own.hints.rows == nil
            ? "" : "; one without neighbours needs as many components as the new one has beside those around the hint"))
    }
    let before = model.network.weights.table
    let given = model.network.weights
    for parameter in weights.table.all {
      guard let from = before[parameter.path] else {
        weights[parameter].update(repeating: 0, count: parameter.count)
        continue
      }
      guard from.columns != parameter.columns else {
        weights[parameter].update(from: given[from], count: from.count)
        continue
      }
      let places = to.places(of: from.columns, among: parameter.columns)
      for row in 0..<from.rows {
        for (column, place) in places.enumerated() {
          weights[parameter][row * parameter.columns + place] = given[from][row * from.columns + column]
        }
      }
    }
    averagedWeights.values.copy(from: weights.values)
    weights.pack(on: pool)
  }

  /// The averaged weights so far as a model; later steps do not change it.
  public func model(card: [String: String]) throws -> Model {
    let weights = Weights(averagedWeights.table)
    weights.values.copy(from: averagedWeights.values)
    weights.pack()
    return Model(
      network: try Declaration(configuration.blueprint).network(weights), card: card, source: "training")
  }
}
