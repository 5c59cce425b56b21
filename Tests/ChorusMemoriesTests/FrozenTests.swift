import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Inner gradients and retention maps of memories whose gradients are frozen for a chunk, each beside what it is by definition.
@Suite struct FrozenTests {
  private static let losses: [MemorySpec.Loss] = [
    .dot, .squared, .power(1), .power(1.5), .power(3), .huber,
  ]
  private static let retentions: [MemorySpec.Retention] = [
    .quadratic, .norm(2), .norm(3), .norm(4), .printedNorm(4), .simplex, .signedSimplex,
  ]

  private static func spec(
    _ function: MemorySpec.FunctionClass, _ loss: MemorySpec.Loss = .squared,
    _ retention: MemorySpec.Retention = .quadratic
  ) -> MemorySpec {
    MemorySpec(
      weights: .scalarGate, features: "unit", function: function, loss: loss, optimiser: .frozen(chunk: 4),
      retention: retention)
  }

  /// Every number of every matrix, moved a little.
  @Test(arguments: [MemorySpec.FunctionClass.linear, .normalisedLinear, .perceptron], losses)
  func innerGradients(function: MemorySpec.FunctionClass, loss: MemorySpec.Loss) throws {
    let bench = try Bench(LayerMemory(Self.spec(function, loss)), sizes: AttentionSizes(heads: 1, width: 5))
    let form = FrozenReference(bench.form(head: 0))
    var stream = RandomStream(seed: 120)
    for threshold in [0.4, 100] {
      let (x, value) = (stream.normals(5), stream.normals(5))
      var w = form.settings.network.layers.map { stream.normals($0.count) }
      let gradient = form.gradient(x, value, threshold: threshold, at: w)
      func lost() -> Double {
        let error = zip(form.fit(x, w), value).map { $0 - $1 }
        return loss.value(error, value: value, threshold: threshold)
      }
      for l in w.indices {
        for i in w[l].indices {
          let kept = w[l][i]
          w[l][i] = kept + 1e-6
          let above = lost()
          w[l][i] = kept - 1e-6
          let slope = (above - lost()) / 2e-6
          w[l][i] = kept
          #expect(
            abs(gradient[l][i] - slope) < 1e-6 * max(1, abs(slope)), "\(function) \(loss.text) \(l) \(i)")
        }
      }
    }
  }

  /// W of both forms is W of the definition, and the slopes of the one in training are those of the definition's values.
  @Test(arguments: retentions)
  func retentionMapsInTheirForms(retention: MemorySpec.Retention) throws {
    let (rows, columns) = (6, 3)
    var stream = RandomStream(seed: 121)
    for size in [1e-3, 1, 40] {
      let (a, scale) = (stream.normals(rows * columns).map { Double(Float(size * $0)) }, 1.7)
      let wanted = retention.reference(a, rows: rows, columns: columns, scale: scale)
      let (input, arena) = (a.map { Float($0) }, Arena())
      var got = [Float](repeating: .nan, count: a.count)
      retention.apply(input, rows: rows, columns: columns, scale: scale, into: &got)
      #expect(deviation(got, wanted) < 1e-5, "\(retention.text)")
      let (place, weights) = (arena.floats(a.count), (0..<a.count).map { Float(1 + $0 % 4) })
      place.update(from: input, count: a.count)
      let pass = RetentionPass(
        retention, place, rows: rows, columns: columns, scale: scale, into: arena.floats(a.count), arena)
      #expect(deviation((0..<a.count).map { pass.out[$0] }, wanted) < 1e-5, "\(retention.text)")
      guard retention != .quadratic else { continue }
      let (gradient, number) = (arena.floats(a.count), arena.doubles(1))
      gradient.update(from: weights, count: a.count)
      number[0] = 0
      pass.backward(place, by: gradient, toScale: &number[0])
      func sum(_ a: [Double], _ scale: Double) -> Double {
        zip(retention.reference(a, rows: rows, columns: columns, scale: scale), weights).reduce(0) {
          $0 + Double($1.1) * $1.0
        }
      }
      let slopes = a.indices.map { i in
        var (above, below) = (a, a)
        let step = 1e-6 * size
        (above[i], below[i]) = (a[i] + step, a[i] - step)
        return (sum(above, scale) - sum(below, scale)) / (2 * step)
      }
      let most = slopes.reduce(1) { max($0, abs($1)) }
      for i in a.indices { #expect(abs(Double(gradient[i]) - slopes[i]) < 1e-4 * most, "\(retention.text)") }
      guard retention.scaled else { continue }
      let slope = (sum(a, scale + 1e-6) - sum(a, scale - 1e-6)) / 2e-6
      #expect(abs(number[0] - slope) < 1e-5 * max(1, abs(slope)))
    }
  }

  /// The norm's map minimises ⟨−A, W⟩ + ‖W‖²/2 in the norm of the dual exponent q/(q − 1); what is printed does not (spec 4.2).
  @Test func theNormIsAMinimiser() {
    var stream = RandomStream(seed: 122)
    let a = stream.normals(12)
    let dual = 4.0 / 3
    func lost(_ w: [Double]) -> Double {
      let norm = pow(w.reduce(0) { $0 + pow(abs($1), dual) }, 1 / dual)
      return norm * norm / 2 - zip(a, w).reduce(0) { $0 + $1.0 * $1.1 }
    }
    func map(_ retention: MemorySpec.Retention, _ a: [Double]) -> [Double] {
      retention.reference(a, rows: 4, columns: 3, scale: 1)
    }
    let best = map(.norm(4), a)
    for _ in 0..<200 {
      let step = stream.normals(12).map { 0.01 * $0 }
      #expect(lost(zip(best, step).map { $0 + $1 }) >= lost(best) - 1e-6)
    }
    let printed = map(.printedNorm(4), a)
    for factor in stride(from: 0.1, through: 20, by: 0.1) {
      #expect(lost(printed.map { factor * $0 }) > lost(best) + 1e-3, "no multiple of it is the minimiser")
    }
    // Ten times A is ten times W, and as printed a tenth of it.
    let (more, less) = (map(.norm(4), a.map { 10 * $0 }), map(.printedNorm(4), a.map { 10 * $0 }))
    for i in a.indices {
      #expect(abs(more[i] - 10 * best[i]) < 1e-4 * max(1, abs(more[i])))
      #expect(abs(less[i] - printed[i] / 10) < 1e-4)
    }
  }

  /// W' = softmax(α log W − η G) column by column, what Memora prints, is A' = α A − η G.
  @Test func aSoftmaxGoesOnInItsLogarithm() {
    var stream = RandomStream(seed: 123)
    let (a, g) = (stream.normals(12), stream.normals(12))
    func softmax(_ a: [Double]) -> [Double] {
      MemorySpec.Retention.simplex.reference(a, rows: 4, columns: 3, scale: 0.25)
    }
    let logs = softmax(a).map { log($0) }
    let printed = softmax(zip(logs, g).map { 0.9 * $0 - 0.3 * $1 })
    let ours = softmax(zip(a, g).map { 0.9 * $0 - 0.3 * $1 })
    for i in a.indices { #expect(abs(printed[i] - ours[i]) < 1e-12) }
    for j in 0..<3 { #expect(abs((0..<4).reduce(0.0) { $0 + ours[$1 * 3 + j] } - 1) < 1e-12) }
  }

  /// Chunks are counted from the sequence's first row, and their size is part of the file.
  @Test func theChunkIsPartOfTheMemory() throws {
    let titans = try MemoryRegistry.named("titans")
    var eight = titans
    eight.context.optimiser = .frozenMomentum(chunk: 8)
    let text = String(decoding: try JSONEncoder().encode(eight), as: UTF8.self)
    #expect(text.contains(#""frozenMomentum":{"chunk":8}"#), "\(text)")
    #expect(try JSONDecoder().decode(LayerMemory.self, from: Data(text.utf8)) == eight)
    let (first, second) = (try Bench(titans), try Bench(eight))
    let (rows, asked) = (first.stored(40, seed: 124), first.queries(2, seed: 125))
    #expect(
      deviation(first.read(asked, first.context(rows)), second.read(asked, second.context(rows))) > 1e-3)
    // A state of the other one is none of this one's.
    let values = second.memory.values(ofAny: second.context(rows[0..<36]))
    #expect(first.memory.anyContext(rows: 32, values: values) == nil)
    #expect(first.memory.anyContext(rows: 35, values: values) == nil)
  }

  @Test func choicesWithNumbersAreReadAndRefusedByName() throws {
    func read(_ more: String) throws -> MemorySpec {
      let text =
        #"{"context": {"function": "perceptron", "weights": "scalarGate", "features": "unit", \#(more)}}"#
      return try JSONDecoder().decode(LayerMemory.self, from: Data(text.utf8)).context
    }
    let spec = try read(
      #""loss": {"power": {"p": 3}}, "optimiser": {"frozen": {"chunk": 16}}, "retention": {"norm": {"q": 4}}"#
    )
    #expect(LayerMemory(spec) == (try MemoryRegistry.named("moneta")))
    #expect(try read(#""loss": "huber""#).loss == .huber)
    for (more, words) in [
      (#""loss": "hubert""#, "a loss is one of dot, squared, power, huber"),
      (#""loss": "power""#, "takes a number 'p'"),
      (#""loss": {"power": {"q": 3}}"#, "takes a number 'p'"),
      (#""loss": {"huber": {"p": 3}}"#, "takes no number"),
      (#""retention": "softmax""#, "a retention is one of quadratic, norm"),
      (#""optimiser": {"frozen": {}}"#, "rows a chunk"),
      (#""optimiser": {"frozen": {"steps": 3}}"#, "rows a chunk"),
      (#""optimiser": {"exact": {"chunk": 3}}"#, "takes no numbers"),
    ] {
      let refusal = #expect(throws: MemoryError.self, "\(more)") { try read(more) }
      #expect(refusal?.description.contains(words) == true, "\(refusal?.description ?? "")")
    }
  }
}
