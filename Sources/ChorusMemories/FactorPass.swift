import CChorusKernels
import ChorusTensors
import Foundation

/// The training form of a factor memory for one set, the rows behind it and what reads them, all heads in Float.
///
/// As in inference (`FactorMemory`): the sums of the set make a map, every row behind it a factor f and a value z, and a query
/// reads φ(q)·map and Σ (probe·f) z over the rows that it sees:
///
///     P = φ(Q) map,  A = probe Fᵀ as far as it is seen,  O = finish(P + A Z, sums of A or of A²)
///
/// A is computed anew on the walk back, in tiles of queries, so what is kept grows linearly with the rows.
final class FactorPass<Rule: FusedRule>: FusedPass {
  /// Rows of the stored node with their features, all heads side by side.
  struct Stored {
    let rows: Range<Int>
    /// φ `[rows, heads·rank]`.
    let features: Floats
    /// `[rows, heads]`.
    let weights: Floats?
    let keys: Floats
    /// `[rows, heads·width]`: V̂, and what it was made of.
    let values: Floats
    let plain: Floats
  }

  /// Queries beside each other, the first that sees a row behind the set and the last, and the most that one sees.
  struct Tile {
    let rows: Range<Int>
    let seen: Int
  }

  /// The most queries of a tile.
  static var longest: Int { 64 }

  let rule: Rule
  let sizes: AttentionSizes
  let layout: StoredLayout
  let queries: Node
  let stored: Node
  let group: VisibleGroup
  let matrices: MatrixTape
  /// Of all parts' queries, one part behind the other.
  let limits: [Int32]
  let tiles: [Tile]
  let asked: Floats
  let set: Stored
  let own: Stored
  /// What the memory has learned, each parameter a row.
  let numbers: [MatrixTape.Matrix]

  /// Maps in Double, and in Float with rows of `mapStride`.
  let maps: UnsafeMutablePointer<Double>
  let single: Floats
  let mapped: Floats
  let extra: UnsafeMutablePointer<Float>
  private let factors, values, ownMapped: Floats
  private let kept: UnsafeMutablePointer<Double>
  let output: Floats

  var heads: Int { sizes.heads }
  var count: Int { limits.count }
  /// In whole registers, so that nothing has to be packed.
  var mapStride: Int { Self.padded(rule.mapColumns) }
  var ownStride: Int { Self.padded(own.rows.count) }
  static func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  init(
    _ rule: Rule, _ memory: FactorMemory<Rule>, queries: Node, stored: Node, _ group: VisibleGroup,
    _ pass: MatrixPass
  ) {
    let (sizes, arena) = (memory.sizes, pass.arena)
    let heads = sizes.heads
    (self.rule, self.sizes, layout) = (rule, sizes, memory.shape.layout)
    (self.queries, self.stored, self.group, matrices) = (queries, stored, group, pass.matrices)
    limits = group.parts.flatMap { $0.seen }
    tiles = Self.tiles(group.parts)
    numbers = memory.values.handles.map { pass.input($0, 0..<$0.count) }
    output = Floats(pass.output.values, stride: pass.output.columns)

    asked = Floats(group.count, heads * rule.rank, arena)
    Self.features(
      rule.map, group.parts.map(\.queries), of: pass.values(queries), queries.columns, sizes, arena, asked)
    let products = FloatProducts(arena: arena, matrices: pass.matrices)
    let bias = rule.powers == nil ? nil : UnsafePointer(pass.matrices.values(numbers[0]))
    func take(_ rows: Range<Int>) -> Stored {
      Self.stored(rule, rows, of: pass.values(stored), memory.shape.layout, sizes, bias, products)
    }
    (set, own) = (take(group.shared), take(group.own))

    let (rank, columns) = (rule.rank, Self.padded(rule.mapColumns))
    maps = arena.doubles(heads * rank * rule.mapColumns)
    single = Floats(zeros: heads * rank, columns, arena)
    mapped = Floats(group.count, heads * columns, arena)
    extra = arena.zeros(heads * group.count)
    let behind = Self.padded(group.own.count)
    factors = Floats(zeros: heads * behind, rank, arena)
    values = Floats(zeros: heads * behind, sizes.width, arena)
    ownMapped = rule.readsBeforeWriting ? Floats(group.own.count, heads * columns, arena) : mapped
    kept = arena.doubles(heads * rule.kept(rows: group.own.count))
    for head in 0..<heads { read(head, products) }
  }

