import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Where definitions of sequence memories coincide so do their answers, and where they do not, they do not.
@Suite struct LatticeTests {
  private static let sizes = AttentionSizes(heads: 2, width: 8)

  private static func linear(_ weights: MemorySpec.Weights) -> MemorySpec {
    MemorySpec(
      weights: weights, features: "unit", function: .linear, loss: .dot, optimiser: .gradient(steps: 1))
  }
  private static func delta(_ weights: MemorySpec.Weights) -> MemorySpec {
    MemorySpec(weights: weights, features: "unit", function: .linear, optimiser: .online)
  }

  private static func spec(_ weights: MemorySpec.Weights, _ optimiser: MemorySpec.Optimiser) -> MemorySpec {
    MemorySpec(weights: weights, features: "unit", function: .linear, optimiser: optimiser)
  }
  private static func product(_ steps: Int, _ weights: MemorySpec.Weights) -> MemorySpec {
    spec(weights, .product(steps: steps))
  }
  /// Of keys of any length.
  private static func plain(_ weights: MemorySpec.Weights) -> MemorySpec {
    MemorySpec(weights: weights, function: .linear, loss: .dot, optimiser: .gradient(steps: 1))
  }

  /// Two memories, their numbers, and what their rows have behind keys and values.
  private struct Pair {
    let name: String
    let first: (spec: MemorySpec, numbers: [String: Double])
    let second: (spec: MemorySpec, numbers: [String: Double])
    /// Gates of the two for a row's number x.
    var gates: (Double) -> ([Double], [Double]) = { _ in ([], []) }
    var differ = false
  }

