import ChorusPlans
import ChorusTensors
import Synchronization

/// Runs a plan: draws paths, or scores given values. Works in the network's units and in the caller's target order.
struct Sampler: Sendable {
  let conditioned: Conditioned
  let targets: Targets
  let plan: Plan
  let seed: UInt64
  let pool: ThreadPool?

  /// The most paths that go through the network together: 24 rows a call fill the tiles of the matrix products, and
  /// the paths' buffers stay in the second cache (docs/performance.md). No result depends on it.
  static let tile = 12

  /// How many of `count` paths to take together, at most `most`, so that every thread has as much to do.
  private func tile(_ count: Int, atMost most: Int) -> Int {
    let threads = pool?.threads ?? 1
    let tiles = (count + most - 1) / most
    let even = (tiles + threads - 1) / threads * threads
    return max(1, (count + even - 1) / max(even, 1))
  }

  /// The order in which a path draws its targets: its own random permutation, from the stream (seed, path).
  static func order(seed: UInt64, path: Int, targets: Int) -> [Int] {
    var stream = RandomStream(seed: seed, .orders, UInt64(path))
    return stream.permutation(targets)
  }

  /// `count` paths, `[count][targets]`; with `latent`, of the noiseless curve.
  func sample(_ count: Int, latent: Bool, progress: (@Sendable (Int) -> Void)?) throws(InferenceError)
    -> [[Float]]
  {
    let size = tile(count, atMost: Self.tile)
    let tiles = (count + size - 1) / size
    let results = Mutex([[[Float]]](repeating: [], count: tiles))
    let stop = Atomic<Bool>(false)
    let done = Atomic<Int>(0)
    let body: @Sendable (Int) -> Void = { [self] tile in
      let members = tile * size..<min(count, (tile + 1) * size)
      func stopped() -> Bool {
        if Task.isCancelled { stop.store(true, ordering: .relaxed) }
        return stop.load(ordering: .relaxed)
      }
      guard !stopped(), let paths = draw(members, latent: latent, stopped: stopped) else { return }
      results.withLock { $0[tile] = paths }
      progress?(done.wrappingAdd(members.count, ordering: .relaxed).newValue)
    }
    run(tiles, body)
    if stop.load(ordering: .relaxed) { throw .cancelled }
    return results.withLock { $0.flatMap { $0 } }
  }

  private func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    if let pool { pool.run(count, body) } else { for index in 0..<count { body(index) } }
  }

  /// Nil when `stopped` says so between two network calls.
  private func draw(_ members: Range<Int>, latent: Bool, stopped: () -> Bool) -> [[Float]]? {
    let orders = members.map { Self.order(seed: seed, path: $0, targets: targets.count) }
    let capacity = latent ? max(plan.peakBufferRows, targets.count) : plan.peakBufferRows
    var lanes = Lanes(conditioned, targets, orders: orders, capacity: capacity)
    var values = [[Float]](repeating: [Float](repeating: 0, count: targets.count), count: members.count)
    var merged = 0
    var buffered = 0
    for call in plan.calls {
      if stopped() { return nil }
      if call.encodes, call.merged > 0 {
        lanes.merge(call.merged, values: values)
        (merged, buffered) = (call.merged, 0)
      }
      let before = values
      let limits = [Int](repeating: call.limit, count: call.predict.count)
      lanes.advance(
        commit: call.commit, at: call.buffered - call.commit.count, query: Array(call.predict),
        limits: limits,
        values: before
      ) {
        path, position, raw in
        let target = orders[path][position]
        var stream = RandomStream(seed: seed, .paths, UInt64(members.lowerBound + path), UInt64(target))
        let uniform = stream.uniform()
        values[path][target] = conditioned.draw(raw, component: uniform, normal: stream.normal())
      }
      buffered = call.buffered
    }
    if latent { smooth(&lanes, &values, from: merged + buffered, merged: merged) }
    return values
  }

  /// Replaces drawn values by the mean of one more marginal pass that has read all of them.
  private func smooth(_ lanes: inout Lanes, _ values: inout [[Float]], from committed: Int, merged: Int) {
    let drawn = values
    let limits = [Int](repeating: targets.count - merged, count: targets.count)
    let orders = lanes.orders
    lanes.advance(
      commit: committed..<targets.count, at: committed - merged, query: Array(0..<targets.count),
      limits: limits,
      values: drawn
    ) {
      path, position, raw in
      values[path][orders[path][position]] = Float(conditioned.mixture(raw).mean)
    }
  }

  /// log p(y) of given values under each of `orders` random orders, in the network's units: one masked pass for all
  /// targets of an order (Hassan et al. 2026, Alg. 2), orders side by side over the shared context.
  func logDensities(of y: [Float], orders count: Int) throws(InferenceError) -> [Double] {
    let tile = tile(count, atMost: max(1, min(Self.tile, 1024 / max(targets.count, 1))))
    let tiles = (count + tile - 1) / tile
    let results = Mutex([[Double]](repeating: [], count: tiles))
    let stop = Atomic<Bool>(false)
    let body: @Sendable (Int) -> Void = { [self] index in
      if Task.isCancelled { stop.store(true, ordering: .relaxed) }
      guard !stop.load(ordering: .relaxed) else { return }
      let members = index * tile..<min(count, (index + 1) * tile)
      let scores = score(y, members)
      results.withLock { $0[index] = scores }
    }
    run(tiles, body)
    if stop.load(ordering: .relaxed) { throw .cancelled }
    return results.withLock { $0.flatMap { $0 } }
  }

  private func score(_ y: [Float], _ members: Range<Int>) -> [Double] {
    let orders = members.map { Self.order(seed: seed, path: $0, targets: targets.count) }
    var lanes = Lanes(conditioned, targets, orders: orders, capacity: plan.peakBufferRows)
    let values = [[Float]](repeating: y, count: members.count)
    var sums = [Double](repeating: 0, count: members.count)
    for pass in plan.densityPasses {
      lanes.merge(pass.merged.upperBound, values: values)
      lanes.advance(
        commit: pass.buffered, at: 0, query: Array(pass.positions), limits: pass.limits, values: values
      ) { path, position, raw in
        sums[path] += conditioned.mixture(raw).logDensity(Double(y[orders[path][position]]))
      }
    }
    return sums
  }

  /// The distribution of every target given the context alone.
  func marginals() -> [GaussianMixture] {
    let tile = 64
    let tiles = (targets.count + tile - 1) / tile
    let results = Mutex([[GaussianMixture]](repeating: [], count: tiles))
    run(tiles) { [self] index in
      let members = index * tile..<min(targets.count, (index + 1) * tile)
      var lanes = Lanes(conditioned, targets, orders: [Array(0..<targets.count)], capacity: 0)
      var mixtures: [GaussianMixture] = []
      lanes.advance(
        commit: 0..<0, at: 0, query: Array(members), limits: [Int](repeating: 0, count: members.count),
        values: [[]]
      ) { _, _, raw in mixtures.append(conditioned.mixture(raw)) }
      results.withLock { $0[index] = mixtures }
    }
    return results.withLock { $0.flatMap { $0 } }
  }
}
