/// Which computations draw or score K targets, in what order, reading what: index data, for one N and K.
///
/// Architecture says how a model factorises its distribution; a plan says which computations are run on it
/// (Sajid and Medrano 2025). A plan holds no tensor and knows no model.
///
/// The targets of a resolved plan are the positions `0..<targets`, numbered as they are drawn; ``order`` says which
/// target stands at a position. A plan gives
/// - ``instructions``: what the sampler runs;
/// - ``densityPasses``: the masked passes that give the joint density of known values, made from the instructions;
/// - ``visibility``: which values each target may read, made from the passes.
///
/// With an acyclic visibility the plan's density, the product over targets of p(y_k | context, V_k), is a
/// normalised joint density; so plans can be compared by it.
///
/// ```swift
/// let plan = try PlanTemplate.blocks(of: 2).resolve(context: 4, targets: 6)
/// let cost = try plan.cost(paths: 100)
/// print(cost.calls, plan.exactness)  // 3 calls, each of two targets that do not see each other
/// let seen = plan.visibility.direct  // which values each target reads
/// let work = cost.work(model.network.rates).total  // floating-point operations
/// ```
public struct Plan: Sendable, Hashable {
  /// No plan has more targets than this, so that asking for one cannot exhaust the memory.
  public static let maximumTargets = 1 << 20

  /// The template it was resolved from; nil for a list of steps made by hand.
  public let template: PlanTemplate?
  /// The number N of observed rows.
  public let contextRows: Int
  /// The number K of targets.
  public let targets: Int
  /// Which target stands at each position.
  public let order: Order
  /// The number of buffer rows that the plan may hold at once; nil where it may grow without bound.
  public let capacity: Int?
  /// What an executor runs, in order.
  public let instructions: [Instruction]
  /// The most slots of a buffer in use: what an executor has to reserve for each path.
  public let peakBufferRows: Int
  /// What the plan asks of a model.
  public let requirements: Requirements

  /// The most buffer rows that a target reads; of a verified plan, of those that it calls for.
  public var mostReads: Int {
    instructions.reduce(0) { most, instruction in
      guard case .call(let call) = instruction else { return most }
      return call.predict.reduce(most) { max($0, $1.readCount) }
    }
  }

  /// Checks a list of steps made by hand. A plan over no targets has no steps.
  ///
  /// Steps that mean the same instructions give equal plans.
  public init(
    context: Int, targets: Int, capacity: Int? = nil, order: Order = .random, steps: some Sequence<Step>
  ) throws(PlanError) {
    var resolver = try Resolver(targets: targets, capacity: capacity)
    for step in steps { try resolver.take(step) }
    try self.init(template: nil, context: context, order: order, resolver)
  }

  init(template: PlanTemplate?, context: Int, order: Order, _ resolver: consuming Resolver) throws(PlanError)
  {
    try check(context, "context", in: 0...Int.max)
    try order.check(targets: resolver.targets)
    self.template = template
    contextRows = context
    targets = resolver.targets
    self.order = order
    capacity = resolver.capacity
    peakBufferRows = resolver.peak
    requirements = resolver.requirements
    instructions = try resolver.finish()
  }

  /// The plan in which every read of a drawn value is a read of the context: the targets of each call are asked
  /// again with a context of exactly the values they see directly, so that nothing reaches them through rows that
  /// have read more. Verified positions are drawn one after another along their chain.
  ///
  /// It is what a set model has seen in training for any visible sets, at the price of an encoding for each
  /// different one.
  public func reencoded() throws(PlanError) -> Plan {
    var resolver = try Resolver(targets: targets, capacity: nil)
    var held = RangeSet<Int>()
    let seen = visibility.direct
    if targets > 0 { try resolver.take(.encode(with: RangeSet())) }
    for instruction in instructions {
      var rest = instruction.positions
      while let first = rest.first {
        let wanted = seen[first].all
        var end = first + 1
        while end < rest.upperBound, seen[end].all == wanted { end += 1 }
        if wanted != held {
          try resolver.take(.encode(with: wanted))
          held = wanted
        }
        try resolver.take(.predict(first..<end, reads: .none))
        rest = end..<rest.upperBound
      }
    }
    return try Plan(template: template?.strictForm, context: contextRows, order: order, resolver)
  }
}
