import ChorusTensors
import Foundation

/// A Kalman filter of level and noise over rows in order, and the smoother of Durbin and Koopman (2012, section 4.4).
///
/// What depends on variances alone is computed once; whitening and smoothing then run over any number of columns side
/// by side. With K the covariance of level and noise, whitening gives K^−½ X and smoothing K⁻¹ X.
struct SeriesFilter: Sendable {
  let level: SeriesLevel
  let times: [Double]
  /// From the row before to each row; to the first from one row before it.
  private let steps: [SeriesLevel.Step]
  /// Variance of each row foretold from those before it, and by how much a miss moves the state.
  private let variances: [Double]
  private let gains: [(level: Double, slope: Double)]
  /// The state's variance after each row.
  private let after: [SeriesLevel.Spread]
  /// log |K|.
  let logDeterminant: Double

  init(_ level: SeriesLevel, times: [Double], noise: [Double]) {
    (self.level, self.times) = (level, times)
    var (steps, variances, gains, after) = (
      [SeriesLevel.Step](), [Double](), [(level: Double, slope: Double)](), [SeriesLevel.Spread]()
    )
    var (state, time, logs) = (level.start, times[0] - 1, 0.0)
    var (step, distance) = (level.step(1), 1.0)
    for (row, place) in times.enumerated() {
      if place - time != distance {
        distance = place - time
        step = level.step(distance)
      }
      state = step.spread(state)
      let variance = state.level + noise[row]
      let gain = (level: state.level / variance, slope: state.both / variance)
      // In this form nothing cancels where the noise is far smaller than the level.
      state = SeriesLevel.Spread(
        level: gain.level * noise[row], both: state.both * (noise[row] / variance),
        slope: state.slope - gain.slope * state.both)
      steps.append(step)
      variances.append(variance)
      gains.append(gain)
      after.append(state)
      logs += log(variance)
      time = place
    }
    (self.steps, self.variances, self.gains, self.after) = (steps, variances, gains, after)
    logDeterminant = logs
  }

  private var hasSlope: Bool { level.kind == .trend || level.kind == .cycle }

  /// K^−½ times the columns `[rows, width]`, some rows at a time: their number and values; `states` is given the state
  /// after each row `[2, width]`.
  private func whiten(
    _ columns: [Double], width: Int, states: ((UnsafeMutablePointer<Double>) -> Void)? = nil,
    block body: (Int, UnsafeMutablePointer<Double>) -> Void
  ) {
    let rows = Self.blockRows
    var scratch = [Double](repeating: 0, count: (rows + 2) * width)
    columns.withUnsafeBufferPointer { columns in
      scratch.withUnsafeMutableBufferPointer { scratch in
        guard let columns = columns.baseAddress, let block = scratch.baseAddress else { return }
        let l = block + rows * width
        for first in stride(from: 0, to: times.count, by: rows) {
          let count = min(rows, times.count - first)
          for row in first..<first + count {
            whiten(columns + row * width, width, row, state: l, into: block + (row - first) * width)
            states?(l)
          }
          body(count, block)
        }
      }
    }
  }
  private static let blockRows = 64

  private func whiten(
    _ x: UnsafePointer<Double>, _ width: Int, _ row: Int, state l: UnsafeMutablePointer<Double>,
    into out: UnsafeMutablePointer<Double>
  ) {
    let (step, gain, root) = (steps[row], gains[row], 1 / variances[row].squareRoot())
    let b = l + width
    switch level.kind {
    case .none: for i in 0..<width { out[i] = x[i] * root }
    case .trend:
      for i in 0..<width {
        let (foretold, slope) = (step.stay * l[i] + step.drift * b[i], step.keep * b[i])
        let miss = x[i] - foretold
        l[i] = foretold + gain.level * miss
        b[i] = slope + gain.slope * miss
        out[i] = miss * root
      }
    case .cycle:
      for i in 0..<width {
        let (foretold, slope) = (step.stay * l[i] + step.drift * b[i], step.turn * l[i] + step.keep * b[i])
        let miss = x[i] - foretold
        l[i] = foretold + gain.level * miss
        b[i] = slope + gain.slope * miss
        out[i] = miss * root
      }
    case .walk, .reverting:
      for i in 0..<width {
        let foretold = step.stay * l[i]
        let miss = x[i] - foretold
        l[i] = foretold + gain.level * miss
        out[i] = miss * root
      }
    }
  }

  /// Turns a row's whitened values into those of K⁻¹, given what the rows after it pull its state by; adds what it pulls.
  private func pull(
    _ x: UnsafeMutablePointer<Double>, _ width: Int, _ row: Int, state l: UnsafeMutablePointer<Double>
  ) {
    let (gain, root, b) = (gains[row], 1 / variances[row].squareRoot(), l + width)
    for i in 0..<width {
      let value = x[i] * root - gain.level * l[i] - gain.slope * b[i]
      x[i] = value
      l[i] += value
    }
  }

  /// What pulls the state at a row, as it pulls the state at the row before.
  private func turnBack(_ l: UnsafeMutablePointer<Double>, _ width: Int, _ row: Int) {
    let (step, b) = (steps[row], l + width)
    for i in 0..<width {
      let (pulled, slope) = (l[i], b[i])
      b[i] = step.drift * pulled + step.keep * slope
      l[i] = step.stay * pulled + step.turn * slope
    }
  }

