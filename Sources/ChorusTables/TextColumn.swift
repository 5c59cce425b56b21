/// The cells of a column as they are, one after another in one array of bytes.
struct TextColumn: Sendable {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []

  mutating func append(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool = false) {
    if isQuoted, text.contains(UInt8(ascii: "\"")) {
      bytes += CellText.single(text)
    } else {
      bytes.append(contentsOf: text)
    }
    ends.append(bytes.count)
  }

  var strings: [String] {
    ends.indices.map { index in
      String(decoding: bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]], as: UTF8.self)
    }
  }
}

enum CellText {
  /// The text of a cell, doubled quotes made single.
  static func string(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool) -> String {
    isQuoted ? String(decoding: single(text), as: UTF8.self) : String(decoding: text, as: UTF8.self)
  }

  /// As above, cut short for an error.
  static func shown(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool) -> String {
    let full = string(UnsafeBufferPointer(rebasing: text.prefix(400)), isQuoted: isQuoted)
    return full.count > 40 ? full.prefix(40) + "…" : full
  }

  static func single(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var half = false  // after the first of two quotes
    return text.filter { byte in
      half = byte == UInt8(ascii: "\"") && !half
      return !half
    }
  }
}
