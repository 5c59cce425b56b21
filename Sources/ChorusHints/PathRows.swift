import ChorusTensors

/// The rows committed to some paths that advance side by side. Belongs to one thread at a time.
public final class PathRows {
  let paths: Int
  let capacity: Int
  /// `[paths, capacity, pitch]`, each row with its value after its inputs.
  private let rows: FloatBuffer
  private let pitch: Int

  /// - Parameter inputDimensions: the most inputs that a row has.
  package init(paths: Int, capacity: Int, inputDimensions: Int) {
    (self.paths, self.capacity, pitch) = (paths, capacity, inputDimensions + 1)
    rows = FloatBuffer(count: paths * capacity * pitch)
  }

  /// A row with its value, `[dimensions + 1]`.
  subscript(path: Int, slot: Int) -> UnsafePointer<Float> {
    UnsafePointer(rows.pointer + (path * capacity + slot) * pitch)
  }

  func keep(_ x: UnsafePointer<Float>, _ y: Float, path: Int, slot: Int, dimensions: Int) {
    let place = rows.pointer + (path * capacity + slot) * pitch
    place.update(from: x, count: dimensions)
    place[dimensions] = y
  }
}

/// What a row of a network call reads: the first `limit` slots of its path, or those of `mask`, but for its own.
public struct RowRead {
  let path: Int
  let input: Int
  /// -1 where it has none.
  let slot: Int
  let limit: Int
  let mask: UnsafePointer<UInt64>?

  package init(path: Int, input: Int, slot: Int, limit: Int, mask: UnsafePointer<UInt64>?) {
    (self.path, self.input, self.slot, self.limit, self.mask) = (path, input, slot, limit, mask)
  }

  /// How many slots it reads, where they are the first ones.
  var prefix: Int? {
    let count = slot >= 0 && slot == limit - 1 ? slot : limit
    return mask == nil && (slot < 0 || slot >= count) ? count : nil
  }

  /// The slots it reads but for its own, from `first` on and before `end`, in order.
  func forEachSlot(from first: Int, to end: Int = .max, _ body: (Int) -> Void) {
    let end = min(limit, end)
    guard first < end else { return }
    guard let mask else {
      for other in first..<end where other != slot { body(other) }
      return
    }
    for word in first / 64...(end - 1) / 64 {
      // Bits are taken from the lowest on: most rows read few of many slots.
      var bits = mask[word]
      if word == first / 64 { bits &= ~0 << UInt64(first % 64) }
      while bits != 0 {
        let other = word * 64 + bits.trailingZeroBitCount
        guard other < end else { return }
        bits &= bits - 1
        if other != slot { body(other) }
      }
    }
  }
}
