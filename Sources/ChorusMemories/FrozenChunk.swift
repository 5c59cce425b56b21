import CChorusKernels
import ChorusTensors
import Foundation

/// Rows of one head in a chunk, each as `rowCount` floats: what it keeps of the map and of the momentum, its rate, the left
/// factors of its gradient and the right ones.
extension FrozenMemory {
  /// Enters rows that follow each other: gradients at the chunk's beginning.
  func enter(
    _ stored: UnsafePointer<Float>, _ count: Int, _ head: Int, _ state: UnsafePointer<Float>,
    into rows: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let width = sizes.width
    let (keys, errors) = (scratch.floats(count * width), scratch.floats(count * width))
    let matrices = mapped(state, head, scratch)
    for index in 0..<count {
      let row = StoredRow(stored + index * shape.stored, head, shape.layout)
      map.apply(row.key, width: width, into: keys + index * width)
    }
    let (gain, bias) = (number("gain", head), number("bias", head))
    let pass = network.fit(keys, count, gain: gain, bias: bias, into: errors, scratch) {
      layer, inputs, rows, out in
      guard rows > 1 else {
        return weigh(inputs, layer.rows, matrices + layer.offset, layer.columns, into: out, scratch)
      }
      let (k, n) = (Int32(layer.rows), Int32(layer.columns))
      let packed = scratch.floats(ck_packed_count(k, n))
      ck_pack(k, n, matrices + layer.offset, n, 0, packed)
      multiply(inputs, rows, layer, packed: packed, into: out)
    }
    for index in 0..<count {
      let row = StoredRow(stored + index * shape.stored, head, shape.layout)
      let error = errors + index * width
      for j in 0..<width { error[j] -= row.value[j] }
      let threshold = settings.loss.thresholded ? Softplus.value(gate("threshold", row, head)) : 0
      settings.loss.slope(error, value: row.value, width, threshold: Float(threshold))
      let out = rows + index * rowCount
      out[0] = settings.paced ? 1 : Float(Softplus.slope(gate("keep", row, head)))
      out[1] = settings.momentum ? Float(Softplus.slope(gate("momentum", row, head))) : 0
      out[2] = Float(settings.rateShare * Softplus.slope(gate("rate", row, head)))
    }
    let rights = network.slopes(pass, errors, count, gain: gain, matrices, scratch)
    for (number, layer) in network.layers.enumerated() {
      for index in 0..<count {
        let out = rows + index * rowCount + 3
        (out + layer.left).update(from: pass.inputs[number] + index * layer.rows, count: layer.rows)
        (out + network.lefts + layer.right).update(
          from: rights[number] + index * layer.columns, count: layer.columns)
      }
    }
    scratch.rewind(to: mark)
  }

  /// A gate's column of a row plus this head's number of its name.
  private func gate(_ name: String, _ row: StoredRow, _ head: Int) -> Double {
    Double(row.gate(settings.gate(name))[0]) + Double(values[settings.parameter(name)][head])
  }

  /// W of the state at a chunk's beginning.
  private func mapped(_ state: UnsafePointer<Float>, _ head: Int, _ scratch: Arena) -> UnsafePointer<Float> {
    if settings.retention == .quadratic { return state }
    let out = scratch.floats(network.count)
    settings.map(state, scale: scale(head), into: out)
    return UnsafePointer(out)
  }

  /// What a chunk's first rows make of its beginning.
  func schedule(_ rows: UnsafePointer<Float>, _ count: Int, _ head: Int) -> FrozenSchedule {
    let pace =
      settings.paced && count > 0
      ? settings.pace(
        count, learned: Double(values[settings.parameter("pace")][head * settings.chunk + count - 1])) : nil
    return FrozenSchedule(count, pace: pace) { row in
      let numbers = rows + row * rowCount
      return (Double(numbers[0]), Double(numbers[1]), Double(numbers[2]))
    }
  }

  /// out = start·A₀ + carried·P₀ − Σ weights_j u_j.
  private func sum(
    _ state: UnsafePointer<Float>, start: Double, carried: Double, _ weights: [Double],
    _ rows: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let count = weights.count
    for i in 0..<network.count { out[i] = Float(start) * state[i] }
    if settings.momentum, carried != 0 {
      for i in 0..<network.count { out[i] += Float(carried) * state[network.count + i] }
    }
    if count > 0 {
      for layer in network.layers {
        let left = scratch.floats(count * layer.rows)
        for (row, weight) in weights.enumerated() {
          let from = rows + row * rowCount + 3 + layer.left
          for i in 0..<layer.rows { left[row * layer.rows + i] = Float(-weight) * from[i] }
        }
        let (m, n, k) = (Int32(layer.rows), Int32(layer.columns), Int32(count))
        ck_matmul_tn(
          m, n, k, left, m, rows + 3 + network.lefts + layer.right, Int32(rowCount), out + layer.offset, n, 1,
          scratch.floats(ck_matmul_tn_scratch(m, n, k)))
      }
    }
    scratch.rewind(to: mark)
  }

