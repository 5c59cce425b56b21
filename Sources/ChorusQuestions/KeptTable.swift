import ChorusInference
import ChorusModels
import Synchronization

/// A table that was read, with what its columns say of each other once that was worked out.
package final class KeptTable: Sendable {
  package let saved: SavedTable
  package let model: Model
  /// The rows, of which none is asked for.
  package let job: TableJob
  package let steps: [TableChain.Step]
  /// The numbers of the rows; nil where they were not kept.
  package let sent: SentRows?
  private let fit = Mutex<TableChain?>(nil)

  /// - Throws: where there are too few values to learn from, or the model is not the one that the table was kept for.
  package init(_ saved: SavedTable, _ model: Model, sent: SentRows?) throws {
    try saved.check(model)
    (self.saved, self.model, self.sent) = (saved, model, sent)
    job = try saved.job
    steps = job.steps(limits: saved.limits, whole: saved.isWhole)
    if let refusal = job.refusal(steps) { throw InferenceError.input("\(saved.path): \(refusal)") }
  }

  /// Whether ``fitted()`` has its answer already.
  package var isFitted: Bool { fit.withLock { $0 != nil } }

  /// The estimators and the network, fitted to the rows: the first time it is asked, for there are no files of them.
  package func fitted() throws -> TableChain {
    if let fit = fit.withLock({ $0 }) { return fit }
    // Two that come at once may both work it out: it is the same.
    let made = try TableChain(model, job.cells, steps: steps, rows: [])
    fit.withLock { $0 = made }
    return made
  }

  /// What was learned of the rows, for further ones that have values as well: nothing is learned of these.
  package func laws(beside further: TableJob) throws -> TableChain {
    let steps = further.steps(limits: saved.limits, whole: saved.isWhole)
    let fitted = try fitted()
    guard !fitted.hasRead(further.cells, steps: steps) else { return fitted }
    // Levels or parts of dates that the rows themselves do not show.
    return try TableChain(
      model, further.cells, steps: steps, rows: [], context: Set(0..<job.cells.count))
  }

  /// Bytes of the rows and of what is fitted to them, roughly.
  package var bytes: Int {
    let rows = job.cells.count
    let read = min(rows, 1_000)
    let experts = steps.reduce(0) { $0 + ($1.levels ?? 1) }
    return 32 * job.frame.columns.count * rows + experts * (40 * read * read + 3_000 * rows)
  }
}
