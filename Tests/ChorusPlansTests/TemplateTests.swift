import ChorusPlans
import Foundation
import Testing

@Suite struct TemplateTests {
  @Test(arguments: [
    (PlanTemplate.independent, "independent"), (.sequential, "sequential"),
    (.sequential(capacity: 16), "sequential(capacity:16)"), (.reencode, "reencode"),
    (.blocks(of: 8), "blocks(of:8)"), (.blocks(of: 8, capacity: 24), "blocks(of:8,capacity:24)"),
    (.coarseToFine, "coarse-to-fine(r:4)"),
    (.coarseToFine(r: 3, anchors: 5, capacity: 7), "coarse-to-fine(r:3,anchors:5,capacity:7)"),
    (.coarseToFine(r: 4, reads: 64), "coarse-to-fine(r:4,reads:64)"),
    (.lineage(r: 2), "lineage(r:2)"), (.window(sinks: 0, span: 3), "window(sinks:0,span:3)"),
    (.logSparse, "log-sparse"), (.randomSparse(reads: 8), "random-sparse(reads:8)"),
    (.periods(r: 8), "periods(r:8)"),
    (.speculative(draft: 8), "speculative(draft:8)"), (.auto, "auto"),
    (.speculative(draft: 8, capacity: 16), "speculative(draft:8,capacity:16)"),
    (.coarseToFineVerified, "coarse-to-fine-verified(r:2)"),
    (.coarseToFineVerified(r: 4, anchors: 2), "coarse-to-fine-verified(r:4,anchors:2)"),
    (.sequential.ordered(.leftToRight), "sequential(order:left-to-right)"),
    (.reencode.ordered(.given), "reencode(order:given)"),
    (.sequential(capacity: 2).ordered(.coarseToFine), "sequential(capacity:2,order:coarse-to-fine)"),
  ])
  func textForms(template: PlanTemplate, text: String) throws {
    #expect(template.description == text)
    #expect(try PlanTemplate(parsing: text) == template)
    let coded = try JSONEncoder().encode([template])
    #expect(String(decoding: coded, as: UTF8.self) == "[\"\(text)\"]")
    #expect(try JSONDecoder().decode([PlanTemplate].self, from: coded) == [template])
  }

  /// The values of the last one's period, and the ends of those before.
  @Test func periodsAreReadBehindTheirEnds() throws {
    let seen = try PlanTemplate.periods(r: 4).resolve(context: 0, targets: 14).visibility.direct
    let wanted: [[Int]] = [
      [], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [3, 4], [3, 4, 5], [3, 4, 5, 6], [3, 4, 5, 6, 7], [3, 7, 8],
      [3, 7, 8, 9], [3, 7, 8, 9, 10], [3, 7, 8, 9, 10, 11], [3, 7, 11, 12],
    ]
    #expect(seen.map { $0.buffer.ranges.flatMap { Array($0) } } == wanted)
  }

