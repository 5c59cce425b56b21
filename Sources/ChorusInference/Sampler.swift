import ChorusLayers
import ChorusPlans
import ChorusTensors
import Synchronization

/// Runs a plan on a conditioner: draws paths, or scores given values. Works in the network's units and in the caller's
/// order of targets.
package struct Sampler<C: Conditioner>: Sendable {
  let conditioner: C
  let plan: Plan
  let seed: UInt64
  let pool: ThreadPool?

  package init(_ conditioner: C, plan: Plan, seed: UInt64, pool: ThreadPool? = nil) {
    self.conditioner = conditioner
    self.plan = plan
    self.seed = seed
    self.pool = pool
  }

  /// `[paths][targets]`; the expected value of each target, averaged over the laws that paths drew it from; and what a plan
  /// that verifies drafts came to for each path. With `latent`, of the noiseless curve.
  package func sample(
    _ count: Int, latent: Bool = false, progress: (@Sendable (Int) -> Void)? = nil
  ) throws(InferenceError) -> Drawn {
    let program = Program(plan)
    let anew = !plan.endsWithAPrefix
    let capacity = latent ? max(plan.peakBufferRows, plan.targets) : plan.peakBufferRows
    let done = Atomic<Int>(0)
    let lanes: [Lane<C.Answer.Law>] = try tiles(
      count, atMost: SamplerTile.most(bytes: conditioner.bufferBytes(capacity: capacity))
    ) { members, stopped in
      let lanes = members.map {
        Lane<C.Answer.Law>(
          path: $0, seed: seed, order: plan.order(path: $0, seed: seed),
          values: [Float](repeating: 0, count: plan.targets))
      }
      var tile = Tile(conditioner, lanes: lanes, capacity: capacity)
      guard tile.run(program, stopped: stopped) else { return [] }
      if latent { tile.smooth(targets: plan.targets, anew: anew) }
      progress?(done.wrappingAdd(members.count, ordering: .relaxed).newValue)
      return tile.lanes
    }
    let paths = lanes.map { latent ? $0.smoothed : $0.values }
    return Drawn(
      paths: paths, means: Self.average(latent ? paths : lanes.map(\.means), targets: plan.targets),
      trace: plan.goesByDraws ? Trace(paths: lanes.map(\.rounds)) : nil)
  }

  /// The mean over paths of each target, summed in the order of the paths.
  private static func average(_ values: [[Float]], targets: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: targets)
    for path in values { for target in 0..<targets { sums[target] += Double(path[target]) } }
    return sums.map { $0 / Double(values.count) }
  }

  /// log p(y) of given values under each of `orders` orders, in the network's units, orders side by side over the
  /// shared context.
  package func logDensities(of y: [Float], orders count: Int) throws(InferenceError) -> [Double] {
    if plan.requirements.decides { return try logDensitiesInTurn(of: y, orders: count) }
    let passes = Program.passes(of: plan)
    let capacity = passes.reduce(0) { max($0, $1.buffered.count) }
    let most = max(1, min(SamplerTile.most, 1024 / max(plan.targets, 1)))
    return try tiles(count, atMost: most) { members, _ in
      let lanes = members.map {
        Lane<C.Answer.Law>(path: $0, seed: seed, order: plan.order(path: $0, seed: seed), values: y)
      }
      var tile = Tile(conditioner, lanes: lanes, capacity: capacity)
      tile.score(passes)
      return tile.lanes
    }.map(\.score)
  }

  /// The same of a plan that goes by the values, call by call as they would be drawn.
  private func logDensitiesInTurn(of y: [Float], orders count: Int) throws(InferenceError)
    -> [Double]
  {
    let program = Program(plan)
    let capacity = plan.peakBufferRows
    return try tiles(
      count, atMost: SamplerTile.most(bytes: conditioner.bufferBytes(capacity: capacity))
    ) { members, stopped in
      let lanes = members.map {
        Lane<C.Answer.Law>(
          path: $0, seed: seed, order: plan.order(path: $0, seed: seed), values: y, isGiven: true)
      }
      var tile = Tile(conditioner, lanes: lanes, capacity: capacity)
      return tile.run(program, stopped: stopped) ? tile.lanes : []
    }.map(\.score)
  }

  /// The lanes of all paths: tile by tile, on as many threads as there are, in the order of the paths.
  private func tiles(
    _ count: Int, atMost most: Int,
    _ body: @escaping @Sendable (Range<Int>, () -> Bool) -> [Lane<C.Answer.Law>]
  ) throws(InferenceError) -> [Lane<C.Answer.Law>] {
    let size = SamplerTile.size(count, atMost: most, threads: pool?.threads ?? 1)
    let tiles = (count + size - 1) / size
    let results = Lock([[Lane<C.Answer.Law>]](repeating: [], count: tiles))
    let stop = Atomic<Bool>(false)
    let one: @Sendable (Int) -> Void = { tile in
      func stopped() -> Bool {
        if Cancellation.isWanted { stop.store(true, ordering: .relaxed) }
        return stop.load(ordering: .relaxed)
      }
      guard !stopped() else { return }
      let lanes = body(tile * size..<min(count, (tile + 1) * size), stopped)
      results.withLock { $0[tile] = lanes }
    }
    if let pool { pool.run(tiles, one) } else { for tile in 0..<tiles { one(tile) } }
    if stop.load(ordering: .relaxed) { throw .cancelled }
    return results.withLock { $0.flatMap { $0 } }
  }
}

/// Paths in the network's units.
package struct Drawn: Sendable {
  /// `[paths][targets]`.
  package let paths: [[Float]]
  package let means: [Double]
  package let trace: Trace?
}

/// How many paths go through the network together.
enum SamplerTile {
  /// The most: 24 rows a call fill the tiles of the matrix products (docs/performance.md). No result depends on it.
  static let most = 12
  /// What buffers of a tile may take: every call reads all of them, and from beyond the second cache that takes longer than
  /// the arithmetic.
  private static let bytes = 3 << 20

  /// How many paths whose buffers take so many bytes each go together: fewer of those with long buffers, but two, since
  /// weights are read once a call.
  static func most(bytes: Int) -> Int { min(max(Self.bytes / max(bytes, 1), 2), most) }

  /// How many of `count` paths to take together, at most `most`, so that every thread has as much to do.
  static func size(_ count: Int, atMost most: Int, threads: Int) -> Int {
    let tiles = (count + most - 1) / most
    let even = (tiles + threads - 1) / threads * threads
    return max(1, (count + even - 1) / max(even, 1))
  }
}

extension Plan {
  /// Whether context and buffer hold the first positions in order when the plan ends, so that later ones can follow.
  var endsWithAPrefix: Bool {
    let context = instructions.last?.context ?? RangeSet()
    let isPrefix = context.ranges.count <= 1 && (context.ranges.first?.lowerBound ?? 0) == 0
    return isPrefix && !requirements.subsetReads
  }

  /// Whether some positions are drawn by drafts or from a trusted buffer, so that what happens depends on the draws.
  package var goesByDraws: Bool {
    instructions.contains { instruction in
      if case .call = instruction { false } else { true }
    }
  }

  /// The order in which a path draws its targets: the plan's, or its own random permutation from the stream
  /// (seed, path).
  package func order(path: Int, seed: UInt64) -> [Int] {
    switch order {
    case .fixed(let order): return order
    case .random:
      var stream = RandomStream(seed: seed, .orders, UInt64(path))
      return stream.permutation(targets)
    }
  }
}
