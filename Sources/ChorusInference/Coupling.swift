import ChorusTensors
import Foundation

/// The maximal coupling of a drafted value with the distribution it should have had (Leviathan et al. 2023, Alg. 1,
/// for densities): the result is distributed as `exact` whatever the draft's distribution was.
struct Coupling {
  let exact: GaussianMixture
  let draft: GaussianMixture

  /// Whether a value drawn from `draft` may stay: with probability min(1, p(y)/q(y)).
  func accepts(_ y: Double, uniform: Double) -> Bool {
    log(uniform) < exact.logDensity(y) - draft.logDensity(y)
  }

  /// How many proposals are made before the last one is taken. A refusal with probability r needs 1/r proposals on
  /// average, so stopping at n moves the law by at most max r·(1-r)^n < 1/(e·n) = 4e-7 in total variation.
  static let proposals = 1_000_000

  /// A draw from the residual (p - q)₊ / ∫(p - q)₊ for a refused value: proposals from p, kept with probability
  /// 1 - q/p. Both densities are in closed form, so no network is asked.
  func residual(from stream: inout RandomStream) -> Double {
    var y = 0.0
    for _ in 0..<Self.proposals {
      let uniform = stream.uniform()
      y = exact.draw(component: uniform, normal: stream.normal())
      if stream.uniform() >= exp(draft.logDensity(y) - exact.logDensity(y)) { break }
    }
    return y
  }
}
