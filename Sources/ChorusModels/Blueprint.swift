import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// Everything that fixes a model's arithmetic but its weights: a family, what hints it is told, its blocks and its head.
///
/// Codable as JSON. Fields that are absent take their defaults; a field that nothing reads is refused by name, and so is an
/// unknown version. Files of the first version are read into it (`BlueprintV1`).
public struct Blueprint: Sendable, Hashable {
  /// How rows become tokens, and who reads whom.
  public enum Family: String, Sendable, Codable, CaseIterable {
    /// A set of observed rows, a causal buffer, targets (Hassan et al. 2026).
    case set
    /// A set of rows of a table as estimators tell of them (`TableFit`), a causal buffer, targets.
    case table
    /// The same of rows whose value is a level: a pass for each level, in which rows have it or not (`ToldClasses`), a causal buffer,
    /// targets.
    case classes
    /// A set of rows of a table read cell by cell, columns first, then rows (TabICL, Qu et al. 2025), a causal buffer, targets.
    case cells
    /// A set of observed rows and targets that have one Gaussian law together: no buffer (TNP-ND, Nguyen and Grover 2022).
    case joint
    /// A set of observed rows, a causal buffer, targets, each with weights of their own (nanoACE's `arbuffer`, Acerbi 2026).
    case streams
    /// A set of observed rows along one input, spread on a grid that a convolutional network reads (ConvCNP, Gordon et al. 2020);
    /// values drawn are read by encoding anew.
    case grid
    /// Tokens one after another, each of which predicts the next.
    case sequence
  }

  public static let version = 2

  public var family = Family.set
  /// Width d of a row's representation.
  public var width = 128
  public var layers = 6
  public var heads = 4
  public var norm = Block.Order.pre
  public var feedForward = 256
  /// Which kinds of parts the blocks are made of.
  public var parts = BlockParts()
  /// The memories of the layers, from the first on; the last one holds for all layers after it. None: softmax.
  public var memories: [LayerMemory] = []
  /// How a context is read.
  public var encoder = ContextEncoding.shared
  /// How rows come of their cells, in the family `cells`.
  public var cells = CellReading()
  public var embedderHidden = 256
  /// Largest number of inputs; fewer are padded with zeros and told apart by a mask.
  public var inputDimensions = 1
  /// Whether a row of a sequence is told its inputs beside the value before it.
  public var tellsInputs = false
  /// Whether a row of a sequence is told its own value, where that is known, and says what it is where it is not: a context of
  /// pairs, then inputs whose values are asked, none of which is told to those behind. Otherwise it is told the value before
  /// it.
  public var pairsValues = false
  /// Octaves of sine and cosine features given to the input embedder beside the raw input; 0 for none.
  public var frequencies = 0
  /// What a path's own rows tell of their order.
  public var bufferPositions = BufferPositions.none
  /// Points to a unit of the input, of family 'grid'.
  public var gridDensity = 32
  public var scaling = ScalingRule.none
  /// Classical estimators that the network is told of.
  public var hints = Hints()
  public var headHidden = 256
  public var head = HeadChoice.mixture()
  /// Largest context and buffer seen in training; beyond them a run warns. 0 for a buffer that was never trained.
  public var trainedContext = 192
  public var trainedBuffer = 64
  /// What rows of a sequence read in training; nil for everything before them.
  public var trainedReads: PlanTemplate?

  public init() {}

  /// How this model's contexts are prepared. Levels of a category have no unit.
  public var preparation: Preparation.Rule { Preparation.Rule(scaling: scaling, hints: hints) }

  public var attention: AttentionSizes {
    AttentionSizes(heads: heads, width: width / max(heads, 1), keyHeads: parts.keyHeads)
  }

  /// The memory of a layer.
  public func memory(layer: Int) -> LayerMemory {
    memories.isEmpty ? .softmax : memories[min(layer, memories.count - 1)]
  }

