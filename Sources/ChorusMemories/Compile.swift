import ChorusTensors

/// A specification that has a memory: its type is chosen, its parameters can be declared.
public struct CompiledMemory: Sendable {
  public let shape: MemoryShape
  public let capability: Capability
  /// The parameters that go to the context's memory; the rest are the buffer's.
  let split: Int
  let context: any SpecifiedMemory.Type
  let buffer: (any SpecifiedMemory.Type)?
  let layer: LayerMemory
  let sizes: AttentionSizes
  /// How a path's own rows tell their age; nil where they do not.
  let ages: RowAges?

  /// Features of a head, so that a name in a file cannot ask for all memory: a state has their square.
  public static let featureLimit = 4096
  /// Numbers of a head's inner network, for the same reason.
  public static let networkLimit = 1 << 22

  /// Chooses the memories of a layer for heads of these sizes.
  ///
  /// - Parameter set: whether the context is a set, so that a memory that depends on the order is refused, and so is one of
  ///   the paths' rows that cannot read any prefix of them, as plans over sets ask for.
  /// - Parameter ages: how a path's own rows tell their age; nil where they do not.
  public init(
    _ layer: LayerMemory, _ sizes: AttentionSizes, set: Bool = true, ages: RowAges? = nil
  ) throws(MemoryError) {
    self.layer = layer
    self.sizes = sizes
    self.ages = ages
    if ages != nil, layer != .softmax || sizes.keyHeads != sizes.heads || !sizes.width.isMultiple(of: 4) {
      throw .refused("rows tell their age to softmax attention with all key heads alone")
    }
    for spec in [layer.context, layer.buffer].compactMap({ $0 }) {
      let count = try FeatureMaps.named(spec.features).count(sizes.width)
      guard count <= Self.featureLimit else {
        throw .refused(
          "'\(spec.features)' makes \(count) features of a head \(sizes.width) wide; at most \(Self.featureLimit) are held"
        )
      }
      let numbers = InnerNetwork(spec.function, width: sizes.width).count
      guard spec.function != .perceptron || numbers <= Self.networkLimit else {
        throw .refused(
          "an inner network of a head \(sizes.width) wide has \(numbers) numbers; at most \(Self.networkLimit) are held"
        )
      }
    }
    context = try layer.context.kind()
    if sizes.keyHeads != sizes.heads, context != SoftmaxMemory.self || layer.buffer != nil {
      throw .refused("grouped key heads are known to softmax attention alone; leave keyHeads out")
    }
    var shape = context.shape(layer.context, sizes)
    split = shape.parameters.count
    if let spec = layer.buffer {
      let kind = try spec.kind()
      let own = kind.shape(spec, sizes)
      guard own.layout == StoredLayout(sizes) else {
        throw .refused(
          "a joined buffer memory has weights of its own; give the context's memory learned weights only")
      }
      buffer = kind
      capability = Self.joined(context.capability(layer.context), kind.capability(spec))
      shape.gated = own.read
      shape.read += own.read
      shape.parameters =
        shape.parameters.map {
          MemoryParameter("context." + $0.name, $0.count, initial: $0.initial, spread: $0.spread)
        }
        + own.parameters.map {
          MemoryParameter("buffer." + $0.name, $0.count, initial: $0.initial, spread: $0.spread)
        }
    } else {
      buffer = nil
      capability = ages == nil ? context.capability(layer.context) : AgedMemory.capability
    }
    self.shape = shape
    guard set else { return }
    let name = MemoryRegistry.name(of: layer) ?? "this memory"
    guard capability.holdsSet else { throw .notASet(name, instead: MemoryRegistry.setMemories) }
    guard capability.prefixReads == .any else { throw .newestOnly(name, instead: MemoryRegistry.setMemories) }
  }

  /// What it costs, before its numbers are learned.
  package var work: MemoryWork {
    let nothing = MemoryValues(Weights(ParameterTable(), training: false), [])
    if let ages { return AgedMemory(ages, sizes, nothing.weights).work }
    let first = context.init(layer.context, sizes, nothing).work
    guard let buffer, let spec = layer.buffer else { return first }
    return first.joined(buffer: buffer.init(spec, sizes, nothing).work)
  }

  /// One memory's context, the other's buffer.
  private static func joined(_ context: Capability, _ buffer: Capability) -> Capability {
    Capability(
      holdsSet: context.holdsSet, fixedState: context.fixedState, rewind: buffer.rewind,
      subsetReads: buffer.subsetReads, merge: context.merge, remove: context.remove,
      prefixReads: buffer.prefixReads)
  }

