import ChorusMemories
import ChorusTensors

/// Where the rows of one call lie and what they read, as the kernels take it, in the call's arena.
struct Places {
  struct Indices {
    let pointer: UnsafePointer<Int32>
    let count: Int
    var contiguous: Bool { Int(pointer[count - 1] - pointer[0]) == count - 1 }
  }

  /// The rows that are committed and those that are asked for.
  let commits: Indices
  let asked: Indices
  let committed: CommittedRows
  /// What all rows read, and what those asked for read.
  let rows: VisibleRows
  let askedRows: VisibleRows

  init(_ batch: RowBatch, _ arena: Arena) {
    let masks = batch.masks.isEmpty ? nil : UnsafePointer(arena.words(batch.masks))
    rows = VisibleRows(
      count: batch.count, paths: arena.integers(batch.path), limits: arena.integers(batch.limits),
      maskStarts: arena.integers(batch.maskStarts), masks: masks)
    func places(_ count: Int) -> UnsafeMutablePointer<Int32> { arena.integers(count: count) }
    let (commitRows, commitPaths, commitSlots) = (
      places(batch.commits), places(batch.commits), places(batch.commits)
    )
    let (askedRows, askedPaths) = (places(batch.queries), places(batch.queries))
    let (limits, maskStarts) = (places(batch.queries), places(batch.queries))
    var (commit, asked) = (0, 0)
    for row in 0..<batch.count {
      if batch.slots[row] >= 0 {
        commitRows[commit] = Int32(row)
        commitPaths[commit] = batch.path[row]
        commitSlots[commit] = batch.slots[row]
        commit += 1
      } else {
        askedRows[asked] = Int32(row)
        askedPaths[asked] = batch.path[row]
        limits[asked] = batch.limits[row]
        maskStarts[asked] = batch.maskStarts[row]
        asked += 1
      }
    }
    commits = Indices(pointer: commitRows, count: commit)
    self.asked = Indices(pointer: askedRows, count: asked)
    committed = CommittedRows(count: commit, paths: commitPaths, slots: commitSlots)
    self.askedRows = VisibleRows(
      count: asked, paths: askedPaths, limits: limits, maskStarts: maskStarts, masks: masks)
  }

  /// Rows of sequences: all are committed, all are asked for, and each reads its path up to and including itself.
  init(sequence paths: [Int32], slots: [Int32], _ arena: Arena) {
    let count = paths.count
    let all = arena.integers((0..<Int32(count)).map { $0 })
    let (path, slot) = (arena.integers(paths), arena.integers(slots))
    rows = VisibleRows(
      count: count, paths: path, limits: arena.integers(slots.map { $0 + 1 }),
      maskStarts: arena.integers([Int32](repeating: -1, count: count)), masks: nil)
    askedRows = rows
    commits = Indices(pointer: UnsafePointer(all), count: count)
    asked = commits
    committed = CommittedRows(count: count, paths: path, slots: slot)
  }
}
