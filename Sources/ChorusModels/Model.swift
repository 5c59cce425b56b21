import ChorusFiles
import ChorusHints
import ChorusStorage
import ChorusTensors

/// A trained network with what is known about it.
///
/// ```swift
/// let model = try Model(named: "gp")  // a shipped model, or a path
/// print(model.blueprint.trainedContext, model.card["prior"] ?? "unknown")
/// ```
public struct Model: Sendable {
  public let network: any Architecture
  /// What the file says beside the blueprint: prior, tasks seen, command, licence.
  public let card: [String: String]
  /// Where it came from, for messages.
  public let source: String
  /// The checksum of the file that it was read from, which decides blueprint and weights; nil where it is of no such file.
  package private(set) var checksum: String?
  private let own = Fingerprint()
  /// None or one: a structure does not hold itself.
  private var others: [Model] = []

  public var blueprint: Blueprint { network.blueprint }
  static let format = "chorus-model-1"

  public init(network: any Architecture, card: [String: String] = [:], source: String = "memory") {
    self.network = network
    self.card = card
    self.source = source
  }

  /// The network of the family `classes` that is asked of a table's categories: this one, or one beside it; nil where there is none, and
  /// estimators say them alone.
  public var ofCategories: Model? { blueprint.family == .classes ? self : others.first }

  /// This model of a table's numbers, with another that is asked of its categories; nil leaves them to estimators.
  ///
  /// - Throws: `ModelError.input` where either is of another family.
  public func with(ofCategories other: Model?) throws(ModelError) -> Model {
    guard blueprint.family == .table, other.map({ $0.blueprint.family == .classes }) ?? true else {
      throw .input(
        "a model of family 'table' is asked of numbers, beside one of family 'classes' that is asked of categories"
      )
    }
    var both = self
    both.others = other.map { [$0] } ?? []
    return both
  }

  /// Reads a safetensors file whose metadata holds the blueprint as JSON, or an adapter beside its base.
  ///
  /// - Parameter precision: what matrix products are rounded to.
  /// - Throws: `StorageError` when the file cannot be read or does not verify; `ModelError` when its blueprint is
  ///   unknown, or a parameter is absent, of another shape, not finite, or not part of the blueprint.
  public init(path: String, precision: Precision = .f32) throws {
    let file = try Safetensors(path: path)
    if Adapter.isAdapter(file) {
      self = try Adapter.read(file, path: path, precision: precision)
      return
    }
    guard file.metadata["format"] == Self.format, let json = file.metadata["blueprint"] else {
      throw ModelError.weights("\(path) is not a Chorus model: its metadata lacks format \(Self.format)")
    }
    let blueprint: Blueprint
    do {
      blueprint = try JSON.decode(Blueprint.self, from: json)
    } catch let error as UnknownField {
      throw ModelError.weights("\(path): the blueprint in the metadata is of another version: \(error)")
    } catch {
      throw ModelError.weights("\(path): the blueprint in the metadata cannot be read")
    }
    let declared = try Declaration(blueprint)
    // Before memory is taken: a damaged blueprint may ask for any size, the file's own is bounded.
    for p in declared.table.all where file[p.path]?.shape != p.shape {
      _ = try file.floats(p.path, shape: p.shape)
    }
    let weights = Weights(declared.table, precision: precision)
    try weights.read(file, path: path)
    weights.pack()
    let own: Set = ["format", "blueprint", "hash", "sha256"]
    self.init(
      network: try declared.network(weights), card: file.metadata.filter { !own.contains($0.key) },
      source: path)
    if case .verified(let sha256) = file.verification { checksum = sha256 }
  }

  /// Writes the model, whole or not at all.
  ///
  /// - Parameter half: store weights as 16-bit floats, as shipped models do; arithmetic stays 32-bit.
  public func write(to path: String, half: Bool = true) throws {
    var writer = SafetensorsWriter(
      metadata: try Self.metadata(blueprint).merging(card, uniquingKeysWith: { own, _ in own }))
    for (name, shape, values) in parameters {
      try writer.add(name, shape: shape, floats: values, as: half ? .f16 : .f32)
    }
    try writer.write(to: path)
  }

