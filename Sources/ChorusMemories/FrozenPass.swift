import CChorusKernels
import ChorusTensors

/// The chunk form of one head of a memory of frozen gradients over all rows of a training pass, with derivatives, in Float.
///
/// With W = ψ(A) where a chunk begins, each row's gradient there is u_j = l_j r_jᵀ, of what goes into a layer and of the slope
/// by its products. Behind t rows, with the shares of `FrozenShares`,
///
///     A_t = start A + carried P − Σ weights_j l_j r_jᵀ
///
/// Where ψ is the identity, queries x are not read from that, but as x·A_t = start x·A + carried x·P − ((x lᵀ) ⊙ weights) r.
/// Otherwise ψ(A_t) is made for every number of rows that is asked for. What is kept is where every eighth chunk begins; the
/// walk back computes the rest again.
final class FrozenPass: FusedPass {
  typealias Matrix = MatrixTape.Matrix
  typealias Queries = RecurrentPass.Queries
  /// Queries of a part that are beside each other.
  typealias Run = (part: Int, queries: Range<Int>)

  /// Rows of one head, from the first to the last.
  struct Rows {
    let keys: MoveRows
    let values: MoveRows
    let count: Int
  }

  /// Some rows, and the queries whose prefix ends among them, with those that see no row in the first one.
  struct Chunk {
    let rows: Range<Int>
    let runs: [Run]
    /// A and P where it begins. Of the first chunk of a group they last until the tape is reset.
    var state: UnsafeMutablePointer<Float>
  }

  /// Chunks of a group.
  static let group = 8

  let memory: FrozenMemory
  let head: Int
  let numbers: FrozenNumbers
  let rows: Rows
  let queries: [Queries]
  let tape: MatrixTape
  private(set) var chunks: [Chunk] = []

  var network: InnerNetwork { memory.network }
  var settings: FrozenSettings { memory.settings }
  var width: Int { network.width }
  var plain: Bool { settings.retention == .quadratic }
  var column: Int { head * width }
  var gain: UnsafePointer<Float>? { memory.number("gain", head) }
  var bias: UnsafePointer<Float>? { memory.number("bias", head) }
  let scale: Double

  /// Computes the reads and writes them into the pass's output.
  init(
    _ memory: FrozenMemory, head: Int, _ numbers: FrozenNumbers, _ rows: Rows, _ queries: [Queries],
    _ pass: MatrixPass
  ) {
    (self.memory, self.head, self.numbers, self.rows, self.queries) = (memory, head, numbers, rows, queries)
    tape = pass.matrices
    scale = memory.scale(head)
    let runs = Self.runs(queries, rows.count, memory.settings.chunk)
    let arena = pass.arena
    let passing = (0..<2).map { _ in arena.floats(memory.stateCount) }
    var state = arena.zeros(memory.stateCount)
    memory.begin(state, head)
    for (number, runs) in runs.enumerated() {
      let first = number * settings.chunk
      let chunk = Chunk(
        rows: first..<min(rows.count, first + settings.chunk), runs: runs, state: state)
      chunks.append(chunk)
      let last = chunk.rows.upperBound == rows.count
      if !last {
        state =
          (number + 1).isMultiple(of: Self.group) ? arena.floats(memory.stateCount) : passing[number % 2]
      }
      let mark = arena.mark
      let frozen = freeze(chunk, arena)
      for run in runs { read(run, chunk, frozen, pass) }
      if !last { fold(chunk, frozen, into: state, arena) }
      arena.rewind(to: mark)
    }
  }

  /// Chunk by chunk the queries beside each other whose prefixes end in it.
  private static func runs(_ queries: [Queries], _ rows: Int, _ length: Int) -> [[Run]] {
    var runs = [[Run]](repeating: [], count: max(1, (rows + length - 1) / length))
    for (part, queries) in queries.enumerated() {
      for (query, end) in queries.ends.enumerated() {
        let number = max(0, end - 1) / length
        if let last = runs[number].last, last.part == part, last.queries.upperBound == query {
          runs[number][runs[number].count - 1].queries = last.queries.lowerBound..<query + 1
        } else {
          runs[number].append((part, query..<query + 1))
        }
      }
    }
    return runs
  }

  // MARK: Gradients at a chunk's beginning

