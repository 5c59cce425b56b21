import ArgumentParser
import ChorusTensors

/// What matrix products are rounded to.
struct PrecisionOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "f32, or bf16: products with 8 bits of significand, which is faster on some processors (chorus info --machine says how much on this one). Answers are other bytes than in f32, and on processors with AMX other ones than elsewhere (docs/performance.md).",
      valueName: "f32|bf16"))
  var precision = Precision.f32

  /// Says so where bf16 is asked for and gains nothing.
  func warn(_ speaking: some Speaking) {
    if let words = Self.warning(precision) { speaking.say(words) }
  }

  /// - Parameter path: how bf16 is computed; not asked for in f32.
  static func warning(
    _ precision: Precision, path: @autoclosure () -> Precision.BFloat16Path = Precision.bfloat16Path
  ) -> String? {
    guard precision == .bf16, path() == .float32 else { return nil }
    return
      "note: this processor has no instructions that make bf16 faster; it is no faster than f32 here, and rounds all the same"
  }
}

extension Precision: ExpressibleByArgument {}