  /// The state behind a whole chunk; `out` may be where it began.
  func fold(
    _ rows: UnsafePointer<Float>, _ head: Int, _ state: UnsafePointer<Float>,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let schedule = schedule(rows, settings.chunk, head)
    let end = scratch.floats(network.count)
    sum(
      state, start: schedule.start, carried: schedule.carried, schedule.weights, rows, into: end, scratch)
    if settings.momentum {
      let (before, momentum) = (state + network.count, scratch.floats(network.count))
      sum(before, start: schedule.left, carried: 0, schedule.steps, rows, into: momentum, scratch)
      (out + network.count).update(from: momentum, count: network.count)
    }
    out.update(from: end, count: network.count)
    scratch.rewind(to: mark)
  }

  /// W behind a chunk's first rows.
  func whole(
    _ rows: UnsafePointer<Float>, _ count: Int, _ head: Int, _ state: UnsafePointer<Float>, _ scratch: Arena
  ) -> UnsafePointer<Float> {
    let (schedule, out) = (schedule(rows, count, head), scratch.floats(network.count))
    sum(
      state, start: schedule.start, carried: count > 0 ? schedule.carried : 0, schedule.weights, rows,
      into: out, scratch)
    return mapped(UnsafePointer(out), head, scratch)
  }

  /// What φ of a query reads behind a chunk's first rows. Where the map is what was added up, its products are those of the
  /// beginning and of the rows; otherwise it is made.
  func read(
    _ asked: UnsafePointer<Float>, _ rows: UnsafePointer<Float>, _ count: Int, _ head: Int,
    _ state: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (gain, bias) = (number("gain", head), number("bias", head))
    guard settings.retention == .quadratic else {
      let matrices = whole(rows, count, head, state, scratch)
      _ = network.fit(asked, 1, gain: gain, bias: bias, into: out, scratch) { layer, inputs, _, out in
        weigh(inputs, layer.rows, matrices + layer.offset, layer.columns, into: out, scratch)
      }
      return scratch.rewind(to: mark)
    }
    let schedule = schedule(rows, count, head)
    let scores = scratch.floats(max(1, count))
    _ = network.fit(asked, 1, gain: gain, bias: bias, into: out, scratch) { layer, inputs, _, out in
      weigh(inputs, layer.rows, state + layer.offset, layer.columns, into: out, scratch)
      ck_scale(layer.columns, Float(schedule.start), out)
      if settings.momentum {
        let carried = scratch.floats(layer.columns)
        weigh(
          inputs, layer.rows, state + network.count + layer.offset, layer.columns, into: carried, scratch)
        ck_scale(layer.columns, Float(schedule.carried), carried)
        ck_add(layer.columns, carried, out)
      }
      for row in 0..<count {
        let left = rows + row * rowCount + 3 + layer.left
        scores[row] = Float(-schedule.weights[row]) * Self.dot(inputs, left, layer.rows)
      }
      let (n, k) = (Int32(layer.columns), Int32(count))
      ck_matmul_tn(
        1, n, k, scores, 1, rows + 3 + network.lefts + layer.right, Int32(rowCount), out, n, 1,
        scratch.floats(ck_matmul_tn_scratch(1, n, k)))
    }
    scratch.rewind(to: mark)
  }

  private static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
    var sums = SIMD8<Float>.zero
    var i = 0
    while i + 8 <= count {
      sums +=
        (UnsafeRawPointer(a + i).loadUnaligned(as: SIMD8<Float>.self)
          * UnsafeRawPointer(b + i).loadUnaligned(as: SIMD8<Float>.self))
      i += 8
    }
    var sum = sums.sum()
    while i < count {
      sum += a[i] * b[i]
      i += 1
    }
    return sum
  }

  /// out = x·M of one row.
  func weigh(
    _ x: UnsafePointer<Float>, _ count: Int, _ matrix: UnsafePointer<Float>, _ columns: Int,
    into out: UnsafeMutablePointer<Float>, _ scratch: Arena
  ) {
    let (n, k) = (Int32(columns), Int32(count))
    ck_matmul_tn(1, n, k, x, 1, matrix, n, out, n, 0, scratch.floats(ck_matmul_tn_scratch(1, n, k)))
  }

  /// Products of rows with a packed matrix.
  func multiply(
    _ inputs: UnsafePointer<Float>, _ rows: Int, _ layer: InnerNetwork.Layer, packed: UnsafePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    var arguments = ck_matmul_args()
    (arguments.m, arguments.k, arguments.n) = (Int32(rows), Int32(layer.rows), Int32(layer.columns))
    (arguments.a, arguments.lda) = (inputs, Int32(layer.rows))
    (arguments.packed, arguments.c, arguments.ldc) = (packed, out, Int32(layer.columns))
    ck_matmul(&arguments)
  }
}
