import ChorusData
import ChorusInference
import ChorusTables

/// A series that was encoded before, with what its rows were.
package struct KeptSeries: Sendable {
  package let posterior: Posterior
  package let card: ContextCard
  package let observations: Observations
  /// The rows to the bit; nil where they were not kept.
  package let sent: SentRows?

  /// - Parameter file: what errors call the rows.
  package init(
    _ posterior: Posterior, _ card: ContextCard, file: String, group: String? = nil, sent: SentRows? = nil
  ) throws {
    let columns = posterior.inputColumns + [posterior.outputColumn]
    let observed = try posterior.observed
    let selection = Selection(
      inputs: posterior.inputColumns.map(\.name), target: posterior.outputColumn.name,
      kinds: Array(card.kinds.dropLast()), targetKind: card.kinds[card.kinds.count - 1], observed: observed.x,
      targets: observed.y, errors: observed.errors)
    let units = Dictionary(
      columns.filter { !$0.unit.isEmpty }.map { ($0.name, $0.unit) }, uniquingKeysWith: { first, _ in first })
    self.posterior = posterior
    self.card = card
    self.sent = sent
    observations = try Observations(file: file, selection: selection, group: group, units: units)
  }

  /// The rows that stay where some are forgotten, as they were sent; nil where those were not kept.
  package func remaining(without gone: Set<Int>) throws -> (observations: Observations, sent: SentRows)? {
    guard let sent = sent?.without(gone) else { return nil }
    let selection = observations.selection
    let units = (posterior.inputColumns + [posterior.outputColumn]).map { ($0.name, $0.unit) }
    let rest = Selection(
      inputs: selection.inputs, target: selection.target, kinds: selection.kinds,
      targetKind: selection.targetKind, observed: sent.inputs, targets: sent.targets,
      errors: sent.errors)
    let kept = try Observations(
      file: observations.file, selection: rest, group: observations.group,
      units: Dictionary(units.filter { !$0.1.isEmpty }, uniquingKeysWith: { first, _ in first }))
    return (kept, sent)
  }

  /// The question of some points to it. There are none where a file of points names other series only.
  package func question(_ given: GivenPoints?) throws -> Question {
    try Question(observations, given: given, saved: posterior)
  }

  package func question(_ points: AskedPoints) throws -> Question {
    try question(points.given(for: observations.selection, file: observations.file, saved: card))
  }
}
