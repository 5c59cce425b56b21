import ChorusStorage

/// Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019, sec. 2.2) by the vocabulary and the merges of a
/// model's own file.
///
/// ```swift
/// let tokens = tokenizer.encode("The adventure").tokens
/// let text = String(decoding: tokenizer.bytes(of: tokens), as: UTF8.self)
/// ```
public struct Tokenizer: Sendable, Equatable {
  /// Bytes of every token; nil for one that is no text, like the end of one.
  private let texts: [[UInt8]?]
  /// The token of each byte; negative where the vocabulary has none.
  private let ofByte: [Int32]
  private struct Merge: Equatable {
    let rank: Int32
    let token: Int32
  }
  private let merges: [Pair: Merge]
  private struct Pair: Hashable {
    let left: Int32
    let right: Int32
  }
  public let splitter: WordSplitter
  /// The token that ends a text, where the file names one.
  public let end: Int32?
  /// The token that a text begins with, where the file asks for one.
  public let start: Int32?

  public var count: Int { texts.count }

  /// A text in tokens.
  public struct Encoded: Sendable, Hashable {
    public var tokens: [Int32] = []
    /// The offset of each token's first byte in the text's UTF-8 form.
    public var offsets: [Int] = []
    /// Bytes for which the vocabulary has no token; they are left out.
    public var unknownBytes = 0
  }

  // MARK: Bytes

  /// Tokens that are single bytes.
  public static let byteCount = 256

  /// Every byte is a token, and token 256 begins a text.
  static let bytes = Tokenizer()

  private init() {
    texts = (0..<Self.byteCount).map { [UInt8($0)] } + [nil]
    ofByte = (0..<Int32(Self.byteCount)).map { $0 }
    (merges, splitter, end, start) = ([:], .gpt2, nil, Int32(Self.byteCount))
  }

  // MARK: Reading a file

  private static func fault(_ file: GGUF, _ text: String) -> StorageError {
    StorageError(.malformed, file: file.file, "its tokenizer cannot be used: \(text). Name another file.")
  }

  public init(_ file: GGUF) throws(StorageError) {
    let model = try file.text("tokenizer.ggml.model")
    guard model == "gpt2" else {
      throw Self.fault(file, "it is of the kind '\(model)'; byte-level BPE ('gpt2') is known")
    }
    let pre = file.metadata["tokenizer.ggml.pre"] == nil ? "gpt-2" : try file.text("tokenizer.ggml.pre")
    guard let splitter = WordSplitter(rawValue: pre == "default" ? "gpt-2" : pre) else {
      let known = WordSplitter.allCases.map(\.rawValue).joined(separator: ", ")
      throw Self.fault(file, "texts are cut by '\(pre)'; known are \(known)")
    }
    self.splitter = splitter
    let words = try file.texts("tokenizer.ggml.tokens")
    guard !words.isEmpty else { throw Self.fault(file, "its vocabulary is empty") }
    let types =
      file.metadata["tokenizer.ggml.token_type"] == nil ? [] : try file.integers("tokenizer.ggml.token_type")
    guard types.isEmpty || types.count == words.count else {
      throw Self.fault(file, "it has \(words.count) tokens and \(types.count) kinds of them")
    }
    var (ids, texts): ([String: Int32], [[UInt8]?]) = ([:], [])
    ids.reserveCapacity(words.count)
    for (id, word) in words.enumerated() {
      // 1 is an ordinary token; others stand for what no text has.
      let isText = types.isEmpty || types[id] == 1
      texts.append(isText ? ByteAlphabet.bytes(word) : nil)
      if isText { ids[word] = Int32(id) }
    }
    self.texts = texts
    ofByte = ByteAlphabet.letters.map { ids[String(Character($0))] ?? -1 }
    merges = try Self.merges(file, ids)
    end = try Self.special(file, "tokenizer.ggml.eos_token_id", words.count)
    let begins = try file.flag("tokenizer.ggml.add_bos_token", default: false)
    start = begins ? try Self.special(file, "tokenizer.ggml.bos_token_id", words.count) : nil
  }

  private static func special(_ file: GGUF, _ key: String, _ count: Int) throws(StorageError) -> Int32? {
    file.metadata[key] == nil ? nil : Int32(try file.integer(key, in: 0...count - 1))
  }

