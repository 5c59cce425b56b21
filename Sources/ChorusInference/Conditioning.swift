import ChorusTensors
import Foundation

/// Paths drawn in parts until enough of them meet conditions; those that meet them may count for more or less than others.
///
/// Kept paths have exactly the law of the paths given the conditions. Where they have weights, they are drawn from in proportion to
/// these (sampling and resampling, Rubin 1987), and how many equal paths they are worth is the effective sample size,
/// (Σw)²/Σw² (Kong 1992).
struct Conditioning {
  /// Draws for each path asked for, after which no more are tried; and at least so many.
  private static let (drawsAPath, leastDraws) = (100, 10_000)
  /// Fewer paths that meet the conditions than this say nothing.
  static let fewestKept = 20

  let count: Int
  private let most: Int
  private(set) var drawn = 0
  private var kept: [[Double]] = []
  private var logWeights: [Double] = []

  init(_ count: Int) {
    self.count = count
    most = max(Self.drawsAPath * count, Self.leastDraws)
  }

  /// How many equal paths those kept are worth.
  var effective: Double {
    guard let top = logWeights.max(), top > -.infinity else { return 0 }
    let weights = logWeights.map { exp($0 - top) }
    let (sum, squares) = weights.reduce((0.0, 0.0)) { ($0.0 + $1, $0.1 + $1 * $1) }
    return sum * sum / squares
  }

  /// How many paths to draw next; nil where no more are needed, or it is time to give up.
  func next() -> Int? {
    guard drawn > 0 else { return min(max(count, 64), most) }
    let found = effective
    guard found < Double(count), drawn < most else { return nil }
    // As many as are likely to be enough, and no more than ten times as many as before.
    let share = found / Double(drawn)
    let wanted = 1.2 * (Double(count) - found) / max(share, 0.1 / Double(drawn))
    return min(max(64, Int(min(wanted, 10 * Double(drawn)))), most - drawn)
  }

  /// Takes in `number` drawn paths, of which those that `holds` is true of are kept.
  ///
  /// - Parameter logWeights: of each path; nil where all count alike.
  mutating func add(_ paths: [[Double]], logWeights own: [Double]? = nil, holds: ([Double]) -> Bool) {
    drawn += paths.count
    for (index, path) in paths.enumerated() where holds(path) {
      kept.append(path)
      logWeights.append(own?[index] ?? 0)
    }
  }

  /// The paths, `count` at most, and how they were come by.
  ///
  /// - Throws: `InferenceError.input` where too few meet the conditions to say anything.
  func result(seed: UInt64) throws(InferenceError) -> (paths: [[Double]], note: Note) {
    let found = effective
    guard found >= Double(min(count, Self.fewestKept)) else {
      let worth =
        kept.count > Int(found.rounded()) ? ", which are worth \(Int(found.rounded())) equal ones" : ""
      throw .input(
        "the conditions hold for \(kept.count) of \(drawn) paths drawn\(worth), too few to say anything; give weaker ones, or pin a"
          + " value by =")
    }
    guard let first = logWeights.first, logWeights.contains(where: { $0 != first }) else {
      let paths = Array(kept.prefix(count))
      return (paths, .conditioned(kept: paths.count, found: kept.count, drawn: drawn))
    }
    return (resampled(seed: seed), .weighed(effective: Int(found.rounded()), drawn: drawn))
  }

  /// Paths in proportion to their weights, evenly spaced along their sum from a random start (Carpenter et al. 1999), in random order.
  private func resampled(seed: UInt64) -> [[Double]] {
    let top = logWeights.max() ?? 0
    let weights = logWeights.map { exp($0 - top) }
    let step = weights.reduce(0, +) / Double(count)
    var stream = RandomStream(seed: seed, .evaluation, UInt64(count))
    let start = stream.uniform()
    var (paths, place, sum) = ([[Double]](), 0, weights[0])
    for index in 0..<count {
      let level = (Double(index) + start) * step
      while sum < level, place < weights.count - 1 {
        place += 1
        sum += weights[place]
      }
      paths.append(kept[place])
    }
    for index in paths.indices.dropFirst() { paths.swapAt(index, stream.below(index + 1)) }
    return paths
  }
}
