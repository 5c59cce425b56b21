import CChorusKernels

/// What the numbers of matrix products are rounded to; sums and everything else are 32-bit floats.
///
/// ```swift
/// let model = try Model(named: "functions", precision: .bf16)
/// ```
public enum Precision: String, Codable, Sendable, CaseIterable {
  /// 32-bit floats.
  case f32
  /// bfloat16, 8 bits of significand: the weights and rows of maps, and the keys and values of softmax attention over a context.
  /// Twice as fast on machines with instructions for it, and the same bytes as there on others, which gain nothing.
  case bf16

  /// Whether the kernels in use have instructions for bfloat16.
  public static var hasBFloat16: Bool { ck_bf16_native() != 0 }
}
