import ChorusInference
import ChorusQuestions
import ChorusTables

/// The tables that answers are written as, one after another as they come: of quantiles or of functionals to stdout, of the paths
/// themselves to a file. A class, because it owns open files.
final class PredictionTable {
  private let table: AnswerTable
  private let output: RowWriter
  private let paths: RowWriter?
  /// Columns that go by another name, in words.
  var renamed: [String] { table.renamed }
  /// That nobody reads stdout any more, where there is a file to be finished before that ends the command.
  private var unread: TableError?

  /// Opens what is written to.
  ///
  /// - Parameters:
  ///   - format: of stdout.
  ///   - path: of the file of paths.
  /// - Throws: where a functional can not be worked out, or the file not be made.
  init(
    asking: Asking, levels: [Double], functionals: [Functional], digits: Digits, format: TableFormat,
    paths path: String?
  ) throws {
    table = try AnswerTable(
      of: asking.questions[0].observations, groupColumn: asking.groupColumn, targets: asking.targets,
      levels: levels, functionals: functionals, digits: digits)
    try table.check(asking.questions)
    output = try RowWriter(columns: table.columns, format: format, to: .standardOutput)
    paths = try path.map { [table] in
      try RowWriter(
        columns: table.pathColumns, format: TableFormat(path: $0) ?? .csv, to: .file($0))
    }
  }

  /// Writes an answer's rows. Files first: whoever reads stdout may stop early, which ends the command.
  func write(_ answer: Answer) throws {
    if let paths {
      try table.forEachPathRow(answer) { cells throws(TableError) in try paths.write(cells) }
    }
    try whileRead { for row in table.rows(answer) { try output.write(row) } }
  }

  /// Puts the file in its place and writes what is left.
  func finish() throws {
    try paths?.finish()
    try whileRead { try output.finish() }
    if let unread { throw unread }
  }

  private func whileRead(_ body: () throws -> Void) throws {
    guard unread == nil else { return }
    do { try body() } catch let error as TableError where error.reason == .unread && paths != nil {
      unread = error
    }
  }
}
