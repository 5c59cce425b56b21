import Testing

@testable import ChorusPlans

@Suite struct OrderTests {
  private func order(_ text: String, _ inputs: [Double], _ dimensions: Int = 1) throws -> [Int]? {
    let plan = try PlanTemplate(parsing: text).resolve(
      context: 1, targets: inputs.count / dimensions,
      geometry: Plan.Geometry(inputs: inputs, dimensions: dimensions))
    if case .fixed(let order) = plan.order { return order }
    return nil
  }

  @Test func ordersByName() throws {
    let inputs = [3.0, -1, 2, 2, 0]
    #expect(try order("sequential", inputs) == nil)
    #expect(try order("sequential(order:random)", inputs) == nil)
    #expect(try order("sequential(order:given)", inputs) == [0, 1, 2, 3, 4])
    #expect(try order("sequential(order:left-to-right)", inputs) == [1, 4, 2, 3, 0])
    // Places 0; 4; 2; 1, 3 of the sorted targets.
    #expect(try order("sequential(order:coarse-to-fine)", inputs) == [1, 0, 2, 4, 3])
    #expect(try order("coarse-to-fine(r:2)", inputs) == [1, 0, 2, 4, 3])
    #expect(try order("window(sinks:1,span:1,order:left-to-right)", [0, 1, 1, 0], 2) == [0, 1])
    #expect(try order("blocks(of:2,order:left-to-right)", [1, 5, 1, 2, 0, 9], 2) == [2, 1, 0])
  }

  @Test func withoutGeometryTargetsAreOnALine() throws {
    let plan = try PlanTemplate.coarseToFine(r: 4).resolve(context: 1, targets: 16)
    #expect(plan.order == .fixed([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]))
    let left = try PlanTemplate(parsing: "sequential(order:left-to-right)").resolve(context: 1, targets: 3)
    #expect(left.order == .fixed([0, 1, 2]))
  }

  @Test func anyNumberOfTargets() throws {
    for r in [2, 3, 4, 7] {
      for anchors in [1, 2, 5] {
        for targets in 1...90 {
          let plan = try PlanTemplate.coarseToFine(r: r, anchors: anchors).resolve(
            context: 0, targets: targets)
          guard case .fixed(let order) = plan.order else { throw PlanError.notAnOrder(targets: targets) }
          #expect(order.sorted() == Array(0..<targets))
          // Every step puts at most one target into each gap left by the steps before.
          var known: Set<Int> = []
          for call in plan.calls {
            let new = call.positions.map { order[$0] }
            let gaps = new.map { place in known.filter { $0 < place }.max() ?? -1 }
            #expect(Set(gaps).count == new.count || known.isEmpty)
            known.formUnion(new)
          }
        }
      }
    }
  }