  /// Gates of 1 forget nothing, equal gates of all columns are one gate, a step of nothing writes nothing.
  private static var pairs: [Pair] {
    let zeros = [Double](repeating: 0, count: 16)
    let (open, closed) = (60.0, -60.0)
    return [
      Pair(
        name: "a gate that keeps all is linear attention", first: (linear(.scalarGate), ["keep": open]),
        second: (linear(.uniform), [:]), gates: { _ in ([0, 0], []) }),
      Pair(
        name: "retention is a fixed gate, differing from linear attention", first: (linear(.decay), [:]),
        second: (linear(.uniform), [:]), differ: true),
      Pair(
        name: "gates alike in all columns are one gate", first: (linear(.channelGate), ["keep": 0]),
        second: (linear(.scalarGate), ["keep": 0]),
        gates: { x in ([Double](repeating: x, count: 16), [x, x]) }),
      Pair(
        name: "an ungated delta rule is the delta rule",
        first: (delta(.scalarGate), ["keep": open, "rate": 0.4]),
        second: (delta(.uniform), ["rate": 0.4]), gates: { _ in ([0, 0, 0, 0], []) }),
      Pair(
        name: "a learned rate that is the same for all rows is the delta rule",
        first: (delta(.learned), ["rate": 0.4]), second: (delta(.uniform), ["rate": 0.4]),
        gates: { _ in ([0, 0], []) }),
      Pair(
        name: "the delta rule's gates alike in all columns are one gate",
        first: (delta(.channelGate), ["keep": 0, "rate": 0]),
        second: (delta(.scalarGate), ["keep": 0, "rate": 0]),
        gates: { x in ([Double](repeating: x, count: 16) + [x, -x], [x, x, x, -x]) }),
      Pair(
        name: "a rate of nothing writes nothing", first: (delta(.scalarGate), ["keep": 0, "rate": closed]),
        second: (delta(.uniform), ["rate": closed]), gates: { x in ([x, x, 0, 0], []) }),
      Pair(
        name: "one reflecting step of half a rate is DeltaNet",
        first: (product(1, .learned), ["rate": log(0.3 / 0.7)]),
        second: (delta(.learned), ["rate": log(0.6 / 0.4)]), gates: { _ in ([0, 0], [0, 0]) }),
      Pair(
        name: "a second step of nothing is one step",
        first: (product(2, .learned), ["rate": 0.2, "rate.1": closed]),
        second: (product(1, .learned), ["rate": 0.2]),
        gates: { x in ([x, x] + [Double](repeating: 1, count: 32) + [0, 0], [x, x]) }),
      Pair(
        name: "a second step differs from one step",
        first: (product(2, .learned), ["rate": 0.2, "rate.1": 0]),
        second: (product(1, .learned), ["rate": 0.2]),
        gates: { x in ([x, x] + [Double](repeating: 1, count: 32) + [0, 0], [x, x]) }, differ: true),
      Pair(
        name: "steps under an open gate", first: (product(3, .scalarGate), ["keep": open, "rate": 0.2]),
        second: (product(3, .learned), ["rate": 0.2]),
        gates: { x in
          let steps = [x, x] + (0..<2).flatMap { _ in [Double](repeating: x, count: 32) + [x, -x] }
          return ([0, 0] + steps, steps)
        }),
      Pair(
        name: "feedback of all that is known is the gated delta rule",
        first: (spec(.scalarGate, .feedback), ["keep": 0, "rate": 0.4, "feedback": open]),
        second: (delta(.scalarGate), ["keep": 0, "rate": 0.4]),
        gates: { x in ([x, x, x, -x], [x, x, x, -x]) }),
      Pair(
        name: "feedback of nothing is gated linear attention with a rate",
        first: (spec(.scalarGate, .feedback), ["keep": 0, "rate": open, "feedback": closed]),
        second: (linear(.scalarGate), ["keep": 0]), gates: { x in ([x, x, 0, 0], [x, x]) }),
      Pair(
        name: "open gates of erasing and writing are a rate of 1",
        first: (spec(.channelGate, .eraseWrite), ["keep": 0, "erase": open, "write": open]),
        second: (delta(.channelGate), ["keep": 0, "rate": open]),
        gates: { x in
          let gates = [Double](repeating: x, count: 16)
          return (gates + zeros + zeros, gates + [0, 0])
        }),
      Pair(
        name: "what removes nothing and keeps all is linear attention",
        first: (
          MemorySpec(weights: .channelGate, function: .linear, optimiser: .replace),
          ["decay": closed, "rate": closed, "replacement": 0]
        ),
        second: (plain(.uniform), [:]), gates: { _ in (zeros + zeros, []) }),
      Pair(
        name: "a bonus of 1 and no decay is linear attention",
        first: (plain(.bonusGate), ["decay": closed, "bonus": 1]), second: (plain(.uniform), [:]),
        gates: { _ in (zeros, []) }),
      Pair(
        name: "a bonus of 2 is more", first: (plain(.bonusGate), ["decay": closed, "bonus": 2]),
        second: (plain(.uniform), [:]), gates: { _ in (zeros, []) }, differ: true),
      Pair(
        name: "no momentum and no weight decay is DeltaNet",
        first: (spec(.learned, .momentum), ["rate": 0.4, "keep": open, "momentum": closed]),
        second: (delta(.learned), ["rate": 0.4]), gates: { x in ([x, -x], [x, -x]) }),
      Pair(
        name: "momentum differs",
        first: (spec(.learned, .momentum), ["rate": 0.4, "keep": open, "momentum": 0]),
        second: (delta(.learned), ["rate": 0.4]), gates: { x in ([x, -x], [x, -x]) }, differ: true),
      Pair(
        name: "conjugate gradients that have converged are the exact fit",
        first: (spec(.scalarGate, .conjugateGradient(steps: 16)), ["keep": 0, "rate": 0, "ridge": 0]),
        second: (spec(.scalarGate, .exact), ["keep": 0, "rate": 0, "ridge": 0]),
        gates: { x in ([x, x, x, -x], [x, x, x, -x]) }),
      Pair(
        name: "an exact fit to rows that do not fade is ridge regression",
        first: (spec(.scalarGate, .exact), ["keep": open, "rate": open, "ridge": log(expm1(0.75))]),
        second: (spec(.uniform, .exact), ["ridge": log(expm1(0.999))]), gates: { _ in ([0, 0, 0, 0], []) }),
      Pair(
        name: "an exact fit to rows that fade is not",
        first: (spec(.scalarGate, .exact), ["keep": 0, "rate": open, "ridge": log(expm1(0.75))]),
        second: (spec(.uniform, .exact), ["ridge": log(expm1(0.999))]), gates: { _ in ([0, 0, 0, 0], []) },
        differ: true),
      Pair(
        name: "softmax that forgets nothing is softmax",
        first: (
          MemorySpec(weights: .fadingSimilarity, function: .localConstant, readOut: .normalised),
          ["keep": open]
        ), second: (.softmax, [:]), gates: { _ in ([0, 0], []) }),
      Pair(
        name: "softmax that forgets is not",
        first: (
          MemorySpec(weights: .fadingSimilarity, function: .localConstant, readOut: .normalised), ["keep": 0]
        ), second: (.softmax, [:]), gates: { _ in ([0, 0], []) }, differ: true),
      Pair(
        name: "a gate differs from no gate", first: (delta(.channelGate), ["keep": 0, "rate": 0.4]),
        second: (delta(.uniform), ["rate": 0.4]), gates: { _ in (zeros + [0, 0], []) }, differ: true),
    ]
  }

