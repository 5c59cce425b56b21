import ChorusFiles
import ChorusLayers
import ChorusStorage
import ChorusTensors
import Foundation

/// Weights of TabICL (Qu et al. 2025) as `tools/convert_tabicl.py` writes them: the arrays of a checkpoint as safetensors under their
/// own names, and its whole configuration as JSON in the metadata.
///
/// They become a network of the family `cells`, number by number. A classifier gets the head `categorical`, a regressor `quantiles`.
/// What TabICL's Python package does around its network is left to the caller: filling and scaling of columns, ensembles over
/// their orders, trees for more classes than the network knows.
public struct TabICL: Sendable {
  struct Sizes: Decodable {
    let maxClasses, numQuantiles, embedDim, colNumBlocks, colNhead, colNumInds: Int
    let colAffine, colTargetAware: Bool
    let colFeatureGroup: String
    let colFeatureGroupSize: Int
    let colSsmax, iclSsmax: String
    let rowNumBlocks, rowNhead, rowNumCls: Int
    let rowRopeBase: Double
    let rowRopeInterleaved: Bool
    let iclNumBlocks, iclNhead, ffFactor: Int
    let activation: String
    let normFirst, biasFreeLn: Bool

    enum CodingKeys: String, CodingKey {
      case maxClasses = "max_classes"
      case numQuantiles = "num_quantiles"
      case embedDim = "embed_dim"
      case colNumBlocks = "col_num_blocks"
      case colNhead = "col_nhead"
      case colNumInds = "col_num_inds"
      case colAffine = "col_affine"
      case colTargetAware = "col_target_aware"
      case colFeatureGroup = "col_feature_group"
      case colFeatureGroupSize = "col_feature_group_size"
      case colSsmax = "col_ssmax"
      case iclSsmax = "icl_ssmax"
      case rowNumBlocks = "row_num_blocks"
      case rowNhead = "row_nhead"
      case rowNumCls = "row_num_cls"
      case rowRopeBase = "row_rope_base"
      case rowRopeInterleaved = "row_rope_interleaved"
      case iclNumBlocks = "icl_num_blocks"
      case iclNhead = "icl_nhead"
      case ffFactor = "ff_factor"
      case activation
      case normFirst = "norm_first"
      case biasFreeLn = "bias_free_ln"
    }
  }

  /// How queries grow with the number of rows, as configurations name it.
  enum Scaling: String {
    case none
    case head = "ssmax"
    case perceptron = "ssmax-mlp"
    case perceptronEach = "ssmax-mlp-elementwise"
    case query = "qassmax-mlp"
    case queryEach = "qassmax-mlp-elementwise"
  }

  static let format = "tabicl-1"
  /// Hidden units of the package's perceptrons of scalings.
  private static let scalingUnits = 64

  private let file: Safetensors
  private let path: String
  private let sizes: Sizes
  private let columnScaling: Scaling
  private let rowScaling: Scaling

  /// Whether it predicts classes, else numbers.
  public var isClassifier: Bool { sizes.maxClasses > 0 }

