import Foundation

/// A mixture of nine Gaussian processes on the design: three kernels at three noises, each with its variance profiled out.
///
/// Kernels: Matérn-3/2 of length 0.7 and a Gaussian of length 2 on columns weighted by relevance, a Gaussian of length 1.5 on
/// equally weighted ones; each is 0.8·k + 0.1·(1 + x·x′). Leave-one-out (Rasmussen & Williams 2006, eq. 5.12): mean y_i − α_i/K⁻¹_ii,
/// variance s²/K⁻¹_ii. The nine are weighted by their leave-one-out densities, as if of sixteen rows. Known errors of rows are variances
/// e²/s² beside the noise; s² and what it is found with take turns.
struct ProcessExpert: TableEstimator {
  /// Of more rows, every (n/most)-th is read: rows are in the order of their outputs.
  static let mostRows = 1000
  static func read(_ count: Int) -> [Int] {
    count > mostRows ? (0..<mostRows).map { $0 * count / mostRows } : Array(0..<count)
  }
  static let noises = [0.01, 0.1, 0.5]
  /// The least variance of an output, in parts of the noise.
  private static let leastNoise = 0.2
  /// Processes of less weight are left out.
  private static let leastWeight = 0.01

  /// One part of the basis as it explains the outputs.
  private struct Process: Sendable {
    let number: Int
    let part: ProcessBasis.Part
    var weight: Double
    /// The variance of the process, profiled out.
    let scale: Double
    let alpha: [Double]
    let left: [Double]
    let variances: [Double]
    let evidence: Double
  }

  /// Of the rows of the context that are read (`read`), in their order.
  let observed: [Estimate]
  private let mean: Double
  private let basis: ProcessBasis
  private let processes: [Process]
  /// The variance of each process, of those left out too.
  private let scales: [Int: Double]
  /// The parts of the basis that it has.
  var parts: Set<Int> { Set(processes.map(\.number)) }

  init(_ context: TableContext) {
    self.init(context, ProcessBasis(context))
    for _ in 0..<(context.errors.isEmpty ? 0 : Self.turnsWithErrors) {
      self = ProcessExpert(context, ProcessBasis(context, variances: scales))
    }
  }

  private static let turnsWithErrors = 2

  /// - Parameter basis: that of the context, which its outputs share.
  init(_ context: TableContext, _ basis: ProcessBasis) {
    let weights = context.weights()
    let mean = context.mean(weights)
    self.mean = mean
    let y = basis.rows.map { context.y[$0] - mean }
    var processes = basis.parts.sorted { $0.key < $1.key }.compactMap { Self.process($0.value, y, $0.key) }
    // As if of sixteen rows: a choice among nine must not be surer than it can be.
    let best = processes.map(\.evidence).max() ?? 0
    let temper = min(1, 16 / max(weights.reduce(0, +), 1))
    scales = Dictionary(uniqueKeysWithValues: processes.map { ($0.number, $0.scale) })
    for index in processes.indices {
      processes[index].weight = exp((processes[index].evidence - best) * temper)
    }
    let total = processes.reduce(0) { $0 + $1.weight }
    for index in processes.indices { processes[index].weight /= total }
    processes.removeAll { $0.weight < Self.leastWeight }
    let left = processes.reduce(0) { $0 + $1.weight }
    for index in processes.indices { processes[index].weight /= left }
    self.processes = processes
    self.basis = basis.keeping(Set(processes.map(\.number)))
    observed = Self.mixed(processes, basis.rows.count, mean) { process in (process.left, process.variances) }
  }

  private static func process(_ part: ProcessBasis.Part, _ y: [Double], _ number: Int) -> Process? {
    let n = y.count
    let alpha = part.inverse.solve(y)
    let diagonal = part.diagonal
    let errors = (0..<n).map { alpha[$0] / diagonal[$0] }
    let scale = max((0..<n).reduce(0) { $0 + errors[$1] * errors[$1] * diagonal[$1] } / Double(n), 1e-6)
    let all = diagonal.map { scale / $0 }
    let evidence = -0.5 * (all.reduce(0) { $0 + log($1) } + Double(n))
    // What is said is of an output without its error.
    let variances =
      part.errors.isEmpty
      ? all : zip(all, part.errors).map { max($0 - scale * $1, leastNoise * part.noise * scale) }
    guard evidence.isFinite else { return nil }
    return Process(
      number: number, part: part, weight: 0, scale: scale, alpha: alpha,
      left: (0..<n).map { y[$0] - errors[$0] },
      variances: variances, evidence: evidence)
  }

  func estimates(_ rows: TableRows) -> [Estimate] { estimates(basis.shown(rows)) }

  /// Of rows that were shown with the parts that this one has.
  func estimates(_ shown: ProcessBasis.Shown) -> [Estimate] {
    Self.mixed(processes, shown.count, mean) { process in
      guard let covariances = shown.covariances[process.part.kernel],
        let own = shown.variances[process.number]
      else { return ([], []) }
      let n = process.alpha.count
      var means: [Double] = []
      covariances.withUnsafeBufferPointer { covariances in
        process.alpha.withUnsafeBufferPointer { alpha in
          for row in 0..<shown.count {
            var value = 0.0
            for i in 0..<n { value += covariances[row * n + i] * alpha[i] }
            means.append(value)
          }
        }
      }
      let least = Self.leastNoise * process.part.noise
      return (means, own.map { process.scale * max($0.prior - $0.explained, least) })
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