  /// Gradients that are frozen for a chunk: one row a chunk is the rule row by row, and losses, retentions and optimisers meet
  /// where their definitions do.
  private static func frozen(
    _ chunk: Int, _ function: MemorySpec.FunctionClass = .perceptron,
    weights: MemorySpec.Weights = .scalarGate,
    features: String = "unit", loss: MemorySpec.Loss = .squared, momentum: Bool = false,
    retention: MemorySpec.Retention = .quadratic
  ) -> MemorySpec {
    MemorySpec(
      weights: weights, features: features, function: function, loss: loss,
      optimiser: momentum ? .frozenMomentum(chunk: chunk) : .frozen(chunk: chunk), retention: retention)
  }

  private static var frozenPairs: [Pair] {
    typealias Gates = (Double) -> ([Double], [Double])
    let start: [String: Double] = [
      "start.0": 0.3, "start.1": 0.2, "gain": 1.2, "bias": 0.1, "keep": 3, "rate": 2,
    ]
    var pairs: [Pair] = []
    func add(
      _ name: String, _ first: MemorySpec, _ numbers: [String: Double], _ second: MemorySpec,
      _ others: [String: Double], _ gates: @escaping Gates, differ: Bool = false
    ) {
      pairs.append(
        Pair(name: name, first: (first, numbers), second: (second, others), gates: gates, differ: differ))
    }
    // On a linear map.
    let open = 60.0
    let (one, same): (Gates, Gates) = ({ x in ([0, 0, x, -x], [x, -x]) }, { _ in ([0, 0, 0, 0], []) })
    let (kept, rate): ([String: Double], [String: Double]) = (["keep": open, "rate": 0.4], ["rate": 0.4])
    let all: [String: Double] = ["keep": open, "rate": open]
    add("a row a chunk is the delta rule", frozen(1, .linear), kept, delta(.learned), rate, one)
    add("a chunk of rows is not", frozen(8, .linear), kept, delta(.learned), rate, one, differ: true)
    add("gradients at zero are linear attention", frozen(256, .linear), all, linear(.uniform), [:], same)
    add("so they are of the dot loss", frozen(3, .linear, loss: .dot), all, linear(.uniform), [:], same)
    let a = 1 / (1 + exp(-2.0))
    let eta = 0.95 * 0.5 * a
    let moving: [String: Double] = ["keep": 2, "rate": 0.4, "momentum": log(eta / (1 - eta))]
    let exactly: [String: Double] = ["keep": 2, "rate": 0.4, "momentum": 0]
    let still: Gates = { x in ([0, 0, x, -x, 0, 0], [x, -x]) }
    add(
      "a row a chunk with momentum", frozen(1, .linear, momentum: true), moving, spec(.learned, .momentum),
      exactly, still)

    // On a network.
    func also(_ name: String, _ number: Double) -> [String: Double] { start.merging([name: number]) { $1 } }
    let (more, alike): (Gates, Gates) = (
      { x in ([x, x, -x, x, 0, 0], [x, x, -x, x]) }, { x in ([x, x, -x, x], [x, x, -x, x]) }
    )
    let plain = frozen(5)
    add("no momentum", frozen(5, momentum: true), also("momentum", -60), plain, start, more)
    add("momentum", frozen(5, momentum: true), also("momentum", 0), plain, start, more, differ: true)
    add("the power 2", frozen(5, loss: .power(2)), start, plain, start, alike)
    add("the power 3", frozen(5, loss: .power(3)), start, plain, start, alike, differ: true)
    add("no threshold", frozen(5, loss: .huber), also("threshold", 1e4), plain, start, more)
    add("a threshold", frozen(5, loss: .huber), also("threshold", -2), plain, start, more, differ: true)
    add("the norm of 2", frozen(5, retention: .norm(2)), start, plain, start, alike)
    add("the norm of 2 as printed", frozen(5, retention: .printedNorm(2)), start, plain, start, alike)
    add(
      "the norm of 4 and what is printed", frozen(5, retention: .norm(4)), start,
      frozen(5, retention: .printedNorm(4)), start, alike, differ: true)

    // One batch of all rows at one rate is a step along the mean gradient.
    let norm: [String: Double] = ["gain": 1.2, "bias": 0.1]
    add(
      "one batch", frozen(256, .normalisedLinear, weights: .learned, features: "identity"),
      norm.merging(["start.0": 0.3, "rate": open, "pace": 0]) { $1 },
      MemorySpec(function: .normalisedLinear, optimiser: .gradient(steps: 1)),
      norm.merging(["start": 0.3, "start.bias": 0.3, "rate": Softplus.inverse(0.125)]) { $1 },
      { _ in ([0, 0], []) })
    return pairs
  }