  /// - Throws: `StorageError` for a file that cannot be read; `ModelError.weights` for one that the tool has not written, or of a
  ///   kind that this program does not know.
  public init(path: String) throws {
    self.path = path
    file = try Safetensors(path: path)
    guard file.metadata["format"] == Self.format, let json = file.metadata["config"] else {
      throw ModelError.weights(
        "\(path) is no checkpoint of TabICL's that tools/convert_tabicl.py has written: its metadata lacks format \(Self.format)"
      )
    }
    do { sizes = try JSON.decode(Sizes.self, from: json) } catch {
      throw ModelError.weights(
        "\(path): the configuration in the metadata is not TabICL's: \(Self.words(error))")
    }
    func scaling(_ name: String, _ value: String) throws -> Scaling {
      guard let known = Scaling(rawValue: value) else {
        throw ModelError.weights("\(path): \(name) is '\(value)', which is not known")
      }
      return known
    }
    columnScaling = try scaling("col_ssmax", sizes.colSsmax)
    rowScaling = try scaling("icl_ssmax", sizes.iclSsmax)
    for (name, isKnown) in [
      ("activation other than gelu", sizes.activation == "gelu"), ("norm_first false", sizes.normFirst),
      ("col_feature_group \(sizes.colFeatureGroup)", ["none", "same"].contains(sizes.colFeatureGroup)),
    ] where !isKnown {
      throw ModelError.weights(
        "\(path): \(name) cannot be imported; pre-norm blocks with a GELU, and columns alone or grouped as 'same', can"
      )
    }
    for (name, size) in [
      ("embed_dim", sizes.embedDim), ("row_num_cls", sizes.rowNumCls), ("ff_factor", sizes.ffFactor),
      ("col_feature_group_size", sizes.colFeatureGroupSize),
    ] where !(1...4096).contains(size) {
      throw ModelError.weights("\(path): \(name) is \(size); it must be within 1...4096")
    }
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
  ///   - context: rows of the largest context seen in training, which no file tells.
  ///   - columns: the most columns that it takes.
  public func blueprint(context: Int = 1024, columns: Int = 100) -> Blueprint {
    var blueprint = Blueprint()
    let width = sizes.embedDim * sizes.rowNumCls
    blueprint.family = .cells
    blueprint.width = width
    blueprint.layers = sizes.iclNumBlocks
    blueprint.heads = sizes.iclNhead
    blueprint.feedForward = width * sizes.ffFactor
    blueprint.headHidden = 2 * width
    blueprint.inputDimensions = columns
    blueprint.parts.inputBiases = true
    blueprint.parts.lengthScaling = columnScaling == .none && rowScaling == .none ? 0 : Self.scalingUnits
    blueprint.scaling = isClassifier ? .none : .standardise
    blueprint.head = isClassifier ? .categorical(levels: sizes.maxClasses) : .quantiles(sizes.numQuantiles)
    blueprint.trainedContext = context
    blueprint.trainedBuffer = 0
    var cells = CellReading()
    cells.columnBlocks = sizes.colNumBlocks
    cells.columnHeads = sizes.colNhead
    cells.points = sizes.colNumInds
    cells.rowBlocks = sizes.rowNumBlocks
    cells.rowHeads = sizes.rowNhead
    cells.summaries = sizes.rowNumCls
    cells.feedForward = sizes.embedDim * sizes.ffFactor
    cells.group = sizes.colFeatureGroup == "same" ? sizes.colFeatureGroupSize : 0
    cells.seesOutputs = sizes.colTargetAware
    cells.isAffine = sizes.colAffine
    cells.rotary = Rotary(
      base: sizes.rowRopeBase, pairing: sizes.rowRopeInterleaved ? .neighbours : .halves)
    blueprint.cells = cells
    return blueprint
  }

  /// The model, 32-bit weights.
  public func model(context: Int = 1024, columns: Int = 100) throws -> Model {
    let declared = try Declaration(blueprint(context: context, columns: columns))
    var reader = Reader(file: file, path: path, isBiasFree: sizes.biasFreeLn)
    try take(declared.blueprint, &reader)
    let unused = file.unused(after: reader.used)
    guard unused.isEmpty else {
      throw ModelError.weights(
        "\(path) holds \(unused.count) arrays that its configuration does not tell of, the first '\(unused[0])'"
      )
    }
    let weights = Weights(declared.table)
    for p in declared.table.all {
      guard let own = reader.arrays[p.path], own.count == p.count, own.allSatisfy(\.isFinite) else {
        throw ModelError.weights("\(path): what becomes \(p.path) is not \(p.count) finite numbers")
      }
      own.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { weights[p].update(from: base, count: p.count) }
      }
    }
    weights.pack()
    let card = [
      "origin": "TabICL (Qu et al. 2025), imported from a checkpoint",
      "prior": isClassifier ? "tabicl-classifier" : "tabicl-regressor",
    ]
    return Model(network: try declared.network(weights), card: card, source: path)
  }

