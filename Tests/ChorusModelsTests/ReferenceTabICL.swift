import ChorusStorage
import ChorusTensors
import Foundation

/// TabICL once more, in float64 and from its own arrays, as its paper and package tell it: every query reads every key that it may, one
/// after the other. With rows of a buffer, which TabICL has not: they read the context and the buffer up to themselves.
struct ReferenceTabICL {
  typealias Row = [Double]

  struct Kind: Sendable, CustomStringConvertible {
    var scaling = "none"
    /// Columns read as one; 0 for none.
    var group = 0
    var seesOutputs = true
    var isAffine = false
    var isInterleaved = true
    var isBiasFree = false
    /// Of a classifier; 0 for a regressor.
    var classes = 3
    var description: String {
      "\(scaling), group \(group), outputs \(seesOutputs), affine \(isAffine), \(isInterleaved), \(classes) classes"
    }
    /// Numbers that come out for a row.
    var outputs: Int { classes > 0 ? classes : 6 }
  }

  let kind: Kind
  private(set) var arrays: [String: [Double]] = [:]
  private var shapes: [(name: String, shape: [Int])] = []
  private let e = 8
  private let points = 3
  private let summaries = 2
  private let pairs = 2
  private let rowBlocks = 2
  private let layers = 2
  private let columnHeads = 2
  private let rowHeads = 1
  private let heads = 2
  private let units = 64
  private var d: Int { e * summaries }
  private let base = 100_000.0

  /// Random arrays, as numbers of 32 bits.
  init(_ kind: Kind) {
    self.kind = kind
    var stream = RandomStream(seed: 21)
    func add(_ name: String, _ shape: [Int], around mean: Double = 0, _ deviation: Double = 0.4) {
      let count = shape.reduce(1, *)
      arrays[name] = (0..<count).map { _ in Double(Float(mean + deviation * stream.normal())) }
      shapes.append((name, shape))
    }
    func linear(_ name: String, _ inputs: Int, _ outputs: Int) {
      add(name + ".weight", [outputs, inputs])
      add(name + ".bias", [outputs])
    }
    func norm(_ name: String, _ width: Int) {
      add(name + ".weight", [width], around: 1)
      if !kind.isBiasFree { add(name + ".bias", [width]) }
    }
    func block(_ name: String, _ width: Int, _ heads: Int, scaled: Bool) {
      norm(name + "norm1", width)
      norm(name + "norm2", width)
      add(name + "attn.in_proj_weight", [3 * width, width])
      add(name + "attn.in_proj_bias", [3 * width])
      linear(name + "attn.out_proj", width, width)
      linear(name + "linear1", width, 2 * width)
      linear(name + "linear2", 2 * width, width)
      guard scaled, kind.scaling != "none" else { return }
      let (own, path) = (width / heads, name + "attn.ssmax_layer.")
      let each = kind.scaling.hasSuffix("elementwise")
      if kind.scaling == "ssmax" {
        add(path + "scales", [heads])
      } else {
        let base = path + (kind.scaling.hasPrefix("qa") ? "base_mlp" : "mlp")
        linear(base + ".0", 1, units)
        linear(base + ".2", units, each ? width : heads)
        if kind.scaling.hasPrefix("qa") {
          linear(path + "query_mlp.0", own, units)
          linear(path + "query_mlp.2", units, each ? own : 1)
        }
      }
    }
    linear("col_embedder.in_linear", max(kind.group, 1), e)
    if kind.seesOutputs { linear("col_embedder.y_encoder", max(kind.classes, 1), e) }
    for index in 0..<pairs {
      let name = "col_embedder.tf_col.blocks.\(index)."
      add(name + "ind_vectors", [points, e])
      block(name + "multihead_attn1.", e, columnHeads, scaled: true)
      block(name + "multihead_attn2.", e, columnHeads, scaled: false)
    }
    if kind.isAffine {
      for (map, scale) in [("out_w", "ln_w"), ("out_b", "ln_b")] {
        linear("col_embedder." + map, e, e)
        norm("col_embedder." + scale, e)
      }
    }
    add("row_interactor.cls_tokens", [summaries, e])
    for index in 0..<rowBlocks { block("row_interactor.tf_row.blocks.\(index).", e, rowHeads, scaled: false) }
    let turns = e / rowHeads / 2
    arrays["row_interactor.tf_row.rope.freqs"] = (0..<turns).map { pow(base, -Double($0) / Double(turns)) }
    shapes.append(("row_interactor.tf_row.rope.freqs", [turns]))
    norm("row_interactor.out_ln", e)
    linear("icl_predictor.y_encoder", max(kind.classes, 1), d)
    for index in 0..<layers { block("icl_predictor.tf_icl.blocks.\(index).", d, heads, scaled: true) }
    norm("icl_predictor.ln", d)
    linear("icl_predictor.decoder.0", d, 2 * d)
    linear("icl_predictor.decoder.2", 2 * d, kind.outputs)
  }

