import ChorusLayers
import ChorusPlans
import Testing

@testable import ChorusHints
@testable import ChorusModels
@testable import ChorusTensors

/// Rows that read a context alone are answered once for all paths.
@Suite struct ContextAnswerTests {
  /// What is said of each query, as density of a value and its mean.
  private static func answers(
    _ network: Network, _ paths: Network.Paths, _ state: Network.Context, _ questions: Network.Questions,
    _ rows: RowBatch
  ) -> [Double] {
    var found: [Double] = []
    network.advance(paths, state, questions, rows) {
      found += [$0.law.logDensity(.number(0.3)), $0.law.mean]
    }
    return found
  }

  @Test func firstCallsOfPathsHaveTheBytesOfAnyOtherCall() throws {
    let network = try randomNetwork(
      smallBlueprint {
        $0.hints = Hints(rows: [LocalSplines(neighbours: 3)])
        $0.head = .mixture(components: 4, around: 2)
      })
    let batch = try randomBatch(context: 9, buffer: 2, targets: 5)
    let state = network.encoded(batch)
    let questions = network.embed(Array(batch.x[18...]), dimensions: 2, for: state)
    func queries(_ inputs: [[Int32]], committing: Bool = false) -> RowBatch {
      var rows = RowBatch()
      for (path, inputs) in inputs.enumerated() {
        rows.begin()
        if committing, path == 0 { rows.commit(input: 1, y: 0.5, slot: 0, reads: .prefix(1)) }
        for input in inputs { rows.query(input: input, reads: .none) }
      }
      return rows
    }
    let asked: [[Int32]] = [[3, 2], [3], [], [6, 3, 2]]
    let paths = network.branch(paths: 4, capacity: 2)
    // A call that commits is answered by itself, row for row.
    let expected = Self.answers(network, paths, state, questions, queries(asked, committing: true))
    let all = queries(asked)
    #expect(questions.alone.serves(all, state.layers[0]))
    #expect(!questions.alone.serves(queries(asked, committing: true), state.layers[0]))
    for _ in 0..<2 {
      let fresh = network.branch(paths: 4, capacity: 2)
      #expect(Self.answers(network, fresh, state, questions, all) == expected)
    }
    // One that reads another state does not get what this one says.
    let other = network.encode(batch.observed.rows([0, 1, 2, 3]), network.fits(batch.observed))
    #expect(!questions.alone.serves(all, other.layers[0]))
    #expect(Self.answers(network, network.branch(paths: 4, capacity: 2), other, questions, all) != expected)
    // Each input once, whoever asks.
    var calls: [Int] = []
    let counted = ContextAnswers(state.layers[0], inputs: 7, outputs: 1, units: 0)
    let numbers = FloatBuffer([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5])
    var told: [Float] = []
    for _ in 0..<2 {
      counted.answer(all) { rows in
        calls.append(rows.queries)
        return (UnsafePointer(numbers.pointer), nil)
      } _: {
        told.append($0.numbers[0])
      }
    }
    #expect(calls == [3] && told == [1.5, 0.5, 1.5, 2.5, 1.5, 0.5, 1.5, 0.5, 1.5, 2.5, 1.5, 0.5])
  }
}
