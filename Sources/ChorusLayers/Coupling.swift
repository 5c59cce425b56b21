import ChorusTensors
import Foundation

/// The maximal coupling of a drafted value with the law it should have had (Leviathan et al. 2023, Alg. 1, also for
/// densities): the result is distributed as `exact` whatever the draft's law was.
package struct Coupling<Law: Predictive> {
  package let exact: Law
  package let draft: Law

  package init(exact: Law, draft: Law) { (self.exact, self.draft) = (exact, draft) }

  /// Whether a value drawn from `draft` may stay: with probability min(1, p(y)/q(y)).
  package func accepts(_ value: Value, uniform: Double) -> Bool {
    log(uniform) < exact.logDensity(value) - draft.logDensity(value)
  }

  /// What a refused value is replaced by.
  package func residual(from stream: inout RandomStream) -> Value {
    exact.residual(beyond: draft, from: &stream)
  }
}
