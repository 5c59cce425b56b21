/// The memories that have a name, each a point of the axes of `MemorySpec`.
public enum MemoryRegistry {
  public struct Entry: Sendable {
    public let name: String
    public let layer: LayerMemory
    /// Floats of a context's state a head, by N rows, head width d and features f.
    public let state: String
    /// Multiply-adds of a read a head, with k buffer rows.
    public let cost: String
    /// Where it comes from.
    public let source: String

    init(_ name: String, _ layer: LayerMemory, state: String, cost: String, source: String) {
      self.name = name
      self.layer = layer
      self.state = state
      self.cost = cost
      self.source = source
    }
    init(_ name: String, _ spec: MemorySpec, state: String, cost: String, source: String) {
      self.init(name, LayerMemory(spec), state: state, cost: cost, source: source)
    }
  }

  private static func linear(
    _ readOut: MemorySpec.ReadOut, features: String = "identity", weights: MemorySpec.Weights = .uniform
  ) -> MemorySpec {
    MemorySpec(
      weights: weights, features: features, function: .linear, loss: .dot, optimiser: .gradient(steps: 1),
      readOut: readOut)
  }
  /// For sequences: a row fades with those behind it.
  private static func recurrent(_ weights: MemorySpec.Weights) -> MemorySpec {
    MemorySpec(weights: weights, function: .linear, loss: .dot, optimiser: .gradient(steps: 1))
  }
  /// The same with the delta rule, which first fades and then corrects what is known at a row's key.
  private static func gatedDelta(_ weights: MemorySpec.Weights) -> MemorySpec {
    MemorySpec(weights: weights, features: "unit", function: .linear, optimiser: .online)
  }
  /// Several such steps a row.
  private static func product(_ steps: Int, _ weights: MemorySpec.Weights) -> MemorySpec {
    MemorySpec(weights: weights, features: "unit", function: .linear, optimiser: .product(steps: steps))
  }
  private static let ridge = MemorySpec(features: "elu", function: .linear, readOut: .leverage)

