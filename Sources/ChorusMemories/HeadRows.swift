import CChorusKernels
import ChorusTensors

extension VisibleRows {
  /// Whether a row of the read sees a slot below its limit.
  func sees(_ slot: Int, from row: Int) -> Bool {
    guard let masks, maskStarts[row] >= 0 else { return true }
    return masks[Int(maskStarts[row]) + slot / 64] >> UInt64(slot % 64) & 1 == 1
  }

  /// How many slots a row of the read sees.
  func slotsRead(by row: Int) -> Int {
    let limit = Int(limits[row])
    guard let masks, maskStarts[row] >= 0 else { return limit }
    let words = masks + Int(maskStarts[row])
    // Bits behind the limit may be anything.
    let last = limit % 64 == 0 ? 0 : (words[limit / 64] & (1 << UInt64(limit % 64) - 1)).nonzeroBitCount
    return (0..<limit / 64).reduce(last) { $0 + words[$1].nonzeroBitCount }
  }
}

/// Matrices of heads, one behind the other, plain and as the kernels take them.
enum PackedHeads {
  static func pack(_ plain: [Float], _ heads: Int, _ rows: Int, _ columns: Int, into packed: FloatBuffer) {
    let size = ck_packed_count(Int32(rows), Int32(columns))
    plain.withUnsafeBufferPointer { plain in
      guard let plain = plain.baseAddress else { return }
      for head in 0..<heads {
        ck_pack(
          Int32(rows), Int32(columns), plain + head * rows * columns, Int32(columns), 0,
          packed.pointer + head * size)
      }
    }
  }

  /// Panels of 16 columns, rows of a panel beside each other (`ck_packed_count`).
  static func plain(_ packed: FloatBuffer, _ heads: Int, _ rows: Int, _ columns: Int) -> [Float] {
    let size = ck_packed_count(Int32(rows), Int32(columns))
    return (0..<heads * rows * columns).map { place in
      let (head, row, column) = (place / (rows * columns), place / columns % rows, place % columns)
      return packed.pointer[head * size + (column / 16 * rows + row) * 16 + column % 16]
    }
  }
}
