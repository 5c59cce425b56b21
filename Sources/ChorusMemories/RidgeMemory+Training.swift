import CChorusKernels
import ChorusTensors

/// All rows behind the set at once: with their whitened keys u = φ(k) L⁻ᵀ as the rows of U, M = I + UUᵀ = CCᵀ whitens every
/// prefix, since the factor of a leading block is the leading block of the factor. So F = C⁻¹U and Z = C⁻¹(V̂ − K̂W).
///
/// Both factors are taken in Double, which is where nearly singular sums need it. M has no eigenvalue below 1, so its solutions are
/// Float, as is what is as long as the rows.
extension RidgeRule {
  var sums: FactorSums { .keysAndValues }
  var powers: (key: Float, value: Float)? { spec.weights == .learned ? (0.5, 0.5) : nil }
  var extra: FactorExtra { spec.readOut == .leverage ? .squares : .none }

  /// The map is [B | W] with B = L⁻ᵀ, A = LLᵀ and W = A⁻¹G. With P the lower triangle of −dBᵀB and half of its diagonal,
  /// dA is the symmetric part of B P Bᵀ − dG Wᵀ, and dG = BBᵀ dW (Murray 2016, "Differentiation of the Cholesky
  /// decomposition", eq. 10).
  func mapGradient(
    _ map: UnsafePointer<Double>, head: Int, _ gradient: UnsafePointer<Double>,
    into moments: UnsafeMutablePointer<Double>, _ numbers: FactorNumbers, _ scratch: Arena
  ) {
    let mark = scratch.mark
    let (n, width, columns) = (rank, sizes.width, mapColumns)
    let (byValues, inner) = (scratch.doubles(n * width), scratch.doubles(n * width))
    let (lower, half, whole) = (scratch.doubles(n * n), scratch.doubles(n * n), scratch.doubles(n * n))
    for pointer in [byValues, inner] { pointer.update(repeating: 0, count: n * width) }
    for pointer in [lower, half, whole] { pointer.update(repeating: 0, count: n * n) }
    typealias Part = DoubleKernels.Strided
    let (b, w) = (Part(map, columns), Part(map + n, columns))
    let (byB, byW) = (Part(gradient, columns), Part(gradient + n, columns))
    // dG = B (Bᵀ dW)
    DoubleKernels.multiply(n, width, n, 1, b.transposed, byW, inner, width)
    DoubleKernels.multiply(n, width, n, 1, b, Part(inner, width), byValues, width)
    DoubleKernels.multiply(n, n, n, -1, byB.transposed, b, lower, n)
    for i in 0..<n {
      lower[i * n + i] *= 0.5
      for j in i + 1..<max(n, i + 1) { lower[i * n + j] = 0 }
    }
    DoubleKernels.multiply(n, n, n, 1, b, Part(lower, n), half, n)
    DoubleKernels.multiply(n, n, n, 1, Part(half, n), b.transposed, whole, n)
    DoubleKernels.multiply(n, n, width, -1, Part(byValues, width), w.transposed, whole, n)
    var slope = 0.0
    for i in 0..<n {
      slope += whole[i * n + i]
      for j in 0..<n { moments[i * columns + j] = 0.5 * (whole[i * n + j] + whole[j * n + i]) }
      for j in 0..<width { moments[i * columns + n + j] = byValues[i * width + j] }
    }
    numbers[ridgeIndex][head] += slope * Softplus.slope(Double(values[ridgeIndex][head]))
    scratch.rewind(to: mark)
  }

  /// C.
  func kept(rows: Int) -> Int { rows * rows }

  func commit(_ rows: CommittedHead, _ products: FloatProducts) {
    let (count, width, arena) = (rows.rows, sizes.width, products.arena)
    let mark = arena.mark
    let gram = Floats(count, count, arena)
    products(count, count, rank, rows.mapped, rows.mapped, .right, into: gram)
    let whole = arena.doubles(count * count)
    for i in 0..<count * count { whole[i] = Double(gram.pointer[i]) }
    for i in 0..<count { whole[i * count + i] += 1 }
    SmallCholesky.factor(whole, count, into: rows.kept)
    let both = Floats(count, rank + width, arena)
    for row in 0..<count {
      let (to, mapped, value) = (both.row(row), rows.mapped.row(row), rows.values.row(row))
      to.update(from: mapped, count: rank)
      for j in 0..<width { to[rank + j] = value[j] - mapped[rank + j] }
    }
    solve(count, rows.kept, both, columns: rank + width, transposed: false, arena)
    for row in 0..<count {
      rows.factors.row(row).update(from: both.row(row), count: rank)
      rows.stored.row(row).update(from: both.row(row) + rank, count: width)
    }
    arena.rewind(to: mark)
  }

