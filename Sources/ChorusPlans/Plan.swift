/// Which computations draw or score K targets, in what order, reading what: index data, for one N and K.
///
/// Architecture says how a model factorises its distribution; a plan says which computations are run on it
/// (Sajid and Medrano 2025). A plan holds no tensor and knows no model. It is the same for all paths: a
/// path's own order of the targets says which target each position stands for.
///
/// The targets of a resolved plan are the positions `0..<targets`, numbered as they are drawn. A plan gives
/// - ``calls``: what the sampler runs, one network call each;
/// - ``densityPasses``: the masked passes that give the joint density of known values;
/// - ``visibility``: which values each target may read, from which the two others are made.
///
/// With an acyclic visibility the plan's density, the product over targets of p(y_k | context, V_k), is a
/// normalised joint density; so plans can be compared by it.
public struct Plan: Sendable, Hashable {
  /// No plan has more targets than this, so that asking for one cannot exhaust the memory.
  public static let maximumTargets = 1 << 24

  /// The template it was resolved from; nil for a list of steps made by hand.
  public let template: PlanTemplate?
  /// The number N of observed rows.
  public let contextRows: Int
  /// The number of buffer rows that the plan may hold at once; nil where it may grow without bound.
  public let capacity: Int?
  /// What each target may read.
  public let visibility: Visibility

  /// The number K of targets.
  public var targets: Int { visibility.targets }

  /// The most buffer rows held at once: what an executor has to reserve for each path.
  public var peakBufferRows: Int {
    visibility.runs.reduce(0) { max($0, $1.committed - $1.merged) }
  }

  /// Checks a list of steps made by hand. A plan over no targets has no steps.
  ///
  /// Steps that mean the same calls give equal plans; ``steps`` gives them in their fused order.
  public init(context: Int, targets: Int, capacity: Int? = nil, steps: some Sequence<Step>)
    throws(PlanError)
  {
    var reader = try StepReader(targets: targets, capacity: capacity)
    for step in steps { try reader.take(step) }
    try self.init(template: nil, context: context, capacity: capacity, visibility: reader.finish())
  }

  init(
    template: PlanTemplate?, context: Int, capacity: Int?, visibility: Visibility
  ) throws(PlanError) {
    try check(context, "context", in: 0...Int.max)
    self.template = template
    self.contextRows = context
    self.capacity = capacity
    self.visibility = visibility
  }

  /// The network calls in order. Their number is S: merges and the first encoding ride with the call after
  /// them.
  public var calls: [Call] {
    var calls: [Call] = []
    calls.reserveCapacity(visibility.runs.count)
    forEachCall { calls.append($0) }
    return calls
  }

  /// Visits the calls without making a list of them.
  func forEachCall<Failure>(_ body: (Call) throws(Failure) -> Void) throws(Failure) {
    var merged = 0
    var committed = 0
    var encodes = true
    for run in visibility.runs {
      let merge = merged..<run.merged
      if !merge.isEmpty {
        encodes = true
        committed = run.merged
      }
      try body(
        Call(
          encodes: encodes, merge: merge, commit: committed..<run.committed, predict: run.positions,
          limit: run.limit, merged: run.merged, buffered: run.committed - run.merged))
      merged = run.merged
      committed = run.committed
      encodes = false
    }
  }

  /// The steps, as few as give these calls.
  public var steps: [Step] {
    var steps: [Step] = []
    forEachCall { call in
      if steps.isEmpty { steps.append(.encode) }
      if !call.merge.isEmpty { steps.append(.merge) }
      if !call.commit.isEmpty {
        steps.append(.commit(call.commit, reads: .first(call.buffered - call.commit.count)))
      }
      steps.append(.predict(call.predict, reads: .first(call.limit)))
    }
    return steps
  }

  /// The masked passes that score given values of all targets: one more than there are merges.
  ///
  /// Row k of a pass reads exactly what the sampler's row k read, so the two give the same density.
  public var densityPasses: [Pass] {
    var passes: [Pass] = []
    let runs = visibility.runs[...]
    var start = runs.startIndex
    while start < runs.endIndex {
      let merged = runs[start].merged
      let end = runs[start...].firstIndex { $0.merged != merged } ?? runs.endIndex
      passes.append(
        Pass(
          merged: 0..<merged, buffered: merged..<runs[end - 1].committed,
          queries: runs[start..<end].map { Pass.Query(positions: $0.positions, limit: $0.limit) }))
      start = end
    }
    return passes
  }
}

extension Plan.Reads {
  /// The first `count` rows, spelled `.none` where there are none.
  static func first(_ count: Int) -> Self { count == 0 ? .none : .prefix(count) }
}
