import CChorusKernels
import ChorusTensors
import Foundation

extension FactorPass {
  /// Gradients by K̂ `[rows, heads·rank]` and V̂ `[rows, heads·width]`.
  private struct StoredGradients {
    let keys: Floats
    let values: Floats
  }

  func backward(_ gradients: FusedGradients) {
    let arena = gradients.scratch
    let mark = arena.mark
    let products = FloatProducts(arena: arena, matrices: matrices)
    let known = Floats(reading: gradients.output, stride: gradients.columns)
    let node = gradients.node(stored)
    // Where V̂ is a row's values their gradients go straight to where they belong.
    func room(_ rows: Stored) -> StoredGradients {
      let keys = Floats(zeros: rows.rows.count, heads * rule.rank, arena)
      guard rows.weights == nil, !rule.makesValues, let node else {
        return StoredGradients(keys: keys, values: Floats(zeros: rows.rows.count, sizes.columns, arena))
      }
      let first = node + rows.rows.lowerBound * stored.columns + layout.value(0).lowerBound
      return StoredGradients(keys: keys, values: Floats(first, stride: stored.columns))
    }
    let asked = Floats(zeros: count, heads * rule.rank, arena)
    let (set, own) = (room(set), room(own))
    let slopes = FactorNumbers(
      gradients: numbers.map { number in
        let zeros = arena.doubles(number.columns)
        zeros.update(repeating: 0, count: number.columns)
        return zeros
      })
    for head in 0..<heads {
      let mark = arena.mark
      walk(head, known, asked: asked, set: set, own: own, slopes, products)
      arena.rewind(to: mark)
    }
    give(asked, of: self.asked, group.parts.map(\.queries), queries, arena, gradients)
    for (rows, found) in [(self.set, set), (self.own, own)] {
      unweigh(rows, found, slopes, gradients)
      if rule.makesValues { unmake(rows, found, slopes, products, gradients) }
      give(found.keys, of: rows.features, [rows.rows], stored, arena, gradients)
    }
    for (number, slope) in zip(numbers, slopes.gradients) {
      gradients.seed(number) { for i in 0..<number.columns { $0[i] += slope[i] } }
    }
    arena.rewind(to: mark)
  }

  private func walk(
    _ head: Int, _ known: Floats, asked: Floats, set: StoredGradients, own: StoredGradients,
    _ numbers: FactorNumbers, _ products: FloatProducts
  ) {
    let (rank, width, arena) = (rule.rank, sizes.width, products.arena)
    let asked = asked.from(column: head * rank)
    let reads = Floats(zeros: count, mapStride, arena)
    let extra = arena.zeros(count)
    for (first, part) in group.places {
      let out = self.reads(head, first, part, of: known)
      rule.finishGradient(
        self.reads(head, first, part, of: output),
        by: FactorReads(
          head: head, rows: out.rows, asked: asked.from(row: first), mapped: reads.from(row: first),
          extra: extra + first, out: out.out, feature: out.feature, set: out.set, limits: out.limits),
        numbers, products)
    }

    let behind = committed(head)
    let found = CommittedHead(
      rows: behind.rows, keys: own.keys.from(column: head * rank),
      values: own.values.from(column: head * width),
      mapped: rule.readsBeforeWriting ? Floats(zeros: behind.rows, mapStride, arena) : reads,
      factors: Floats(zeros: ownStride, rank, arena), stored: Floats(zeros: ownStride, width, arena),
      kept: behind.kept)
    for tile in tiles {
      let probes = rule.valueColumn == 0 ? asked : reads
      read(tile, head, of: behind, values: reads, extra, probes: probes, into: found, products)
    }
    let map = Floats(zeros: rank, mapStride, arena)
    let single = single.from(row: head * rank)
    if behind.rows > 0 {
      rule.commitGradient(behind, by: found, products)
      if rule.readsBeforeWriting {
        products(rank, mapStride, behind.rows, behind.keys, found.mapped, .left, into: map)
        products(behind.rows, rank, mapStride, found.mapped, single, .right, into: found.keys, add: true)
      }
    }
    products(
      rank, mapStride, count, self.asked.from(column: head * rank), reads, .left, into: map, add: true)
    products(count, rank, mapStride, reads, single, .right, into: asked, add: true)
    unmap(head, map, set, numbers, products)
  }

  /// P + A Z with A = probe Fᵀ, and the sums of A or its squares.
  private func read(
    _ tile: Tile, _ head: Int, of behind: CommittedHead, values: Floats, _ extra: UnsafePointer<Float>,
    probes: Floats, into found: CommittedHead, _ products: FloatProducts
  ) {
    let (rank, width, arena) = (rule.rank, sizes.width, products.arena)
    let mark = arena.mark
    let (rows, first) = (tile.rows.count, tile.rows.lowerBound)
    let values = values.from(row: first, column: rule.valueColumn)
    let scores = scores(tile, head, products)
    products(tile.seen, width, rows, scores, values, .left, into: found.stored, add: true)
    let slopes = Floats(rows, scores.stride, arena)
    products(rows, scores.stride, width, values, behind.stored, .right, into: slopes)
    if rule.extra != .none {
      for i in 0..<rows {
        let (to, by) = (slopes.row(i), extra[first + i])
        if rule.extra == .sums {
          for j in 0..<scores.stride { to[j] += by }
        } else {
          for j in 0..<scores.stride { to[j] += 2 * by * scores.row(i)[j] }
        }
      }
    }
    hide(slopes, tile)
    products(
      tile.seen, rank, rows, slopes, probe(head).from(row: first), .left, into: found.factors, add: true)
    products(rows, rank, tile.seen, slopes, behind.factors, into: probes.from(row: first), add: true)
    arena.rewind(to: mark)
  }

