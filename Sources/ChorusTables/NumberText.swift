/// Decimal numbers, read exactly.
enum NumberText {
  /// What a cell's text is, as a number.
  enum Reading: Equatable {
    case finite(Double)
    /// `inf`, or a decimal beyond the largest `Double`.
    case infinite
    /// `NaN` in any case.
    case notANumber
    /// The empty cell and the usual words for one.
    case missing
    case other
  }

  /// Powers of ten that a `Double` holds exactly.
  private static let powers: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19,
    1e20, 1e21, 1e22,
  ]

  /// Reads `[+-]digits[.digits][e[+-]digits]`, nearest `Double`; spaces around it do not count.
  static func read(_ text: ArraySlice<UInt8>) -> Reading {
    let text = trimmed(text)
    guard !text.isEmpty else { return .missing }
    var position = text.startIndex
    let negative = text[position] == UInt8(ascii: "-")
    if negative || text[position] == UInt8(ascii: "+") { position += 1 }
    var digits = 0
    var mantissa: UInt64 = 0
    var exact = true
    var scale = 0
    func isDigit(_ index: Int) -> Bool { index < text.endIndex && text[index] &- 0x30 <= 9 }
    func takeDigits(fraction: Bool) {
      while isDigit(position) {
        if mantissa < 100_000_000_000_000_000 {
          mantissa = mantissa * 10 + UInt64(text[position] &- 0x30)
          if fraction { scale -= 1 }
        } else {
          exact = false
        }
        digits += 1
        position += 1
      }
    }
    takeDigits(fraction: false)
    if position < text.endIndex, text[position] == UInt8(ascii: ".") {
      position += 1
      takeDigits(fraction: true)
    }
    guard digits > 0 else { return word(text) }
    if position < text.endIndex, text[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      var below = false
      if position < text.endIndex, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(text[position]) {
        below = text[position] == UInt8(ascii: "-")
        position += 1
      }
      guard isDigit(position) else { return .other }
      var exponent = 0
      while isDigit(position) {
        exponent = min(exponent * 10 + Int(text[position] &- 0x30), 1_000_000)
        position += 1
      }
      scale += below ? -exponent : exponent
    }
    guard position == text.endIndex else { return .other }
    if exact, mantissa <= 1 << 53, scale.magnitude <= 22 {
      // Both factors are exact, so the one rounding of the product or quotient gives the nearest value.
      let power = powers[Int(scale.magnitude)]
      let value = scale < 0 ? Double(mantissa) / power : Double(mantissa) * power
      return .finite(negative ? -value : value)
    }
    guard let value = Double(String(decoding: text, as: UTF8.self)) else { return .other }
    return value.isFinite ? .finite(value) : .infinite
  }

  private static func word(_ text: ArraySlice<UInt8>) -> Reading {
    guard text.count <= 9 else { return .other }
    switch String(decoding: text, as: UTF8.self) {
    case "NA", "N/A", "null", "None", "-": return .missing
    case let word:
      switch word.lowercased().drop(while: { $0 == "+" || $0 == "-" }) {
      case "nan": return .notANumber
      case "inf", "infinity": return .infinite
      default: return .other
      }
    }
  }

  static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = text
    while let byte = text.first, byte == 0x20 || byte == 0x09 { text.removeFirst() }
    while let byte = text.last, byte == 0x20 || byte == 0x09 { text.removeLast() }
    return text
  }
}