  @Test func inSeveralDimensionsTheFarthestComesFirst() throws {
    // The corners of a square with its centre and one point next to a corner.
    let inputs = [0.9, 1, 0, 0, 1, 1, 0.5, 0.5, 0, 1, 1, 0]
    let plan = try PlanTemplate.coarseToFine(r: 2).resolve(
      context: 1, targets: 6, geometry: Plan.Geometry(inputs: inputs, dimensions: 2))
    #expect(plan.order == .fixed([1, 2, 4, 5, 3, 0]))
    let line = try PlanTemplate.coarseToFine(r: 2).resolve(context: 1, targets: 6)
    #expect(plan.instructions == line.instructions)
    // Axes count by their range.
    let stretched = inputs.enumerated().map { $0.offset % 2 == 0 ? 1000 * $0.element : $0.element }
    #expect(try order("coarse-to-fine(r:2)", stretched, 2) == [1, 2, 4, 5, 3, 0])
    #expect(throws: PlanError.geometry("a lineage needs targets along one input, not 2")) {
      try order("lineage(r:2)", inputs, 2)
    }
    #expect(throws: PlanError.self) { try order("coarse-to-fine", Array(repeating: 0, count: 1 << 16), 2) }
  }

  @Test func geometriesThatDoNotFit() {
    #expect(throws: PlanError.geometry("an input of target 1 is not a finite number")) {
      try Plan.Geometry(inputs: [0, 1, .nan, 2], dimensions: 2)
    }
    #expect(throws: PlanError.geometry("3 inputs are no whole number of rows of 2")) {
      try Plan.Geometry(inputs: [0, 1, 2], dimensions: 2)
    }
    #expect(throws: PlanError.geometry("a target has at least 1 input, not 0")) {
      try Plan.Geometry(inputs: [], dimensions: 0)
    }
    #expect(throws: PlanError.geometry("the inputs are those of 2 targets, not of 3")) {
      try PlanTemplate.sequential.resolve(
        context: 1, targets: 3, geometry: Plan.Geometry(inputs: [0, 1], dimensions: 1))
    }
    for wrong in [[0, 1], [0, 1, 1], [0, 1, 3], [-1, 0, 1], [0, 1, 2, 3]] {
      #expect(throws: PlanError.notAnOrder(targets: 3)) {
        try Plan(
          context: 1, targets: 3, order: .fixed(wrong),
          steps: [.encode(with: RangeSet()), .predict(0..<3, reads: .none)])
      }
    }
  }

  @Test func autoGoesByTheTrainedBuffer() throws {
    let trained = Plan.Capability(trainedBuffer: 16)
    func chosen(_ targets: Int) throws -> Plan {
      try PlanTemplate.auto.resolve(context: 3, targets: targets, capability: trained)
    }
    #expect(try chosen(16) == PlanTemplate.sequential.resolve(context: 3, targets: 16))
    #expect(
      try chosen(17) == PlanTemplate.coarseToFine(r: 4, reads: 16).resolve(context: 3, targets: 17))
    for call in try chosen(64).calls {
      #expect((call.predict + call.commit).allSatisfy { $0.readCount <= 17 })
    }
    let prefixes = Plan.Capability(subsetReads: false, trainedBuffer: 16)
    let merging = try PlanTemplate.auto.resolve(context: 3, targets: 64, capability: prefixes)
    #expect(try merging == PlanTemplate.coarseToFine(r: 4, capacity: 16).resolve(context: 3, targets: 64))
    #expect(merging.peakBufferRows <= 16)
    for capability in [nil, Plan.Capability()] {
      #expect(throws: PlanError.needsCapability("auto")) {
        try PlanTemplate.auto.resolve(context: 3, targets: 4, capability: capability)
      }
    }
  }

  /// Along one input and in the plane: no target drawn before lies nearer than one that is read.
  @Test(arguments: [1, 2]) func nearestAreRead(dimensions: Int) throws {
    let inputs: [Double] = (0..<90 * dimensions).map { place in
      let number: Int = place * 37 + place * place * 11
      return Double(number % 101)
    }
    let geometry = try Plan.Geometry(inputs: inputs, dimensions: dimensions)
    let plan = try PlanTemplate.coarseToFine(r: 3, anchors: 2, reads: 7).resolve(
      context: 5, targets: 90, geometry: geometry)
    guard case .fixed(let order) = plan.order else {
      Issue.record("the order is that of the levels")
      return
    }
    var drawn: [Int] = []
    var slots: [Int: Int] = [:]
    for call in plan.calls {
      for row in call.commit { slots[row.slot] = row.position }
      for row in call.predict {
        let read = Set(row.reads.integers.compactMap { (slot: Int) -> Int? in slots[slot] })
        #expect(read.count == min(7, drawn.count))
        let distances = drawn.map { (position: Int) -> Double in
          geometry.distance(order[row.position], order[position], geometry.scales)
        }
        let farthest = zip(drawn, distances).reduce(0) { (most: Double, other) -> Double in
          read.contains(other.0) ? max(most, other.1) : most
        }
        #expect(
          zip(drawn, distances).allSatisfy { (other, distance) in read.contains(other) || distance >= farthest
          })
      }
      drawn += call.predict.map { $0.position }
    }
    #expect(drawn.count == 90)
  }

  @Test func whatAModelCannotDo() throws {
    func resolve(
      _ text: String, _ capability: Plan.Capability, _ unsupported: Plan.WhenUnsupported = .refuse
    ) throws -> Plan {
      try PlanTemplate(parsing: text).resolve(
        context: 3, targets: 8, capability: capability, whenUnsupported: unsupported)
    }
    let prefixes = Plan.Capability(subsetReads: false, rewind: false)
    for text in ["log-sparse", "window(sinks:1,span:2)", "lineage(r:2)", "random-sparse(reads:2)"] {
      #expect(
        throws: PlanError.unsupported(
          plan: text, need: "reading a part of the buffer that is no prefix",
          instead: try #require(PlanTemplate(parsing: text).strictForm))
      ) { try resolve(text, prefixes) }
      let strict = try resolve(text, prefixes, .reencode)
      #expect(strict.template == (try PlanTemplate(parsing: text).strictForm))
      #expect(strict.template?.description.hasSuffix("strict)") == true || text == "log-sparse")
      #expect(throws: Never.self) { try resolve(text, Plan.Capability()) }
    }
    #expect(
      throws: PlanError.unsupported(
        plan: "speculative(draft:4)", need: "taking back rows of the buffer", instead: .reencode)
    ) {
      try resolve("speculative(draft:4)", prefixes)
    }
    let chain = try resolve("speculative(draft:4)", prefixes, .reencode)
    #expect(chain.instructions == (try resolve("reencode", prefixes)).instructions)
    for text in ["sequential", "blocks(of:3)", "coarse-to-fine", "independent", "sequential(capacity:2)"] {
      #expect(try resolve(text, prefixes).requirements.subsetReads == false)
    }
    let noSets = Plan.Capability(subsetReads: false, setContext: false)
    #expect(
      throws: PlanError.unsupported(
        plan: "reencode", need: "encoding drawn values as context", instead: .sequential)
    ) { try resolve("reencode", noSets, .reencode) }
    #expect(throws: PlanError.self) { try resolve("log-sparse", noSets, .reencode) }
  }

  /// Whatever a model lacks: the plan that a refusal names is one that the model runs, and what it says of that plan is true.
  @Test func whatIsNamedInsteadIsRun() throws {
    var refused = 0
    for bits in 0..<16 {
      let can = (0..<4).map { bits >> $0 & 1 == 1 }
      let capability = Plan.Capability(
        subsetReads: can[0], rewind: can[1], trainedBuffer: 4, setContext: can[2], inOrder: can[3])
      for text in PlanTemplate.forms {
        do {
          let plan = try PlanTemplate(parsing: text).resolve(context: 3, targets: 8, capability: capability)
          if capability.inOrder { #expect(plan.order == .fixed(Array(0..<8)), "\(text)") }
        } catch PlanError.unsupported(let plan, let need, let instead) {
          refused += 1
          let words = PlanError.unsupported(plan: plan, need: need, instead: instead).description
          let other = try instead.resolve(context: 3, targets: 8, capability: capability)
          #expect(plan == text && instead.description != text && words.contains(instead.description))
          #expect(
            words.contains("same values as context") == (other.peakBufferRows == 0),
            "\(text) \(capability): \(words)")
        }
      }
      // Nor does a warning tell of merging where nothing merges.
      let long = try (can[3] ? PlanTemplate.sequential.ordered(.given) : .sequential)
        .resolve(context: 3, targets: 8, capability: capability)
      #expect(long.warnings(capability).count == 1)
      #expect(long.warnings(capability)[0].contains("merges") == capability.merges)
    }
    #expect(refused > 50)
  }

  @Test func autoTakesValuesInOrderWhereNothingElseGoes() throws {
    let inOrder = try PlanTemplate(parsing: "sequential(order:given)")
    for targets in [1, 4, 40] {
      let plan = try PlanTemplate.auto.resolve(
        context: 3, targets: targets, capability: Plan.Capability(trainedBuffer: 4, inOrder: true))
      #expect(try plan == inOrder.resolve(context: 3, targets: targets) && plan.template == inOrder)
    }
  }
}