  /// The place among this network's input features of each of another's; nil where that one knows a hint that this one does
  /// not, or differs otherwise.
  ///
  /// Features are in the order raw inputs, mask, sines and cosines, then what each hint tells (`SetLayers.writeFeatures`).
  public func inputFeatures(of other: Blueprint) -> [Int]? {
    guard inputDimensions == other.inputDimensions, frequencies == other.frequencies else { return nil }
    let plain = inputDimensions * (2 + 2 * frequencies)
    var own = [String: Int]()
    var next = plain
    for hint in hints.hints {
      own[type(of: hint).name] = next
      next += hint.features(dimensions: inputDimensions)
    }
    var places = Array(0..<plain)
    for hint in other.hints.hints {
      guard let first = own[type(of: hint).name] else { return nil }
      places += first..<first + hint.features(dimensions: inputDimensions)
    }
    return places
  }

  /// Refuses sizes that no network can have, or that would not fit into memory.
  public func validate() throws(ModelError) {
    func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(ModelError) {
      guard range.contains(value) else {
        throw .blueprint("\(name) is \(value); it must be within \(range.lowerBound)...\(range.upperBound)")
      }
    }
    try check("width", width, 8...4096)
    try check("layers", layers, 1...128)
    try check("heads", heads, 1...128)
    try check("feedForward", feedForward, 1...16384)
    try check("embedderHidden", embedderHidden, 1...16384)
    try check("headHidden", headHidden, 1...16384)
    try check(
      "inputDimensions", inputDimensions, 1...(family == .cells || family == .classes ? 4096 : 64))
    try check("frequencies", frequencies, 0...16)
    if case .learned(let rows) = bufferPositions { try check("bufferPositions", rows, 1...4096) }
    try check("trainedContext", trainedContext, 0...1_000_000)
    try check("trainedBuffer", trainedBuffer, 0...1_000_000)
    do { try hints.validate() } catch { throw .blueprint("hints: \(error)") }
    if let fault = head.specification.fault { throw .blueprint("head: \(fault)") }
    if family == .table { try validateTable() }
    try validateClasses()
    try validateEncoder()
    if (family == .joint) != (head.specification is JointGaussianHead.Specification) {
      throw .blueprint("family 'joint' and head 'joint-gaussian' belong to each other; give both or none")
    }
    if family == .joint, !hints.rows.isEmpty || bufferPositions != .none {
      throw .blueprint(
        "family 'joint' has no buffer; leave hints of rows (local-splines) and bufferPositions out")
    }
    if family == .streams { try validateStreams() }
    if family == .grid { try validateGrid() }
    if family != .grid, gridDensity != Blueprint().gridDensity {
      throw .blueprint("only family 'grid' has points of a grid; leave gridDensity out")
    }
    if family == .sequence, bufferPositions != .none {
      throw .blueprint("family 'sequence' has no buffer; leave bufferPositions out, or give parts rotary")
    }
    if bufferPositions.ages != nil {
      guard memories.allSatisfy({ $0 == .softmax }), parts.keyHeads == nil || parts.keyHeads == heads,
        encoder != .causal
      else {
        throw .blueprint(
          "bufferPositions '\(bufferPositions)' are those of softmax layers beside a set: leave memories, keyHeads and a"
            + " causal encoder out")
      }
    }
    try validateCells()
    // A row of another family has one unit, and a head reads as many as it says.
    if family != .table, let mixture = head.specification as? MixtureHead.Specification, mixture.units != 1 {
      throw .blueprint("head: units is \(mixture.units); only rows of family 'table' have more than one")
    }
    if family != .table, family != .classes, hints.rows.isEmpty, head.specification.around > 0 {
      throw .blueprint(
        "head: nothing is there to predict around; add a hint like local-splines, or set around to 0")
    }
    if family == .sequence, hints != Hints() {
      throw .blueprint("family 'sequence' knows no inputs that hints could be told of; leave hints out")
    }
    try validateReads()
    if family != .sequence, tellsInputs {
      throw .blueprint("rows of other families are told their inputs as they are; leave tellsInputs out")
    }
    if pairsValues, !tellsInputs {
      throw .blueprint("pairsValues: a row without inputs is no pair; give tellsInputs too, or leave it out")
    }
    guard width % heads == 0, (width / heads) % 4 == 0 else {
      throw .blueprint("width \(width) must be a multiple of 4·heads (heads is \(heads))")
    }
    if let fault = parts.fault(attention) { throw .blueprint("parts: \(fault)") }
    if family != .table, family != .classes, parts.coordinates > 0 {
      throw .blueprint("parts: only rows of families 'table' and 'classes' have coordinates; leave them out")
    }
    if family != .sequence, parts.rotary != nil {
      throw .blueprint(
        "parts: the rows of a set have no positions; leave rotary out, or take family 'sequence'")
    }
    if family != .sequence, parts.convolution != nil {
      throw .blueprint(
        "parts: the rows of a set have no row before them; leave convolution out, or take family 'sequence'")
    }
    guard memories.count <= layers else {
      throw .blueprint("memories are given for \(memories.count) layers; there are \(layers)")
    }
  }

