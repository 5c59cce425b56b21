import ChorusPlans
import Foundation
import Testing

@Suite struct ExplanationTests {
  @Test func explanationTellsWhatIsCounted() throws {
    let plan = try PlanTemplate.blocks(of: 8).resolve(context: 128, targets: 64)
    let text = plan.explanation(rates: .example, capability: Plan.Capability(trainedBuffer: 16))
    for part in [
      "blocks(of:8)", "64 targets after 128", "blockwise independent", "min 0, mean 28.0, max 56",
      "each path has its own random order", "encode; draw 8 (8 times)", "the same: the rows read",
      "S = 8 ", "E = 248 ", "R = 35,132 ", "layers 498.0", "184 context and buffer rows",
      "to reencode: calls 0.13x, encodes 0.0241x, reads 0.0212x", "to sequential: calls 0.13x",
      "to one marginal pass: calls 8.0x", "warning     56 buffer rows exceed the 16",
      "blocks(of:8,capacity:16) merges in time",
    ] {
      #expect(text.contains(part), "\(part) is missing in\n\(text)")
    }
    #expect(!plan.explanation(rates: nil, capability: Plan.Capability(trainedBuffer: 56)).contains("warning"))
    #expect(!plan.explanation.contains("MFLOP"))
  }

  @Test func sparseAndVerifiedPlansTellMore() throws {
    let window = try PlanTemplate.window(sinks: 1, span: 2).resolve(context: 8, targets: 12)
    let text = window.explanation(rates: .example)
    for part in [
      "truncated", "min 0, mean 2.5, max 3", "reach it through buffer rows, in 6 layers",
      "window(sinks:1,span:2,strict) reads the same values as context", "more reaches a target than it reads",
      "b+++++++bb..",
    ] { #expect(text.contains(part), "\(part) is missing in\n\(text)") }
    let verified = try PlanTemplate.coarseToFineVerified.resolve(context: 8, targets: 16)
    let words = verified.explanation(rates: nil, acceptance: 1)
    for part in [
      "exact by verification", "encode; draw 1 (2 times); verify 2 by 2; verify 4 by 4; verify 8 by 8",
      "S = 16 network calls, at the worst", "S = 8.0 of a path", "the same for all paths: 0, 8, 4, 12, 2",
    ] { #expect(words.contains(part), "\(part) is missing in\n\(words)") }
    #expect(window.warnings(Plan.Capability(trainedBuffer: nil)).count == 2)
    #expect(try window.reencoded().warnings(Plan.Capability(trainedBuffer: 0)).isEmpty)
  }

  @Test(arguments: templates) func everyPlanExplainsItself(text: String) throws {
    for (context, targets) in [(0, 0), (0, 1), (7, 3), (128, 64), (5, 65)] {
      let plan = try PlanTemplate(parsing: text).resolve(context: context, targets: targets)
      let words = plan.explanation(rates: .example, paths: 3, capability: Plan.Capability(trainedBuffer: 1))
      let cost = try plan.cost(paths: 3)
      #expect(words.contains("S = \(cost.calls) network calls"))
      #expect(words.hasPrefix("plan        \(text)\n"))
      #expect(words.contains("picture") == (targets == 64 || targets == 3 || targets == 1))
      let row = try plan.explained(rates: .example, paths: 3)
      #expect(row.values.count == Plan.Explanation.columns.count)
      #expect(row.calls == cost.calls && row.encodes == cost.encodes && row.reads == cost.reads)
      #expect(row.plan == text && row.exactness == plan.exactness)
      #expect(row.flopsNominal == cost.work(.example).total)
      #expect((row.callsExpected != nil) == plan.requirements.rewind)
      #expect((row.order == "random") == (plan.order == .random))
    }
  }

  @Test func rowsAreTables() throws {
    let row = try PlanTemplate.window(sinks: 1, span: 2).resolve(context: 8, targets: 12)
      .explained(rates: .example)
    let values = Dictionary(uniqueKeysWithValues: zip(Plan.Explanation.columns, row.values))
    for key in [
      "calls", "encodes", "reads", "flops_nominal", "bytes", "peak_rows", "order", "exactness", "direct_min",
      "direct_mean", "direct_max", "effective_min", "effective_mean", "effective_max", "calls_to_reencode",
      "encodes_to_sequential", "reads_to_marginal",
    ] { #expect(values[key] != nil, "\(key)") }
    #expect(values["exactness"] == .text("truncated") && values["calls"] == .integer(12))
    #expect(values["direct_mean"] == .number(2.5) && values["calls_to_marginal"] == .number(12))
    #expect(values["acceptance"] == .missing)
    let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(row)) as? [String: Any]
    #expect(object?["peak_slots"] as? Int == 4 && object?["order"] as? String == "random")
    #expect(Set(object.map { Array($0.keys) } ?? []).isSubset(of: Plan.Explanation.columns))
    #expect(try JSONDecoder().decode(Plan.Explanation.self, from: JSONEncoder().encode(row)) == row)
  }

  @Test func whatCannotBeCountedIsSaid() throws {
    let plan = try PlanTemplate.sequential.resolve(context: Int.max, targets: 2)
    #expect(plan.explanation.contains("cannot be counted: the number of reads does not fit"))
    // The plan can be counted where the reference it is compared with cannot.
    let long = try PlanTemplate.independent.resolve(context: 1_000_000_000, targets: 20)
    #expect(long.explanation.contains("ratio       to reencode: cannot be counted"))
    #expect(try long.explained().readsToReencode == nil)
  }

  @Test func moreBufferRowsThanInTrainingIsAWarning() throws {
    func warnings(_ template: PlanTemplate) throws -> [String] {
      try template.resolve(context: 8, targets: 64).warnings(Plan.Capability(trainedBuffer: 16))
    }
    #expect(try warnings(.sequential).count == 1)
    #expect(try warnings(.coarseToFine).first?.contains("coarse-to-fine(r:4,capacity:16)") == true)
    #expect(try warnings(.sequential(capacity: 16)).isEmpty)
    #expect(try warnings(.coarseToFine(r: 4, capacity: 16)).isEmpty)
    #expect(try warnings(.speculative(draft: 8, capacity: 16)).isEmpty)
    #expect(try warnings(.reencode).isEmpty)
    #expect(try warnings(.independent).isEmpty)
    #expect(try warnings(.logSparse).count == 3)
  }

  @Test func exactnessClasses() throws {
    func exactness(_ text: String, _ targets: Int = 8) throws -> Plan.Exactness {
      try PlanTemplate(parsing: text).resolve(context: 3, targets: targets).exactness
    }
    for text in [
      "sequential", "reencode", "sequential(capacity:3)", "sequential(strict)", "window(sinks:0,span:7)",
    ] {
      #expect(try exactness(text) == .exactChain)
    }
    for text in ["blocks(of:3)", "independent", "coarse-to-fine(r:2)", "coarse-to-fine(r:2,strict)"] {
      #expect(try exactness(text) == .blockwiseIndependent)
    }
    for text in [
      "window(sinks:1,span:2)", "lineage(r:2)", "log-sparse", "random-sparse(reads:3)", "log-sparse(strict)",
    ] {
      #expect(try exactness(text) == .truncated)
    }
    for text in ["speculative(draft:3)", "coarse-to-fine-verified", "speculative(draft:2,capacity:4)"] {
      #expect(try exactness(text) == .exactByVerification)
    }
    #expect(try exactness("independent", 1) == .exactChain)
  }

  @Test func picture() throws {
    let plan = try PlanTemplate.sequential(capacity: 2).resolve(context: 3, targets: 4)
    let seen = plan.visibility.summary
    #expect((seen.minimum, seen.mean, seen.maximum) == (0, 1.5, 3))
    #expect(plan.visibility.picture == "....\nb...\ncc..\nccb.")
  }
}