  /// A chunk's gradients, and all that was computed on the way.
  struct Frozen {
    let count: Int
    /// W of every layer, which is A where ψ is the identity.
    let maps: [RetentionPass]
    let matrices: UnsafeMutablePointer<Float>
    let keys, errors, slopes: UnsafeMutablePointer<Float>
    let fit: InnerNetwork.Pass
    let factors: InnerNetwork.Factors
    let shares: FrozenShares
    var lefts: [UnsafeMutablePointer<Float>] { fit.inputs }
    var rights: [UnsafeMutablePointer<Float>] { factors.rights }
  }

  func freeze(_ chunk: Chunk, _ arena: Arena) -> Frozen {
    let (count, products) = (chunk.rows.count, FloatProducts(arena: arena, matrices: tape))
    let (maps, matrices) = mapped(chunk.state, arena)
    let (keys, values) = (arena.floats(count * width), arena.floats(count * width))
    rows.keys.load(chunk.rows, into: keys)
    rows.values.load(chunk.rows, into: values)
    let (errors, slopes) = (arena.floats(count * width), arena.floats(count * width))
    let fit = network.fit(keys, count, gain: gain, bias: bias, into: errors, arena) {
      layer, inputs, rows, out in
      multiply(rows, layer.columns, layer.rows, inputs, matrices + layer.offset, into: out, arena)
    }
    for i in 0..<count * width { errors[i] -= values[i] }
    settings.loss.slopes(
      errors, values: values, count, width, thresholds: thresholds(chunk), into: slopes, arena)
    let factors = network.factors(fit, slopes, count, gain: gain, matrices, products)
    return Frozen(
      count: count, maps: maps, matrices: matrices, keys: keys, errors: errors, slopes: slopes, fit: fit,
      factors: factors, shares: FrozenShares(count, numbers(of: chunk), arena))
  }

  func thresholds(_ chunk: Chunk) -> UnsafePointer<Double>? {
    numbers.thresholds.map { UnsafePointer(tape.values($0) + chunk.rows.lowerBound) }
  }

  func numbers(of chunk: Chunk) -> FrozenShares.Rows {
    func values(_ matrix: Matrix, from first: Int) -> UnsafePointer<Double> {
      UnsafePointer(tape.values(matrix) + first)
    }
    let first = chunk.rows.lowerBound
    return FrozenShares.Rows(
      rates: values(numbers.rates, from: first), keeps: numbers.keeps.map { values($0, from: first) },
      momenta: numbers.momenta.map { values($0, from: first) },
      paces: numbers.paces.map { values($0, from: 0) })
  }

  /// W = ψ(A) of every layer, one behind the other.
  func mapped(
    _ a: UnsafeMutablePointer<Float>, _ arena: Arena
  ) -> (maps: [RetentionPass], matrices: UnsafeMutablePointer<Float>) {
    if plain { return ([], a) }
    let matrices = arena.floats(network.count)
    let maps = network.layers.map { layer in
      let centred = centred(layer)
      let out = centred ? arena.floats(layer.count) : matrices + layer.offset
      let map = RetentionPass(
        settings.retention, a + layer.offset, rows: layer.rows, columns: layer.columns, scale: scale,
        into: out,
        arena)
      if centred {
        (matrices + layer.offset).update(from: out, count: layer.count)
        centre(matrices, layer, arena)
      }
      return map
    }
    return (maps, matrices)
  }

  /// A norm takes the mean from the last layer's products, so each row of its matrix may have any mean. That of a softmax
  /// is far from 0, and what is left without it is small: taken from the matrix, less of it is lost in rounding. The
  /// gradient by such a row has the sum 0, which is seen to likewise.
  private func centred(_ layer: InnerNetwork.Layer) -> Bool {
    settings.retention.scaled && network.normalised && layer == network.layers.last
  }

  /// Takes from the rows of a layer's matrix their mean.
  private func centre(
    _ matrices: UnsafeMutablePointer<Float>, _ layer: InnerNetwork.Layer, _ arena: Arena
  ) {
    let mark = arena.mark
    let (one, means) = (arena.floats(layer.columns), arena.zeros(layer.rows))
    one.update(repeating: 1, count: layer.columns)
    let (matrix, n) = (matrices + layer.offset, Int32(layer.columns))
    ck_row_products(Int32(layer.rows), n, matrix, n, one, 0, 1 / Float(layer.columns), means)
    for i in 0..<layer.rows {
      let (row, mean) = (matrix + i * layer.columns, means[i])
      for j in 0..<layer.columns { row[j] -= mean }
    }
    arena.rewind(to: mark)
  }