  private func take(_ blueprint: Blueprint, _ reader: inout Reader) throws {
    let (e, d) = (sizes.embedDim, blueprint.width)
    let outputs = max(sizes.maxClasses, 1)
    try reader.linear("col_embedder.in_linear", "cells.in", blueprint.cells.numbers, e)
    if sizes.colTargetAware { try reader.linear("col_embedder.y_encoder", "cells.y", outputs, e) }
    // The network was never shown an empty context: a cell that says nothing stands for one.
    reader.arrays["cells.empty"] = [Float](repeating: 0, count: e)
    for index in 0..<sizes.colNumBlocks {
      let (name, path) = ("col_embedder.tf_col.blocks.\(index).", "cells.column.\(index).")
      reader.arrays[path + "points"] = try reader.array(name + "ind_vectors", [sizes.colNumInds, e])
      try block(name + "multihead_attn1.", path + "gather.", e, sizes.colNhead, columnScaling, &reader)
      try block(name + "multihead_attn2.", path + "spread.", e, sizes.colNhead, nil, &reader)
    }
    if sizes.colAffine {
      for (map, norm, path) in [("out_w", "ln_w", "factor"), ("out_b", "ln_b", "offset")] {
        try reader.linear("col_embedder." + map, "cells.\(path).map", e, e)
        try reader.norm("col_embedder." + norm, "cells.\(path).norm", e)
      }
    }
    reader.arrays["cells.summaries"] = try reader.array("row_interactor.cls_tokens", [sizes.rowNumCls, e])
    for index in 0..<sizes.rowNumBlocks {
      try block(
        "row_interactor.tf_row.blocks.\(index).", "cells.row.\(index).", e, sizes.rowNhead, nil, &reader)
    }
    try rotaryIsTold(&reader)
    try reader.norm("row_interactor.out_ln", "cells.final.norm", e)
    try reader.linear("icl_predictor.y_encoder", "embed.y", outputs, d)
    for role in ["role.buffer", "role.target", "context.empty"] {
      reader.arrays[role] = [Float](repeating: 0, count: d)
    }
    for index in 0..<sizes.iclNumBlocks {
      try block(
        "icl_predictor.tf_icl.blocks.\(index).", "block.\(index).", d, sizes.iclNhead, rowScaling, &reader)
    }
    try reader.norm("icl_predictor.ln", "final.norm", d)
    try reader.linear("icl_predictor.decoder.0", "head.up", d, 2 * d)
    try reader.linear(
      "icl_predictor.decoder.2", "head.down", 2 * d,
      isClassifier ? sizes.maxClasses : sizes.numQuantiles)
  }

  /// The file has the frequencies of the rotation, which the configuration tells too: both have to say the same.
  private func rotaryIsTold(_ reader: inout Reader) throws {
    let pairs = sizes.embedDim / max(sizes.rowNhead, 1) / 2
    let found = try reader.array("row_interactor.tf_row.rope.freqs", [pairs])
    for (pair, value) in found.enumerated() {
      let told = exp(-log(sizes.rowRopeBase) * Double(pair) / Double(pairs))
      guard abs(Double(value) - told) <= 1e-5 * told else {
        throw ModelError.weights("\(path): the frequencies of the rotation are not those of row_rope_base")
      }
    }
  }

  /// One block. `scaling` is nil where none of the blocks of its kind have one.
  private func block(
    _ name: String, _ path: String, _ width: Int, _ heads: Int, _ scaling: Scaling?, _ reader: inout Reader
  ) throws {
    try reader.norm(name + "norm1", path + "norm1", width)
    try reader.norm(name + "norm2", path + "norm2", width)
    let map = try reader.array(name + "attn.in_proj_weight", [3 * width, width])
    let bias = try reader.array(name + "attn.in_proj_bias", [3 * width])
    let (split, own) = (width * width, width)
    reader.arrays[path + "query.weight"] = Reader.turned(Array(map[..<split]), width, width)
    reader.arrays[path + "query.bias"] = Array(bias[..<own])
    reader.arrays[path + "keyvalue.weight"] = Reader.turned(Array(map[split...]), 2 * width, width)
    reader.arrays[path + "keyvalue.bias"] = Array(bias[own...])
    try reader.linear(name + "attn.out_proj", path + "out", width, width)
    try reader.linear(name + "linear1", path + "up", width, width * sizes.ffFactor)
    try reader.linear(name + "linear2", path + "down", width * sizes.ffFactor, width)
    guard let scaling, columnScaling != .none || rowScaling != .none else { return }
    try self.scaling(name + "attn.ssmax_layer.", path + "scaling.", width, heads, scaling, &reader)
  }

