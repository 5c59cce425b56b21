import Chorus
import Foundation
import Testing

/// Files of every version that has landed stay readable, and answer as they did. A new version of a format adds a folder; none
/// is ever changed.
///
/// Each folder holds a small model, a context that it encoded (`chorus condition Examples/mcycle.csv`), five paths through the
/// points 1, 8 … 50 under seed 0 (`chorus predict --context … --at 1..50/7 --samples 5`), and a training run. That of version 3 is told
/// of a series and of paths (`joins`), and its values lie within -200 and 200.
@Suite struct FrozenTests {
  static let versions = ["1", "2", "3"]

  private func folder(_ version: String) throws -> String {
    try #require(Bundle.module.path(forResource: version, ofType: nil, inDirectory: "Frozen"))
  }

  @Test(arguments: versions) func contextsAnswerAsTheyDid(version: String) throws {
    let folder = try folder(version)
    let model = try Model(path: folder + "/model.safetensors")
    let posterior = try Posterior(contentsOf: folder + "/context.safetensors", model: model)
    let text = try String(contentsOfFile: folder + "/paths.csv", encoding: .utf8)
    let rows = text.split(separator: "\n").dropFirst().map {
      $0.split(separator: ",").compactMap { Double($0) }
    }
    #expect(rows.count == 40)
    let drawn = try posterior.sample(
      5, at: Inputs(stride(from: 1, through: 50, by: 7).map(Double.init)), seed: 0)
    for (index, value) in rows.map({ $0[3] }).enumerated() {
      // Written by one instruction set, perhaps read by another.
      #expect(abs(drawn.paths[index / 8][index % 8] - value) < 1e-3 * max(1, abs(value)), "value \(index)")
    }
    // A context is still bound to its model, whatever words the version had for it.
    let other = try Model(named: "functions")
    #expect(throws: InferenceError.self) {
      try Posterior(contentsOf: folder + "/context.safetensors", model: other)
    }
  }

  /// A model of tables, a table of 30 rows of which the last four lack `y`, and five paths (`chorus predict rows.csv --target y
  /// --samples 5`).
  @Test func tablesAnswerAsTheyDid() throws {
    let folder = try folder("tables-1")
    func cells(_ name: String) throws -> [[String]] {
      let text = try String(contentsOfFile: folder + name, encoding: .utf8)
      return text.split(separator: "\n").dropFirst().map { $0.components(separatedBy: ",") }
    }
    let rows = try cells("/rows.csv").map { row in
      row.enumerated().map { column, text in
        column == 2 ? Double(["x", "y", "z"].firstIndex(of: text) ?? 0) : Double(text) ?? .nan
      }
    }
    // The network alone: since then a process draws some of the paths.
    let all = try Cells(rows.map { Array($0.prefix(3)) }, categories: [false, false, true])
    let known = rows.indices.filter { !rows[$0][3].isNaN }
    let asked = rows.indices.filter { rows[$0][3].isNaN }
    let table = try Model(path: folder + "/model.safetensors").condition(
      on: all.rows(known), y: known.map { rows[$0][3] }, share: 0)
    var stream = RandomStream(seed: 0, .paths, 0)
    let drawn = try table.sample(5, at: all.rows(asked), seed: stream.nextUInt64())
    for (index, row) in try cells("/paths.csv").enumerated() {
      let value = try #require(Double(row[2]))
      #expect(abs(drawn.paths[index / 4][index % 4] - value) < 1e-3 * max(1, abs(value)), "value \(index)")
    }
  }

  @Test(arguments: versions + ["tables-1"]) func runsGoOn(version: String) throws {
    let work = NSTemporaryDirectory() + "chorus-frozen-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: work) }
    try FileManager.default.copyItem(atPath: folder(version) + "/run", toPath: work)
    var configuration = try Run.configuration(in: work)
    #expect(
      configuration.prior == (version == "tables-1" ? "tables" : "functions") && configuration.steps == 6)
    configuration.steps = 8
    let run = try Run(
      configuration, prior: Priors.named(configuration.prior), folder: work, resume: true,
      on: ThreadPool(threads: 2))
    #expect(run.trainer.step == 6 && run.skipped.isEmpty)
    try run.train(card: [:], stop: { false }, report: { _ in })
    #expect(run.trainer.step == 8)
    #expect(try Model(path: run.modelPath).blueprint == configuration.blueprint)
  }
}