  @Test func everyListedFormParses() throws {
    for form in PlanTemplate.forms { #expect(try PlanTemplate(parsing: form).description == form) }
    for text in templates { #expect(try PlanTemplate(parsing: text).description == text) }
    for name in Set(PlanTemplate.forms.map { $0.prefix { $0 != "(" } }) {
      #expect(PlanTemplate.forms.contains { $0.hasPrefix(name) })
    }
  }

  @Test func plainFormsAndStrictOnes() throws {
    #expect(try PlanTemplate(parsing: "coarse-to-fine") == .coarseToFine)
    #expect(try PlanTemplate(parsing: "coarse-to-fine-verified") == .coarseToFineVerified)
    #expect(try PlanTemplate(parsing: "coarse-to-fine(capacity:9)") == .coarseToFine(r: 4, capacity: 9))
    let window = PlanTemplate.window(sinks: 4, span: 16)
    #expect(window.strictForm?.description == "window(sinks:4,span:16,strict)")
    #expect(try PlanTemplate(parsing: "window(strict, span:16, sinks:4)") == window.strictForm)
    #expect(PlanTemplate.speculative(draft: 2).strictForm == nil && PlanTemplate.auto.strictForm == nil)
    #expect(PlanTemplate.blocks(of: 2, capacity: 8).strictForm?.description == "blocks(of:2,strict)")
    #expect(PlanTemplate.coarseToFine.ordered(.given) == .coarseToFine)
  }

  @Test func spacesAreAllowed() throws {
    #expect(try PlanTemplate(parsing: "  blocks ( of : 8 ) ") == .blocks(of: 8))
    #expect(try PlanTemplate(parsing: "sequential(capacity: 4)") == .sequential(capacity: 4))
    #expect(
      try PlanTemplate(parsing: "window( sinks:1 , span :2,order: given )")
        == .window(sinks: 1, span: 2).ordered(.given))
  }

  @Test(arguments: [
    ("", PlanTextError.Problem.unknownName("")), ("sequentail", .unknownName("sequentail")),
    ("blocks", .badArguments("")), ("blocks(8)", .badArguments("(8)")),
    ("blocks(of:8", .badArguments("(of:8")), ("blocks(of:0)", .badNumber("0", least: 1)),
    ("blocks(of:-1)", .badNumber("-1", least: 1)), ("blocks(of:x)", .badNumber("x", least: 1)),
    ("sequential(capacity:99999999999999999999)", .badNumber("99999999999999999999", least: 1)),
    ("sequential()", .badArguments("()")), ("sequential(", .badArguments("(")),
    ("independent(of:2)", .badArguments("(of:2)")), ("(", .unknownName("")), (")", .unknownName(")")),
    ("sequential(of:2)", .badArguments("(of:2)")), ("blocks(of:8))", .badNumber("8)", least: 1)),
    ("Blocks(of:8)", .unknownName("Blocks")), ("coarse-to-fine(r:1)", .badNumber("1", least: 2)),
    ("blocks(of:8,of:8)", .badArguments("(of:8,of:8)")), ("blocks(of:8,)", .badArguments("(of:8,)")),
    ("sequential(order:up)", .badOrder("up")), ("sequential(strict:1)", .badArguments("(strict:1)")),
    ("sequential(capacity:4,strict)", .badArguments("(capacity:4,strict)")),
    ("lineage(r:4,capacity:4)", .badArguments("(r:4,capacity:4)")),
    ("coarse-to-fine(order:given)", .badArguments("(order:given)")),
    ("speculative(draft:8,strict)", .badArguments("(draft:8,strict)")),
    ("window(span:8)", .badArguments("(span:8)")), ("auto(r:4)", .badArguments("(r:4)")),
    ("reencode(strict)", .badArguments("(strict)")),
    ("window(sinks:-1,span:2)", .badNumber("-1", least: 0)),
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
    func refuse(_ template: PlanTemplate, _ name: String, _ value: Int, _ allowed: ClosedRange<Int>) {
      let error = PlanError.outOfRange(name: name, value: value, allowed: allowed)
      #expect(throws: error) { try template.resolve(context: 1, targets: 4) }
    }
    refuse(.blocks(of: 0), "block size", 0, 1...Int.max)
    refuse(.sequential(capacity: -3), "capacity", -3, 1...Int.max)
    refuse(.window(sinks: -1, span: 1), "sinks", -1, 0...Int.max)
    refuse(.window(sinks: 1, span: 0), "span", 0, 1...Int.max)
    refuse(.randomSparse(reads: 0), "reads", 0, 1...Int.max)
    refuse(.speculative(draft: 0), "draft", 0, 1...Int.max)
    refuse(.coarseToFine(r: 1), "r", 1, 2...Plan.maximumTargets)
    refuse(.coarseToFine(r: Int.max), "r", Int.max, 2...Plan.maximumTargets)
    refuse(.lineage(r: 2, anchors: 0), "anchors", 0, 1...Int.max)
    for targets in [-1, Int.min, Plan.maximumTargets + 1, Int.max] {
      let error = PlanError.outOfRange(name: "targets", value: targets, allowed: 0...Plan.maximumTargets)
      #expect(throws: error) { try PlanTemplate.coarseToFine.resolve(context: 1, targets: targets) }
    }
    let context = PlanError.outOfRange(name: "context", value: -1, allowed: 0...Int.max)
    #expect(throws: context) { try PlanTemplate.independent.resolve(context: -1, targets: 1) }
    // The largest numbers there are.
    for template in [
      PlanTemplate.window(sinks: Int.max, span: Int.max), .randomSparse(reads: Int.max), .blocks(of: Int.max),
      .speculative(draft: Int.max, capacity: Int.max), .coarseToFine(r: 2, anchors: Int.max),
    ] {
      #expect(throws: Never.self) { try template.resolve(context: 1, targets: 9).cost() }
    }
  }

  @Test func noTargetsNoSteps() throws {
    for text in templates {
      let plan = try PlanTemplate(parsing: text).resolve(context: 5, targets: 0)
      #expect(plan.instructions.isEmpty && plan.densityPasses.isEmpty)
      #expect(try plan.cost().encodes == 0)
    }
  }

  @Test func blocksWithALastShortOne() throws {
    let plan = try PlanTemplate.blocks(of: 3).resolve(context: 2, targets: 7)
    #expect(
      plan.instructions
        == (try Plan(
          context: 2, targets: 7,
          steps: [
            .encode(with: RangeSet()), .predict(0..<3, reads: .none),
            .commit(0..<3), .predict(3..<6, reads: .all), .commit(3..<6), .predict(6..<7, reads: .first(6)),
          ])).instructions)
    #expect(plan.calls.map { $0.commit.map(\.position) } == [[], [0, 1, 2], [3, 4, 5]])
    #expect(plan.calls.map { $0.predict.map(\.prefix) } == [[0, 0, 0], [3, 3, 3], [6]])
    #expect(plan.calls.map(\.encodes) == [true, false, false])
    #expect(plan.peakBufferRows == 6)
  }

  @Test func sequentialMergesWhenTheBufferIsFull() throws {
    let plan = try PlanTemplate.sequential(capacity: 2).resolve(context: 2, targets: 5)
    #expect(
      plan.instructions
        == (try Plan(
          context: 2, targets: 5,
          steps: [
            .encode(with: RangeSet()), .predict(0..<1, reads: .none), .commit(0..<1),
            .predict(1..<2, reads: .all), .merge, .predict(2..<3, reads: .none), .commit(2..<3),
            .predict(3..<4, reads: .first(1)), .encode(with: RangeSet(0..<4)), .predict(4..<5, reads: .none),
          ])).instructions)
    #expect(plan.calls.map { Set($0.context) } == [[], [], [0, 1], [0, 1], [0, 1, 2, 3]])
    #expect(plan.densityPasses.map { Set($0.context) } == [[], [0, 1], [0, 1, 2, 3]])
    #expect(plan.densityPasses.map { $0.buffered.map(\.position) } == [[0], [2], []])
    #expect(plan.densityPasses.map { $0.queries.map(\.prefix) } == [[0, 1], [0, 1], [0]])
  }

