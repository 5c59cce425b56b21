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
/// ends with the same bytes. While a run is open, or trains, the file `lock` keeps others out of its folder.
public struct Run {
  public let folder: String
  public let trainer: Trainer
  private let checkpoints: Checkpoints
  private let log: LineLog
  private let origin: [String: String]
  private let right = Right()
  /// What was found wrong with newer checkpoints while resuming.
  public private(set) var skipped: [String] = []

  /// The lock of the folder, which all copies of a run share.
  private final class Right: Sendable {
    private let lock = Lock<FolderLock?>(nil)
    func take(_ folder: String) throws {
      try lock.withLock { if $0 == nil { $0 = try FolderLock(folder: folder) } }
    }
    func giveBack() { lock.withLock { $0 = nil } }
  }

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

  /// What is needed of a line that another version may have logged.
  private struct Logged: Decodable { var step: Int }

  /// Opens a folder.
  ///
  /// - Parameters:
  ///   - validation: where tasks that are never trained on come from; nil for the same prior, from other streams.
  ///   - resume: go on from the newest checkpoint; without it the folder must not hold any.
  ///   - start: a model to take the first weights from.
  ///   - base: the model that an adapter changes, where the configuration asks for one.
  ///   - origin: what else the result depends on, like a checksum of the tasks, by its name. It is kept in every
  ///     checkpoint, and a resumed run must not contradict it.
  ///   - exchange: the processes that train together, of which this is the first; the others call ``Trainer/follow(stop:)``.
  /// - Throws: `TrainingError` for a folder that holds something else than this run, or only damaged checkpoints: nothing in
  ///   it is changed then. `StorageError` (`busy`) while another process trains in it.
  public init(
    _ configuration: TrainingConfiguration, prior: any Prior, validation: (any Prior)? = nil,
    folder: String, resume: Bool,
    start: Model? = nil, base: Model? = nil, origin: [String: String] = [:], on pool: ThreadPool,
    with exchange: any Exchange = Alone()
  ) throws {
    self.folder = folder
    trainer = try Trainer(
      configuration, prior: prior, validation: validation, base: base, on: pool, with: exchange)
    var origin = origin
    if let base { origin["adapt"] = try base.fingerprint }
    if let start {
      try trainer.begin(from: start)
      origin["start"] = try start.fingerprint
    }
    // The folder is made once nothing but the disk can be in the way.
    checkpoints = try Checkpoints(folder: folder + "/checkpoints", keep: 2)
    try right.take(folder)
    for place in [folder, checkpoints.folder] { Remains.remove(in: place) }
    let (found, failures) = try checkpoints.newest()
    skipped = failures.map(\.description)
    log = LineLog(path: folder + "/log.jsonl")
    if let found { origin.merge(Trainer.origin(of: found.file)) { given, _ in given } }
    self.origin = origin
    guard let found else {
      try Self.checkThatNothingIsLost(in: folder, damaged: failures)
      try begin()
      return
    }
    guard resume else {
      throw TrainingError.checkpoint(
        "\(folder) holds a run at step \(found.step); pass --resume to go on with it, or another folder")
    }
    guard configuration.steps >= found.step else {
      throw TrainingError.configuration(
        "\(folder) has done \(found.step) steps already; --steps \(configuration.steps) would be fewer")
    }
    try trainer.restore(found.file, step: found.step, path: found.path, origin: origin)
    try checkpoints.settle(at: found.step)
    try begin()
  }

  /// Refuses to begin anew where a model stands that no checkpoint could give again.
  private static func checkThatNothingIsLost(in folder: String, damaged: [StorageError]) throws {
    let path = folder + "/model.safetensors"
    let model = FileManager.default.fileExists(atPath: path)
    if let first = damaged.first {
      let more = damaged.count > 1 ? " (and \(damaged.count - 1) more)" : ""
      throw TrainingError.checkpoint(
        "\(folder) holds no checkpoint that can be read, and nothing in it was changed: \(first)\(more)"
          + " Bring back a copy of a checkpoint, or train in another folder"
          + (model ? "; --start \(path) begins with the weights of its model" : ""))
    }
    if model {
      throw TrainingError.checkpoint(
        "\(folder) holds a model and no checkpoint, so training there would replace the model; name another folder"
          + " (--start \(path) begins with its weights), or move the model away")
    }
  }

