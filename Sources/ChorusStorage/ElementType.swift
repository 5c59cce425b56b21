/// The element types that this package reads and writes, with their names in safetensors files.
public enum ElementType: String, Sendable, CaseIterable {
  case f64 = "F64"
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case i64 = "I64"
  case i32 = "I32"
  case u8 = "U8"

  /// Bytes of one element.
  public var width: Int {
    switch self {
    case .f64, .i64: 8
    case .f32, .i32: 4
    case .f16, .bf16: 2
    case .u8: 1
    }
  }
}

/// One row of a file's tensor table.
public struct TensorEntry: Equatable, Sendable {
  public let name: String
  public let type: ElementType
  public let shape: [Int]
  /// Where the elements lie, counted from the start of the data section.
  public let range: Range<Int>

  /// Number of elements; the reader has checked that the product does not overflow.
  public var count: Int { range.count / type.width }

  /// The product of `shape`, or nil when a size is negative or the product leaves `Int`.
  static func count(of shape: [Int]) -> Int? {
    var product = 1
    for size in shape {
      guard size >= 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      if overflow { return nil }
      product = next
    }
    return product
  }
}
