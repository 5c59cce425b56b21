import ChorusInference
import ChorusModels
import ChorusTables
import ChorusTensors

/// A table that was read, or one for each group of its rows, with what its columns say of each other once that was worked out.
package final class KeptTable: Sendable {
  package let saved: SavedTable
  package let model: Model
  package let steps: [TableChain.Step]
  /// The numbers of the rows; nil where they were not kept.
  package let sent: SentRows?
  /// The rows, of which none is asked for: of each group, or of all together.
  private let jobs: [(group: String?, job: TableJob)]
  /// Where each group stands.
  private let places: [String?: Int]
  private let fits: Lock<[Int: TableChain]>

  /// - Throws: where there are too few values to learn from, or the model is not the one that the table was kept for.
  package init(_ saved: SavedTable, _ model: Model, sent: SentRows?) throws {
    (self.saved, self.model, self.sent) = (saved, try saved.fitting(model), sent)
    let whole = try saved.job
    steps = whole.steps(limits: saved.limits, whole: saved.isWhole)
    jobs = try saved.jobs(of: whole)
    places = Dictionary(uniqueKeysWithValues: jobs.enumerated().map { ($1.group, $0) })
    fits = Lock([:])
    let steps = steps
    guard jobs.contains(where: { $0.job.refusal(steps) == nil }) else {
      let words = jobs.first?.job.refusal(steps) ?? "no group has a row"
      let group = jobs.first?.group.map { "no group has enough rows; group '\($0)': " } ?? ""
      throw InferenceError.input("\(saved.path): \(group)\(words)")
    }
  }

  /// The columns that tell of the targets.
  package var inputs: [String] {
    jobs.first.map { one in one.job.inputs.map { one.job.frame.columns[$0].name } } ?? []
  }
  package var groupColumn: String? { saved.groups?.column }
  /// The groups in the order of their first rows; nil without.
  package var groups: [String]? { saved.groups?.labels }
  /// Rows that are learned from: those of groups, where there are some.
  package var rowCount: Int { jobs.reduce(0) { $0 + $1.job.cells.count } }
  /// Groups with too few values to learn from.
  package var scarce: Int { jobs.count { $0.job.refusal(steps) != nil } }

  /// The rows of a group; none of one that is not there.
  package func rows(of group: String?) -> Int { places[group].map { jobs[$0].job.cells.count } ?? 0 }

  /// The arithmetic of fitting what is not fitted yet.
  ///
  /// - Parameter group: the one that is asked.
  package func flopsToFit(_ group: String?) -> Double {
    guard let place = places[group], fits.withLock({ $0[place] }) == nil,
      jobs[place].job.refusal(steps) == nil
    else { return 0 }
    return TableChain.flops(toFit: steps, rows: jobs[place].job.cells.count, by: model)
  }

  /// The arithmetic of ``fit()``.
  package var flops: Double { jobs.reduce(0) { $0 + flopsToFit($1.group) } }

  /// Fits estimators and the network to every group.
  package func fit() throws { for one in jobs { _ = try fitted(one.group) } }

  /// The estimators and the network, fitted to the rows of a group: the first time it is asked, for there are no files of them. Nil
  /// where there are too few values to learn from.
  package func fitted(_ group: String?) throws -> TableChain? {
    guard let place = places[group] else { return nil }
    if let fit = fits.withLock({ $0[place] }) { return fit }
    let job = jobs[place].job
    guard job.refusal(steps) == nil else { return nil }
    // Two that come at once may both work it out: it is the same.
    let made = try TableChain(model, job.cells, steps: steps, rows: [])
    fits.withLock { $0[place] = made }
    return made
  }

  /// What was learned of a group's rows, for further ones that have values as well: nothing is learned of these. Nil where there are
  /// too few values to learn from.
  package func laws(_ group: String?, beside further: TableJob) throws -> TableChain? {
    let steps = further.steps(limits: saved.limits, whole: saved.isWhole)
    guard let fitted = try fitted(group) else { return nil }
    guard !fitted.hasRead(further.cells, steps: steps) else { return fitted }
    // Levels or parts of dates that the rows themselves do not show.
    return try TableChain(model, further.cells, steps: steps, rows: [], context: Set(0..<rows(of: group)))
  }

  /// Bytes of the rows and of what is fitted to them, roughly.
  package var bytes: Int {
    let columns = saved.frame.columns.count
    let experts = steps.reduce(0) { $0 + ($1.levels ?? 1) }
    let fitted = jobs.reduce(0) { sum, one in
      let rows = one.job.cells.count
      let read = min(rows, 1_000)
      return sum + experts * (40 * read * read + 3_000 * rows)
    }
    // A group has its rows beside the table's.
    let own = groups == nil ? 0 : 16 * columns * saved.frame.rowCount + (1_000 + 200 * columns) * jobs.count
    return 32 * columns * saved.frame.rowCount + own + fitted
  }
}
