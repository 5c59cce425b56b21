extension PlanTemplate {
  /// The index data for `context` observed rows and `targets` targets.
  ///
  /// - Parameters:
  ///   - geometry: where the targets lie, for plans and orders that go by it; without it they count as equally spaced
  ///     along a line in the order given.
  ///   - capability: what the model can do; nil where anything goes. `auto` needs it.
  ///   - whenUnsupported: what becomes of a plan that asks for more.
  /// - Returns: a plan whose template is the one that `auto` stands for, and the strict form where it was re-encoded.
  public func resolve(
    context: Int, targets: Int, geometry: Plan.Geometry? = nil, capability: Plan.Capability? = nil,
    whenUnsupported: Plan.WhenUnsupported = .refuse
  ) throws(PlanError) -> Plan {
    try check(targets, "targets", in: 0...Plan.maximumTargets)
    if let geometry, geometry.targets != targets {
      throw .geometry("the inputs are those of \(geometry.targets) targets, not of \(targets)")
    }
    if rule == .auto {
      return try chosen(targets: targets, capability: capability).resolve(
        context: context, targets: targets, geometry: geometry, capability: capability,
        whenUnsupported: whenUnsupported)
    }
    var builder = try Builder(
      resolver: Resolver(targets: targets, capacity: rule == .reencode ? 1 : capacity))
    if targets > 0 { try builder.resolver.take(.encode(with: RangeSet())) }
    let hierarchy = try build(&builder, targets: targets, geometry)
    let plan = try Plan(
      template: self, context: context, order: order(targets, hierarchy, geometry), builder.resolver)
    let resolved = isStrict ? try plan.reencoded() : plan
    guard let capability, let need = resolved.missing(from: capability) else { return resolved }
    guard let strict = try? resolved.reencoded(), strict.missing(from: capability) == nil else {
      throw .unsupported(plan: description, need: need, instead: .sequential(for: capability))
    }
    if whenUnsupported == .reencode { return strict }
    throw .unsupported(plan: description, need: need, instead: strictForm ?? .reencode)
  }

  /// One target a call in an order that a model of this capability can take: the plan that every model runs.
  private static func sequential(for capability: Plan.Capability) -> PlanTemplate {
    capability.inOrder ? .sequential.ordered(.given) : .sequential
  }

  private func chosen(targets: Int, capability: Plan.Capability?) throws(PlanError) -> PlanTemplate {
    if let capability, !capability.merges { return .sequential(for: capability) }
    guard let trained = capability?.trainedBuffer else { throw .needsCapability(description) }
    // Without a trained buffer a drawn value tells the next one nothing unless it is read as context.
    if trained == 0 { return targets > 1 ? .reencode : .sequential }
    guard targets > trained else { return .sequential }
    return capability?.subsetReads == true
      ? .coarseToFine(r: 4, reads: max(1, trained)) : .coarseToFine(r: 4, capacity: max(1, trained))
  }

  /// Takes the rule's steps; the levels that the order goes by, where the rule has its own.
  private func build(
    _ builder: inout Builder, targets: Int, _ geometry: Plan.Geometry?
  ) throws(PlanError) -> Hierarchy? {
    switch rule {
    case .independent: try builder.blocks(of: max(1, targets))
    case .sequential, .reencode, .auto: try builder.blocks(of: 1)
    case .blocks(let size):
      try check(size, "block size", in: 1...Int.max)
      try builder.blocks(of: size)
    case .coarseToFine(let arity, let anchors):
      let hierarchy = try Hierarchy(targets, arity: arity, anchors: anchors)
      if let reads {
        try check(reads, "reads", in: 1...Int.max)
        let line = try Plan.Geometry.line(targets)
        let order = try order(hierarchy, geometry ?? line)
        try builder.nearest(
          hierarchy.steps.map(\.count), NearestReads(reads, geometry ?? line, order: order))
      } else {
        for step in hierarchy.steps { try builder.draw(step.count) }
      }
      return hierarchy
    case .lineage(let arity, let anchors):
      let hierarchy = try Hierarchy(targets, arity: arity, anchors: anchors)
      try builder.lineage(hierarchy)
      return hierarchy
    case .window(let sinks, let span, let renewed):
      guard renewed == 0 else {
        throw .unsupported(
          plan: "\(self)", need: "a text, whose tokens are encoded anew",
          instead: .window(sinks: sinks, span: span))
      }
      try check(sinks, "sinks", in: 0...Int.max)
      try check(span, "span", in: 1...Int.max)
      try builder.window(sinks: sinks, span: span)
    case .logSparse: try builder.sparse { _ in .lags }
    case .randomSparse(let reads):
      try check(reads, "reads", in: 1...Int.max)
      try builder.sparse { .ids(Self.randomSubset(of: $0, reads)) }
    case .periods(let length):
      try check(length, "r", in: 2...Plan.maximumTargets)
      try builder.sparse { .ids(Self.periods(before: $0, length)) }
    case .speculative(let draft):
      try check(draft, "draft", in: 1...Int.max)
      while builder.resolver.drawn < targets {
        try builder.verify(targets - builder.resolver.drawn, draft: draft)
      }
    case .trusted(let millinats):
      try check(millinats, "millinats", in: 0...1_000_000)
      if targets > 0 {
        try builder.resolver.take(.trust(0..<targets, nats: Double(millinats) / 1000))
      }
    case .coarseToFineVerified(let arity, let anchors):
      let hierarchy = try Hierarchy(targets, arity: arity, anchors: anchors)
      for step in hierarchy.steps {
        let end = builder.resolver.drawn + step.count
        while builder.resolver.drawn < end {
          try builder.verify(end - builder.resolver.drawn, draft: step.count)
        }
      }
      return hierarchy
    }
    return nil
  }

  private func order(_ targets: Int, _ own: Hierarchy?, _ geometry: Plan.Geometry?) throws(PlanError)
    -> Plan.Order
  {
    if own == nil, ordering == .random { return .random }
    if ordering == .given { return .fixed(Array(0..<targets)) }
    let line = try Plan.Geometry.line(targets)
    let geometry = geometry ?? line
    if own == nil, ordering == .leftToRight { return .fixed(geometry.leftToRight) }
    let halves = try Hierarchy(targets, arity: 2, anchors: 1)
    return .fixed(try order(own ?? halves, geometry))
  }

  /// The targets of a hierarchy's positions: its places along a line, else farthest first.
  private func order(_ hierarchy: Hierarchy, _ geometry: Plan.Geometry) throws(PlanError) -> [Int] {
    if geometry.dimensions > 1 {
      if case .lineage = rule {
        throw .geometry("a lineage needs targets along one input, not \(geometry.dimensions)")
      }
      return try geometry.farthestFirst()
    }
    let sorted = geometry.leftToRight
    return hierarchy.places.map { sorted[$0] }
  }

  /// The positions below `position` from the beginning of the last one's period on, and the ends of the periods before.
  private static func periods(before position: Int, _ length: Int) -> RangeSet<Int> {
    guard position > 0 else { return RangeSet() }
    let begin = (position - 1) / length * length
    var set = RangeSet(begin..<position)
    for end in stride(from: length - 1, to: begin, by: length) { set.insert(contentsOf: end..<end + 1) }
    return set
  }

  /// `count` different positions below `position`, or all of them: the same in every run (Floyd's algorithm).
  private static func randomSubset(of position: Int, _ count: Int) -> RangeSet<Int> {
    guard position > count else { return .prefix(position) }
    var state = UInt64(position)
    var set = RangeSet<Int>()
    for last in (position - count)..<position {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      mixed ^= mixed >> 31
      let pick = Int(mixed.multipliedFullWidth(by: UInt64(last + 1)).high)
      let chosen = set.contains(pick) ? last : pick
      set.insert(contentsOf: chosen..<chosen + 1)
    }
    return set
  }
}

