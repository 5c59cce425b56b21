extension Plan {
  /// What a plan costs, counted call by call as an executor's counters would.
  ///
  /// Paths drawn side by side share the encoding of the observed rows. Everything after it is each path's
  /// own, a merged context included, since its values and order differ from path to path. A network call
  /// serves all paths.
  public struct Cost: Sendable, Hashable {
    /// Network calls one after another, S. Encoding a context rides with the call after it.
    public let calls: Int
    /// Times that the context is encoded anew; each path's own encoding is part of the same event.
    public let merges: Int
    /// Rows through the network, E.
    public let encodes: Int
    /// Those of the rows that ask for a prediction; the others bring a value.
    public let queries: Int
    /// Query-key pairs, R, for each layer and head. A row that asks does not read itself; a buffer row does.
    public let reads: Int
    /// The most context and buffer rows in use by one call, a shared context counted once.
    public let peakRows: Int
  }

  /// The cost of drawing `paths` paths (or scoring them step by step) side by side, by enumeration.
  ///
  /// - Parameter context: another number of observed rows than the plan's own.
  public func cost(context: Int? = nil, paths: Int = 1) throws(PlanError) -> Cost {
    let observed = context ?? contextRows
    try check(observed, "context", in: 0...Int.max)
    try check(paths, "paths", in: 1...Int.max)
    var calls = 0
    var merges = 0
    var peak = 0
    var queries = Count("the number of queries")
    var encodes = Count("the number of encoded rows")
    var reads = Count("the number of reads")
    try forEachCall { (call) throws(PlanError) in
      calls += 1
      if !call.merge.isEmpty { merges += 1 }
      let sharers = call.merged == 0 ? 1 : paths
      var rows = Count("the number of context rows", observed)
      try rows.add(call.merged)
      let known = rows.value
      if call.encodes {
        try encodes.add(known, times: sharers)
        try reads.add(reads.product(known, known), times: sharers)
      }
      // Each committed row reads the context, the rows before its call and those of its call up to itself.
      let commits = call.commit.count
      let before = call.buffered - commits
      try encodes.add(commits, times: paths)
      try reads.add(reads.product(commits, known), times: paths)
      try reads.add(commits * before + commits * (commits + 1) / 2, times: paths)
      try rows.add(call.limit)
      try encodes.add(call.predict.count, times: paths)
      try queries.add(call.predict.count, times: paths)
      try reads.add(reads.product(call.predict.count, rows.value), times: paths)
      var held = Count("the number of rows held")
      try held.add(known, times: sharers)
      try held.add(call.buffered, times: paths)
      peak = max(peak, held.value)
    }
    return Cost(
      calls: calls, merges: merges, encodes: encodes.value, queries: queries.value, reads: reads.value,
      peakRows: peak)
  }
}

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

/// A sum of products that names itself when it outgrows its integer.
private struct Count {
  let name: String
  private(set) var value: Int

  init(_ name: String, _ value: Int = 0) {
    self.name = name
    self.value = value
  }

  mutating func add(_ count: Int, times factor: Int = 1) throws(PlanError) {
    let (sum, overflow) = value.addingReportingOverflow(try product(count, factor))
    guard !overflow else { throw .overflow(name) }
    value = sum
  }

  func product(_ a: Int, _ b: Int) throws(PlanError) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    guard !overflow else { throw .overflow(name) }
    return product
  }
}
