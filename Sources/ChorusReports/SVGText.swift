/// Pieces of an SVG document.
enum SVGText {
  /// `text` for content and attributes; characters that XML does not allow become U+FFFD.
  static func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += " "
      case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF:
        result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// `text` with its line ends.
  static func escapedLines(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { escaped(String($0)) }.joined(
      separator: "\n")
  }

  /// A coordinate to a tenth of a pixel.
  static func number(_ value: Double) -> String {
    let tenths = Int((min(max(value, -1e6), 1e6) * 10).rounded())
    let sign = tenths < 0 ? "-" : ""
    let rest = tenths.magnitude % 10
    return sign + String(tenths.magnitude / 10) + (rest == 0 ? "" : ".\(rest)")
  }

  enum Anchor: String {
    case start, middle, end
  }

  /// One line of text; where it was shortened, the `full` text is its tooltip.
  static func text(
    _ text: String, x: Double, y: Double, class name: String, anchor: Anchor = .start, full: String? = nil,
    attributes: String = ""
  ) -> String {
    let side = anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\""
    let tip = full == nil || full == text ? "" : "<title>\(escaped(full ?? ""))</title>"
    return
      "<text class=\"\(name)\" x=\"\(number(x))\" y=\"\(number(y))\"\(side)\(attributes)>\(escaped(text))\(tip)</text>\n"
  }

  static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, class name: String) -> String {
    "<path class=\"\(name)\" d=\"M\(number(x1)) \(number(y1))L\(number(x2)) \(number(y2))\"/>\n"
  }

  static func rectangle(
    _ x: Double, _ y: Double, _ width: Double, _ height: Double, class name: String, attributes: String = ""
  ) -> String {
    "<rect class=\"\(name)\" x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(width))\" "
      + "height=\"\(number(height))\"\(attributes)/>\n"
  }
}

/// The data of a `path` element. Coordinates are absolute and to a tenth of a pixel; a place that rounds to the one
/// before it is left out.
struct PathData {
  private(set) var text = ""
  private var last = ""

  mutating func move(_ x: Double, _ y: Double) {
    last = SVGText.number(x) + " " + SVGText.number(y)
    text += "M" + last
  }

  mutating func line(_ x: Double, _ y: Double) {
    let place = SVGText.number(x) + " " + SVGText.number(y)
    guard place != last else { return }
    last = place
    text += "L" + place
  }

  /// A dot, when stroked with round caps.
  mutating func dot(_ x: Double, _ y: Double) {
    text += "M" + SVGText.number(x) + " " + SVGText.number(y) + "h0"
  }

  mutating func close() { text += "Z" }
}