/// The steps that templates have in common.
private struct Builder {
  var resolver: Resolver
  /// The last targets drawn, which no step has committed yet.
  private var uncommitted = 0..<0
  /// Targets `0..<merged` are in the context.
  private var merged = 0

  init(resolver: Resolver) { self.resolver = resolver }

  private var targets: Int { resolver.targets }

  /// How many targets may be drawn before everything joins the context.
  private var room: Int { resolver.capacity.map { $0 - (resolver.drawn - merged) } ?? Int.max }

  /// Draws `count` targets side by side, each reading all earlier ones. What was drawn before joins the buffer or,
  /// where that would be full, the context: the one rule by which capacities are kept.
  mutating func draw(_ count: Int) throws(PlanError) {
    try settle()
    let positions = resolver.drawn..<resolver.drawn + count
    try resolver.take(.predict(positions, reads: .all))
    uncommitted = positions
  }

  /// Draws up to `count` targets from the chain, as many as fit the buffer.
  mutating func verify(_ count: Int, draft: Int) throws(PlanError) {
    try settle()
    let count = min(count, room)
    guard count > 1, draft > 1 else { return try draw(1) }
    try resolver.take(.verify(resolver.drawn..<resolver.drawn + count, draft: draft))
  }

  private mutating func settle() throws(PlanError) {
    if room <= 0 {
      try resolver.take(.merge)
      merged = resolver.drawn
    } else if !uncommitted.isEmpty {
      try resolver.take(.commit(uncommitted))
    }
    uncommitted = 0..<0
  }

