import ChorusPlans
import Testing

@Suite struct CostTests {
  static let contexts = [0, 1, 5, 17, 64]
  static let targets = [1, 2, 3, 8, 13, 64]

  private func expect(
    _ plan: Plan, e encodes: Int, r reads: Int, s calls: Int, paths: Int = 1,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let cost = try plan.cost(paths: paths)
    #expect([cost.encodes, cost.reads, cost.calls] == [encodes, reads, calls], sourceLocation: location)
  }

  /// Every (N, K) of the grid, then some at random.
  private func sizes() -> [(Int, Int)] {
    var generator = Seeded(state: 5)
    let grid = Self.contexts.flatMap { n in Self.targets.map { (n, $0) } }
    return grid
      + (0..<60).map { _ in
        (Int.random(in: 0...300, using: &generator), Int.random(in: 1...200, using: &generator))
      }
  }

  @Test func rows1To3() throws {
    for (n, k) in sizes() {
      try expect(PlanTemplate.independent.resolve(context: n, targets: k), e: n + k, r: n * n + k * n, s: 1)
      try expect(
        PlanTemplate.reencode.resolve(context: n, targets: k), e: k * n + k * (k + 1) / 2,
        r: ((n + k - 1) * (n + k) * (n + k + 1) - (n - 1) * n * (n + 1)) / 3, s: k)
      let buffer = try PlanTemplate.sequential.resolve(context: n, targets: k)
      try expect(buffer, e: n + 2 * k - 1, r: n * n + (2 * k - 1) * n + k * (k - 1), s: k)
      #expect(try buffer.cost().peakRows == n + k - 1)
    }
  }

  @Test func row3bWithMerges() throws {
    for (n, k) in sizes() {
      for b in [1, 2, 3, 4, 5, 7, 8, 16, 64, k] {
        let plan = try PlanTemplate.sequential(capacity: b).resolve(context: n, targets: k)
        let m = (k + b - 1) / b
        let epochs = (0..<m).map { (known: n + $0 * b, drawn: $0 < m - 1 ? b : k - b * (m - 1)) }
        let encodes = epochs.map { $0.known + 2 * $0.drawn - 1 }.reduce(0, +)
        let reads = epochs.map {
          $0.known * $0.known + (2 * $0.drawn - 1) * $0.known + $0.drawn * ($0.drawn - 1)
        }.reduce(0, +)
        try expect(plan, e: encodes, r: reads, s: k)
        #expect(try plan.cost().merges == m - 1)
        #expect(plan.densityPasses.count == m)
        guard k.isMultiple(of: b) else { continue }
        let (s1, s2) = mergeSums(n, b, m)
        try expect(plan, e: s1 + m * (2 * b - 1), r: s2 + (2 * b - 1) * s1 + m * b * (b - 1), s: k)
      }
    }
  }

  @Test func row4BlocksReencoded() throws {
    for (n, k) in sizes() {
      for b in [1, 2, 4, 8, k] where k.isMultiple(of: b) {
        let (s1, s2) = mergeSums(n, b, k / b)
        let strict = try PlanTemplate(parsing: "blocks(of:\(b),strict)").resolve(context: n, targets: k)
        try expect(strict, e: s1 + k, r: s2 + b * s1, s: k / b)
      }
    }
  }

  @Test func row5Blocks() throws {
    for (n, k) in sizes() {
      for b in [1, 2, 3, 4, 5, 7, 8, 16, 64, k] {
        let plan = try PlanTemplate.blocks(of: b).resolve(context: n, targets: k)
        let m = (k + b - 1) / b
        let kept = (m - 1) * b
        // Block j reads the j·b rows before it; the last one may be short.
        let before = (0..<m).map { $0 * b * min(b, k - $0 * b) }.reduce(0, +)
        try expect(
          plan, e: n + k + kept, r: n * n + k * n + before + kept * n + kept * (kept + 1) / 2, s: m)
        guard k.isMultiple(of: b) else { continue }
        #expect(before == b * b * m * (m - 1) / 2)
        #expect(kept == k - b)
      }
    }
  }

  @Test func sharedPrefillCountsOnce() throws {
    for (n, k) in sizes() {
      for p in [1, 2, 7, 100] {
        let buffer = try PlanTemplate.sequential.resolve(context: n, targets: k)
        try expect(
          buffer, e: n + p * (2 * k - 1), r: n * n + p * ((2 * k - 1) * n + k * (k - 1)), s: k, paths: p)
        #expect(try buffer.cost(paths: p).peakRows == n + p * (k - 1))
        // Re-encoding shares the first encoding only.
        let reencode = try PlanTemplate.reencode.resolve(context: n, targets: k)
        let one = try reencode.cost()
        try expect(
          reencode, e: p * one.encodes - (p - 1) * n, r: p * one.reads - (p - 1) * n * n, s: k, paths: p)
        #expect(try reencode.cost(paths: p).queries == p * k)
      }
    }
  }

