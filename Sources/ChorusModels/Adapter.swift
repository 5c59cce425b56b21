import ChorusFiles
import ChorusLayers
import ChorusStorage
import ChorusTensors

/// Low-rank changes of a model's matrices (LoRA, Hu et al. 2022): W = W₀ + A·B for every matrix of the blocks, with A
/// `[rows, rank]` and B `[rank, columns]`, and the role of buffer rows as it is. All else stays the base's.
///
/// It is how a buffer is added to a set model that was trained without one, and a small file that is read beside its base.
public struct Adapter: Sendable {
  /// The base with the sizes of buffer and context that the adapter was trained for.
  public let blueprint: Blueprint
  public let rank: Int
  private let base: Model
  private let scope: ParameterScope
  private let changes: [Change]

  /// Parameters that an adapter learns in the place of one of the base's.
  private enum Change: Sendable {
    case matrix(Parameter, down: Parameter, up: Parameter)
    /// A vector that is learned itself.
    case whole(Parameter, own: Parameter)
  }

  /// What a file of an adapter says.
  private static let format = "chorus-adapter-1"

  /// The parameters that are learned.
  public var table: ParameterTable { scope.table }

  /// - Parameter blueprint: the base's, but for the sizes that training shows.
  /// - Throws: `ModelError.blueprint` for another network than the base, or a rank that is none.
  public init(of base: Model, blueprint: Blueprint, rank: Int) throws(ModelError) {
    var same = base.blueprint
    (same.trainedContext, same.trainedBuffer) = (blueprint.trainedContext, blueprint.trainedBuffer)
    guard same == blueprint else {
      throw .blueprint("an adapter has the blueprint of its base, but for trainedContext and trainedBuffer")
    }
    guard (1...blueprint.width).contains(rank) else {
      throw .blueprint("the rank of an adapter is \(rank); it must be within 1...\(blueprint.width)")
    }
    (self.base, self.blueprint, self.rank) = (base, blueprint, rank)
    var scope = ParameterScope()
    changes = base.network.weights.table.all.compactMap { parameter in
      if parameter.path == "role.buffer" {
        let start = UnsafeBufferPointer(start: base.network.weights[parameter], count: parameter.count)
        return .whole(
          parameter,
          own: scope.parameter(parameter.path, parameter.rows, parameter.columns, .values(Array(start))))
      }
      guard parameter.isWeight, parameter.path.hasPrefix("block.") else { return nil }
      // B begins at zero, and with it the change.
      let deviation = 1 / Double(parameter.rows).squareRoot()
      return .matrix(
        parameter,
        down: scope.parameter(parameter.path + ".a", parameter.rows, rank, .normal(deviation: deviation)),
        up: scope.parameter(parameter.path + ".b", rank, parameter.columns, .zeros))
    }
    self.scope = scope
  }

  /// Fills `values` with a fresh start, a pure function of `seed`, which changes nothing of the base.
  public func initialise(_ values: Weights, seed: UInt64) { scope.start(values, seed: seed) }

  /// The weights of the whole network with learned `values`.
  public func compose(_ values: Weights, into weights: Weights, on pool: ThreadPool? = nil) {
    weights.values.copy(from: base.network.weights.values)
    for change in changes {
      switch change {
      case .whole(let parameter, let own): weights[parameter].update(from: values[own], count: own.count)
      case .matrix(let parameter, let down, let up):
        let (w, a, b) = (weights[parameter], values[down], values[up])
        for row in 0..<parameter.rows {
          for k in 0..<rank {
            let factor = a[row * rank + k]
            for column in 0..<parameter.columns {
              w[row * parameter.columns + column] += factor * b[k * parameter.columns + column]
            }
          }
        }
      }
    }
    weights.pack(on: pool)
  }