  /// C⁻¹ b, or C⁻ᵀ b, in place. With D the diagonal of C, C D⁻¹ has ones in its own.
  private func solve(
    _ count: Int, _ factor: UnsafePointer<Double>, _ b: Floats, columns: Int, transposed: Bool, _ arena: Arena
  ) {
    let mark = arena.mark
    let (unit, inverse) = (Floats(count, count, arena), arena.floats(count))
    for i in 0..<count { inverse[i] = Float(1 / factor[i * count + i]) }
    for i in 0..<count {
      let (from, to) = (factor + i * count, unit.row(i))
      for j in 0..<i { to[j] = -Float(from[j]) * inverse[j] }
    }
    func divide() { for i in 0..<count { ck_scale(columns, inverse[i], b.row(i)) } }
    if transposed { divide() }
    ck_solve_unit_lower(
      Int32(count), unit.pointer, Int32(count), transposed ? 1 : 0, b.pointer, Int32(columns), Int32(b.stride)
    )
    if !transposed { divide() }
    arena.rewind(to: mark)
  }

  /// With X = [F | Z] and H the symmetric matrix that has the lower triangle of dX Xᵀ, the gradient by the right sides, and
  /// through M by U, is C⁻ᵀ(dX − [HF | 0]).
  func commitGradient(_ rows: CommittedHead, by gradients: CommittedHead, _ products: FloatProducts) {
    let (count, width, arena) = (rows.rows, sizes.width, products.arena)
    let mark = arena.mark
    let (both, moved) = (Floats(count, count, arena), Floats(count, rank, arena))
    products(count, count, rank, gradients.factors, rows.factors, .right, into: both)
    products(count, count, width, gradients.stored, rows.stored, .right, into: both, add: true)
    for i in 0..<count { for j in i + 1..<max(count, i + 1) { both.row(i)[j] = both.row(j)[i] } }
    products(count, rank, count, both, rows.factors, into: moved)
    let columns = rank + width
    let solved = Floats(count, columns, arena)
    for row in 0..<count {
      let (to, moved) = (solved.row(row), moved.row(row))
      to.update(from: gradients.factors.row(row), count: rank)
      for i in 0..<rank { to[i] -= moved[i] }
      (to + rank).update(from: gradients.stored.row(row), count: width)
    }
    solve(count, rows.kept, solved, columns: columns, transposed: true, arena)
    for row in 0..<count {
      let (from, mapped, value) = (
        solved.row(row), gradients.mapped.row(row), gradients.values.row(row)
      )
      for i in 0..<rank { mapped[i] += from[i] }
      for j in rank..<columns {
        mapped[j] -= from[j]
        value[j - rank] += from[j]
      }
    }
    arena.rewind(to: mark)
  }

  func finish(_ reads: FactorReads, _ products: FloatProducts) {
    for row in 0..<reads.rows {
      let mapped = reads.mapped.row(row)
      reads.out.row(row).update(from: mapped + rank, count: sizes.width)
      guard spec.readOut == .leverage else { continue }
      var squares: Float = 0
      for i in 0..<rank { squares += mapped[i] * mapped[i] }
      reads.feature.row(row)[0] = squares - reads.extra[row]
    }
  }

  func finishGradient(
    _ reads: FactorReads, by gradients: FactorReads, _ numbers: FactorNumbers, _ products: FloatProducts
  ) {
    for row in 0..<reads.rows {
      let (mapped, to) = (reads.mapped.row(row), gradients.mapped.row(row))
      (to + rank).update(from: gradients.out.row(row), count: sizes.width)
      guard spec.readOut == .leverage else { continue }
      let by = gradients.feature.row(row)[0]
      for i in 0..<rank { to[i] = 2 * by * mapped[i] }
      gradients.extra[row] = -by
    }
  }
}
