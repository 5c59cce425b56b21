import CChorusKernels
import ChorusTensors

extension FrozenPass {
  /// Gradients that are gathered from chunk to chunk.
  private struct Walk {
    let gradients: FusedGradients
    let norm: InnerNetwork.NormNumbers
    let numbers: FrozenShares.Gradients
    let thresholds: UnsafeMutablePointer<Double>
    var scale = 0.0
    /// By A and P where the chunk begins.
    var begin: UnsafeMutablePointer<Float>
    var arena: Arena { gradients.scratch }
  }

  /// Gradients by what a chunk's rows are read as.
  private struct ByFrozen {
    let lefts, rights: [UnsafeMutablePointer<Float>]
    let shares: FrozenShares

    init(_ count: Int, _ network: InnerNetwork, _ arena: Arena) {
      lefts = network.layers.map { arena.zeros(count * $0.rows) }
      rights = network.layers.map { arena.zeros(count * $0.columns) }
      shares = FrozenShares(zeros: count, arena)
    }
  }

  func backward(_ gradients: FusedGradients) {
    let arena = gradients.scratch
    let whole = arena.mark
    let thresholds = arena.doubles(rows.count)
    thresholds.update(repeating: 0, count: rows.count)
    let states = (arena.zeros(memory.stateCount), arena.zeros(memory.stateCount))
    var walk = Walk(
      gradients: gradients,
      norm: InnerNetwork.NormNumbers(
        gain: gain, bias: bias, toGain: arena.zeros(width), toBias: arena.zeros(width)),
      numbers: FrozenShares.Gradients(rows.count, settings.chunk, arena), thresholds: thresholds,
      begin: states.0)
    var end = states.1
    for first in stride(from: 0, to: chunks.count, by: Self.group).reversed() {
      let mark = arena.mark
      let group = again(chunks[first..<min(chunks.count, first + Self.group)], arena)
      for (index, (chunk, frozen)) in group.enumerated().reversed() {
        let inner = arena.mark
        let by = ByFrozen(frozen.count, network, arena)
        walk.begin.update(repeating: 0, count: memory.stateCount)
        if first + index + 1 < chunks.count { fold(chunk, frozen, by, end: end, walk) }
        for run in chunk.runs { read(run, chunk, frozen, by, &walk) }
        if frozen.count > 0 {
          freeze(chunk, frozen, by, &walk)
          frozen.shares.backward(
            by.shares, numbers(of: chunk), first: chunk.rows.lowerBound, into: walk.numbers)
        }
        (walk.begin, end) = (end, walk.begin)
        arena.rewind(to: inner)
      }
      arena.rewind(to: mark)
    }
    give(walk, start: end)
    arena.rewind(to: whole)
  }

  /// A group's chunks with where each begins, and their gradients there.
  private func again(_ group: ArraySlice<Chunk>, _ arena: Arena) -> [(chunk: Chunk, frozen: Frozen)] {
    var (out, state) = ([(chunk: Chunk, frozen: Frozen)](), group.first?.state)
    for var chunk in group {
      chunk.state = state ?? chunk.state
      let frozen = freeze(chunk, arena)
      if out.count + 1 < group.count {
        let next = arena.floats(memory.stateCount)
        fold(chunk, frozen, into: next, arena)
        state = next
      }
      out.append((chunk, frozen))
    }
    return out
  }

  /// Hands gradients by numbers to the matrices that they come from.
  private func give(_ walk: Walk, start: UnsafePointer<Float>) {
    func add(_ from: UnsafePointer<Double>, _ to: Matrix?) {
      guard let to else { return }
      walk.gradients.seed(to) { seed in for i in 0..<to.rows * to.columns { seed[i] += from[i] } }
    }
    func add(_ from: UnsafePointer<Float>, _ to: Matrix?) {
      guard let to else { return }
      walk.gradients.seed(to) { seed in for i in 0..<to.rows * to.columns { seed[i] += Double(from[i]) } }
    }
    add(walk.numbers.rates, numbers.rates)
    add(walk.numbers.keeps, numbers.keeps)
    add(walk.numbers.momenta, numbers.momenta)
    add(walk.numbers.paces, numbers.paces)
    add(walk.thresholds, numbers.thresholds)
    add(walk.norm.toGain, numbers.gain)
    add(walk.norm.toBias, numbers.bias)
    for (layer, matrix) in zip(network.layers, numbers.starts) { add(start + layer.offset, matrix) }
    guard let scale = numbers.scale else { return }
    walk.gradients.seed(scale) { $0[0] += walk.scale }
  }

