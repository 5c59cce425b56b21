import ChorusModels
import ChorusPlans
import ChorusTensors

/// A context in the network's units with its encoded state: where every plan begins. No file units, no options.
struct Conditioned: Sendable {
  let trunk: Trunk
  let dimensions: Int
  let x: [Float]
  let y: [Float]
  let state: Trunk.ContextState

  init(_ trunk: Trunk, x: [Float], y: [Float], dimensions: Int, on pool: ThreadPool?) {
    self.trunk = trunk
    self.dimensions = dimensions
    self.x = x
    self.y = y
    state = trunk.encode(x: x, y: y, dimensions: dimensions, on: pool)
  }

  var components: Int { trunk.blueprint.components }
  var stride: Int { 3 * components }

  /// The same context with further rows, encoded anew.
  func merging(x more: [Float], y values: [Float]) -> Trunk.ContextState {
    trunk.encode(x: x + more, y: y + values, dimensions: dimensions)
  }

  func mixture(_ raw: UnsafePointer<Float>) -> GaussianMixture {
    GaussianMixture(raw, components: components, floor: trunk.blueprint.sigmaFloor)
  }

  func draw(_ raw: UnsafePointer<Float>, component uniform: Double, normal: Double) -> Float {
    Float(
      GaussianMixture.draw(
        raw, components: components, floor: trunk.blueprint.sigmaFloor, component: uniform, normal: normal))
  }
}

/// The targets of one request: their inputs in the network's units and embedded, once for all paths and orders.
struct Targets: Sendable {
  let count: Int
  let x: [Float]
  let dimensions: Int
  let embedded: Trunk.EmbeddedInputs

  init(_ trunk: Trunk, x: [Float], dimensions: Int) {
    self.x = x
    self.dimensions = dimensions
    count = dimensions == 0 ? 0 : x.count / dimensions
    embedded = trunk.embed(x, count: count, dimensions: dimensions)
  }

  func input(_ index: Int) -> ArraySlice<Float> { x[index * dimensions..<(index + 1) * dimensions] }
}

/// Paths that go through a plan together, with one shared context or, once a plan has merged, one context each.
struct Lanes {
  private let conditioned: Conditioned
  private let targets: Targets
  /// For each path, which target stands at each position.
  let orders: [[Int]]
  private let capacity: Int
  private var rows = RowBatch()
  private var groups: [(paths: Trunk.Paths, context: Trunk.ContextState, members: Range<Int>)]

  init(_ conditioned: Conditioned, _ targets: Targets, orders: [[Int]], capacity: Int) {
    self.conditioned = conditioned
    self.targets = targets
    self.orders = orders
    self.capacity = capacity
    groups = [
      (
        conditioned.trunk.branch(paths: orders.count, capacity: capacity), conditioned.state, 0..<orders.count
      )
    ]
  }

  /// Moves the values of the first `merged` positions into a context of each path's own and empties the buffers.
  mutating func merge(_ merged: Int, values: [[Float]]) {
    guard merged > 0 else { return }
    groups = orders.indices.map { path in
      let order = orders[path][0..<merged]
      let context = conditioned.merging(
        x: order.flatMap { Array(targets.input($0)) }, y: order.map { values[path][$0] })
      return (conditioned.trunk.branch(paths: 1, capacity: capacity), context, path..<path + 1)
    }
  }

  /// Rows that go through the network in one piece, so that a call with many targets takes bounded memory.
  /// Fixed, and no result depends on it.
  static let piece = 4096

  /// One network call for every path, in pieces where it has many rows: commits the values at some positions to the
  /// slots from `slot` on, and asks for others, each reading as many slots as its limit says. `body` gets each queried
  /// position of each path with the head's parameters.
  mutating func advance(
    commit: Range<Int>, at slot: Int, query: [Int], limits: [Int], values: [[Float]],
    _ body: (_ path: Int, _ position: Int, UnsafePointer<Float>) -> Void
  ) {
    for group in groups.indices {
      let size = max(1, Self.piece / groups[group].members.count)
      var first = commit.lowerBound
      func slots() -> Int { slot + first - commit.lowerBound }
      while commit.upperBound - first > size {
        advance(group, first..<first + size, at: slots(), [], [], values, body)
        first += size
      }
      var start = 0
      repeat {
        let end = min(start + size, query.count)
        advance(
          group, first..<commit.upperBound, at: slots(), query[start..<end], limits[start..<end], values, body
        )
        first = commit.upperBound
        start = end
      } while start < query.count
    }
  }

  private mutating func advance(
    _ group: Int, _ commit: Range<Int>, at slot: Int, _ query: ArraySlice<Int>, _ limits: ArraySlice<Int>,
    _ values: [[Float]], _ body: (_ path: Int, _ position: Int, UnsafePointer<Float>) -> Void
  ) {
    let (paths, context, members) = groups[group]
    rows.clear()
    for path in members {
      rows.begin()
      for (place, position) in commit.enumerated() {
        let target = orders[path][position]
        rows.commit(
          input: Int32(target), y: values[path][target], slot: Int32(slot + place),
          reads: .prefix(slot + place + 1))
      }
      for (position, limit) in zip(query, limits) {
        rows.query(input: Int32(orders[path][position]), reads: .prefix(limit))
      }
    }
    var raw = conditioned.trunk.advance(paths, context, inputs: targets.embedded, rows: rows)
    for path in members {
      for position in query {
        body(path, position, raw)
        raw += conditioned.stride
      }
    }
  }
}
