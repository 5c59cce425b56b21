import ChorusData
import ChorusTensors

/// Rows of a data set to condition on, and rows held out to compare with what is predicted for them.
public struct Split: Sendable, Hashable {
  public let context: [Int]
  public let held: [Int]
  /// Those of the held-out rows whose values are looked at together.
  public let joint: [Int]

  init(context: [Int], held: [Int], together: Int, _ stream: inout RandomStream) {
    self.context = context
    self.held = held
    let some = stream.permutation(held.count).prefix(together).sorted()
    joint = held.count <= together ? held : some.map { held[$0] }
  }

  private static func stream(_ seed: UInt64, _ rows: Int, _ repetition: Int) -> RandomStream {
    RandomStream(seed: seed, .orders, UInt64(rows), 0x686F_6C64, UInt64(repetition))
  }

  /// A random share of the rows held out; nil where that leaves none, or fewer than two to learn from.
  public static func random(
    _ rows: Int, share: Double, together: Int, repetition: Int = 0, seed: UInt64
  ) -> Split? {
    let count = Int((Double(rows) * share).rounded())
    guard count >= 1, rows - count >= 2 else { return nil }
    var stream = stream(seed, rows, repetition)
    let order = stream.permutation(rows)
    return Split(
      context: order[count...].sorted(), held: order[..<count].sorted(), together: together, &stream)
  }

  /// Each of `parts` parts held out in turn, rows in random order; as many as there are rows at most.
  public static func folds(_ rows: Int, _ parts: Int, together: Int, seed: UInt64) -> [Split] {
    var stream = stream(seed, rows, 0)
    let order = stream.permutation(rows)
    let parts = min(parts, rows)
    return (0..<parts).map { part in
      let held = rows * part / parts..<rows * (part + 1) / parts
      return Split(
        context: (Array(order[..<held.lowerBound]) + order[held.upperBound...]).sorted(),
        held: order[held].sorted(), together: together, &stream)
    }
  }

  /// All rows of each group held out in turn; nil for fewer than two groups, or where one leaves fewer than two rows.
  public static func folds(groups: [String], together: Int, seed: UInt64) -> [Split]? {
    let names = Set(groups).sorted()
    guard names.count > 1 else { return nil }
    var stream = stream(seed, groups.count, 0)
    var splits: [Split] = []
    for name in names {
      let (held, context) = (
        groups.indices.filter { groups[$0] == name }, groups.indices.filter { groups[$0] != name }
      )
      guard context.count >= 2 else { return nil }
      splits.append(Split(context: context, held: held, together: together, &stream))
    }
    return splits
  }

  /// Rows chosen elsewhere; nil for none held out, or for fewer than two to learn from.
  public static func given(
    context: [Int], held: [Int], together: Int, repetition: Int = 0, seed: UInt64
  ) -> Split? {
    guard !held.isEmpty, context.count >= 2 else { return nil }
    var stream = stream(seed, held.count, repetition)
    return Split(context: context, held: held, together: together, &stream)
  }

  /// The last `count` rows by the first input held out, all before them the context. Each repetition forgets as many
  /// rows more, so that no two hold out the same (forecasts from a rolling origin). Nil where fewer than two rows are left.
  public static func last(
    _ data: Dataset, count: Int, together: Int, repetition: Int = 0, seed: UInt64
  ) -> Split? {
    let order = data.byFirstInput
    let (end, overflow) = (repetition + 1).multipliedReportingOverflow(by: count)
    guard count >= 1, !overflow, end <= order.count - 2 else { return nil }
    let start = order.count - end
    var stream = stream(seed, data.count, repetition)
    return Split(
      context: Array(order[..<start]), held: Array(order[start..<start + count]), together: together,
      &stream)
  }

  /// Windows of `context` rows and the `held` rows after them, by the first input. Which ones is chosen by the seed; no
  /// two hold out the same row. Fewer than asked for where the data have no more.
  public static func windows(
    _ data: Dataset, context: Int, held: Int, count: Int, seed: UInt64
  ) -> [Split] {
    guard context >= 2, held >= 1, count >= 1, data.count - context >= held else { return [] }
    let order = data.byFirstInput
    var stream = stream(seed, data.count, 0)
    let spare = (data.count - context) % held
    let first = context + (spare > 0 ? stream.below(spare + 1) : 0)
    let blocks = (data.count - first) / held
    let chosen = stream.permutation(blocks).prefix(count).sorted()
    return chosen.map { block in
      let start = first + block * held
      return Split(
        context: Array(order[start - context..<start]), held: Array(order[start..<start + held]),
        together: held, &stream)
    }
  }
}

extension Dataset {
  /// The rows by their first input, ties in the order given.
  fileprivate var byFirstInput: [Int] {
    let d = dimensions
    return (0..<count).sorted { x[$0 * d] == x[$1 * d] ? $0 < $1 : x[$0 * d] < x[$1 * d] }
  }
}
