import ChorusLanguageFixtures
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLanguage

@Suite struct SurprisalTests {
  private let pool = ThreadPool(threads: 2)

  private func passage(contexts: Int, targets: Int) throws -> Passage {
    try Passage.spread(1, over: TokenNetworkTests.text, contexts: contexts, targets: targets)[0]
  }

  /// −log p(next | tokens), read alone and token by token: the other code path.
  static func alone(_ model: LanguageModel, _ tokens: ArraySlice<Int32>, next: Int32) -> Double {
    let paths = model.network.paths(capacity: tokens.count)
    var value = Double.nan
    for (place, token) in tokens.enumerated() {
      let row = TokenNetwork.Row(token, at: place, asked: place == tokens.count - 1)
      model.network.read([row][...], into: paths, on: nil) { said in
        if said.count > 0 { value = -said.logProbabilities(of: [next])[0] }
      }
    }
    return value
  }

  @Test(arguments: [(9, 5), (5, 9), (16, 1)]) func windowsTellAllPairs(contexts: Int, targets: Int) throws {
    let model = try TinyModel.model()
    let passage = try passage(contexts: contexts, targets: targets)
    let table = try #require(try model.surprisals(passage, on: pool))
    #expect(table.nats.count == targets && table.contexts == contexts)
    for target in 0..<targets {
      let next = contexts + target
      for context in 1...contexts {
        let wanted = Self.alone(model, passage.tokens[next - context..<next], next: passage.tokens[next])
        #expect(abs(table.nats[target][context - 1] - wanted) < 1e-4, "\(target) \(context)")
      }
    }
    #expect(table.windows == contexts + targets - 1)
    #expect(table.encoded <= table.windows * contexts)
    let lags = try #require(try model.lagSurprisals(passage, on: pool))
    for target in 0..<targets {
      for level in 0..<Levels.count(contexts) {
        let next = contexts + target
        let tokens = (0...level).reversed().map { passage.tokens[next - 1 << $0] }
        let wanted = Self.alone(model, tokens[...], next: passage.tokens[next])
        #expect(abs(lags.nats[target][level] - wanted) < 1e-4)
      }
    }
    // The same bytes on one thread; nothing where it is stopped.
    let one = try #require(try model.surprisals(passage, on: ThreadPool(threads: 1)))
    #expect(one.nats == table.nats)
    #expect(try model.surprisals(passage, on: pool, stop: { true }) == nil)
  }

  @Test func passagesAreSpreadAndNeedTheirTokens() throws {
    let text = (0..<100).map(Int32.init)
    let passages = try Passage.spread(2, over: text, contexts: 10, targets: 6)
    #expect(passages.map(\.first) == [31, 73] && passages[1].tokens == Array(text[63..<79]))
    #expect(throws: LanguageError.tooShort(tokens: 100, needed: 101)) {
      try Passage.spread(1, over: text, contexts: 95, targets: 6)
    }
    let model = try TinyModel.model()
    let long = Passage([Int32](repeating: 1, count: 140), contexts: 129, first: 129)
    #expect(throws: LanguageError.tooLong(tokens: 129, trained: 128)) { try model.surprisals(long, on: pool) }
  }

  /// Windows that double say at 2^l what growing token by token says there, and have as many ranks as levels at most.
  @Test func doublingWindowsHoldWhatTheyHave() throws {
    let model = try TinyModel.model()
    let table = try #require(try model.surprisals(passage(contexts: 20, targets: 24), on: pool))
    let (all, doubling) = (
      SurprisalCurve(.sequential, table.nats, contexts: 20),
      SurprisalCurve(.hierarchical, table.nats, contexts: 20)
    )
    for context in 1...20 {
      let level = 1 << (Levels.count(context) - 1)
      #expect(doubling.surprisal(context) == all.surprisal(level))
      #expect(doubling.rank(context, tolerance: 1e-12) == Levels.count(context))
      #expect(doubling.bound(context) == Levels.count(context) && all.bound(context) == context)
      #expect(all.rank(context, tolerance: 1e-12) == context)
      guard level > 1 else { continue }
      let step = doubling.signedChange(context)?.value ?? .nan
      #expect(abs(step - all.surprisal(level).value + all.surprisal(level / 2).value) < 1e-12)
    }
    #expect(all.change(1) == nil && doubling.change(1) == nil)
    #expect((all.change(7)?.value ?? 0) >= abs(all.signedChange(7)?.value ?? .nan))
  }

  @Test func levels() {
    #expect([1, 2, 3, 4, 250, 256].map(Levels.count) == [1, 2, 2, 3, 8, 9] && Levels.count(0) == 0)
  }

  /// Iterations, encodes and reads for one token, as worked out by hand for C = 250 and 256.
  @Test func costs() {
    func check(_ cost: SchemeCost, _ wanted: (Int, Int, Int)) {
      #expect((cost.iterations, cost.encodes, cost.reads) == wanted)
    }
    check(SchemeCost(.sequential, contexts: 250), (250, 31_375, 2_635_500))
    check(SchemeCost(.sequential, contexts: 256), (256, 32_896, 2_829_056))
    check(SchemeCost(.hierarchical, contexts: 250), (8, 255, 11_050))
    check(SchemeCost(.hierarchical, contexts: 256), (9, 511, 43_946))
    check(SchemeCost(onePass: 256), (1, 256, 32_896))
    // Every level of lags, of which the last has 9 tokens.
    check(SchemeCost(.lags, contexts: 256), (9, 45, 165))
  }

  @Test func singularValues() {
    let values = SurprisalCurve.singularValues([[3, 0, 0], [0, 0, 4]])
    #expect(values.count == 2)
    #expect(abs(values[0] - 4) < 1e-12)
    #expect(abs(values[1] - 3) < 1e-12)
    // The Frobenius norm is that of the matrix; a matrix of rank 2 has two values.
    var stream = RandomStream(seed: 5)
    let (a, b) = ((0..<2).map { _ in stream.normals(7) }, (0..<2).map { _ in stream.normals(30) })
    let product: [[Double]] = (0..<7).map { i in
      (0..<30).map { j in a[0][i] * b[0][j] + a[1][i] * b[1][j] }
    }
    let two = SurprisalCurve.singularValues(product)
    #expect(two.count { $0 > 1e-10 * two[0] } == 2)
    let norm = product.joined().reduce(0) { $0 + $1 * $1 }
    let squares = two.reduce(0) { $0 + $1 * $1 }
    #expect(abs(squares - norm) < 1e-9 * norm)
  }

  /// Curves that fall by a law have it found.
  @Test func lawsOfDecayAreFound() throws {
    func table(_ law: (Double) -> Double) -> [[Double]] {
      [1.0, -1].map { sign in
        var sum = 10.0
        return (1...64).map { c in
          sum -= sign * law(Double(c))
          return sum
        }
      }
    }
    let power = SurprisalCurve(.sequential, table { pow($0, -0.6) }, contexts: 64)
    let fit = try #require(power.powerLaw)
    #expect(abs(fit.slope + 0.6) < 1e-9 && fit.explained > 1 - 1e-9)
    #expect((power.exponential?.explained ?? 1) < 0.9)
    let exponential = SurprisalCurve(.sequential, table { exp(-0.05 * $0) }, contexts: 64)
    let other = try #require(exponential.exponential)
    #expect(abs(other.slope + 0.05) < 1e-9 && other.explained > 1 - 1e-9)
  }
}