  private func validateReads() throws(ModelError) {
    guard let trainedReads else { return }
    guard family == .sequence, memories.allSatisfy({ $0 == .softmax }), parts.convolution == nil, !tellsInputs
    else {
      throw .blueprint(
        "only softmax layers of family 'sequence' leave rows out, without a convolution or inputs; leave trainedReads out"
      )
    }
    do { _ = try Access(trainedReads, tokens: 8, start: true) } catch {
      throw .blueprint("trainedReads: \(error)")
    }
  }

  private func validateEncoder() throws(ModelError) {
    guard encoder != .shared else { return }
    guard family == .set || family == .joint else {
      throw .blueprint(
        "only networks of family 'set' or 'joint' read a context in another way; leave encoder out")
    }
    if let fault = encoder.fault { throw .blueprint("encoder: \(fault)") }
    guard encoder != .causal || memories.allSatisfy({ $0 == .softmax }) else {
      throw .blueprint("encoder: a causal context is read through softmax layers; leave memories out")
    }
  }

  /// What a network of cells has to be: its inputs are told as they are, and its blocks read whatever number of rows.
  private func validateCells() throws(ModelError) {
    guard family == .cells else {
      guard cells == CellReading(), parts.lengthScaling == 0 else {
        throw .blueprint("only family 'cells' has cells, and parts with lengthScaling; leave them out")
      }
      return
    }
    guard norm == .pre, hints == Hints(), frequencies == 0, bufferPositions == .none, parts.coordinates == 0
    else {
      throw .blueprint(
        "family 'cells' has pre-norm blocks: leave norm, hints, frequencies, bufferPositions and coordinates out"
      )
    }
    if let fault = cells.fault(width: width) { throw .blueprint("cells: \(fault)") }
  }

  /// What a network of streams has to be: its blocks are of one kind, and its inputs are told as they are.
  private func validateStreams() throws(ModelError) {
    guard norm == .pre, parts == BlockParts(), memories.isEmpty, hints == Hints(), frequencies == 0,
      bufferPositions == .none
    else {
      throw .blueprint(
        "family 'streams' has pre-norm blocks with softmax memories: leave norm, parts, memories, hints, frequencies"
          + " and bufferPositions out")
    }
  }

  /// What a network on a grid has to be: its rows lie along one input, and its blocks are of one kind.
  private func validateGrid() throws(ModelError) {
    guard inputDimensions == 1, norm == .pre, parts == BlockParts(), memories.isEmpty, hints == Hints(),
      frequencies == 0, bufferPositions == .none
    else {
      throw .blueprint(
        "family 'grid' has one input and pre-norm blocks without memories: leave inputDimensions, norm, parts, memories,"
          + " hints, frequencies and bufferPositions out")
    }
    guard (1...1024).contains(gridDensity) else {
      throw .blueprint("gridDensity is \(gridDensity); it must be within 1...1024")
    }
  }
}

