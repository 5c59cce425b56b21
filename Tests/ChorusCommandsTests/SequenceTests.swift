import Foundation
import Testing

@testable import ChorusCommands

/// A model that predicts each value from those before it goes through the commands: it does what it can, and a refusal names
/// what would do.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct SequenceTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.write(
      "c.json",
      """
      {"prior": "gp", "steps": 2, "batch": 2, "context": [4, 8], "buffers": [4], "targets": 4, "validationTasks": 2,
       "blueprint": {"version": 2, "family": "sequence", "memories": ["retention"], "width": 16, "layers": 1, "heads": 2,
                     "feedForward": 16, "embedderHidden": 16, "headHidden": 16, "scaling": "standardise",
                     "head": {"name": "mixture", "components": 3}, "trainedBuffer": 4}}
      """)
    let trained = try folder.chorus("train", "c.json", "--out", "run", "--quiet")
    #expect(trained.code == 0, "\(trained.errors)")
    let rows = (0..<40).map { "\($0),\(Double($0 * 37 % 11) / 7)" }
    try folder.write("s.csv", "t,level\n" + rows.joined(separator: "\n") + "\n")
  }

  private let columns = ["--input", "t", "--target", "level", "--model", "run/model.safetensors"]

  private func run(_ command: String, _ more: [String], columns: [String]? = nil) throws -> Outcome {
    try folder.start([command] + (command == "explain" ? [] : ["s.csv"]) + (columns ?? self.columns) + more)
      .1()
  }

  @Test func predictsAndScores() throws {
    let inOrder = "sequential(order:given)"
    let asked = try run("predict", ["--horizon", "6", "--plan", inOrder])
    #expect(asked.code == 0 && asked.rows.count == 7, "\(asked.errors)")
    #expect(
      !asked.output.contains("merges instead") && asked.output.contains("the model was trained on up to 4"))
    #expect(try run("predict", ["--horizon", "6", "--plan", "auto"]).output == asked.output)
    let sums = try run("predict", ["--horizon", "6", "--plan", "auto", "--functional", "sum"])
    #expect(sums.code == 0 && sums.rows.dropFirst().map { $0[1] } == ["joint"], "\(sums.errors)")

    let more = ["--last", "6", "--repetitions", "3", "--samples", "20", "--plan"]
    let scored = try run("score", more + [inOrder, "--format", "jsonl", "--output", "v.csv"])
    #expect(scored.code == 0 && !scored.errors.contains("nan"), "\(scored.errors)")
    #expect(try run("score", more + ["auto", "--format", "jsonl"]).output == scored.output)
    let lines = try scored.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    for line in lines {
      for known in ["buffer", "crps", "energy_buffer", "variogram_buffer", "coverage_90"] {
        #expect(line[known] is Double, "\(known)")
      }
      for unknown in ["independent", "buffer_minus_independent", "energy_independent"] {
        #expect(line[unknown] is NSNull, "\(unknown)")
      }
    }
    let values = try folder.read("v.csv").split(separator: "\n")
    #expect(values.count == 19 && values.dropFirst().allSatisfy { $0.hasSuffix(",") })
    let claims = try run("score", more + ["auto", "--functional", "sum,max"])
    #expect(claims.code == 0 && claims.rows.dropFirst().map { $0[1] } == ["joint", "joint"])
    let report = try run("report", ["--horizon", "6", "--plan", "auto", "--output", "r.html"])
    #expect(report.code == 0, "\(report.errors)")
    let page = try folder.read("r.html")
    #expect(page.contains("8 of the rows, the last ones") && !page.contains("Independent draws"))
    let explained = try run(
      "explain", ["--context", "9", "--targets", "6", "--plan", "auto"], columns: Array(columns.suffix(2)))
    #expect(explained.code == 0 && explained.output.contains(inOrder), "\(explained.errors)")
  }

  /// No refusal names the plan that was asked for, and a plan that it names runs.
  @Test func refusalsNameWhatWouldDo() throws {
    let model = Array(columns.suffix(2))
    for plan in [
      "sequential", "independent", "reencode", "sequential(capacity:4)", "blocks(of:3)", "log-sparse",
    ] {
      for (command, more, columns) in [
        ("predict", ["--horizon", "6"], columns), ("score", ["--last", "6", "--samples", "5"], columns),
        ("report", ["--horizon", "6", "--output", "r.html"], columns),
        ("explain", ["--context", "9", "--targets", "6"], model),
      ] {
        let outcome = try run(command, more + ["--plan", plan], columns: columns)
        #expect(outcome.code == 64 && outcome.output.isEmpty, "\(command) \(plan): \(outcome.errors)")
        #expect(outcome.errors.contains("the model runs the plan sequential(order:given)"))
        #expect(!outcome.errors.contains("as context"))
      }
    }
    let held = try run("score", ["--holdout", "0.2", "--plan", "auto"])
    #expect(held.code == 65 && held.errors.contains("hold out the last rows (--last 12)"))
    let latent = try run("predict", ["--horizon", "6", "--plan", "auto", "--latent"])
    #expect(latent.code == 65 && latent.errors.contains("draw values with noise"))
    let exact = try folder.start(["evaluate", "--prior", "gp"] + model).1()
    #expect(exact.code == 65 && exact.errors.contains("predicts each value from those before it"))
  }
}
