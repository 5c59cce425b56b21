import ArgumentParser

/// Known errors of rows: `--error`.
struct ErrorOption: ParsableArguments {
  @Option(
    name: .customLong("error"),
    help: ArgumentHelp(
      """
      A column with the known error of each row's target: its standard deviation, in the target's unit, 0 for none. What is \
      predicted is what would be measured without it. Of a series along one input, or a table with one target of numbers.
      """, valueName: "col"))
  var column: String?
}
