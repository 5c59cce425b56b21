/// A plan's rule, before the number of observed rows and of targets is known.
///
/// Its text form is what it prints, what ``init(parsing:)`` reads and what it is encoded as.
///
/// ```swift
/// let pairs = PlanTemplate.blocks(of: 2)  // two targets a call, independent within it
/// let same = try PlanTemplate(parsing: pairs.description)
/// let inOrder = PlanTemplate.sequential.ordered(.leftToRight)
/// ```
public struct PlanTemplate: Sendable, Hashable {
  enum Rule: Sendable, Hashable {
    case independent
    case sequential
    case reencode
    case blocks(size: Int)
    case coarseToFine(arity: Int, anchors: Int)
    case lineage(arity: Int, anchors: Int)
    /// `renewed` is 0 where nothing is encoded anew.
    case window(sinks: Int, span: Int, renewed: Int)
    case logSparse
    case randomSparse(reads: Int)
    case periods(length: Int)
    case speculative(draft: Int)
    case coarseToFineVerified(arity: Int, anchors: Int)
    case trusted(millinats: Int)
    case auto
  }

  /// How the targets are ordered.
  public enum Ordering: String, Sendable, Hashable, CaseIterable {
    /// Each path has its own random permutation.
    case random
    /// As the caller gives them.
    case given
    /// By their inputs.
    case leftToRight = "left-to-right"
    /// As ``PlanTemplate/coarseToFine`` draws them, with r = 2.
    case coarseToFine = "coarse-to-fine"
  }

  let rule: Rule
  var capacity: Int?
  /// How many of the targets drawn before one reads, the nearest; nil for all.
  var reads: Int?
  var ordering = Ordering.random
  var isStrict = false

  init(_ rule: Rule, capacity: Int? = nil) {
    self.rule = rule
    self.capacity = capacity
  }

  /// All targets in one call, each from the context alone: marginals, without any dependence.
  public static let independent = PlanTemplate(.independent)

  /// One target a call, each reading all earlier ones in a buffer that grows to K - 1 rows (the causal
  /// autoregressive buffer of Hassan et al. 2026).
  public static let sequential = PlanTemplate(.sequential)

  /// One target a call; after `capacity` targets they all join the context, which is encoded anew. For more
  /// targets than the buffer had rows in training.
  public static func sequential(capacity: Int) -> PlanTemplate {
    PlanTemplate(.sequential, capacity: capacity)
  }

  /// One target a call; each value joins the context at once (AR-CNP, Bruinsma et al. 2023). Runs the same
  /// calls as a buffer of capacity 1.
  public static let reencode = PlanTemplate(.reencode)

  /// `size` targets a call, independent given the earlier blocks, then committed one after another.
  ///
  /// - Parameter capacity: merge into the context as soon as the buffer would hold so many rows.
  public static func blocks(of size: Int, capacity: Int? = nil) -> PlanTemplate {
    PlanTemplate(.blocks(size: size), capacity: capacity)
  }

  /// ``coarseToFine(r:anchors:capacity:)`` with r = 4.
  public static let coarseToFine = coarseToFine(r: 4)

  /// Anchors one after another, then levels of ever smaller gaps: r - 1 targets into each gap, in r - 1 calls that
  /// take all gaps side by side, each target reading everything from earlier calls. About r log_r K calls.
  ///
  /// Along one input the gaps lie between sorted targets; with more inputs the targets are taken farthest first, as
  /// many a call. Every read is a prefix of the buffer, so a model trained on shuffled targets has seen it.
  public static func coarseToFine(r arity: Int, anchors: Int = 1, capacity: Int? = nil) -> PlanTemplate {
    PlanTemplate(.coarseToFine(arity: arity, anchors: anchors), capacity: capacity)
  }

  /// The calls of ``coarseToFine(r:anchors:capacity:)``, each target reading the `reads` nearest of those drawn in earlier
  /// calls: along one input by that, else by distance. The time of a long horizon is then proportional to it.
  public static func coarseToFine(r arity: Int, anchors: Int = 1, reads: Int) -> PlanTemplate {
    var template = PlanTemplate(.coarseToFine(arity: arity, anchors: anchors))
    template.reads = reads
    return template
  }

  /// The calls of ``coarseToFine(r:anchors:capacity:)``, each target reading only what a deep temporal model passes on
  /// to it: the end points of the gap around it at every coarser level and its earlier siblings.
  public static func lineage(r arity: Int, anchors: Int = 1) -> PlanTemplate {
    PlanTemplate(.lineage(arity: arity, anchors: anchors))
  }

