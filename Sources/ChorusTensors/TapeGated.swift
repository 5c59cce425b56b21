import CChorusKernels
import Foundation

/// Angles by which pairs of numbers of a row are turned: those of its place in a sequence (Su et al. 2021, eq. 34).
public struct Rotary: Sendable, Hashable {
  /// Which two numbers of a head are a pair.
  public enum Pairing: String, Sendable, Codable, CaseIterable {
    /// Number i and number i + half, as GPT-NeoX has it.
    case halves
    /// Numbers 2i and 2i + 1, as RoFormer has it and files of llama models are laid out.
    case neighbours
  }

  /// Pair i turns by position / base^(i / pairs).
  public var base: Double
  public var pairing: Pairing

  public init(base: Double = 10_000, pairing: Pairing = .halves) {
    self.base = base
    self.pairing = pairing
  }

  /// Cosines and then sines of a row's pairs, row after row, `[positions, 2·pairs]`.
  public func turns(_ positions: some Sequence<Int32>, pairs: Int, into out: UnsafeMutablePointer<Float>) {
    for (row, position) in positions.enumerated() {
      let own = out + row * 2 * pairs
      for pair in 0..<pairs {
        let angle = Double(position) * exp(-log(base) * Double(pair) / Double(pairs))
        own[pair] = Float(cos(angle))
        own[pairs + pair] = Float(sin(angle))
      }
    }
  }

  /// Turns the heads at the beginning of rows, in place.
  ///
  /// - Parameters:
  ///   - turns: of the rows, `pairs` = half a head.
  ///   - back: by the opposite angles.
  public func apply(
    _ x: UnsafeMutablePointer<Float>, rows: Int, stride: Int, heads: Int, width: Int,
    turns: UnsafePointer<Float>, back: Bool = false
  ) {
    var arguments = ck_rotate_args()
    (arguments.rows, arguments.heads, arguments.width) = (Int32(rows), Int32(heads), Int32(width))
    arguments.pairs = Int32(width / 2)
    arguments.neighbours = pairing == .neighbours ? 1 : 0
    arguments.back = back ? 1 : 0
    arguments.turns = turns
    arguments.x = x
    arguments.ldx = Int32(stride)
    ck_rotate(&arguments)
  }
}

extension Rotary: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable { case base, pairing }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    self.init()
    base = try fields.decodeIfPresent(Double.self, forKey: .base) ?? base
    pairing = try fields.decodeIfPresent(Pairing.self, forKey: .pairing) ?? pairing
  }
}

/// What a tape keeps of a rotation.
struct Turns {
  let rotary: Rotary
  let heads: Int
  let width: Int
  let angles: UnsafeMutablePointer<Float>
}

extension Weights {
  /// x / √(mean(x²) + ε) · gain of `count` rows; `scales` receives 1/√(…).
  public func rmsNorm(
    _ x: UnsafePointer<Float>, rows count: Int, gain: Parameter, epsilon: Double,
    into out: UnsafeMutablePointer<Float>, scales: UnsafeMutablePointer<Float>? = nil
  ) {
    let d = Int32(gain.columns)
    ck_rms_norm(Int32(count), d, x, d, self[gain], Float(epsilon), out, d, scales)
  }
}

extension Tape {
  /// Root-mean-square norm of each row, x / √(mean(x²) + ε) · gain (Zhang & Sennrich 2019, eq. 4).
  public func rmsNorm(_ x: Node, gain: Parameter, epsilon: Double) -> Node {
    let (out, scales) = (arena.floats(x.rows * x.columns), arena.floats(x.rows))
    weights.rmsNorm(values(x), rows: x.rows, gain: gain, epsilon: epsilon, into: out, scales: scales)
    return append(.rmsNorm(x: x, gain: gain, scales: scales), out, x.rows, x.columns, reads: [x])
  }

  /// silu(gate)·up, element by element, silu(x) = x/(1 + e^−x).
  public func gatedUnit(gate: Node, up: Node) -> Node {
    let out = arena.floats(up.rows * up.columns)
    ck_gated_unit(up.rows * up.columns, values(gate), values(up), out)
    return append(.gatedUnit(gate: gate, up: up), out, up.rows, up.columns, reads: [gate, up])
  }

  /// Rows whose first `heads` heads are turned by their positions.
  public func rotate(_ x: Node, _ rotary: Rotary, heads: Int, width: Int, positions: [Int32]) -> Node {
    let (out, angles) = (arena.floats(x.rows * x.columns), arena.floats(x.rows * width))
    rotary.turns(positions, pairs: width / 2, into: angles)
    out.update(from: values(x), count: x.rows * x.columns)
    rotary.apply(out, rows: x.rows, stride: x.columns, heads: heads, width: width, turns: angles)
    let turns = Turns(rotary: rotary, heads: heads, width: width, angles: angles)
    return append(.rotate(x: x, turns), out, x.rows, x.columns, reads: [x])
  }

  func backwardRMSNorm(
    _ dy: UnsafeMutablePointer<Float>, _ x: Node, _ gain: Parameter, _ scales: UnsafeMutablePointer<Float>,
    _ gradients: UnsafeMutablePointer<Float>
  ) {
    let dx = gradient(x) ?? arena.zeros(x.rows * x.columns)  // the gain learns from constants too
    let d = Int32(x.columns)
    ck_rms_norm_backward(
      Int32(x.rows), d, values(x), d, weights[gain], scales, dy, d, dx, d, gradients + gain.offset)
  }

  func backwardGatedUnit(_ dy: UnsafeMutablePointer<Float>, _ gate: Node, _ up: Node) {
    let count = up.rows * up.columns
    ck_gated_unit_backward(
      count, values(gate), values(up), dy, gradient(gate) ?? arena.zeros(count),
      gradient(up) ?? arena.zeros(count))
  }

  func backwardRotate(_ dy: UnsafeMutablePointer<Float>, _ x: Node, _ turns: Turns) {
    guard let dx = gradient(x) else { return }
    let count = x.rows * x.columns
    let turned = arena.floats(count)
    turned.update(from: dy, count: count)
    turns.rotary.apply(
      turned, rows: x.rows, stride: x.columns, heads: turns.heads, width: turns.width, turns: turns.angles,
      back: true)
    ck_add(count, turned, dx)
  }
}
