extension Plan {
  /// Which buffer rows a row reads besides the whole context.
  ///
  /// Training with a causal buffer shows a network the context and a *prefix* of the buffer, so these
  /// selectors stay inside what was trained.
  public enum Reads: Sendable, Hashable {
    /// The context only.
    case none
    /// The first rows of the buffer, counted since the last merge.
    case prefix(Int)

    /// How many buffer rows are read.
    public var count: Int {
      switch self {
      case .none: 0
      case .prefix(let count): count
      }
    }
  }

  /// One operation of a plan. Positions number the targets in the order in which they are drawn; which target
  /// has which position is a permutation that each path has for itself, and no part of the plan.
  public enum Step: Sendable, Hashable {
    /// Reads the observed rows, each of them reading all others. Always the first step.
    case encode
    /// Draws (or scores) some targets side by side. Their rows read the context and part of the buffer;
    /// nothing reads them, so they are independent given what they read.
    case predict(Range<Int>, reads: Reads)
    /// Appends drawn targets to the buffer. Each row reads the context, all earlier buffer rows and itself.
    case commit(Range<Int>, reads: Reads)
    /// Moves every drawn target into the context, whether buffered or not, encodes the longer context anew
    /// and empties the buffer.
    case merge
  }

  /// One network call: what a prefix-reading executor runs in one go.
  ///
  /// The rows are `[commit | predict]`: the values just drawn are appended to the buffer by the same call
  /// that asks for the next targets.
  public struct Call: Sendable, Hashable {
    /// Whether the context is encoded before the call: at the first call and after a merge.
    public let encodes: Bool
    /// The positions that join the context before the call; empty when nothing is merged.
    public let merge: Range<Int>
    /// The positions whose values are appended to the buffer.
    public let commit: Range<Int>
    /// The positions that are drawn.
    public let predict: Range<Int>
    /// How many buffer rows (since the last merge, those of `commit` included) each drawn row reads.
    public let limit: Int
    /// How many positions the context holds during the call, besides the observed rows: `0..<merged`.
    public let merged: Int
    /// How many rows the buffer holds once `commit` is appended: positions `merged..<(merged + buffered)`.
    public let buffered: Int
  }

  /// One masked pass of the density: `[context + merged | buffered | queries]`, for given target values.
  public struct Pass: Sendable, Hashable {
    /// Positions drawn side by side, all reading the first `limit` buffer rows.
    public struct Query: Sendable, Hashable {
      public let positions: Range<Int>
      public let limit: Int
    }

    /// The positions in the context, besides the observed rows.
    public let merged: Range<Int>
    /// The positions that are buffer rows, each reading the context, the earlier ones and itself.
    public let buffered: Range<Int>
    /// The scored rows in position order.
    public let queries: [Query]

    /// All scored positions.
    public var positions: Range<Int> {
      guard let first = queries.first, let last = queries.last else { return 0..<0 }
      return first.positions.lowerBound..<last.positions.upperBound
    }

    /// The prefix limit of each scored row, in position order.
    public var limits: [Int] {
      queries.flatMap { query in query.positions.map { _ in query.limit } }
    }
  }
}
