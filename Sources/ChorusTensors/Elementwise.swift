import CChorusKernels

/// Functions of every element of a row.
public enum Elementwise {
  /// ELU(x) + 1: x + 1 above zero, eˣ below; `out` may be `x`.
  public static func positiveELU(
    _ count: Int, _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) { ck_positive_elu(count, x, out) }
}