  /// Makes the folder's files those of the step the trainer is at.
  private func begin() throws {
    let step = trainer.step
    // What a killed run logged after its last checkpoint is computed, and logged, again.
    try log.keep { line in
      LineLog.value(Logged.self, of: line).map { $0.step <= step } ?? false
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try AtomicFile.write(try encoder.encode(trainer.configuration), to: folder + "/configuration.json")
  }

  /// What the run of a folder logged, and the seconds of training that it took, whether in one process or in several.
  public static func log(in folder: String) -> (entries: [Entry], seconds: Double) {
    let entries = LineLog(path: folder + "/log.jsonl").values(Entry.self)
    var (seconds, before) = (0.0, 0)
    for entry in entries {
      seconds += Double(entry.tasks - before) / max(entry.tasksPerSecond, 1e-9)
      before = entry.tasks
    }
    return (entries, seconds)
  }

  /// The largest configuration that is read, in bytes.
  public static let configurationLimit = 1 << 20

  /// The configuration that a folder's run began with.
  public static func configuration(in folder: String) throws -> TrainingConfiguration {
    try JSONDecoder().decode(
      TrainingConfiguration.self,
      from: Data(RegularFile.read(folder + "/configuration.json", limit: configurationLimit)))
  }

  public var modelPath: String { folder + "/model.safetensors" }

  /// Trains to the last step, or until `stop` says so; either way everything done is on disk at the end, and the lock of the
  /// folder is given back.
  public func train(
    card: [String: String], stop: () -> Bool, report: (Entry) -> Void
  ) throws {
    try right.take(folder)
    defer { right.giveBack() }
    // A run may have been killed between its newest checkpoint and the model of that step.
    let kept = modelStep
    if trainer.step > 0, kept < trainer.step { try writeModel(card) }
    try trainer.share()
    let configuration = trainer.configuration
    let begin = Date()
    var last = (time: begin, step: trainer.step)
    var sums = LossSums()
    var norm = 0.0
    while trainer.step < configuration.steps, try !trainer.agree(stop()) {
      let result = try trainer.advance()
      sums.add(result.loss)
      norm = result.gradientNorm
      let step = result.step
      let ended = step == configuration.steps
      let validates = configuration.validates(at: step)
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
        if validates { try log.append(json: entry) }
        report(entry)
        sums = LossSums()
        last = (Date(), step)
      }
      if step % configuration.checkpointEvery == 0 || ended { try save(card, over: kept) }
    }
    if trainer.step < configuration.steps { try save(card, over: kept) }
  }

  /// The step of the folder's model where that is a later one than the trainer's, because newer checkpoints are damaged.
  /// The model stays until the run has come as far again, or ends.
  public var laterModel: Int? {
    let step = modelStep
    return step > trainer.step ? step : nil
  }

  /// The step of the model in the folder: 0 where there is none, or none that tells.
  private var modelStep: Int {
    guard let model = try? Model(path: modelPath), model.blueprint == trainer.configuration.blueprint else {
      return 0
    }
    return model.card["steps"].flatMap { Int($0) } ?? 0
  }

  private func save(_ card: [String: String], over kept: Int) throws {
    try checkpoints.write(try trainer.checkpoint(origin: origin), step: trainer.step)
    if kept <= trainer.step || trainer.step == trainer.configuration.steps { try writeModel(card) }
  }

  private func writeModel(_ card: [String: String]) throws {
    var card = card
    card["tasks"] = String(trainer.tasksSeen)
    card["steps"] = String(trainer.step)
    try trainer.writeAdapter(card: card, to: folder + "/adapter.safetensors")
    try trainer.model(card: card).write(to: modelPath, half: false)
  }

}

extension Trainer {
  var arrays: [(name: String, buffer: FloatBuffer)] {
    [
      ("weights", optimiser.weights.values), ("average", optimiser.average.values),
      ("first", optimiser.first),
      ("second", optimiser.second),
    ]
  }

  /// Everything a later process needs to go on with the next step.
  func checkpoint(origin: [String: String]) throws -> SafetensorsWriter {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var metadata = [
      "format": "chorus-checkpoint-1",
      "configuration": String(decoding: try encoder.encode(configuration), as: UTF8.self),
    ]
    for (name, value) in origin { metadata[Self.originPrefix + name] = value }
    var writer = SafetensorsWriter(metadata: metadata)
    let values = try exclusively { arrays.map { ($0.name, $0.buffer.array) } }
    for (name, floats) in values { try writer.add(name, shape: [floats.count], floats: floats) }
    return writer
  }

  private static let originPrefix = "origin."

  /// What a checkpoint's run depends on beside its configuration.
  static func origin(of file: Safetensors) -> [String: String] {
    Dictionary(
      uniqueKeysWithValues: file.metadata.compactMap { key, value in
        key.hasPrefix(Self.originPrefix) ? (String(key.dropFirst(Self.originPrefix.count)), value) : nil
      })
  }

