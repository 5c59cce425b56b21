/// What stands between two cells.
public enum Delimiter: UInt8, Sendable, CaseIterable {
  case comma = 0x2C
  case semicolon = 0x3B
  case tab = 0x09

  /// The delimiter of the most cells in the header, outside quotes; the comma where they tie.
  static func sniff(_ bytes: [UInt8]) -> Delimiter {
    var counts: [UInt8: Int] = [:]
    var quoted = false
    for byte in bytes {
      if byte == UInt8(ascii: "\"") { quoted.toggle() }
      if quoted { continue }
      if byte == 0x0A || byte == 0x0D {
        if counts.isEmpty { continue }  // blank lines, or a header of one column
        break
      }
      if Delimiter(rawValue: byte) != nil { counts[byte, default: 0] += 1 }
    }
    return allCases.max { counts[$0.rawValue, default: 0] < counts[$1.rawValue, default: 0] } ?? .comma
  }
}
