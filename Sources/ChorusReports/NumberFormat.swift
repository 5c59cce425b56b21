import Foundation

/// Numbers as charts write them, for the words around a chart.
public enum ChartNumber {
  /// `value` to about `digits` significant digits: `0.25`, `12,500`, `3×10⁶`; `–` for NaN.
  public static func text(_ value: Double, digits: Int = 3) -> String {
    NumberFormat.short(value, digits: max(1, min(digits, 12)))
  }

  /// A count with all its digits: `17,522,496`.
  public static func text(_ value: Int) -> String { NumberFormat.fixed(Double(value), decimals: 0) }
}

/// Numbers as a reader wants them on an axis: few digits, no `1e-05`.
enum NumberFormat {
  /// `value` with `decimals` digits after the point, a true minus sign and commas before every third digit of numbers
  /// from 10,000 on.
  static func fixed(_ value: Double, decimals: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "–" : value < 0 ? "−∞" : "∞" }
    let decimals = max(0, min(decimals, 12))
    let scaled = (abs(value) * pow(10, Double(decimals))).rounded()
    guard scaled < 9e15 else { return short(value) }
    let number = Int(scaled)
    var digits = String(number)
    if digits.count <= decimals {
      digits = String(repeating: "0", count: decimals + 1 - digits.count) + digits
    }
    let whole = String(digits.dropLast(decimals))
    let text = grouped(whole) + (decimals > 0 ? "." + digits.suffix(decimals) : "")
    return (value < 0 && number != 0 ? "−" : "") + text
  }

  /// `value` to about `digits` significant digits without trailing zeros, with a power of ten where it is very large
  /// or small: `0.25`, `12,500`, `3×10⁶`, `10⁻⁴`.
  static func short(_ value: Double, digits: Int = 3) -> String {
    guard value.isFinite else { return value.isNaN ? "–" : value < 0 ? "−∞" : "∞" }
    guard value != 0 else { return "0" }
    var exponent = Int(log10(abs(value)).rounded(.down))
    // The smallest powers of ten are no numbers.
    let lifted = exponent < -300 ? abs(value) * 1e100 : abs(value)
    // Rounding may lead to the next power of ten, and so may the last bit of the logarithm.
    var mantissa = rounded(lifted / pow(10, Double(exponent < -300 ? exponent + 100 : exponent)), digits - 1)
    if mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
    if (-4..<6).contains(exponent) {
      return trimmed(fixed(value, decimals: max(0, digits - 1 - exponent)))
    }
    let power = "10" + superscript(exponent)
    let sign = value < 0 ? "−" : ""
    return sign + (mantissa == 1 ? power : trimmed(fixed(mantissa, decimals: digits - 1)) + "×" + power)
  }

  /// An exponent as it stands above the line.
  static func superscript(_ value: Int) -> String {
    let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
    return (value < 0 ? "⁻" : "")
      + String(String(value.magnitude).compactMap(\.wholeNumberValue).map { digits[$0] })
  }

  private static func rounded(_ value: Double, _ decimals: Int) -> Double {
    let scale = pow(10, Double(decimals))
    return (value * scale).rounded() / scale
  }

  private static func trimmed(_ text: String) -> String {
    guard text.contains(".") else { return text }
    let kept = text.reversed().drop { $0 == "0" }
    return String((kept.first == "." ? kept.dropFirst() : kept).reversed())
  }

  private static func grouped(_ digits: String) -> String {
    guard digits.count > 4 else { return digits }
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
      text.append(digit)
    }
    return text
  }
}
