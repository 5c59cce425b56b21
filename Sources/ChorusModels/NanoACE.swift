import ChorusFiles
import ChorusLayers
import ChorusStorage
import ChorusTensors

/// Weights of nanoACE's `arbuffer` models as its playground publishes them: a folder with `manifest.json`, which names the arrays,
/// and a blob of them as little-endian 16-bit floats.
///
/// What such a model says of its data variable becomes a network of the family `streams`, number by number. What it says of latent
/// variables (length-scales, kernels) is left behind: Chorus asks for values alone.
public struct NanoACE: Sendable {
  private struct Manifest: Decodable {
    struct Sizes: Decodable {
      let xDim, dModel, nHeads, nLayers, mlpHidden, mdnComponents, headHidden: Int
      let minScale: Float
      enum CodingKeys: String, CodingKey {
        case xDim = "x_dim"
        case dModel = "d_model"
        case nHeads = "n_heads"
        case nLayers = "n_layers"
        case mlpHidden = "mlp_hidden"
        case mdnComponents = "mdn_components"
        case headHidden = "head_hidden"
        case minScale = "min_scale"
      }
    }
    struct Modes: Decodable {
      let value, query: Int
      enum CodingKeys: String, CodingKey {
        case value = "VALUE"
        case query = "QUERY"
      }
    }
    struct Variable: Decodable {
      let name, kind, valueType: String
      enum CodingKeys: String, CodingKey {
        case name, kind
        case valueType = "value_type"
      }
    }
    struct Array: Decodable {
      let name: String
      let shape: [Int]
      let offset, length: Int
    }
    let task: String
    let cfg: Sizes
    let modes: Modes
    let variables: [Variable]
    let tensors: [Array]
    let totalFloats: Int
    let weightsFile, dtype, byteOrder: String
    enum CodingKeys: String, CodingKey {
      case task, cfg, modes, variables, tensors, dtype
      case totalFloats = "total_floats"
      case weightsFile = "weights_file"
      case byteOrder = "byte_order"
    }
  }

  private let manifest: Manifest
  private let values: [Float]
  private let arrays: [String: Manifest.Array]
  private let folder: String

  private static let manifestLimit = 16 << 20
  private static let blobLimit = 1 << 30

  /// What the task is called.
  public var task: String { manifest.task }

  /// Reads the folder's manifest and blob.
  ///
  /// - Throws: `StorageError` for files that cannot be read; `ModelError.weights` for a manifest that is not one of these, and for
  ///   arrays that do not lie in the blob.
  public init(folder: String) throws {
    self.folder = folder
    let path = folder + "/manifest.json"
    let json = try RegularFile.read(path, limit: Self.manifestLimit)
    do { manifest = try JSON.decode(Manifest.self, from: json) } catch {
      throw ModelError.weights("\(path) is not a manifest of nanoACE's: \(Self.words(error))")
    }
    guard manifest.dtype == "float16", manifest.byteOrder == "little" else {
      throw ModelError.weights(
        "\(path): numbers are \(manifest.dtype), \(manifest.byteOrder); little-endian float16 is read")
    }
    // A name in a file must not lead out of its folder.
    guard !manifest.weightsFile.contains("/" as Character), !manifest.weightsFile.hasPrefix(".") else {
      throw ModelError.weights("\(path): weights_file is '\(manifest.weightsFile)'; a plain name is read")
    }
    let blob = try RegularFile.read(folder + "/" + manifest.weightsFile, limit: Self.blobLimit)
    guard manifest.totalFloats >= 0,
      blob.count.quotientAndRemainder(dividingBy: 2) == (manifest.totalFloats, 0)
    else {
      throw ModelError.weights(
        "\(folder)/\(manifest.weightsFile) has \(blob.count) bytes; \(path) tells of \(manifest.totalFloats) numbers of 2"
      )
    }
    values = blob.withUnsafeBytes { bytes in
      (0..<bytes.count / 2).map {
        HalfPrecision.float(
          fromBinary16: UInt16(bytes[2 * $0]) | UInt16(bytes[2 * $0 + 1]) << 8)
      }
    }
    var arrays: [String: Manifest.Array] = [:]
    for array in manifest.tensors {
      let (end, isTooFar) = array.offset.addingReportingOverflow(array.length)
      guard array.offset >= 0, array.length >= 0, !isTooFar, end <= values.count else {
        throw ModelError.weights("\(path): '\(array.name)' does not lie within the blob")
      }
      guard arrays.updateValue(array, forKey: array.name) == nil else {
        throw ModelError.weights("\(path): '\(array.name)' is there twice")
      }
    }
    self.arrays = arrays
  }

  private static func words(_ error: any Error) -> String {
    switch error as? DecodingError {
    case .keyNotFound(let key, _): "it has no '\(key.stringValue)'"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      context.debugDescription
    default: "\(error)"
    }
  }

