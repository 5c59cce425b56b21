import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusTensors

/// A blueprint as files of the first version have it: one architecture with options. It is read into today's, and written
/// only to tell the fingerprint that contexts of that version name their model by.
struct BlueprintV1: Codable {
  enum ScalingRule: String, Codable { case none, standardise, residual }

  var version = 1
  var width = 128
  var layers = 6
  var heads = 4
  var feedForward = 256
  var embedderHidden = 256
  var headHidden = 256
  var components = 20
  var sigmaFloor: Float = 1e-3
  var inputDimensions = 1
  var frequencies = 0
  var periods = 0
  var neighbours = 0
  var localComponents = 0
  var norm = Block.Order.pre
  var bufferPositions = 0
  var scaling = ScalingRule.none
  var memories: [LayerMemory] = []
  var trainedContext = 192
  var trainedBuffer = 64

  enum CodingKeys: String, CodingKey, CaseIterable {
    case version, width, layers, heads, feedForward, embedderHidden, headHidden, components, sigmaFloor
    case inputDimensions, frequencies, periods, neighbours, localComponents, norm, bufferPositions, scaling,
      memories
    case trainedContext, trainedBuffer
  }

  init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    func read<T: Decodable>(_ key: CodingKeys, _ path: WritableKeyPath<BlueprintV1, T>) throws {
      if let value = try fields.decodeIfPresent(T.self, forKey: key) { self[keyPath: path] = value }
    }
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
    guard scaling != .residual || periods > 0 else {
      throw ModelError.blueprint("scaling 'residual' fits waves; periods must be at least 1")
    }
    guard neighbours >= 0, periods >= 0 else {
      throw ModelError.blueprint("periods and neighbours must not be negative")
    }
  }

  /// The same in today's words.
  var blueprint: Blueprint {
    var now = Blueprint()
    (now.width, now.layers, now.heads, now.norm) = (width, layers, heads, norm)
    (now.feedForward, now.embedderHidden, now.headHidden) = (feedForward, embedderHidden, headHidden)
    (now.inputDimensions, now.frequencies, now.bufferPositions) = (
      inputDimensions, frequencies, bufferPositions == 0 ? .none : .learned(bufferPositions)
    )
    now.memories = memories
    now.scaling = scaling == .none ? .none : .standardise
    var hints: [any Hint] = []
    if periods > 0 { hints.append(TrendAndWaves(waves: periods, subtracts: scaling == .residual)) }
    now.hints = Hints(hints, rows: neighbours > 0 ? [LocalSplines(neighbours: neighbours)] : [])
    now.head = .mixture(components: components, around: localComponents, floor: sigmaFloor)
    (now.trainedContext, now.trainedBuffer) = (trainedContext, trainedBuffer)
    return now
  }

  /// The first version's words for a blueprint; nil where it has none.
  init?(_ now: Blueprint) {
    guard now.family == .set, let head = now.head.specification as? MixtureHead.Specification,
      now.hints.hints.allSatisfy({ $0 is TrendAndWaves }), now.hints.hints.count <= 1,
      now.hints.rows.allSatisfy({ $0 is LocalSplines }), now.hints.rows.count <= 1,
      let positions = now.bufferPositions.learned
    else { return nil }
    (width, layers, heads, norm) = (now.width, now.layers, now.heads, now.norm)
    (feedForward, embedderHidden, headHidden) = (now.feedForward, now.embedderHidden, now.headHidden)
    (inputDimensions, frequencies, bufferPositions) = (
      now.inputDimensions, now.frequencies, positions
    )
    memories = now.memories
    let waves = now.hints.first(TrendAndWaves.self)
    periods = waves?.waves ?? 0
    scaling = now.scaling == .none ? .none : waves?.subtracts == true ? .residual : .standardise
    neighbours = now.hints.first(LocalSplines.self)?.neighbours ?? 0
    (components, localComponents, sigmaFloor) = (head.components, head.around, head.floor)
    (trainedContext, trainedBuffer) = (now.trainedContext, now.trainedBuffer)
  }
}