  /// Through the map to the sums, and from them to the set's rows.
  private func unmap(
    _ head: Int, _ gradient: Floats, _ found: StoredGradients, _ numbers: FactorNumbers,
    _ products: FloatProducts
  ) {
    let (rank, columns, width, arena) = (rule.rank, rule.momentColumns, sizes.width, products.arena)
    let (whole, moments) = (arena.doubles(rank * rule.mapColumns), arena.doubles(rank * columns))
    for i in 0..<rank {
      for j in 0..<rule.mapColumns { whole[i * rule.mapColumns + j] = Double(gradient.row(i)[j]) }
    }
    rule.mapGradient(
      maps + head * rank * rule.mapColumns, head: head, whole, into: moments, numbers, arena)
    guard !set.rows.isEmpty else { return }
    let (rows, sums) = (set.rows.count, Floats(rank, columns, arena))
    for i in 0..<rank * columns { sums.pointer[i] = Float(moments[i]) }
    let (keys, values) = (set.keys.from(column: head * rank), set.values.from(column: head * width))
    let (toKeys, toValues) = (found.keys.from(column: head * rank), found.values.from(column: head * width))
    let ofValues = sums.from(column: rule.sums == .keysAndValues ? rank : 0)
    products(rows, rank, width, values, ofValues, .right, into: toKeys)
    products(rows, width, rank, keys, ofValues, into: toValues, add: true)
    switch rule.sums {
    case .values: break
    case .keysAndValues:
      let both = Floats(rank, rank, arena)
      for i in 0..<rank { for j in 0..<rank { both.row(i)[j] = sums.row(i)[j] + sums.row(j)[i] } }
      products(rows, rank, rank, keys, both, into: toKeys, add: true)
    case .valuesAndRows:
      let total = arena.floats(rank)
      for i in 0..<rank { total[i] = sums.row(i)[width] }
      for row in 0..<rows { ck_add(rank, total, toKeys.row(row)) }
    }
  }

  // MARK: Rows

  /// With K̂ = w^p φ and V̂ = w^q v a weight's gradient is (p K̂·dK̂ + q V̂·dV̂)/w; K̂'s becomes φ's.
  private func unweigh(
    _ rows: Stored, _ found: StoredGradients, _ numbers: FactorNumbers, _ gradients: FusedGradients
  ) {
    guard let weights = rows.weights, let powers = rule.powers else { return }
    let node = gradients.node(stored)
    for row in 0..<rows.rows.count {
      let place = (rows.rows.lowerBound + row) * stored.columns
      for head in 0..<heads {
        let weight = weights.row(row)[head]
        let (key, value) = (pow(weight, powers.key), pow(weight, powers.value))
        var slope: Float = 0
        for i in head * rule.rank..<(head + 1) * rule.rank {
          slope += powers.key * rows.keys.row(row)[i] * found.keys.row(row)[i]
          found.keys.row(row)[i] *= key
        }
        for j in head * sizes.width..<(head + 1) * sizes.width {
          let by = found.values.row(row)[j]
          slope += powers.value * rows.values.row(row)[j] * by
          node?[place + layout.value(0).lowerBound + j] += value * by
        }
        // The slope of softplus, by what it gave; over a weight too small to be told from 0 the ratio is 1.
        slope *= weight > 0 ? -expm1(-weight) / weight : 1
        node?[place + layout.gate(0, head).lowerBound] += slope
        numbers[0][head] += Double(slope)
      }
    }
  }

  /// Through V̂ that were made, to keys and values.
  private func unmake(
    _ rows: Stored, _ found: StoredGradients, _ numbers: FactorNumbers, _ products: FloatProducts,
    _ gradients: FusedGradients
  ) {
    let node = gradients.node(stored)
    let mark = products.arena.mark
    let nowhere = node == nil ? products.arena.zeros(rows.rows.count * stored.columns) : nil
    guard let first = node.map({ $0 + rows.rows.lowerBound * stored.columns }) ?? nowhere else { return }
    let to = Floats(first + layout.value(0).lowerBound, stride: stored.columns)
    for head in 0..<heads {
      let (key, value) = (head * rule.rank, head * sizes.width)
      rule.makeValuesGradient(
        rows.rows.count, keys: rows.keys.from(column: key), values: rows.plain.from(column: value),
        head: head, of: found.values.from(column: value), toKeys: found.keys.from(column: key),
        toValues: to.from(column: value), numbers, products)
    }
    products.arena.rewind(to: mark)
  }

  /// Gradients by φ of some rows, to the node that they are of.
  private func give(
    _ found: Floats, of features: Floats, _ ranges: [Range<Int>], _ node: Node, _ arena: Arena,
    _ gradients: FusedGradients
  ) {
    guard let to = gradients.node(node) else { return }
    let (mark, rows) = (arena.mark, ranges.reduce(0) { $0 + $1.count })
    let (plain, back) = (arena.floats(rows * sizes.columns), arena.zeros(rows * sizes.columns))
    Self.load(ranges, of: gradients.values(node), node.columns, columns: sizes.columns, into: plain)
    rule.map.addGradient(
      rows: rows * heads, found.pointer, of: plain, features.pointer, width: sizes.width, to: back)
    var from = back
    for row in ranges.joined() {
      ck_add(sizes.columns, from, to + row * node.columns)
      from += sizes.columns
    }
    arena.rewind(to: mark)
  }
}