  private static func merges(_ file: GGUF, _ ids: [String: Int32]) throws(StorageError) -> [Pair: Merge] {
    let lines = try file.texts("tokenizer.ggml.merges")
    var merges: [Pair: Merge] = [:]
    merges.reserveCapacity(lines.count)
    for (rank, line) in lines.enumerated() {
      let parts = line.split(separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, let left = ids[String(parts[0])], let right = ids[String(parts[1])],
        let token = ids[String(parts[0] + parts[1])]
      else { throw fault(file, "merge \(rank), '\(line)', is not of two tokens into a third") }
      let pair = Pair(left: left, right: right)
      if merges[pair] == nil { merges[pair] = Merge(rank: Int32(rank), token: token) }
    }
    return merges
  }

  // MARK: Encoding

  public func encode(_ text: String) -> Encoded {
    var encoded = Encoded()
    if let start {
      encoded.tokens.append(start)
      encoded.offsets.append(0)
    }
    var known: [ArraySlice<UInt8>: [Part]] = [:]
    splitter.split(text) { word in
      let parts = known[word] ?? merged(word)
      if word.count <= 32 { known[word] = parts }
      for part in parts {
        encoded.tokens.append(part.token)
        encoded.offsets.append(word.startIndex + part.offset)
      }
      encoded.unknownBytes += word.count { ofByte[Int($0)] < 0 }
    }
    return encoded
  }

  private struct Part {
    var token: Int32
    var offset: Int
    var before: Int
    var after: Int
  }

  /// The word's bytes after all merges: again and again the pair of lowest rank, of several the first.
  private func merged(_ word: ArraySlice<UInt8>) -> [Part] {
    var parts: [Part] = []
    for (offset, byte) in word.enumerated() where ofByte[Int(byte)] >= 0 {
      let place = parts.count
      parts.append(Part(token: ofByte[Int(byte)], offset: offset, before: place - 1, after: place + 1))
    }
    var waiting = Waiting()
    func consider(_ left: Int) {
      guard left >= 0, parts[left].after < parts.count else { return }
      let pair = Pair(left: parts[left].token, right: parts[parts[left].after].token)
      guard let merge = merges[pair] else { return }
      waiting.push(Waiting.Item(rank: merge.rank, place: Int32(left), left: pair.left, right: pair.right))
    }
    for place in parts.indices { consider(place) }
    while let item = waiting.pop() {
      let left = Int(item.place)
      let right = parts[left].after
      // One of the two may have gone into another merge since; a part that is gone has a token below zero.
      guard right < parts.count, parts[left].token == item.left, parts[right].token == item.right,
        let merge = merges[Pair(left: item.left, right: item.right)]
      else { continue }
      parts[left].token = merge.token
      parts[left].after = parts[right].after
      parts[right].token = -1
      if parts[left].after < parts.count { parts[parts[left].after].before = left }
      consider(parts[left].before)
      consider(left)
    }
    return parts.filter { $0.token >= 0 }
  }

  /// The bytes that tokens stand for; of tokens that are no text, none.
  public func bytes(of tokens: some Sequence<Int32>) -> [UInt8] {
    tokens.flatMap { texts.indices.contains(Int($0)) ? texts[Int($0)] ?? [] : [] }
  }
}

/// Merges that wait, the one of lowest rank first, of several the leftmost: a binary heap.
private struct Waiting {
  struct Item {
    let rank: Int32
    let place: Int32
    let left: Int32
    let right: Int32
    static func < (a: Item, b: Item) -> Bool { (a.rank, a.place) < (b.rank, b.place) }
  }
  private var items: [Item] = []

  mutating func push(_ item: Item) {
    items.append(item)
    var child = items.count - 1
    while child > 0, items[child] < items[(child - 1) / 2] {
      items.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> Item? {
    guard let first = items.first, let last = items.popLast() else { return nil }
    guard !items.isEmpty else { return first }
    items[0] = last
    var parent = 0
    while 2 * parent + 1 < items.count {
      var child = 2 * parent + 1
      if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
      guard items[child] < items[parent] else { break }
      items.swapAt(child, parent)
      parent = child
    }
    return first
  }
}

/// The letters that stand for bytes in vocabularies of byte-level BPE: printable ones for themselves, the others in order from
/// U+0100 on (Radford et al. 2019, encoder.py).
package enum ByteAlphabet {
  package static let letters: [Unicode.Scalar] = {
    var next: UInt32 = 256
    return (UInt32(0)..<256).map { byte in
      switch byte {
      case 33...126, 161...172, 174...255: return Unicode.Scalar(byte) ?? "?"
      default:
        defer { next += 1 }
        return Unicode.Scalar(next) ?? "?"
      }
    }
  }()

  private static let bytes = Dictionary(
    uniqueKeysWithValues: letters.enumerated().map { ($0.element, UInt8($0.offset)) })

  /// The bytes of a token; nil where it has letters that stand for none.
  static func bytes(_ token: String) -> [UInt8]? {
    var result: [UInt8] = []
    for letter in token.unicodeScalars {
      guard let byte = bytes[letter] else { return nil }
      result.append(byte)
    }
    return result
  }
}
