import CChorusKernels
import ChorusTensors
import Foundation

/// A memory that is fitted by gradient steps row by row, where the gradients of a chunk's rows are all taken at the map with
/// which the chunk begins: TTT by mini-batches (Sun et al. 2024), Titans with a network (Behrouz et al. 2024), and Moneta,
/// Yaad and Memora (Miras, Behrouz et al. 2025).
///
/// With u the gradient of a row's loss at the chunk's map, P ← μ P − θ u and A ← α A + P, or A = A₀ − τ Σ η u without fading, and
/// W = ψ(A) is what a row reads. Everything in A is linear, and each gradient is a row's input times a slope, so a chunk is
/// its beginning and two factors a row. Chunks are counted from the sequence's first row: where they begin is part of the
/// model, so a path whose context ends within a chunk goes on with that chunk.
struct FrozenMemory: HeadwiseMemory {
  let sizes: AttentionSizes
  let values: MemoryValues
  let shape: MemoryShape
  let capability: Capability
  let settings: FrozenSettings
  let map: any FeatureMap

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    let settings = FrozenSettings(spec, sizes)
    return MemoryShape(
      StoredLayout(sizes, gates: settings.gates), read: sizes.columns, parameters: settings.parameters)
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    let chunk = FrozenSettings(spec, AttentionSizes(heads: 1, width: 1)).chunk
    return Capability(holdsSet: false, fixedState: true, prefixReads: .newest(chunk: chunk))
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (self.sizes, self.values) = (sizes, values)
    shape = Self.shape(spec, sizes)
    capability = Self.capability(spec)
    settings = FrozenSettings(spec, sizes)
    map = FeatureMaps.named(orIdentity: spec.features)
  }

  var network: InnerNetwork { settings.network }
  private var chunk: Int { settings.chunk }
  /// Chunks that a path keeps.
  private static var kept: Int { 2 }
  /// Floats of a head's A, with P where there is momentum.
  var stateCount: Int { network.count * (settings.momentum ? 2 : 1) }
  /// Floats of what a row is in its chunk: what it keeps, of the map and of the momentum, its rate, and its factors.
  var rowCount: Int { 3 + network.lefts + network.rights }

  // MARK: Context

  final class Context: Sendable {
    let rows: Int
    /// The state of every head where the chunk began that the next row is in, and the chunk's rows so far.
    let states: FloatBuffer
    let open: FloatBuffer
    /// What is read, packed matrix by matrix.
    let packed: FloatBuffer
    init(rows: Int, states: FloatBuffer, open: FloatBuffer, packed: FloatBuffer) {
      (self.rows, self.states, self.open, self.packed) = (rows, states, open, packed)
    }
  }

  func draft(rows count: Int) -> StoredRows { StoredRows(count: count, columns: shape.stored) }
  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: StoredRows, scratch: Arena) {
    draft.write(stored, rows: range)
  }

  func finish(_ draft: StoredRows) -> Context {
    let states = FloatBuffer(count: sizes.heads * stateCount)
    let open = FloatBuffer(count: sizes.heads * chunk * rowCount)
    let scratch = Arena(blockCount: 1 << 14)
    for head in 0..<sizes.heads {
      let (state, rows) = (states.pointer + head * stateCount, open.pointer + head * chunk * rowCount)
      begin(state, head)
      for first in stride(from: 0, to: draft.count, by: chunk) {
        let mark = scratch.mark
        let count = min(chunk, draft.count - first)
        enter(draft.row(first), count, head, state, into: rows, scratch)
        if count == chunk { fold(rows, head, state, into: state, scratch) }
        scratch.rewind(to: mark)
      }
    }
    return context(rows: draft.count, states, open)
  }

  /// The map before the first row, of zeros.
  func begin(_ state: UnsafeMutablePointer<Float>, _ head: Int) {
    guard network.normalised else { return }
    for (index, layer) in network.layers.enumerated() {
      (state + layer.offset).update(
        from: values[settings.parameter("start.\(index)")] + head * layer.count, count: layer.count)
    }
  }

  private func context(rows: Int, _ states: FloatBuffer, _ open: FloatBuffer) -> Context {
    let packed = FloatBuffer(count: sizes.heads * packedCount)
    let scratch = Arena(blockCount: 1 << 14)
    for head in 0..<sizes.heads {
      let mark = scratch.mark
      let whole = whole(
        open.pointer + head * chunk * rowCount, rows % chunk, head, states.pointer + head * stateCount,
        scratch)
      var place = packed.pointer + head * packedCount
      for layer in network.layers {
        let (k, n) = (Int32(layer.rows), Int32(layer.columns))
        ck_pack(k, n, whole + layer.offset, n, 0, place)
        place += ck_packed_count(k, n)
      }
      scratch.rewind(to: mark)
    }
    return Context(rows: rows, states: states, open: open, packed: packed)
  }

  private var packedCount: Int {
    network.layers.reduce(0) { $0 + ck_packed_count(Int32($1.rows), Int32($1.columns)) }
  }

  // MARK: Buffer

  /// For each path the chunks it keeps, in a ring.
  final class Buffer {
    /// Which chunk of its path is in each place of the ring; -1 for none.
    var chunks: [Int]
    let floats: FloatBuffer
    init(places: Int, floats: Int) {
      chunks = [Int](repeating: -1, count: places)
      self.floats = FloatBuffer(count: places * floats)
    }
  }

  private var headCount: Int { stateCount + chunk * rowCount }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(places: paths * Self.kept, floats: sizes.heads * headCount)
  }

  /// Where a chunk of a path is in the ring; the chunk in which the context ends is number 0.
  private func place(_ number: Int, path: Int) -> Int { path * Self.kept + number % Self.kept }
  private func state(_ buffer: Buffer, _ place: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    buffer.floats.pointer + (place * sizes.heads + head) * headCount
  }
  private func rows(_ buffer: Buffer, _ place: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    state(buffer, place, head) + stateCount
  }

  /// Makes a chunk the newest of its path.
  private func open(_ number: Int, path: Int, _ context: Context, _ buffer: Buffer, _ scratch: Arena) {
    let place = place(number, path: path)
    buffer.chunks[place] = number
    let before = self.place(max(0, number - 1), path: path)
    precondition(
      number == 0 || buffer.chunks[before] == number - 1, "rows of a path are committed one after the other")
    for head in 0..<sizes.heads {
      let state = state(buffer, place, head)
      if number == 0 {
        state.update(from: context.states.pointer + head * stateCount, count: stateCount)
        rows(buffer, place, head).update(
          from: context.open.pointer + head * chunk * rowCount, count: context.rows % chunk * rowCount)
      } else {
        fold(
          rows(buffer, before, head), head, self.state(buffer, before, head), into: state, scratch)
      }
    }
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    let mark = scratch.mark
    for index in 0..<rows.count {
      let (path, slot) = (Int(rows.paths[index]), Int(rows.slots[index]))
      let (number, local) = (context.rows % chunk + slot).quotientAndRemainder(dividingBy: chunk)
      let place = place(number, path: path)
      if local == 0 || slot == 0 { open(number, path: path, context, buffer, scratch) }
      precondition(
        buffer.chunks[place] == number,
        "a memory of frozen gradients takes back rows of its newest chunks only"
      )
      for head in 0..<sizes.heads {
        enter(
          stored + index * shape.stored, 1, head, state(buffer, place, head),
          into: self.rows(buffer, place, head) + local * rowCount, scratch)
      }
      scratch.rewind(to: mark)
    }
  }

  // MARK: Reading

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context, into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    let mark = scratch.mark
    for head in 0..<sizes.heads {
      let (asked, fits) = (scratch.floats(rows * sizes.width), scratch.floats(rows * sizes.width))
      for row in 0..<rows {
        map.apply(
          queries + row * sizes.columns + head * sizes.width, width: sizes.width,
          into: asked + row * sizes.width)
      }
      read(asked, rows, head, context, into: fits, scratch)
      for row in 0..<rows {
        (out + row * sizes.columns + head * sizes.width).update(
          from: fits + row * sizes.width, count: sizes.width)
      }
    }
    scratch.rewind(to: mark)
  }

  /// What φ of queries reads of a head of the context.
  private func read(
    _ asked: UnsafePointer<Float>, _ rows: Int, _ head: Int, _ context: Context,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    var packed = UnsafePointer(context.packed.pointer + head * packedCount)
    _ = network.fit(asked, rows, gain: number("gain", head), bias: number("bias", head), into: out, scratch) {
      layer, inputs, rows, out in
      multiply(inputs, rows, layer, packed: packed, into: out)
      packed += ck_packed_count(Int32(layer.rows), Int32(layer.columns))
    }
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let (asked, before) = (scratch.floats(sizes.width), context.rows % chunk)
    for row in 0..<visible.count {
      let inner = scratch.mark
      let (path, limit) = (Int(visible.paths[row]), Int(visible.limits[row]))
      let number = (before + max(0, limit - 1)) / chunk
      let place = place(number, path: path)
      precondition(
        limit == 0 || buffer.chunks[place] == number,
        "a memory of frozen gradients reads prefixes of its newest chunks only")
      for head in 0..<sizes.heads {
        let offset = row * sizes.columns + head * sizes.width
        map.apply(queries + offset, width: sizes.width, into: asked)
        if limit == 0 {
          read(asked, 1, head, context, into: out + offset, scratch)
        } else {
          read(
            asked, rows(buffer, place, head), before + limit - number * chunk, head,
            state(buffer, place, head),
            into: out + offset, scratch)
        }
      }
      scratch.rewind(to: inner)
    }
    scratch.rewind(to: mark)
  }

  // MARK: Outside the program

  func stateArrays(rows: Int) -> [StateArray] {
    let state = StateArray("state", [sizes.heads, stateCount])
    let open = rows % chunk
    return open == 0 ? [state] : [state, StateArray("rows", [sizes.heads, open, rowCount])]
  }
  func values(of context: Context) -> [[Float]] {
    let open = context.rows % chunk * rowCount
    guard open > 0 else { return [context.states.array] }
    return [
      context.states.array,
      (0..<sizes.heads).flatMap { head in
        UnsafeBufferPointer(start: context.open.pointer + head * chunk * rowCount, count: open)
      },
    ]
  }
  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    let open = FloatBuffer(count: sizes.heads * chunk * rowCount)
    let count = rows % chunk * rowCount
    if count > 0 {
      for head in 0..<sizes.heads {
        for i in 0..<count { open.pointer[head * chunk * rowCount + i] = values[1][head * count + i] }
      }
    }
    return context(rows: rows, FloatBuffer(values[0]), open)
  }

  /// Of a path as long as may be: its chunk is half full in the mean, and every chunk is folded into the state once.
  var work: MemoryWork {
    let (heads, map, states) = (Double(sizes.heads), 2 * Double(network.count), settings.momentum ? 2.0 : 1)
    let factors = 2 * Double(network.lefts + network.rights)
    let rows = Double(chunk + 1) / 2
    var work = MemoryWork()
    // A row's fit, its slopes through all layers but the first, and its part in each state.
    let slopes = network.layers.dropFirst().reduce(0) { $0 + 2 * Double($1.count) }
    work.write = heads * (map + slopes + states * map)
    work.append = work.write
    // Another map than what was added up has to be made of it first.
    work.read = heads * (settings.retention == .quadratic ? states * map + rows * factors : (1 + rows) * map)
    work.contextNumbers = contextBytes(rows: 0) / 4
    work.pathNumbers = bufferBytes(capacity: 0) / 4
    return work
  }

  func contextBytes(rows: Int) -> Int { 4 * sizes.heads * (headCount + packedCount) }
  func bufferBytes(capacity: Int) -> Int { Self.kept * 4 * sizes.heads * headCount }

  // MARK: Numbers

  /// This head's `width` numbers of a norm; nil where there is none.
  func number(_ name: String, _ head: Int) -> UnsafePointer<Float>? {
    network.normalised ? values[settings.parameter(name)] + head * sizes.width : nil
  }
  /// c of a softmax.
  func scale(_ head: Int) -> Double {
    settings.retention.scaled ? Softplus.value(Double(values[settings.parameter("scale")][head])) : 1
  }
}