  // MARK: Behind some of its rows

  /// A_t = start A + carried P − Σ weights_j u_j, with `by` A_t.
  private func sum(
    _ chunk: Chunk, _ frozen: Frozen, _ t: Int, by da: UnsafeMutablePointer<Float>, _ to: ByFrozen,
    _ walk: Walk
  ) {
    let (shares, n) = (frozen.shares, network.count)
    let place = t * shares.stride
    if !settings.paced { to.shares.weights[place + shares.count + 1] += dot(chunk.state, da, walk.arena) }
    let (start, carried) = (shares.start(t), shares.carried(t))
    for i in 0..<n { walk.begin[i] += start * da[i] }
    if settings.momentum, t > 0 {
      to.shares.weights[place + shares.count] += dot(chunk.state + n, da, walk.arena)
      let momentum = walk.begin + n
      for i in 0..<n { momentum[i] += carried * da[i] }
    }
    subtract(frozen, t, shares.weights + place, by: da, to, to.shares.weights + place, walk.arena)
  }

  /// The state behind all rows.
  private func fold(
    _ chunk: Chunk, _ frozen: Frozen, _ to: ByFrozen, end: UnsafeMutablePointer<Float>, _ walk: Walk
  ) {
    let (count, shares, n) = (frozen.count, frozen.shares, network.count)
    sum(chunk, frozen, count, by: end, to, walk)
    guard settings.momentum else { return }
    let (by, place, left) = (end + n, count * shares.stride, shares.left(count))
    to.shares.steps[place + count] += dot(chunk.state + n, by, walk.arena)
    let momentum = walk.begin + n
    for i in 0..<n { momentum[i] += left * by[i] }
    subtract(frozen, count, shares.steps + place, by: by, to, to.shares.steps + place, walk.arena)
  }

  /// −Σ shares_j l_j r_jᵀ over the first t rows.
  private func subtract(
    _ frozen: Frozen, _ t: Int, _ shares: UnsafePointer<Double>, by da: UnsafePointer<Float>, _ to: ByFrozen,
    _ toShares: UnsafeMutablePointer<Double>, _ arena: Arena
  ) {
    guard t > 0 else { return }
    let mark = arena.mark
    for (index, layer) in network.layers.enumerated() {
      let (left, across) = (arena.floats(t * layer.rows), arena.floats(t * layer.rows))
      let (da, ones) = (da + layer.offset, arena.zeros(t))
      FloatProducts(arena: arena, matrices: tape).timesTransposed(
        t, layer.rows, layer.columns, frozen.rights[index], da, into: across)
      let r = Int32(layer.rows)
      ck_row_products(Int32(t), r, frozen.lefts[index], r, across, r, -1, ones)
      for j in 0..<t {
        let (share, row) = (Float(-shares[j]), j * layer.rows)
        let (from, by) = (frozen.lefts[index] + row, to.lefts[index] + row)
        toShares[j] += Double(ones[j])
        for i in 0..<layer.rows {
          left[row + i] = share * from[i]
          by[i] += share * across[row + i]
        }
      }
      multiply(t, layer.columns, layer.rows, left, da, into: to.rights[index], add: true, arena)
    }
    arena.rewind(to: mark)
  }

