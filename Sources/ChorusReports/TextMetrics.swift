/// Estimates of how wide text will be, since the reader's font is not known. They lean to the wide side.
enum TextMetrics {
  /// The width in pixels of a line of `text` at a font size.
  static func width(_ text: String, size: Double, bold: Bool = false) -> Double {
    var ems = 0.0
    for scalar in text.unicodeScalars { ems += advance(scalar) }
    return ems * size * (bold ? 1.07 : 1)
  }

  private static func advance(_ scalar: Unicode.Scalar) -> Double {
    switch scalar {
    case "i", "j", "l", "I", "'", "|", ".", ",", ":", ";", "!", "¹": 0.3
    case "f", "t", "r", "(", ")", "[", "]", "/", "\\", " ", "-", "·": 0.38
    case "m", "w", "M", "W", "@", "%", "…", "—": 0.9
    case "A"..."Z", "&", "+", "=", "<", ">", "−", "×", "~", "#", "∝": 0.7
    case "⁰", "²"..."³", "⁴"..."⁹", "⁻": 0.42
    case "a"..."z", "0"..."9", "_", "\"", "?", "*", "–", "$": 0.58
    default:
      if scalar.properties.generalCategory == .nonspacingMark {
        0
      } else if scalar.value >= 0x1100 {
        1.05
      } else {
        0.66
      }
    }
  }

  /// `text`, or its beginning and end with an ellipsis between, at most `width` pixels wide.
  static func shortened(_ text: String, to width: Double, size: Double, bold: Bool = false) -> String {
    guard self.width(text, size: size, bold: bold) > width else { return text }
    let characters = Array(text)
    var kept = characters.count - 1
    while kept > 1 {
      let tail = kept / 3
      let short = String(characters.prefix(kept - tail)) + "…" + String(characters.suffix(tail))
      if self.width(short, size: size, bold: bold) <= width { return short }
      // Long names come down by large steps first.
      kept -= max(1, kept / 16)
    }
    return "…"
  }

  /// `text` in at most `lines` lines of at most `width` pixels; what does not fit is replaced by an ellipsis.
  static func wrapped(_ text: String, to width: Double, size: Double, lines: Int, bold: Bool = false)
    -> [String]
  {
    let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
    var result: [String] = []
    var line = ""
    for (index, word) in words.enumerated() {
      let longer = line.isEmpty ? word : line + " " + word
      if line.isEmpty || self.width(longer, size: size, bold: bold) <= width {
        line = longer
      } else if result.count == lines - 1 {
        line = ([line] + words[index...].prefix(40)).joined(separator: " ")
        break
      } else {
        result.append(line)
        line = word
      }
    }
    if !line.isEmpty { result.append(line) }
    return result.map { shortened($0, to: width, size: size, bold: bold) }
  }
}
