import ChorusMemories
import ChorusTensors

/// Everything that fixes a model's arithmetic but its weights. Codable as JSON; unknown versions are refused.
public struct Blueprint: Sendable, Hashable, Codable {
  public enum Norm: String, Sendable, Codable { case pre, post }
  /// How a data set's numbers become the network's: not at all, by mean and standard deviation of the context, or by
  /// what a fit of trend and waves leaves of the outputs (`Scaling.residual`), which needs `periods`.
  public enum ScalingRule: String, Sendable, Codable { case none, standardise, residual }

  public var version = 1
  /// Width d of a row's representation.
  public var width = 128
  public var layers = 6
  public var heads = 4
  public var feedForward = 256
  public var embedderHidden = 256
  public var headHidden = 256
  /// Gaussians in the predictive mixture.
  public var components = 20
  /// Least standard deviation of a component, in the network's units.
  public var sigmaFloor: Float = 1e-3
  /// Largest number of inputs; fewer are padded with zeros and told apart by a mask.
  public var inputDimensions = 1
  /// Octaves of sine and cosine features given to the input embedder beside the raw input; 0 for none.
  public var frequencies = 0
  /// Waves that a fit of the context may have, whose trend and season are given to the input embedder; 0 for no fit. See
  /// `Periods`.
  public var periods = 0
  /// Rows nearest to a point that splines go through, which the network is told of; 0 for none. Outputs have to be of order 1
  /// in the network's units. See `LocalSpline`.
  public var neighbours = 0
  /// Components, the first ones, that are around the spline and in its unit; the others are in the network's. Where a file
  /// does not tell, all of them if there are neighbours.
  public var localComponents = 0
  public var norm = Norm.pre
  /// Length of a learned table of buffer positions; 0 (the default) for none.
  public var bufferPositions = 0
  public var scaling = ScalingRule.none
  /// The memories of the layers, from the first on; the last one holds for all layers after it. None: softmax.
  public var memories: [LayerMemory] = []
  /// Largest context and buffer seen in training; beyond them a run warns.
  public var trainedContext = 192
  public var trainedBuffer = 64

  public init() {}

  enum CodingKeys: String, CodingKey, CaseIterable {
    case version, width, layers, heads, feedForward, embedderHidden, headHidden, components, sigmaFloor
    case inputDimensions, frequencies, periods, neighbours, localComponents, norm, bufferPositions, scaling,
      memories
    case trainedContext, trainedBuffer
  }

  /// Fields that are absent take their defaults; unknown ones are refused by name.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    func read<T: Decodable>(_ key: CodingKeys, _ path: WritableKeyPath<Blueprint, T>) throws {
      if let value = try fields.decodeIfPresent(T.self, forKey: key) { self[keyPath: path] = value }
    }
    try read(.version, \.version)
    try read(.width, \.width)
    try read(.layers, \.layers)
    try read(.heads, \.heads)
    try read(.feedForward, \.feedForward)
    try read(.embedderHidden, \.embedderHidden)
    try read(.headHidden, \.headHidden)
    try read(.components, \.components)
    try read(.sigmaFloor, \.sigmaFloor)
    try read(.inputDimensions, \.inputDimensions)
    try read(.frequencies, \.frequencies)
    try read(.periods, \.periods)
    try read(.neighbours, \.neighbours)
    localComponents = neighbours > 0 ? components : 0
    try read(.localComponents, \.localComponents)
    try read(.norm, \.norm)
    try read(.bufferPositions, \.bufferPositions)
    try read(.scaling, \.scaling)
    try read(.memories, \.memories)
    try read(.trainedContext, \.trainedContext)
    try read(.trainedBuffer, \.trainedBuffer)
  }

  /// Columns of the input features: raw inputs, their mask, sines and cosines of each, the context's trend and waves.
  public var featureCount: Int {
    inputDimensions * (2 + 2 * frequencies)
      + (periods > 0 ? inputDimensions * Network.lineFeatures + Network.fitFeatures : 0)
  }
  public var attention: AttentionSizes { AttentionSizes(heads: heads, width: width / max(heads, 1)) }

  /// The memory of a layer.
  public func memory(layer: Int) -> LayerMemory {
    memories.isEmpty ? .softmax : memories[min(layer, memories.count - 1)]
  }

  /// Refuses sizes that no network can have, or that would not fit into memory.
  public func validate() throws(ModelError) {
    func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(ModelError) {
      guard range.contains(value) else {
        throw .blueprint("\(name) is \(value); it must be within \(range.lowerBound)...\(range.upperBound)")
      }
    }
    guard version == 1 else {
      throw .blueprint("version \(version) is not known; this build reads version 1")
    }
    try check("width", width, 8...4096)
    try check("layers", layers, 1...128)
    try check("heads", heads, 1...128)
    try check("feedForward", feedForward, 1...16384)
    try check("embedderHidden", embedderHidden, 1...16384)
    try check("headHidden", headHidden, 1...16384)
    try check("components", components, 1...256)
    try check("inputDimensions", inputDimensions, 1...64)
    try check("frequencies", frequencies, 0...16)
    try check("periods", periods, 0...8)
    try check("neighbours", neighbours, 0...64)
    try check("localComponents", localComponents, neighbours > 0 ? 1...components : 0...0)
    try check("bufferPositions", bufferPositions, 0...4096)
    try check("trainedContext", trainedContext, 0...1_000_000)
    try check("trainedBuffer", trainedBuffer, 1...1_000_000)
    guard sigmaFloor.isFinite, sigmaFloor > 0 else {
      throw .blueprint("sigmaFloor must be a positive number")
    }
    guard scaling != .residual || periods > 0 else {
      throw .blueprint("scaling 'residual' fits waves; periods must be at least 1")
    }
    guard width % heads == 0, (width / heads) % 4 == 0 else {
      throw .blueprint("width \(width) must be a multiple of 4·heads (heads is \(heads))")
    }
    guard memories.count <= layers else {
      throw .blueprint("memories are given for \(memories.count) layers; there are \(layers)")
    }
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
