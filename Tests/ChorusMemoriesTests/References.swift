import ChorusTensors
import Foundation

@testable import ChorusMemories

/// A stored row of one head in Double.
struct ReferenceRow {
  var key: [Double]
  var value: [Double]
  /// What the row's learned weight is made of.
  var extra: Double
}

/// What a memory is, from its definition: one query of one head after the other, over exactly the rows that it sees. No
/// state, no factor that is kept, no algebra of the library.
struct Reference {
  let layer: LayerMemory
  let sizes: AttentionSizes

  /// The learned numbers, in the order of the shape's parameters.
  typealias Numbers = [[Double]]

  /// A read of one query row `[columns]`: of `context` and then `own`, stored rows in their order.
  func read(_ query: [Double], context: [[Double]], own: [[Double]], _ numbers: Numbers) -> [Double] {
    guard let second = layer.buffer else { return read(layer.context, query, context, own, numbers) }
    let split = Self.parameterCount(layer.context, sizes)
    return read(layer.context, query, context, [], Array(numbers.prefix(split)))
      + read(second, query, [], own, Array(numbers.dropFirst(split)))
  }

  private static func parameterCount(_ spec: MemorySpec, _ sizes: AttentionSizes) -> Int {
    (try? CompiledMemory(LayerMemory(spec), sizes, set: false).shape.parameters.count) ?? 0
  }

  private func read(
    _ spec: MemorySpec, _ query: [Double], _ context: [[Double]], _ own: [[Double]], _ numbers: Numbers
  ) -> [Double] {
    var (values, features) = ([Double](), [Double]())
    for head in 0..<sizes.heads {
      let columns = head * sizes.width..<(head + 1) * sizes.width
      let d = sizes.columns
      let rows = (context + own).map { row in
        ReferenceRow(
          key: Array(row[columns]), value: Array(row[d + columns.lowerBound..<d + columns.upperBound]),
          extra: row.count > 2 * d ? row[2 * d + head] : 0)
      }
      let form = ReferenceHead(spec: spec, sizes: sizes, head: head, rows: rows, numbers: numbers)
      let (value, leverage) = form.read(Array(query[columns]))
      values += value
      if let leverage { features.append(leverage) }
    }
    return values + features
  }
}

/// One head's fit to the rows that a query sees.
struct ReferenceHead {
  let spec: MemorySpec
  let sizes: AttentionSizes
  let head: Int
  let rows: [ReferenceRow]
  let numbers: Reference.Numbers

  private func softplus(_ x: Double) -> Double { x > 40 ? x : log(1 + exp(x)) }
  private func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  /// φ by its formula; of a map that is not among these the recorded form, which another test compares with the float one.
  func features(_ x: [Double]) -> [Double] {
    switch spec.features {
    case "identity": return x
    case "unit":
      let length = (dot(x, x) + 1e-6).squareRoot()
      return x.map { $0 / length }
    case "elu": return x.map { $0 > 0 ? $0 + 1 : exp($0) }
    case "relu": return x.map { max($0, 0) }
    case "taylor":
      let root = Double(x.count).squareRoot()
      var out = [1.0] + x.map { $0 / root.squareRoot() }
      for i in x.indices {
        for j in i..<x.count { out.append(x[i] * x[j] / root * (i == j ? 0.5.squareRoot() : 1)) }
      }
      return out
    default:
      let tape = MatrixTape()
      let input = tape.input(1, x.count) { for (i, value) in x.enumerated() { $0[i] = value } }
      let out = FeatureMaps.named(orIdentity: spec.features).record(input, on: tape)
      return (0..<out.columns).map { tape.values(out)[$0] }
    }
  }

  private func weight(_ row: ReferenceRow) -> Double {
    spec.weights == .learned ? softplus(row.extra + numbers[0][head]) : 1
  }

  func read(_ query: [Double]) -> (values: [Double], leverage: Double?) {
    switch (spec.function, spec.optimiser, spec.loss) {
    case (.localConstant, _, _): return (localConstant(query), nil)
    case (.localLinear, _, _): return (localLinear(query), nil)
    case (.linear, .gradient, .dot): return (linear(query), nil)
    case (.linear, .exact, _): return ridge(query)
    case (.linear, .conjugateGradient(let steps), _): return (conjugate(query, steps), nil)
    case (.linear, .gradient(let steps), _): return (descent(query, steps), nil)
    case (.linear, .online, _): return (delta(query), nil)
    case (.normalisedLinear, _, _): return (innerModel(query), nil)
    case (.kernel, _, _): return kernelRidge(query)
    }
  }

  private var nothing: [Double] { [Double](repeating: 0, count: sizes.width) }

  private func sum(_ weights: [Double]) -> [Double] {
    var out = nothing
    for (row, w) in zip(rows, weights) { for j in out.indices { out[j] += w * row.value[j] } }
    return out
  }

