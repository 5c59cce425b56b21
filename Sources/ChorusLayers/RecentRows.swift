import ChorusMemories
import ChorusTensors

/// The newest rows of some paths as they were before a short convolution, so that the next ones can take them in.
///
/// A row is found by its slot. Rows that were taken back are written over, as far as `reach` rows before the newest.
public final class RecentRows {
  private let values: FloatBuffer
  private let columns: Int
  /// Rows that a path keeps, in a ring.
  private let kept: Int

  /// - Parameters:
  ///   - columns: that are convolved.
  ///   - capacity: the most rows that a path has.
  ///   - reach: how many rows may be taken back; nil for all.
  ///   - taps: rows that a row takes in, itself included.
  init(paths: Int, columns: Int, capacity: Int, reach: Int?, taps: Int) {
    kept = max(1, min(capacity, (reach ?? capacity) + taps))
    self.columns = columns
    values = FloatBuffer(count: paths * kept * columns)
  }

  static func bytes(columns: Int, capacity: Int, reach: Int?, taps: Int) -> Int {
    4 * columns * max(1, min(capacity, (reach ?? capacity) + taps))
  }

  private func row(_ path: Int, _ slot: Int) -> UnsafeMutablePointer<Float> {
    values.pointer + (path * kept + slot % kept) * columns
  }

  /// Takes rows in, in their order, and puts in the place of their first columns what the convolution makes of them.
  func convolve(
    _ rows: UnsafeMutablePointer<Float>, stride: Int, _ committed: CommittedRows, taps: Parameter,
    _ weights: Weights
  ) {
    for index in 0..<committed.count {
      let (path, slot, own) = (
        Int(committed.paths[index]), Int(committed.slots[index]), rows + index * stride
      )
      row(path, slot).update(from: own, count: columns)
      ShortConvolution.apply(
        columns, taps: weights[taps], newest: min(taps.rows, slot + 1), into: own
      ) { UnsafePointer(row(path, slot - $0)) }
    }
  }
}