  mutating func blocks(of size: Int) throws(PlanError) {
    while resolver.drawn < targets { try draw(min(size, targets - resolver.drawn)) }
  }

  /// One target after another, each reading what `reads` says, and its buffer row the same.
  mutating func sparse(_ reads: (Int) -> Plan.Selector) throws(PlanError) {
    for position in 0..<targets {
      let one = position..<position + 1
      try resolver.take(.predict(one, reads: reads(position)))
      if position + 1 < targets { try resolver.take(.commit(one, reads: reads(position))) }
    }
  }

  mutating func window(sinks: Int, span: Int) throws(PlanError) {
    for position in 0..<targets {
      let one = position..<position + 1
      try resolver.take(.predict(one, reads: .all))
      guard position + 1 < targets else { return }
      try resolver.take(.commit(one))
      // The rows kept are the sinks and the last `span`; one leaves for each that comes.
      if position >= sinks, position - sinks >= span {
        let leaving = position - span
        try resolver.take(.evict(.ids(RangeSet(leaving..<leaving + 1))))
      }
    }
  }

  /// Draws some targets side by side, then the next, each reading the nearest of those before.
  mutating func nearest(_ counts: [Int], _ nearest: NearestReads) throws(PlanError) {
    var nearest = nearest
    for count in counts {
      let positions = resolver.drawn..<resolver.drawn + count
      let reads = Plan.Selector.each(positions.map { .ids(nearest.reads($0)) })
      try resolver.take(.predict(positions, reads: reads))
      guard positions.upperBound < targets else { return }
      try resolver.take(.commit(positions, internal: .isolated, reads: reads))
      nearest.draw(positions)
    }
  }

  mutating func lineage(_ hierarchy: Hierarchy) throws(PlanError) {
    var positions = [Int](repeating: 0, count: targets)
    for (position, place) in hierarchy.places.enumerated() { positions[place] = position }
    for step in hierarchy.steps {
      let reads = Plan.Selector.each(
        step.places.map { place in
          .ids(RangeSet(hierarchy.lineage(of: place, in: step).map { positions[$0]..<positions[$0] + 1 }))
        })
      let drawn = resolver.drawn..<resolver.drawn + step.count
      try resolver.take(.predict(drawn, reads: reads))
      if drawn.upperBound < targets { try resolver.take(.commit(drawn, internal: .isolated, reads: reads)) }
    }
  }
}