  /// The row's element of the diagonal of K⁻¹, and what is known of the state before it given what is known after it.
  private func known(_ n: SeriesLevel.Spread, _ row: Int) -> (diagonal: Double, before: SeriesLevel.Spread) {
    let gain = gains[row]
    let (level, slope) = (
      gain.level * n.level + gain.slope * n.both, gain.level * n.both + gain.slope * n.slope
    )
    let own = 1 / variances[row] + gain.level * level + gain.slope * slope
    return (own, SeriesLevel.Spread(level: n.level - 2 * level + own, both: n.both - slope, slope: n.slope))
  }

  /// K^−½ times one column.
  func whitened(_ column: [Double]) -> [Double] {
    var out = [Double]()
    whiten(column, width: 1) { count, block in out += UnsafeBufferPointer(start: block, count: count) }
    return out
  }

  /// Xᵀ K⁻¹ X `[width, width]`.
  func products(_ columns: [Double], width: Int) -> [Double] {
    var products = [Double](repeating: 0, count: width * width)
    products.withUnsafeMutableBufferPointer { products in
      guard let products = products.baseAddress else { return }
      whiten(columns, width: width) { count, block in
        DoubleKernels.gram(width, rows: count, block, width, products)
      }
    }
    return products
  }

  /// What the rows say of the level at any place, and K⁻¹ of the columns.
  struct Smoothed: Sendable {
    let filter: SeriesFilter
    let width: Int
    /// K⁻¹ X `[rows, width]` and the diagonal of K⁻¹.
    let inverse: [Double]
    let diagonal: [Double]
    /// After each row, its own and those before it: the state `[rows, states, width]`.
    private let states: [Double]
    /// Before each row, from it and those after it, as a vector `[rows, states, width]` and a matrix of the state there.
    private let pulls: [Double]
    private let known: [SeriesLevel.Spread]
    private let stored: Int

    init(_ filter: SeriesFilter, columns: [Double], width: Int) {
      (self.filter, self.width) = (filter, width)
      let rows = filter.times.count
      // Without a level there is no state to keep.
      let stored = filter.level.kind == .none ? 0 : (filter.hasSlope ? 2 : 1) * width
      self.stored = stored
      var states = [Double]()
      states.reserveCapacity(rows * stored)
      var white = [Double]()
      white.reserveCapacity(columns.count)
      filter.whiten(
        columns, width: width, states: { states += UnsafeBufferPointer(start: $0, count: stored) },
        block: { white += UnsafeBufferPointer(start: $1, count: $0 * width) })
      self.states = states
      var (inverse, diagonal) = (white, [Double](repeating: 0, count: rows))
      var pulls = [Double](repeating: 0, count: rows * stored)
      var known = [SeriesLevel.Spread](repeating: SeriesLevel.Spread(), count: rows)
      var pull = [Double](repeating: 0, count: 2 * width)
      var n = SeriesLevel.Spread()
      inverse.withUnsafeMutableBufferPointer { inverse in
        pull.withUnsafeMutableBufferPointer { pull in
          guard let inverse = inverse.baseAddress, let l = pull.baseAddress else { return }
          for row in (0..<rows).reversed() {
            filter.pull(inverse + row * width, width, row, state: l)
            pulls.replaceSubrange(
              row * stored..<(row + 1) * stored, with: UnsafeBufferPointer(start: l, count: stored))
            filter.turnBack(l, width, row)
            (diagonal[row], known[row]) = filter.known(n, row)
            n = filter.steps[row].known(known[row])
          }
        }
      }
      (self.inverse, self.diagonal, self.pulls, self.known) = (inverse, diagonal, pulls, known)
    }

    /// k*ᵀ K⁻¹ X for the level at a time, and the level's variance there given all rows.
    func level(at time: Double) -> (columns: [Double], variance: Double) {
      var columns = [Double](repeating: 0, count: width)
      guard stored > 0 else { return (columns, 0) }
      let (law, times) = (filter.level, filter.times)
      let before = times.partition(after: time) - 1
      // Before the first row the last that is known is the start, one row before it.
      let origin = before >= 0 ? times[before] : times[0] - 1
      let to = law.step(abs(time - origin))
      let backward = time < origin
      let start = before >= 0 ? filter.after[before] : law.start
      let spread = backward ? start : to.spread(start)
      let next = before + 1
      let from = next < times.count ? law.step(times[next] - (backward ? origin : time)) : SeriesLevel.Step()
      let n = next < times.count ? from.known(known[next]) : SeriesLevel.Spread()
      let sloped = stored > width
      // Back in time the law is the same with the slope's sign turned.
      let (stay, drift) = backward ? (to.stay, -to.drift) : (1, 0)
      let (pl, pb) = (stay * spread.level + drift * spread.both, stay * spread.both + drift * spread.slope)
      for i in 0..<width {
        var value = 0.0
        if before >= 0 {
          value = to.stay * states[before * stored + i]
          if sloped { value += to.drift * states[before * stored + width + i] }
        }
        if next < times.count {
          let l = pulls[next * stored + i]
          let b = sloped ? pulls[next * stored + width + i] : 0
          value += pl * (from.stay * l + from.turn * b) + pb * (from.drift * l + from.keep * b)
        }
        columns[i] = value
      }
      let whole = backward ? stay * pl + drift * pb + to.added.level : spread.level
      return (columns, max(whole - (pl * pl * n.level + 2 * pl * pb * n.both + pb * pb * n.slope), 0))
    }
  }
}

extension [Double] {
  /// In an array in order, how many elements are at most a value.
  func partition(after value: Double) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] <= value { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
