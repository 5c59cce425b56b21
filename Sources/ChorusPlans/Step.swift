extension Plan {
  /// Which buffer rows a row reads besides the whole context.
  ///
  /// A selector is resolved against the rows that are in the buffer when its step is taken. Training with a causal
  /// buffer shows a network the context and a *prefix* of the buffer: `.none`, `.all` and `.first` of a buffer from
  /// which nothing was evicted. The others are masks that training has not shown.
  public enum Selector: Sendable, Hashable {
    /// The context only.
    case none
    /// Every row in the buffer.
    case all
    /// The rows committed first, at most so many.
    case first(Int)
    /// The rows committed last, at most so many.
    case last(Int)
    /// The rows 1, 2, 4, 8, ... commits back (LogSparse, Li et al. 2019).
    case lags
    /// The rows of these positions. One that stands in the context is read there.
    case ids(RangeSet<Int>)
    /// What any of these selects.
    indirect case union([Selector])
    /// One selector for each position of the step, in order.
    indirect case each([Selector])
  }

  /// Which rows of the same commit a committed row reads, itself always included.
  public enum Internal: Sendable, Hashable {
    /// The earlier ones.
    case causal
    /// All of them.
    case dense
    /// No other.
    case isolated
  }

  /// One operation of a plan. Positions number the targets in the order in which they are drawn.
  public enum Step: Sendable, Hashable {
    /// Makes the context of the observed rows and the values at these positions, all reading each other, and empties
    /// the buffer. The first step of a plan, there with no positions.
    case encode(with: RangeSet<Int>)
    /// Moves everything drawn into the context: `encode(with:)` of all drawn positions.
    case merge
    /// Draws (or scores) some targets side by side. Their rows read the context and part of the buffer; nothing reads
    /// them, so they are independent given what they read.
    case predict(Range<Int>, reads: Selector)
    /// Appends drawn targets to the buffer. Each row reads the context, the rows that `reads` selects among those
    /// before the step, and itself.
    case commit(Range<Int>, internal: Internal = .causal, reads: Selector = .all)
    /// Takes rows out of the buffer; later commits take their slots.
    case evict(Selector)
    /// Draws these positions from the chain of the model's conditionals, each reading all rows before it, by rounds:
    /// up to `draft` of the next ones are drafted side by side, then verified along the chain. A prefix of them is
    /// accepted and the first refused one is drawn anew from its residual, so the joint distribution is the chain's.
    /// The step commits what it draws.
    case verify(Range<Int>, draft: Int)
    /// Draws these positions, the last ones, one after another. Values join the context and are committed by turns that the
    /// draws decide (``PlanTemplate/trusted(millinats:capacity:)``).
    case trust(Range<Int>, nats: Double)
  }
}