  /// The gradient by the learned values, of that by the whole network's weights: ∂A = ∂W Bᵀ and ∂B = Aᵀ ∂W. Adds to `out`.
  public func project(_ gradient: FloatBuffer, at values: Weights, into out: FloatBuffer) {
    for change in changes {
      switch change {
      case .whole(let parameter, let own):
        for i in 0..<own.count { out.pointer[own.offset + i] += gradient.pointer[parameter.offset + i] }
      case .matrix(let parameter, let down, let up):
        let (g, a, b) = (gradient.pointer + parameter.offset, values[down], values[up])
        let (da, db) = (out.pointer + down.offset, out.pointer + up.offset)
        for row in 0..<parameter.rows {
          for k in 0..<rank {
            var sum: Float = 0
            for column in 0..<parameter.columns {
              let slope = g[row * parameter.columns + column]
              sum += slope * b[k * parameter.columns + column]
              db[k * parameter.columns + column] += a[row * rank + k] * slope
            }
            da[row * rank + k] += sum
          }
        }
      }
    }
  }

  /// The whole network with learned `values`.
  public func model(
    _ values: Weights, card: [String: String], source: String, precision: Precision = .f32
  ) throws -> Model {
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table, precision: precision)
    compose(values, into: weights)
    return Model(network: try declared.network(weights), card: card, source: source)
  }

  // MARK: Files

  /// Writes the learned `values`, whole or not at all. The file names its base by name and fingerprint.
  public func write(_ values: Weights, card: [String: String], to path: String) throws {
    var metadata = card
    metadata["format"] = Self.format
    metadata["blueprint"] = try JSON.encode(blueprint)
    metadata["rank"] = String(rank)
    metadata["base"] = base.name
    metadata["base_fingerprint"] = try base.fingerprint
    var writer = SafetensorsWriter(metadata: metadata)
    for p in table.all {
      try writer.add(
        p.path, shape: p.shape, floats: Array(UnsafeBufferPointer(start: values[p], count: p.count)), as: .f32
      )
    }
    try writer.write(to: path)
  }

  /// Whether a file holds an adapter.
  static func isAdapter(_ file: Safetensors) -> Bool { file.metadata["format"] == format }

  /// The base of an adapter's file with its changes. The base is a shipped model, or lies beside the file.
  static func read(_ file: Safetensors, path: String, precision: Precision) throws -> Model {
    guard let name = file.metadata["base"], let fingerprint = file.metadata["base_fingerprint"],
      let rank = file.metadata["rank"].flatMap({ Int($0) }), let json = file.metadata["blueprint"],
      let blueprint = try? JSON.decode(Blueprint.self, from: json)
    else { throw ModelError.weights("\(path): the metadata of the adapter cannot be read") }
    // A name out of a file: it must not lead anywhere else.
    let isLetter = { (byte: UInt8) in
      (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || ".-_".utf8.contains(byte)
    }
    guard (1...128).contains(name.utf8.count), name.utf8.allSatisfy(isLetter) else {
      throw ModelError.weights("\(path): the adapter's base is no name of a model")
    }
    let beside = path.folderOfPath + "/\(name).safetensors"
    let place = beside.isThere ? beside : ModelLocation.shipped(name)
    guard let place, place != path else {
      throw ModelError.missing(
        "\(path) changes the model '\(name)', which is not shipped; put \(name).safetensors beside it")
    }
    // A base that is an adapter itself could name this file in turn.
    guard !isAdapter(try Safetensors(path: place)) else {
      throw ModelError.weights(
        "\(path) changes \(place), which is an adapter itself; its base has to be a whole model")
    }
    let base = try Model(path: place)
    guard try base.has(fingerprint: fingerprint) else {
      throw ModelError.weights("\(path) changes another model than \(place): their fingerprints differ")
    }
    let adapter = try Adapter(of: base, blueprint: blueprint, rank: rank)
    let values = Weights(adapter.table)
    try values.read(file, path: path)
    let own: Set = ["format", "blueprint", "hash", "sha256", "rank", "base_fingerprint"]
    return try adapter.model(
      values, card: file.metadata.filter { !own.contains($0.key) }, source: path, precision: precision)
  }
}
