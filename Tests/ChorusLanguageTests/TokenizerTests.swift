import ChorusLanguageFixtures
import ChorusStorage
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLanguage

@Suite struct TokenizerTests {
  private func words(_ text: String, _ splitter: WordSplitter) -> [String] {
    var words: [String] = []
    splitter.split(text) { words.append(String(decoding: $0, as: UTF8.self)) }
    return words
  }

  /// The words of GPT-2's pattern as regular-expression engines cut them.
  @Test(arguments: [
    ("Hello world", ["Hello", " world"]), ("it's we'll I'd", ["it", "'s", " we", "'ll", " I", "'d"]),
    ("'S 'sx 're'r", ["'", "S", " '", "sx", " '", "re", "'", "r"]),
    ("a  b   c", ["a", " ", " b", "  ", " c"]), ("a\n\nb \n", ["a", "\n", "\n", "b", " \n"]),
    ("x\u{3000}y", ["x", "\u{3000}", "y"]), ("  ", ["  "]), ("", []), (" !? a", [" !?", " a"]),
    ("12a3", ["12", "a", "3"]), (" 12", [" 12"]), ("½Ⅳ٣", ["½Ⅳ٣"]), ("é́中", ["é", "\u{301}", "中"]),
    ("a_b", ["a", "_", "b"]), ("\t a", ["\t", " a"]), ("🙂🙂 ok", ["🙂🙂", " ok"]),
  ])
  func gpt2(text: String, expected: [String]) {
    #expect(words(text, .gpt2) == expected)
  }

  @Test(arguments: [
    ("12a3", ["1", "2", "a", "3"]), ("a 12", ["a", " ", "1", "2"]), ("  5", ["  ", "5"]),
    ("x  y5 z", ["x", " ", " y", "5", " z"]), ("'5s", ["'", "5", "s"]),
  ])
  func digitsStandAlone(text: String, expected: [String]) {
    #expect(words(text, .smollm) == expected)
  }

  /// Merges by going over all pairs again and again, as the definition has it.
  private func merged(_ word: [UInt8]) -> [String] {
    var parts = word.map { String(Character(ByteAlphabet.letters[Int($0)])) }
    while true {
      let pairs = zip(parts, parts.dropFirst()).map { "\($0) \($1)" }
      guard let best = TinyModel.merges.first(where: pairs.contains),
        let place = pairs.firstIndex(of: best)
      else { return parts }
      parts.replaceSubrange(place...place + 1, with: [parts[place] + parts[place + 1]])
    }
  }

  @Test func mergesAreThoseOfTheDefinition() throws {
    let tokenizer = try TinyModel.model().tokenizer
    var stream = RandomStream(seed: 3)
    let letters = Array("theinganoul r  ,'é1")
    for _ in 0..<300 {
      let text = String((0..<stream.below(40)).map { _ in letters[stream.below(letters.count)] })
      var wanted: [String] = []
      WordSplitter.smollm.split(text) { wanted += merged(Array($0)) }
      let encoded = tokenizer.encode(text)
      #expect(encoded.tokens.map { TinyModel.tokens[Int($0)] } == wanted, "\(text)")
      #expect(tokenizer.bytes(of: encoded.tokens) == Array(text.utf8))
      var offset = 0
      for (token, own) in zip(encoded.tokens, encoded.offsets) {
        #expect(own == offset)
        offset += tokenizer.bytes(of: [token]).count
      }
    }
  }

  /// One word of a hundred thousand letters takes no time that grows with their square.
  @Test func aLongWord() throws {
    let tokenizer = try TinyModel.model().tokenizer
    let text = String(repeating: "the", count: 40_000)
    #expect(tokenizer.encode(text).tokens.count == 40_000)
  }

  @Test func everyStringComesBack() throws {
    let tokenizer = try TinyModel.model().tokenizer
    var stream = RandomStream(seed: 4)
    for _ in 0..<200 {
      var text = ""
      for _ in 0..<stream.below(30) {
        if let scalar = Unicode.Scalar(UInt32(stream.below(0x11_0000))) { text.unicodeScalars.append(scalar) }
      }
      #expect(tokenizer.bytes(of: tokenizer.encode(text).tokens) == Array(text.utf8))
    }
  }

  @Test func bytesWithoutATokenAreCounted() throws {
    var writer = TinyModel.writer()
    // The letter for byte 0xE9 stands for something else.
    let tokens = TinyModel.tokens.map { $0 == "é" ? "<|gone|>" : $0 }
    writer.set("tokenizer.ggml.tokens", .list(tokens.map { .text($0) }))
    let tokenizer = try Tokenizer(GGUF(bytes: writer.encoded(), file: "t"))
    let encoded = tokenizer.encode("a\u{9000}b")  // E9 80 80
    #expect(encoded.unknownBytes == 1 && tokenizer.bytes(of: encoded.tokens) == [0x61, 0x80, 0x80, 0x62])
  }

  @Test func charactersAreHandedOnWhole() {
    var stream = CharacterStream()
    var out: [[UInt8]] = []
    for byte in Array("aé中🙂".utf8) { out.append(stream.take([byte])) }
    #expect(out.filter { !$0.isEmpty }.map { String(decoding: $0, as: UTF8.self) } == ["a", "é", "中", "🙂"])
    #expect(stream.take([0xF0, 0x9F]) == [] && stream.finish() == [0xF0, 0x9F] && stream.finish() == [])
    // Bytes that are no UTF-8 are not held back for ever.
    #expect(stream.take([0xFF, 0x41]) == [0xFF, 0x41])
    #expect(stream.take([0x80, 0x80, 0x80, 0x80]) == [0x80, 0x80, 0x80, 0x80])
  }

  @Test(arguments: [
    ("tokenizer.ggml.model", GGUF.Value.text("llama"), "of the kind 'llama'"),
    ("tokenizer.ggml.pre", .text("qwen2"), "cut by 'qwen2'; known are gpt-2, smollm"),
    ("tokenizer.ggml.tokens", .list([]), "vocabulary is empty"),
    ("tokenizer.ggml.tokens", .list([.text("a")]), "1 tokens and 268 kinds"),
    ("tokenizer.ggml.merges", .list([.text("t  h")]), "merge 0"),
    ("tokenizer.ggml.merges", .list([.text("q z")]), "merge 0, 'q z'"),
    ("tokenizer.ggml.merges", .integer(3), "a list of texts"),
    ("tokenizer.ggml.eos_token_id", .integer(1 << 20), "within 0...267"),
  ])
  func otherTokenizersAreRefused(key: String, value: GGUF.Value, words: String) throws {
    var writer = TinyModel.writer()
    writer.set(key, value)
    let file = try GGUF(bytes: writer.encoded(), file: "t.gguf")
    let error = #expect(throws: StorageError.self) { try Tokenizer(file) }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    for key in ["tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"] {
      writer.set(key, nil)
      let file = try GGUF(bytes: writer.encoded(), file: "t.gguf")
      #expect(throws: StorageError.self) { try Tokenizer(file) }
    }
  }
}
