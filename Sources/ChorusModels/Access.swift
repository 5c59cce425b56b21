import ChorusPlans
import ChorusTensors

/// What every row of a sequence reads, itself included: the access pattern of a plan, put on a network each of whose rows predicts
/// the next value.
///
/// The row that predicts a value reads what the plan shows that value, itself, and the row before the first value.
public struct Access: Sendable {
  /// Of every row; nil where it reads everything before it.
  public let reads: [Reads?]
  /// Pairs of a reading and a read row, per block and head.
  public let pairs: Int
  /// The rows that each row reads; nil where all read everything before them.
  let slots: [RangeSet<Int>]?

  /// Every row reads all before it.
  public init(tokens count: Int) {
    reads = [Reads?](repeating: nil, count: count)
    pairs = count * (count + 1) / 2
    slots = nil
  }

  /// - Parameters:
  ///   - count: rows. Each is the token of a value and predicts the next one.
  ///   - start: whether the first row stands for no value and predicts the first one.
  /// - Throws: `AccessError` for a plan that takes targets in another order than theirs, drafts or re-encodes; `PlanError`.
  public init(_ template: PlanTemplate, tokens count: Int, start: Bool = false) throws {
    let lead = start ? 1 : 0
    let values = count + 1 - lead
    let plan = try template.ordered(.given).resolve(context: 0, targets: values)
    guard plan.order == .fixed(Array(0..<values)) else {
      throw AccessError("'\(template)' takes its targets in another order than they come one after another")
    }
    guard !plan.requirements.rewind else {
      throw AccessError("'\(template)' drafts and verifies, which is no way to read")
    }
    let seen = plan.visibility.direct
    guard seen.allSatisfy(\.context.isEmpty) else {
      throw AccessError("'\(template)' re-encodes what it has read, which is not known for sequences")
    }
    var (reads, slots, pairs): ([Reads?], [RangeSet<Int>], Int) = ([], [], 0)
    for row in 0..<count {
      var own = RangeSet<Int>()
      for range in seen[row + 1 - lead].buffer.ranges {
        own.insert(contentsOf: range.lowerBound + lead..<range.upperBound + lead)
      }
      own.insert(contentsOf: row..<row + 1)
      // The row before the first value says none: a plan has nothing to leave out there.
      if start { own.insert(contentsOf: 0..<1) }
      pairs += own.ranges.reduce(0) { $0 + $1.count }
      let read = Reads(own)
      reads.append(read == .prefix(row + 1) ? nil : read)
      slots.append(own)
    }
    (self.reads, self.slots, self.pairs) = (reads, slots, pairs)
  }

  /// The rows that are read, in the order in which some rows read them, and who reads which: rows after each other that read
  /// what those before them do and more share a list.
  ///
  /// - Parameter rows: those that read; queries of the blocks count from the first of them.
  func blocks(_ rows: Range<Int>) -> (keys: [Int32], blocks: [VisibleBlock])? {
    guard let slots else { return nil }
    var (keys, blocks): ([Int32], [VisibleBlock]) = ([], [])
    var (list, limits): ([Int32], [Int32]) = ([], [])
    func close(at row: Int) {
      guard !limits.isEmpty else { return }
      let end = row - rows.lowerBound
      blocks.append(
        VisibleBlock(
          queries: end - limits.count..<end, shared: 0..<0, own: keys.count..<keys.count + list.count,
          limits: limits))
      keys += list
      (list, limits) = ([], [])
    }
    for row in rows {
      let own = slots[row].ranges.flatMap { $0.map(Int32.init) }
      if !own.starts(with: list) { close(at: row) }
      list = own
      limits.append(Int32(own.count))
    }
    close(at: rows.upperBound)
    return (keys, blocks)
  }
}

/// Why a plan is no access pattern of a sequence.
public struct AccessError: Error, Sendable, Hashable, CustomStringConvertible {
  private let reason: String
  init(_ reason: String) { self.reason = reason }
  public var description: String { reason + "; sequential, window, periods and log-sparse are known" }
}
