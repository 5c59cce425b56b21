import ChorusHints
import ChorusLayers
import ChorusPriors
import ChorusStorage
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTraining

/// Runs in folders: stopped, resumed, damaged, refused.
@Suite struct RunTests {
  private static func open(
    _ folder: String, resume: Bool = false, prior: LinePrior = LinePrior(), threads: Int = 1,
    start: Model? = nil,
    _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> Run {
    try Run(
      tinyConfiguration(change), prior: prior, folder: folder, resume: resume, start: start,
      on: ThreadPool(threads: threads))
  }

  /// Trains until `last` steps are done, or to the end.
  private static func train(_ run: Run, to last: Int? = nil) throws {
    try run.train(
      card: ["prior": "lines"], stop: { last.map { run.trainer.step >= $0 } ?? false }, report: { _ in })
  }

  private static func message(_ body: () throws -> Void) -> String? {
    do { try body() } catch { return "\(error)" }
    return nil
  }

  @Test func aRunLeavesItsFiles() throws {
    let folder = try ScratchFolder()
    let run = try Self.open(folder.path)
    var entries: [Run.Entry] = []
    try run.train(card: ["prior": "lines"], stop: { false }, report: { entries.append($0) })
    #expect(run.trainer.step == 12)
    #expect(entries.map(\.step) == [6, 12])
    #expect(
      entries.allSatisfy { $0.loss.isFinite && ($0.validation ?? .nan).isFinite && $0.gradientNorm > 0 })
    let lines = try String(contentsOfFile: folder.path + "/log.jsonl", encoding: .utf8).split(separator: "\n")
    let logged = try lines.map { try JSONDecoder().decode(Run.Entry.self, from: Data($0.utf8)) }
    #expect(logged.map(\.step) == [6, 12])
    #expect(logged.map(\.validation) == entries.map(\.validation))
    #expect(try Run.configuration(in: folder.path) == tinyConfiguration())
    let model = try Model(path: run.modelPath)
    #expect(model.card == ["prior": "lines", "tasks": "60", "steps": "12"])
    #expect(model.network.weights.values.array == run.trainer.averagedWeights.values.array)
    #expect(try Checkpoints(folder: folder.path + "/checkpoints").steps() == [8, 12])
  }