  /// From the gradient by matrices to that by A, in place; adds that by a softmax's number.
  func mappedGradient(
    _ maps: [RetentionPass], _ a: UnsafePointer<Float>, by da: UnsafeMutablePointer<Float>,
    toScale: inout Double, _ arena: Arena
  ) {
    for (layer, map) in zip(network.layers, maps) {
      if centred(layer) { centre(da, layer, arena) }
      map.backward(a + layer.offset, by: da + layer.offset, toScale: &toScale)
    }
  }

  // MARK: Behind some of its rows

  /// A behind the chunk's first t rows.
  func sum(
    _ chunk: Chunk, _ frozen: Frozen, _ t: Int, into out: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    let shares = frozen.shares
    out.update(from: chunk.state, count: network.count)
    if shares.start(t) != 1 { ck_scale(network.count, shares.start(t), out) }
    if settings.momentum, t > 0 {
      let (momentum, carried) = (chunk.state + network.count, shares.carried(t))
      for i in 0..<network.count { out[i] += carried * momentum[i] }
    }
    subtract(frozen, t, shares.weights + t * shares.stride, from: out, arena)
  }

  /// The state behind all rows.
  func fold(
    _ chunk: Chunk, _ frozen: Frozen, into out: UnsafeMutablePointer<Float>, _ arena: Arena
  ) {
    let (count, shares) = (frozen.count, frozen.shares)
    sum(chunk, frozen, count, into: out, arena)
    guard settings.momentum else { return }
    let to = out + network.count
    to.update(from: chunk.state + network.count, count: network.count)
    ck_scale(network.count, shares.left(count), to)
    subtract(frozen, count, shares.steps + count * shares.stride, from: to, arena)
  }

  /// out −= Σ shares_j u_j over the first t rows.
  private func subtract(
    _ frozen: Frozen, _ t: Int, _ shares: UnsafePointer<Double>, from out: UnsafeMutablePointer<Float>,
    _ arena: Arena
  ) {
    guard t > 0 else { return }
    let mark = arena.mark
    for (index, layer) in network.layers.enumerated() {
      let left = arena.floats(t * layer.rows)
      for j in 0..<t {
        let (from, to, share) = (
          frozen.lefts[index] + j * layer.rows, left + j * layer.rows, Float(-shares[j])
        )
        for i in 0..<layer.rows { to[i] = share * from[i] }
      }
      multiply(
        layer.rows, layer.columns, t, left, frozen.rights[index], .left, into: out + layer.offset, add: true,
        arena)
    }
    arena.rewind(to: mark)
  }

  // MARK: Reading

  /// Some queries, what they read and what was computed on the way.
  struct Read {
    let asked, out: UnsafeMutablePointer<Float>
    let fit: InnerNetwork.Pass
    /// Of every layer: products with the rows' left factors, and those as far as they are seen, times their shares.
    var scores: [UnsafeMutablePointer<Float>] = []
    var shared: [UnsafeMutablePointer<Float>] = []
  }

  /// Rows of the chunk that a query sees.
  func seen(_ part: Int, _ query: Int, _ chunk: Chunk) -> Int {
    queries[part].ends[query] - chunk.rows.lowerBound
  }

  /// Queries beside each other that see as many rows.
  func alike(_ part: Int, _ range: Range<Int>, _ chunk: Chunk) -> [Range<Int>] {
    var (out, first) = ([Range<Int>](), range.lowerBound)
    for query in range
    where query + 1 == range.upperBound || queries[part].ends[query + 1] != queries[part].ends[query] {
      out.append(first..<query + 1)
      first = query + 1
    }
    return out
  }

