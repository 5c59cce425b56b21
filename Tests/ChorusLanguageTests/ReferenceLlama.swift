import ChorusLanguage
import ChorusLayers
import ChorusMemories
import ChorusTensors
import Foundation

@testable import ChorusModels

/// The network once more, in float64 and as Touvron et al. (2023) have it: every token through every block, all pairs of tokens
/// under a mask. No caches, no views.
struct ReferenceLlama {
  typealias Row = [Double]

  private let network: TokenNetwork
  private let parts: BlockParts
  private let sizes: AttentionSizes

  init(_ network: TokenNetwork) {
    self.network = network
    parts = network.blueprint.parts
    sizes = network.blueprint.attention
  }

  private func parameter(_ path: String) -> Parameter? { network.weights.table[path] }

  /// W·x for each row, with weights expanded output by output.
  private func linear(_ path: String, _ rows: [Row]) -> [Row] {
    guard let p = parameter(path), let matrix = network.weights.block(p) else { return [] }
    var out = rows.map { _ in Row(repeating: 0, count: matrix.outputs) }
    let buffer = FloatBuffer(count: matrix.inputs)
    for output in 0..<matrix.outputs {
      matrix.expand(output, into: buffer.pointer)
      let w = buffer.array.map(Double.init)
      for (index, row) in rows.enumerated() {
        out[index][output] = zip(w, row).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
    return out
  }

  private func norm(_ path: String, _ x: Row) -> Row {
    guard let p = parameter(path + ".gain") else { return [] }
    let square = x.reduce(0) { $0 + $1 * $1 } / Double(x.count)
    return x.indices.map { x[$0] / (square + parts.epsilon).squareRoot() * Double(network.weights[p][$0]) }
  }

  /// A head turned by its position: pairs of neighbours as complex numbers.
  private func rotated(_ x: Row, at position: Int) -> Row {
    guard let rotary = parts.rotary else { return x }
    var out = x
    for pair in 0..<sizes.width / 2 {
      let angle = Double(position) * pow(rotary.base, -2 * Double(pair) / Double(sizes.width))
      let (a, b) = (x[2 * pair], x[2 * pair + 1])
      out[2 * pair] = a * cos(angle) - b * sin(angle)
      out[2 * pair + 1] = a * sin(angle) + b * cos(angle)
    }
    return out
  }

  /// Logits behind every token; `sees` tells which tokens each one reads.
  func logits(
    _ tokens: [Int32], sees: (_ token: Int, _ other: Int) -> Bool = { $1 <= $0 }
  ) -> [Row] {
    guard let table = parameter("token.weight").flatMap({ network.weights.block($0) }) else { return [] }
    let buffer = FloatBuffer(count: network.width)
    var h: [Row] = tokens.map {
      table.expand(Int($0), into: buffer.pointer)
      return buffer.array.map(Double.init)
    }
    for block in 0..<network.blueprint.layers {
      let path = "block.\(block)."
      let normed = h.map { norm(path + "norm1", $0) }
      let queries = linear(path + "query.weight", normed)
      let stored = linear(path + "keyvalue.weight", normed)
      func head(_ row: Row, _ first: Int) -> Row { Array(row[first..<first + sizes.width]) }
      let read = tokens.indices.map { i in
        (0..<sizes.heads).flatMap { index -> Row in
          let key = index / (sizes.heads / sizes.keyHeads) * sizes.width
          let q = rotated(head(queries[i], index * sizes.width), at: i)
          let seen = tokens.indices.filter { sees(i, $0) }
          let scores = seen.map { j in
            zip(q, rotated(head(stored[j], key), at: j)).reduce(0) { $0 + $1.0 * $1.1 }
              / Double(sizes.width).squareRoot()
          }
          let top = scores.max() ?? 0
          let total = scores.reduce(0) { $0 + exp($1 - top) }
          var out = Row(repeating: 0, count: sizes.width)
          for (score, j) in zip(scores, seen) {
            let value = head(stored[j], sizes.keyColumns + key)
            for k in out.indices { out[k] += exp(score - top) / total * value[k] }
          }
          return out
        }
      }
      h = zip(h, linear(path + "out.weight", read)).map { zip($0, $1).map(+) }
      let inner = h.map { norm(path + "norm2", $0) }
      let gates = linear(path + "gate.weight", inner).map { $0.map { $0 / (1 + exp(-$0)) } }
      let hidden = zip(gates, linear(path + "up.weight", inner)).map { zip($0, $1).map(*) }
      h = zip(h, linear(path + "down.weight", hidden)).map { zip($0, $1).map(+) }
    }
    let logits = parameter("logits.weight") == nil ? "token.weight" : "logits.weight"
    return linear(logits, h.map { norm("final.norm", $0) })
  }

  /// log p of a token by its logits.
  static func logProbability(_ logits: Row, _ token: Int32) -> Double {
    let top = logits.max() ?? 0
    return logits[Int(token)] - top - log(logits.reduce(0) { $0 + exp($1 - top) })
  }
}
