/// What stands between whole units and their parts.
public enum DecimalMark: UInt8, Sendable, CaseIterable {
  case point = 0x2E
  case comma = 0x2C

  /// The mark that this one is often mistaken for.
  var other: DecimalMark { self == .point ? .comma : .point }
}

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
    1e19, 1e20, 1e21, 1e22,
  ]

  /// Powers of five that 64 bits hold.
  private static let fives: [UInt64] = (0..<28).map { exponent in
    (0..<exponent).reduce(1) { power, _ in power * 5 }
  }

  static func read(_ text: ArraySlice<UInt8>, mark: DecimalMark = .point) -> Reading {
    text.withUnsafeBufferPointer { read($0, mark: mark) }
  }

  /// Reads `[+-]digits[.digits][e[+-]digits]`, nearest `Double`; spaces around it do not count.
  static func read(_ text: UnsafeBufferPointer<UInt8>, mark: DecimalMark = .point) -> Reading {
    var position = 0
    var end = text.count
    while position < end, text[position] == 0x20 || text[position] == 0x09 { position += 1 }
    while end > position, text[end - 1] == 0x20 || text[end - 1] == 0x09 { end -= 1 }
    guard position < end else { return .missing }
    let start = position
    let negative = text[position] == UInt8(ascii: "-")
    if negative || text[position] == UInt8(ascii: "+") { position += 1 }
    var mantissa: UInt64 = 0
    /// Digits that the mantissa has no room for, and places after the mark.
    var dropped = 0
    var scale = 0
    let whole = position
    while position < end, case let digit = text[position] &- 0x30, digit <= 9 {
      if mantissa < 1_000_000_000_000_000_000 {
        mantissa = mantissa &* 10 &+ UInt64(digit)
      } else {
        dropped += 1
      }
      position += 1
    }
    var digits = position - whole
    if position < end, text[position] == mark.rawValue {
      position += 1
      let fraction = position
      while position < end, case let digit = text[position] &- 0x30, digit <= 9 {
        if mantissa < 1_000_000_000_000_000_000 {
          mantissa = mantissa &* 10 &+ UInt64(digit)
          scale -= 1
        } else {
          dropped += 1
        }
        position += 1
      }
      digits += position - fraction
    }
    guard digits > 0 else { return word(text[start..<end]) }
    if position < end, text[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      var below = false
      if position < end, case let sign = text[position],
        sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
      {
        below = sign == UInt8(ascii: "-")
        position += 1
      }
      guard position < end, text[position] &- 0x30 <= 9 else { return .other }
      var exponent = 0
      while position < end, case let digit = text[position] &- 0x30, digit <= 9 {
        exponent = min(exponent * 10 + Int(digit), 1_000_000)
        position += 1
      }
      scale += below ? -exponent : exponent
    }
    guard position == end else { return .other }
    if dropped == 0, let value = exact(mantissa, scale) { return .finite(negative ? -value : value) }
    return slowly(text[start..<end], mark)
  }

  /// The `Double` nearest to mantissa · 10^scale, or nil where neither of two quick ways is exact.
  @inline(__always)
  private static func exact(_ mantissa: UInt64, _ scale: Int) -> Double? {
    if mantissa <= 1 << 53, scale >= -22, scale <= 22 {
      // Both factors are exact, so the one rounding of the product or quotient gives the nearest value (Clinger).
      let value = Double(mantissa)
      return scale < 0 ? value / powers[-scale] : value * powers[scale]
    }
    guard mantissa > 0, scale <= 0, scale >= -27 else { return nil }
    // mantissa / 5^n in 63 or 64 bits, the last of which is set where anything is left over: rounding that to 53
    // bits rounds the quotient, and powers of two are exact.
    let five = fives[-scale]
    let (up, down) = (mantissa.leadingZeroBitCount, five.leadingZeroBitCount)
    let top = mantissa << UInt64(up)
    let (quotient, rest) = (five << UInt64(down)).dividingFullWidth((top >> 1, top << 63))
    return Double(quotient | (rest == 0 ? 0 : 1)) * power(ofTwo: down - up - 63 + scale)
  }

  /// 2^exponent for exponents from -1022 to 1023.
  @inline(__always)
  private static func power(ofTwo exponent: Int) -> Double {
    Double(bitPattern: UInt64(exponent + 1023) << 52)
  }

  private static func slowly(_ text: Slice<UnsafeBufferPointer<UInt8>>, _ mark: DecimalMark) -> Reading {
    let digits = text.map { $0 == mark.rawValue ? DecimalMark.point.rawValue : $0 }
    guard let value = Double(String(decoding: digits, as: UTF8.self)) else { return .other }
    return value.isFinite ? .finite(value) : .infinite
  }

  private static func word(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Reading {
    guard text.count <= 9 else { return .other }
    let word = String(decoding: text, as: UTF8.self).lowercased()
    if missing.contains(word) { return .missing }
    switch word.drop(while: { $0 == "+" || $0 == "-" }) {
    case "nan": return .notANumber
    case "inf", "infinity": return .infinite
    default: return .other
    }
  }

  /// The usual words for no value, in any case of letters.
  private static let missing: Set<String> = [
    "na", "n/a", "#n/a", "#na", "<na>", "null", "none", "-", "?", ".",
  ]

  static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = text
    while let byte = text.first, byte == 0x20 || byte == 0x09 { text.removeFirst() }
    while let byte = text.last, byte == 0x20 || byte == 0x09 { text.removeLast() }
    return text
  }
}
