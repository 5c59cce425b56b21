import ChorusData
import ChorusInference
import ChorusTables

/// A series that was encoded before, with what its rows were.
package struct KeptSeries: Sendable {
  package let posterior: Posterior
  package let card: ContextCard
  package let observations: Observations

  /// - Parameter file: what errors call the rows.
  package init(_ posterior: Posterior, _ card: ContextCard, file: String, group: String? = nil) throws {
    let columns = posterior.inputColumns + [posterior.outputColumn]
    let observed = try posterior.observed
    let selection = Selection(
      inputs: posterior.inputColumns.map(\.name), target: posterior.outputColumn.name,
      kinds: Array(card.kinds.dropLast()), targetKind: card.kinds[card.kinds.count - 1], observed: observed.x,
      targets: observed.y)
    let units = Dictionary(
      columns.filter { !$0.unit.isEmpty }.map { ($0.name, $0.unit) }, uniquingKeysWith: { first, _ in first })
    self.posterior = posterior
    self.card = card
    observations = try Observations(file: file, selection: selection, group: group, units: units)
  }

  /// The question of some points to it. There are none where a file of points names other series only.
  package func question(_ given: GivenPoints?) throws -> Question {
    try Question(observations, given: given, saved: posterior)
  }

  package func question(_ points: AskedPoints) throws -> Question {
    try question(points.given(for: observations.selection, file: observations.file, saved: card))
  }
}
