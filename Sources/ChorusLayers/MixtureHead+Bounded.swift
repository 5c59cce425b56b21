import ChorusTensors
import Foundation

extension MixtureHead.Answer {
  /// `drawn` where some tail may reach out of `range`: value and mean of `law`, bit for bit, without making the law.
  ///
  /// Most of the components lie far inside, where a bound takes nothing from them and moves no digit of their mean. So
  /// error functions, exponentials and deviations are for the few others.
  func drawnInside(
    _ range: ClosedRange<Double>, from stream: inout RandomStream
  ) -> (value: Value, mean: Double) {
    withUnsafeTemporaryAllocation(of: Double.self, capacity: components) { weights in
      var top = -Double.infinity
      for c in 0..<components { top = max(top, Double(raw[c])) }
      var sum = 0.0
      for c in 0..<components { sum += exp(Double(raw[c]) - top) }
      let normaliser = top + log(sum)
      for c in 0..<components { weights[c] = exp(Double(raw[c]) - normaliser) }
      let bounds = GaussianMixture.Moments(within: range)
      // Of the whole law, the part that lies inside, and the first moment of that part.
      var (whole, inside, first, isWhole) = (0.0, 0.0, 0.0, true)
      for c in 0..<components {
        let own = own(c)
        let mean = own.raw(Double(raw[components + c]))
        whole += weights[c] * mean
        // softplus(s) ≤ max(s, 0) + log 2, which takes no exponential.
        let most = own.scale * (max(Double(raw[2 * components + c]), 0) + 0.7 + Double(floor))
        if bounds.isUntouched(mean, most) {
          inside += weights[c]
          first += weights[c] * (mean - bounds.middle)
          continue
        }
        let deviation = own.scale * deviation(c)
        isWhole = isWhole && GaussianMixture.isInside(mean, deviation, range)
        let part = bounds.part(mean, deviation)
        inside += weights[c] * part
        first += weights[c] * bounds.first(mean, deviation, inside: part)
      }
      isWhole = isWhole || !(inside >= GaussianMixture.least)
      var remaining = stream.uniform()
      let normal = stream.normal()
      var chosen = components - 1
      for c in 0..<components {
        remaining -= weights[c]
        if remaining < 0 {
          chosen = c
          break
        }
      }
      let own = own(chosen)
      let y = own.raw(Double(raw[components + chosen])) + own.scale * deviation(chosen) * normal
      if isWhole { return (.number(y), whole) }
      let value = range.contains(y) ? y : law.quantile(stream.uniform())
      return (.number(value), bounds.mean(first, inside: inside))
    }
  }
}
