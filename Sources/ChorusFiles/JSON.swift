/// A JSON value (RFC 8259). Numbers keep their digits, so that a seed of 64 bits and a row's value come through as they were written.
package indirect enum JSON: Equatable, Sendable {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([JSON])
  /// Members in the order of the text.
  case object([Member])

  package struct Member: Equatable, Sendable {
    package let key: String
    package let value: JSON

    package init(key: String, value: JSON) { (self.key, self.value) = (key, value) }
  }

  package static func integer(_ value: Int) -> JSON { .number(String(value)) }

  /// With the fewest digits that give the value back; null where it is not finite.
  package static func double(_ value: Double) -> JSON {
    guard value.isFinite else { return .null }
    let text = value.description
    return .number(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
  }

  /// An object without the members that are nil.
  package static func members(_ pairs: KeyValuePairs<String, JSON?>) -> JSON {
    members(pairs.map { ($0.key, $0.value) })
  }

  package static func members(_ pairs: [(String, JSON?)]) -> JSON {
    .object(pairs.compactMap { key, value in value.map { Member(key: key, value: $0) } })
  }

  package subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  package var string: String? { if case .string(let text) = self { text } else { nil } }
  package var array: [JSON]? { if case .array(let values) = self { values } else { nil } }

  /// The characters that a text's own escapes are written for; other control characters are written as numbers.
  package enum Escapes: Sendable {
    /// Line ends and tabs.
    case lines
    /// All that JSON has letters for, and the slash: as Foundation's encoder writes.
    case all
    case allButSlashes
  }

  /// `text` in quotes.
  package static func quoted(_ text: String, _ escapes: Escapes = .lines) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{8}" where escapes != .lines: result += "\\b"
      case "\u{C}" where escapes != .lines: result += "\\f"
      case "/" where escapes == .all: result += "\\/"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// As text on one line.
  package var text: String { text(.lines) }

  package func text(_ escapes: Escapes) -> String {
    var text = ""
    write(to: &text, escapes)
    return text
  }

  private func write(to text: inout String, _ escapes: Escapes) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let digits): text += digits
    case .string(let string): text += Self.quoted(string, escapes)
    case .array(let values):
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += "," }
        value.write(to: &text, escapes)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { text += "," }
        text += Self.quoted(member.key, escapes) + ":"
        member.value.write(to: &text, escapes)
      }
      text += "}"
    }
  }
}

/// What is wrong with a text that should be JSON: where, counted in bytes from 1, and what.
package struct JSONFault: Error, Equatable, CustomStringConvertible {
  package let place: Int
  package let words: String

  package var description: String { "not JSON: byte \(place): \(words)" }
}