  /// Invariant 5, and more of the kind.
  @Test(arguments: [1, 2, 3, 8, 13, 64])
  func degenerateEqualities(targets: Int) throws {
    func equal(_ a: PlanTemplate, _ b: PlanTemplate, location: SourceLocation = #_sourceLocation) throws {
      let one = try a.resolve(context: 9, targets: targets)
      let other = try b.resolve(context: 9, targets: targets)
      #expect(one.instructions == other.instructions, sourceLocation: location)
    }
    try equal(.blocks(of: 1), .sequential)
    try equal(.blocks(of: targets), .independent)
    try equal(.blocks(of: Int.max), .independent)
    try equal(.sequential(capacity: 1), .reencode)
    try equal(.sequential(capacity: targets), .sequential)
    try equal(.coarseToFine(r: max(2, targets)), .sequential)
    try equal(.coarseToFine(r: 4, anchors: targets), .sequential)
    try equal(.window(sinks: 0, span: targets), .sequential)
    try equal(.randomSparse(reads: targets), .sequential)
    try equal(.coarseToFine(r: 4, capacity: 1000), .coarseToFine(r: 4))
    try equal(PlanTemplate(parsing: "sequential(strict)"), .reencode)
    try equal(PlanTemplate(parsing: "blocks(of:1,strict)"), .reencode)
    try equal(.blocks(of: 1, capacity: 5), .sequential(capacity: 5))
    try equal(.coarseToFine(r: max(2, targets), capacity: 5), .sequential(capacity: 5))
  }

  @Test func manyTargetsAreCheap() throws {
    let targets = Plan.maximumTargets
    for template in [PlanTemplate.coarseToFine, .speculative(draft: 8)] {
      let plan = try template.resolve(context: 1000, targets: targets)
      #expect(plan.densityPasses.count == 1)
      #expect(try plan.cost().encodes > 1000 + targets)
    }
    let plan = try PlanTemplate.sequential.resolve(context: 1000, targets: targets)
    #expect(try plan.cost().reads == 1_000_000 + (2 * targets - 1) * 1000 + targets * (targets - 1))
    let visibility = plan.visibility
    #expect(visibility.direct(of: targets - 1)?.count == targets - 1)
    #expect(visibility.effective() == visibility.direct)
    // Sparse reads of so many rows are too many to hold.
    #expect(throws: PlanError.tooManyReads(limit: 1 << 21)) {
      try PlanTemplate.logSparse.resolve(context: 0, targets: targets)
    }
  }
}
