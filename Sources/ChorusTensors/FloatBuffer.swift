/// A fixed block of `Float`s on the heap, aligned to a cache line and freed with its last reference.
///
/// The class is the only owner of its memory. It is `Sendable` by convention rather than by proof: whoever
/// shares a buffer between threads either stops writing to it first or writes disjoint ranges.
public final class FloatBuffer: @unchecked Sendable {
  public let count: Int
  public let pointer: UnsafeMutablePointer<Float>

  /// Allocates `count` zeros.
  public init(count: Int) {
    self.count = max(count, 0)
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
    pointer = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    pointer.initialize(repeating: 0, count: max(count, 1))
  }

  /// Allocates `count` floats that hold anything until they are written.
  public init(uninitialised count: Int) {
    self.count = max(count, 0)
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
    pointer = raw.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  public convenience init(_ values: [Float]) {
    self.init(count: values.count)
    values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { pointer.update(from: base, count: source.count) }
    }
  }

  deinit { pointer.deallocate() }

  public func fill(_ value: Float) { pointer.update(repeating: value, count: count) }

  public var array: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

  public func copy(from other: FloatBuffer) {
    pointer.update(from: other.pointer, count: min(count, other.count))
  }
}

/// A stack of scratch memory that is filled by bumping a pointer and emptied all at once.
///
/// Blocks are kept between uses, so that after the first round nothing is allocated. Not `Sendable`: one arena
/// belongs to one thread at a time.
public final class Arena {
  private var blocks: [FloatBuffer] = []
  private var block = 0
  private var used = 0
  private let blockCount: Int

  /// - Parameter blockCount: floats a block; a larger request gets a block of its own.
  public init(blockCount: Int = 1 << 20) { self.blockCount = blockCount }

  /// Uninitialised memory for `count` floats, valid until the next `reset` or a `rewind` before it.
  public func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
    let rounded = (count + 15) & ~15
    while block < blocks.count {
      if used + rounded <= blocks[block].count {
        defer { used += rounded }
        return blocks[block].pointer + used
      }
      block += 1
      used = 0
    }
    blocks.append(FloatBuffer(count: max(rounded, blockCount)))
    used = rounded
    return blocks[block].pointer
  }

  public func zeros(_ count: Int) -> UnsafeMutablePointer<Float> {
    let pointer = floats(count)
    pointer.update(repeating: 0, count: count)
    return pointer
  }

  /// Uninitialised memory for Doubles.
  public func doubles(_ count: Int) -> UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(floats(2 * count)).bindMemory(to: Double.self, capacity: max(count, 1))
  }

  /// Uninitialised memory for 32-bit integers.
  public func integers(count: Int) -> UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(floats(count)).bindMemory(to: Int32.self, capacity: max(count, 1))
  }

  /// A copy of `values`.
  public func integers(_ values: [Int32]) -> UnsafeMutablePointer<Int32> {
    let pointer = integers(count: values.count)
    values.withUnsafeBufferPointer { values in
      if let base = values.baseAddress { pointer.update(from: base, count: values.count) }
    }
    return pointer
  }

  /// A copy of `values`.
  public func words(_ values: [UInt64]) -> UnsafeMutablePointer<UInt64> {
    let pointer = UnsafeMutableRawPointer(floats(2 * values.count))
      .bindMemory(to: UInt64.self, capacity: max(values.count, 1))
    values.withUnsafeBufferPointer { values in
      if let base = values.baseAddress { pointer.update(from: base, count: values.count) }
    }
    return pointer
  }

  public struct Mark { fileprivate let block: Int, used: Int }
  public var mark: Mark { Mark(block: block, used: used) }
  /// Gives back everything handed out since `mark`.
  public func rewind(to mark: Mark) {
    block = mark.block
    used = mark.used
  }
  public func reset() {
    block = 0
    used = 0
  }
  /// Bytes held, used or not.
  public var bytes: Int { blocks.reduce(0) { $0 + $1.count * 4 } }
}
