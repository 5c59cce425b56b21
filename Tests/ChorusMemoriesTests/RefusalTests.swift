import ChorusTensors
import Testing

@testable import ChorusMemories

/// What has no memory is refused, and the refusal names the reason.
@Suite struct RefusalTests {
  private typealias Spec = MemorySpec

  private static let step = MemorySpec.Optimiser.gradient(steps: 1)
  private static func frozen(
    weights: MemorySpec.Weights = .scalarGate, features: String = "unit",
    function: MemorySpec.FunctionClass = .perceptron, loss: MemorySpec.Loss = .squared, chunk: Int = 16,
    retention: MemorySpec.Retention = .quadratic, readOut: MemorySpec.ReadOut = .raw
  ) -> MemorySpec {
    MemorySpec(
      weights: weights, features: features, function: function, loss: loss, optimiser: .frozen(chunk: chunk),
      retention: retention, readOut: readOut)
  }

  static let refused: [(MemorySpec, String)] = [
    (Spec(function: .localConstant, readOut: .normalised), "similarity weights"),
    (Spec(weights: .similarity, function: .localConstant), "normalised read-out"),
    (Spec(weights: .similarity, function: .localConstant, loss: .dot, readOut: .normalised), "squared loss"),
    (
      Spec(weights: .similarity, features: "elu", function: .localConstant, readOut: .normalised),
      "identity or unit"
    ),
    (Spec(weights: .similarity, function: .localLinear), "localLinear"),
    (Spec(function: .localLinear, optimiser: .conjugateGradient(steps: 4)), "similarity weights"),
    (
      Spec(
        weights: .similarity, features: "unit", function: .localLinear,
        optimiser: .conjugateGradient(steps: 4)),
      "identity features"
    ),
    (
      Spec(weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 0)),
      "1...256, not 0"
    ),
    (
      Spec(weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 257)), "not 257"
    ),
    (Spec(function: .linear, loss: .dot, optimiser: .gradient(steps: 2)), "take 1"),
    (Spec(weights: .similarity, function: .linear, loss: .dot, optimiser: step), "depend on the query"),
    (Spec(function: .linear, loss: .dot, optimiser: step, readOut: .leverage), "leverage"),
    (
      Spec(function: .linear, loss: .dot, optimiser: step, readOut: .normalised), "may vanish with 'identity'"
    ),
    (Spec(features: "unit", function: .linear, loss: .dot, optimiser: step, readOut: .normalised), "elu"),
    (
      Spec(
        weights: .learned, features: "elu", function: .linear, loss: .dot, optimiser: step, readOut: .mean),
      "number of rows"
    ),
    (Spec(function: .linear, loss: .dot), "exact"),
    (Spec(weights: .similarity, function: .linear), "depend on the query"),
    (Spec(function: .linear, readOut: .mean), "raw or with its leverage"),
    (Spec(function: .linear, readOut: .normalised), "raw or with its leverage"),
    (Spec(weights: .learned, function: .linear, optimiser: .conjugateGradient(steps: 4)), "uniform weights"),
    (Spec(function: .linear, optimiser: .conjugateGradient(steps: 4), readOut: .leverage), "reads raw"),
    (Spec(function: .linear, optimiser: .conjugateGradient(steps: -1)), "not -1"),
    (Spec(features: "unit", function: .linear, optimiser: .gradient(steps: 1000)), "not 1000"),
    (Spec(function: .linear, optimiser: .gradient(steps: 4)), "length 1"),
    (Spec(function: .linear, optimiser: .online), "unit features"),
    (Spec(features: "unit", function: .linear, loss: .dot, optimiser: .online), "squared loss"),
    (Spec(function: .normalisedLinear, optimiser: .gradient(steps: 2)), "one step"),
    (Spec(function: .normalisedLinear), "exact"),
    (Spec(weights: .learned, function: .kernel), "uniform weights"),
    (Spec(function: .kernel, readOut: .normalised), "raw or with its leverage"),
    (Spec(function: .kernel, optimiser: .conjugateGradient(steps: 3)), "conjugate-gradient(3)"),
    (Spec(features: "relus", function: .linear), "relu"),
    (Spec(weights: .decay, function: .linear, loss: .dot, optimiser: step, readOut: .mean), "read raw"),
    (Spec(weights: .decay, function: .linear), "rows that fade"),
    (Spec(weights: .channelGate, function: .linear, optimiser: .conjugateGradient(steps: 4)), "scalar gate"),
    (
      Spec(
        weights: .scalarGate, features: "unit", function: .linear, optimiser: .conjugateGradient(steps: 0)),
      "1...256, not 0"
    ),
    (Spec(weights: .scalarGate, features: "elu", function: .linear), "unit features"),
    (
      Spec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .recursive), "decay weights"
    ),
    (Spec(weights: .tiedGate, features: "elu", function: .linear, loss: .dot, optimiser: step), "its gate"),
    (
      Spec(weights: .exponentialGate, function: .linear, loss: .dot, optimiser: step),
      "normalised where exponential gates"
    ),
    (
      Spec(weights: .scalarGate, function: .linear, loss: .dot, optimiser: step, readOut: .normalised),
      "are read raw"
    ),
    (Spec(weights: .bonusGate, features: "unit", function: .linear, loss: .dot, optimiser: step), "bonus"),
    (Spec(weights: .bonusGate, features: "unit", function: .linear, optimiser: .online), "uniform weights"),
    (
      Spec(weights: .channelGate, features: "unit", function: .linear, optimiser: .product(steps: 2)),
      "learned or scalar-gate"
    ),
    (Spec(weights: .learned, features: "unit", function: .linear, optimiser: .product(steps: 4)), "not 4"),
    (Spec(weights: .channelGate, features: "unit", function: .linear, optimiser: .replace), "identity"),
    (Spec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .eraseWrite), "channel-gate"),
    (Spec(weights: .channelGate, features: "unit", function: .linear, optimiser: .feedback), "scalar-gate"),
    (Spec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .momentum), "learned"),
    (Spec(function: .kernel, optimiser: .momentum), "kernel fit of the squared loss by momentum"),
    (
      Spec(weights: .fadingSimilarity, features: "unit", function: .localConstant, readOut: .normalised),
      "identity features"
    ),
    (
      Spec(weights: .fadingSimilarity, function: .localLinear, optimiser: .conjugateGradient(steps: 4)),
      "similarity weights"
    ),
    (Spec(weights: .fadingSimilarity, function: .linear), "depend on the query"),
    (Spec(function: .linear, optimiser: .implicit), "learned weights"),
    (Spec(features: "unit", function: .linear, optimiser: .chebyshev(steps: 4)), "scalar-gate"),
    (
      Spec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .chebyshev(steps: 0)),
      "1...256, not 0"
    ),
    (Spec(weights: .tiedGate, function: .slots, optimiser: .gradient(steps: 1)), "normalised read-out"),
    (Spec(function: .slots), "slots fit of the squared loss by exact"),
    (
      Spec(weights: .tiedGate, features: "unit", function: .linear, optimiser: .implicit), "identity features"
    ),
    (frozen(chunk: 0), "1 to 256 rows, not 0"),
    (frozen(chunk: -16), "not -16"),
    (frozen(chunk: 257), "not 257"),
    (frozen(function: .kernel), "linear, normalisedLinear or perceptron"),
    (frozen(weights: .decay), "scalar-gate weights"),
    (frozen(weights: .channelGate), "scalar-gate weights"),
    (frozen(features: "elu"), "unit features"),
    (frozen(features: "identity", function: .linear), "unit features"),
    (frozen(loss: .power(0.5)), "1...8, not 0.5"),
    (frozen(loss: .power(.nan)), "not nan"),
    (frozen(retention: .norm(1)), "2...8, not 1"),
    (frozen(retention: .printedNorm(9)), "not 9"),
    (frozen(readOut: .mean), "reads raw"),
    (
      Spec(weights: .learned, features: "unit", function: .linear, optimiser: .frozenMomentum(chunk: 4)),
      "with momentum"
    ),
    (Spec(function: .linear, loss: .huber), "huber loss is known of gradients that are frozen"),
    (Spec(function: .linear, loss: .power(3), optimiser: .online), "power(3) loss"),
    (Spec(features: "unit", function: .linear, optimiser: .online, retention: .norm(4)), "norm(4) retention"),
    (Spec(weights: .decay, features: "unit", function: .linear, optimiser: .online), "uniform weights"),
  ]

  @Test(arguments: refused.indices)
  func theReasonIsNamed(index: Int) {
    let (spec, reason) = Self.refused[index]
    let refusal = #expect(throws: MemoryError.self) {
      try CompiledMemory(LayerMemory(spec), AttentionSizes(heads: 2, width: 8))
    }
    let text = refusal?.description ?? ""
    #expect(text.contains(reason), "\(index): \(text)")
  }

  @Test func joinsAndNames() throws {
    let sizes = AttentionSizes(heads: 2, width: 8)
    let learned = Spec(weights: .learned, function: .linear)
    let join = #expect(throws: MemoryError.self) {
      try CompiledMemory(LayerMemory(context: .softmax, buffer: learned), sizes)
    }
    #expect(join?.description.contains("weights of its own") == true)
    // The buffer's order is the path's, so an order-dependent memory may hold it, but not the context.
    let delta = try MemoryRegistry.named("delta").context
    _ = try CompiledMemory(LayerMemory(context: .softmax, buffer: delta), sizes)
    let turned = #expect(throws: MemoryError.self) {
      try CompiledMemory(LayerMemory(context: delta, buffer: .softmax), sizes)
    }
    #expect(turned?.description.contains("order") == true && turned?.description.contains("hybrid") == true)
    #expect(turned?.description.contains("delta") == false, "what cannot hold a set is not offered")
    // A path's newest state is not enough for plans over a set, which read any prefix of its rows.
    let retention = try MemoryRegistry.named("retention").context
    let newest = #expect(throws: MemoryError.self) {
      try CompiledMemory(LayerMemory(context: .softmax, buffer: retention), sizes)
    }
    #expect(newest?.description.contains("newest") == true && newest?.description.contains("hybrid") == true)
    let open = try CompiledMemory(LayerMemory(context: .softmax, buffer: retention), sizes, set: false)
    #expect(open.capability.prefixReads == .newest(chunk: 32) && open.capability.holdsSet)
    let fading = #expect(throws: MemoryError.self) { try CompiledMemory(LayerMemory(retention), sizes) }
    #expect(fading?.description.hasPrefix("retention depends on the order") == true)
    let unknown = #expect(throws: MemoryError.self) { try MemoryRegistry.named("rigde") }
    #expect(unknown?.description.contains("ridge-cg") == true)
  }
}
