import Testing

@testable import ChorusTensors

/// Each operation of the tape against its float64 form: values, and gradients against finite differences of it.
@Suite struct TapeTests {
  @Test func gatherAddsRowsOfNodesAndParameters() {
    var check = TapeCheck()
    let x = check.declare("x", 5, 7)
    let table = check.declare("table", 3, 7)
    let vector = check.declare("vector", 1, 7)
    // Rows that are repeated, left out, and taken from a view.
    let fromNode: [Int32] = [4, -1, 0, 0, 2, -1]
    let fromView: [Int32] = [-1, 1, 1, 0, -1, -1]
    let fromTable: [Int32] = [2, 2, -1, 0, -1, -1]
    let fromVector: [Int32] = [0, -1, 0, 0, -1, -1]
    check.matrix { tape, _ in
      let node = TapeCheck.input(x, on: tape)
      return tape.gather(
        [
          .node(node, fromNode), .node(node[2..<4], fromView), .parameter(table, fromTable),
          .parameter(vector, fromVector),
        ], rows: 6, columns: 7)
    } reference: { m in
      guard let x = m["x"], let table = m["table"], let vector = m["vector"] else { return Dense(0, 0) }
      return Dense(6, 7) { row, column in
        var sum = 0.0
        if fromNode[row] >= 0 { sum += x[Int(fromNode[row]), column] }
        if fromView[row] >= 0 { sum += x[2 + Int(fromView[row]), column] }
        if fromTable[row] >= 0 { sum += table[Int(fromTable[row]), column] }
        if fromVector[row] >= 0 { sum += vector[0, column] }
        return sum
      }
    }
  }

  static let linearCases: [(Activation, bias: Bool, residual: Bool)] = [
    (.identity, true, true), (.identity, false, true), (.identity, true, false), (.identity, false, false),
    (.gelu, true, true), (.gelu, true, false), (.relu, true, true), (.relu, false, false),
  ]

  @Test(arguments: linearCases)
  func linearWithActivationBiasAndResidual(_ activation: Activation, bias: Bool, residual: Bool) {
    var check = TapeCheck()
    let x = check.declare("x", 6, 5)
    let weight = check.declare("w.weight", 5, 19)  // wider than a panel of 16
    let b = check.declare("w.bias", 1, 19)
    let r = check.declare("r", 6, 19)
    check.matrix { tape, _ in
      tape.linear(
        TapeCheck.input(x, on: tape), weight, bias: bias ? b : nil, activation: activation,
        residual: residual ? TapeCheck.input(r, on: tape) : nil)
    } reference: { m in
      guard let x = m["x"], let weight = m["w.weight"], let b = m["w.bias"], let r = m["r"] else {
        return Dense(0, 0)
      }
      let sum = (x * weight).adding(bias ? b : nil)
      let out =
        switch activation {
        case .identity: sum
        case .gelu: sum.map(TapeReference.gelu)
        case .relu: sum.map(TapeReference.relu)
        }
      return residual ? out + r : out
    }
  }

  @Test func aSummandThatIsReadBeforeTheSumKeepsItsOwnGradient() {
    var check = TapeCheck()
    let x = check.declare("x", 4, 6)
    let first = check.declare("first.weight", 6, 9)
    let second = check.declare("second.weight", 9, 6)
    // h is read by `first`, then summed last; the sum may take over the memory of its gradient.
    check.matrix { tape, _ in
      let h = TapeCheck.input(x, on: tape)
      let once = tape.linear(tape.linear(h, first, activation: .gelu), second, residual: h)
      return tape.linear(tape.linear(once, first, activation: .gelu), second, residual: once)
    } reference: { m in
      guard let x = m["x"], let first = m["first.weight"], let second = m["second.weight"] else {
        return Dense(0, 0)
      }
      let once = (x * first).map(TapeReference.gelu) * second + x
      return (once * first).map(TapeReference.gelu) * second + once
    }
  }

  @Test func aSummandThatIsReadAfterTheSumIsNotOverwritten() {
    var check = TapeCheck()
    let x = check.declare("x", 4, 6)
    let weight = check.declare("w.weight", 6, 6)
    check.matrix { tape, _ in
      let h = TapeCheck.input(x, on: tape)
      let sum = tape.linear(h, weight, activation: .gelu, residual: h)
      return tape.linear(sum, weight, residual: h)
    } reference: { m in
      guard let x = m["x"], let weight = m["w.weight"] else { return Dense(0, 0) }
      return ((x * weight).map(TapeReference.gelu) + x) * weight + x
    }
  }

  @Test(arguments: [Activation.identity, .gelu])
  func oneNodeAsInputAndSummand(_ activation: Activation) {
    var check = TapeCheck()
    let x = check.declare("x", 5, 6)
    let weight = check.declare("w.weight", 6, 6)
    check.matrix { tape, _ in
      let h = TapeCheck.input(x, on: tape)
      return tape.linear(h, weight, activation: activation, residual: h)
    } reference: { m in
      guard let x = m["x"], let weight = m["w.weight"] else { return Dense(0, 0) }
      let product = x * weight
      return (activation == .gelu ? product.map(TapeReference.gelu) : product) + x
    }
  }

  @Test func viewsOfRowsShareTheGradientOfTheWhole() {
    var check = TapeCheck()
    let x = check.declare("x", 8, 6)
    let weight = check.declare("w.weight", 6, 6)
    let (gain, bias) = (check.declare("n.gain", 1, 6), check.declare("n.bias", 1, 6))
    check.matrix { tape, _ in
      let h = TapeCheck.input(x, on: tape)
      let normed = tape.layerNorm(h[1..<7], gain: gain, bias: bias)
      let inner = tape.linear(normed[2..<5], weight, residual: h[5..<8])
      return tape.linear(inner[1..<3][0..<2], weight, residual: normed[4..<6])
    } reference: { m in
      guard let x = m["x"], let weight = m["w.weight"], let gain = m["n.gain"], let bias = m["n.bias"] else {
        return Dense(0, 0)
      }
      let normed = TapeReference.layerNorm(x[rows: 1..<7], gain: gain, bias: bias)
      let inner = normed[rows: 2..<5] * weight + x[rows: 5..<8]
      return inner[rows: 1..<3] * weight + normed[rows: 4..<6]
    }
  }

  @Test(arguments: [6, 16, 21])
  func layerNorm(columns: Int) {
    var check = TapeCheck()
    let x = check.declare("x", 5, columns)
    let (gain, bias) = (check.declare("n.gain", 1, columns), check.declare("n.bias", 1, columns))
    check.matrix { tape, _ in
      tape.layerNorm(TapeCheck.input(x, on: tape), gain: gain, bias: bias)
    } reference: { m in
      guard let x = m["x"], let gain = m["n.gain"], let bias = m["n.bias"] else { return Dense(0, 0) }
      return TapeReference.layerNorm(x, gain: gain, bias: bias)
    }
  }

  @Test func aNormOfGivenNumbersStillTeachesItsGainAndBias() {
    var check = TapeCheck()
    let (gain, bias) = (check.declare("n.gain", 1, 4), check.declare("n.bias", 1, 4))
    let x = Dense(3, 4) { Double(($0 * 4 + $1) % 5) }
    check.matrix { tape, _ in
      tape.layerNorm(
        tape.constant(x.values.map { Float($0) }, rows: 3, columns: 4), gain: gain, bias: bias)
    } reference: { m in
      guard let gain = m["n.gain"], let bias = m["n.bias"] else { return Dense(0, 0) }
      return TapeReference.layerNorm(x, gain: gain, bias: bias)
    }
  }
}
