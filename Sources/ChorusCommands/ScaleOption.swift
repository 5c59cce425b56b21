import ArgumentParser
import ChorusData

extension ValueScale.Choice: ExpressibleByArgument {}

/// What values are seen as, and where they lie.
struct ScaleOption: ParsableArguments {
  @Option(
    name: .customLong("scale"),
    help: ArgumentHelp(
      """
      See values as they are (raw), as their logarithm (log; above 0) or as their square root (root; from 0 on), which \
      keeps what is predicted there too: for seasons or errors that grow with the level. auto takes what explains the \
      rows best, where the model can tell. (default: auto)
      """, valueName: "auto|raw|log|root"))
  var given: ValueScale.Choice?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The least that a value can be: nothing below is predicted.", valueName: "value"))
  var min: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The largest that a value can be: nothing above is predicted.", valueName: "value"))
  var max: Double?

  @Flag(
    name: .customLong("integer"),
    help: """
      Values are whole numbers, as counts are: draws are whole, and densities are probabilities. Together with --min 0 \
      and the scale that suits.
      """)
  var isWhole = false

  var choice: ValueScale.Choice { given ?? .automatic }

  var limits: ClosedRange<Double>? {
    min == nil && max == nil ? nil : (min ?? -.infinity)...(max ?? .infinity)
  }

  func validate() throws {
    for (name, value) in [("--min", min), ("--max", max)] {
      if let value, !value.isFinite { throw ValidationError("\(name) must be a finite number") }
    }
    if let min, let max, min >= max { throw ValidationError("--min must be below --max") }
  }

  /// The first option that was given.
  var named: String? {
    given != nil ? "--scale" : min != nil ? "--min" : max != nil ? "--max" : isWhole ? "--integer" : nil
  }
}
