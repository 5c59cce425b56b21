import Foundation

/// The joint law of outputs at several places given a context: what each value says of the others.
///
/// Given all rows the level is Markov still, so the covariance of two places follows from the filter's and the smoother's
/// quantities between them (de Jong and MacKinnon 1988, "Covariances for smoothed estimates in state space models"):
/// Cov(α_s, α_t) = P_s L_s' … L_{t−1}' (I − N_{t−1} P_t). What is not known of trend and seasons adds D Dᵀ (docs/series-hint.md).
struct SeriesJoint: Sendable {
  /// Of each place the law of an output, in the outputs' unit; nil for one before the first row.
  let laws: [SeriesModel.Law?]
  /// `correlation` of all places, `[count, count]`, since a path asks for them again and again, and `variance`.
  private let correlations: [Double]
  private let variances: [Double]
  private let count: Int

  /// Places that a joint law is made of.
  static let most = 1024

  /// Covariance of what is foretold at two places, each in units of its deviation, the noise of one value not that of
  /// another; nil where nothing is said.
  func correlation(_ a: Int, _ b: Int) -> Double { correlations[a * count + b] }

  /// Of an output without the noise, in units of the noise's variance.
  func variance(_ place: Int) -> Double { variances[place] }

  /// - Parameter places: in the unit of x; no more than `most`.
  init?(_ model: SeriesModel, places: [Double]) {
    guard places.count <= Self.most else { return nil }
    count = places.count
    laws = places.map { $0 < model.rows.x[0] ? nil : model.foretold(at: $0) }
    let asked = places.map(model.rows.time)
    // Without the noise, in units of the noise's variance.
    var covariances = [Double](repeating: 0, count: count * count)
    let lost = asked.map { model.lost(at: $0) }
    for (i, a) in lost.enumerated() where laws[i] != nil {
      for (j, b) in lost[...i].enumerated() where laws[j] != nil {
        var sum = 0.0
        for (x, y) in zip(a, b) { sum += x * y }
        (covariances[i * count + j], covariances[j * count + i]) = (sum, sum)
      }
    }
    let walk = Walk(model, asked: asked, laws.map { $0 != nil })
    walk.add(to: &covariances, count: count)
    let size = count
    let variances = (0..<size).map { covariances[$0 * size + $0] }
    for a in 0..<size {
      for b in 0..<size {
        covariances[a * size + b] /= ((variances[a] + 1) * (variances[b] + 1)).squareRoot()
      }
    }
    (correlations, self.variances) = (covariances, variances)
  }

  /// A filter over rows and asked places in order, the latter not seen.
  private struct Walk {
    private struct Node {
      /// Of the rows, or of the places.
      let index: Int
      let isAsked: Bool
      /// The state's variance before the node is seen, the part of a miss that moves it, and the step to the next node.
      var spread = SeriesLevel.Spread()
      var gain = (level: 0.0, slope: 0.0)
      var variance = Double.infinity
      var next = SeriesLevel.Step()
      /// What the node and those after it tell of the state there.
      var known = SeriesLevel.Spread()
    }
    private var nodes: [Node] = []
    private let isNone: Bool

    init(_ model: SeriesModel, asked: [Double], _ said: [Bool]) {
      let (times, noise, level) = (model.rows.times, model.choice.noise, model.choice.setting.level)
      isNone = level.kind == .none
      guard !isNone else { return }
      var all = times.indices.map { (time: times[$0], node: Node(index: $0, isAsked: false)) }
      all += asked.indices.filter { said[$0] }.map { (asked[$0], Node(index: $0, isAsked: true)) }
      // Sorting is stable for what follows: rows of a time come in any order to the same end.
      all.sort {
        ($0.time, $0.node.isAsked ? 1 : 0, $0.node.index) < ($1.time, $1.node.isAsked ? 1 : 0, $1.node.index)
      }
      nodes = all.map(\.node)
      var state = level.step(1).spread(level.start)
      for place in nodes.indices {
        nodes[place].spread = state
        if !nodes[place].isAsked {
          let own = noise[nodes[place].index]
          let variance = state.level + own
          let gain = (level: state.level / variance, slope: state.both / variance)
          state = SeriesLevel.Spread(
            level: gain.level * own, both: state.both * (own / variance),
            slope: state.slope - gain.slope * state.both)
          (nodes[place].gain, nodes[place].variance) = (gain, variance)
        }
        guard place + 1 < nodes.count else { break }
        nodes[place].next = level.step(all[place + 1].time - all[place].time)
        state = nodes[place].next.spread(state)
      }
      var known = SeriesLevel.Spread()
      for place in nodes.indices.reversed() {
        // After the node: the step to the next turns what is known there back.
        let after = place + 1 < nodes.count ? nodes[place].next.known(known) : SeriesLevel.Spread()
        let (gain, variance) = (nodes[place].gain, nodes[place].variance)
        guard !nodes[place].isAsked else {
          known = after
          nodes[place].known = known
          continue
        }
        // (I − K Z)ᵀ N (I − K Z) + Zᵀ Z / F
        let (a, b) = (1 - gain.level, gain.slope)
        known = SeriesLevel.Spread(
          level: a * a * after.level - 2 * a * b * after.both + b * b * after.slope + 1 / variance,
          both: a * after.both - b * after.slope, slope: after.slope)
        nodes[place].known = known
      }
    }

    func add(to covariances: inout [Double], count: Int) {
      for (place, node) in nodes.enumerated() where node.isAsked {
        // The covariance of the level here with the state foretold at each later node.
        var (level, slope) = (node.spread.level, node.spread.both)
        for later in place..<nodes.count {
          let other = nodes[later]
          if other.isAsked {
            // times (I − N P), its first column
            let (p, n) = (other.spread, other.known)
            let (down, across) = (n.level * p.level + n.both * p.both, n.both * p.level + n.slope * p.both)
            let value = level - (level * down + slope * across)
            covariances[node.index * count + other.index] += value
            if later > place { covariances[other.index * count + node.index] += value }
          }
          let miss = level
          (level, slope) = (level - other.gain.level * miss, slope - other.gain.slope * miss)
          (level, slope) = (
            other.next.stay * level + other.next.drift * slope,
            other.next.turn * level + other.next.keep * slope
          )
        }
      }
    }
  }
}
