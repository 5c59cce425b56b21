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
  /// Several times as fast on processors with AMX, twice on some with AVX-512 BF16; others gain nothing.
  case bf16

  /// How products of bfloat16 are made on this machine.
  public enum BFloat16Path: String, Sendable, CaseIterable {
    /// Rounded, and by the kernels of 32-bit floats.
    case float32
    /// By the instruction of AVX-512 BF16 for pairs of numbers, with the bytes of `float32`.
    case pairs
    /// By AMX tiles, with bytes of their own: sums are added up in another order.
    case amx
  }

  /// The path that is taken here. The first call finds out which is fastest.
  public static var bfloat16Path: BFloat16Path {
    BFloat16Path(rawValue: String(cString: ck_bf16_path_name(ck_bf16_path()))) ?? .float32
  }
}
