/// The sizes of a model that decide what a row costs, as plain numbers.
public struct ModelSize: Sendable, Hashable, Codable {
  /// The width d of a row.
  public var width: Int
  /// The number D of layers.
  public var layers: Int
  /// The width of the hidden layer between attentions.
  public var feedForward: Int
  /// Attention heads. They share the width, so they multiply the exponentials and not the FLOPs.
  public var heads: Int
  /// The hidden width of the prediction head.
  public var headHidden: Int
  /// The hidden width of the embedders of inputs and of values.
  public var embedderHidden: Int
  /// The components of the predicted mixture, three numbers each.
  public var components: Int
  /// The number of inputs of a row.
  public var features: Int

  public init(
    width: Int, layers: Int, feedForward: Int, heads: Int, headHidden: Int, embedderHidden: Int,
    components: Int, features: Int
  ) {
    self.width = width
    self.layers = layers
    self.feedForward = feedForward
    self.heads = heads
    self.headHidden = headHidden
    self.embedderHidden = embedderHidden
    self.components = components
    self.features = features
  }
}

/// Nominal floating-point operations, a multiplication and an addition counted as two. Exact up to 2^53.
///
/// Norms, activations and softmax are not counted; neither are padding and masked work, which only a
/// measurement of the executed operations can show.
public struct NominalWork: Sendable, Hashable {
  /// Layers: D [E (8d² + 4d ff) + 4dR].
  public let trunk: Double
  /// A skip perceptron from the inputs of each row, and one from the value of each row that brings one.
  public let embedders: Double
  /// A perceptron from each row that asks to three numbers a mixture component.
  public let heads: Double
  /// Exponentials of the softmax, one for each pair, head and layer. Not in the total.
  public let exponentials: Double

  public var total: Double { trunk + embedders + heads }
}

extension Plan.Cost {
  /// The nominal floating-point operations on a model of this size.
  public func work(_ size: ModelSize) -> NominalWork {
    let width = Double(size.width)
    let embedderHidden = Double(size.embedderHidden)
    let row = 8 * width * width + 4 * width * Double(size.feedForward)
    func embedder(_ inputs: Double) -> Double { 2 * inputs * width + 4 * width * embedderHidden }
    let head = 2 * Double(size.headHidden) * (width + 3 * Double(size.components))
    return NominalWork(
      trunk: Double(size.layers) * (Double(encodes) * row + 4 * width * Double(reads)),
      embedders: Double(encodes) * embedder(Double(size.features))
        + Double(encodes - queries) * embedder(1),
      heads: Double(queries) * head,
      exponentials: Double(size.layers) * Double(size.heads) * Double(reads))
  }

  /// The bytes of keys and values of the context state and the buffers at their peak.
  ///
  /// For memories that keep every row; one of fixed size holds less.
  public func bytes(_ size: ModelSize, bytesPerNumber: Int = 4) throws(PlanError) -> Int {
    let count = Count("the number of bytes")
    let rows = try count.product(count.product(peakRows, 2), bytesPerNumber)
    return try count.product(count.product(rows, size.width), size.layers)
  }
}