  private func softmax(_ scores: [Double]) -> [Double] {
    let top = scores.max() ?? 0
    let weights = scores.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  /// Σ s v / Σ s, s = exp(q·k/√width), or exp(e^t·q·k) with both of length 1.
  private func localConstant(_ query: [Double]) -> [Double] {
    let unit = spec.features == "unit"
    let scale = unit ? exp(numbers[0][head]) : 1 / Double(sizes.width).squareRoot()
    let q = features(query)
    return sum(softmax(rows.map { scale * dot(q, features($0.key)) }))
  }

  /// argmin over b and W of Σ p ‖v − b − W(k − q)‖² + ε‖W‖²; its b.
  private func localLinear(_ query: [Double]) -> [Double] {
    guard !rows.isEmpty else { return nothing }
    let scale = 1 / Double(sizes.width).squareRoot()
    let weights = softmax(rows.map { scale * dot(query, $0.key) })
    let epsilon = softplus(numbers[0][head]) + 1e-3
    let n = sizes.width + 1
    var a = Square(n)
    var b = (0..<n).map { _ in nothing }
    for (row, p) in zip(rows, weights) {
      let f = [1] + zip(row.key, query).map { $0 - $1 }
      for i in 0..<n {
        for j in 0..<n { a[i, j] += p * f[i] * f[j] }
        for j in 0..<sizes.width { b[i][j] += p * f[i] * row.value[j] }
      }
    }
    for i in 1..<n { a[i, i] += epsilon }
    return a.solve(b)[0]
  }

  private func linear(_ query: [Double]) -> [Double] {
    let q = features(query)
    let scores = rows.map { weight($0) * dot(q, features($0.key)) }
    let total = sum(scores)
    switch spec.readOut {
    case .normalised: return total.map { $0 / (scores.reduce(0, +) + 1e-6) }
    case .mean: return total.map { $0 / Double(max(1, rows.count)) }
    case .raw, .leverage: return total
    }
  }

  private var ridgeOf: Double { softplus(numbers[spec.weights == .learned ? 1 : 0][head]) + 1e-3 }

  /// A = Σ w φφᵀ + λ·I and G = Σ w φ vᵀ.
  func normalEquations() -> (a: Square, g: [[Double]]) {
    let rank = features([Double](repeating: 0, count: sizes.width)).count
    var a = Square(rank)
    var g = (0..<rank).map { _ in nothing }
    for row in rows {
      let (f, w) = (features(row.key), weight(row))
      for i in 0..<rank {
        for j in 0..<rank { a[i, j] += w * f[i] * f[j] }
        for j in 0..<sizes.width { g[i][j] += w * f[i] * row.value[j] }
      }
    }
    for i in 0..<rank { a[i, i] += ridgeOf }
    return (a, g)
  }

  private func read(_ x: [Double], _ g: [[Double]]) -> [Double] {
    var out = nothing
    for (x, g) in zip(x, g) { for j in out.indices { out[j] += x * g[j] } }
    return out
  }

  private func ridge(_ query: [Double]) -> ([Double], Double?) {
    let q = features(query)
    let (a, g) = normalEquations()
    let w = a.solve(g)
    let leverage = spec.readOut == .leverage ? dot(q, a.solve(q.map { [$0] }).map { $0[0] }) : nil
    return (read(q, w), leverage)
  }

  /// Hestenes & Stiefel 1952 on A x = φ(q), from zero; nothing more is done once the residual is nothing.
  private func conjugate(_ query: [Double], _ steps: Int) -> [Double] {
    let q = features(query)
    let (a, g) = normalEquations()
    var (x, r, p) = ([Double](repeating: 0, count: q.count), q, q)
    for _ in 0..<steps where dot(r, r) > 1e-28 * max(dot(q, q), 1e-300) {
      let ap = a.times(p)
      let alpha = dot(r, r) / dot(p, ap)
      let next = zip(r, ap).map { $0 - alpha * $1 }
      x = zip(x, p).map { $0 + alpha * $1 }
      let beta = dot(next, next) / dot(r, r)
      p = zip(next, p).map { $0 + beta * $1 }
      r = next
    }
    return read(x, g)
  }

  /// S ← S + (η/n)(G − A S) from zero, read as φ(q)·S.
  private func descent(_ query: [Double], _ steps: Int) -> [Double] {
    let (a, g) = normalEquations()
    let rate = softplus(numbers[1][head]) / Double(max(1, rows.count))
    var s = g.map { _ in nothing }
    for _ in 0..<steps {
      let old = s
      for i in s.indices {
        for j in 0..<sizes.width {
          let product = old.indices.reduce(0.0) { $0 + a[i, $1] * old[$1][j] }
          s[i][j] = old[i][j] + rate * (g[i][j] - product)
        }
      }
    }
    return read(features(query), s)
  }

  /// S ← S + β k (v − k·S)ᵀ row by row.
  private func delta(_ query: [Double]) -> [Double] {
    let rate = 1 / (1 + exp(-numbers[0][head]))
    var s = features([Double](repeating: 0, count: sizes.width)).map { _ in nothing }
    for row in rows {
      let k = features(row.key)
      let known = read(k, s)
      for i in k.indices { for j in 0..<sizes.width { s[i][j] += rate * k[i] * (row.value[j] - known[j]) } }
    }
    return read(features(query), s)
  }

  /// f(k) = k + LN(k·W + b): a gradient step on the mean of ½‖f(k) − v‖² from W₀ and b₀, then f(q). The gradient goes
  /// through the Jacobian of the normalisation, written out.
  private func innerModel(_ query: [Double]) -> [Double] {
    let n = sizes.width
    let start = Array(numbers[0][head * n * n..<(head + 1) * n * n])
    func part(_ index: Int) -> [Double] { Array(numbers[index][head * n..<(head + 1) * n]) }
    let (startBias, gain, bias) = (part(1), part(2), part(3))
    func image(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
      (0..<n).map { j in (0..<n).reduce(b[j]) { $0 + x[$1] * w[$1 * n + j] } }
    }
    func normalised(_ z: [Double]) -> (hat: [Double], deviation: Double) {
      let mean = z.reduce(0, +) / Double(n)
      let deviation = (z.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n) + 1e-5).squareRoot()
      return (z.map { ($0 - mean) / deviation }, deviation)
    }
    func output(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
      let hat = normalised(image(x, w, b)).hat
      return (0..<n).map { x[$0] + gain[$0] * hat[$0] + bias[$0] }
    }
    var (dw, db) = ([Double](repeating: 0, count: n * n), nothing)
    for row in rows {
      let (hat, deviation) = normalised(image(row.key, start, startBias))
      let error = zip(output(row.key, start, startBias), row.value).map { $0 - $1 }
      for i in 0..<n {
        let slope = (0..<n).reduce(0.0) { sum, j in
          let jacobian = ((i == j ? 1 : 0) - 1 / Double(n) - hat[i] * hat[j] / Double(n)) / deviation
          return sum + error[j] * gain[j] * jacobian
        }
        db[i] += slope
        for j in 0..<n { dw[j * n + i] += row.key[j] * slope }
      }
    }
    let rate = softplus(numbers[4][head]) / Double(max(1, rows.count))
    return output(
      query, zip(start, dw).map { $0 - rate * $1 }, zip(startBias, db).map { $0 - rate * $1 })
  }

