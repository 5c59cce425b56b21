import ChorusPlans
import Foundation
import Testing

@Suite struct TemplateTests {
  @Test(arguments: [
    (PlanTemplate.independent, "independent"), (.sequential, "sequential"),
    (.sequential(capacity: 16), "sequential(capacity:16)"), (.reencode, "reencode"),
    (.blocks(of: 8), "blocks(of:8)"),
  ])
  func textForms(template: PlanTemplate, text: String) throws {
    #expect(template.description == text)
    #expect(try PlanTemplate(parsing: text) == template)
    let coded = try JSONEncoder().encode([template])
    #expect(String(decoding: coded, as: UTF8.self) == "[\"\(text)\"]")
    #expect(try JSONDecoder().decode([PlanTemplate].self, from: coded) == [template])
  }

  @Test func everyListedFormParses() throws {
    for form in PlanTemplate.forms { #expect(try PlanTemplate(parsing: form).description == form) }
  }

  @Test func spacesAreAllowed() throws {
    #expect(try PlanTemplate(parsing: "  blocks ( of : 8 ) ") == .blocks(of: 8))
    #expect(try PlanTemplate(parsing: "sequential(capacity: 4)") == .sequential(capacity: 4))
  }

  @Test(arguments: [
    ("", PlanTextError.Problem.unknownName("")), ("sequentail", .unknownName("sequentail")),
    ("blocks", .badArguments("")), ("blocks(8)", .badArguments("(8)")),
    ("blocks(of:8", .badArguments("(of:8")),
    ("blocks(of:0)", .badNumber("0")), ("blocks(of:-1)", .badNumber("-1")), ("blocks(of:x)", .badNumber("x")),
    ("sequential(capacity:99999999999999999999)", .badNumber("99999999999999999999")),
    ("sequential()", .badArguments("()")), ("sequential(", .badArguments("(")),
    ("independent(of:2)", .badArguments("(of:2)")), ("(", .unknownName("")), (")", .unknownName(")")),
    ("sequential(of:2)", .badArguments("(of:2)")), ("blocks(of:8))", .badNumber("8)")),
    ("Blocks(of:8)", .unknownName("Blocks")),
  ])
  func badTexts(text: String, problem: PlanTextError.Problem) throws {
    let error = try #require(throws: PlanTextError.self) { try PlanTemplate(parsing: text) }
    #expect(error.text == text)
    #expect(error.problem == problem)
    #expect(error.description.contains("'\(text)'"))
    for form in PlanTemplate.forms { #expect(error.description.contains(form)) }
  }

  @Test func badTextInJSONIsADecodingError() {
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([PlanTemplate].self, from: Data("[\"blocks(of:0)\"]".utf8))
    }
  }

  @Test func impossibleSizesAreRefused() {
    let block = PlanError.outOfRange(name: "block size", value: 0, allowed: 1...Int.max)
    #expect(throws: block) { try PlanTemplate.blocks(of: 0).resolve(context: 1, targets: 4) }
    let capacity = PlanError.outOfRange(name: "capacity", value: -3, allowed: 1...Int.max)
    #expect(throws: capacity) { try PlanTemplate.sequential(capacity: -3).resolve(context: 1, targets: 4) }
    for targets in [-1, Int.min, Plan.maximumTargets + 1, Int.max] {
      let error = PlanError.outOfRange(name: "targets", value: targets, allowed: 0...Plan.maximumTargets)
      #expect(throws: error) { try PlanTemplate.independent.resolve(context: 1, targets: targets) }
    }
    let context = PlanError.outOfRange(name: "context", value: -1, allowed: 0...Int.max)
    #expect(throws: context) { try PlanTemplate.independent.resolve(context: -1, targets: 1) }
  }

  @Test func noTargetsNoSteps() throws {
    for form in PlanTemplate.forms {
      let plan = try PlanTemplate(parsing: form).resolve(context: 5, targets: 0)
      #expect(plan.calls.isEmpty && plan.steps.isEmpty && plan.densityPasses.isEmpty)
      #expect(try plan.cost().encodes == 0)
    }
  }

  @Test func blocksWithALastShortOne() throws {
    let plan = try PlanTemplate.blocks(of: 3).resolve(context: 2, targets: 7)
    #expect(
      plan.steps == [
        .encode, .predict(0..<3, reads: .none),
        .commit(0..<3, reads: .none), .predict(3..<6, reads: .prefix(3)),
        .commit(3..<6, reads: .prefix(3)), .predict(6..<7, reads: .prefix(6)),
      ])
    #expect(plan.calls.map(\.commit) == [0..<0, 0..<3, 3..<6])
    #expect(plan.calls.map(\.limit) == [0, 3, 6])
    #expect(plan.calls.map(\.encodes) == [true, false, false])
    #expect(plan.peakBufferRows == 6)
  }

  @Test func sequentialMergesWhenTheBufferIsFull() throws {
    let plan = try PlanTemplate.sequential(capacity: 2).resolve(context: 2, targets: 5)
    #expect(
      plan.steps == [
        .encode, .predict(0..<1, reads: .none), .commit(0..<1, reads: .none),
        .predict(1..<2, reads: .prefix(1)), .merge, .predict(2..<3, reads: .none),
        .commit(2..<3, reads: .none), .predict(3..<4, reads: .prefix(1)), .merge,
        .predict(4..<5, reads: .none),
      ])
    #expect(plan.calls.map(\.merge) == [0..<0, 0..<0, 0..<2, 2..<2, 2..<4])
    #expect(plan.calls.map(\.merged) == [0, 0, 2, 2, 4])
    #expect(plan.densityPasses.map(\.merged) == [0..<0, 0..<2, 0..<4])
    #expect(plan.densityPasses.map(\.buffered) == [0..<1, 2..<3, 4..<4])
    #expect(plan.densityPasses.map(\.positions) == [0..<2, 2..<4, 4..<5])
    #expect(plan.densityPasses.map(\.limits) == [[0, 1], [0, 1], [0]])
  }

  @Test(arguments: [1, 2, 3, 8, 13, 64])
  func degenerateEqualities(targets: Int) throws {
    func calls(_ template: PlanTemplate) throws -> [Plan.Call] {
      try template.resolve(context: 9, targets: targets).calls
    }
    #expect(try calls(.blocks(of: 1)) == calls(.sequential))
    #expect(try calls(.blocks(of: targets)) == calls(.independent))
    #expect(try calls(.blocks(of: Int.max)) == calls(.independent))
    #expect(try calls(.sequential(capacity: 1)) == calls(.reencode))
    #expect(try calls(.sequential(capacity: targets)) == calls(.sequential))
  }

  @Test func aMillionTargets() throws {
    let targets = 1_000_000
    let plan = try PlanTemplate.sequential.resolve(context: 1000, targets: targets)
    #expect(plan.visibility.runs.count == targets)
    #expect(plan.densityPasses.count == 1)
    #expect(plan.visibility.direct(of: targets - 1)?.count == targets - 1)
    let cost = try plan.cost()
    #expect(cost.encodes == 1000 + 2 * targets - 1)
    #expect(cost.reads == 1_000_000 + (2 * targets - 1) * 1000 + targets * (targets - 1))
  }
}