  /// The blueprint of the network that has these weights.
  ///
  /// - Parameters:
  ///   - context: rows of the largest context seen in training, which no file tells; the extension's default is 20.
  ///   - buffer: the same of its buffer; 64.
  public func blueprint(context: Int = 20, buffer: Int = 64) -> Blueprint {
    let sizes = manifest.cfg
    var blueprint = Blueprint()
    blueprint.family = .streams
    blueprint.width = sizes.dModel
    blueprint.layers = sizes.nLayers
    blueprint.heads = sizes.nHeads
    blueprint.feedForward = sizes.mlpHidden
    blueprint.embedderHidden = sizes.mlpHidden
    blueprint.inputDimensions = sizes.xDim
    blueprint.headHidden = sizes.headHidden
    blueprint.head = .mixture(components: sizes.mdnComponents, floor: sizes.minScale)
    blueprint.trainedContext = context
    blueprint.trainedBuffer = buffer
    return blueprint
  }

  /// The model, 32-bit weights.
  public func model(context: Int = 20, buffer: Int = 64) throws -> Model {
    let declared = try Declaration(blueprint(context: context, buffer: buffer))
    let arrays = try chorusArrays(declared.blueprint)
    let weights = Weights(declared.table)
    for p in declared.table.all {
      guard let own = arrays[p.path], own.count == p.count, own.allSatisfy(\.isFinite) else {
        throw ModelError.weights("\(folder): what becomes \(p.path) is not \(p.count) finite numbers")
      }
      own.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { weights[p].update(from: base, count: p.count) }
      }
    }
    weights.pack()
    let card = [
      "prior": manifest.task, "origin": "nanoACE (acerbilab), imported from its weights",
      "latents": "left behind: values of the data variable alone are predicted", "input_reach": "1",
    ]
    return Model(network: try declared.network(weights), card: card, source: folder)
  }

  // MARK: Arrays

  /// An array of the blob.
  private func array(_ name: String, _ shape: [Int]) throws(ModelError) -> [Float] {
    guard let array = arrays[name] else {
      let isSeparate = name.hasSuffix("buf_bias")
      throw .weights(
        "\(folder) has no '\(name)'"
          + (isSeparate
            ? "; models that read buffer and context by one softmax are imported (exported after --concat-read)"
            : "")
      )
    }
    guard array.shape == shape, array.length == shape.reduce(1, *) else {
      throw .weights("\(folder): '\(name)' has shape \(array.shape); \(shape) is expected")
    }
    return Array(values[array.offset..<array.offset + array.length])
  }

  /// A matrix `[outputs, inputs]` as `[inputs, outputs]`, some of its rows alone.
  private func map(
    _ name: String, _ shape: [Int], rows: Range<Int>? = nil
  ) throws(ModelError) -> [Float] {
    let (all, inputs) = (try array(name, shape), shape[1])
    let rows = rows ?? 0..<shape[0]
    var out = [Float](repeating: 0, count: rows.count * inputs)
    for (place, row) in rows.enumerated() {
      for i in 0..<inputs { out[i * rows.count + place] = all[row * inputs + i] }
    }
    return out
  }

  /// The parameters of the network, by path.
  private func chorusArrays(_ blueprint: Blueprint) throws(ModelError) -> [String: [Float]] {
    guard let variable = manifest.variables.firstIndex(where: { $0.kind == "data" }),
      manifest.variables[variable].valueType == "continuous"
    else { throw .weights("\(folder): no variable is continuous data") }
    let (d, hidden) = (blueprint.width, blueprint.feedForward)
    var out: [String: [Float]] = [:]
    func perceptron(
      _ name: String, _ path: String, _ inputs: Int, _ hidden: Int, _ outputs: Int
    ) throws(ModelError) {
      out[path + ".up.weight"] = try map(name + ".0.weight", [hidden, inputs])
      out[path + ".up.bias"] = try array(name + ".0.bias", [hidden])
      out[path + ".down.weight"] = try map(name + ".2.weight", [outputs, hidden])
      out[path + ".down.bias"] = try array(name + ".2.bias", [outputs])
    }
    func norm(_ name: String, _ path: String) throws(ModelError) {
      out[path + ".gain"] = try array(name + ".weight", [d])
      out[path + ".bias"] = try array(name + ".bias", [d])
    }
    try perceptron("x_embed", "embed.x", blueprint.inputDimensions, hidden, d)
    try perceptron("value_embed", "embed.y", 1, hidden, d)
    let variables = try array("var_embed.weight", [manifest.variables.count, d])
    let modes = try array("mode_embed.weight", [3, d])
    guard (0..<3).contains(manifest.modes.value), (0..<3).contains(manifest.modes.query) else {
      throw .weights("\(folder): there are three modes of a token")
    }
    func token(_ mode: Int, _ payload: [Float]?) -> [Float] {
      (0..<d).map { variables[variable * d + $0] + modes[mode * d + $0] + (payload?[$0] ?? 0) }
    }
    let unknown = try array("unknown", [d])
    out["role.context"] = token(manifest.modes.value, nil)
    out["role.buffer"] = token(manifest.modes.value, nil)
    out["role.target"] = token(manifest.modes.query, unknown)
    // These models were never shown an empty context: a value that nobody knows stands for one.
    out["context.empty"] = token(manifest.modes.value, unknown)
    for layer in 0..<blueprint.layers {
      let (base, buffer, path) = ("blocks.\(layer).", "buf_blocks.\(layer).", "block.\(layer).")
      for (names, stream, block) in [
        ("ctx", "context", base), ("buf", "buffer", buffer), ("tgt", "target", base),
      ] {
        try norm(block + names + "_ln1", path + stream + ".norm1")
        try norm(block + names + "_ln2", path + stream + ".norm2")
        try perceptron(block + names + "_mlp", path + stream + ".feed", d, hidden, d)
      }
      for (name, stream) in [(base + "ctx_attn", "context"), (buffer + "buf_attn", "buffer")] {
        let biases = try array(name + ".in_proj_bias", [3 * d])
        out[path + stream + ".query.weight"] = try map(name + ".in_proj_weight", [3 * d, d], rows: 0..<d)
        out[path + stream + ".query.bias"] = Array(biases[..<d])
        out[path + stream + ".keyvalue.weight"] = try map(
          name + ".in_proj_weight", [3 * d, d], rows: d..<3 * d)
        out[path + stream + ".keyvalue.bias"] = Array(biases[d...])
        out[path + stream + ".out.weight"] = try map(name + ".out_proj.weight", [d, d])
        out[path + stream + ".out.bias"] = try array(name + ".out_proj.bias", [d])
      }
      try norm(base + "kv_ln", path + "target.stored.norm")
      try reading(
        base + "cross_attn", gate: buffer + "buf_bias", blueprint.attention, path + "target.", into: &out)
    }
    try norm("final_norm", "final.norm")
    let outputs = 3 * manifest.cfg.mdnComponents
    try perceptron("cont_head", "head", d, blueprint.headHidden, outputs)
    return out
  }

  /// The attention by which targets read, in heads four columns wider: queries are 1 in the first of them, and keys of buffer rows
  /// there what their logits are raised by. Logits are scaled by the root of the wider width, which queries make up for.
  private func reading(
    _ name: String, gate: String, _ sizes: AttentionSizes, _ path: String, into out: inout [String: [Float]]
  ) throws(ModelError) {
    let (heads, width) = (sizes.heads, sizes.width)
    let wide = StreamBlock.reading(sizes)
    let d = sizes.columns
    let biases = try array(name + ".in_proj_bias", [3 * d])
    let raised = try array(gate, [heads])
    /// Columns of heads with room behind each.
    func widened(_ matrix: [Float], rows: Int) -> [Float] {
      var out = [Float](repeating: 0, count: rows * wide.columns)
      for row in 0..<rows {
        for head in 0..<heads {
          for i in 0..<width {
            out[row * wide.columns + head * wide.width + i] = matrix[row * d + head * width + i]
          }
        }
      }
      return out
    }
    func part(_ index: Int) throws(ModelError) -> (weight: [Float], bias: [Float]) {
      let rows = index * d..<(index + 1) * d
      return (
        widened(try map(name + ".in_proj_weight", [3 * d, d], rows: rows), rows: d),
        widened(Array(biases[rows]), rows: 1)
      )
    }
    let (query, key, value) = (try part(0), try part(1), try part(2))
    let stretch = (Float(wide.width) / Float(width)).squareRoot()
    out[path + "query.weight"] = query.weight.map { $0 * stretch }
    var queryBias = query.bias.map { $0 * stretch }
    var (contextBias, bufferBias) = (key.bias, key.bias)
    for head in 0..<heads {
      queryBias[head * wide.width + width] = 1
      contextBias[head * wide.width + width] = 0
      bufferBias[head * wide.width + width] = raised[head] / wide.scale
    }
    out[path + "query.bias"] = queryBias
    var stored: [Float] = []
    for row in 0..<d {
      stored += key.weight[row * wide.columns..<(row + 1) * wide.columns]
      stored += value.weight[row * wide.columns..<(row + 1) * wide.columns]
    }
    for (stream, bias) in [("context", contextBias), ("buffer", bufferBias)] {
      out[path + "stored.\(stream).weight"] = stored
      out[path + "stored.\(stream).bias"] = bias + value.bias
    }
    let back = try map(name + ".out_proj.weight", [d, d])
    var wideBack = [Float](repeating: 0, count: wide.columns * d)
    for head in 0..<heads {
      for i in 0..<width {
        let (from, to) = ((head * width + i) * d, (head * wide.width + i) * d)
        for column in 0..<d { wideBack[to + column] = back[from + column] }
      }
    }
    out[path + "out.weight"] = wideBack
    out[path + "out.bias"] = try array(name + ".out_proj.bias", [d])
  }
}
