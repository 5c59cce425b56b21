import CChorusKernels
import ChorusTensors

/// x with a one behind it, so that the bias of a linear map is a row of it.
struct BiasedFeatures: FeatureMap {
  let name = "biased"
  let nonNegative = false
  func count(_ width: Int) -> Int { width + 1 }
  func apply(_ x: UnsafePointer<Float>, width: Int, into out: UnsafeMutablePointer<Float>) {
    out.update(from: x, count: width)
    out[width] = 1
  }
  func addGradient(
    rows: Int, _ dy: UnsafePointer<Float>, of x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, width: Int,
    to dx: UnsafeMutablePointer<Float>
  ) {
    for row in 0..<rows {
      let (dy, dx) = (dy + row * (width + 1), dx + row * width)
      for i in 0..<width { dx[i] += dy[i] }
    }
  }
  func reference(_ x: [Double]) -> [Double] { x + [1] }
  func record(_ x: MatrixTape.Matrix, on tape: MatrixTape) -> MatrixTape.Matrix {
    tape.transpose(tape.stack(tape.transpose(x), tape.constant(1, 1, x.rows)))
  }
}

/// V̂ are the inner loss's gradients u at the start: with z the norm of h = k·W₀ + b₀, s one over its deviation and
/// e = gain ⊙ (gain ⊙ z + bias − (v − k)),
///
///     u = s (e − mean e − z mean(e ⊙ z))
///
/// which is the norm's own derivative, and a query reads q + gain ⊙ norm(q·W₀ + b₀ − r p) + bias of the products p.
extension TTTRule {
  var map: any FeatureMap { BiasedFeatures() }
  var sums: FactorSums { .values }
  var makesValues: Bool { true }

  /// A head's part of a parameter.
  private func part(_ index: Int, _ head: Int) -> UnsafePointer<Float> { values[index] + head * sizes.width }

  /// Products of some rows before the norm, `[rows, width]`, and means and inverse deviations of theirs.
  private struct Normed {
    let products: UnsafeMutablePointer<Float>
    let stats: UnsafeMutablePointer<Float>
  }

  /// h = x·W₀ + b₀ less what `taken` tells, and gain ⊙ norm(h) + bias.
  private func norm(
    _ rows: Int, _ x: Floats, _ head: Int, into out: Floats, _ products: FloatProducts,
    less taken: (rates: UnsafePointer<Float>, rows: Floats)? = nil
  ) -> Normed {
    let (width, bias, n) = (sizes.width, part(Self.bias, head), Int32(sizes.width))
    let start = Floats(reading: values[Self.start] + head * width * width, stride: width)
    let (h, stats) = (Floats(rows, width, products.arena), products.arena.floats(2 * rows))
    products(rows, width, width, x, start, into: h)
    for row in 0..<rows {
      let to = h.row(row)
      for j in 0..<width { to[j] += bias[j] }
      guard let taken else { continue }
      let (rate, from) = (taken.rates[row], taken.rows.row(row))
      for j in 0..<width { to[j] -= rate * from[j] }
    }
    ck_layer_norm(
      Int32(rows), n, h.pointer, n, part(Self.gain, head), part(Self.shiftOf, head), Float(Self.epsilon),
      out.pointer, Int32(out.stride), stats)
    return Normed(products: h.pointer, stats: stats)
  }

  /// Adds gradients by the norm's gain and bias to those of the layer.
  private func give(
    _ toGain: UnsafePointer<Float>, _ toBias: UnsafePointer<Float>, _ head: Int, _ numbers: FactorNumbers
  ) {
    let place = head * sizes.width
    for j in 0..<sizes.width {
      numbers[Self.gain][place + j] += Double(toGain[j])
      numbers[Self.shiftOf][place + j] += Double(toBias[j])
    }
  }

  /// Adds the gradient by x, W₀ and b₀ that `inner`, by x·W₀ + b₀, gives.
  private func giveInner(
    _ rows: Int, _ inner: Floats, of x: Floats, _ head: Int, to: Floats, _ numbers: FactorNumbers,
    _ products: FloatProducts
  ) {
    let (width, place) = (sizes.width, head * sizes.width)
    let start = Floats(reading: values[Self.start] + place * width, stride: width)
    products(rows, width, width, inner, start, .right, into: to, add: true)
    let byStart = Floats(zeros: width, width, products.arena)
    if rows > 0 { products(width, width, rows, x, inner, .left, into: byStart) }
    let (toStart, toBias) = (numbers[Self.start] + place * width, numbers[Self.bias] + place)
    for i in 0..<width * width { toStart[i] += Double(byStart.pointer[i]) }
    for row in 0..<rows { for j in 0..<width { toBias[j] += Double(inner.row(row)[j]) } }
  }

  /// f(k) − v.
  private func errors(
    _ rows: Int, keys: Floats, values: Floats, head: Int, into out: Floats, _ products: FloatProducts
  ) -> Normed {
    let normed = norm(rows, keys, head, into: out, products)
    for row in 0..<rows {
      let (to, key, value) = (out.row(row), keys.row(row), values.row(row))
      for j in 0..<sizes.width { to[j] += key[j] - value[j] }
    }
    return normed
  }