  /// The memory with its learned numbers: `handles` as the shape tells, of `weights`.
  public func memory(_ weights: Weights, _ handles: [Parameter]) -> any Memory {
    if let ages { return AgedMemory(ages, sizes, weights) }
    let first = context.init(layer.context, sizes, MemoryValues(weights, Array(handles.prefix(split))))
    guard let buffer, let spec = layer.buffer else { return first }
    let second = buffer.init(spec, sizes, MemoryValues(weights, Array(handles.dropFirst(split))))
    return JoinedMemory(context: first, buffer: second, shape, capability)
  }
}

extension MemorySpec {
  /// The memory that computes this, or why none does.
  func kind() throws(MemoryError) -> any SpecifiedMemory.Type {
    let map = try FeatureMaps.named(features)
    switch optimiser {
    case .frozen(let chunk), .frozenMomentum(let chunk): return try frozen(chunk)
    default: break
    }
    try require(
      retention == .quadratic,
      "\(retention.text) retention is known of gradients that are frozen for a chunk (frozen, frozenMomentum)"
    )
    switch loss {
    case .dot, .squared: break
    case .power, .huber:
      throw .refused(
        "the \(loss.text) loss is known of gradients that are frozen for a chunk (frozen, frozenMomentum)")
    }
    switch (function, optimiser) {
    case (.localConstant, .exact) where weights == .fadingSimilarity:
      try require(
        loss == .squared && readOut == .normalised && features == "identity",
        "softmax that forgets has squared loss, identity features and a normalised read-out")
      return ForgettingMemory.self
    case (.localConstant, .exact):
      try require(
        weights == .similarity && loss == .squared && readOut == .normalised,
        "a local constant fit has similarity weights, squared loss and a normalised read-out")
      try require(
        features == "identity" || features == "unit",
        "softmax compares keys as they are or at length 1 (features identity or unit)")
      return SoftmaxMemory.self
    case (.localLinear, .conjugateGradient(let steps)):
      try require(
        weights == .similarity && loss == .squared && readOut == .raw && features == "identity",
        "a local linear fit has similarity weights, squared loss, identity features and a raw read-out")
      try requireSteps(steps)
      return LocalLinearMemory.self
    case (.linear, .gradient(let steps)) where loss == .dot:
      try require(steps == 1, "with the dot loss every step is the same; take 1")
      try require(
        !weights.similar, "similarity weights depend on the query; the function class is then local")
      if weights.fade { return try recurrent(map) }
      try require(readOut != .leverage, "only ridge regression has a leverage")
      try require(
        readOut != .mean || weights == .uniform,
        "the mean divides by the number of rows; rows of learned weights need a normalised read-out")
      try require(
        readOut != .normalised || map.nonNegative,
        "a normalised read-out divides by φ(q)·Σφ(k), which may vanish with '\(features)' features; take elu, relu or taylor"
      )
      return FactorMemory<LinearRule>.self
    case (.linear, .exact) where loss == .squared && weights == .scalarGate,
      (.linear, .conjugateGradient) where loss == .squared && weights == .scalarGate:
      try require(
        readOut == .raw && features == "unit",
        "ridge regression to rows that fade has unit features and reads raw")
      if case .conjugateGradient(let steps) = optimiser { try requireSteps(steps) }
      return RecurrentMemory<MesaRule<ScalarGateRule>>.self
    case (.linear, .exact) where loss == .squared:
      try require(
        !weights.similar, "similarity weights depend on the query; the function class is then local")
      try require(
        !weights.fade,
        "an exact fit to rows that fade is known with a scalar gate; ridge has uniform or learned weights beside"
      )
      try require(readOut == .raw || readOut == .leverage, "ridge regression reads raw or with its leverage")
      return FactorMemory<RidgeRule>.self
    case (.linear, .conjugateGradient(let steps)) where loss == .squared,
      (.linear, .gradient(let steps)) where loss == .squared:
      try require(
        weights == .uniform && readOut == .raw,
        "stepwise ridge has uniform weights or a scalar gate and reads raw")
      try requireSteps(steps)
      if case .gradient = optimiser {
        try require(features == "unit", "gradient steps need keys of length 1 to converge (features unit)")
      }
      return SolverRidgeMemory.self
    case (.linear, .online) where weights == .scalarGate || weights == .channelGate:
      try require(
        loss == .squared && readOut == .raw && features == "unit",
        "the gated delta rule has squared loss, unit features and a raw read-out")
      return weights == .scalarGate
        ? RecurrentMemory<GatedDeltaRule<ScalarGateRule>>.self
        : RecurrentMemory<GatedDeltaRule<ChannelGateRule>>.self
    case (.linear, .online) where weights == .learned:
      try require(
        loss == .squared && readOut == .raw && features == "unit",
        "the delta rule with a learned rate has squared loss, unit features and a raw read-out")
      return RecurrentMemory<GatedDeltaRule<NoFadeRule>>.self
    case (.linear, .product(let steps)):
      try require(
        (weights == .learned || weights == .scalarGate) && loss == .squared && readOut == .raw
          && features == "unit",
        "products of delta steps have learned or scalar-gate weights, squared loss, unit features and a raw read-out"
      )
      try require((1...3).contains(steps), "a row takes 1, 2 or 3 delta steps, not \(steps)")
      switch (weights == .scalarGate, steps) {
      case (false, 1): return RecurrentMemory<DeltaProductRule<NoFadeRule, OneMove>>.self
      case (false, 2): return RecurrentMemory<DeltaProductRule<NoFadeRule, TwoMoves>>.self
      case (false, _): return RecurrentMemory<DeltaProductRule<NoFadeRule, ThreeMoves>>.self
      case (true, 1): return RecurrentMemory<DeltaProductRule<ScalarGateRule, OneMove>>.self
      case (true, 2): return RecurrentMemory<DeltaProductRule<ScalarGateRule, TwoMoves>>.self
      case (true, _): return RecurrentMemory<DeltaProductRule<ScalarGateRule, ThreeMoves>>.self
      }
    case (.linear, .replace):
      try require(
        weights == .channelGate && loss == .squared && readOut == .raw && features == "identity",
        "removing and writing has channel-gate weights, squared loss, identity features and a raw read-out")
      return RecurrentMemory<ReplaceRule>.self
    case (.linear, .eraseWrite):
      try require(
        weights == .channelGate && loss == .squared && readOut == .raw && features == "unit",
        "erasing and writing by gates has channel-gate weights, squared loss, unit features and a raw read-out"
      )
      return RecurrentMemory<EraseWriteRule<ChannelGateRule>>.self
    case (.linear, .feedback):
      try require(
        weights == .scalarGate && loss == .squared && readOut == .raw && features == "unit",
        "a delta rule with feedback has scalar-gate weights, squared loss, unit features and a raw read-out")
      return RecurrentMemory<FeedbackRule<ScalarGateRule>>.self
    case (.linear, .preconditioned):
      try require(
        weights == .scalarGate && loss == .squared && readOut == .raw && features == "unit",
        "preconditioned steps have scalar-gate weights, squared loss, unit features and a raw read-out")
      return RecurrentMemory<PreconditionedRule<ScalarGateRule>>.self
    case (.linear, .momentum):
      try require(
        weights == .learned && loss == .squared && readOut == .raw && features == "unit",
        "steps with momentum have learned weights, squared loss, unit features and a raw read-out")
      return RecurrentMemory<MomentumRule>.self
    case (.linear, .recursive):
      try require(
        weights == .decay && loss == .squared && readOut == .raw && features == "unit",
        "recursive least squares has decay weights, squared loss, unit features and a raw read-out")
      return RecurrentMemory<RecursiveRidgeRule>.self
    case (.linear, .chebyshev(let steps)):
      try require(
        weights == .scalarGate && loss == .squared && readOut == .raw && features == "unit",
        "Chebyshev's iteration has scalar-gate weights, squared loss, unit features and a raw read-out")
      try requireSteps(steps)
      return RecurrentMemory<KalmaRule<ScalarGateRule>>.self
    case (.slots, .gradient(let steps)):
      try require(
        steps == 1 && weights == .tiedGate && loss == .squared && readOut == .normalised
          && features == "identity",
        "slots have tied-gate weights, squared loss, one step, identity features and a normalised read-out")
      return RecurrentMemory<SlotRule>.self
    case (.linear, .implicit) where weights == .tiedGate:
      try require(
        loss == .squared && readOut == .raw && features == "identity",
        "implicit steps have squared loss, identity features and a raw read-out")
      return RecurrentMemory<LonghornDiagonalRule>.self
    case (.linear, .implicit):
      try require(
        weights == .learned && loss == .squared && readOut == .raw && features == "identity",
        "implicit steps have learned weights, or a tied gate where they are taken column by column, squared loss, identity features and a raw read-out"
      )
      return RecurrentMemory<LonghornRule>.self
    case (.linear, .online):
      try require(
        weights == .uniform && loss == .squared && readOut == .raw && features == "unit",
        "the delta rule has uniform weights, squared loss, unit features and a raw read-out")
      return FactorMemory<DeltaRule>.self
    case (.normalisedLinear, .gradient(let steps)):
      try require(
        steps == 1 && weights == .uniform && loss == .squared && readOut == .raw && features == "identity",
        "full-batch TTT-Linear takes one step on the squared loss with uniform weights and identity features; after a "
          + "second step gradients would no longer be sums over rows at one point")
      return FactorMemory<TTTRule>.self
    case (.kernel, .exact):
      try require(
        weights == .uniform && loss == .squared && (readOut == .raw || readOut == .leverage),
        "kernel ridge has uniform weights, squared loss, and reads raw or with its leverage")
      return KernelRidgeMemory.self
    default:
      throw .refused(
        "no form is known here of a \(function.rawValue) fit of the \(loss.text) loss by \(optimiser.text)"
      )
    }
  }

