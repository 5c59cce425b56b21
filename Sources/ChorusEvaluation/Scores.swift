import ChorusInference
import Foundation

/// Scores of a predictive distribution against the value that came. All are proper and turned so that smaller is better,
/// in the units of the value.
public enum Scores {
  /// The continuous ranked probability score of a distribution known by independent draws (`ContinuousLaw.crps` is that of
  /// a law), unbiased for the distribution's own (Ferro 2014):
  /// E|X − X'| is over pairs of different draws. NaN for fewer than two.
  public static func crps(_ draws: [Double], _ y: Double) -> Double {
    let (m, sorted) = (Double(draws.count), draws.sorted())
    guard sorted.count > 1 else { return .nan }
    let near = sorted.reduce(0) { $0 + abs($1 - y) } / m
    // Σ over i < j of x(j) − x(i).
    let apart = sorted.enumerated().reduce(0) { $0 + (2 * Double($1.offset) - m + 1) * $1.element }
    return near - apart / (m * (m - 1))
  }

  /// The energy score with β = 1 (Gneiting & Raftery 2007, eq. 22, sign turned) of a joint distribution known by
  /// independent paths, unbiased as above: E‖X − y‖ − ½ E‖X − X'‖.
  ///
  /// - Parameter paths: `[paths][targets]`, at least two.
  public static func energy(_ paths: [[Double]], _ y: [Double]) -> Double {
    guard paths.count > 1 else { return .nan }
    func distance(_ a: [Double], _ b: [Double]) -> Double {
      var sum = 0.0
      for index in b.indices { sum += (a[index] - b[index]) * (a[index] - b[index]) }
      return sum.squareRoot()
    }
    let m = Double(paths.count)
    let near = paths.reduce(0) { $0 + distance($1, y) } / m
    var apart = 0.0
    for i in paths.indices { for j in 0..<i { apart += distance(paths[i], paths[j]) } }
    return near - apart / (m * (m - 1))
  }

  /// The variogram score of order p (Scheuerer & Hamill 2015, where it is defined for weights w; here all pairs weigh the
  /// same, and it is their mean): (|yᵢ − yⱼ|ᵖ − E|Xᵢ − Xⱼ|ᵖ)² over pairs i < j. It sees how values go together, which
  /// the energy score hardly does. 0 for fewer than two targets.
  public static func variogram(_ paths: [[Double]], _ y: [Double], order p: Double = 0.5) -> Double {
    guard y.count > 1, !paths.isEmpty else { return paths.isEmpty ? .nan : 0 }
    func power(_ difference: Double) -> Double {
      p == 0.5 ? abs(difference).squareRoot() : pow(abs(difference), p)
    }
    var sum = 0.0
    for i in y.indices {
      for j in 0..<i {
        let expected = paths.reduce(0) { $0 + power($1[i] - $1[j]) } / Double(paths.count)
        let difference = power(y[i] - y[j]) - expected
        sum += difference * difference
      }
    }
    return sum / Double(y.count * (y.count - 1) / 2)
  }

  /// Where a value lies among independent draws: uniform on 0...1 if it is one more draw. Ties are broken by `uniform`.
  public static func level(_ y: Double, among draws: [Double], uniform: Double) -> Double {
    let below = draws.count { $0 < y }
    let equal = draws.count { $0 == y }
    return (Double(below) + uniform * Double(equal + 1)) / Double(draws.count + 1)
  }
}

/// A mean over repetitions with its interval by Student's t.
///
/// Repetitions that hold out random rows of one file share most of their context, so their results go together, and the
/// plain standard error would be too small. It is then that of Nadeau & Bengio (2003, sec. 3.3):
/// s² (1/J + held out/context) in place of s²/J.
public struct RepeatedMean: Sendable, Hashable {
  public let mean: Double
  /// NaN for a single repetition.
  public let standardError: Double
  /// Half the width of the interval that holds the true mean with probability 0.95.
  public let margin: Double

  public var low: Double { mean - margin }
  public var high: Double { mean + margin }

  /// - Parameter overlap: held out rows over context rows where repetitions share rows, else 0.
  public init(_ values: [Double], overlap: Double = 0) {
    let n = Double(values.count)
    mean = values.reduce(0, +) / n
    guard values.count > 1 else {
      (standardError, margin) = (.nan, .nan)
      return
    }
    let mean = mean
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    standardError = (variance * (1 / n + overlap)).squareRoot()
    margin = standardError * StudentT.quantile(0.975, degrees: n - 1)
  }
}

/// Student's distribution.
enum StudentT {
  /// The value that a variate with this many degrees of freedom is below with probability `level` in 0.5..<1.
  static func quantile(_ level: Double, degrees: Double) -> Double {
    var (low, high) = (0.0, 1.0)
    while cdf(high, degrees) < level { high *= 2 }
    for _ in 0..<100 {
      let middle = (low + high) / 2
      if cdf(middle, degrees) < level { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }

  /// P(T ≤ t) for t ≥ 0: 1 − ½ I(ν/(ν + t²); ν/2, ½).
  private static func cdf(_ t: Double, _ degrees: Double) -> Double {
    1 - incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2
  }

  /// The regularised incomplete beta function, turned to where its continued fraction converges fast.
  private static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
    guard x > 0, x < 1 else { return x <= 0 ? 0 : 1 }
    return x < (a + 1) / (a + b + 2) ? fraction(x, a, b) : 1 - fraction(1 - x, b, a)
  }

  /// Its continued fraction by Lentz's method.
  private static func fraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    // In parts with their types told, which the compiler would take seconds to find.
    let gammas: Double = lgamma(a + b) - lgamma(a) - lgamma(b)
    let front: Double = exp(gammas + a * log(x) + b * log1p(-x)) / a
    var (c, d) = (1.0, 1 / (1 - (a + b) * x / (a + 1)))
    var result = d
    for step in 1..<500 {
      let m = Double(step)
      let reach: Double = a + 2 * m
      let even: Double = m * (b - m) * x / ((reach - 1) * reach)
      let odd: Double = -(a + m) * (a + b + m) * x / (reach * (reach + 1))
      var change = 1.0
      for term in [even, odd] {
        d = 1 / (1 + term * d)
        c = 1 + term / c
        change = c * d
        result *= change
      }
      if abs(change - 1) < 1e-15 { break }
    }
    return front * result
  }
}