  /// κ(q, K)(κ(K, K) + λ·I)⁻¹V and 1 − κ(q, K)(κ(K, K) + λ·I)⁻¹κ(K, q).
  private func kernelRidge(_ query: [Double]) -> ([Double], Double?) {
    let length = softplus(numbers[1][head]) + 1e-3
    func kernel(_ a: [Double], _ b: [Double]) -> Double {
      exp(-zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / (2 * length * length))
    }
    let keys = rows.map { features($0.key) }
    let q = features(query)
    let similar = keys.map { kernel(q, $0) }
    var a = Square(rows.count)
    for i in keys.indices {
      for j in keys.indices { a[i, j] = kernel(keys[i], keys[j]) + (i == j ? ridgeOf : 0) }
    }
    let solved = a.solve(similar.map { [$0] }).map { $0[0] }
    return (sum(solved), spec.readOut == .leverage ? 1 - dot(solved, similar) : nil)
  }
}

/// A square matrix and Gaussian elimination with pivots.
struct Square {
  let n: Int
  private var values: [Double]

  init(_ n: Int) {
    self.n = n
    values = [Double](repeating: 0, count: n * n)
  }

  subscript(i: Int, j: Int) -> Double {
    get { values[i * n + j] }
    set { values[i * n + j] = newValue }
  }

  var trace: Double { (0..<n).reduce(0) { $0 + self[$1, $1] } }

  func times(_ x: [Double]) -> [Double] {
    (0..<n).map { i in (0..<n).reduce(0) { $0 + self[i, $1] * x[$1] } }
  }

  /// A⁻¹ b for `n` rows of b.
  func solve(_ b: [[Double]]) -> [[Double]] {
    var (a, x) = ((0..<n).map { i in Array(values[i * n..<(i + 1) * n]) }, b)
    for pivot in 0..<n {
      let best = (pivot..<n).max { abs(a[$0][pivot]) < abs(a[$1][pivot]) } ?? pivot
      a.swapAt(pivot, best)
      x.swapAt(pivot, best)
      for row in pivot + 1..<max(n, pivot + 1) {
        let factor = a[row][pivot] / a[pivot][pivot]
        if factor == 0 { continue }
        for column in pivot..<n { a[row][column] -= factor * a[pivot][column] }
        for column in x[row].indices { x[row][column] -= factor * x[pivot][column] }
      }
    }
    for row in stride(from: n - 1, through: 0, by: -1) {
      for column in x[row].indices {
        let sum = (row + 1..<max(n, row + 1)).reduce(x[row][column]) { $0 - a[row][$1] * x[$1][column] }
        x[row][column] = sum / a[row][row]
      }
    }
    return x
  }
}