  public static let all: [Entry] = [
    Entry("softmax", MemorySpec.softmax, state: "2Nd", cost: "2(N+k)d", source: "Vaswani et al. 2017, eq. 1"),
    Entry(
      "softmax-unit",
      MemorySpec(weights: .similarity, features: "unit", function: .localConstant, readOut: .normalised),
      state: "2Nd", cost: "2(N+k)d", source: "QK norm, Henry et al. 2020; Wang et al. 2025, sec. 4"),
    Entry(
      "linear", linear(.raw), state: "d(d+1)", cost: "d(d+1)+2kd",
      source: "Katharopoulos et al. 2020, unnormalised"),
    Entry(
      "linear-mean", linear(.mean), state: "d(d+1)", cost: "d(d+1)+2kd", source: "as linear, divided by N"),
    Entry(
      "linear-elu", linear(.normalised, features: "elu"), state: "d(d+1)", cost: "d(d+1)+2kd",
      source: "Katharopoulos et al. 2020, eq. 4-7"),
    Entry(
      "linear-relu", linear(.normalised, features: "relu"), state: "d(d+1)", cost: "d(d+1)+2kd",
      source: "Kasai et al. 2021"),
    Entry(
      "linear-taylor", linear(.normalised, features: "taylor"), state: "f(d+1), f = 1+d+d(d+1)/2",
      cost: "f(d+1)+k(f+d)",
      source: "Based, Arora et al. 2024, eq. 4"),
    Entry(
      "linear-hedgehog", linear(.normalised, features: "hedgehog"), state: "2d(d+1)", cost: "2d(d+1)+3kd",
      source: "Zhang et al. 2024, softmax features"),
    Entry(
      "linear-weighted", linear(.normalised, features: "elu", weights: .learned), state: "d(d+1)",
      cost: "d(d+1)+2kd",
      source: "as linear-elu, rows weighed by softplus(x·w+b)"),
    Entry(
      "ridge", ridge, state: "2d(d+d)", cost: "2d²+2kd",
      source: "Mesa layer, von Oswald et al. 2023; Intention, Garnelo & Czarnecki 2023"),
    Entry(
      "ridge-cg", MemorySpec(features: "unit", function: .linear, optimiser: .conjugateGradient(steps: 8)),
      state: "2d²", cost: "8(d²+2kd)+d²+2kd", source: "MesaNet, von Oswald et al. 2025"),
    Entry(
      "ridge-gd", MemorySpec(features: "unit", function: .linear, optimiser: .gradient(steps: 4)),
      state: "2d²", cost: "4(d²+2kd)+d²+2kd", source: "full-batch gradient steps, Wang et al. 2025, sec. 3"),
    Entry(
      "kernel-ridge", MemorySpec(function: .kernel, readOut: .leverage), state: "N(N+2d)",
      cost: "N²/2+2(N+k)d",
      source: "kernel Intention; Rasmussen & Williams 2006, eq. 2.25"),
    Entry(
      "local-linear",
      MemorySpec(weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 12)),
      state: "2Nd", cost: "(N+k)(d²+4d)+12d²", source: "arXiv 2510.01450; Wang et al. 2025, order 1"),
    Entry(
      "ttt-linear", MemorySpec(function: .normalisedLinear, optimiser: .gradient(steps: 1)),
      state: "d(d+1)", cost: "2d(d+1)+2kd", source: "Sun et al. 2024, one full-batch step"),
    Entry(
      "hybrid", LayerMemory(context: ridge, buffer: .softmax), state: "2d(d+d)", cost: "2d²+2kd",
      source: "ridge context, softmax buffer behind a gate that begins closed"),
    Entry(
      "delta", MemorySpec(features: "unit", function: .linear, optimiser: .online), state: "d²",
      cost: "d²+2kd",
      source: "Schlag et al. 2021, eq. 15; depends on the order, no set context"),
    Entry(
      "retention", recurrent(.decay), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "RetNet, Sun et al. 2023, eq. 5-8; for sequences"),
    Entry(
      "gated-linear", recurrent(.scalarGate), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "simple GLA, Yang et al. 2024; for sequences"),
    Entry(
      "mamba-2", recurrent(.stepGate), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "Dao & Gu 2024, eq. 16; for sequences"),
    Entry(
      "gla", recurrent(.channelGate), state: "d²", cost: "d²+3kd, k ≤ 16",
      source: "Yang et al. 2024, eq. 3-4; for sequences"),
    Entry(
      "deltanet", gatedDelta(.learned), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "DeltaNet, Yang et al. 2024b; for sequences"),
    Entry(
      "longhorn",
      MemorySpec(weights: .learned, function: .linear, optimiser: .implicit), state: "d²",
      cost: "d²+2kd, k ≤ 32", source: "Liu et al. 2024, exact; for sequences"),
    Entry(
      "gated-delta", gatedDelta(.scalarGate), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "Gated DeltaNet, Yang et al. 2025, eq. 10; for sequences"),
    Entry(
      "kimi-delta", gatedDelta(.channelGate), state: "d²", cost: "d²+3kd, k ≤ 16",
      source: "Kimi delta attention, Kimi Team 2025; for sequences"),
    Entry(
      "hgrn2", recurrent(.tiedGate), state: "d²", cost: "d²+3kd, k ≤ 16",
      source: "HGRN2, Qin et al. 2024; for sequences"),
    Entry(
      "mlstm",
      MemorySpec(
        weights: .exponentialGate, function: .linear, loss: .dot, optimiser: .gradient(steps: 1),
        readOut: .normalised), state: "d(d+1)", cost: "d(d+1)+2kd, k ≤ 32",
      source: "xLSTM, Beck et al. 2024; for sequences"),
    Entry(
      "rwkv-6", recurrent(.bonusGate), state: "2d²", cost: "d²+3kd, k ≤ 16",
      source: "RWKV-6, Peng et al. 2024; for sequences"),
    Entry(
      "reflecting-delta", product(1, .learned), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "DeltaNet with negative eigenvalues, Grazzi et al. 2025; for sequences"),
    Entry(
      "delta-product", product(2, .learned), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "DeltaProduct, Siems et al. 2025; for sequences"),
    Entry(
      "gated-delta-product", product(2, .scalarGate), state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "Gated DeltaProduct, Siems et al. 2025; for sequences"),
    Entry(
      "rwkv-7", MemorySpec(weights: .channelGate, function: .linear, optimiser: .replace), state: "d²",
      cost: "d²+3kd, k ≤ 16", source: "RWKV-7, Peng et al. 2025; for sequences"),
    Entry(
      "gated-delta-2",
      MemorySpec(weights: .channelGate, features: "unit", function: .linear, optimiser: .eraseWrite),
      state: "d²", cost: "d²+3kd, k ≤ 16", source: "GDN-2, in flash-linear-attention; for sequences"),
    Entry(
      "comba",
      MemorySpec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .feedback),
      state: "d²", cost: "d²+2kd, k ≤ 32", source: "Comba, Hu et al. 2025; for sequences"),
    Entry(
      "titans-linear",
      MemorySpec(weights: .learned, features: "unit", function: .linear, optimiser: .momentum),
      state: "2d²", cost: "2d²+3kd, k ≤ 16",
      source: "Titans, Behrouz et al. 2024, linear memory, exact; for sequences"),
    Entry(
      "mesa",
      MemorySpec(
        weights: .scalarGate, features: "unit", function: .linear, optimiser: .conjugateGradient(steps: 8)),
      state: "2d²", cost: "9(2d²+3kd), k ≤ 32",
      source: "MesaNet, von Oswald et al. 2025; for sequences"),
    Entry(
      "gated-ridge", MemorySpec(weights: .scalarGate, features: "unit", function: .linear), state: "2d²",
      cost: "(d+1)(2d²+3kd)+d³/3, k ≤ 32", source: "as mesa, solved exactly; for sequences"),
    Entry(
      "rls", MemorySpec(weights: .decay, features: "unit", function: .linear, optimiser: .recursive),
      state: "2d²", cost: "(d+1)(2d²+3kd)+d³/3, k ≤ 32",
      source: "recursive least squares with forgetting, Haykin 2002; for sequences"),
    Entry(
      "fox",
      MemorySpec(weights: .fadingSimilarity, function: .localConstant, readOut: .normalised),
      state: "N(2d+8)", cost: "2(N+k)(d+4)", source: "forgetting transformer, Lin et al. 2025; for sequences"),
  ]

  /// The names of the memories that can hold a set.
  static var setMemories: [String] {
    all.filter { (try? $0.layer.context.kind().capability($0.layer.context).holdsSet) == true }.map(\.name)
  }

  /// The layer memory of a name.
  public static func named(_ name: String) throws(MemoryError) -> LayerMemory {
    for entry in all where entry.name == name { return entry.layer }
    throw .unknown(name, known: all.map(\.name))
  }

  /// The name of a layer memory; nil where it has none.
  public static func name(of layer: LayerMemory) -> String? { all.first { $0.layer == layer }?.name }
}
