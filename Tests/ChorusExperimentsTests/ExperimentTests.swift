import ChorusData
import ChorusEvaluation
import ChorusModels
import ChorusPriors
import ChorusStorage
import ChorusTensors
import ChorusTraining
import Foundation
import Testing

@testable import ChorusExperiments

/// A folder that goes when the test ends.
private final class ScratchFolder {
  let path = NSTemporaryDirectory() + "chorus-experiments-" + UUID().uuidString
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

private let small = """
  {"name": "small", "title": "Two networks", "tasks": 24,
   "training": {"prior": "gp", "batch": 4, "context": [2, 8], "buffers": [4], "targets": 4, "validateEvery": 3,
     "checkpointEvery": 2, "validationTasks": 2,
     "blueprint": {"version": 2, "width": 16, "layers": 2, "heads": 2, "feedForward": 16, "embedderHidden": 16,
       "headHidden": 16, "trainedBuffer": 4, "head": {"name": "mixture", "components": 3}}},
   "networks": [{"name": "buffer"},
     {"name": "joint", "change": {"buffers": [0], "blueprint": {"family": "joint",
       "head": {"name": "joint-gaussian", "rank": 2}}}}],
   "evaluation": {"prior": "gp", "contexts": [3, 6], "seed": 5, "sizes": [{"targets": 3, "functions": 4, "orders": 2}]},
   "columns": [{"name": "K=4", "network": "buffer", "plan": "sequential(capacity:4)"},
     {"name": "AR", "network": "buffer", "plan": "reencode"},
     {"name": "copula", "network": "buffer", "law": "copula"},
     {"name": "gap", "network": "buffer", "law": "orderGap", "orders": 3},
     {"name": "ND", "network": "joint", "plan": "sequential"}],
   "paper": {"3": {"AR": [2.5, 0.1]}}}
  """

private func experiment(_ text: String = small) throws -> Experiment {
  try Experiment(Data(text.utf8), path: "small.json")
}

private func scores(in folder: String) throws -> String {
  // How long it took differs from run to run.
  try String(contentsOfFile: folder + "/scores.jsonl", encoding: .utf8)
    .replacing(/"seconds":[^,}]*/, with: "")
}

@Suite struct ExperimentTests {
  @Test func networksShareWhatTheyDoNotChange() throws {
    let read = try experiment()
    let (buffer, joint) = (read.networks[0].configuration, read.networks[1].configuration)
    #expect(buffer.context == [2, 8] && joint.context == [2, 8] && joint.buffers == [0])
    #expect(buffer.blueprint.width == joint.blueprint.width && joint.blueprint.family == .joint)
    #expect(joint.blueprint.head.name == "joint-gaussian", "a named object is taken whole")
    #expect(read.paper["3"]?["AR"] == Experiment.Figure(mean: 2.5, standardError: 0.1))
  }

