import ChorusLanguage
import ChorusLanguageFixtures
import ChorusStorage
import ChorusTensors
import Foundation
import Testing

@Suite struct GGUFTests {
  private func small() -> GGUFWriter {
    var writer = GGUFWriter()
    writer.metadata = [
      ("general.architecture", .text("none")), ("a.whole", .integer(-3)), ("a.part", .number(0.5)),
      ("a.flag", .flag(true)), ("a.words", .list([.text("x"), .text("é")])),
      ("a.numbers", .list([.integer(1), .integer(2)])),
    ]
    writer.add("v", [3], [1, -2, 0.25])
    writer.add("m", [8, 2], (0..<16).map(Float.init))
    return writer
  }

  private func message(_ bytes: Data) -> String? {
    do throws(StorageError) {
      _ = try GGUF(bytes: bytes, file: "t.gguf")
      return nil
    } catch { return error.description }
  }

  @Test func whatIsWrittenIsRead() throws {
    for version: UInt32 in [2, 3] {
      var writer = small()
      writer.version = version
      let path = FileManager.default.temporaryDirectory.path + "/chorus-\(UUID().uuidString).gguf"
      try writer.encoded().write(to: URL(fileURLWithPath: path))
      defer { try? FileManager.default.removeItem(atPath: path) }
      let file = try GGUF(path: path)
      #expect(try file.text("general.architecture") == "none")
      #expect(try file.integer("a.whole", in: -3...0) == -3 && file.number("a.part") == 0.5)
      #expect(try file.flag("a.flag", default: false) && file.flag("a.other", default: true))
      #expect(try file.texts("a.words") == ["x", "é"] && file.integers("a.numbers") == [1, 2])
      #expect(try file.integer("a.none", in: 0...9, default: 7) == 7)
      #expect(file.keys(startingWith: "a.f") == ["a.flag"])
      #expect(try file.vector("v", count: 3) == [1, -2, 0.25])
      let matrix = try file.matrix("m", inputs: 8, outputs: 2)
      let row = FloatBuffer(count: 8)
      matrix.expand(1, into: row.pointer)
      #expect(row.array == (8..<16).map(Float.init))
      #expect(file.tensors.map(\.name) == ["m", "v"] && file["m"]?.shape == [8, 2])
    }
  }

