import ArgumentParser
import ChorusQuestions
import ChorusTables

/// Where to predict, if not at the rows without a target.
struct PointOptions: ParsableArguments {
  // A grid may begin with a minus.
  @Option(
    parsing: .unconditional, help: ArgumentHelp("Points to predict at.", valueName: "first..last/step"))
  var at: String?

  @Option(
    help: ArgumentHelp(
      "A file with the points to predict at, in columns named as the inputs.", valueName: "file"))
  var atFile: String?

  @Option(
    help: ArgumentHelp(
      "Predict that many steps after the last row that has a value; the spacing of the rows is found.",
      valueName: "steps"))
  var horizon: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The step of --horizon in place of the one found: 1M, 1q, 1w, 1D, 1B (business day), 30min, or a number.",
      valueName: "step"))
  var every: String?

  var isEmpty: Bool { at == nil && atFile == nil && horizon == nil }

  func validate() throws { try validating { _ = try asked(ReadingOptions?.none) } }

  /// Standard input is read once.
  func check(file: String?) throws {
    if atFile == "-", file == "-" {
      throw ValidationError("FILE and --at-file are both standard input; name one of them as a file")
    }
  }

  /// - Parameter reading: how the file of points is read.
  func asked(_ reading: ReadingOptions?) throws -> AskedPoints {
    try AskedPoints(
      at: at, rows: atFile.map { reading?.rows($0) ?? RowsSource(path: $0) }, horizon: horizon, every: every)
  }
}

/// Refuses a command line with the words for what was asked in a way that has no meaning.
func validating(_ body: () throws -> Void) throws {
  do { try body() } catch let error as QuestionError { throw ValidationError(error.description) }
}
