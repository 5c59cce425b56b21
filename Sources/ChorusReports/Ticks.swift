import Foundation

/// A place on an axis that is named.
struct Tick: Equatable, Sendable {
  var value: Double
  var label: String
  /// A second line, where the larger unit changes: the year below a month, the date below an hour.
  var context: String? = nil
}

/// Where ticks stand and what they say.
enum Ticks {
  /// Multiples of 1, 2 or 5 times a power of ten within `range`, about `count` of them and at most 100; labels are
  /// those of value / `unit`.
  static func linear(_ range: ClosedRange<Double>, count: Int, unit: Double = 1) -> [Tick] {
    let (low, high) = (range.lowerBound / unit, range.upperBound / unit)
    guard high > low, count > 0 else { return [Tick(value: low * unit, label: NumberFormat.short(low))] }
    let step = niceStep((high - low) / Double(count))
    // Ends may miss a tick by rounding only.
    let first = (low / step - 1e-9).rounded(.up)
    let last = (high / step + 1e-9).rounded(.down)
    guard last >= first, last - first <= 100 else { return [] }
    let decimals = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
    return (0...Int(last - first)).map { index in
      let value = (first + Double(index)) * step
      return Tick(value: value * unit, label: NumberFormat.fixed(value, decimals: decimals))
    }
  }

  /// The smallest of 1, 2, 5 times a power of ten that is not below `rough`.
  static func niceStep(_ rough: Double) -> Double {
    let power = pow(10, log10(rough).rounded(.down))
    for factor in [1.0, 2, 5] where rough <= factor * power * (1 + 1e-9) { return factor * power }
    return 10 * power
  }

  /// Ticks of a logarithmic axis: at 1, 2 and 5 times powers of ten, at 1 and 3 times them, at every power or at every
  /// few, the densest with at most `count` ticks; over less than a factor of 3, those of a linear axis.
  static func logarithmic(_ range: ClosedRange<Double>, count: Int) -> [Tick] {
    let (low, high) = (range.lowerBound, range.upperBound)
    guard low > 0, high > low else { return [Tick(value: low, label: NumberFormat.short(low))] }
    let bottom = Int(log10(low).rounded(.down))
    let top = Int(log10(high).rounded(.up))
    func ticks(_ factors: [Double], every: Int) -> [Double] {
      var values: [Double] = []
      for exponent in bottom...top where exponent.isMultiple(of: every) {
        values += factors.map { $0 * pow(10, Double(exponent)) }
      }
      return values.filter { $0 >= low * (1 - 1e-9) && $0 <= high * (1 + 1e-9) }
    }
    for factors in [[1, 2, 5], [1, 3]] as [[Double]] {
      let dense = ticks(factors, every: 1)
      if dense.count >= 2, dense.count <= count { return dense.map(named) }
    }
    if high / low < 3 { return linear(range, count: count) }
    for every in 1...400 {
      let sparse = ticks([1], every: every)
      if sparse.count <= max(count, 1) { return sparse.map(named) }
    }
    return []
  }

  private static func named(_ value: Double) -> Tick { Tick(value: value, label: NumberFormat.short(value)) }

  /// 10³ᵏ by which the labels of a linear axis are divided, so that they stay short; 1 where they are short already.
  static func unit(_ range: ClosedRange<Double>) -> (factor: Double, text: String?) {
    let largest = max(abs(range.lowerBound), abs(range.upperBound))
    guard largest > 0, largest >= 1e6 || largest < 1e-3 else { return (1, nil) }
    let exponent = Int((log10(largest) / 3 + 1e-9).rounded(.down)) * 3
    return (pow(10, Double(exponent)), "10" + NumberFormat.superscript(exponent))
  }
}
