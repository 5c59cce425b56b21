import ChorusPlans
import Testing

/// Closed forms for the hierarchical, sparse and verified plans.
@Suite struct SparseCostTests {
  private func expect(
    _ plan: Plan, e encodes: Int, r reads: Int, s calls: Int, location: SourceLocation = #_sourceLocation
  ) throws {
    let cost = try plan.cost()
    #expect([cost.encodes, cost.reads, cost.calls] == [encodes, reads, calls], sourceLocation: location)
  }

  private func forEachSize(_ body: (Int, Int) throws -> Void) rethrows {
    for n in CostTests.contexts { for k in CostTests.targets { try body(n, k) } }
  }

  private func power(_ base: Int, _ exponent: Int) -> Int { (0..<exponent).reduce(1) { p, _ in p * base } }

  @Test func row5bDenseInsideABlock() throws {
    try forEachSize { n, k in
      for b in 1...k where k.isMultiple(of: b) {
        let steps = stride(from: 0, to: k, by: b).flatMap { first -> [Plan.Step] in
          let commit: [Plan.Step] =
            first == 0 ? [.encode(with: RangeSet())] : [.commit(first - b..<first, internal: .dense)]
          return commit + [.predict(first..<first + b, reads: .all)]
        }
        let (m, kept) = (k / b, k - b)
        let within = b * b * m * (m - 1) / 2
        try expect(
          Plan(context: n, targets: k, steps: steps), e: n + k + kept,
          r: n * n + k * n + within + kept * n + within, s: m)
      }
    }
  }

  @Test func row6CoarseToFine() throws {
    for n in CostTests.contexts {
      for r in [2, 3, 4, 8] {
        for n0 in [1, 2, 3, 5] {
          for l in 0...3 {
            let k = n0 * power(r, l)
            let plan = try PlanTemplate.coarseToFine(r: r, anchors: n0).resolve(context: n, targets: k)
            guard l > 0 else {
              try expect(plan, e: n + 2 * k - 1, r: n * n + (2 * k - 1) * n + k * (k - 1), s: k)
              continue
            }
            // The last step is never committed.
            let kept = k - n0 * power(r, l - 1)
            let levels = n0 * n0 * (power(r, 2 * l) - 1) * r / (2 * (r + 1))
            try expect(
              plan, e: n + k + kept,
              r: n * n + k * n + n0 * (n0 - 1) / 2 + levels + kept * n + kept * (kept + 1) / 2,
              s: n0 + l * (r - 1))
          }
        }
      }
    }
  }

  @Test func row6bBisectionWithParallelAnchors() throws {
    for n in CostTests.contexts {
      for n0 in [1, 2, 3] {
        for l in 1...5 {
          let k = n0 * power(2, l)
          let half = k / 2
          try expect(
            bisection(n, anchors: n0, levels: l, .causal), e: n + 3 * k / 2,
            r: n * n + k * n + (k * k - n0 * n0) / 3 + n * half + half * (half + 1) / 2, s: l + 1)
          try expect(
            bisection(n, anchors: n0, levels: l, .dense), e: n + 3 * k / 2,
            r: n * n + k * n + (k * k - n0 * n0) / 3 + n * half + n0 * n0 * (6 + power(4, l) - 4) / 6,
            s: l + 1)
        }
      }
    }
  }

  @Test func row6cLineage() throws {
    try forEachSize { n, k in
      for r in [2, 3, 4, 8, 100] {
        for n0 in [1, 2, 5] {
          let plan = try PlanTemplate.lineage(r: r, anchors: n0).resolve(context: n, targets: k)
          let all = try PlanTemplate.coarseToFine(r: r, anchors: n0).resolve(context: n, targets: k)
          #expect(plan.order == all.order)
          #expect(plan.calls.map(\.positions) == all.calls.map(\.positions))
          let seen = plan.visibility.direct.map(\.count)
          let kept = all.calls.reduce(0) { $0 + $1.commit.count }
          try expect(
            plan, e: n + k + kept,
            r: n * n + seen.reduce(0) { $0 + n + $1 } + seen.prefix(kept).reduce(0) { $0 + n + $1 + 1 },
            s: all.cost().calls)
        }
      }
    }
    // The exact means of section 2, printed there as 5.0 and 4.5.
    func mean(_ r: Int) throws -> Double {
      try PlanTemplate.lineage(r: r).resolve(context: 8, targets: 64).visibility.summary.mean
    }
    #expect(try mean(2) == 321.0 / 64)
    #expect(try mean(4) == 4.5)
  }

  /// T(K, W): what a window of W lets K rows read of those before them.
  private func windowed(_ k: Int, _ w: Int) -> Int { (0..<max(0, k)).reduce(0) { $0 + min($1, w) } }

  @Test func row7Windows() throws {
    try forEachSize { n, k in
      for (sinks, span) in [(0, 1), (0, 8), (1, 1), (4, 4), (2, 16), (4, 100)] {
        let w = sinks + span
        let plan = try PlanTemplate.window(sinks: sinks, span: span).resolve(context: n, targets: k)
        let reads = n * n + (2 * k - 1) * n + windowed(k, w) + windowed(k - 1, w) + k - 1
        try expect(plan, e: n + 2 * k - 1, r: reads, s: k)
        // Rows kept between calls, and the one that reads them all while it is committed.
        #expect(plan.peakBufferRows == min(k - 1, w + 1))
        #expect(try plan.cost().peakRows == n + min(k - 1, w + 1))
        for call in plan.calls { #expect(call.predict.allSatisfy { $0.readCount <= w }) }
        // The baseline with as many reads.
        try expect(
          PlanTemplate.randomSparse(reads: w).resolve(context: n, targets: k), e: n + 2 * k - 1, r: reads,
          s: k)
      }
    }
  }

  @Test func row8LogSparse() throws {
    func g(_ m: Int) -> Int {
      m <= 0 ? 0 : (1...m).reduce(0) { $0 + Int.bitWidth - $1.leadingZeroBitCount }
    }
    try forEachSize { n, k in
      try expect(
        PlanTemplate.logSparse.resolve(context: n, targets: k), e: n + 2 * k - 1,
        r: n * n + (2 * k - 1) * n + g(k - 1) + g(k - 2) + k - 1, s: k)
    }
  }

  @Test func coarseToFineOf64() throws {
    let plan = try PlanTemplate.coarseToFine.resolve(context: 128, targets: 64)
    #expect(plan.calls.map(\.positions.count) == [1, 1, 1, 1, 4, 4, 4, 16, 16, 16])
    #expect(plan.visibility.summary.mean == 25.59375)
    let merged = try PlanTemplate.coarseToFine(r: 4, capacity: 16).resolve(context: 128, targets: 64)
    #expect(merged.calls.map(\.encodes) == [true] + Array(repeating: false, count: 6) + [true, true, true])
    #expect(merged.peakBufferRows == 12)
  }
}

/// Coarse to fine by halves with side by side anchors, made by hand: no template has them.
func bisection(_ n: Int, anchors: Int, levels: Int, _ within: Plan.Internal) throws -> Plan {
  var steps: [Plan.Step] = [.encode(with: RangeSet())]
  var drawn = 0..<anchors
  steps.append(.predict(drawn, reads: .all))
  for _ in 0..<levels {
    steps.append(.commit(drawn, internal: within))
    drawn = drawn.upperBound..<2 * drawn.upperBound
    steps.append(.predict(drawn, reads: .all))
  }
  return try Plan(context: n, targets: drawn.upperBound, steps: steps)
}
