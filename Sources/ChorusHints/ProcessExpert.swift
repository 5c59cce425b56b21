import ChorusData
import ChorusTensors
import Foundation

/// A mixture of nine Gaussian processes on the design: three kernels at three noises, each with its variance profiled out.
///
/// Kernels: Matérn-3/2 of length 0.7 and a Gaussian of length 2 on columns weighted by relevance, a Gaussian of length 1.5 on
/// equally weighted ones; each is 0.8·k + 0.1·(1 + x·x′). Leave-one-out (Rasmussen & Williams 2006, eq. 5.12): mean y_i − α_i/K⁻¹_ii,
/// variance s²/K⁻¹_ii. The nine are weighted by their leave-one-out densities, as if of sixteen rows.
struct ProcessExpert: TableEstimator {
  /// Of more rows, every (n/most)-th is read: rows are in the order of their outputs.
  static let mostRows = 1000
  static func read(_ count: Int) -> [Int] {
    count > mostRows ? (0..<mostRows).map { $0 * count / mostRows } : Array(0..<count)
  }
  static let noises = [0.01, 0.1, 0.5]
  /// Processes of less weight are left out.
  private static let leastWeight = 0.01

  private struct Kernel: Sendable {
    let isMatern: Bool
    let length: Double
    /// Of each column of the design.
    let weights: [Double]

    func scaled(_ design: [Double]) -> [Double] {
      let p = weights.count
      return [Double](unsafeUninitializedCapacity: design.count) { out, count in
        for i in 0..<design.count { out[i] = design[i] * weights[i % max(p, 1)] }
        count = design.count
      }
    }

    static func squares(_ rows: [Double], _ p: Int) -> [Double] {
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
  }

  private struct Process: Sendable {
    let kernel: Int
    let noise: Double
    var weight: Double
    /// The variance of the process, profiled out.
    let scale: Double
    let alpha: [Double]
    let inverse: InverseFactor
    let left: [Double]
    let variances: [Double]
    let evidence: Double
  }

  /// Of the rows of the context that are read (`read`), in their order.
  let observed: [Estimate]
  private let mean: Double
  private let kernels: [Kernel]
  /// Scaled rows that were read, kernel by kernel, and their squared lengths.
  private let read: [(rows: [Double], squares: [Double])]
  private let processes: [Process]

  init(_ context: TableContext) {
    let (n, p) = (context.count, context.width)
    let mean = context.y.reduce(0, +) / Double(max(n, 1))
    self.mean = mean
    let kept = Self.read(n)
    let y = kept.map { context.y[$0] - mean }
    let design =
      kept.count == n ? context.rows.design : kept.flatMap { context.rows.design[$0 * p..<($0 + 1) * p] }
    let relevant = TableDistance.weights(context.designRelevance).map { $0.squareRoot() }
    let equal = [Double](repeating: 1 / Double(max(p, 1)).squareRoot(), count: p)
    kernels = [
      Kernel(isMatern: true, length: 0.7, weights: relevant),
      Kernel(isMatern: false, length: 2, weights: relevant),
      Kernel(isMatern: false, length: 1.5, weights: equal),
    ]
    read = kernels.map {
      let rows = $0.scaled(design)
      return (rows, p == 0 ? [Double](repeating: 0, count: kept.count) : Kernel.squares(rows, p))
    }
    var processes: [Process] = []
    for (index, kernel) in kernels.enumerated() where kept.count > 1 {
      let covariances = kernel.covariances(
        read[index].rows, read[index].squares, read[index].rows, read[index].squares)
      for noise in Self.noises {
        guard let process = Self.process(covariances, y, kernel: index, noise) else { continue }
        processes.append(process)
      }
    }
    // As if of sixteen rows: a choice among nine must not be surer than it can be.
    let best = processes.map(\.evidence).max() ?? 0
    let temper = min(1, 16 / Double(max(n, 1)))
    for index in processes.indices {
      processes[index].weight = exp((processes[index].evidence - best) * temper)
    }
    let total = processes.reduce(0) { $0 + $1.weight }
    for index in processes.indices { processes[index].weight /= total }
    processes.removeAll { $0.weight < Self.leastWeight }
    let left = processes.reduce(0) { $0 + $1.weight }
    for index in processes.indices { processes[index].weight /= left }
    self.processes = processes
    observed = Self.mixed(processes, kept.count, mean) { process in (process.left, process.variances) }
  }

  private static func process(_ covariances: [Double], _ y: [Double], kernel: Int, _ noise: Double)
    -> Process?
  {
    let n = y.count
    guard let inverse = InverseFactor(covariances, n, adding: noise) else { return nil }
    let alpha = inverse.solve(y)
    let diagonal = inverse.diagonal
    let errors = (0..<n).map { alpha[$0] / diagonal[$0] }
    let scale = max((0..<n).reduce(0) { $0 + errors[$1] * errors[$1] * diagonal[$1] } / Double(n), 1e-6)
    let variances = diagonal.map { scale / $0 }
    let evidence = -0.5 * (variances.reduce(0) { $0 + log($1) } + Double(n))
    guard evidence.isFinite else { return nil }
    return Process(
      kernel: kernel, noise: noise, weight: 0, scale: scale, alpha: alpha, inverse: inverse,
      left: (0..<n).map { y[$0] - errors[$0] }, variances: variances, evidence: evidence)
  }

  func estimates(_ rows: TableRows) -> [Estimate] {
    var shown: [Int: (covariances: [Double], squares: [Double])] = [:]
    for index in Set(processes.map(\.kernel)) {
      let own = kernels[index].scaled(rows.design)
      let p = kernels[index].weights.count
      let squares = p == 0 ? [Double](repeating: 0, count: rows.count) : Kernel.squares(own, p)
      shown[index] = (
        kernels[index].covariances(own, squares, read[index].rows, read[index].squares), squares
      )
    }
    return Self.mixed(processes, rows.count, mean) { process in
      guard let own = shown[process.kernel] else { return ([], []) }
      let n = process.alpha.count
      let explained = process.inverse.squares(own.covariances, rows.count)
      var (means, variances) = ([Double](), [Double]())
      own.covariances.withUnsafeBufferPointer { covariances in
        process.alpha.withUnsafeBufferPointer { alpha in
          for row in 0..<rows.count {
            var value = 0.0
            for i in 0..<n { value += covariances[row * n + i] * alpha[i] }
            means.append(value)
          }
        }
      }
      for row in 0..<rows.count {
        let prior = kernels[process.kernel].variance(own.squares[row]) + process.noise
        variances.append(process.scale * max(prior - explained[row], 0.2 * process.noise))
      }
      return (means, variances)
    }
  }

  /// Mean and deviation of the mixture, row by row.
  private static func mixed(
    _ processes: [Process], _ count: Int, _ mean: Double,
    _ laws: (Process) -> (means: [Double], variances: [Double])
  ) -> [Estimate] {
    var first = [Double](repeating: 0, count: count)
    var second = first
    for process in processes {
      let (means, variances) = laws(process)
      for row in means.indices {
        first[row] += process.weight * means[row]
        second[row] += process.weight * (variances[row] + means[row] * means[row])
      }
    }
    guard !processes.isEmpty else {
      return [Estimate](repeating: Estimate(value: mean, deviation: 1), count: count)
    }
    return (0..<count).map {
      Estimate(
        value: mean + first[$0], deviation: max(second[$0] - first[$0] * first[$0], 1e-6).squareRoot())
    }
  }
}
