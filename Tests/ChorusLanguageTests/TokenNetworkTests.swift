import ChorusLanguage
import ChorusLanguageFixtures
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

/// A network out of a GGUF file against float64, and the same bytes whatever the calls are.
@Suite struct TokenNetworkTests {
  static let text: [Int32] = {
    var stream = RandomStream(seed: 9)
    return (0..<90).map { _ in Int32(stream.below(256)) }
  }()

  /// Logits behind every token, read in calls of the sizes given (the last of them again and again).
  static func logits(
    _ network: TokenNetwork, _ tokens: [Int32], calls: [Int], access: Access? = nil,
    on pool: ThreadPool? = nil
  ) -> [[Float]] {
    let paths = network.paths(capacity: tokens.count)
    var (place, sizes, all): (Int, [Int], [[Float]]) = (0, calls, [])
    while place < tokens.count {
      let size = min(sizes.count > 1 ? sizes.removeFirst() : sizes[0], tokens.count - place)
      let rows = (place..<place + size).map {
        TokenNetwork.Row(tokens[$0], at: $0, reads: access?.reads[$0], asked: true)
      }
      network.read(rows[...], into: paths, on: pool) { said in
        let logits = said.logits(0..<said.count)
        for row in 0..<said.count {
          all.append(
            Array(
              UnsafeBufferPointer(start: logits + row * network.vocabulary, count: network.vocabulary)))
        }
      }
      place += size
    }
    return all
  }

  private func expectClose(
    _ own: [[Float]], _ wanted: [[Double]], _ what: String, location: SourceLocation = #_sourceLocation
  ) {
    #expect(own.count == wanted.count && !own.isEmpty, sourceLocation: location)
    let worst = zip(own, wanted).map { zip($0, $1).map { abs(Double($0) - $1) }.max() ?? .nan }.max() ?? .nan
    #expect(worst < 1e-4, "\(what): \(worst)", sourceLocation: location)
  }

  @Test(arguments: [true, false]) func logitsAreThoseOfTheDefinition(tied: Bool) throws {
    let model = try TinyModel.model(tied: tied)
    let tokens = Array(Self.text.prefix(40))
    expectClose(
      Self.logits(model.network, tokens, calls: [40]), ReferenceLlama(model.network).logits(tokens), "all")
  }

  @Test(arguments: ["window(sinks:2,span:5)", "log-sparse", "random-sparse(reads:4)", "periods(r:4)"])
  func whatATokenReadsIsThePlans(plan: String) throws {
    let model = try TinyModel.model()
    let tokens = Array(Self.text.prefix(30))
    let access = try Access(PlanTemplate(parsing: plan), tokens: tokens.count)
    let seen = try PlanTemplate(parsing: plan).ordered(.given).resolve(context: 0, targets: 31)
      .visibility.direct
    let wanted = ReferenceLlama(model.network).logits(tokens) { $0 == $1 || seen[$0 + 1].contains($1) }
    expectClose(Self.logits(model.network, tokens, calls: [30], access: access), wanted, plan)
    // Calls of other sizes, and the number of pairs.
    expectClose(Self.logits(model.network, tokens, calls: [7, 1], access: access), wanted, plan)
    var pairs = 0
    for i in 0..<30 { pairs += (0...i).count { $0 == i || seen[i + 1].contains($0) } }
    #expect(access.pairs == pairs)
  }

  @Test func plansThatNoTextHasAreRefused() throws {
    for plan in ["coarse-to-fine(r:2)", "lineage(r:2)", "speculative(draft:4)", "reencode"] {
      #expect(throws: AccessError.self, "\(plan)") {
        try Access(PlanTemplate(parsing: plan), tokens: 20)
      }
    }
    #expect(try Access(.sequential, tokens: 20).reads.allSatisfy { $0 == nil })
    #expect(try Access(.sequential, tokens: 20).pairs == 210)
  }

  @Test func callsThreadsAndNeighboursChangeNoByte() throws {
    let network = try TinyModel.model().network
    let whole = Self.logits(network, Self.text, calls: [90])
    for calls in [[1], [64, 26], [3, 50, 1]] {
      #expect(Self.logits(network, Self.text, calls: calls) == whole)
      #expect(Self.logits(network, Self.text, calls: calls, on: ThreadPool(threads: 3)) == whole)
    }
    // Another path beside it, and rows nobody asks for.
    let paths = network.paths(2, capacity: 50)
    let rows =
      (0..<20).map { TokenNetwork.Row(Self.text[89 - $0], at: $0, path: 0) }
      + (0..<50).map { TokenNetwork.Row(Self.text[$0], at: $0, path: 1, asked: $0 % 7 == 3) }
    let logits = network.read(rows[...], into: paths, on: nil) { said in
      let own = said.logits(0..<said.count)
      return (0..<said.count).map { row in
        Array(UnsafeBufferPointer(start: own + row * network.vocabulary, count: network.vocabulary))
      }
    }
    let places = stride(from: 3, to: 50, by: 7)
    #expect(logits == places.map { whole[$0] })
  }

  @Test func tokensCanBeTakenBack() throws {
    let network = try TinyModel.model().network
    let paths = network.paths(capacity: 12)
    func read(_ tokens: [Int32], at first: Int) -> [Double] {
      let rows = tokens.enumerated().map {
        TokenNetwork.Row($0.element, at: first + $0.offset, asked: true)
      }
      return network.read(rows[...], into: paths, on: nil) {
        $0.logProbabilities(of: tokens.map { _ in 5 })
      }
    }
    let first = read(Array(Self.text[0..<10]), at: 0)
    _ = read(Array(Self.text[30..<36]), at: 4)
    #expect(read(Array(Self.text[4..<10]), at: 4) == Array(first[4...]))
  }

  @Test func probabilitiesAreNormalised() throws {
    let network = try TinyModel.model().network
    let paths = network.paths(capacity: 2)
    let rows = [TokenNetwork.Row(7, at: 0), TokenNetwork.Row(8, at: 1, asked: true)]
    let total = network.read(rows[...], into: paths, on: nil) { said in
      (0..<Int32(network.vocabulary)).reduce(0) { sum, token in
        sum + exp(said.logProbabilities(of: [token])[0])
      }
    }
    #expect(abs(total - 1) < 1e-5)
  }
}
