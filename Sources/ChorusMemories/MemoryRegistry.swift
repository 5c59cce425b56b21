/// The memories that have a name, each a point of the axes of `MemorySpec`.
public enum MemoryRegistry {
  public struct Entry: Sendable {
    public let name: String
    public let layer: LayerMemory
    /// What it computes for a head: k, v and q are a row's key and value and a query, S its state.
    public let rule: String
    /// Floats of a context's state a head, by N rows, head width d and features f.
    public let state: String
    /// Multiply-adds of a read a head, with k buffer rows.
    public let cost: String
    /// Where it comes from.
    public let source: String

    init(_ name: String, _ layer: LayerMemory, rule: String, state: String, cost: String, source: String) {
      self.name = name
      self.layer = layer
      self.rule = rule
      self.state = state
      self.cost = cost
      self.source = source
    }
    init(_ name: String, _ spec: MemorySpec, rule: String, state: String, cost: String, source: String) {
      self.init(name, LayerMemory(spec), rule: rule, state: state, cost: cost, source: source)
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
  /// Gradients frozen for chunks of 16 rows: Titans and Miras.
  private static func frozen(
    _ loss: MemorySpec.Loss = .squared, _ retention: MemorySpec.Retention = .quadratic,
    optimiser: MemorySpec.Optimiser = .frozen(chunk: 16)
  ) -> MemorySpec {
    MemorySpec(
      weights: .scalarGate, features: "unit", function: .perceptron, loss: loss, optimiser: optimiser,
      retention: retention)
  }
  /// The same by mini-batches that do not fade: TTT.
  private static func batches(_ function: MemorySpec.FunctionClass) -> MemorySpec {
    MemorySpec(weights: .learned, function: function, optimiser: .frozen(chunk: 16))
  }
  private static let ridge = MemorySpec(features: "elu", function: .linear, readOut: .leverage)

  public static let all: [Entry] = [
    Entry(
      "softmax", MemorySpec.softmax, rule: "Σ s v / Σ s, s = exp(q·k/√d)", state: "2Nd", cost: "2(N+k)d",
      source: "Vaswani et al. 2017, eq. 1"),
    Entry(
      "softmax-unit",
      MemorySpec(weights: .similarity, features: "unit", function: .localConstant, readOut: .normalised),
      rule: "the same with q and k at length 1, s = exp(e^t q·k)", state: "2Nd", cost: "2(N+k)d",
      source: "QK norm, Henry et al. 2020; Wang et al. 2025, sec. 4"),
    Entry(
      "linear", linear(.raw), rule: "S ← S + k vᵀ, read as q·S", state: "d(d+1)", cost: "d(d+1)+2kd",
      source: "Katharopoulos et al. 2020, unnormalised"),
    Entry(
      "linear-mean", linear(.mean), rule: "the same, q·S / N", state: "d(d+1)", cost: "d(d+1)+2kd",
      source: "as linear, divided by N"),
    Entry(
      "linear-elu", linear(.normalised, features: "elu"),
      rule: "φ(q)·S / φ(q)·z, S ← S + φ(k) vᵀ, z ← z + φ(k), φ = ELU + 1", state: "d(d+1)",
      cost: "d(d+1)+2kd",
      source: "Katharopoulos et al. 2020, eq. 4-7"),
    Entry(
      "linear-relu", linear(.normalised, features: "relu"), rule: "the same, φ = max(x, 0)", state: "d(d+1)",
      cost: "d(d+1)+2kd",
      source: "Kasai et al. 2021"),
    Entry(
      "linear-taylor", linear(.normalised, features: "taylor"),
      rule: "the same, φ(q)·φ(k) = 1 + s + s²/2, s = q·k/√d", state: "f(d+1), f = 1+d+d(d+1)/2",
      cost: "f(d+1)+k(f+d)",
      source: "Based, Arora et al. 2024, eq. 4"),
    Entry(
      "linear-hedgehog", linear(.normalised, features: "hedgehog"), rule: "the same, φ = softmax of (x, −x)",
      state: "2d(d+1)", cost: "2d(d+1)+3kd",
      source: "Zhang et al. 2024, softmax features"),
    Entry(
      "linear-weighted", linear(.normalised, features: "elu", weights: .learned),
      rule: "as linear-elu, S ← S + w φ(k) vᵀ, w = softplus(x·w + b)", state: "d(d+1)",
      cost: "d(d+1)+2kd",
      source: "as linear-elu, rows weighed by softplus(x·w+b)"),
    Entry(
      "ridge", ridge, rule: "q·(H + λ)⁻¹·G, G = Σ k vᵀ, H = Σ k kᵀ", state: "2d(d+d)", cost: "2d²+2kd",
      source: "Mesa layer, von Oswald et al. 2023; Intention, Garnelo & Czarnecki 2023"),
    Entry(
      "ridge-cg", MemorySpec(features: "unit", function: .linear, optimiser: .conjugateGradient(steps: 8)),
      rule: "the same by 8 steps of conjugate gradients", state: "2d²", cost: "8(d²+2kd)+d²+2kd",
      source: "MesaNet, von Oswald et al. 2025"),
    Entry(
      "ridge-gd", MemorySpec(features: "unit", function: .linear, optimiser: .gradient(steps: 4)),
      rule: "the same by 4 steps S ← S + (η/N)(G − (H + λ) S)", state: "2d²", cost: "4(d²+2kd)+d²+2kd",
      source: "full-batch gradient steps, Wang et al. 2025, sec. 3"),
    Entry(
      "kernel-ridge", MemorySpec(function: .kernel, readOut: .leverage),
      rule: "κ(q, K)·(κ(K, K) + λ)⁻¹·V, a Gaussian κ", state: "N(N+2d)",
      cost: "N²/2+2(N+k)d",
      source: "kernel Intention; Rasmussen & Williams 2006, eq. 2.25"),
    Entry(
      "local-linear",
      MemorySpec(weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 12)),
      rule: "v̄ + (q − k̄)·(C_kk + ε)⁻¹·C_kv under the weights of softmax", state: "2Nd",
      cost: "(N+k)(d²+4d)+12d²", source: "arXiv 2510.01450; Wang et al. 2025, order 1"),
    Entry(
      "ttt-linear", MemorySpec(function: .normalisedLinear, optimiser: .gradient(steps: 1)),
      rule: "q + LN(q·W + b), one gradient step of Σ ‖v − k − LN(k·W + b)‖²/2", state: "d(d+1)",
      cost: "2d(d+1)+2kd", source: "Sun et al. 2024, one full-batch step"),
    Entry(
      "hybrid", LayerMemory(context: ridge, buffer: .softmax),
      rule: "ridge of the context beside softmax of a path's rows", state: "2d(d+d)", cost: "2d²+2kd",
      source: "ridge context, softmax buffer behind a gate that begins closed"),
    Entry(
      "delta", MemorySpec(features: "unit", function: .linear, optimiser: .online),
      rule: "S ← S + β k (v − k·S)ᵀ, read as q·S", state: "d²",
      cost: "d²+2kd",
      source: "Schlag et al. 2021, eq. 15; depends on the order, no set context"),
    Entry(
      "retention", recurrent(.decay), rule: "S ← γ S + k vᵀ, γ = 1 − 2^(−5−h)", state: "d²",
      cost: "d²+2kd, k ≤ 32",
      source: "RetNet, Sun et al. 2023, eq. 5-8; for sequences"),
    Entry(
      "gated-linear", recurrent(.scalarGate), rule: "the same, γ = σ(x·w + b)^(1/16)", state: "d²",
      cost: "d²+2kd, k ≤ 32",
      source: "simple GLA, Yang et al. 2024; for sequences"),
    Entry(
      "mamba-2", recurrent(.stepGate), rule: "S ← e^(−Δ e^A) S + k (Δ v)ᵀ, Δ = softplus(x·w + b)",
      state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "Dao & Gu 2024, eq. 16; for sequences"),
    Entry(
      "gla", recurrent(.channelGate), rule: "S ← Diag(α) S + k vᵀ, α = σ(x·w + b)^(1/16)", state: "d²",
      cost: "d²+2kd, k ≤ 16",
      source: "Yang et al. 2024, eq. 3-4; for sequences"),
    Entry(
      "deltanet", gatedDelta(.learned), rule: "as delta, β = σ(x·w + b)", state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "DeltaNet, Yang et al. 2024b; for sequences"),
    Entry(
      "longhorn",
      MemorySpec(weights: .learned, function: .linear, optimiser: .implicit),
      rule: "as deltanet with the rate β/(1 + β‖k‖²): the least ‖S − S₋‖² + β‖v − k·S‖²", state: "d²",
      cost: "d²+2kd, k ≤ 32", source: "Liu et al. 2024, exact; for sequences"),
    Entry(
      "longhorn-diagonal", MemorySpec(weights: .tiedGate, function: .linear, optimiser: .implicit),
      rule: "S ← (1 − Δ k²) ⊙ S + Δ k vᵀ, Δ = β/(1 + β‖k‖²)", state: "d²", cost: "d²+2kd, k ≤ 16",
      source: "Liu et al. 2024, as released; for sequences"),
    Entry(
      "gated-delta", gatedDelta(.scalarGate), rule: "S ← γ S, then as deltanet", state: "d²",
      cost: "d²+2kd, k ≤ 32",
      source: "Gated DeltaNet, Yang et al. 2025, eq. 10; for sequences"),
    Entry(
      "kimi-delta", gatedDelta(.channelGate), rule: "S ← Diag(α) S, then as deltanet", state: "d²",
      cost: "d²+2kd, k ≤ 16",
      source: "Kimi delta attention, Kimi Team 2025; for sequences"),
    Entry(
      "hgrn2", recurrent(.tiedGate), rule: "S ← Diag(α) S + (1 − α) vᵀ, α = σ(k + b)", state: "d²",
      cost: "d²+2kd, k ≤ 16",
      source: "HGRN2, Qin et al. 2024; for sequences"),
    Entry(
      "mlstm",
      MemorySpec(
        weights: .exponentialGate, function: .linear, loss: .dot, optimiser: .gradient(steps: 1),
        readOut: .normalised),
      rule: "q·C / max(abs(q·n), 1), C ← f C + i k vᵀ, n ← f n + i k, f = σ(f̃), i = e^ĩ", state: "d(d+1)",
      cost: "d(d+1)+2kd, k ≤ 32",
      source: "xLSTM, Beck et al. 2024; for sequences"),
    Entry(
      "rwkv-6", recurrent(.bonusGate),
      rule: "q·(S + Diag(u) k vᵀ), then S ← Diag(w) S + k vᵀ, w = exp(−e^(x·w + b))", state: "2d²",
      cost: "d²+2kd, k ≤ 16",
      source: "RWKV-6, Peng et al. 2024; for sequences"),
    Entry(
      "reflecting-delta", product(1, .learned), rule: "as deltanet, β = 2σ(x·w + b)", state: "d²",
      cost: "d²+2kd, k ≤ 32",
      source: "DeltaNet with negative eigenvalues, Grazzi et al. 2025; for sequences"),
    Entry(
      "delta-product", product(2, .learned), rule: "two such steps a row, each with its own k, v and β",
      state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "DeltaProduct, Siems et al. 2025; for sequences"),
    Entry(
      "gated-delta-product", product(2, .scalarGate), rule: "S ← γ S, then as delta-product", state: "d²",
      cost: "d²+2kd, k ≤ 32",
      source: "Gated DeltaProduct, Siems et al. 2025; for sequences"),
    Entry(
      "rwkv-7", MemorySpec(weights: .channelGate, function: .linear, optimiser: .replace),
      rule: "S ← Diag(w) S − (a ⊙ κ̂)(κ̂·S) + k̃ vᵀ", state: "d²",
      cost: "d²+2kd, k ≤ 16", source: "RWKV-7, Peng et al. 2025; for sequences"),
    Entry(
      "gated-delta-2",
      MemorySpec(weights: .channelGate, features: "unit", function: .linear, optimiser: .eraseWrite),
      rule: "S ← Diag(α) S, then S ← S + k (w ⊙ v − (b ⊙ k)·S)ᵀ", state: "d²", cost: "d²+2kd, k ≤ 16",
      source: "GDN-2, in flash-linear-attention; for sequences"),
    Entry(
      "comba",
      MemorySpec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .feedback),
      rule: "S ← γ S, then S ← S + β k (v − b k·S)ᵀ", state: "d²", cost: "d²+2kd, k ≤ 32",
      source: "Comba, Hu et al. 2025; for sequences"),
    Entry(
      "preconditioned-delta",
      MemorySpec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .preconditioned),
      rule:
        "S ← γ S, then S ← S + β (M ⊙ k) (v − k·S)ᵀ, M = 1.5^(−r/(1 + abs(r))), r = log A + 0.2, A ← δ A + b k²",
      state: "d(d+1)", cost: "d²+2kd, k ≤ 32",
      source: "preconditioned Gated DeltaNet, in flash-linear-attention; for sequences"),
    Entry(
      "titans-linear",
      MemorySpec(weights: .learned, features: "unit", function: .linear, optimiser: .momentum),
      rule: "P ← η P − θ k (k·M − v)ᵀ, M ← a M + P, read as q·M", state: "2d²", cost: "2d²+3kd, k ≤ 16",
      source: "Titans, Behrouz et al. 2024, linear memory, exact; for sequences"),
    Entry(
      "mesa",
      MemorySpec(
        weights: .scalarGate, features: "unit", function: .linear, optimiser: .conjugateGradient(steps: 8)),
      rule: "q·(H + λ)⁻¹·G by 8 steps, G ← γ G + β k vᵀ, H ← γ H + β k kᵀ", state: "2d²",
      cost: "9(d²+2kd), k ≤ 32",
      source: "MesaNet, von Oswald et al. 2025; for sequences"),
    Entry(
      "kalma-net",
      MemorySpec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .chebyshev(steps: 16)),
      rule: "as mesa with λ = a‖H‖, by 16 steps of Chebyshev's iteration", state: "2d²",
      cost: "(d+17)(d²+2kd), k ≤ 32", source: "Gated KalmaNet, arXiv 2511.21016; for sequences"),
    Entry(
      "gated-ridge", MemorySpec(weights: .scalarGate, features: "unit", function: .linear),
      rule: "the same exactly", state: "2d²",
      cost: "(d+1)(d²+2kd)+d³/3, k ≤ 32", source: "as mesa, solved exactly; for sequences"),
    Entry(
      "rls", MemorySpec(weights: .decay, features: "unit", function: .linear, optimiser: .recursive),
      rule: "q·H⁻¹·G, G ← γ G + k vᵀ, H ← γ H + k kᵀ from H = λ", state: "2d²",
      cost: "(d+1)(d²+2kd)+d³/3, k ≤ 32",
      source: "recursive least squares with forgetting, Haykin 2002; for sequences"),
    Entry(
      "fox",
      MemorySpec(weights: .fadingSimilarity, function: .localConstant, readOut: .normalised),
      rule: "softmax with q·k_j/√d + Σ_{i>j} log σ(x_i·w + b)", state: "N(2d+8)", cost: "2(N+k)(d+4)",
      source: "forgetting transformer, Lin et al. 2025; for sequences"),
    Entry(
      "gated-slots",
      MemorySpec(
        weights: .tiedGate, function: .slots, optimiser: .gradient(steps: 1), readOut: .normalised),
      rule: "softmax(K̃ q/√d)·Ṽ, K̃ ← Diag(α) K̃ + (1 − α) kᵀ, Ṽ ← Diag(α) Ṽ + (1 − α) vᵀ, α = σ(x·w + b)^(1/8)",
      state: "2d²", cost: "(d+1)(d²+2kd), k ≤ 16",
      source: "gated slot attention, Zhang et al. 2024; for sequences"),
    Entry(
      "ttt-linear-batches", batches(.normalisedLinear),
      rule: "q + LN(q·W + b), of W − τ Σ η u with u of Σ ‖v − k − LN(k·W + b)‖²/2 at W where 16 rows begin",
      state: "d(d+1)+16(3+2d)", cost: "d²+2kd, k ≤ 16",
      source: "TTT-Linear, Sun et al. 2024, mini-batches; for sequences"),
    Entry(
      "ttt-mlp", batches(.perceptron), rule: "the same with LN(gelu(q·W₁ + b₁)·W₂ + b₂)",
      state: "8d²+5d+16(3+10d)", cost: "8d²+10kd, k ≤ 16", source: "TTT-MLP, Sun et al. 2024; for sequences"),
    Entry(
      "titans", frozen(optimiser: .frozenMomentum(chunk: 16)),
      rule:
        "f = q + LN(gelu(q·W₁ + b₁)·W₂ + b₂), P ← μ P − θ u, W ← α W + P, u of ‖f(k) − v‖²/2 at W where 16 rows begin",
      state: "16d²+10d+16(3+10d)", cost: "16d²+10kd, k ≤ 16",
      source: "Titans, Behrouz et al. 2024, frozen; for sequences"),
    Entry(
      "moneta", frozen(.power(3), .norm(4)),
      rule: "f as titans, A ← α A − θ u of Σ abs(f(k) − v)³/3, W = sign(A) abs(A)³ / ‖A‖₄²",
      state: "8d²+5d+16(3+10d)", cost: "8d²(k+1), k ≤ 16",
      source: "Miras, Behrouz et al. 2025, exact; for sequences"),
    Entry(
      "moneta-printed", frozen(.power(3), .printedNorm(4)), rule: "the same with W = A / ‖A‖₄²",
      state: "8d²+5d+16(3+10d)", cost: "8d²(k+1), k ≤ 16",
      source: "Miras, Behrouz et al. 2025, as printed; for sequences"),
    Entry(
      "yaad", frozen(.huber),
      rule: "f as titans, W ← α W − θ u of Huber's loss with a threshold δ = softplus(x·w + b)",
      state: "8d²+5d+16(3+10d)", cost: "8d²+10kd, k ≤ 16", source: "Miras, Behrouz et al. 2025; for sequences"
    ),
    Entry(
      "memora", frozen(.squared, .simplex),
      rule: "f as titans, A ← α A − θ u of ‖f(k) − v‖²/2, W = c softmax(A) by columns",
      state: "8d²+5d+16(3+10d)",
      cost: "8d²(k+1), k ≤ 16", source: "Miras, Behrouz et al. 2025; for sequences"),
  ]

  /// What every memory computes and takes, as a table in markdown.
  public static func rules() throws(MemoryError) -> String {
    var lines = [
      "| name | what it computes | holds a set | state | cost of a read | source |",
      "|---|---|---|---|---|---|",
    ]
    for entry in all {
      let spec = entry.layer.context
      let set = try spec.kind().capability(spec).holdsSet ? "yes" : "no"
      lines.append(
        "| \(entry.name) | \(entry.rule) | \(set) | \(entry.state) | \(entry.cost) | \(entry.source) |")
    }
    return lines.joined(separator: "\n")
  }

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