  /// Σ of products of as many numbers as all matrices have.
  private func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ arena: Arena) -> Double {
    let mark = arena.mark
    var sum = 0.0
    for layer in network.layers {
      let (parts, n) = (arena.zeros(layer.rows), Int32(layer.columns))
      ck_row_products(Int32(layer.rows), n, a + layer.offset, n, b + layer.offset, n, 1, parts)
      for i in 0..<layer.rows { sum += Double(parts[i]) }
    }
    arena.rewind(to: mark)
    return sum
  }

  // MARK: Reading

  private func read(
    _ run: Run, _ chunk: Chunk, _ frozen: Frozen, _ to: ByFrozen,
    _ walk: inout Walk
  ) {
    let arena = walk.arena
    for range in plain ? [run.queries] : alike(run.part, run.queries, chunk) {
      let mark = arena.mark
      let (dy, dx) = (arena.floats(range.count * width), arena.zeros(range.count * width))
      let stride = walk.gradients.columns
      let from = walk.gradients.output + (queries[run.part].row + range.lowerBound) * stride + column
      for row in 0..<range.count { (dy + row * width).update(from: from + row * stride, count: width) }
      if plain {
        ask(run.part, range, by: dy, toX: dx, chunk, frozen, to, walk)
      } else {
        askMapped(run.part, range, by: dy, toX: dx, chunk, frozen, to, &walk)
      }
      queries[run.part].rows.add(dx, range, walk.gradients)
      arena.rewind(to: mark)
    }
  }

  /// Of ψ(A_t).
  private func askMapped(
    _ part: Int, _ range: Range<Int>, by dy: UnsafePointer<Float>, toX dx: UnsafeMutablePointer<Float>,
    _ chunk: Chunk, _ frozen: Frozen, _ to: ByFrozen, _ walk: inout Walk
  ) {
    let arena = walk.arena
    let sums = whole(part, range, chunk, frozen, arena)
    let (maps, matrices) = mapped(sums, arena)
    let (read, da) = (ask(part, range, matrices, arena), arena.zeros(network.count))
    network.fitGradient(read.fit, range.count, by: dy, walk.norm, toX: dx, arena) { index, products, inputs in
      back(index, range.count, read.fit, matrices, products, toInputs: inputs, toMatrices: da, arena)
    }
    mappedGradient(maps, sums, by: da, toScale: &walk.scale, arena)
    sum(chunk, frozen, seen(part, range.lowerBound, chunk), by: da, to, walk)
  }

  /// Of a product of a layer's inputs with its matrix.
  private func back(
    _ index: Int, _ rows: Int, _ fit: InnerNetwork.Pass, _ matrices: UnsafePointer<Float>,
    _ products: UnsafePointer<Float>, toInputs: UnsafeMutablePointer<Float>,
    toMatrices: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    let layer = network.layers[index]
    FloatProducts(arena: arena, matrices: tape).timesTransposed(
      rows, layer.rows, layer.columns, products, matrices + layer.offset, into: toInputs)
    multiply(
      layer.rows, layer.columns, rows, fit.inputs[index], products, .left, into: toMatrices + layer.offset,
      add: true, arena)
  }

  /// Of x·A_t = start x·A + carried x·P − ((x lᵀ) ⊙ weights) r.
  private func ask(
    _ part: Int, _ range: Range<Int>, by dy: UnsafePointer<Float>, toX dx: UnsafeMutablePointer<Float>,
    _ chunk: Chunk, _ frozen: Frozen, _ to: ByFrozen, _ walk: Walk
  ) {
    let (arena, shares, n) = (walk.arena, frozen.shares, network.count)
    let (rows, count) = (range.count, frozen.count)
    let read = ask(part, range, chunk, frozen, arena)
    let places = range.map { seen(part, $0, chunk) * shares.stride }
    /// A share of each row times x·M.
    func shared(
      _ index: Int, _ column: Int, _ matrices: UnsafePointer<Float>, _ products: UnsafePointer<Float>,
      toInputs: UnsafeMutablePointer<Float>, toMatrices: UnsafeMutablePointer<Float>
    ) {
      let (layer, inputs) = (network.layers[index], read.fit.inputs[index])
      let (scaled, by) = (arena.floats(rows * layer.columns), arena.floats(rows * layer.rows))
      let (along, r) = (arena.zeros(rows), Int32(layer.rows))
      for (row, place) in places.enumerated() {
        let (share, first) = (Float(shares.weights[place + column]), row * layer.columns)
        for j in first..<first + layer.columns { scaled[j] = share * products[j] }
      }
      FloatProducts(arena: arena, matrices: tape).timesTransposed(
        rows, layer.rows, layer.columns, products, matrices + layer.offset, into: by)
      ck_row_products(Int32(rows), r, inputs, r, by, r, 1, along)
      for (row, place) in places.enumerated() {
        to.shares.weights[place + column] += Double(along[row])
        ck_scale(layer.rows, Float(shares.weights[place + column]), by + row * layer.rows)
      }
      ck_add(rows * layer.rows, by, toInputs)
      multiply(
        layer.rows, layer.columns, rows, inputs, scaled, .left, into: toMatrices + layer.offset, add: true,
        arena)
    }
    network.fitGradient(read.fit, rows, by: dy, walk.norm, toX: dx, arena) { index, products, inputs in
      let layer = network.layers[index]
      if settings.paced {
        back(
          index, rows, read.fit, chunk.state, products, toInputs: inputs, toMatrices: walk.begin, arena)
      } else {
        shared(index, count + 1, chunk.state, products, toInputs: inputs, toMatrices: walk.begin)
      }
      if settings.momentum {
        shared(index, count, chunk.state + n, products, toInputs: inputs, toMatrices: walk.begin + n)
      }
      guard count > 0 else { return }
      multiply(
        count, layer.columns, rows, read.shared[index], products, .left, into: to.rights[index], add: true,
        arena)
      let scores = arena.floats(rows * count)
      multiply(rows, count, layer.columns, products, frozen.rights[index], .right, into: scores, arena)
      for (row, query) in range.enumerated() {
        let (seen, first) = (seen(part, query, chunk), row * count)
        let (weights, toWeights) = (shares.weights + places[row], to.shares.weights + places[row])
        for j in 0..<count {
          if j < seen { toWeights[j] -= Double(scores[first + j] * read.scores[index][first + j]) }
          scores[first + j] *= -Float(weights[j])
        }
      }
      multiply(rows, layer.rows, count, scores, frozen.lefts[index], into: inputs, add: true, arena)
      multiply(
        count, layer.rows, rows, scores, read.fit.inputs[index], .left, into: to.lefts[index], add: true,
        arena)
    }
  }

  // MARK: Gradients at a chunk's beginning

  /// Of left and right factors, which are functions of keys, values and W.
  private func freeze(_ chunk: Chunk, _ frozen: Frozen, _ by: ByFrozen, _ walk: inout Walk) {
    let (arena, count) = (walk.arena, frozen.count)
    let da = plain ? walk.begin : arena.zeros(network.count)
    let (errors, toValues) = (arena.floats(count * width), arena.zeros(count * width))
    let more = network.factorsGradient(
      frozen.fit, frozen.slopes, frozen.factors, count, by: by.rights, walk.norm, frozen.matrices,
      toSlopes: errors, toMatrices: da, FloatProducts(arena: arena, matrices: tape))
    settings.loss.slopesGradient(
      frozen.errors, count, width, thresholds: thresholds(chunk), by: errors, toValues: toValues,
      toThresholds: walk.thresholds + chunk.rows.lowerBound, arena)
    for i in 0..<count * width { toValues[i] -= errors[i] }
    let toKeys = arena.zeros(count * width)
    network.fitGradient(frozen.fit, count, by: errors, walk.norm, more: more, toX: toKeys, arena) {
      index, products, inputs in
      back(
        index, count, frozen.fit, frozen.matrices, products, toInputs: inputs, toMatrices: da, arena)
      ck_add(count * network.layers[index].rows, by.lefts[index], inputs)
    }
    mappedGradient(frozen.maps, chunk.state, by: da, toScale: &walk.scale, arena)
    if !plain { ck_add(network.count, da, walk.begin) }
    rows.keys.add(toKeys, chunk.rows, walk.gradients)
    rows.values.add(toValues, chunk.rows, walk.gradients)
  }
}