  /// Stopped between checkpoints, at one, before the first step, and more than once; on other numbers of threads.
  @Test(arguments: [[5], [4], [0], [1, 2, 7, 11], [12]])
  func resumingGivesTheBytesOfARunThatNeverStopped(stops: [Int]) throws {
    let (straight, broken) = (try ScratchFolder(), try ScratchFolder())
    let whole = try Self.open(straight.path)
    try Self.train(whole)
    var threads = 1
    for (index, stop) in (stops + [12]).enumerated() {
      let run = try Self.open(broken.path, resume: index > 0, threads: threads)
      #expect(run.trainer.step == (index > 0 ? stops[index - 1] : 0))
      try Self.train(run, to: stop)
      #expect(run.trainer.step == stop)
      if stop == 12 { #expect(run.trainer.state == whole.trainer.state) }
      threads = 3 - threads
    }
    for name in ["/model.safetensors", "/checkpoints/step-00000012.safetensors", "/configuration.json"] {
      #expect(try bytes(broken.path + name) == bytes(straight.path + name), "\(name)")
    }
  }

  @Test func aDamagedCheckpointFallsBackToTheOneBefore() throws {
    let (straight, broken) = (try ScratchFolder(), try ScratchFolder())
    try Self.train(try Self.open(straight.path))
    try Self.train(try Self.open(broken.path), to: 8)
    let newest = URL(fileURLWithPath: broken.path + "/checkpoints/step-00000008.safetensors")
    var content = try Data(contentsOf: newest)
    content[content.count - 100] ^= 4
    try content.write(to: newest)
    let run = try Self.open(broken.path, resume: true)
    #expect(run.trainer.step == 4)
    #expect(run.skipped.count == 1)
    #expect(run.skipped.first?.contains("step-00000008") == true)
    try Self.train(run)
    #expect(try bytes(broken.path + "/model.safetensors") == bytes(straight.path + "/model.safetensors"))
  }

  /// Where no checkpoint can be read, nothing is begun anew in the place of what was.
  @Test func damagedCheckpointsDoNotCostTheModel() throws {
    let folder = try ScratchFolder()
    try Self.train(try Self.open(folder.path), to: 8)
    for name in ["step-00000008", "step-00000004"] {
      let url = URL(fileURLWithPath: folder.path + "/checkpoints/\(name).safetensors")
      try Data(contentsOf: url).prefix(500).write(to: url)
    }
    func files() throws -> [String: Data] {
      try FileManager.default.subpathsOfDirectory(atPath: folder.path).reduce(into: [:]) {
        $0[$1] = try? bytes(folder.path + "/" + $1)
      }
    }
    let before = try files()
    for resume in [true, false] {
      let words = Self.message { _ = try Self.open(folder.path, resume: resume) } ?? ""
      for part in ["step-00000008.safetensors", "and 1 more", "nothing in it was changed", "--start"] {
        #expect(words.contains(part), "\(words)")
      }
      #expect(try files() == before)
    }
    // Without any checkpoint, the model alone is reason enough.
    try FileManager.default.removeItem(atPath: folder.path + "/checkpoints")
    for resume in [true, false] {
      let words = Self.message { _ = try Self.open(folder.path, resume: resume) } ?? ""
      #expect(words.contains("holds a model and no checkpoint"), "\(words)")
    }
    #expect(try files()["model.safetensors"] == before["model.safetensors"])
  }

  /// A model of a later step than the newest checkpoint that verifies stays until the run is there again.
  @Test func aLaterModelStays() throws {
    let folder = try ScratchFolder()
    try Self.train(try Self.open(folder.path), to: 8)
    let before = try bytes(folder.path + "/model.safetensors")
    let newest = folder.path + "/checkpoints/step-00000008.safetensors"
    try Data(bytes(newest).dropLast(3)).write(to: URL(fileURLWithPath: newest))
    let run = try Self.open(folder.path, resume: true)
    #expect(run.trainer.step == 4 && run.laterModel == 8)
    try Self.train(run, to: 6)
    #expect(try bytes(run.modelPath) == before)
    let next = try Self.open(folder.path, resume: true)
    #expect(next.trainer.step == 6 && next.laterModel == 8)
    try Self.train(next, to: 8)
    #expect(try bytes(run.modelPath) == before && next.laterModel == nil)
    try Self.train(next)
    #expect(try Model(path: run.modelPath).card["steps"] == "12")
  }

  /// Killed after a checkpoint was written and before its model was.
  @Test(arguments: [4, 12]) func theModelOfTheNewestCheckpointIsWritten(step: Int) throws {
    let folder = try ScratchFolder()
    let run = try Self.open(folder.path)
    try Self.train(run, to: step - 1)
    let stale = try bytes(run.modelPath)
    try Self.train(run, to: step)
    let fresh = try bytes(run.modelPath)
    for old in [stale, nil, Data("damaged".utf8)] {
      try FileManager.default.removeItem(atPath: run.modelPath)
      try old?.write(to: URL(fileURLWithPath: run.modelPath))
      try Self.train(try Self.open(folder.path, resume: true), to: step)
      #expect(try bytes(run.modelPath) == fresh)
    }
  }

  /// Lines of the log that were written after the checkpoint that a run goes on from are written again, once.
  @Test func theLogHasEveryStepOnce() throws {
    let folder = try ScratchFolder()
    try Self.train(try Self.open(folder.path), to: 7)
    let path = folder.path + "/log.jsonl"
    let log = String(decoding: try bytes(path), as: UTF8.self)
    let later = [9, 12].map { log.replacingOccurrences(of: "\"step\":6", with: "\"step\":\($0)") }
    for torn in ["", "{\"step\":6,\"tasks", "{}\n", "\n"] {
      try Data((log + later.joined() + torn).utf8).write(to: URL(fileURLWithPath: path))
      let run = try Self.open(folder.path, resume: true)
      #expect(try bytes(path) == Data(log.utf8))
      try Self.train(run, to: 7)
    }
    try Self.train(try Self.open(folder.path, resume: true))
    let steps = try String(decoding: bytes(path), as: UTF8.self).split(separator: "\n").map {
      try JSONDecoder().decode(Run.Entry.self, from: Data($0.utf8)).step
    }
    #expect(steps == [6, 12])
    // A run that was killed before its first checkpoint begins anew, and so does its log.
    let second = try ScratchFolder()
    try Data(log.utf8).write(to: URL(fileURLWithPath: second.path + "/log.jsonl"))
    try Self.train(try Self.open(second.path))
    #expect(
      try String(decoding: bytes(second.path + "/log.jsonl"), as: UTF8.self).split(separator: "\n").count == 2
    )
  }

