import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLanguage
@testable import ChorusModels

/// A model of bytes that was trained here, read as a language model.
@Suite struct ByteModelTests {
  private static func model(_ memories: String, levels: Int = 256) throws -> Model {
    var blueprint = Blueprint()
    blueprint.family = .sequence
    (blueprint.width, blueprint.layers, blueprint.heads) = (16, 2, 2)
    (blueprint.feedForward, blueprint.embedderHidden, blueprint.headHidden) = (24, 16, 20)
    blueprint.head = .categorical(levels: levels)
    blueprint.parts.convolution = 3
    blueprint.parts.rotary = Rotary(base: 100)
    blueprint.memories = try memories.split(separator: ",").map { try MemoryRegistry.named(String($0)) }
    blueprint.trainedContext = 150
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 2)
    for (index, p) in declared.table.all.enumerated() {
      var stream = RandomStream(seed: 6, UInt64(index))
      for i in 0..<p.count { weights[p][i] += Float(0.3 * stream.normal()) }
    }
    weights.pack()
    return Model(network: try declared.network(weights), card: [:], source: "tiny")
  }

  private static let text = String(repeating: "It was the best of times, é. ", count: 4)

  /// log p of every byte, read in pieces of a size.
  private func read(_ model: LanguageModel, _ tokens: [Int32], piece: Int) -> [Double] {
    let paths = model.network.paths(capacity: tokens.count)
    var found: [Double] = []
    for first in stride(from: 0, to: tokens.count - 1, by: piece) {
      let range = first..<min(first + piece, tokens.count - 1)
      let rows = range.map { TokenNetwork.Row(tokens[$0], at: $0, asked: true) }
      found += model.network.read(rows[...], into: paths, on: nil) {
        $0.logProbabilities(of: range.map { tokens[$0 + 1] })
      }
    }
    return found
  }

  @Test(arguments: ["softmax", "retention", "gated-delta,softmax", "gla", "linear-elu"])
  func bytesAreToldAsTheSequenceModelTellsThem(memories: String) throws {
    let trained = try Self.model(memories)
    let model = try LanguageModel(trained)
    let encoded = model.tokenizer.encode(Self.text)
    let bytes = Array(Self.text.utf8)
    #expect(encoded.tokens == [256] + bytes.map { Int32($0) } && encoded.unknownBytes == 0)
    #expect(model.tokenizer.bytes(of: encoded.tokens) == bytes && model.trainedLength == 150)
    let found = read(model, encoded.tokens, piece: 200)
    for piece in [1, 7, 40] { #expect(read(model, encoded.tokens, piece: piece) == found, "\(piece)") }
    // The same by the training pass.
    let network = try #require(trained.network as? SequenceNetwork<CategoricalHead>)
    var batch = try TaskBatch(tasks: 1, context: 0, buffer: 0, targets: bytes.count, dimensions: 1)
    batch.y = bytes.map(Float.init)
    let (_, recorded) = network.loss(
      batch, task: 0, prefixes: [Int32](repeating: 0, count: bytes.count), weight: 1,
      on: Tape(network.weights))
    #expect(recorded.count == found.count)
    #expect(zip(recorded, found).allSatisfy { abs(Double($0) - $1) < 1e-4 })
  }

  @Test func aTextGoesOnInBytes() throws {
    let model = try LanguageModel(Self.model("gated-delta"))
    let prompt = model.tokenizer.encode("Once").tokens
    func text(_ seed: UInt64, _ threads: Int) throws -> [Int32] {
      var made: [Int32] = []
      let ending = try model.generate(
        after: prompt, tokens: 60, by: TokenChoice(temperature: 1, seed: seed),
        on: ThreadPool(threads: threads)
      ) { made.append($0) }
      #expect(ending.ending == .enoughTokens)
      return made
    }
    let first = try text(1, 1)
    #expect(first.count == 60 && first.allSatisfy { (0..<256).contains($0) })
    #expect(try text(1, 2) == first && text(2, 1) != first)
    // Surprisals by windows and each alone.
    let tokens = model.tokenizer.encode(Self.text).tokens
    let passage = try Passage.spread(1, over: tokens, contexts: 12, targets: 5)[0]
    let table = try #require(try model.surprisals(passage, on: ThreadPool(threads: 2)))
    let alone = read(model, [256] + passage.tokens[3...12], piece: 99)
    #expect(abs(table.nats[0][8] + (alone.last ?? 0)) < 1e-4)
    // The token that begins a text is before every window: without it the model says something else.
    let without = read(model, Array(passage.tokens[3...12]), piece: 99)
    #expect(abs(table.nats[0][8] + (without.last ?? 0)) > 1e-4)
  }

  @Test func whatIsNoModelOfBytesIsRefused() throws {
    let levels = #expect(throws: ModelError.self) { try LanguageModel(Self.model("softmax", levels: 7)) }
    #expect(levels?.description.contains("chorus train text") == true)
    #expect(throws: (any Error).self) { try LanguageModel(path: "none.safetensors") }
    let model = try LanguageModel(Self.model("retention"))
    #expect(throws: LanguageError.self) {
      try model.reading(.window(sinks: 1, span: 3), tokens: 20)
    }
    // A window that is encoded anew is read whole, which any memory does.
    let renewed = try model.reading(.window(sinks: 1, span: 20, renewed: 10), tokens: 400)
    var made = 0
    _ = try model.generate(after: [256, 79], tokens: 300, reading: renewed) { _ in made += 1 }
    #expect(made == 300)
    #expect(try model.reading(.sequential, tokens: 20).pairs(of: 20) == 210)
    #expect(throws: LanguageError.tooLong(tokens: 151, trained: 150)) {
      try model.generate(after: [256], tokens: 150) { _ in }
    }
  }
}