  // MARK: The file

  func write(
    to path: String, change: (inout [String: Any]) -> Void = { _ in },
    arrays changed: (String, inout [Float]) -> Bool = { _, _ in true }
  ) throws {
    var config: [String: Any] = [
      "max_classes": kind.classes, "num_quantiles": 6, "embed_dim": e, "col_num_blocks": pairs,
      "col_nhead": columnHeads, "col_num_inds": points, "col_affine": kind.isAffine,
      "col_target_aware": kind.seesOutputs, "col_feature_group": kind.group > 0 ? "same" : "none",
      "col_feature_group_size": max(kind.group, 1), "col_ssmax": kind.scaling, "icl_ssmax": kind.scaling,
      "row_num_blocks": rowBlocks, "row_nhead": rowHeads, "row_num_cls": summaries, "row_rope_base": base,
      "row_rope_interleaved": kind.isInterleaved, "icl_num_blocks": layers, "icl_nhead": heads,
      "ff_factor": 2, "activation": "gelu", "norm_first": true, "bias_free_ln": kind.isBiasFree,
    ]
    change(&config)
    let json = try JSONSerialization.data(withJSONObject: config)
    var writer = SafetensorsWriter(
      metadata: ["format": "tabicl-1", "config": String(decoding: json, as: UTF8.self)])
    for (name, shape) in shapes {
      var values = (arrays[name] ?? []).map { Float($0) }
      guard changed(name, &values) else { continue }
      try writer.add(name, shape: shape, floats: values, as: .f32)
    }
    try writer.write(to: path)
  }

  // MARK: Parts

  private func linear(_ name: String, _ x: Row) -> Row {
    let (weight, bias) = (arrays[name + ".weight"] ?? [], arrays[name + ".bias"] ?? [])
    return bias.indices.map { row in
      bias[row] + x.indices.reduce(0.0) { $0 + weight[row * x.count + $1] * x[$1] }
    }
  }

  private func norm(_ name: String, _ x: Row) -> Row {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let (gain, bias) = (arrays[name + ".weight"] ?? [], arrays[name + ".bias"])
    return x.indices.map { (x[$0] - mean) / (variance + 1e-5).squareRoot() * gain[$0] + (bias?[$0] ?? 0) }
  }