  /// A scaling of any kind as the one that multiplies each number by a perceptron of ln n and one of the query.
  private func scaling(
    _ name: String, _ path: String, _ width: Int, _ heads: Int, _ scaling: Scaling, _ reader: inout Reader
  ) throws {
    let (units, own) = (Self.scalingUnits, width / heads)
    func zeros(_ count: Int) -> [Float] { [Float](repeating: 0, count: count) }
    /// Columns of `[rows, columns]`, each `times` times.
    func repeated(_ values: [Float], columns: Int, _ times: Int) -> [Float] {
      times == 1
        ? values
        : stride(from: 0, to: values.count, by: columns).flatMap { row in
          (0..<columns).flatMap { [Float](repeating: values[row + $0], count: times) }
        }
    }
    var base = (up: zeros(units), upBias: zeros(units), down: zeros(units * width), bias: zeros(width))
    switch scaling {
    case .none: base.bias = [Float](repeating: 1, count: width)
    case .head:
      // s·ln n by one unit: gelu(a·x)/a is x for x ≥ ln 2 and large a, and 0 for x = 0.
      let (scales, steep) = (try reader.array(name + "scales", [heads]), Float(1024))
      base.up[0] = steep
      for i in 0..<width { base.down[i] = scales[i / own] / steep }
    case .perceptron, .perceptronEach, .query, .queryEach:
      let isEach = scaling == .perceptronEach || scaling == .queryEach
      let outputs = isEach ? width : heads
      let mlp = name + (scaling == .perceptron || scaling == .perceptronEach ? "mlp" : "base_mlp")
      base.up = try reader.array(mlp + ".0.weight", [units, 1])
      base.upBias = try reader.array(mlp + ".0.bias", [units])
      let down = Reader.turned(try reader.array(mlp + ".2.weight", [outputs, units]), outputs, units)
      base.down = repeated(down, columns: outputs, width / outputs)
      base.bias = repeated(try reader.array(mlp + ".2.bias", [outputs]), columns: outputs, width / outputs)
    }
    reader.arrays[path + "base.up.weight"] = base.up
    reader.arrays[path + "base.up.bias"] = base.upBias
    reader.arrays[path + "base.down.weight"] = base.down
    reader.arrays[path + "base.down.bias"] = base.bias
    var query = (up: zeros(own * units), upBias: zeros(units), down: zeros(units * own), bias: zeros(own))
    if scaling == .query || scaling == .queryEach {
      let outputs = scaling == .queryEach ? own : 1
      let mlp = name + "query_mlp"
      query.up = Reader.turned(try reader.array(mlp + ".0.weight", [units, own]), units, own)
      query.upBias = try reader.array(mlp + ".0.bias", [units])
      let down = Reader.turned(try reader.array(mlp + ".2.weight", [outputs, units]), outputs, units)
      query.down = repeated(down, columns: outputs, own / outputs)
      query.bias = repeated(try reader.array(mlp + ".2.bias", [outputs]), columns: outputs, own / outputs)
    }
    reader.arrays[path + "query.up.weight"] = query.up
    reader.arrays[path + "query.up.bias"] = query.upBias
    reader.arrays[path + "query.down.weight"] = query.down
    reader.arrays[path + "query.down.bias"] = query.bias
  }

  /// Takes arrays out of the file under the names that the network has for them.
  private struct Reader {
    let file: Safetensors
    let path: String
    /// Whether norms have no bias.
    let isBiasFree: Bool
    var arrays: [String: [Float]] = [:]
    var used: [String] = []

    init(file: Safetensors, path: String, isBiasFree: Bool) {
      (self.file, self.path, self.isBiasFree) = (file, path, isBiasFree)
    }

    mutating func array(_ name: String, _ shape: [Int]) throws -> [Float] {
      guard file[name] != nil else { throw ModelError.weights("\(path) has no '\(name)'") }
      used.append(name)
      return try file.floats(name, shape: shape)
    }

    /// A matrix `[rows, columns]` as `[columns, rows]`.
    static func turned(_ values: [Float], _ rows: Int, _ columns: Int) -> [Float] {
      var out = [Float](repeating: 0, count: values.count)
      for row in 0..<rows {
        for column in 0..<columns { out[column * rows + row] = values[row * columns + column] }
      }
      return out
    }

    mutating func linear(_ name: String, _ path: String, _ inputs: Int, _ outputs: Int) throws {
      arrays[path + ".weight"] = Self.turned(try array(name + ".weight", [outputs, inputs]), outputs, inputs)
      arrays[path + ".bias"] = try array(name + ".bias", [outputs])
    }

    mutating func norm(_ name: String, _ path: String, _ width: Int) throws {
      arrays[path + ".gain"] = try array(name + ".weight", [width])
      arrays[path + ".bias"] =
        isBiasFree ? [Float](repeating: 0, count: width) : try array(name + ".bias", [width])
    }
  }
}