  /// The example table: N = 128, K = 64, d = 128, ff = 256, D = 6. Counts are equal; MFLOP are printed there
  /// as whole numbers, of which 378 stands for 377.5.
  @Test func exampleTable() throws {
    let n = 128
    let k = 64
    let rows: [(Plan, Int, Int, Int, Double)] = [
      (try PlanTemplate.independent.resolve(context: n, targets: k), 192, 24_576, 1, 378),
      (try PlanTemplate.reencode.resolve(context: n, targets: k), 10_272, 1_660_224, 64, 21_257),
      (try PlanTemplate.sequential.resolve(context: n, targets: k), 255, 36_672, 64, 514),
      (try PlanTemplate.sequential(capacity: 16).resolve(context: n, targets: k), 732, 113_504, 64, 1_500),
      (
        try PlanTemplate(parsing: "blocks(of:8,strict)").resolve(context: n, targets: k), 1_312, 207_360, 8,
        2_701
      ),
      (try PlanTemplate.blocks(of: 8).resolve(context: n, targets: k), 248, 35_132, 8, 498),
      // The table gives no MFLOP for r = 4; this one is 6 [240 (8d² + 4d ff) + 4d 33,534] by hand.
      (try PlanTemplate.coarseToFine(r: 4).resolve(context: n, targets: k), 240, 33_534, 10, 480.5),
      (try bisection(n, anchors: 2, levels: 5, .causal), 224, 30_564, 6, 446),
      (try PlanTemplate.window(sinks: 0, span: 8).resolve(context: n, targets: k), 255, 33_647, 64, 504),
      (try PlanTemplate.window(sinks: 3, span: 5).resolve(context: n, targets: k), 255, 33_647, 64, 504),
      (try PlanTemplate.logSparse.resolve(context: n, targets: k), 255, 33_339, 64, 504),
    ]
    for (plan, encodes, reads, calls, megaflop) in rows {
      try expect(plan, e: encodes, r: reads, s: calls)
      let work = try plan.cost().work(.example)
      #expect(abs(work.layers / 1e6 - megaflop) < 1)
      #expect(work.total == work.layers + work.embedders + work.heads)
    }
  }

  @Test func workAndBytesByHand() throws {
    let cost = try PlanTemplate.sequential.resolve(context: 1, targets: 2).cost()
    #expect((cost.encodes, cost.queries, cost.reads) == (4, 2, 6))
    let rates = WorkRates.transformer(
      width: 2, layers: 3, feedForward: 5, heads: 2, headHidden: 7, embedderHidden: 11, components: 13,
      features: 17)
    let work = cost.work(rates)
    let layers = 3 * (4 * (8 * 4 + 4 * 2 * 5) + 4 * 2 * 6)
    let embedders = 4 * (2 * 17 * 2 + 4 * 2 * 11) + 2 * (2 * 2 + 4 * 2 * 11)
    let heads = 2 * 2 * (2 * 7 + 7 * 39)
    #expect(work.layers == Double(layers))
    #expect(work.embedders == Double(embedders))
    #expect(work.heads == Double(heads))
    #expect(work.exponentials == 36)
    #expect(try cost.bytes(rates) == 96)
  }

  @Test func tooLargeToCountIsAnError() throws {
    let plan = try PlanTemplate.sequential.resolve(context: Int.max, targets: 2)
    #expect(throws: PlanError.overflow("the number of reads")) { try plan.cost() }
    let small = try PlanTemplate.reencode.resolve(context: 1, targets: 3)
    #expect(throws: PlanError.overflow("the number of encoded rows")) { try small.cost(paths: Int.max) }
    #expect(throws: PlanError.outOfRange(name: "paths", value: 0, allowed: 1...Int.max)) {
      try small.cost(paths: 0)
    }
    var huge = WorkRates.example
    huge.held = WorkRates.Held(row: Int.max)
    #expect(throws: PlanError.overflow("the number of bytes")) { try small.cost().bytes(huge) }
  }

  /// The sums S1 and S2 of the closed forms: context rows, and their squares, over M encodings.
  private func mergeSums(_ n: Int, _ b: Int, _ m: Int) -> (Int, Int) {
    (
      m * n + b * m * (m - 1) / 2,
      m * n * n + n * b * m * (m - 1) + b * b * (m - 1) * m * (2 * m - 1) / 6
    )
  }
}
