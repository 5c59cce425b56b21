import ChorusInference
import Foundation

/// How many digits numbers of an answer are written with.
package enum Digits: String, CaseIterable, Sendable {
  /// So many that a thousandth of a law's width is seen, and a ten-thousandth of a probability: far less than what drawing 100 paths leaves
  /// open.
  case sensible
  /// All that tell a number from its neighbours in 64 bits.
  case all

  /// Where the width of a law is told: the middle nine tenths.
  private static let ends = [0.05, 0.95]

  /// Quantiles and mean of draws as they are written.
  func written(_ draws: [Double], levels: [Double], mean: Double) -> (quantiles: [Double], mean: Double) {
    let all = Posterior.Samples.quantiles(of: draws, levels + Self.ends)
    let quantiles = all.prefix(levels.count)
    let width = all[levels.count + 1] - all[levels.count]
    return (quantiles.map { rounded($0, width: width) }, rounded(mean, width: width))
  }

  /// A number of a law of this width.
  func rounded(_ value: Double, width: Double) -> Double {
    guard self == .sensible, width > 0, width.isFinite else { return value }
    // Whole numbers stay as they are.
    return rounded(value, decimals: 3 - Int(log10(width).rounded(.down)))
  }

  /// A probability or a share.
  func probability(_ value: Double) -> Double {
    guard self == .sensible, value > 0 else { return value }
    return rounded(value, decimals: 3 - Int(log10(value).rounded(.down)))
  }

  private func rounded(_ value: Double, decimals: Int) -> Double {
    // A quotient by a power of ten that is exact is the decimal itself, so that it is written with no more digits.
    guard decimals <= 22 else { return value }
    let unit = pow(10, Double(max(decimals, 0)))
    let scaled = value * unit
    guard abs(scaled) < 0x1p53 else { return value }
    return scaled.rounded() / unit
  }
}

extension Array where Element == Double {
  /// Levels of quantiles in the order of an answer's columns: the median, if it is there, then the others.
  var medianFirst: [Double] { filter { $0 == 0.5 } + filter { $0 != 0.5 } }
}
