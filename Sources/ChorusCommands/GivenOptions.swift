import ArgumentParser
import ChorusQuestions

/// What is known of values that the file does not have: `--given`.
struct GivenOptions: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      """
      Something known, as often as wanted: a value (2026-03-01=120), a bound of one (2026-06-01>100), or of a number made of all \
      points asked for (sum>1000; \(KnownStatement.numbers.joined(separator: ", "))).
      """, valueName: "point=value|point>value|sum>value"))
  var given: [String] = []

  func validate() throws { try validating { _ = try statements } }

  var statements: [KnownStatement] { get throws { try given.map(KnownStatement.init) } }
}
