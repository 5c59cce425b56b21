extension Plan {
  /// A row of a network call: which target it stands for and which buffer rows it reads besides the whole context.
  public struct Row: Sendable, Hashable {
    /// The target's position in the order of the draws.
    public let position: Int
    /// Where a committed row is kept in its path's buffer; -1 for a row that asks.
    public let slot: Int
    /// The slots read. A committed row's include its own.
    public let reads: RangeSet<Int>
    /// How many buffer rows are read.
    public let readCount: Int
    private let isPrefix: Bool

    public init(position: Int, slot: Int = -1, reads: RangeSet<Int>) {
      self.init(position: position, slot: slot, Reads(reads))
    }

    init(position: Int, slot: Int = -1, _ reads: Reads) {
      self.position = position
      self.slot = slot
      self.reads = reads.slots
      readCount = reads.count
      isPrefix = reads.isPrefix
    }

    /// The n for which exactly the slots `0..<n` are read: the only reads of a buffer that training shows. Nil for
    /// any other set.
    public var prefix: Int? { isPrefix ? readCount : nil }

    /// How many separate ranges the slots read fall into.
    var ranges: Int { isPrefix ? min(1, readCount) : reads.ranges.count }

    /// One more than the last slot read.
    var limit: Int { isPrefix ? readCount : reads.ranges.last?.upperBound ?? 0 }
  }

  /// Slots read, with what is asked of them for every row: a set of ranges is slow to ask.
  struct Reads {
    let slots: RangeSet<Int>
    let count: Int
    let isPrefix: Bool

    static let none = Reads(prefix: 0)

    init(prefix count: Int) {
      slots = count > 0 ? RangeSet(0..<count) : RangeSet()
      self.count = count
      isPrefix = true
    }

    init(_ slots: RangeSet<Int>) {
      self.slots = slots
      count = slots.elements
      isPrefix = slots.ranges.count <= 1 && (slots.ranges.first?.lowerBound ?? 0) == 0
    }
  }

  /// The first slots. Neighbouring rows read the same prefix, so they share its memory.
  struct Prefixes {
    private var last = Reads.none

    mutating func callAsFunction(_ count: Int) -> Reads {
      if last.count != count { last = Reads(prefix: count) }
      return last
    }
  }

  /// One network call. Its rows are `[commit | predict]`: the values just drawn go into the buffer by the same call
  /// that asks for the next targets.
  public struct Call: Sendable, Hashable {
    /// Whether the context is encoded before the call, which then begins with an empty buffer.
    public let encodes: Bool
    /// The positions whose values are context rows during the call, besides the observed ones.
    public let context: RangeSet<Int>
    /// The rows appended to the buffer. One may read another of the same call, which is then in its `reads`.
    public let commit: [Row]
    /// The rows that ask for a distribution.
    public let predict: [Row]

    /// The positions drawn, consecutive ones.
    public var positions: Range<Int> {
      guard let first = predict.first, let last = predict.last else { return 0..<0 }
      return first.position..<last.position + 1
    }
  }

  /// Positions drawn from the chain by rounds of draft and verification.
  ///
  /// With t rows in the buffer and g = min(draft, positions left), a round of g = 1 is one call: it commits what is
  /// pending and draws. Any other round is two: the first commits what is pending and drafts g positions, all reading
  /// the t rows; the second commits the first g - 1 drafts, each reading the rows before it and itself, and asks for
  /// the conditionals of drafts 2...g, each reading the rows before it. Rows of refused drafts are taken back. The
  /// last accepted or corrected row of a round is pending: it is committed by the next call, in its place in the
  /// chain. After the last round it is the first row of the next instruction's commits, if there is one.
  public struct Verification: Sendable, Hashable {
    /// The positions drawn. Position `positions.lowerBound + i` is kept in slot `buffered + i`.
    public let positions: Range<Int>
    /// The most positions drafted side by side.
    public let draft: Int
    /// Whether the context is encoded before the first round, which then begins with an empty buffer.
    public let encodes: Bool
    /// The positions whose values are context rows, besides the observed ones.
    public let context: RangeSet<Int>
    /// The rows that the first round commits.
    public let pending: [Row]
    /// The rows in the buffer in the first round, those pending included: slots `0..<buffered`.
    public let buffered: Int
  }

  /// Positions drawn one after another from a buffer that is trusted for as long as it has proved right.
  ///
  /// With s values trusted, at first 1, a round draws s positions: the first reads the context alone, each call after it
  /// commits the value before and reads all of the round. If positions are left, one more call commits the last value and
  /// asks for the next position; then all values drawn join the context, which is encoded anew, and the position is asked
  /// for again, and drawn. If the law from the context is closer to the other than `nats`, the next round has 2s positions,
  /// else s/2, within 1...most.
  public struct Trust: Sendable, Hashable {
    /// The positions drawn, to the last of the plan.
    public let positions: Range<Int>
    /// The most positions of a round.
    public let most: Int
    /// The KL divergence of the law of the context encoded anew from the buffer's, in nats, below which it is trusted.
    public let nats: Double
    /// The positions whose values are context rows in the first round, besides the observed ones.
    public let context: RangeSet<Int>

    /// How many positions come after a round of `count`.
    public func next(after count: Int, trusted: Bool) -> Int {
      min(max(trusted ? 2 * count : count / 2, 1), most)
    }
  }

  /// What an executor runs at a time.
  public enum Instruction: Sendable, Hashable {
    case call(Call)
    case verify(Verification)
    case trust(Trust)

    /// Whether the context is encoded before it.
    public var encodes: Bool {
      switch self {
      case .call(let call): call.encodes
      case .verify(let verification): verification.encodes
      case .trust: true
      }
    }

    /// The positions in the context during it, besides the observed rows.
    public var context: RangeSet<Int> {
      switch self {
      case .call(let call): call.context
      case .verify(let verification): verification.context
      case .trust(let trust): trust.context
      }
    }

    /// The rows committed by it, or by its first round.
    public var commit: [Row] {
      switch self {
      case .call(let call): call.commit
      case .verify(let verification): verification.pending
      case .trust: []
      }
    }

    /// The positions it draws.
    public var positions: Range<Int> {
      switch self {
      case .call(let call): call.positions
      case .verify(let verification): verification.positions
      case .trust(let trust): trust.positions
      }
    }
  }

  /// One masked pass of the density, for given values of the targets: `[context | buffered | queries]`.
  public struct Pass: Sendable, Hashable {
    /// The positions in the context, besides the observed rows.
    public let context: RangeSet<Int>
    /// The rows with values, in slots `0..<buffered.count` of the pass: one for each commit, evicted or not.
    public let buffered: [Row]
    /// The scored rows in position order; their reads are slots of the pass.
    public let queries: [Row]
  }
}

extension RangeSet<Int> {
  /// How many integers are in the set.
  var elements: Int { ranges.reduce(0) { $0 + $1.count } }

  /// The integers below `count`.
  static func prefix(_ count: Int) -> Self { count > 0 ? RangeSet(0..<count) : RangeSet() }

  /// The integers in the set, ascending.
  var integers: some Sequence<Int> { ranges.lazy.flatMap { $0 } }
}
