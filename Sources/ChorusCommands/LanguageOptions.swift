import ArgumentParser
import ChorusLanguage
import ChorusStorage
import Foundation

/// The language model of a command, and texts for it.
struct LanguageOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A language model: a GGUF file of the architecture llama (tools/fetch_smollm2 fetches a small one), or one that `chorus train text` has made.",
      valueName: "file"))
  var model: String

  func load() throws -> LanguageModel { try LanguageModel(path: model) }

  /// The largest text that is read.
  private static let textLimit = 1 << 28

  /// The text in a file, or on standard input where the path is `-`.
  static func text(_ path: String) throws -> String {
    let name = path == "-" ? "standard input" : path
    let bytes =
      path == "-"
      ? try FileHandle.standardInput.readToEnd().map { [UInt8]($0) } ?? []
      : try RegularFile.read(path, limit: textLimit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw StorageError(
        .malformed, file: name, "is not UTF-8 at byte \(invalid(bytes)). Save the text as UTF-8.")
    }
    return text
  }

  /// Where the first byte is that no UTF-8 has there.
  private static func invalid(_ bytes: [UInt8]) -> Int {
    var (decoder, place) = (Unicode.UTF8.ForwardParser(), 0)
    var rest = bytes.makeIterator()
    while true {
      switch decoder.parseScalar(from: &rest) {
      case .valid(let scalar): place += scalar.count
      case .error, .emptyInput: return place
      }
    }
  }

  /// Tokens of a text; bytes that the vocabulary lacks are told of.
  static func tokens(_ text: String, _ model: LanguageModel, _ common: some Speaking) -> [Int32] {
    let encoded = model.tokenizer.encode(text)
    if encoded.unknownBytes > 0 {
      common.say(
        "\(encoded.unknownBytes) bytes of the text have no token in this model's vocabulary and are left out")
    }
    return encoded.tokens
  }
}
