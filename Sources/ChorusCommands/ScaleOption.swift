import ArgumentParser
import ChorusData

extension ValueScale.Choice: ExpressibleByArgument {}

/// What values are seen as.
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

  var choice: ValueScale.Choice { given ?? .automatic }
}