  /// One target a call, reading the first `sinks` and the last `span` of those before it (StreamingLLM, Xiao et al.
  /// 2023); other rows are evicted. A buffer takes sinks + span slots and one for the row that is just committed,
  /// which reads all of them.
  public static func window(sinks: Int, span: Int) -> PlanTemplate {
    PlanTemplate(.window(sinks: sinks, span: span, renewed: 0))
  }

  /// Of a text: tokens read everything in a window that begins anew with every `every` tokens, from the first `sinks` tokens of the text
  /// and the last `span` before it, which are encoded again then. Nothing of what has left the window remains in what it holds, and the
  /// text may be longer than training has shown.
  public static func window(sinks: Int, span: Int, renewed every: Int) -> PlanTemplate {
    PlanTemplate(.window(sinks: sinks, span: span, renewed: every))
  }

  /// The window of ``window(sinks:span:renewed:)``; nil for other plans.
  public var renewal: (sinks: Int, span: Int, every: Int)? {
    guard case .window(let sinks, let span, let every) = rule, every > 0 else { return nil }
    return (sinks, span, every)
  }

  /// One target a call, reading the targets 1, 2, 4, 8, ... draws before it (Li et al. 2019).
  public static let logSparse = PlanTemplate(.logSparse)

  /// One target a call, reading `reads` of those before it, picked once for all paths by a fixed pseudo-random rule:
  /// the baseline that a thought-out sparse plan has to beat.
  public static func randomSparse(reads: Int) -> PlanTemplate { PlanTemplate(.randomSparse(reads: reads)) }

  /// One target a call, reading what a deep temporal model passes on in the order of its steps: the values since the period of
  /// `length` began that the last value belongs to, and of every period before it the last value.
  public static func periods(r length: Int) -> PlanTemplate { PlanTemplate(.periods(length: length)) }

  /// The distribution of ``sequential`` by rounds of `draft` drafts, verified along the chain.
  public static func speculative(draft: Int, capacity: Int? = nil) -> PlanTemplate {
    PlanTemplate(.speculative(draft: draft), capacity: capacity)
  }

  /// ``coarseToFineVerified(r:anchors:capacity:)`` with r = 2.
  public static let coarseToFineVerified = coarseToFineVerified(r: 2)

  /// The order of ``coarseToFine(r:anchors:capacity:)``, but each call's targets are only a draft, verified along the
  /// chain: the exact chain in coarse-to-fine order. Targets of one level depend little on each other given the
  /// coarser ones, so few drafts are refused.
  public static func coarseToFineVerified(
    r arity: Int, anchors: Int = 1, capacity: Int? = nil
  ) -> PlanTemplate {
    PlanTemplate(.coarseToFineVerified(arity: arity, anchors: anchors), capacity: capacity)
  }

  /// One target a call, in a buffer that is trusted for as long as it has proved right on the path: whenever as many values
  /// were drawn as are trusted, they join the context, which is encoded anew, and the law of the next target is compared
  /// with the one that the buffer would have given. Closer than `millinats` thousandths of a nat (KL divergence), twice as
  /// many are trusted next; else half as many. The first is trusted alone.
  ///
  /// - Parameter capacity: the most values that are trusted at once.
  public static func trusted(millinats: Int, capacity: Int? = nil) -> PlanTemplate {
    PlanTemplate(.trusted(millinats: millinats), capacity: capacity)
  }

  /// ``sequential`` for no more targets than the model's trained buffer has rows, else `coarse-to-fine(r:4,reads:C)` with
  /// the trained C, or `coarse-to-fine(r:4,capacity:C)` where memories read no part of a buffer. A model that merges nothing
  /// gets ``sequential``, in the order given where it takes no other. It resolves with a capability only.
  public static let auto = PlanTemplate(.auto)

  /// The same rule with another order of the targets. A rule that has an order of its own keeps it.
  public func ordered(_ ordering: Ordering) -> PlanTemplate {
    var template = self
    if template.arguments.takesOrder { template.ordering = ordering }
    return template
  }

  /// The same direct visibility with every read as context; see ``Plan/reencoded()``. Nil for verified plans, whose
  /// verification reads a buffer, and for `auto`.
  public var strictForm: PlanTemplate? {
    guard arguments.takesStrict else { return nil }
    var template = self
    template.isStrict = true
    template.capacity = nil
    return template
  }

  /// Whether every read is a read of the context.
  public var readsContextOnly: Bool { isStrict || rule == .reencode || rule == .independent }
}