extension Blueprint: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case version, family, width, layers, heads, norm, feedForward, parts, memories, encoder, cells
    case embedderHidden, inputDimensions, tellsInputs, pairsValues, frequencies, bufferPositions, gridDensity
    case scaling, hints, headHidden, head
    case trainedContext, trainedBuffer, trainedReads
  }

  public init(from decoder: any Decoder) throws {
    enum Key: CodingKey { case version }
    let version = try decoder.container(keyedBy: Key.self).decodeIfPresent(Int.self, forKey: .version) ?? 1
    guard version == Self.version else {
      guard version == 1 else {
        throw ModelError.blueprint("version \(version) is not known; this build reads 1 and \(Self.version)")
      }
      self = try BlueprintV1(from: decoder).blueprint
      return
    }
    let fields = try decoder.knownFields(CodingKeys.self)
    func read<T: Decodable>(_ key: CodingKeys, _ path: WritableKeyPath<Blueprint, T>) throws {
      if let value = try fields.decodeIfPresent(T.self, forKey: key) { self[keyPath: path] = value }
    }
    try read(.family, \.family)
    try read(.width, \.width)
    try read(.layers, \.layers)
    try read(.heads, \.heads)
    try read(.norm, \.norm)
    try read(.feedForward, \.feedForward)
    try read(.parts, \.parts)
    try read(.memories, \.memories)
    try read(.encoder, \.encoder)
    try read(.cells, \.cells)
    try read(.embedderHidden, \.embedderHidden)
    try read(.inputDimensions, \.inputDimensions)
    try read(.tellsInputs, \.tellsInputs)
    try read(.pairsValues, \.pairsValues)
    try read(.frequencies, \.frequencies)
    try read(.bufferPositions, \.bufferPositions)
    try read(.gridDensity, \.gridDensity)
    try read(.scaling, \.scaling)
    try read(.hints, \.hints)
    try read(.headHidden, \.headHidden)
    try read(.head, \.head)
    try read(.trainedContext, \.trainedContext)
    try read(.trainedBuffer, \.trainedBuffer)
    trainedReads = try fields.decodeIfPresent(PlanTemplate.self, forKey: .trainedReads)
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(Self.version, forKey: .version)
    try fields.encode(family, forKey: .family)
    try fields.encode(width, forKey: .width)
    try fields.encode(layers, forKey: .layers)
    try fields.encode(heads, forKey: .heads)
    try fields.encode(norm, forKey: .norm)
    try fields.encode(feedForward, forKey: .feedForward)
    // Written where it says something, so that files without it are those of versions that did not know it.
    if parts != BlockParts() { try fields.encode(parts, forKey: .parts) }
    try fields.encode(memories, forKey: .memories)
    if self.encoder != .shared { try fields.encode(self.encoder, forKey: .encoder) }
    if cells != CellReading() { try fields.encode(cells, forKey: .cells) }
    try fields.encode(embedderHidden, forKey: .embedderHidden)
    try fields.encode(inputDimensions, forKey: .inputDimensions)
    if tellsInputs { try fields.encode(tellsInputs, forKey: .tellsInputs) }
    if pairsValues { try fields.encode(pairsValues, forKey: .pairsValues) }
    try fields.encode(frequencies, forKey: .frequencies)
    try fields.encode(bufferPositions, forKey: .bufferPositions)
    if family == .grid { try fields.encode(gridDensity, forKey: .gridDensity) }
    try fields.encode(scaling, forKey: .scaling)
    try fields.encode(hints, forKey: .hints)
    try fields.encode(headHidden, forKey: .headHidden)
    try fields.encode(head, forKey: .head)
    try fields.encode(trainedContext, forKey: .trainedContext)
    try fields.encode(trainedBuffer, forKey: .trainedBuffer)
    try fields.encodeIfPresent(trainedReads, forKey: .trainedReads)
  }
}

/// What can go wrong between a file of weights and a prediction.
public enum ModelError: Error, Sendable, Equatable, CustomStringConvertible {
  /// No model has that name, or no file is at that path.
  case missing(String)
  case blueprint(String)
  case weights(String)
  case input(String)

  public var description: String {
    switch self {
    case .missing(let text): text
    case .blueprint(let text): "blueprint: \(text)"
    case .weights(let text): "weights: \(text)"
    case .input(let text): text
    }
  }
}