  @Test func twoRunsDoNotShareAFolder() throws {
    let folder = try ScratchFolder()
    let run = try Self.open(folder.path)
    let words = Self.message { _ = try Self.open(folder.path, resume: true) } ?? ""
    #expect(words.contains("process \(getpid()) on ") && words.contains("name another folder"), "\(words)")
    try Self.train(run, to: 4)
    // Once it has trained, others may go on; this one then may not while they do.
    let other = try Self.open(folder.path, resume: true)
    #expect(Self.message { try Self.train(run, to: 6) }?.contains("writes in it") == true)
    try Self.train(other, to: 6)
    #expect(Self.message { try Self.train(run, to: 5) } != nil, "behind a later checkpoint")
  }

  /// What a result depends on beside the configuration is kept in the checkpoints.
  @Test func anotherOriginIsRefusedByName() throws {
    let (folder, first) = (try ScratchFolder(), try ScratchFolder())
    let start = try Self.open(first.path).trainer.model(card: [:])
    func open(_ origin: [String: String], start: Model? = nil, resume: Bool = true) throws -> Run {
      try Run(
        tinyConfiguration(), prior: LinePrior(), folder: folder.path, resume: resume, start: start,
        origin: origin, on: ThreadPool(threads: 1))
    }
    try Self.train(try open(["tasks": "a"], resume: false), to: 4)
    #expect(Self.message { _ = try open(["tasks": "b"]) }?.contains("began with another --tasks") == true)
    #expect(try open(["tasks": "a"]).trainer.step == 4)
    // Left out, it is known from the checkpoint, and handed on to the next.
    try Self.train(try open([:]), to: 6)
    #expect(Self.message { _ = try open(["tasks": "b"]) }?.contains("--tasks") == true)
    // A run that began from no model says nothing of one, as old checkpoints do.
    #expect(try open([:], start: start).trainer.step == 6)
    let third = try ScratchFolder()
    let begun = try Self.open(third.path, start: start)
    try Self.train(begun, to: 2)
    let other = try begun.trainer.model(card: [:])
    #expect(try Self.open(third.path, resume: true, start: start).trainer.step == 2)
    #expect(
      Self.message { _ = try Self.open(third.path, resume: true, start: other) }?.contains("another --start")
        == true)
  }

  @Test func anotherConfigurationIsRefused() throws {
    let folder = try ScratchFolder()
    try Self.train(try Self.open(folder.path), to: 4)
    #expect(Self.message { _ = try Self.open(folder.path) }?.contains("--resume") == true)
    let changes: [(inout TrainingConfiguration) -> Void] = [
      { $0.seed = 9 }, { $0.rate = 1e-3 }, { $0.batch = 6 }, { $0.buffers = [2] },
      { $0.blueprint.headHidden = 17 }, { $0.blueprint.norm = .post }, { $0.prior = "gp" },
    ]
    for change in changes {
      let error = #expect(throws: TrainingError.self) { _ = try Self.open(folder.path, resume: true, change) }
      guard case .checkpoint(let words)? = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(words.contains("another configuration: its "))
    }
    let named = Self.message {
      _ = try Self.open(folder.path, resume: true) {
        $0.seed = 9
        $0.blueprint.headHidden = 17
      }
    }
    #expect(named?.contains("its blueprint.headHidden is 16, not 17 and 1 more differ") == true)
    // How often to look and to save changes nothing that is computed.
    let run = try Self.open(folder.path, resume: true) {
      $0.validateEvery = 5
      $0.checkpointEvery = 7
      $0.validationTasks = 3
    }
    #expect(run.trainer.step == 4)
    try Self.train(run)
  }

  /// A finished run goes on under a longer schedule; a shorter one than was done makes no sense.
  @Test func theNumberOfStepsMayGrow() throws {
    let folder = try ScratchFolder()
    try Self.train(try Self.open(folder.path))
    let error = #expect(throws: TrainingError.self) {
      _ = try Self.open(folder.path, resume: true) { $0.steps = 11 }
    }
    #expect(error?.description.contains("12 steps") == true)
    #expect(try Run.configuration(in: folder.path).steps == 12)
    let longer = try Self.open(folder.path, resume: true) { $0.steps = 15 }
    #expect(longer.trainer.step == 12)
    try Self.train(longer)
    #expect(longer.trainer.step == 15)
    #expect(try Run.configuration(in: folder.path).steps == 15)
    #expect(try Model(path: longer.modelPath).card["steps"] == "15")
  }

  @Test func aConfigurationThatCannotBeMakesNoFolder() throws {
    let folder = try ScratchFolder()
    #expect(throws: TrainingError.self) { _ = try Self.open(folder.path + "/run") { $0.targets = 0 } }
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/run"))
  }

  @Test func aFileThatIsNoCheckpointIsRefused() throws {
    let folder = try ScratchFolder()
    let run = try Self.open(folder.path)
    try Self.train(run, to: 4)
    let checkpoints = try Checkpoints(folder: folder.path + "/checkpoints")
    var writer = SafetensorsWriter(metadata: ["format": "something else"])
    try writer.add("weights", shape: [1], floats: [0])
    try checkpoints.write(writer, step: 9)
    #expect(throws: TrainingError.self) { _ = try Self.open(folder.path, resume: true) }
    // The right words around arrays of another size.
    writer = SafetensorsWriter(metadata: [
      "format": "chorus-checkpoint-1",
      "configuration": String(decoding: try JSONEncoder().encode(tinyConfiguration()), as: UTF8.self),
    ])
    try writer.add("weights", shape: [1], floats: [0])
    try checkpoints.write(writer, step: 10)
    #expect(throws: StorageError.self) { _ = try Self.open(folder.path, resume: true) }
  }

  @Test func aRunThatDivergesSaysWhereAndKeepsItsCheckpoints() throws {
    let folder = try ScratchFolder()
    try Self.train(try Self.open(folder.path), to: 5)
    let before = try bytes(folder.path + "/model.safetensors")
    let run = try Self.open(folder.path, resume: true, prior: LinePrior(poison: .nan))
    #expect(throws: TrainingError.diverged(step: 5)) { try Self.train(run) }
    #expect(try bytes(folder.path + "/model.safetensors") == before)
    #expect(try Self.open(folder.path, resume: true).trainer.step == 5)
  }

  @Test func aRunMayBeginWithTheWeightsOfAModel() throws {
    let (first, second) = (try ScratchFolder(), try ScratchFolder())
    let run = try Self.open(first.path)
    try Self.train(run)
    let model = try Model(path: run.modelPath)
    let next = try Self.open(second.path, start: model) { $0.seed = 3 }
    #expect(next.trainer.weights.values.array == model.network.weights.values.array)
    #expect(next.trainer.averagedWeights.values.array == model.network.weights.values.array)
    let other = try ScratchFolder()
    #expect(throws: TrainingError.self) {
      _ = try Self.open(other.path, start: model) { $0.blueprint.headHidden = 17 }
    }
  }

  /// A network that is to know waves goes on from one that does not.
  @Test func aRunMayTeachWavesToAModel() throws {
    let (first, second, third) = (try ScratchFolder(), try ScratchFolder(), try ScratchFolder())
    let run = try Self.open(first.path)
    try Self.train(run, to: 3)
    let model = try run.trainer.model(card: [:])
    let next = try Self.open(second.path, start: model) {
      $0.blueprint.hints = Hints([TrendAndWaves(waves: 2)])
      $0.context = [10, 12]
    }
    let old = model.network.weights
    let (before, after) = (old.values.array, next.trainer.weights)
    for (own, from) in zip(next.trainer.weights.table.all, model.network.weights.table.all) {
      let kept = Array(UnsafeBufferPointer(start: after[own], count: from.count))
      #expect(kept == Array(before[from.offset..<from.offset + from.count]), "\(own.path)")
    }
    let averages = next.trainer.averagedWeights
    #expect(averages.values.array == after.values.array)
    let matrix = try #require(next.trainer.weights.table["embed.x.in.weight"])
    let drawn = after[matrix][(matrix.rows - 1) * matrix.columns]
    #expect(drawn != 0)
    try Self.train(next, to: 3)
    let last = (matrix.rows - 1) * matrix.columns
    #expect(next.trainer.weights[matrix][last] != drawn, "waves are learned from")
    #expect(throws: TrainingError.self) {
      _ = try Self.open(third.path, start: try next.trainer.model(card: [:]))
    }
  }

  /// A network that is to look at the nearest rows goes on from one that does not: at first they say nothing, and the old
  /// components say what they said.
  @Test func aRunMayTeachNeighboursToAModel() throws {
    let (first, second, third) = (try ScratchFolder(), try ScratchFolder(), try ScratchFolder())
    let run = try Self.open(first.path)
    try Self.train(run, to: 3)
    let model = try run.trainer.model(card: [:])
    func teach(_ folder: ScratchFolder, components: Int) throws -> Run {
      try Self.open(folder.path, start: model) {
        $0.blueprint.hints = Hints(rows: [LocalSplines(neighbours: 4)])
        $0.blueprint.head = .mixture(components: components, around: 2)
      }
    }
    let next = try teach(second, components: 5)
    let configuration = next.trainer.configuration
    var stream = RandomStream(seed: 1)
    let batch = try Objective.buffered.batch(
      next.trainer.tasks, index: 0, step: 0,
      TaskShape(context: 6, buffer: 2, targets: configuration.targets, dimensions: 1), &stream)
    let prefixes = [Int32](repeating: 1, count: configuration.targets)
    func outputs(_ network: any Architecture) throws -> [Float] {
      let network = try #require(network as? SetNetwork<MixtureHead>)
      let tape = Tape(network.weights)
      let node = network.record(batch, tasks: 0..<1, prefixes: prefixes, on: tape)
      return Array(UnsafeBufferPointer(start: tape.values(node), count: node.rows * node.columns))
    }
    let before = try outputs(model.network)
    let after = try outputs(next.trainer.network)
    for target in 0..<configuration.targets {
      for part in 0..<3 {
        for component in 0..<3 {
          #expect(
            after[target * 15 + part * 5 + 2 + component] == before[target * 9 + part * 3 + component])
        }
      }
    }
    try Self.train(next, to: 3)
    #expect(throws: TrainingError.self) { _ = try teach(third, components: 3) }
  }
}
