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

  /// x·W₀ + b₀, with z in its place afterwards; gives the deviations.
  private func normed(
    _ rows: Int, _ x: Floats, _ head: Int, into z: Floats, _ products: FloatProducts,
    less taken: (_ row: Int, _ j: Int) -> Float = { _, _ in 0 }
  ) -> UnsafeMutablePointer<Float> {
    let (width, bias) = (sizes.width, part(Self.bias, head))
    let start = Floats(reading: values[Self.start] + head * width * width, stride: width)
    let deviations = products.arena.floats(rows)
    products(rows, width, width, x, start, into: z)
    for row in 0..<rows {
      let to = z.row(row)
      for j in 0..<width { to[j] += bias[j] - taken(row, j) }
      deviations[row] = Self.normalise(to, width).deviation
    }
    return deviations
  }

  /// (dy − mean dy − z mean(dy ⊙ z))/deviation, in place.
  private func unnormalise(
    _ y: UnsafeMutablePointer<Float>, _ z: UnsafePointer<Float>, _ deviation: Float
  ) {
    let n = sizes.width
    var (mean, along): (Float, Float) = (0, 0)
    for j in 0..<n {
      mean += y[j] / Float(n)
      along += y[j] * z[j] / Float(n)
    }
    for j in 0..<n { y[j] = (y[j] - mean - z[j] * along) / deviation }
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

  func makeValues(
    _ rows: Int, keys: Floats, values: Floats, head: Int, into out: Floats, _ products: FloatProducts
  ) {
    let mark = products.arena.mark
    let (width, z) = (sizes.width, Floats(rows, sizes.width, products.arena))
    let (gain, bias) = (part(Self.gain, head), part(Self.shiftOf, head))
    let deviations = normed(rows, keys, head, into: z, products)
    for row in 0..<rows {
      let (to, z, key, value) = (out.row(row), z.row(row), keys.row(row), values.row(row))
      for j in 0..<width { to[j] = gain[j] * (gain[j] * z[j] + bias[j] - (value[j] - key[j])) }
      unnormalise(to, z, deviations[row])
    }
    products.arena.rewind(to: mark)
  }

  func makeValuesGradient(
    _ rows: Int, keys: Floats, values: Floats, head: Int, of known: Floats, toKeys: Floats, toValues: Floats,
    _ numbers: FactorNumbers, _ products: FloatProducts
  ) {
    let (width, arena) = (sizes.width, products.arena)
    let mark = arena.mark
    let (z, inner) = (Floats(rows, width, arena), Floats(rows, width, arena))
    let (gain, bias, place) = (part(Self.gain, head), part(Self.shiftOf, head), head * width)
    let deviations = normed(rows, keys, head, into: z, products)
    let (miss, byError) = (arena.floats(width), arena.floats(width))
    let n = Float(width)
    let (toGain, toBias) = (numbers[Self.gain] + place, numbers[Self.shiftOf] + place)
    for row in 0..<rows {
      let (z, key, value) = (z.row(row), keys.row(row), values.row(row))
      let (by, to, deviation) = (known.row(row), inner.row(row), deviations[row])
      let (toKey, toValue) = (toKeys.row(row), toValues.row(row))
      var (mean, error, along, whole): (Float, Float, Float, Float) = (0, 0, 0, 0)
      for j in 0..<width {
        miss[j] = gain[j] * z[j] + bias[j] - (value[j] - key[j])
        byError[j] = by[j]
        mean += gain[j] * miss[j] / n
        error += gain[j] * miss[j] * z[j] / n
        along += by[j] * z[j] / n
      }
      // Of du·u, without 1/deviation.
      for j in 0..<width { whole += by[j] * (gain[j] * miss[j] - mean - z[j] * error) / n }
      unnormalise(byError, z, deviation)
      for j in 0..<width {
        let slope = gain[j] * byError[j]
        toGain[j] += Double(byError[j] * miss[j] + slope * z[j])
        toBias[j] += Double(slope)
        toValue[j] -= slope
        toKey[j] += slope
        to[j] = gain[j] * slope - (error * by[j] + along * gain[j] * miss[j]) / deviation
      }
      unnormalise(to, z, deviation)
      for j in 0..<width { to[j] -= z[j] * whole / (deviation * deviation) }
    }
    giveInner(rows, inner, of: keys, head, to: toKeys, numbers, products)
    arena.rewind(to: mark)
  }

  /// The rate of each query, over the rows that it reads.
  private func rate(_ reads: FactorReads, _ row: Int) -> (rate: Float, share: Float) {
    let share = 1 / Float(max(1, reads.set + Int(reads.limits[reads.limits.startIndex + row])))
    return (share * Float(Softplus.value(Double(values[Self.rate][reads.head]))), share)
  }

  private func normed(_ reads: FactorReads, into z: Floats, _ products: FloatProducts) -> UnsafePointer<Float>
  {
    let rates = products.arena.floats(reads.rows)
    for row in 0..<reads.rows { rates[row] = rate(reads, row).rate }
    return UnsafePointer(
      normed(reads.rows, reads.asked, reads.head, into: z, products) { row, j in
        rates[row] * reads.mapped.row(row)[j]
      })
  }

  func finish(_ reads: FactorReads, _ products: FloatProducts) {
    let mark = products.arena.mark
    let z = Floats(reads.rows, sizes.width, products.arena)
    _ = normed(reads, into: z, products)
    let (gain, bias) = (part(Self.gain, reads.head), part(Self.shiftOf, reads.head))
    for row in 0..<reads.rows {
      let (out, query, z) = (reads.out.row(row), reads.asked.row(row), z.row(row))
      for j in 0..<sizes.width { out[j] = query[j] + gain[j] * z[j] + bias[j] }
    }
    products.arena.rewind(to: mark)
  }

  func finishGradient(
    _ reads: FactorReads, by gradients: FactorReads, _ numbers: FactorNumbers, _ products: FloatProducts
  ) {
    let (width, arena, place) = (sizes.width, products.arena, reads.head * sizes.width)
    let mark = arena.mark
    let (z, inner) = (Floats(reads.rows, width, arena), Floats(reads.rows, width, arena))
    let deviations = normed(reads, into: z, products)
    let gain = part(Self.gain, reads.head)
    let slope = Softplus.slope(Double(values[Self.rate][reads.head]))
    let (toGain, toBias) = (numbers[Self.gain] + place, numbers[Self.shiftOf] + place)
    for row in 0..<reads.rows {
      let (by, to, z) = (gradients.out.row(row), inner.row(row), z.row(row))
      let (rate, share) = rate(reads, row)
      let (query, read, mapped) = (
        gradients.asked.row(row), gradients.mapped.row(row), reads.mapped.row(row)
      )
      for j in 0..<width {
        toGain[j] += Double(by[j] * z[j])
        toBias[j] += Double(by[j])
        query[j] += by[j]
        to[j] = gain[j] * by[j]
      }
      unnormalise(to, z, deviations[row])
      var along: Float = 0
      for j in 0..<width {
        along -= to[j] * mapped[j]
        read[j] = -rate * to[j]
      }
      numbers[Self.rate][reads.head] += Double(along * share) * slope
    }
    giveInner(reads.rows, inner, of: reads.asked, reads.head, to: gradients.asked, numbers, products)
    arena.rewind(to: mark)
  }
}
