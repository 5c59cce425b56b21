import ChorusTensors
import Foundation

/// A memory of frozen gradients by its choices: what it asks the layer's map for, what it learns, and where that is.
struct FrozenSettings: Sendable {
  static let chunks = 1...256

  let chunk: Int
  /// Whether steps gather momentum.
  let momentum: Bool
  /// Steps of mini-batches that do not fade: a row's rate is multiplied by a number of the reader's place in the chunk.
  /// Otherwise the map fades from row to row.
  let paced: Bool
  let network: InnerNetwork
  let loss: MemorySpec.Loss
  let retention: MemorySpec.Retention
  let gates: [StoredLayout.Gate]
  let parameters: [MemoryParameter]

  init(_ spec: MemorySpec, _ sizes: AttentionSizes) {
    switch spec.optimiser {
    case .frozen(let chunk): (self.chunk, momentum) = (chunk, false)
    case .frozenMomentum(let chunk): (self.chunk, momentum) = (chunk, true)
    default: (chunk, momentum) = (1, false)
    }
    paced = spec.weights == .learned
    network = InnerNetwork(spec.function, width: sizes.width)
    (loss, retention) = (spec.loss, spec.retention)
    let names =
      (paced ? [] : ["keep"]) + ["rate"] + (momentum ? ["momentum"] : [])
      + (loss.thresholded ? ["threshold"] : [])
    gates = names.map { StoredLayout.Gate($0) }
    let initial = ["keep": 4.0, "rate": 0, "momentum": 0, "threshold": Softplus.inverse(1)]
    var parameters = names.map { MemoryParameter($0, sizes.heads, initial: initial[$0] ?? 0) }
    if paced { parameters.append(MemoryParameter("pace", sizes.heads * chunk, initial: 0)) }
    if retention.scaled { parameters.append(MemoryParameter("scale", sizes.heads, initial: 1)) }
    if network.normalised {
      for (index, layer) in network.layers.enumerated() {
        // Rows of length 1 are read by the first matrix, hidden units of about that size by the second one.
        let spread = index == 0 ? 1 : 1 / Double(layer.rows).squareRoot()
        parameters.append(
          MemoryParameter(
            "start.\(index)", sizes.heads * layer.count, initial: 0,
            spread: retention.start(spread, rows: layer.rows, columns: layer.columns)))
      }
      parameters.append(MemoryParameter("gain", sizes.columns, initial: 1))
      parameters.append(MemoryParameter("bias", sizes.columns, initial: 0))
    }
    self.parameters = parameters
  }

  /// Where a parameter or a gate is.
  func parameter(_ name: String) -> Int { parameters.firstIndex { $0.name == name } ?? 0 }
  func gate(_ name: String) -> Int { gates.firstIndex { $0.name == name } ?? 0 }

  /// Rates of networks are shares of a step divided by the columns, as TTT has them; rows of length 1 take whole steps on a
  /// linear map.
  var rateShare: Double { network.normalised ? 1 / Double(network.width) : 1 }

  /// 1/i for the i-th reader of a chunk, more or less as is learned: what its place multiplies all rates with. TTT (Sun et
  /// al. 2024) adds what is learned to 1/i; here it is added to the multiple of 1/i.
  func pace(_ reader: Int, learned: Double) -> Double { max(0, 1 + learned) / Double(reader) }

  /// W = ψ(A) of all matrices.
  func map(
    _ a: UnsafePointer<Float>, scale: Double, into out: UnsafeMutablePointer<Float>
  ) {
    for layer in network.layers {
      retention.apply(
        a + layer.offset, rows: layer.rows, columns: layer.columns, scale: scale, into: out + layer.offset)
    }
  }
}

/// What the numbers of a chunk's rows make of its beginning and of their gradients: behind n rows
/// A = start·A₀ + carried·P₀ − Σ weights_j u_j and P = left·P₀ − Σ steps_j u_j, without any division.
struct FrozenSchedule {
  var start = 1.0
  var carried = 0.0
  var left = 1.0
  var weights: [Double]
  var steps: [Double]

  /// - Parameter row: what a row keeps of the map, of the momentum, and its rate.
  /// - Parameter pace: of the last row as a reader, where steps are paced.
  init(_ count: Int, pace: Double?, row: (Int) -> (keep: Double, momentum: Double, rate: Double)) {
    weights = [Double](repeating: 0, count: count)
    steps = weights
    if let pace {
      for j in 0..<count { weights[j] = pace * row(j).rate }
      return
    }
    for t in 0..<count {
      let (keep, momentum, rate) = row(t)
      for j in 0..<t { steps[j] *= momentum }
      steps[t] = rate
      left *= momentum
      for j in 0...t { weights[j] = keep * weights[j] + steps[j] }
      carried = keep * carried + left
      start *= keep
    }
  }
}
