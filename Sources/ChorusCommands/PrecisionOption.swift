import ArgumentParser
import ChorusTensors

/// What matrix products are rounded to.
struct PrecisionOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "f32, or bf16: products with 8 bits of significand, on processors with instructions for them (chorus info --machine) up to twice as fast. Answers are other bytes, the same on every machine of the same instruction set (docs/performance.md).",
      valueName: "f32|bf16"))
  var precision = Precision.f32

  /// Says so where bf16 is asked for and gains nothing.
  func warn(_ speaking: some Speaking) {
    if let words = Self.warning(precision) { speaking.say(words) }
  }

  static func warning(_ precision: Precision, hasInstructions: Bool = Precision.hasBFloat16) -> String? {
    guard precision == .bf16, !hasInstructions else { return nil }
    return
      "note: this processor has no instructions for bf16; it is no faster than f32 here, and rounds all the same"
  }
}

extension Precision: ExpressibleByArgument {}