  /// Parts of queries that see rows behind the set.
  private static func tiles(_ parts: [VisibleGroup.Part]) -> [Tile] {
    var (tiles, first) = ([Tile](), 0)
    for part in parts {
      let seen = part.seen
      for begin in stride(from: 0, to: seen.count, by: longest) {
        let some = seen[begin..<min(seen.count, begin + longest)]
        guard let from = some.firstIndex(where: { $0 > 0 }), let to = some.lastIndex(where: { $0 > 0 })
        else { continue }
        tiles.append(Tile(rows: first + from..<first + to + 1, seen: Int(some.max() ?? 0)))
      }
      first += seen.count
    }
    return tiles
  }

  // MARK: Rows

  /// Columns of some rows of a node, `[rows, columns]`.
  static func load(
    _ ranges: [Range<Int>], of values: UnsafePointer<Float>, _ stride: Int, columns: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    var to = out
    for row in ranges.joined() {
      to.update(from: values + row * stride, count: columns)
      to += columns
    }
  }

  private static func features(
    _ map: any FeatureMap, _ ranges: [Range<Int>], of values: UnsafePointer<Float>, _ stride: Int,
    _ sizes: AttentionSizes, _ arena: Arena, _ out: Floats
  ) {
    let (mark, rows) = (arena.mark, ranges.reduce(0) { $0 + $1.count })
    let plain = arena.floats(rows * sizes.columns)
    load(ranges, of: values, stride, columns: sizes.columns, into: plain)
    map.apply(rows: rows * sizes.heads, plain, width: sizes.width, into: out.pointer)
    arena.rewind(to: mark)
  }

  private static func stored(
    _ rule: Rule, _ rows: Range<Int>, of node: UnsafePointer<Float>, _ layout: StoredLayout,
    _ sizes: AttentionSizes, _ bias: UnsafePointer<Double>?, _ products: FloatProducts
  ) -> Stored {
    let arena = products.arena
    let (heads, columns, stride) = (sizes.heads, sizes.heads * rule.rank, layout.columns)
    let features = Floats(rows.count, columns, arena)
    Self.features(rule.map, [rows], of: node, stride, sizes, arena, features)
    let values = Floats(
      reading: node + rows.lowerBound * stride + layout.value(0).lowerBound, stride: stride)
    func unweighed(_ made: Floats) -> Stored {
      Stored(rows: rows, features: features, weights: nil, keys: features, values: made, plain: values)
    }
    guard rule.makesValues || rule.powers != nil else { return unweighed(values) }
    let scaled = Floats(rows.count, sizes.columns, arena)
    guard let powers = rule.powers, let bias else {
      for head in 0..<heads {
        rule.makeValues(
          rows.count, keys: features.from(column: head * rule.rank),
          values: values.from(column: head * sizes.width), head: head,
          into: scaled.from(column: head * sizes.width), products)
      }
      return unweighed(scaled)
    }
    let (weights, keys) = (Floats(rows.count, heads, arena), Floats(rows.count, columns, arena))
    let gates = node + rows.lowerBound * stride + layout.gate(0, 0).lowerBound
    for row in 0..<rows.count {
      for head in 0..<heads {
        let weight = Float(Softplus.value(Double(gates[row * stride + head]) + bias[head]))
        weights.row(row)[head] = weight
        let (key, value) = (pow(weight, powers.key), pow(weight, powers.value))
        for i in head * rule.rank..<(head + 1) * rule.rank { keys.row(row)[i] = key * features.row(row)[i] }
        for j in layout.value(head) {
          let place = j - layout.value(0).lowerBound
          scaled.row(row)[place] = value * values.row(row)[place]
        }
      }
    }
    return Stored(
      rows: rows, features: features, weights: weights, keys: keys, values: scaled, plain: values)
  }

  // MARK: One head

  /// What `commit` is given and gives.
  func committed(_ head: Int) -> CommittedHead {
    CommittedHead(
      rows: own.rows.count, keys: own.keys.from(column: head * rule.rank),
      values: own.values.from(column: head * sizes.width),
      mapped: ownMapped.from(column: head * mapStride), factors: factors.from(row: head * ownStride),
      stored: values.from(row: head * ownStride), kept: kept + head * rule.kept(rows: own.rows.count))
  }

  /// What rows ask the factors with.
  func probe(_ head: Int) -> Floats {
    rule.valueColumn == 0
      ? asked.from(column: head * rule.rank) : mapped.from(column: head * mapStride)
  }