  /// The memory of gradients that are taken where a chunk begins.
  private func frozen(_ chunk: Int) throws(MemoryError) -> any SpecifiedMemory.Type {
    try require(
      FrozenSettings.chunks.contains(chunk),
      "a chunk has \(FrozenSettings.chunks.lowerBound) to \(FrozenSettings.chunks.upperBound) rows, not \(chunk)"
    )
    try require(
      [.linear, .normalisedLinear, .perceptron].contains(function),
      "frozen gradients are those of a linear, normalisedLinear or perceptron fit")
    try require(readOut == .raw, "a fit by frozen gradients reads raw")
    try require(
      features == "unit" || (features == "identity" && function != .linear),
      "frozen gradients take unit features; with a norm behind them identity features too")
    if case .frozenMomentum = optimiser {
      try require(weights == .scalarGate, "frozen gradients with momentum have scalar-gate weights")
    }
    try require(
      weights == .learned || weights == .scalarGate,
      "frozen gradients have learned weights, which do not fade, or scalar-gate weights")
    if case .power(let p) = loss {
      try require((1...8).contains(p), "the power of a loss is within 1...8, not \(p)")
    }
    switch retention {
    case .norm(let q), .printedNorm(let q):
      try require((2...8).contains(q), "the norm of a retention is that of q within 2...8, not \(q)")
    case .quadratic, .simplex, .signedSimplex: break
    }
    return FrozenMemory.self
  }

