import ArgumentParser
import ChorusQuestions

/// Whether a file has a column for each of several series.
struct WideOption: ParsableArguments {
  @Flag(
    name: .customLong("wide"),
    help:
      "Every column of numbers, or of --target, is a series of its own. Found for three and more whose names differ in a number, as shop_1."
  )
  var isTold = false

  var file: WideFile { isTold ? .told : .found }
}
