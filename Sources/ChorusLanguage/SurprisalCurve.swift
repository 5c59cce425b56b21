import Foundation

/// In which steps a prediction's context grows (Sajid & Medrano 2025).
public enum Scheme: String, Sendable, CaseIterable {
  /// Token by token.
  case sequential
  /// By windows that double, all their tokens read; between them the prediction is held.
  case hierarchical
  /// By tokens at lags that double, no others read; between them the prediction is held.
  case lags
}

/// What one scheme gains with context: surprisals, what each step changes, and how many of the steps differ.
public struct SurprisalCurve: Sendable {
  public let scheme: Scheme
  /// `[targets][C]`: surprisals as the scheme has them at each context length.
  public let nats: [[Double]]
  /// The context lengths at which the scheme's prediction changes, from the first on.
  public let steps: [Int]
  public var contexts: Int { nats.first?.count ?? 0 }

  /// - Parameter table: S_t(c) for c = 1...C; of lags, the surprisals of levels.
  public init(_ scheme: Scheme, _ table: [[Double]], contexts: Int) {
    self.scheme = scheme
    let levels = (0..<Levels.count(contexts)).map { 1 << $0 }
    func held(_ value: (_ row: [Double], _ level: Int) -> Double) -> [[Double]] {
      table.map { row in (1...contexts).map { value(row, Levels.count($0) - 1) } }
    }
    switch scheme {
    case .sequential: (nats, steps) = (table, Array(1...contexts))
    case .hierarchical: (nats, steps) = (held { $0[1 << $1 - 1] }, levels)
    case .lags: (nats, steps) = (held { $0[$1] }, levels)
    }
  }

  /// A mean over targets with its standard error.
  public struct Mean: Sendable, Hashable {
    public let value: Double
    public let error: Double

    init(_ values: [Double]) {
      let count = Double(values.count)
      let mean = values.reduce(0, +) / count
      value = mean
      error = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count * max(count - 1, 1))).squareRoot()
    }
  }

  /// The surprisal at a context length.
  public func surprisal(_ context: Int) -> Mean { Mean(nats.map { $0[context - 1] }) }

  /// The step that led to the prediction at a context length, from which length to which; nil at the first.
  private func step(_ context: Int) -> (from: Int, to: Int)? {
    guard let index = steps.lastIndex(where: { $0 <= context }), index > 0 else { return nil }
    return (steps[index - 1], steps[index])
  }

  /// How much the last step changed the surprisal; of a held prediction, the step that led to it.
  public func change(_ context: Int) -> Mean? {
    step(context).map { step in Mean(nats.map { abs($0[step.to - 1] - $0[step.from - 1]) }) }
  }

  /// What the last step gained or, above zero, lost.
  public func signedChange(_ context: Int) -> Mean? {
    step(context).map { step in Mean(nats.map { $0[step.to - 1] - $0[step.from - 1] }) }
  }

  /// The most that the rank can be: lengths that differ, or targets.
  public func bound(_ context: Int) -> Int { min(steps.count { $0 <= context }, nats.count) }

  /// The number of singular values of S_t(1...c) above `tolerance` times the largest.
  public func rank(_ context: Int, tolerance: Double) -> Int {
    let values = Self.singularValues(nats.map { Array($0.prefix(context)) })
    return values.count { $0 > tolerance * (values.max() ?? 0) }
  }

  /// By one-sided Jacobi rotations (Hestenes 1958): rows are turned in pairs until all stand at right angles; their lengths are
  /// the singular values.
  static func singularValues(_ matrix: [[Double]]) -> [Double] {
    guard let columns = matrix.first?.count else { return [] }
    var rows =
      matrix.count <= columns
      ? matrix : (0..<columns).map { column in matrix.map { $0[column] } }
    for _ in 0..<60 {
      var turned = false
      for i in rows.indices {
        for j in i + 1..<max(rows.count, i + 1) {
          var (a, b, c) = (0.0, 0.0, 0.0)
          for k in rows[i].indices {
            a += rows[i][k] * rows[i][k]
            b += rows[j][k] * rows[j][k]
            c += rows[i][k] * rows[j][k]
          }
          guard abs(c) > 1e-15 * (a * b).squareRoot(), c != 0 else { continue }
          turned = true
          let zeta = (b - a) / (2 * c)
          let t = (zeta >= 0 ? 1 : -1) / (abs(zeta) + (1 + zeta * zeta).squareRoot())
          let cosine = 1 / (1 + t * t).squareRoot()
          let sine = cosine * t
          for k in rows[i].indices {
            let (x, y) = (rows[i][k], rows[j][k])
            rows[i][k] = cosine * x - sine * y
            rows[j][k] = sine * x + cosine * y
          }
        }
      }
      if !turned { break }
    }
    return rows.map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }.sorted(by: >)
  }

  // MARK: Laws of decay

  /// A straight line through logarithms.
  public struct Fit: Sendable, Hashable {
    public let slope: Double
    /// Share of the variance of the logarithms that the line explains.
    public let explained: Double

    init?(_ x: [Double], _ y: [Double]) {
      guard x.count > 2 else { return nil }
      let n = Double(x.count)
      let (mx, my) = (x.reduce(0, +) / n, y.reduce(0, +) / n)
      let xx = x.reduce(0) { $0 + ($1 - mx) * ($1 - mx) }
      let yy = y.reduce(0) { $0 + ($1 - my) * ($1 - my) }
      let xy = zip(x, y).reduce(0) { $0 + ($1.0 - mx) * ($1.1 - my) }
      guard xx > 0, yy > 0 else { return nil }
      (slope, explained) = (xy / xx, xy * xy / (xx * yy))
    }
  }

  private var changes: [(context: Double, log: Double)] {
    steps.dropFirst().compactMap { context in
      change(context).flatMap { $0.value > 0 ? (Double(context), log($0.value)) : nil }
    }
  }

  /// mean |ΔS| ∝ c^slope.
  public var powerLaw: Fit? { Fit(changes.map { log($0.context) }, changes.map(\.log)) }
  /// mean |ΔS| ∝ e^(slope·c).
  public var exponential: Fit? { Fit(changes.map(\.context), changes.map(\.log)) }
}

/// What predicting one token takes: nothing is kept from one context to the next, since windows grow to the left and change every
/// row in them.
public struct SchemeCost: Sendable, Hashable {
  /// Predictions made.
  public var iterations = 0
  /// Tokens that go through the network.
  public var encodes = 0
  /// Pairs of a reading and a read token, per block and head.
  public var reads = 0

  private mutating func add(_ tokens: Int) {
    iterations += 1
    encodes += tokens
    reads += tokens * (tokens + 1) / 2
  }

  /// Up to a context of C tokens.
  public init(_ scheme: Scheme, contexts: Int) {
    switch scheme {
    case .sequential: for tokens in 1...contexts { add(tokens) }
    case .hierarchical: for level in 0..<Levels.count(contexts) { add(1 << level) }
    case .lags: for level in 0..<Levels.count(contexts) { add(level + 1) }
    }
  }

  /// The ordinary way: all of the context, once.
  public init(onePass contexts: Int) { add(contexts) }
}
