/// Conversions between `Float` and the 16-bit formats, by their bits: `Float16` is absent on x86 macOS.
public enum HalfPrecision {
  /// The largest finite value of IEEE 754 binary16.
  public static let largest: Float = 65504

  /// The `Float` with the value of a binary16 bit pattern; exact for every pattern, NaN payloads kept.
  public static func float(fromBinary16 half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10) & 0x1F
    let fraction = UInt32(half & 0x3FF)
    switch exponent {
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return Float(bitPattern: sign | magnitude.bitPattern)
    case 0x1F:
      return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default:
      return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }

  /// The `Float` with the value of a bfloat16 bit pattern; exact.
  public static func float(fromBFloat16 brain: UInt16) -> Float {
    Float(bitPattern: UInt32(brain) << 16)
  }

  /// The nearest binary16 bit pattern, ties to even. Values that round past 65504 become infinity; a NaN stays
  /// a (quiet) NaN.
  public static func binary16(from value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 {
      return sign | 0x7E00 | UInt16(truncatingIfNeeded: magnitude >> 13) & 0x3FF
    }
    if magnitude >= 0x477F_F000 { return sign | 0x7C00 }  // 65520 and above, infinity included
    if magnitude >= 0x3880_0000 {  // normal in binary16: 2⁻¹⁴ and above
      let rebased = magnitude - 112 << 23
      let rounded = rebased + 0xFFF + (rebased >> 13 & 1)
      return sign | UInt16(truncatingIfNeeded: rounded >> 13)
    }
    if magnitude <= 0x3300_0000 { return sign }  // 2⁻²⁵ and below; the tie goes to zero, the even one
    let shift = 126 - magnitude >> 23
    let fraction = magnitude & 0x7F_FFFF | 0x80_0000
    let kept = fraction >> shift
    let rest = fraction & ((1 << shift) - 1)
    let half: UInt32 = 1 << (shift - 1)
    let up: UInt32 = rest > half || (rest == half && kept & 1 == 1) ? 1 : 0
    return sign | UInt16(truncatingIfNeeded: kept + up)
  }
}
