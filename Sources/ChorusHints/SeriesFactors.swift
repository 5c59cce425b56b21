import ChorusData

/// Rows of the Cholesky factors of what some paths have read, each made once for all of them that have read the same inputs in
/// the same order. Belongs to one thread at a time.
///
/// A factor says which inputs were read and not which values, so paths that draw their targets in one order share all of
/// it; and a value that is committed right after it was asked for has the row that was made for the question.
final class SeriesFactors {
  /// An input that is read after others.
  private struct Node {
    /// -1 for one that nothing is foretold of, which tells nothing.
    let input: Int
    /// Where the row without its last number begins: L⁻¹ r, as many numbers as there are inputs before.
    let first: Int
    /// Of the value given those before it, in units of its variance, and the last number of the row.
    let deviation: Double
  }

  private struct Place: Hashable {
    let before: Int32
    let input: Int32
  }

  let inputs: SeriesInputs
  private var nodes: [Node] = []
  private var places: [Place: Int32] = [:]
  private var numbers: [Double] = []

  /// More than paths of `SeriesPaths.most` rows need; what is read in ever new parts would take all memory.
  private static let mostNumbers = 1 << 23
  var isFull: Bool { numbers.count > Self.mostNumbers }

  init(_ inputs: SeriesInputs) { self.inputs = inputs }

  /// The law of the value at an input, in the network's units; nil where nothing is foretold of it.
  func law(_ input: Int) -> Scaling.Unit? { input >= 0 ? inputs.laws[input] : nil }

  /// An input read, or asked for, after those of the first `count` nodes of `chain`, each of which follows the one before.
  func node(_ input: Int, after chain: [Int32], count: Int) -> Int32 {
    let place = Place(before: count == 0 ? -1 : chain[count - 1], input: Int32(input))
    if let known = places[place] { return known }
    let (first, node) = (numbers.count, Int32(nodes.count))
    numbers.append(contentsOf: repeatElement(0, count: count))
    if law(input) == nil {
      nodes.append(Node(input: -1, first: first, deviation: 1))
    } else {
      // The noise of the value itself is never told by others.
      let variance = max(solve(input, chain, count, first), 1 / (1 + inputs.joint.variance(input)))
      nodes.append(Node(input: input, first: first, deviation: variance.squareRoot()))
    }
    places[place] = node
    return node
  }

  func deviation(_ node: Int32) -> Double { nodes[Int(node)].deviation }

  /// The mean of a value in units of its deviation, given L⁻¹ z of the values before it.
  func mean(_ node: Int32, _ white: [Double], count: Int) -> Double {
    let first = nodes[Int(node)].first
    return numbers.withUnsafeBufferPointer { numbers in
      var mean = 0.0
      for slot in 0..<count { mean += numbers[first + slot] * white[slot] }
      return mean
    }
  }

  /// Writes L⁻¹ r from `first` on and tells what variance is left. Four rows go side by side, since one sum waits for itself.
  private func solve(_ input: Int, _ chain: [Int32], _ count: Int, _ first: Int) -> Double {
    var variance = 1.0
    chain.withUnsafeBufferPointer { chain in
      nodes.withUnsafeBufferPointer { nodes in
        numbers.withUnsafeMutableBufferPointer { numbers in
          guard let base = numbers.baseAddress else { return }
          let solved = base + first
          func row(_ slot: Int) -> UnsafeMutablePointer<Double> { base + nodes[Int(chain[slot])].first }
          func correlation(_ slot: Int) -> Double {
            let other = nodes[Int(chain[slot])].input
            return other < 0 ? 0 : inputs.joint.correlation(input, other)
          }
          func finish(_ slot: Int, _ value: Double, from start: Int) {
            var value = value
            let own = row(slot)
            for before in start..<slot { value -= own[before] * solved[before] }
            solved[slot] = value / nodes[Int(chain[slot])].deviation
          }
          let whole = count - count % 4
          for start in stride(from: 0, to: whole, by: 4) {
            let (a, b, c, d) = (row(start), row(start + 1), row(start + 2), row(start + 3))
            var (w, x) = (correlation(start), correlation(start + 1))
            var (y, z) = (correlation(start + 2), correlation(start + 3))
            for before in 0..<start {
              let value = solved[before]
              w -= a[before] * value
              x -= b[before] * value
              y -= c[before] * value
              z -= d[before] * value
            }
            finish(start, w, from: start)
            finish(start + 1, x, from: start)
            finish(start + 2, y, from: start)
            finish(start + 3, z, from: start)
          }
          for slot in whole..<count { finish(slot, correlation(slot), from: 0) }
          for slot in 0..<count { variance -= solved[slot] * solved[slot] }
        }
      }
    }
    return variance
  }
}