  private func gelu(_ x: Row) -> Row { x.map { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) } }
  private func plus(_ a: Row, _ b: Row) -> Row { zip(a, b).map(+) }

  /// A head's numbers turned by the angles of a place.
  private func turned(_ x: Row, at place: Int) -> Row {
    let half = x.count / 2
    var out = x
    for i in 0..<half {
      let angle = Double(place) * pow(base, -Double(i) / Double(half))
      let (a, b) = kind.isInterleaved ? (2 * i, 2 * i + 1) : (i, half + i)
      out[a] = x[a] * cos(angle) - x[b] * sin(angle)
      out[b] = x[b] * cos(angle) + x[a] * sin(angle)
    }
    return out
  }

  /// A head's query, scaled for `count` keys.
  private func scaled(_ q: Row, _ name: String, head: Int, count: Int) -> Row {
    let (path, own) = (name + "attn.ssmax_layer.", q.count)
    let length = log(Double(count))
    let each = kind.scaling.hasSuffix("elementwise")
    func perceptron(_ name: String, _ x: Row) -> Row { linear(name + ".2", gelu(linear(name + ".0", x))) }
    switch kind.scaling {
    case "none": return q
    case "ssmax": return q.map { $0 * (arrays[path + "scales"] ?? [])[head] * length }
    default:
      let asks = kind.scaling.hasPrefix("qa")
      let base = perceptron(path + (asks ? "base_mlp" : "mlp"), [length])
      let change = asks ? perceptron(path + "query_mlp", q) : []
      return (0..<own).map { i in
        q[i] * base[each ? head * own + i : head] * (asks ? 1 + tanh(change[each ? i : 0]) : 1)
      }
    }
  }

  /// One block: queries read those keys that they may.
  ///
  /// - Parameters:
  ///   - places: of queries and keys, where rotations tell them.
  ///   - scaling: what counts as the number of keys; nil for a block that does not scale.
  private func block(
    _ name: String, heads: Int, _ queries: [Row], _ keys: [Row], places: (q: [Int], k: [Int])? = nil,
    scaling: Int? = nil, sees: (Int, Int) -> Bool = { _, _ in true }
  ) -> [Row] {
    let width = queries[0].count
    let own = width / heads
    let (map, bias) = (
      arrays[name + "attn.in_proj_weight"] ?? [], arrays[name + "attn.in_proj_bias"] ?? []
    )
    func part(_ index: Int, _ x: Row) -> [Row] {
      let all = (index * width..<(index + 1) * width).map { row in
        bias[row] + x.indices.reduce(0.0) { $0 + map[row * width + $1] * x[$1] }
      }
      return (0..<heads).map { Array(all[$0 * own..<($0 + 1) * own]) }
    }
    let normedKeys = keys.map { norm(name + "norm1", $0) }
    let (k, v) = (normedKeys.map { part(1, $0) }, normedKeys.map { part(2, $0) })
    return queries.enumerated().map { index, row in
      let q = part(0, norm(name + "norm1", row))
      var read: Row = []
      for head in 0..<heads {
        var query = places.map { turned(q[head], at: $0.q[index]) } ?? q[head]
        if let scaling { query = scaled(query, name, head: head, count: scaling) }
        let seen = keys.indices.filter { sees(index, $0) }
        let scores = seen.map { place -> Double in
          let key = places.map { turned(k[place][head], at: $0.k[place]) } ?? k[place][head]
          return zip(query, key).reduce(0) { $0 + $1.0 * $1.1 } / Double(own).squareRoot()
        }
        let top = scores.max() ?? 0
        let weights = scores.map { exp($0 - top) }
        let total = weights.reduce(0, +)
        for i in 0..<own {
          read.append(zip(seen, weights).reduce(0) { $0 + $1.1 / total * v[$1.0][head][i] })
        }
      }
      let h = plus(row, linear(name + "attn.out_proj", read))
      return plus(h, linear(name + "linear2", gelu(linear(name + "linear1", norm(name + "norm2", h)))))
    }
  }

  private func told(_ y: Double) -> Row {
    kind.classes > 0 ? (0..<kind.classes).map { Int(y) == $0 ? 1 : 0 } : [y]
  }

  // MARK: The network

  /// What comes out for targets.
  ///
  /// - Parameter prefixes: for every target, how many rows of the buffer it sees.
  func predict(
    context: [(x: Row, y: Double)], buffer: [(x: Row, y: Double)] = [], targets: [Row], prefixes: [Int]
  ) -> [Row] {
    let x = context.map(\.x) + buffer.map(\.x) + targets
    let (n, columns) = (context.count, x[0].count)
    // Column by column.
    let cells = (0..<columns).map { column -> [Row] in
      let numbers = x.map { row in
        kind.group == 0 ? [row[column]] : (0..<kind.group).map { row[(column + (1 << $0)) % columns] }
      }
      var h = numbers.map { linear("col_embedder.in_linear", $0) }
      if kind.seesOutputs {
        for row in 0..<n { h[row] = plus(h[row], linear("col_embedder.y_encoder", told(context[row].y))) }
      }
      for index in 0..<pairs {
        let name = "col_embedder.tf_col.blocks.\(index)."
        let vectors = arrays[name + "ind_vectors"] ?? []
        let learned = (0..<points).map { Array(vectors[$0 * e..<($0 + 1) * e]) }
        let found = block(
          name + "multihead_attn1.", heads: columnHeads, learned, Array(h[..<n]), scaling: n)
        h = block(name + "multihead_attn2.", heads: columnHeads, h, found)
      }
      guard kind.isAffine else { return h }
      return zip(h, numbers).map { h, number in
        let factor = norm("col_embedder.ln_w", linear("col_embedder.out_w", h))
        let offset = norm("col_embedder.ln_b", linear("col_embedder.out_b", h))
        return plus(factor.map { $0 * number[0] }, offset)
      }
    }
    // Row by row.
    let learned = arrays["row_interactor.cls_tokens"] ?? []
    var rows = x.indices.map { row -> Row in
      var h = (0..<summaries).map { Array(learned[$0 * e..<($0 + 1) * e]) } + cells.map { $0[row] }
      let places = Array(h.indices)
      for index in 0..<rowBlocks {
        let queries = index == rowBlocks - 1 ? Array(h[..<summaries]) : h
        h = block(
          "row_interactor.tf_row.blocks.\(index).", heads: rowHeads, queries, h,
          places: (Array(places[..<queries.count]), places))
      }
      return h.flatMap { norm("row_interactor.out_ln", $0) }
    }
    // Rows together.
    let known = context.map(\.y) + buffer.map(\.y)
    for (row, y) in known.enumerated() {
      rows[row] = plus(rows[row], linear("icl_predictor.y_encoder", told(y)))
    }
    func sees(_ query: Int, _ key: Int) -> Bool {
      if key < n { return true }
      guard key < known.count, query >= n else { return false }
      return query < known.count ? key <= query : key - n < prefixes[query - known.count]
    }
    for index in 0..<layers {
      rows = block(
        "icl_predictor.tf_icl.blocks.\(index).", heads: heads, rows, rows, scaling: n, sees: sees)
    }
    return rows[known.count...].map { row in
      linear(
        "icl_predictor.decoder.2",
        gelu(linear("icl_predictor.decoder.0", norm("icl_predictor.ln", row))))
    }
  }
}
