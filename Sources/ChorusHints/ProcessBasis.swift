import ChorusData
import ChorusTensors

/// What the processes of all outputs of a context have in common: kernels on the design of its rows, and L⁻¹ of each kernel's
/// covariances at each noise. A category's levels are so many outputs of the same rows.
struct ProcessBasis: Sendable {
  struct Kernel: Sendable {
    let isMatern: Bool
    let length: Double
    /// Of each column of the design.
    let weights: [Double]

    private func scaled(_ design: [Double]) -> [Double] {
      let p = weights.count
      return [Double](unsafeUninitializedCapacity: design.count) { out, count in
        for i in 0..<design.count { out[i] = design[i] * weights[i % max(p, 1)] }
        count = design.count
      }
    }

    private static func squares(_ rows: [Double], _ p: Int) -> [Double] {
      (0..<(p == 0 ? 0 : rows.count / p)).map { row in
        rows[row * p..<(row + 1) * p].reduce(0) { $0 + $1 * $1 }
      }
    }

    /// The covariances of `a` with `b`, `[a, b]`, of scaled rows.
    func covariances(
      _ a: [Double], _ aSquares: [Double], _ b: [Double], _ bSquares: [Double]
    ) -> [Double] {
      let (m, n) = (aSquares.count, bSquares.count)
      var products = [Double](repeating: 0, count: m * n)
      DoubleKernels.products(a, rows: m, b, rows: n, columns: weights.count, into: &products)
      var arguments = [Double](repeating: 0, count: n)
      var exponentials = arguments
      let (matern, inverse) = (isMatern, 1 / (length * length))
      products.withUnsafeMutableBufferPointer { all in
        arguments.withUnsafeMutableBufferPointer { arguments in
          exponentials.withUnsafeMutableBufferPointer { exponentials in
            guard let from = arguments.baseAddress, let to = exponentials.baseAddress else { return }
            for i in 0..<m {
              let own = UnsafeMutableBufferPointer(rebasing: all[i * n..<(i + 1) * n])
              for j in 0..<n {
                let distance = max(aSquares[i] + bSquares[j] - 2 * own[j], 0) * inverse
                arguments[j] = matern ? -(3 * distance).squareRoot() : -0.5 * distance
              }
              DoubleKernels.exp(n, from, to)
              for j in 0..<n {
                let shape = matern ? (1 - arguments[j]) * exponentials[j] : exponentials[j]
                own[j] = 0.8 * shape + 0.1 * (1 + own[j])
              }
            }
          }
        }
      }
      return products
    }

    func variance(_ square: Double) -> Double { 0.8 + 0.1 * (1 + square) }

    /// Rows of the design scaled, and their squared lengths.
    func read(_ design: [Double], _ count: Int) -> (rows: [Double], squares: [Double]) {
      let rows = scaled(design)
      return (
        rows, weights.isEmpty ? [Double](repeating: 0, count: count) : Self.squares(rows, weights.count)
      )
    }
  }

  /// A kernel at a noise.
  struct Part: Sendable {
    let kernel: Int
    let noise: Double
    /// Known variances of the rows' errors beside it, in the unit of the process's; empty for none.
    let errors: [Double]
    let inverse: InverseFactor
    /// The diagonal of (K + noise + errors)⁻¹.
    let diagonal: [Double]
  }

  /// Rows that are read, by their numbers in the context.
  let rows: [Int]
  private let kernels: [Kernel]
  /// Scaled rows that were read, kernel by kernel, and their squared lengths.
  private let read: [(rows: [Double], squares: [Double])]
  /// By their numbers; one whose covariances have no factor is not there.
  private(set) var parts: [Int: Part] = [:]

  /// - Parameter variances: of the processes, by number: what known errors of rows are measured in; 1 where it is not said.
  init(_ context: TableContext, variances: [Int: Double] = [:]) {
    let p = context.width
    let kept = ProcessExpert.read(context.count)
    rows = kept
    let design =
      kept.count == context.count
      ? context.rows.design : kept.flatMap { context.rows.design[$0 * p..<($0 + 1) * p] }
    let relevant = TableDistance.weights(context.designRelevance).map { $0.squareRoot() }
    let equal = [Double](repeating: 1 / Double(max(p, 1)).squareRoot(), count: p)
    let kernels = [
      Kernel(isMatern: true, length: 0.7, weights: relevant),
      Kernel(isMatern: false, length: 2, weights: relevant),
      Kernel(isMatern: false, length: 1.5, weights: equal),
    ]
    self.kernels = kernels
    let read = kernels.map { $0.read(design, kept.count) }
    self.read = read
    for (index, kernel) in kernels.enumerated() where kept.count > 1 {
      let (rows, squares) = read[index]
      let covariances = kernel.covariances(rows, squares, rows, squares)
      for (place, noise) in ProcessExpert.noises.enumerated() {
        let number = index * ProcessExpert.noises.count + place
        let errors =
          context.errors.isEmpty ? [] : kept.map { context.errors.variance($0) / (variances[number] ?? 1) }
        guard let inverse = InverseFactor(covariances, kept.count, adding: noise, errors) else { continue }
        parts[number] = Part(
          kernel: index, noise: noise, errors: errors, inverse: inverse, diagonal: inverse.diagonal)
      }
    }
  }

  /// The same without parts that nobody has use for.
  func keeping(_ wanted: Set<Int>) -> ProcessBasis {
    var basis = self
    basis.parts = parts.filter { wanted.contains($0.key) }
    return basis
  }

  /// Other rows as processes see them.
  struct Shown: Sendable {
    let count: Int
    /// Covariances with the rows that were read, by kernel.
    fileprivate(set) var covariances: [Int: [Double]] = [:]
    /// By part: the variance before anything was read, and the part of it that the rows that were read explain.
    fileprivate(set) var variances: [Int: [(prior: Double, explained: Double)]] = [:]
  }

  func shown(_ rows: TableRows) -> Shown {
    var shown = Shown(count: rows.count)
    for (index, kernel) in kernels.enumerated() {
      let own = parts.filter { $0.value.kernel == index }
      guard !own.isEmpty else { continue }
      let (scaled, squares) = kernel.read(rows.design, rows.count)
      let covariances = kernel.covariances(scaled, squares, read[index].rows, read[index].squares)
      for (number, part) in own {
        let explained = part.inverse.squares(covariances, rows.count)
        shown.variances[number] = zip(squares, explained).map { (kernel.variance($0) + part.noise, $1) }
      }
      shown.covariances[index] = covariances
    }
    return shown
  }
}