  func makeValues(
    _ rows: Int, keys: Floats, values: Floats, head: Int, into out: Floats, _ products: FloatProducts
  ) {
    let arena = products.arena
    let (mark, width, n) = (arena.mark, sizes.width, Int32(sizes.width))
    let errors = Floats(rows, width, arena)
    let normed = self.errors(rows, keys: keys, values: values, head: head, into: errors, products)
    ck_layer_norm_backward(
      Int32(rows), n, normed.products, n, part(Self.gain, head), normed.stats, errors.pointer, n, out.pointer,
      Int32(out.stride), 0, arena.zeros(width), arena.zeros(width))
    arena.rewind(to: mark)
  }

  func makeValuesGradient(
    _ rows: Int, keys: Floats, values: Floats, head: Int, of known: Floats, toKeys: Floats, toValues: Floats,
    _ numbers: FactorNumbers, _ products: FloatProducts
  ) {
    let arena = products.arena
    let (mark, width, n) = (arena.mark, sizes.width, Int32(sizes.width))
    let (errors, by) = (Floats(rows, width, arena), Floats(rows, width, arena))
    let normed = self.errors(rows, keys: keys, values: values, head: head, into: errors, products)
    for row in 0..<rows { by.row(row).update(from: known.row(row), count: width) }
    let (toErrors, inner) = (Floats(rows, width, arena), Floats(rows, width, arena))
    let (gain, toGain, toBias) = (part(Self.gain, head), arena.zeros(width), arena.zeros(width))
    NormSlopes(width: width, products: normed.products, stats: normed.stats, rows: rows).backward(
      errors.pointer, by: by.pointer, gain, toGain: toGain, toSlopes: toErrors.pointer,
      toProducts: inner.pointer, arena)
    ck_layer_norm_backward(
      Int32(rows), n, normed.products, n, gain, normed.stats, toErrors.pointer, n, inner.pointer, n, 1,
      toGain,
      toBias)
    for row in 0..<rows {
      let (slope, key, value) = (toErrors.row(row), toKeys.row(row), toValues.row(row))
      for j in 0..<width {
        key[j] += slope[j]
        value[j] -= slope[j]
      }
    }
    give(toGain, toBias, head, numbers)
    giveInner(rows, inner, of: keys, head, to: toKeys, numbers, products)
    arena.rewind(to: mark)
  }

  /// Of each query 1 over the rows that it reads, and the rate that it reads them with.
  private func rates(_ reads: FactorReads, _ arena: Arena) -> (
    shares: UnsafePointer<Float>, rates: UnsafePointer<Float>
  ) {
    let (shares, rates) = (arena.floats(reads.rows), arena.floats(reads.rows))
    let rate = Float(Softplus.value(Double(values[Self.rate][reads.head])))
    for (row, limit) in reads.limits.enumerated() {
      shares[row] = 1 / Float(max(1, reads.set + Int(limit)))
      rates[row] = shares[row] * rate
    }
    return (UnsafePointer(shares), UnsafePointer(rates))
  }

  func finish(_ reads: FactorReads, _ products: FloatProducts) {
    let mark = products.arena.mark
    let rates = rates(reads, products.arena).rates
    _ = norm(
      reads.rows, reads.asked, reads.head, into: reads.out, products, less: (rates, reads.mapped))
    for row in 0..<reads.rows {
      let (out, query) = (reads.out.row(row), reads.asked.row(row))
      for j in 0..<sizes.width { out[j] += query[j] }
    }
    products.arena.rewind(to: mark)
  }

  func finishGradient(
    _ reads: FactorReads, by gradients: FactorReads, _ numbers: FactorNumbers, _ products: FloatProducts
  ) {
    let (width, arena, rows, n) = (sizes.width, products.arena, reads.rows, Int32(sizes.width))
    let mark = arena.mark
    let (shares, rates) = rates(reads, arena)
    let (out, inner) = (Floats(rows, width, arena), Floats(rows, width, arena))
    let normed = norm(rows, reads.asked, reads.head, into: out, products, less: (rates, reads.mapped))
    let (toGain, toBias) = (arena.zeros(width), arena.zeros(width))
    ck_layer_norm_backward(
      Int32(rows), n, normed.products, n, part(Self.gain, reads.head), normed.stats, gradients.out.pointer,
      Int32(gradients.out.stride), inner.pointer, n, 0, toGain, toBias)
    give(toGain, toBias, reads.head, numbers)
    let along = arena.zeros(rows)
    ck_row_products(
      Int32(rows), n, inner.pointer, n, reads.mapped.pointer, Int32(reads.mapped.stride), -1, along)
    var byRate = 0.0
    for row in 0..<rows {
      let (by, to) = (gradients.out.row(row), inner.row(row))
      let (query, read, rate) = (gradients.asked.row(row), gradients.mapped.row(row), rates[row])
      for j in 0..<width {
        query[j] += by[j]
        read[j] = -rate * to[j]
      }
      byRate += Double(along[row] * shares[row])
    }
    numbers[Self.rate][reads.head] += byRate * Softplus.slope(Double(values[Self.rate][reads.head]))
    giveInner(rows, inner, of: reads.asked, reads.head, to: gradients.asked, numbers, products)
    arena.rewind(to: mark)
  }
}