  @Test(arguments: [
    (#""title""#, #""titel""#, "titel"), (#""reencode""#, #""reincode""#, "reincode"),
    (#""network": "joint""#, #""network": "jiont""#, "jiont"),
    (#""buffers": [0]"#, #""bufers": [0]"#, "bufers"),
    (#""prior": "gp", "contexts""#, #""prior": "pg", "contexts""#, "pg"),
    (#""functions": 4"#, #""functions": 0"#, "functions"), (#""tasks": 24"#, #""tasks": 0"#, "tasks"),
    (#""name": "small""#, #""name": "../small""#, "../small"), (#"[2.5, 0.1]"#, "[2.5]", "paper"),
  ])
  func whatIsWrongInAFileIsNamed(_ what: String, _ by: String, _ named: String) throws {
    let text = small.replacing(what, with: by, maxReplacements: 1)
    #expect(text != small)
    let error = #expect(throws: ExperimentError.self) { try experiment(text) }
    #expect(error?.description.contains(named) ?? false)
    #expect(error?.description.hasPrefix("small.json: ") ?? false)
  }

  /// Stopped in the middle of training and of scoring, a run ends with the bytes of one that was not.
  @Test func aStoppedRunGoesOn() throws {
    let (whole, parts) = (ScratchFolder(), ScratchFolder())
    let read = try experiment()
    let run = try ExperimentRun(read, folder: whole.path, on: ThreadPool(threads: 2))
    #expect(try run.train(stop: { false }, report: { _, _, _ in }))
    #expect(try run.score(stop: { false }, report: { _, _, _ in }))
    var steps = 0
    var stopped = 0
    for _ in 0..<40 {
      let again = try ExperimentRun(read, folder: parts.path, on: ThreadPool(threads: 1))
      func stop() -> Bool {
        steps += 1
        // Once in training; then there is time for one more column before the next.
        return steps == 5 || steps % 19 == 0
      }
      guard try again.train(stop: stop, report: { _, _, _ in }),
        try again.score(stop: stop, report: { _, _, _ in })
      else {
        stopped += 1
        continue
      }
      break
    }
    #expect(stopped > 1)
    #expect(try scores(in: whole.path) == scores(in: parts.path))
    // A second run finds everything done.
    var more = 0
    #expect(try run.score(stop: { false }, report: { _, _, _ in more += 1 }))
    #expect(more == 0)
  }

  @Test func theTableIsOverTasksAndPairedWithTheOracle() throws {
    let folder = ScratchFolder()
    let read = try experiment()
    let run = try ExperimentRun(read, folder: folder.path, seeds: 2, on: ThreadPool(threads: 2))
    #expect(try run.train(stop: { false }, report: { _, _, _ in }))
    #expect(try run.score(stop: { false }, report: { _, _, _ in }))
    let scored = run.scored()
    let table = ExperimentTable(read, scored)
    // Five columns and two oracles, of two context sizes and of all.
    #expect(table.rows.count == 21)
    let gap = try #require(table.rows.first { $0.column == "gap" && $0.context == nil })
    #expect(abs(gap.logDensity.mean) < 1e-4, "a set has no order")
    let all = try #require(table.rows.first { $0.column == "AR" && $0.context == nil })
    #expect(all.seeds == 2 && all.functions == 16 && all.paper?.mean == 2.5 && all.betweenSeeds != nil)
    let own = scored.filter { $0.column == "AR" }.flatMap(\.values)
    #expect(abs(all.logDensity.mean - own.reduce(0, +) / 16) < 1e-9)
    let oracle = try #require(table.rows.first { $0.column == ExperimentRun.oracle && $0.context == nil })
    let distance = try #require(all.toOracle)
    #expect(abs(distance.mean - (oracle.logDensity.mean - all.logDensity.mean)) < 1e-9)
    #expect(distance.mean > 0, "no network is better than the truth")
    #expect(run.trainingLog(of: "buffer", seed: 2).entries.last?.tasks == 24)
  }

  /// A model that is asked where it lies says what it says as a network of the experiment, once however many seeds there are.
  @Test func columnsAskModelsThatAreThere() throws {
    let (first, second) = (ScratchFolder(), ScratchFolder())
    let trained = try ExperimentRun(experiment(), folder: first.path, on: ThreadPool(threads: 2))
    #expect(try trained.train(stop: { false }, report: { _, _, _ in }))
    #expect(try trained.score(stop: { false }, report: { _, _, _ in }))
    let text = """
      {"name": "there", "title": "A model that is there",
       "evaluation": {"prior": "gp", "contexts": [3, 6], "seed": 5,
         "sizes": [{"targets": 3, "functions": 4, "orders": 2}]},
       "columns": [
         {"name": "K=4", "model": "\(first.path)/buffer-seed1/model.safetensors", "plan": "sequential(capacity:4)"}]}
      """
    let asking = try ExperimentRun(
      experiment(text), folder: second.path, seeds: 2, on: ThreadPool(threads: 2))
    #expect(try asking.train(stop: { false }, report: { _, _, _ in }))
    var told: [Int] = []
    #expect(try asking.score(stop: { false }, report: { _, _, total in told.append(total) }))
    #expect(told.last == 2)
    let (a, b) = (trained.scored(), asking.scored())
    #expect(b.filter { $0.column == "K=4" }.map(\.values) == a.filter { $0.column == "K=4" }.map(\.values))
    #expect(ExperimentTable(asking.experiment, b).rows.last?.seeds == 1)
    for wrong in [#""network": "K""#, #""network": "buffer", "model": "gp""#, #""modle": "gp""#] {
      let error = #expect(throws: ExperimentError.self) {
        try experiment(text.replacing(/"model": "[^"]*"/, with: wrong))
      }
      #expect(error?.description.contains("'K=4'") ?? false || wrong.contains("modle"))
    }
    let missing = try experiment(text.replacing(/"model": "[^"]*"/, with: #""model": "./none.safetensors""#))
    #expect(throws: ModelError.self) {
      try ExperimentRun(missing, folder: second.path, on: ThreadPool(threads: 1))
        .score(stop: { false }, report: { _, _, _ in })
    }
  }

  /// A density of 0 is kept as such, and its mean is not told.
  @Test func densitiesOfZeroAreKept() throws {
    let folder = ScratchFolder()
    let run = try ExperimentRun(experiment(), folder: folder.path, on: ThreadPool(threads: 1))
    let scores = ExperimentRun.Scores(
      column: "AR", targets: 3, layout: .random, context: 3, seed: 1, model: "", orders: 2,
      values: [-.infinity, 1, 2, 0.5], seconds: 1)
    let log = LineLog(path: folder.path + "/scores.jsonl")
    try log.append(json: scores)
    #expect(run.scored().map(\.values) == [scores.values])
    #expect(ExperimentTable(run.experiment, run.scored()).rows[0].logDensity.mean == -.infinity)
    _ = try ExperimentRun(experiment(), folder: folder.path, on: ThreadPool(threads: 1))
    #expect(run.scored().count == 1, "a line that can be read stays")
  }

  @Test func anotherNumberOfTasksIsRefused() throws {
    let folder = ScratchFolder()
    let read = try experiment()
    let pool = ThreadPool(threads: 1)
    _ = try ExperimentRun(read, folder: folder.path, tasks: 16, on: pool)
    #expect(try ExperimentRun(read, folder: folder.path, on: pool).tasks == 16)
    #expect(throws: ExperimentError.self) {
      try ExperimentRun(read, folder: folder.path, tasks: 24, on: pool)
    }
    #expect(try ExperimentRun.tasks(within: 0.001, read, seeds: 1, on: pool) >= 1000)
  }

  /// Sequences are asked about in their order, each value behind what the column's plan shows it.
  @Test func sequencesReadWhatAPlanShowsThem() throws {
    let text = #"""
      {"name": "sequences", "title": "Reads", "tasks": 16,
       "training": {"prior": "deep-temporal", "batch": 4, "context": [0, 0], "buffers": [0], "targets": 24,
         "validateEvery": 4, "checkpointEvery": 4, "validationTasks": 2,
         "blueprint": {"version": 2, "family": "sequence", "width": 16, "layers": 2, "heads": 2, "feedForward": 16,
           "embedderHidden": 16, "headHidden": 16, "parts": {"rotary": {"base": 1000, "pairing": "halves"}},
           "head": {"name": "categorical", "levels": 5}}},
       "networks": [{"name": "full"}, {"name": "periods", "change": {"blueprint": {"trainedReads": "periods(r:8)"}}}],
       "evaluation": {"prior": "deep-temporal", "contexts": [0, 8], "seed": 5,
         "sizes": [{"targets": 16, "functions": 3, "orders": 1}]},
       "columns": [{"name": "full", "network": "full", "plan": "sequential(order:given)"},
         {"name": "cut", "network": "full", "plan": "periods(r:8)"},
         {"name": "periods", "network": "periods", "plan": "periods(r:8)"}]}
      """#
    let folder = ScratchFolder()
    let run = try ExperimentRun(experiment(text), folder: folder.path, on: ThreadPool(threads: 2))
    #expect(try run.train(stop: { false }, report: { _, _, _ in }))
    #expect(try run.score(stop: { false }, report: { _, _, _ in }))
    let table = ExperimentTable(run.experiment, run.scored())
    func mean(_ column: String) -> Double? {
      table.rows.first { $0.column == column && $0.context == 8 }?.logDensity.mean
    }
    let (full, cut) = (try #require(mean("full")), try #require(mean("cut")))
    #expect(full != cut && abs(full - cut) < 0.5 && abs(full + log(5)) < 1)
    #expect(try #require(mean("oracle")) > full && mean("periods") != cut)
    // By hand: the last sixteen of twenty-four values.
    let model = try Model(path: folder.path + "/full-seed1/model.safetensors")
    let values = try (0..<3).map { index in
      let task = try TaskGenerator(DeepTemporalPrior(), seed: 5, domain: .evaluation).task(
        index, step: 8, shape: TaskShape(context: 8, targets: 16))
      let own = try model.network.logDensities(inOrder: task.y.map { Float($0) }, reading: .periods(r: 8))
      return own.suffix(16).reduce(0, +) / 16
    }
    #expect(abs(cut - values.reduce(0, +) / 3) < 1e-9)
  }

  /// The files that come with Chorus.
  @Test func theExperimentsOfThisRepositoryCanBeRead() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Experiments")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "json" }
    #expect(!files.isEmpty)
    for file in files {
      let read = try Experiment(Data(contentsOf: file), path: file.lastPathComponent)
      #expect(read.name + ".json" == file.lastPathComponent)
      // Equal terms: no network has twice another's parameters.
      let sizes = try read.networks.map { try Declaration($0.configuration.blueprint).table.count }
      #expect(sizes.isEmpty || (sizes.max() ?? 0) < 2 * (sizes.min() ?? 0), "\(read.name): \(sizes)")
    }
  }
}