  private func read(_ head: Int, _ products: FloatProducts) {
    let (rank, width, own) = (rule.rank, sizes.width, committed(head))
    makeMap(head, products)
    let (map, mine) = (single.from(row: head * rank), mapped.from(column: head * mapStride))
    products(count, mapStride, rank, asked.from(column: head * rank), map, into: mine)
    if own.rows > 0 {
      if rule.readsBeforeWriting { products(own.rows, mapStride, rank, own.keys, map, into: own.mapped) }
      rule.commit(own, products)
    }
    for tile in tiles {
      let mark = products.arena.mark
      let scores = scores(tile, head, products)
      add(extra + head * count, of: scores, tile)
      products(
        tile.rows.count, width, tile.seen, scores, own.stored,
        into: mine.from(row: tile.rows.lowerBound, column: rule.valueColumn), add: true)
      products.arena.rewind(to: mark)
    }
    for (first, part) in group.places { rule.finish(reads(head, first, part, of: output), products) }
  }

  /// The sums of the set, and what the rule makes of them.
  private func makeMap(_ head: Int, _ products: FloatProducts) {
    let (rank, columns, width, arena) = (rule.rank, rule.momentColumns, sizes.width, products.arena)
    let mark = arena.mark
    let sums = Floats(zeros: rank, columns, arena)
    let (keys, values) = (set.keys.from(column: head * rank), set.values.from(column: head * width))
    if !set.rows.isEmpty {
      let rows = set.rows.count
      let first = rule.sums == .keysAndValues ? rank : 0
      if first > 0 { products(rank, rank, rows, keys, keys, .left, into: sums) }
      products(rank, width, rows, keys, values, .left, into: sums.from(column: first))
      if rule.sums == .valuesAndRows {
        let total = arena.zeros(rank)
        for row in 0..<rows { ck_add(rank, keys.row(row), total) }
        for i in 0..<rank { sums.row(i)[width] = total[i] }
      }
    }
    let moments = arena.doubles(rank * columns)
    for i in 0..<rank * columns { moments[i] = Double(sums.pointer[i]) }
    let map = maps + head * rank * rule.mapColumns
    _ = rule.map(moments, rows: set.rows.count, head: head, into: map, arena)
    for i in 0..<rank {
      let to = single.row(head * rank + i)
      for j in 0..<rule.mapColumns { to[j] = Float(map[i * rule.mapColumns + j]) }
    }
    arena.rewind(to: mark)
  }

  /// A of a tile's queries, zeros behind what each sees.
  func scores(_ tile: Tile, _ head: Int, _ products: FloatProducts) -> Floats {
    let scores = Floats(tile.rows.count, Self.padded(tile.seen), products.arena)
    products(
      tile.rows.count, scores.stride, rule.rank, probe(head).from(row: tile.rows.lowerBound),
      factors.from(row: head * ownStride), .right, into: scores)
    hide(scores, tile)
    return scores
  }

  func hide(_ scores: Floats, _ tile: Tile) {
    for (i, query) in tile.rows.enumerated() {
      let seen = Int(limits[query])
      (scores.row(i) + seen).update(repeating: 0, count: scores.stride - seen)
    }
  }

  private func add(_ extra: UnsafeMutablePointer<Float>, of scores: Floats, _ tile: Tile) {
    guard rule.extra != .none else { return }
    for (i, query) in tile.rows.enumerated() {
      let row = scores.row(i)
      var sum: Float = 0
      if rule.extra == .sums {
        for j in 0..<scores.stride { sum += row[j] }
      } else {
        for j in 0..<scores.stride { sum += row[j] * row[j] }
      }
      extra[query] = sum
    }
  }

  /// The reads of one part of the queries, which begins at `first`; `rows` is the output or its gradient.
  func reads(_ head: Int, _ first: Int, _ part: VisibleGroup.Part, of rows: Floats) -> FactorReads {
    let out = rows.from(row: part.queries.lowerBound)
    return FactorReads(
      head: head, rows: part.queries.count, asked: asked.from(row: first, column: head * rule.rank),
      mapped: mapped.from(row: first, column: head * mapStride),
      extra: extra + head * count + first, out: out.from(column: head * sizes.width),
      feature: out.from(column: min(sizes.columns + head, out.stride - 1)), set: set.rows.count,
      limits: limits[first..<first + part.queries.count])
  }
}
