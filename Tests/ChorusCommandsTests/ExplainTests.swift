import ChorusPlans
import Foundation
import Testing

@testable import ChorusCommands

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ExplainTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
  }

  private func explain(_ more: String..., input: String? = nil) throws -> Outcome {
    try folder.start(["explain", "--context", "128", "--model", "m.safetensors"] + more, input: input).1()
  }

  /// The one row of a table, by column.
  private func row(_ outcome: Outcome) throws -> [String: Any] {
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
    return try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
  }

  /// The figures of the example table in the specification of plans.
  @Test func countsOfTheExampleTable() throws {
    for (plan, calls, encodes, reads) in [
      ("independent", 1, 192, 24_576), ("sequential", 64, 255, 36_672), ("reencode", 64, 10_272, 1_660_224),
      ("sequential(capacity:16)", 64, 732, 113_504), ("blocks(of:8)", 8, 248, 35_132),
      ("coarse-to-fine(r:4)", 10, 240, 33_534),
    ] {
      let row = try row(explain("--targets", "64", "--plan", plan, "--format", "jsonl"))
      #expect(row["plan"] as? String == plan)
      #expect(row["calls"] as? Int == calls)
      #expect(row["encodes"] as? Int == encodes)
      #expect(row["reads"] as? Int == reads)
      let flops = try (#require(row["flops_nominal"] as? Double), #require(row["flops_executed"] as? Double))
      #expect(flops.1 > 0 && flops.1 < flops.0)
      #expect(row["bytes"] as? Int ?? 0 > 0)
    }
  }

  @Test func severalPlansAsATable() throws {
    let outcome = try explain(
      "--targets", "8", "--paths", "3", "--plan", "independent; coarse-to-fine-verified(r:2);auto",
      "--acceptance", "1")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.rows.count == 4)
    #expect(
      outcome.output.hasPrefix(Plan.Explanation.columns.joined(separator: ",") + ",flops_executed,note\n"))
    let column = try #require(Plan.Explanation.columns.firstIndex(of: "calls_expected"))
    #expect(outcome.rows[1][column].isEmpty)
    #expect(Double(outcome.rows[2][column]) == 6)
    #expect(outcome.rows[3][0] == "sequential")
  }

  @Test func textForPeople() throws {
    let outcome = try explain("--targets", "12", "--plan", "coarse-to-fine(r:2)", "--format", "text")
    #expect(outcome.code == 0 && outcome.errors.isEmpty)
    for part in ["plan        coarse-to-fine(r:2)", "S = 5 ", "executed    ", "picture"] {
      #expect(outcome.output.contains(part), "\(outcome.output)")
    }
  }

  @Test func inputsOrderTheTargets() throws {
    try folder.write("x.csv", "x\n3\n-1\n2\n0\n")
    let outcome = try explain("--inputs", "x.csv", "--plan", "coarse-to-fine(r:2)", "--format", "text")
    #expect(
      outcome.output.contains("the same for all paths: 1, 2, 3, 0"), "\(outcome.output)\(outcome.errors)")
    let piped = try explain(
      "--inputs", "-", "--plan", "coarse-to-fine(r:2)", "--format", "text", input: folder.read("x.csv"))
    #expect(piped.output == outcome.output)
    try folder.write("xy.csv", "x,y\n0,0\n1,1\n0.5,0.5\n")
    let spread = try explain("--inputs", "xy.csv", "--plan", "coarse-to-fine", "--format", "text")
    #expect(spread.output.contains("the same for all paths: 0, 1, 2"))
    #expect(try explain("--inputs", "xy.csv", "--plan", "lineage(r:2)").code == 64)
    #expect(try explain("--inputs", "xy.csv", "--targets", "4").code == 64)
    #expect(try explain("--inputs", "none.csv").code == 66)
    try folder.write("bad.csv", "x\n1\nfoo\n")
    #expect(try explain("--inputs", "bad.csv").code == 65)
  }

  @Test func badRequests() throws {
    #expect(try explain().code == 64)
    #expect(try explain("--targets", "-1").code == 64)
    #expect(try explain("--targets", "2000000").code == 64)
    #expect(try explain("--targets", "4", "--paths", "0").code == 64)
    #expect(try explain("--targets", "4", "--acceptance", "2").code == 64)
    let unknown = try explain("--targets", "4", "--plan", "fast")
    #expect(unknown.code == 64 && unknown.errors.contains("no plan is named 'fast'"))
  }

  @Test func anEmptyContextIsOneRow() throws {
    let none = try folder.chorus(
      "explain", "--context", "0", "--targets", "4", "--model", "m.safetensors", "--format", "jsonl")
    #expect(try row(none)["encodes"] as? Int == 1 + 7)
  }
}
