/// What stands between two cells.
public enum Delimiter: UInt8, Sendable, CaseIterable {
  case comma = 0x2C
  case semicolon = 0x3B
  case tab = 0x09
  case pipe = 0x7C
  /// Spaces, one or several.
  case space = 0x20

  /// Lines that are looked at to find the delimiter.
  private static let lines = 20

  /// The delimiter that makes the most cells, and as many in each of the first lines, outside quotes; where none
  /// does, the one of the most cells in the header; the first of `candidates` where they tie. Spaces are taken for one
  /// only where the header has no other, and they make as many cells in each line.
  static func sniff(_ bytes: ArraySlice<UInt8>, among candidates: [Delimiter] = allCases) -> Delimiter {
    var counts: [[UInt8: Int]] = [[:]]
    var quoted = false
    var blank = true
    var comment = false
    var before: UInt8 = 0x0A
    for byte in bytes {
      defer { before = byte }
      if blank, byte == UInt8(ascii: "#"), before == 0x0A || before == 0x0D { comment = true }
      if byte == UInt8(ascii: "\""), !comment { quoted.toggle() }
      if !quoted, byte == 0x0A || byte == 0x0D {
        // A space at the end of a line is between no cells.
        if before == 0x20, !comment { counts[counts.count - 1][0x20, default: 1] -= 1 }
        if blank || comment {
          (comment, counts[counts.count - 1]) = (false, [:])
          continue
        }
        guard counts.count < lines else { break }
        counts.append([:])
        blank = true
        continue
      }
      if comment { continue }
      if byte == 0x20, blank || before == 0x20 { continue }
      blank = false
      if !quoted, Delimiter(rawValue: byte) != nil { counts[counts.count - 1][byte, default: 0] += 1 }
    }
    if blank || counts.count == lines + 1 { counts.removeLast() }
    func cells(_ delimiter: Delimiter) -> Int { counts.first?[delimiter.rawValue] ?? 0 }
    func isEven(_ delimiter: Delimiter) -> Bool {
      cells(delimiter) > 0 && counts.allSatisfy { $0[delimiter.rawValue] ?? 0 == cells(delimiter) }
    }
    let marks = candidates.filter { $0 != .space }
    if candidates.contains(.space), isEven(.space), counts.count > 1, marks.allSatisfy({ cells($0) == 0 }) {
      return .space
    }
    let even = marks.filter(isEven)
    var best = even.first ?? marks.first ?? .comma
    for candidate in even.isEmpty ? marks : even where cells(candidate) > cells(best) {
      best = candidate
    }
    return best
  }
}
