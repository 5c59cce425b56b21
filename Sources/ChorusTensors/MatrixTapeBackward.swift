extension MatrixTape {
  /// Gives a matrix a gradient to start from, before `backward`. Adds to what is there.
  public func seed(_ matrix: Matrix, _ add: (UnsafeMutablePointer<Double>) -> Void) {
    if let gradient = target(matrix) { add(gradient) }
  }

  /// Walks back through the matrices recorded from `first` on, from those that were seeded.
  public func backward(from first: Int = 0, to end: Int? = nil) {
    for index in stride(from: (end ?? records.count) - 1, through: first, by: -1) {
      guard records[index].needsGradient, let dy = records[index].gradient else { continue }
      propagate(records[index], dy)
    }
  }

  /// The gradient of a matrix, made of zeros at first sight; nil where none is needed.
  private func target(_ matrix: Matrix) -> UnsafeMutablePointer<Double>? {
    let index = matrix.index
    guard records[index].needsGradient else { return nil }
    if let gradient = records[index].gradient { return gradient }
    let zeros = scratch.doubles(records[index].count)
    zeros.update(repeating: 0, count: records[index].count)
    records[index].gradient = zeros
    return zeros
  }

  private func propagate(_ record: Record, _ dy: UnsafeMutablePointer<Double>) {
    let count = record.count
    switch record.operation {
    case .input: break
    case .multiply(let a, let b, let transposed):
      backwardMultiply(record, dy, a, b, transposed)
    case .add(let a, let b, let scale):
      if let da = target(a) { for i in 0..<count { da[i] += dy[i] } }
      if let db = target(b) { for i in 0..<count { db[i] += scale * dy[i] } }
    case .hadamard(let a, let b):
      let (x, y) = (values(a), values(b))
      if let da = target(a) { for i in 0..<count { da[i] += dy[i] * y[i] } }
      if let db = target(b) { for i in 0..<count { db[i] += dy[i] * x[i] } }
    case .map(let a, let derivative):
      if let da = target(a) { for i in 0..<count { da[i] += dy[i] * derivative[i] } }
    case .transpose(let a):
      guard let da = target(a) else { return }
      for i in 0..<a.rows { for j in 0..<a.columns { da[i * a.columns + j] += dy[j * a.rows + i] } }
    case .rows(let a, let first):
      guard let da = target(a) else { return }
      for i in 0..<count { da[first * a.columns + i] += dy[i] }
    case .stack(let a, let b):
      let upper = a.rows * a.columns
      if let da = target(a) { for i in 0..<upper { da[i] += dy[i] } }
      if let db = target(b) { for i in 0..<b.rows * b.columns { db[i] += dy[upper + i] } }
    case .addDiagonal(let a, let s):
      if let da = target(a) { for i in 0..<count { da[i] += dy[i] } }
      if let ds = target(s) { for i in 0..<a.rows { ds[0] += dy[i * a.columns + i] } }
    case .addRow(let a, let row):
      if let da = target(a) { for i in 0..<count { da[i] += dy[i] } }
      if let db = target(row) {
        for i in 0..<a.rows { for j in 0..<a.columns { db[j] += dy[i * a.columns + j] } }
      }
    case .scaleRows(let a, let factors):
      let (x, y, n) = (values(a), values(factors), a.columns)
      if let da = target(a) {
        for i in 0..<a.rows { for j in i * n..<(i + 1) * n { da[j] += dy[j] * y[i] } }
      }
      if let df = target(factors) {
        for i in 0..<a.rows { df[i] += Self.dot(n, dy + i * n, x + i * n) }
      }
    case .scaleColumns(let a, let factors):
      let (x, y, n) = (values(a), values(factors), a.columns)
      if let da = target(a) {
        for i in 0..<a.rows { for j in 0..<n { da[i * n + j] += dy[i * n + j] * y[j] } }
      }
      if let df = target(factors) {
        for i in 0..<a.rows { for j in 0..<n { df[j] += dy[i * n + j] * x[i * n + j] } }
      }
    case .visible(let a, let limits):
      guard let da = target(a) else { return }
      for i in 0..<a.rows {
        let row = i * a.columns
        for j in 0..<max(0, min(a.columns, Int(limits[i]))) { da[row + j] += dy[row + j] }
      }
    case .cholesky(let a): backwardCholesky(record, dy, a)
    case .solve(let l, let b, let transposed): backwardSolve(record, dy, l, b, transposed)
    }
  }

  /// Σ x y, in four sums side by side.
  private static func dot(_ n: Int, _ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>) -> Double {
    var sums = SIMD4<Double>()
    for j in stride(from: 0, to: n & ~3, by: 4) {
      sums +=
        SIMD4(x[j], x[j + 1], x[j + 2], x[j + 3]) * SIMD4(y[j], y[j + 1], y[j + 2], y[j + 3])
    }
    var sum = (sums[0] + sums[1]) + (sums[2] + sums[3])
    for j in n & ~3..<n { sum += x[j] * y[j] }
    return sum
  }

  /// C = op(A)·op(B): dA = dC·op(B)ᵀ and dB = op(A)ᵀ·dC, transposed back where A or B went in transposed.
  private func backwardMultiply(
    _ record: Record, _ dy: UnsafeMutablePointer<Double>, _ a: Matrix, _ b: Matrix, _ transposed: Transposed
  ) {
    let shape = Matrix(index: 0, rows: record.rows, columns: record.columns)
    for x in [a, b] where records[x.index].needsGradient {
      count(product: record.rows, record.columns, transposed == .left ? a.rows : a.columns)
    }
    if let da = target(a) {
      if transposed == .left {
        Self.multiply(1, Strided(values(b), b, false), Strided(dy, shape, true), da)
      } else {
        Self.multiply(1, Strided(dy, shape, false), Strided(values(b), b, transposed == .none), da)
      }
    }
    if let db = target(b) {
      if transposed == .right {
        Self.multiply(1, Strided(dy, shape, true), Strided(values(a), a, false), db)
      } else {
        Self.multiply(1, Strided(values(a), a, transposed == .none), Strided(dy, shape, false), db)
      }
    }
  }

  /// dA = ½(S + Sᵀ) with S = L⁻ᵀ Φ(Lᵀ dL) L⁻¹, where Φ keeps the lower triangle and halves the diagonal (Murray
  /// 2016, "Differentiation of the Cholesky decomposition", eq. 8-10).
  private func backwardCholesky(_ record: Record, _ dy: UnsafeMutablePointer<Double>, _ a: Matrix) {
    guard let da = target(a) else { return }
    let n = a.rows
    let mark = scratch.mark
    let p = scratch.doubles(n * n)
    p.update(repeating: 0, count: n * n)
    Self.multiply(1, Strided(record.values, a, true), Strided(dy, a, false), p)
    for i in 0..<n {
      p[i * n + i] *= 0.5
      for j in i + 1..<max(n, i + 1) { p[i * n + j] = 0 }
    }
    // S = L⁻ᵀ P L⁻¹, the second solve on the transpose: (P L⁻¹)ᵀ = L⁻ᵀ Pᵀ.
    let q = scratch.doubles(n * n)
    for i in 0..<n { for j in 0..<n { q[j * n + i] = p[i * n + j] } }
    DoubleKernels.solveLower(n, record.values, n, true, q, n, n)
    for i in 0..<n { for j in 0..<n { p[j * n + i] = q[i * n + j] } }
    DoubleKernels.solveLower(n, record.values, n, true, p, n, n)
    for i in 0..<n { for j in 0..<n { da[i * n + j] += 0.5 * (p[i * n + j] + p[j * n + i]) } }
    scratch.rewind(to: mark)
  }

  /// X = L⁻¹B: dB = L⁻ᵀ dX and dL = −tril(dB Xᵀ); with L⁻ᵀ: dB = L⁻¹ dX and dL = −tril(X dBᵀ).
  private func backwardSolve(
    _ record: Record, _ dy: UnsafeMutablePointer<Double>, _ l: Matrix, _ b: Matrix, _ transposed: Bool
  ) {
    let (dl, db) = (target(l), target(b))
    let mark = scratch.mark
    let own = scratch.doubles(record.count)
    own.update(from: dy, count: record.count)
    DoubleKernels.solveLower(l.rows, values(l), l.columns, !transposed, own, b.columns, b.columns)
    if let db { for i in 0..<record.count { db[i] += own[i] } }
    if let dl {
      let n = l.rows
      let full = scratch.doubles(n * n)
      full.update(repeating: 0, count: n * n)
      let (left, right) = transposed ? (record.values, own) : (own, record.values)
      Self.multiply(-1, Strided(left, b, false), Strided(right, b, true), full)
      for i in 0..<n { for j in 0...i { dl[i * n + j] += full[i * n + j] } }
    }
    scratch.rewind(to: mark)
  }
}
