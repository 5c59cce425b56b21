import ChorusTensors

/// The columns of a stored row: the keys of all key heads side by side, then their values, then one block a gate.
public struct StoredLayout: Sendable, Hashable {
  /// Numbers that a memory asks the layer's map for beside keys and values, such as a row's weight or how much it forgets.
  public struct Gate: Sendable, Hashable {
    public let name: String
    /// Columns of a key head.
    public let width: Int
    public init(_ name: String, width: Int = 1) {
      self.name = name
      self.width = width
    }
  }

  /// Heads that have keys and values of their own.
  public let keyHeads: Int
  /// Columns of a head's key, and of its value.
  public let keyWidth: Int
  public let valueWidth: Int
  public let gates: [Gate]
  /// Columns of a row.
  public let columns: Int
  /// Where each gate's columns begin, those of all key heads.
  private let firsts: [Int]

  public init(keyHeads: Int, keyWidth: Int, valueWidth: Int, gates: [Gate] = []) {
    self.keyHeads = keyHeads
    self.keyWidth = keyWidth
    self.valueWidth = valueWidth
    self.gates = gates
    var (firsts, next) = ([Int](), keyHeads * (keyWidth + valueWidth))
    for gate in gates {
      firsts.append(next)
      next += keyHeads * gate.width
    }
    (self.firsts, columns) = (firsts, next)
  }

  /// Keys and values of the key heads, each as wide as a query.
  public init(_ sizes: AttentionSizes, gates: [Gate] = []) {
    self.init(keyHeads: sizes.keyHeads, keyWidth: sizes.width, valueWidth: sizes.width, gates: gates)
  }

  /// Where a head's key, its value, and its columns of a gate are.
  public func key(_ head: Int) -> Range<Int> { range(0, keyWidth, head) }
  public func value(_ head: Int) -> Range<Int> { range(keyHeads * keyWidth, valueWidth, head) }
  public func gate(_ index: Int, _ head: Int) -> Range<Int> {
    range(firsts[index], gates[index].width, head)
  }

  private func range(_ first: Int, _ width: Int, _ head: Int) -> Range<Int> {
    first + head * width..<first + (head + 1) * width
  }
}

/// One head of a stored row.
struct StoredRow {
  let key: UnsafePointer<Float>
  let value: UnsafePointer<Float>
  private let row: UnsafePointer<Float>
  private let layout: StoredLayout
  private let head: Int

  init(_ row: UnsafePointer<Float>, _ head: Int, _ layout: StoredLayout) {
    key = row + layout.key(head).lowerBound
    value = row + layout.value(head).lowerBound
    (self.row, self.layout, self.head) = (row, layout, head)
  }

  /// The columns of a gate.
  func gate(_ index: Int) -> UnsafePointer<Float> { row + layout.gate(index, head).lowerBound }
}

/// Rows as they were stored: what is held while a context is written, or for good.
final class StoredRows: Sendable {
  let count: Int
  let columns: Int
  let values: FloatBuffer

  init(count: Int, columns: Int) {
    self.count = count
    self.columns = columns
    values = FloatBuffer(count: count * columns)
  }

  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>) {
    (values.pointer + range.lowerBound * columns).update(from: stored, count: range.count * columns)
  }

  func row(_ index: Int) -> UnsafePointer<Float> { UnsafePointer(values.pointer + index * columns) }
}