  private func read(
    _ run: Run, _ chunk: Chunk, _ frozen: Frozen, _ pass: MatrixPass
  ) {
    let (arena, (out, stride)) = (pass.arena, pass.output)
    for range in plain ? [run.queries] : alike(run.part, run.queries, chunk) {
      let mark = arena.mark
      let read =
        plain
        ? ask(run.part, range, chunk, frozen, arena)
        : ask(run.part, range, mapped(whole(run.part, range, chunk, frozen, arena), arena).matrices, arena)
      let to = out + (queries[run.part].row + range.lowerBound) * stride + column
      for row in 0..<range.count { (to + row * stride).update(from: read.out + row * width, count: width) }
      arena.rewind(to: mark)
    }
  }

  /// A behind as many rows as alike queries see.
  func whole(
    _ part: Int, _ range: Range<Int>, _ chunk: Chunk, _ frozen: Frozen, _ arena: Arena
  ) -> UnsafeMutablePointer<Float> {
    let out = arena.floats(network.count)
    sum(chunk, frozen, seen(part, range.lowerBound, chunk), into: out, arena)
    return out
  }

  /// Reads from matrices as they are.
  func ask(
    _ part: Int, _ range: Range<Int>, _ matrices: UnsafeMutablePointer<Float>, _ arena: Arena
  ) -> Read {
    let (asked, out) = (arena.floats(range.count * width), arena.floats(range.count * width))
    queries[part].rows.load(range, into: asked)
    let fit = network.fit(asked, range.count, gain: gain, bias: bias, into: out, arena) {
      layer, inputs, rows, out in
      multiply(rows, layer.columns, layer.rows, inputs, matrices + layer.offset, into: out, arena)
    }
    return Read(asked: asked, out: out, fit: fit)
  }

  /// Reads where W is A, from a chunk's beginning and its gradients.
  func ask(_ part: Int, _ range: Range<Int>, _ chunk: Chunk, _ frozen: Frozen, _ arena: Arena) -> Read {
    let (asked, out) = (arena.floats(range.count * width), arena.floats(range.count * width))
    queries[part].rows.load(range, into: asked)
    let (count, shares) = (frozen.count, frozen.shares)
    var (index, scores, shared) = (0, [UnsafeMutablePointer<Float>](), [UnsafeMutablePointer<Float>]())
    let fit = network.fit(asked, range.count, gain: gain, bias: bias, into: out, arena) {
      layer, inputs, rows, out in
      multiply(rows, layer.columns, layer.rows, inputs, chunk.state + layer.offset, into: out, arena)
      if !settings.paced {
        for (row, query) in range.enumerated() {
          ck_scale(layer.columns, shares.start(seen(part, query, chunk)), out + row * layer.columns)
        }
      }
      if settings.momentum {
        let carried = arena.floats(rows * layer.columns)
        multiply(
          rows, layer.columns, layer.rows, inputs, chunk.state + network.count + layer.offset, into: carried,
          arena)
        for (row, query) in range.enumerated() {
          ck_scale(layer.columns, shares.carried(seen(part, query, chunk)), carried + row * layer.columns)
        }
        ck_add(rows * layer.columns, carried, out)
      }
      let (products, weighed) = (arena.floats(rows * count), arena.floats(rows * count))
      if count > 0 {
        multiply(rows, count, layer.rows, inputs, frozen.lefts[index], .right, into: products, arena)
        for (row, query) in range.enumerated() {
          let weights = shares.weights + seen(part, query, chunk) * shares.stride
          for j in row * count..<(row + 1) * count {
            weighed[j] = -Float(weights[j - row * count]) * products[j]
          }
        }
        multiply(rows, layer.columns, count, weighed, frozen.rights[index], into: out, add: true, arena)
      }
      scores.append(products)
      shared.append(weighed)
      index += 1
    }
    return Read(asked: asked, out: out, fit: fit, scores: scores, shared: shared)
  }

  // MARK: Products

  /// c = a·b, or c += a·b, of rows one behind the other: a `[m, k]` and b `[k, n]`, the one that is told to be transposed
  /// stored the other way round.
  func multiply(
    _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    _ transposed: MatrixTape.Transposed = .none, into c: UnsafeMutablePointer<Float>, add: Bool = false,
    _ arena: Arena
  ) {
    FloatProducts(arena: arena, matrices: tape)(
      m, n, k, Floats(reading: a, stride: transposed == .left ? m : k),
      Floats(reading: b, stride: transposed == .right ? k : n), transposed, into: Floats(c, stride: n),
      add: add)
  }
}
