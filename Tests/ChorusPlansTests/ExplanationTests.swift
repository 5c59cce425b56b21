import ChorusPlans
import Testing

@Suite struct ExplanationTests {
  @Test func explanationTellsWhatIsCounted() throws {
    let plan = try PlanTemplate.blocks(of: 8).resolve(context: 128, targets: 64)
    let text = plan.explanation(size: .example, trainedCapacity: 16)
    for part in [
      "blocks(of:8)", "64 targets after 128", "blockwise independent", "min 0, mean 28.0, max 56",
      "S = 8 ", "E = 248 ", "R = 35,132 ", "layers 498.0", "184 context and buffer rows",
      "to reencode: calls 0.13x, encodes 0.0241x, reads 0.0212x", "to sequential: calls 0.13x",
      "to one marginal pass: calls 8.0x", "warning     56 buffer rows exceed the 16",
    ] {
      #expect(text.contains(part), "\(part) is missing in\n\(text)")
    }
    #expect(!plan.explanation(size: nil, trainedCapacity: 56).contains("warning"))
    #expect(!plan.explanation.contains("MFLOP"))
  }

  @Test func everyPlanExplainsItself() throws {
    for form in PlanTemplate.forms {
      for (context, targets) in [(0, 0), (0, 1), (7, 3), (128, 64), (5, 65)] {
        let plan = try PlanTemplate(parsing: form).resolve(context: context, targets: targets)
        let text = plan.explanation(size: .example, paths: 3, trainedCapacity: 1)
        let cost = try plan.cost(paths: 3)
        #expect(text.contains("S = \(cost.calls) network calls"))
        #expect(text.hasPrefix("plan        \(form)\n"))
        #expect(text.contains("picture") == (targets == 64 || targets == 3 || targets == 1))
      }
    }
  }

  @Test func whatCannotBeCountedIsSaid() throws {
    let plan = try PlanTemplate.sequential.resolve(context: Int.max, targets: 2)
    #expect(plan.explanation.contains("cannot be counted: the number of reads does not fit"))
    // The plan can be counted where the reference it is compared with cannot.
    let long = try PlanTemplate.independent.resolve(context: 0, targets: 4_000_000)
    #expect(long.explanation.contains("ratio       to reencode: cannot be counted"))
  }

  @Test func moreBufferRowsThanInTrainingIsAWarning() throws {
    func warnings(_ template: PlanTemplate) throws -> [String] {
      try template.resolve(context: 8, targets: 64).warnings(trainedCapacity: 16)
    }
    #expect(try warnings(.sequential).count == 1)
    #expect(try warnings(.sequential(capacity: 16)).isEmpty)
    #expect(try warnings(.reencode).isEmpty)
    #expect(try warnings(.independent).isEmpty)
  }
}
