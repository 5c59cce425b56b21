import ChorusTensors

/// A specification that has a memory: its type is chosen, its parameters can be declared.
public struct CompiledMemory: Sendable {
  public let shape: MemoryShape
  /// The parameters that go to the context's memory; the rest are the buffer's.
  private let split: Int
  private let context: any SpecifiedMemory.Type
  private let buffer: (any SpecifiedMemory.Type)?
  private let layer: LayerMemory
  private let sizes: AttentionSizes

  /// Features of a head, so that a name in a file cannot ask for all memory: a state has their square.
  public static let featureLimit = 4096

  /// Chooses the memories of a layer for heads of these sizes.
  ///
  /// - Parameter set: whether the context is a set, so that a memory that depends on the order is refused.
  public init(_ layer: LayerMemory, _ sizes: AttentionSizes, set: Bool = true) throws(MemoryError) {
    self.layer = layer
    self.sizes = sizes
    for spec in [layer.context, layer.buffer].compactMap({ $0 }) {
      let count = try FeatureMaps.named(spec.features).count(sizes.width)
      guard count <= Self.featureLimit else {
        throw .refused(
          "'\(spec.features)' makes \(count) features of a head \(sizes.width) wide; at most \(Self.featureLimit) are held"
        )
      }
    }
    context = try layer.context.kind()
    var shape = context.shape(layer.context, sizes)
    split = shape.parameters.count
    if let spec = layer.buffer {
      let kind = try spec.kind()
      let own = kind.shape(spec, sizes)
      guard own.stored <= shape.stored, own.stored == 2 * sizes.columns else {
        throw .refused(
          "a joined buffer memory has weights of its own; give the context's memory learned weights only")
      }
      buffer = kind
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
    }
    self.shape = shape
    if set, layer.context.optimiser == .online {
      throw .notASet(
        MemoryRegistry.name(of: layer) ?? "a memory with an online optimiser",
        instead: MemoryRegistry.all.map(\.name).filter { $0 != "delta" })
    }
  }

  /// The memory with its learned numbers: `handles` as the shape tells, of `weights`.
  public func memory(_ weights: Weights, _ handles: [Parameter]) -> any Memory {
    let first = context.init(layer.context, sizes, MemoryValues(weights, Array(handles.prefix(split))))
    guard let buffer, let spec = layer.buffer else { return first }
    let second = buffer.init(spec, sizes, MemoryValues(weights, Array(handles.dropFirst(split))))
    return JoinedMemory(context: first, buffer: second, shape)
  }
}

extension MemorySpec {
  /// The memory that computes this, or why none does.
  func kind() throws(MemoryError) -> any SpecifiedMemory.Type {
    let map = try FeatureMaps.named(features)
    switch (function, optimiser) {
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
        weights != .similarity, "similarity weights depend on the query; the function class is then local")
      try require(readOut != .leverage, "only ridge regression has a leverage")
      try require(
        readOut != .mean || weights == .uniform,
        "the mean divides by the number of rows; rows of learned weights need a normalised read-out")
      try require(
        readOut != .normalised || map.nonNegative,
        "a normalised read-out divides by φ(q)·Σφ(k), which may vanish with '\(features)' features; take elu, relu or taylor"
      )
      return FactorMemory<LinearRule>.self
    case (.linear, .exact) where loss == .squared:
      try require(
        weights != .similarity, "similarity weights depend on the query; the function class is then local")
      try require(readOut == .raw || readOut == .leverage, "ridge regression reads raw or with its leverage")
      return FactorMemory<RidgeRule>.self
    case (.linear, .conjugateGradient(let steps)) where loss == .squared,
      (.linear, .gradient(let steps)) where loss == .squared:
      try require(weights == .uniform && readOut == .raw, "stepwise ridge has uniform weights and reads raw")
      try requireSteps(steps)
      if case .gradient = optimiser {
        try require(features == "unit", "gradient steps need keys of length 1 to converge (features unit)")
      }
      return SolverRidgeMemory.self
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
        "no form is known here of a \(function.rawValue) fit of the \(loss.rawValue) loss by \(optimiser.text)"
      )
    }
  }

  private func require(_ condition: Bool, _ text: String) throws(MemoryError) {
    if !condition { throw .refused(text) }
  }
  private func requireSteps(_ steps: Int) throws(MemoryError) {
    try require((1...256).contains(steps), "steps must be within 1...256, not \(steps)")
  }
}

extension MemorySpec.Optimiser {
  public var text: String {
    switch self {
    case .exact: "exact"
    case .gradient(let steps): "gradient(\(steps))"
    case .conjugateGradient(let steps): "conjugate-gradient(\(steps))"
    case .online: "online"
    }
  }
}
