import Foundation
import Testing

@testable import ChorusTensors

/// What blocks of language models are made of, on the tape against float64.
@Suite struct TapeGatedTests {
  @Test(arguments: [6, 16, 21]) func rmsNorm(columns: Int) {
    var check = TapeCheck()
    let (x, gain) = (check.declare("x", 5, columns), check.declare("n.gain", 1, columns))
    check.matrix { tape, _ in
      tape.rmsNorm(TapeCheck.input(x, on: tape), gain: gain, epsilon: 1e-3)
    } reference: { m in
      guard let x = m["x"], let gain = m["n.gain"] else { return Dense(0, 0) }
      return TapeReference.rmsNorm(x, gain: gain, epsilon: 1e-3)
    }
  }

  @Test func aNormOfGivenNumbersStillTeachesItsGain() {
    var check = TapeCheck()
    let gain = check.declare("n.gain", 1, 4)
    let x = Dense(3, 4) { Double(($0 * 4 + $1) % 5) }
    check.matrix { tape, _ in
      tape.rmsNorm(
        tape.constant(x.values.map { Float($0) }, rows: 3, columns: 4), gain: gain, epsilon: 1e-5)
    } reference: { m in
      guard let gain = m["n.gain"] else { return Dense(0, 0) }
      return TapeReference.rmsNorm(x, gain: gain, epsilon: 1e-5)
    }
  }

  @Test func gatedUnit() {
    var check = TapeCheck()
    let (gate, up) = (check.declare("gate", 4, 11), check.declare("up", 4, 11))
    check.matrix { tape, _ in
      tape.gatedUnit(gate: TapeCheck.input(gate, on: tape), up: TapeCheck.input(up, on: tape))
    } reference: { m in
      guard let gate = m["gate"], let up = m["up"] else { return Dense(0, 0) }
      return Dense(4, 11) { gate[$0, $1] / (1 + exp(-gate[$0, $1])) * up[$0, $1] }
    }
  }

  /// Gates far from zero neither overflow nor lose their slope.
  @Test func extremeGates() {
    let tape = Tape(Weights(ParameterTable()))
    let gates: [Float] = [-1e4, -90, 90, 1e4]
    let out = tape.gatedUnit(
      gate: tape.constant(gates, rows: 1, columns: 4),
      up: tape.constant([2, 2, 2, 2], rows: 1, columns: 4))
    let values = (0..<4).map { tape.values(out)[$0] }
    #expect(abs(values[0]) < 1e-30 && abs(values[1]) < 1e-30 && values[2] == 180 && values[3] == 2e4)
  }

  /// The heads at the front of a row turn, what stands behind them stays; positions need not be in order.
  @Test(arguments: Rotary.Pairing.allCases, [2, 8, 20]) func rotation(pairing: Rotary.Pairing, width: Int) {
    let (heads, behind) = (3, 5)
    let positions: [Int32] = [0, 7, 1, 4000]
    var check = TapeCheck()
    let x = check.declare("x", 4, heads * width + behind)
    check.matrix { tape, _ in
      tape.rotate(
        TapeCheck.input(x, on: tape), Rotary(base: 500, pairing: pairing), heads: heads, width: width,
        positions: positions)
    } reference: { m in
      guard let x = m["x"] else { return Dense(0, 0) }
      return TapeReference.rotate(
        x, heads: heads, width: width, positions: positions, base: 500, neighbours: pairing == .neighbours)
    }
  }

  /// Products of turned rows depend on how far they are apart, and on nothing else.
  @Test(arguments: Rotary.Pairing.allCases) func onlyDistanceCounts(pairing: Rotary.Pairing) {
    let tape = Tape(Weights(ParameterTable()))
    var numbers = Numbers(4)
    let rows = (0..<2).map { _ in (0..<16).map { _ in Float(numbers.normal()) } }
    func product(_ positions: [Int32]) -> Float {
      let x = tape.constant(rows[0] + rows[1], rows: 2, columns: 16)
      let turned = tape.values(
        tape.rotate(x, Rotary(pairing: pairing), heads: 1, width: 16, positions: positions))
      return (0..<16).reduce(0) { $0 + turned[$1] * turned[16 + $1] }
    }
    #expect(abs(product([3, 8]) - product([103, 108])) < 1e-4)
    #expect(abs(product([3, 8]) - product([3, 9])) > 1e-3)
  }

  /// Four heads that read two key heads, two heads that read one.
  @Test(arguments: [(4, 2), (2, 1), (6, 2)]) func groupedKeyHeads(heads: Int, keyHeads: Int) {
    let width = 4
    let blocks = [VisibleBlock(queries: 0..<6, shared: 0..<4, own: 4..<9, limits: [0, 1, 5, 3, 0, 2])]
    var check = TapeCheck()
    let q = check.declare("q", 6, heads * width)
    let kv = check.declare("kv", 9, 2 * keyHeads * width)
    check.matrix { tape, _ in
      tape.attention(
        queries: TapeCheck.input(q, on: tape), keyValues: TapeCheck.input(kv, on: tape), heads: heads,
        blocks: blocks)
    } reference: { m in
      guard let q = m["q"], let kv = m["kv"] else { return Dense(0, 0) }
      return TapeReference.attention(q, kv, heads: heads) { row, stored in
        stored < 4 || stored - 4 < Int(blocks[0].limits[row])
      }
    }
  }
}