  @Test func wrongRequestsAreErrorsWithTheName() throws {
    let file = try GGUF(bytes: small().encoded(), file: "t.gguf")
    func check(_ words: String, _ body: () throws -> Void) {
      let error = #expect(throws: StorageError.self) { try body() }
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
    check("no tensor 'w'") { _ = try file.vector("w", count: 3) }
    check("has shape [3], expected [4]") { _ = try file.vector("v", count: 4) }
    check("'a.whole' that is a whole number within 0...9") { _ = try file.integer("a.whole", in: 0...9) }
    check("'a.part' that is a text") { _ = try file.text("a.part") }
    check("'a.words' that is a list of whole numbers") { _ = try file.integers("a.words") }
  }

  @Test func everyCutIsRefused() {
    let bytes = small().encoded()
    for count in 0..<bytes.count - 32 {
      let text = message(bytes.prefix(count))
      #expect(text?.hasPrefix("t.gguf: not a GGUF file, or a damaged one: ") == true, "\(count)")
      #expect(text?.contains("\n") == false)
    }
  }

  /// Whatever one byte becomes, the file is read or refused.
  @Test func everyByteMayBeAnother() {
    let bytes = small().encoded()
    for place in bytes.indices {
      for change: UInt8 in [0x01, 0x80, 0xFF] {
        var other = bytes
        other[place] ^= change
        guard let file = try? GGUF(bytes: other, file: "t") else { continue }
        for tensor in file.tensors where tensor.shape.count == 1 {
          _ = try? file.vector(tensor.name, count: tensor.shape[0])
        }
      }
    }
  }

  private func edited(_ offset: Int, _ bytes: [UInt8]) -> Data {
    var data = small().encoded()
    data.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    return data
  }

  @Test func absurdHeadsAreRefused() throws {
    #expect(message(edited(0, Array("GGML".utf8)))?.contains("four letters GGUF") == true)
    #expect(message(edited(4, [1, 0, 0, 0]))?.contains("version 1; versions 2 and 3") == true)
    #expect(message(edited(4, [0, 0, 0, 3]))?.contains("version 50331648") == true)
    let huge = [UInt8](repeating: 0xFF, count: 8)
    #expect(message(edited(8, huge))?.contains("tensors; at most") == true)
    #expect(message(edited(16, huge))?.contains("entries of metadata; at most") == true)
    #expect(message(edited(24, huge))?.contains("more than the file has bytes") == true)
    func changed(_ body: (inout GGUFWriter) -> Void) -> String {
      var writer = small()
      body(&writer)
      return message(writer.encoded()) ?? ""
    }
    #expect(changed { $0.add("v", [1], [1]) }.contains("'v' stands twice"))
    #expect(changed { $0.metadata.append(("a.whole", .integer(2))) }.contains("'a.whole' stands twice"))
    #expect(changed { $0.metadata.append(("general.alignment", .integer(33))) }.contains("power of two"))
    #expect(changed { $0.tensors[0].shape = [1 << 31, 1 << 31] }.contains("side of 2147483648"))
    #expect(changed { $0.tensors[0].shape = [1 << 30, 1 << 30, 1 << 30] }.contains("cannot hold"))
    #expect(changed { $0.tensors[0].shape = [1 << 28] }.contains("beyond the end of the file"))
    #expect(changed { $0.tensors[0].shape = [] }.contains("0 dimensions"))
    #expect(changed { $0.tensors[0].shape = [0] }.contains("side of 0"))
    #expect(changed { $0.tensors[0] = ("v", [31], .q80, []) }.contains("Q8_0 cannot hold"))
  }

  @Test func unknownTypesOfTensorsAreNamed() throws {
    let bytes = small().encoded()
    let name = try #require(bytes.range(of: Data("v".utf8) + Data(GGUFWriter.bytes(UInt32(1)))))
    var other = bytes
    other[name.upperBound + 8] = 23
    let text = try #require(message(other))
    #expect(text.contains("tensor 'v' is of type 23; known are 0 (F32)") && text.contains("14 (Q6_K)"))
  }

  // MARK: Models

  @Test(arguments: [
    ("general.architecture", GGUF.Value.text("gemma"), "architecture 'gemma'; known is llama"),
    ("llama.block_count", .integer(0), "within 1...128"),
    ("llama.block_count", .integer(3), "no tensor 'blk.2"),
    ("llama.embedding_length", .integer(1 << 40), "within 8...4096"),
    ("llama.embedding_length", .integer(64), "has shape [32, 268], expected [64, 268]"),
    ("llama.attention.head_count", .integer(3), "multiple of 4·heads"),
    ("llama.attention.head_count_kv", .integer(3), "keyHeads is 3"),
    ("llama.attention.layer_norm_rms_epsilon", .number(0), "epsilon"),
    ("llama.rope.freq_base", .number(0.5), "base"),
    ("llama.rope.dimension_count", .integer(4), "llama.rope.dimension_count"),
    ("llama.rope.scaling.type", .text("yarn"), "stretches its positions"),
    ("llama.expert_count", .integer(8), "llama.expert_count"),
    ("llama.context_length", .text("long"), "llama.context_length"),
  ])
  func modelsThatAreNotKnownAreRefused(key: String, value: GGUF.Value, words: String) throws {
    var writer = TinyModel.writer()
    writer.set(key, value)
    let file = try GGUF(bytes: writer.encoded(), file: "t.gguf")
    let error = #expect(throws: StorageError.self) { try LanguageModel(file) }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
  }

  @Test func everyTensorHasAPlace() throws {
    let whole = TinyModel.writer()
    for index in whole.tensors.indices {
      var writer = whole
      let name = writer.tensors.remove(at: index).name
      let file = try GGUF(bytes: writer.encoded(), file: "t.gguf")
      let error = #expect(throws: StorageError.self) { try LanguageModel(file) }
      #expect(error?.description.contains("no tensor '\(name)'") == true)
    }
    var writer = whole
    writer.add("blk.0.attn_q.bias", [32], [Float](repeating: 0, count: 32))
    let file = try GGUF(bytes: writer.encoded(), file: "t.gguf")
    let error = #expect(throws: StorageError.self) { try LanguageModel(file) }
    #expect(error?.description.contains("'blk.0.attn_q.bias'") == true)
  }
}
