import ChorusTensors
import Foundation

/// One head's view of the rows that a query sees, in Double: what a memory's definition is written for.
///
/// A reference keeps no state and uses none of the library's algebra: it reads the rows one query after the other.
package struct ReferenceHead {
  /// A stored row of one head.
  package struct Row {
    package var key: [Double]
    package var value: [Double]
    package var gates: [[Double]]
    /// Its place in the sequence.
    package var position: Int
  }

  package let spec: MemorySpec
  package let sizes: AttentionSizes
  package let head: Int
  /// The rows of the context and then the path's own, in their order.
  package let rows: [Row]
  /// How far behind the last row the query is; 0 where nothing was said.
  package var distance = 0
  /// What is learned, in the order of the shape's parameters.
  package let numbers: [[Double]]

  package init(
    spec: MemorySpec, sizes: AttentionSizes, head: Int, rows: [Row], distance: Int = 0, numbers: [[Double]]
  ) {
    (self.spec, self.sizes, self.head) = (spec, sizes, head)
    (self.rows, self.distance, self.numbers) = (rows, distance, numbers)
  }

  /// φ of a key or a query.
  package func features(_ x: [Double]) -> [Double] {
    FeatureMaps.named(orIdentity: spec.features).reference(x)
  }
  var nothing: [Double] { [Double](repeating: 0, count: sizes.width) }
  var rank: Int { FeatureMaps.named(orIdentity: spec.features).count(sizes.width) }

  func softplus(_ x: Double) -> Double { x > 40 ? x : log(1 + exp(x)) }
  func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  /// This head's `count` numbers of a parameter.
  func part(_ index: Int, _ count: Int) -> [Double] {
    Array(numbers[index][head * count..<(head + 1) * count])
  }

  /// Σ w v.
  func sum(_ weights: [Double]) -> [Double] {
    var out = nothing
    for (row, w) in zip(rows, weights) { for j in out.indices { out[j] += w * row.value[j] } }
    return out
  }

  /// x·S for a matrix given by its rows.
  func read(_ x: [Double], _ s: [[Double]]) -> [Double] {
    var out = [Double](repeating: 0, count: s.first?.count ?? 0)
    for (x, row) in zip(x, s) { for j in out.indices { out[j] += x * row[j] } }
    return out
  }

  func softmax(_ scores: [Double]) -> [Double] {
    let top = scores.max() ?? 0
    let weights = scores.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  /// A row's learned weight; 1 where none is learned.
  func weight(_ row: Row) -> Double {
    spec.weights == .learned ? softplus(row.gates[0][0] + numbers[0][head]) : 1
  }

  /// S from row to row, from zero where no beginning is given: `change` is given each row with how many places it is
  /// behind the one before.
  func recurrence(
    from start: [[Double]]? = nil, _ change: (inout [[Double]], Row, _ steps: Int) -> Void
  ) -> [[Double]] {
    var state = start ?? [[Double]](repeating: nothing, count: rank)
    var last = (rows.first?.position ?? 0) - 1
    for row in rows {
      change(&state, row, row.position - last)
      last = row.position
    }
    return state
  }
}

/// What a reference reads for one head of a query.
package struct ReferenceRead {
  package var values: [Double]
  /// The further number of a read, where the memory has one.
  package var feature: Double?

  init(_ values: [Double], feature: Double? = nil) {
    self.values = values
    self.feature = feature
  }
}

extension CompiledMemory {
  /// A read of one query row `[columns]` by definition, in Double: of `context` and then `own`, stored rows in their order.
  ///
  /// - Parameters:
  ///   - positions: of the own rows; consecutive behind the context where nil.
  ///   - position: of the query; the last row's where nil.
  package func reference(
    _ query: [Double], context: [[Double]], own: [[Double]], positions: [Int]? = nil, position: Int? = nil,
    numbers: [[Double]]
  ) -> [Double] {
    if let ages { return AgedMemory.reference(ages, query, sizes, context: context, own: own) }
    let places = Array(0..<context.count) + (positions ?? Array(context.count..<context.count + own.count))
    guard let buffer, let spec = layer.buffer else {
      return read(
        self.context, layer.context, query, zip(context + own, places).map { ($0, $1) }, position, numbers)
    }
    let (first, second) = (Array(numbers.prefix(split)), Array(numbers.dropFirst(split)))
    return read(
      self.context, layer.context, query, zip(context, places).map { ($0, $1) }, position, first)
      + read(
        buffer, spec, query, zip(own, places.dropFirst(context.count)).map { ($0, $1) }, position, second)
  }

  private func read(
    _ kind: any SpecifiedMemory.Type, _ spec: MemorySpec, _ query: [Double], _ rows: [([Double], Int)],
    _ position: Int?, _ numbers: [[Double]]
  ) -> [Double] {
    let layout = kind.shape(spec, sizes).layout
    var (values, features) = ([Double](), [Double]())
    for head in 0..<sizes.heads {
      let stored = head / (sizes.heads / sizes.keyHeads)
      let form = ReferenceHead(
        spec: spec, sizes: sizes, head: head,
        rows: rows.map { row, place in
          ReferenceHead.Row(
            key: Array(row[layout.key(stored)]), value: Array(row[layout.value(stored)]),
            gates: layout.gates.indices.map { Array(row[layout.gate($0, stored)]) }, position: place)
        }, distance: position.map { $0 - (rows.last?.1 ?? -1) } ?? 0, numbers: numbers)
      let read = kind.reference(Array(query[head * sizes.width..<(head + 1) * sizes.width]), form)
      values += read.values
      if let feature = read.feature { features.append(feature) }
    }
    return values + features
  }
}

/// A square matrix in plain loops, and Gaussian elimination with pivots.
package struct Square {
  package let n: Int
  private var values: [Double]

  package init(_ n: Int) {
    self.n = n
    values = [Double](repeating: 0, count: n * n)
  }

  package subscript(i: Int, j: Int) -> Double {
    get { values[i * n + j] }
    set { values[i * n + j] = newValue }
  }

  func times(_ x: [Double]) -> [Double] {
    (0..<n).map { i in (0..<n).reduce(0) { $0 + self[i, $1] * x[$1] } }
  }

  /// A⁻¹ b for `n` rows of b.
  package func solve(_ b: [[Double]]) -> [[Double]] {
    var (a, x) = ((0..<n).map { i in Array(values[i * n..<(i + 1) * n]) }, b)
    for pivot in 0..<n {
      let best = (pivot..<n).max { abs(a[$0][pivot]) < abs(a[$1][pivot]) } ?? pivot
      a.swapAt(pivot, best)
      x.swapAt(pivot, best)
      for row in pivot + 1..<max(n, pivot + 1) {
        let factor = a[row][pivot] / a[pivot][pivot]
        if factor == 0 { continue }
        for column in pivot..<n { a[row][column] -= factor * a[pivot][column] }
        for column in x[row].indices { x[row][column] -= factor * x[pivot][column] }
      }
    }
    for row in stride(from: n - 1, through: 0, by: -1) {
      for column in x[row].indices {
        let sum = (row + 1..<max(n, row + 1)).reduce(x[row][column]) { $0 - a[row][$1] * x[$1][column] }
        x[row][column] = sum / a[row][row]
      }
    }
    return x
  }
}