  @Test func specialCases() throws {
    for pair in Self.pairs + Self.frozenPairs {
      let first = try Bench(pair.first.spec, sizes: Self.sizes, set: pair.first.numbers)
      let second = try Bench(pair.second.spec, sizes: Self.sizes, set: pair.second.numbers)
      var stream = RandomStream(seed: 97)
      let rows = (0..<60).map { _ -> ([Float], [Float]) in
        let (plain, gates) = (stream.normals(32).map { Float($0) }, pair.gates(stream.normal()))
        return (plain + gates.0.map { Float($0) }, plain + gates.1.map { Float($0) })
      }
      let asked = first.queries(4, seed: 98)
      func read(_ bench: Bench, _ rows: [[Float]]) -> [Float] {
        let all = Rows(bench.shape.stored, rows.flatMap { $0 })
        return bench.run(
          context: all[0..<20], own: all[20..<60], asked, [40, 39, 38, 40].map { Sight(limit: $0) })
      }
      let difference = deviation(read(first, rows.map(\.0)), read(second, rows.map(\.1)))
      if pair.differ {
        #expect(difference > 1e-2, "\(pair.name)")
      } else {
        #expect(difference < 1e-5, "\(pair.name)")
      }
    }
  }

  /// Mamba-2's step is softplus(x + b): it fades the state by e^(−Δ·e^A) and is what the row's value counts.
  @Test func aStepGateIsAScalarGateOnScaledValues() throws {
    let step = try Bench(Self.linear(.stepGate), sizes: Self.sizes, set: ["step": -1, "speed": log(0.05)])
    let gate = try Bench(Self.linear(.scalarGate), sizes: Self.sizes, set: ["keep": 0])
    var stream = RandomStream(seed: 99)
    var (stepped, gated) = ([Float](), [Float]())
    for _ in 0..<40 {
      let (keys, values, x) = (stream.normals(16), stream.normals(16), stream.normals(2))
      let steps = x.map { log1p(exp($0 - 1)) }
      stepped += (keys + values + x).map { Float($0) }
      // log σ(y)/16 = −0.05·Δ.
      let gates = steps.map { -log(expm1(16 * 0.05 * $0)) }
      gated += (keys + values.enumerated().map { steps[$0.offset / 8] * $0.element } + gates).map {
        Float($0)
      }
    }
    let asked = step.queries(3, seed: 100)
    let sights = [Sight](repeating: Sight(limit: 30), count: 3)
    func read(_ bench: Bench, _ rows: [Float]) -> [Float] {
      let all = Rows(bench.shape.stored, rows)
      return bench.run(context: all[0..<10], own: all[10..<40], asked, sights)
    }
    #expect(deviation(read(step, stepped), read(gate, gated)) < 1e-5)
  }
}
