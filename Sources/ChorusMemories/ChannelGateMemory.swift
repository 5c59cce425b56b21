import CChorusKernels
import ChorusTensors
import Foundation

/// Gated linear attention (Yang et al. 2024, eq. 3-4): S ← Diag(α) S + k vᵀ with α = σ(x·w + b)^(1/16), one gate a key column.
struct ChannelGateRule: RecurrentRule {
  static let channels = true

  static func gates(_ sizes: AttentionSizes) -> [StoredLayout.Gate] {
    [StoredLayout.Gate("keep", width: sizes.width)]
  }
  static func parameters(_ sizes: AttentionSizes) -> [MemoryParameter] {
    [MemoryParameter("keep", sizes.columns, initial: 0)]
  }

  static func reference(_ row: ReferenceHead.Row, _ head: ReferenceHead, steps: Int) -> [RowTerms] {
    let bias = head.part(0, head.sizes.width)
    return [
      RowTerms(fades: zip(row.gates[0], bias).map { log(head.sigmoid($0 + $1)) / ScalarGateRule.divisor })
    ]
  }

  private let sizes: AttentionSizes
  private let values: MemoryValues
  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    (self.sizes, self.values) = (sizes, values)
  }

  func terms(_ row: StoredRow, _ head: Int, steps: Int, into move: RecurrentMove) -> Double {
    let (gate, bias) = (row.gate(0), values[0] + head * sizes.width)
    let width = sizes.width
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * width) { scratch in
      guard let back = scratch.baseAddress else { return }
      let soft = back + width
      for i in 0..<width { back[i] = -gate[i] - bias[i] }
      ck_softplus(width, back, soft)
      for i in 0..<width { move.fade[i] = Double(soft[i]) * (-1 / ScalarGateRule.divisor) }
    }
    return 1
  }

  func record(_ head: inout HeadPass, keys: RecordedKeys) -> RecordedTerms {
    let gate = GatePass(&head, gate: 0, parameter: 0, divisor: ScalarGateRule.divisor)
    head.pass.fuse(gate)
    return RecordedTerms(fades: gate.fades)
  }
}

/// log σ(x + b)/divisor of a gate's columns in all rows, with derivatives, in Float: gates may be as many as keys, and matrices of
/// what is on the way to them would cost more than what reads them. Only what is fused may read `fades`.
final class GatePass: FusedPass {
  let fades: HeadPass.Matrix
  private let inputs: [HeadPass.Input]
  private let bias: HeadPass.Matrix
  private let biases: UnsafePointer<Double>
  private let divisor: Double

  init(_ head: inout HeadPass, gate: Int, parameter: Int, divisor: Double) {
    let given = head.gateInputs[gate]
    let n = given.own.columns.count
    let all = [given.set, given.own]
    let learned = head.parameters(parameter, count: n)
    let numbers = UnsafePointer(head.matrices.values(learned))
    (inputs, bias, biases, self.divisor) = (all, learned, numbers, divisor)
    fades = head.matrices.input(head.rows, n) { values in
      var out = values
      Self.each(all, numbers, n) { _, _, x, soft in
        for j in 0..<n { x[j] = -x[j] }
        ck_softplus(n, x, soft)
        for j in 0..<n { out[j] = Double(soft[j]) * (-1 / divisor) }
        out += n
      }
    }
  }

  /// Calls `body` with x + b of every row and memory for as many numbers.
  private static func each(
    _ inputs: [HeadPass.Input], _ biases: UnsafePointer<Double>, _ n: Int,
    _ body: (
      _ input: HeadPass.Input, _ row: Int, _ x: UnsafeMutablePointer<Float>,
      _ scratch: UnsafeMutablePointer<Float>
    ) -> Void
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * n) { scratch in
      guard let x = scratch.baseAddress else { return }
      let added = x + 2 * n
      for j in 0..<n { added[j] = Float(biases[j]) }
      for input in inputs where !input.rows.isEmpty {
        let (from, stride) = (input.values, input.node.columns)
        for row in 0..<input.rows.count {
          for j in 0..<n { x[j] = from[row * stride + j] + added[j] }
          body(input, row, x, x + n)
        }
      }
    }
  }

  func backward(_ gradients: FusedGradients) {
    guard var dy = gradients.matrix(fades) else { return }
    let (n, factor) = (fades.columns, Float(1 / divisor))
    gradients.seed(bias) { sums in
      Self.each(inputs, biases, n) { input, row, x, grown in
        ck_exp(n, x, grown)
        for j in 0..<n {
          x[j] = Float(dy[j]) * factor / (1 + grown[j])
          sums[j] += Double(x[j])
        }
        if let target = gradients.node(input.node) {
          let to = target + input.offset + row * input.node.columns
          for j in 0..<n { to[j] += x[j] }
        }
        dy += n
      }
    }
  }
}
