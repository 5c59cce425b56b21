import Foundation

/// nanoACE's `arbuffer` in float64, written from its description: what the import is held to.
struct ReferenceNano {
  var arrays: [String: [Double]] = [:]
  let d: Int
  let heads: Int
  let layers: Int
  let variables: Int

  /// A token of the data variable, a query of it, or (`level`) a known level of a latent category.
  enum Token {
    case value(x: Double, y: Double)
    case query(x: Double)
    case level(variable: Int, place: Int)
  }

  func embed(_ token: Token) -> [Double] {
    func row(_ name: String, _ index: Int) -> [Double] {
      (0..<d).map { arrays[name + ".weight", default: []][index * d + $0] }
    }
    switch token {
    case .value(let x, let y):
      return sum([row("var_embed", 0), row("mode_embed", 0), mlp("x_embed", [x]), mlp("value_embed", [y])])
    case .query(let x):
      return sum([
        row("var_embed", 0), row("mode_embed", 2), mlp("x_embed", [x]), arrays["unknown", default: []],
      ])
    case .level(let variable, let place):
      return sum([row("var_embed", variable), row("mode_embed", 0), row("disc_value_embed", place)])
    }
  }

  /// The head's raw numbers of targets, each of which sees the first `prefixes` of the buffer.
  func predict(
    context: [Token], buffer: [Token], targets: [Token], prefixes: [Int]
  ) -> [[Double]] {
    var (c, b, t) = (context.map(embed), buffer.map(embed), targets.map(embed))
    for layer in 0..<layers {
      let (base, own) = ("blocks.\(layer).", "buf_blocks.\(layer).")
      let c1 = c.map { norm(base + "ctx_ln1", $0) }
      let before = c.map { norm(own + "buf_ln1", $0) }
      let b1 = b.map { norm(own + "buf_ln1", $0) }
      c = zip(c, c1).map { h, q in
        feed(base + "ctx", sum([h, attend(base + "ctx_attn", q, c1)]))
      }
      b = b.indices.map { j in
        feed(own + "buf", sum([b[j], attend(own + "buf_attn", b1[j], before + b1[...j])]))
      }
      let (seen, buffered) = (
        c.map { norm(base + "kv_ln", $0) }, b.map { norm(base + "kv_ln", $0) }
      )
      t = t.indices.map { m in
        let read = attend(
          base + "cross_attn", norm(base + "tgt_ln1", t[m]), seen + buffered.prefix(prefixes[m]),
          raised: arrays[own + "buf_bias"], from: seen.count)
        return feed(base + "tgt", sum([t[m], read]))
      }
    }
    return t.map { mlp("cont_head", norm("final_norm", $0)) }
  }

  func logDensity(_ raw: [Double], _ y: Double, floor: Double) -> Double {
    let k = raw.count / 3
    let top = raw[..<k].max() ?? 0
    let all = raw[..<k].reduce(0) { $0 + exp($1 - top) }
    var density = 0.0
    for c in 0..<k {
      let deviation = log1p(exp(raw[2 * k + c])) + floor
      let z = (y - raw[k + c]) / deviation
      density += exp(raw[c] - top) / all * exp(-0.5 * z * z) / deviation / (2 * Double.pi).squareRoot()
    }
    return log(density)
  }

  // MARK: Parts

  private func sum(_ rows: [[Double]]) -> [Double] {
    rows.dropFirst().reduce(rows[0]) { a, b in zip(a, b).map { $0 + $1 } }
  }

  private func linear(_ weight: [Double], _ bias: [Double], _ x: [Double], rows: Range<Int>) -> [Double] {
    rows.map { row in
      x.indices.reduce(bias[row]) { $0 + weight[row * x.count + $1] * x[$1] }
    }
  }

  private func mlp(_ name: String, _ x: [Double]) -> [Double] {
    func part(_ index: Int, _ x: [Double]) -> [Double] {
      let bias = arrays[name + ".\(index).bias", default: []]
      return linear(arrays[name + ".\(index).weight", default: []], bias, x, rows: 0..<bias.count)
    }
    return part(2, part(0, x).map { 0.5 * $0 * erfc(-$0 / 2.0.squareRoot()) })
  }

  private func feed(_ name: String, _ h: [Double]) -> [Double] {
    sum([h, mlp(name + "_mlp", norm(name + "_ln2", h))])
  }

  private func norm(_ name: String, _ x: [Double]) -> [Double] {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let (gain, bias) = (arrays[name + ".weight", default: []], arrays[name + ".bias", default: []])
    return x.indices.map { (x[$0] - mean) / (variance + 1e-5).squareRoot() * gain[$0] + bias[$0] }
  }

  private func attend(
    _ name: String, _ query: [Double], _ rows: [[Double]], raised: [Double]? = nil, from: Int = .max
  ) -> [Double] {
    let (weight, bias) = (
      arrays[name + ".in_proj_weight", default: []], arrays[name + ".in_proj_bias", default: []]
    )
    let q = linear(weight, bias, query, rows: 0..<d)
    let keys = rows.map { linear(weight, bias, $0, rows: d..<2 * d) }
    let values = rows.map { linear(weight, bias, $0, rows: 2 * d..<3 * d) }
    let width = d / heads
    var found = [Double](repeating: 0, count: d)
    for head in 0..<heads {
      let columns = head * width..<(head + 1) * width
      let scores = keys.indices.map { row in
        columns.reduce(0) { $0 + q[$1] * keys[row][$1] } / Double(width).squareRoot()
          + (row >= from ? raised?[head] ?? 0 : 0)
      }
      let top = scores.max() ?? 0
      let all = scores.reduce(0) { $0 + exp($1 - top) }
      for (row, score) in scores.enumerated() {
        for i in columns { found[i] += exp(score - top) / all * values[row][i] }
      }
    }
    return linear(
      arrays[name + ".out_proj.weight", default: []], arrays[name + ".out_proj.bias", default: []], found,
      rows: 0..<d)
  }
}
