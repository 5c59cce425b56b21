/// What stands between two cells.
public enum Delimiter: UInt8, Sendable, CaseIterable {
  case comma = 0x2C
  case semicolon = 0x3B
  case tab = 0x09

  /// Lines that are looked at to find the delimiter.
  private static let lines = 20

  /// The delimiter that makes the most cells, and as many in each of the first lines, outside quotes; where none
  /// does, the one of the most cells in the header; the first of `candidates` where they tie.
  static func sniff(_ bytes: ArraySlice<UInt8>, among candidates: [Delimiter] = allCases) -> Delimiter {
    var counts: [[UInt8: Int]] = [[:]]
    var quoted = false
    var blank = true
    for byte in bytes {
      if byte == UInt8(ascii: "\"") { quoted.toggle() }
      if !quoted, byte == 0x0A || byte == 0x0D {
        if blank { continue }
        guard counts.count < lines else { break }
        counts.append([:])
        blank = true
        continue
      }
      blank = false
      if !quoted, Delimiter(rawValue: byte) != nil { counts[counts.count - 1][byte, default: 0] += 1 }
    }
    if blank || counts.count == lines + 1 { counts.removeLast() }
    func cells(_ delimiter: Delimiter) -> Int { counts.first?[delimiter.rawValue] ?? 0 }
    func isEven(_ delimiter: Delimiter) -> Bool {
      cells(delimiter) > 0 && counts.allSatisfy { $0[delimiter.rawValue] == cells(delimiter) }
    }
    let even = candidates.filter(isEven)
    var best = even.first ?? candidates.first ?? .comma
    for candidate in even.isEmpty ? candidates : even where cells(candidate) > cells(best) {
      best = candidate
    }
    return best
  }
}
