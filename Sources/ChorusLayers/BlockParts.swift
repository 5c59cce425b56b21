import ChorusTensors

/// Which kinds of parts blocks are made of. The defaults are those of a set network; language models of the llama family
/// have the root-mean-square norm, the gated feed-forward part, rotary positions, grouped key heads, and no biases.
public struct BlockParts: Sendable, Hashable {
  public enum NormKind: String, Sendable, Codable, CaseIterable { case layer, rms }
  public enum FeedKind: String, Sendable, Codable, CaseIterable { case gelu, gated }

  public var norm = NormKind.layer
  /// What the root-mean-square norm adds to the mean of squares.
  public var epsilon = 1e-5
  public var feed = FeedKind.gelu
  /// Whether the map of what was read has a bias.
  public var biases = true
  /// Whether the maps to queries, keys and values have biases.
  public var inputBiases = false
  /// Hidden units of the perceptrons by which queries grow with the number of rows read (`LengthScaling`); 0 for none.
  public var lengthScaling = 0
  /// Heads that have keys and values of their own; nil for all.
  public var keyHeads: Int?
  /// How queries and keys are told their positions; nil for not at all.
  public var rotary: Rotary?
  /// Rows whose keys and values a stored row takes in by a short convolution, itself included; nil for its own alone.
  public var convolution: Int?
  /// Whether every head's read is normed and gated before the map back (`GatedRead`).
  public var gatedReads = false
  /// Coordinates that rows carry behind their representation; 0 for none.
  public var coordinates = 0

  /// The columns that tell a row's place.
  public var places: RowPlaces { RowPlaces(coordinates: coordinates) }

  public init() {}

  public func makeNorm(_ name: String, _ width: Int, _ scope: inout ParameterScope) -> any Layer {
    switch norm {
    case .layer: Norm(name, width, places: places.columns, &scope)
    case .rms: RMSNorm(name, width, epsilon: epsilon, &scope)
    }
  }

  /// The norm behind the last block.
  public func lastNorm(_ width: Int, _ scope: inout ParameterScope) -> any Layer {
    makeNorm("norm", width, &scope)
  }

  public func makeFeed(_ width: Int, hidden: Int, shrink: Double, _ scope: inout ParameterScope) -> any Layer
  {
    switch feed {
    case .gelu:
      FeedForward(
        width, hidden: hidden, width, shrink: shrink,
        start: coordinates == 0
          ? nil : .narrow(bound: shrink / Double(hidden).squareRoot(), columns: places.columns), &scope)
    case .gated: GatedFeedForward(width, hidden: hidden, width, shrink: shrink, &scope)
    }
  }

  /// What is wrong with these parts for blocks of such heads; nil where nothing is.
  public func fault(_ sizes: AttentionSizes) -> String? {
    if !(epsilon > 0 && epsilon <= 0.1) { return "epsilon is \(epsilon); it must be above 0 and at most 0.1" }
    if let keyHeads, keyHeads < 1 || !sizes.heads.isMultiple(of: keyHeads) {
      return "keyHeads is \(keyHeads); it must divide heads (\(sizes.heads))"
    }
    if let rotary, !(rotary.base > 1 && rotary.base <= 1e12) {
      return "rotary: base is \(rotary.base); it must be above 1 and at most 1e12"
    }
    if let convolution, !(2...16).contains(convolution) {
      return "convolution is \(convolution); it must be within 2...16, or absent"
    }
    guard (0...64).contains(coordinates) else {
      return "coordinates is \(coordinates); it must be within 0...64"
    }
    if coordinates > 0 {
      guard norm == .layer, feed == .gelu, sizes.keyHeads == sizes.heads, rotary == nil, !inputBiases,
        !gatedReads
      else {
        return
          "rows with coordinates have layer norms, a GELU, all key heads, no rotary positions, no inputBiases and no gatedReads"
      }
      guard coordinates + 1 <= sizes.width, places.columns < sizes.columns else {
        return "\(coordinates) coordinates do not fit into heads \(sizes.width) wide"
      }
    }
    guard (0...1024).contains(lengthScaling) else {
      return "lengthScaling is \(lengthScaling); it must be within 0...1024"
    }
    if rotary != nil, !sizes.width.isMultiple(of: 2) {
      return "rotary turns pairs of numbers; a head is \(sizes.width) wide"
    }
    return nil
  }
}

extension BlockParts: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case norm, epsilon, feed, biases, inputBiases, lengthScaling, keyHeads, rotary, convolution, gatedReads
    case coordinates
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    func read<T: Decodable>(_ key: CodingKeys, _ path: WritableKeyPath<BlockParts, T>) throws {
      if let value = try fields.decodeIfPresent(T.self, forKey: key) { self[keyPath: path] = value }
    }
    try read(.norm, \.norm)
    try read(.epsilon, \.epsilon)
    try read(.feed, \.feed)
    try read(.biases, \.biases)
    try read(.inputBiases, \.inputBiases)
    try read(.lengthScaling, \.lengthScaling)
    keyHeads = try fields.decodeIfPresent(Int.self, forKey: .keyHeads)
    rotary = try fields.decodeIfPresent(Rotary.self, forKey: .rotary)
    convolution = try fields.decodeIfPresent(Int.self, forKey: .convolution)
    try read(.gatedReads, \.gatedReads)
    try read(.coordinates, \.coordinates)
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(norm, forKey: .norm)
    try fields.encode(epsilon, forKey: .epsilon)
    try fields.encode(feed, forKey: .feed)
    try fields.encode(biases, forKey: .biases)
    if inputBiases { try fields.encode(inputBiases, forKey: .inputBiases) }
    if lengthScaling > 0 { try fields.encode(lengthScaling, forKey: .lengthScaling) }
    try fields.encodeIfPresent(keyHeads, forKey: .keyHeads)
    try fields.encodeIfPresent(rotary, forKey: .rotary)
    try fields.encodeIfPresent(convolution, forKey: .convolution)
    if gatedReads { try fields.encode(gatedReads, forKey: .gatedReads) }
    if coordinates > 0 { try fields.encode(coordinates, forKey: .coordinates) }
  }
}