  /// The memory of rows that fade with those behind them.
  private func recurrent(_ map: any FeatureMap) throws(MemoryError) -> any SpecifiedMemory.Type {
    try require(
      readOut == (weights == .exponentialGate ? .normalised : .raw),
      "rows that fade are read raw, and normalised where exponential gates weigh them")
    switch weights {
    case .decay: return RecurrentMemory<RetentionRule>.self
    case .scalarGate: return RecurrentMemory<ScalarGateRule>.self
    case .stepGate: return RecurrentMemory<StepGateRule>.self
    case .channelGate:
      try require(
        map.count(8) == 8, "a gate for every key column needs as many features (identity, unit, elu or relu)")
      return RecurrentMemory<ChannelGateRule>.self
    case .tiedGate:
      try require(features == "identity", "a key that is its gate has identity features")
      return RecurrentMemory<TiedGateRule>.self
    case .exponentialGate:
      try require(features == "identity", "the exponential gate has identity features")
      return RecurrentMemory<ExponentialGateRule>.self
    case .bonusGate:
      try require(features == "identity", "a gate with a bonus has identity features")
      return RecurrentMemory<BonusRule>.self
    case .uniform, .learned, .similarity, .fadingSimilarity:
      throw .refused("\(weights.rawValue) weights do not fade")
    }
  }

  private func require(_ condition: Bool, _ text: String) throws(MemoryError) {
    if !condition { throw .refused(text) }
  }
  private func requireSteps(_ steps: Int) throws(MemoryError) {
    try require((1...256).contains(steps), "steps must be within 1...256, not \(steps)")
  }
}
