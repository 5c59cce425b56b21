extension Plan {
  /// What a plan asks of a model and the memory behind it.
  public struct Requirements: Sendable, Hashable {
    /// Some row reads a part of the buffer that is no prefix of its slots.
    public let subsetReads: Bool
    /// Rows are taken back: some verification may refuse a draft.
    public let rewind: Bool
    /// Drawn values join the context, which is encoded anew as a set.
    public let setContext: Bool
    /// Which values join the context, and when, depends on the draws.
    public let decides: Bool

    /// The first thing asked for that `capability` lacks.
    func missing(from capability: Capability) -> String? {
      if subsetReads, !capability.subsetReads { return "reading a part of the buffer that is no prefix" }
      if rewind, !capability.rewind { return "taking back rows of the buffer" }
      if setContext, !capability.setContext { return "encoding drawn values as context" }
      return nil
    }
  }

  /// What a model can do, as far as plans care.
  public struct Capability: Sendable, Hashable {
    /// Rows may read any part of the buffer.
    public var subsetReads: Bool
    /// The last rows of a buffer can be taken back.
    public var rewind: Bool
    /// Buffer rows seen in training; nil where the model knows no such number.
    public var trainedBuffer: Int?
    /// A set of rows can be encoded anew as context.
    public var setContext: Bool
    /// A value is predicted from all those before it, in the order given, and from nothing else.
    public var inOrder: Bool

    public init(
      subsetReads: Bool = true, rewind: Bool = true, trainedBuffer: Int? = nil, setContext: Bool = true,
      inOrder: Bool = false
    ) {
      self.subsetReads = subsetReads
      self.rewind = rewind
      self.trainedBuffer = trainedBuffer
      self.setContext = setContext
      self.inOrder = inOrder
    }

    /// Whether drawn values can join the context, which empties the buffer.
    public var merges: Bool { setContext && !inOrder }
  }

  /// What to do with a plan that asks for more than a model can do.
  public enum WhenUnsupported: Sendable, Hashable {
    case refuse
    /// Run the strict form: the same direct visibility with every read as context; see ``Plan/reencoded()``.
    case reencode
  }
}

extension Plan {
  /// Whether values are drawn one after another in the order given, each from all before it.
  var goesInOrder: Bool {
    guard targets > 1 else { return true }
    guard case .fixed(let order) = order, order == Array(0..<targets) else { return false }
    return instructions.enumerated().allSatisfy { place, instruction in
      guard case .call(let call) = instruction, call.predict.count == 1 else { return false }
      return call.predict[0].position == place && call.predict[0].reads == RangeSet(0..<place)
    }
  }

  /// The first thing that the plan asks for and `capability` lacks.
  func missing(from capability: Capability) -> String? {
    if capability.inOrder, !goesInOrder {
      return "values drawn other than one after another in the order given"
    }
    return requirements.missing(from: capability)
  }
}