  /// Takes the state of a checkpoint.
  ///
  /// - Throws: `TrainingError.checkpoint`, naming what differs, when it belongs to another configuration or origin. The
  /// number of steps may differ (a finished run goes on under a longer schedule), as may how often to validate and save.
  func restore(_ file: Safetensors, step: Int, path: String, origin given: [String: String]) throws {
    guard file.metadata["format"] == "chorus-checkpoint-1", let json = file.metadata["configuration"],
      let stored = try? JSONDecoder().decode(TrainingConfiguration.self, from: Data(json.utf8))
    else { throw TrainingError.checkpoint("\(path) is not a Chorus checkpoint") }
    let differences = try stored.differences(from: configuration)
      .filter { !TrainingConfiguration.changeable.contains($0.name) }
    if let first = differences.first {
      let more = differences.count > 1 ? " and \(differences.count - 1) more differ" : ""
      throw TrainingError.checkpoint(
        "\(path) belongs to a run with another configuration: its \(first.name) is \(first.own), not \(first.other)\(more);"
          + " resume with the same one, or start a new folder")
    }
    let own = Self.origin(of: file)
    // One that older versions wrote says nothing of its origin.
    for (name, value) in given.sorted(by: { $0.key < $1.key }) where own[name].map({ $0 != value }) ?? false {
      throw TrainingError.checkpoint(
        "\(path) belongs to a run that began with another --\(name); resume with the same one, or start a new folder"
      )
    }
    try exclusively {
      for (name, buffer) in arrays {
        buffer.copy(from: FloatBuffer(try file.floats(name, shape: [buffer.count])))
      }
      weights.pack(on: pool)
      compose()
      progress.withLock { $0 = step }
    }
  }

  /// Takes a model's weights as the first ones; it may know fewer hints, or have had no neighbours.
  ///
  /// Rows of the input embedder's first matrix that are for a hint it did not have stay as drawn: from zeros, queries and
  /// keys would both have to grow before either gained by it. Where it had no neighbours, what they say begins at zero, and
  /// its components are the head's other ones.
  func begin(from model: Model) throws {
    guard adapter == nil else {
      throw TrainingError.configuration("an adapter begins as no change of its base; leave --start out")
    }
    var blueprint = model.blueprint
    let own = configuration.blueprint
    let rows = own.inputFeatures(of: model.blueprint)
    if rows != nil, blueprint.scaling == own.scaling || own.scaling == .none {
      blueprint.hints = Hints(own.hints.hints, rows: blueprint.hints.rows)
    }
    let (from, to) = (blueprint.head.specification, own.head.specification)
    if blueprint.hints.rows.isEmpty, from.around == 0, let wider = from.widened(around: to.around) {
      blueprint.hints = Hints(blueprint.hints.hints, rows: own.hints.rows)
      blueprint.head = HeadChoice(wider)
    }
    (blueprint.trainedContext, blueprint.trainedBuffer) = (own.trainedContext, own.trainedBuffer)
    // A network of classes judges estimators as one of tables does, with as many layers or the first ones; its head stays as drawn.
    let judges = own.family == .classes && blueprint.family == .table
    if judges {
      (blueprint.family, blueprint.head) = (own.family, own.head)
      (blueprint.inputDimensions, blueprint.scaling) = (own.inputDimensions, own.scaling)
      blueprint.layers = min(blueprint.layers, own.layers)
    }
    guard blueprint == own else {
      throw TrainingError.configuration(
        "the model to start from has another blueprint"
          + (own.hints.rows.isEmpty
            ? ""
            : "; one without neighbours needs as many components as the new one has beside those around the hint")
      )
    }
    let before = model.network.weights.table
    let given = model.network.weights
    for parameter in weights.table.all where !judges || !parameter.path.hasPrefix("head.") {
      guard let from = before[parameter.path] else {
        weights[parameter].update(repeating: 0, count: parameter.count)
        continue
      }
      guard from.columns != parameter.columns else {
        let places = rows?.count == from.rows && parameter.rows > from.rows ? rows : nil
        for (row, place) in (places ?? Array(0..<min(from.rows, parameter.rows))).enumerated() {
          (weights[parameter] + place * from.columns).update(
            from: given[from] + row * from.columns, count: from.columns)
        }
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

  /// Writes the adapter so far, where one is trained.
  func writeAdapter(card: [String: String], to path: String) throws {
    guard let adapter else { return }
    let values = Weights(averagedWeights.table)
    try exclusively { values.values.copy(from: averagedWeights.values) }
    try adapter.write(values, card: card, to: path)
  }

  /// The averaged weights so far as a model; later steps do not change it.
  public func model(card: [String: String]) throws -> Model {
    let weights = Weights(averagedWeights.table)
    try exclusively { weights.values.copy(from: averagedWeights.values) }
    if let adapter { return try adapter.model(weights, card: card, source: "training") }
    weights.pack()
    return Model(
      network: try Declaration(configuration.blueprint).network(weights), card: card, source: "training")
  }
}