  private static func metadata(_ blueprint: some Encodable) throws -> [String: String] {
    ["format": format, "blueprint": try JSON.encode(blueprint)]
  }

  private var parameters: [(name: String, shape: [Int], values: UnsafeBufferPointer<Float>)] {
    network.weights.table.all.map {
      ($0.path, $0.shape, UnsafeBufferPointer(start: network.weights[$0], count: $0.count))
    }
  }

  private func fingerprint(_ blueprint: some Encodable) throws -> String {
    // The weights stay where they are as long as the network does.
    try withExtendedLifetime(network) {
      SafetensorsWriter.sha256(metadata: try Self.metadata(blueprint), floats: parameters)
    }
  }

  /// A SHA-256, in hexadecimal, of the blueprint and all weights: what decides every answer. Models that differ in
  /// their card or in how their file stores the weights have the same.
  public var fingerprint: String {
    get throws { try own.value { try fingerprint(blueprint) } }
  }

  /// Whether a fingerprint is this model's. Contexts of earlier versions name their model by a blueprint in the words of that
  /// version.
  ///
  /// - Parameter file: the checksum of the file of the model that is meant, where that is known: it tells without the fingerprint, for
  ///   which all weights are read.
  public func has(fingerprint: String, file: String? = nil) throws -> Bool {
    if let file, file == checksum { return true }
    if try self.fingerprint == fingerprint { return true }
    guard let before = BlueprintV1(blueprint) else { return false }
    return try self.fingerprint(before) == fingerprint
  }

  /// What it is called: the name of its file.
  public var name: String {
    let file = source.split(separator: "/").last.map(String.init) ?? source
    return file.hasSuffix(".safetensors") ? String(file.dropLast(12)) : file
  }

  /// The largest magnitude of an input that training has shown, in the network's units; nil where nothing tells it.
  ///
  /// It is the card's `input_reach`. Models of the built-in priors that lack one have that of the prior: ±2 for the
  /// Gaussian processes and sawtooths; 3√3 for `functions`, whose farthest question is as far beyond a context on half of the domain
  /// as the context is wide, by whose mean and standard deviation inputs are scaled.
  public var inputReach: Double? {
    if let text = card["input_reach"], let reach = Double(text), reach > 0, reach.isFinite { return reach }
    switch (card["prior"], blueprint.scaling) {
    case ("functions", .standardise): return 5.2
    case ("gp", .none), ("gp-noisy", .none), ("sawtooth", .none): return 2
    default: return nil
    }
  }

  /// The number of learned values.
  public var parameterCount: Int { network.weights.table.all.reduce(0) { $0 + $1.count } }
}

extension Weights {
  /// Takes every parameter of the table from `file`, or fails with the name of the first that does not fit.
  public func read(_ file: Safetensors, path: String, prefix: String = "") throws {
    for p in table.all {
      let values = try file.floats(prefix + p.path, shape: p.shape)
      guard values.allSatisfy(\.isFinite) else {
        throw ModelError.weights("\(path): \(p.path) holds a value that is not a finite number")
      }
      values.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { self[p].update(from: base, count: p.count) }
      }
    }
    if prefix.isEmpty {
      let unused = file.unused(after: table.all.map(\.path))
      guard unused.isEmpty else {
        throw ModelError.weights(
          "\(path) holds \(unused.count) arrays that its blueprint does not use, the first '\(unused[0])'")
      }
    }
  }
}

/// The fingerprint of a network, whose weights never change: worked out once, since it reads all of them.
private final class Fingerprint: Sendable {
  private let known = Lock<String?>(nil)

  func value(_ work: () throws -> String) throws -> String {
    if let known = known.withLock({ $0 }) { return known }
    let new = try work()
    known.withLock { $0 = new }
    return new
  }
}
