import ChorusMemories
import ChorusTensors

/// Where the rows of one call lie and what they read, as the kernels take it, in the call's arena.
package struct Places {
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
  /// The places of all rows in their sequences; nil where rows are a set.
  private let positions: UnsafePointer<Int32>?

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
    positions = nil
  }

  /// What the rows committed in a call read: for networks in which they go another way than those asked for.
  func visibleCommits(_ batch: RowBatch, _ arena: Arena) -> VisibleRows {
    func some(_ values: [Int32]) -> UnsafePointer<Int32> {
      let own = arena.integers(count: commits.count)
      for index in 0..<commits.count { own[index] = values[Int(commits.pointer[index])] }
      return UnsafePointer(own)
    }
    return VisibleRows(
      count: commits.count, paths: committed.paths, limits: some(batch.limits),
      maskStarts: some(batch.maskStarts), masks: rows.masks)
  }

  /// The places of some rows, of all of them where nil; none where rows are a set.
  func positions(of some: Indices?, _ arena: Arena) -> UnsafeBufferPointer<Int32> {
    guard let positions else { return UnsafeBufferPointer(start: nil, count: 0) }
    guard let some else { return UnsafeBufferPointer(start: positions, count: rows.count) }
    let own = arena.integers(count: some.count)
    for index in 0..<some.count { own[index] = positions[Int(some.pointer[index])] }
    return UnsafeBufferPointer(start: own, count: some.count)
  }

  /// Rows of sequences, all of which are committed, each at the place in its sequence that its slot is.
  ///
  /// - Parameters:
  ///   - reads: what each row reads of its path, itself included; nil for all rows up to itself.
  ///   - asked: the rows that are asked for, ascending; nil for all.
  package init(
    sequence paths: [Int32], slots: [Int32], reads: [Reads]? = nil, asked: [Int32]? = nil, _ arena: Arena
  ) {
    let count = paths.count
    let all = arena.integers((0..<Int32(count)).map { $0 })
    let (path, slot) = (arena.integers(paths), arena.integers(slots))
    commits = Indices(pointer: UnsafePointer(all), count: count)
    committed = CommittedRows(count: count, paths: path, slots: slot)
    positions = UnsafePointer(slot)
    var (limits, starts, words) = (slots.map { $0 + 1 }, [Int32](repeating: -1, count: count), [UInt64]())
    for (row, reads) in (reads ?? []).enumerated() {
      limits[row] = Int32(reads.limit)
      guard !reads.mask.isEmpty else { continue }
      starts[row] = Int32(words.count)
      words += reads.mask
    }
    let masks = words.isEmpty ? nil : UnsafePointer(arena.words(words))
    func visible(_ rows: [Int32]?) -> VisibleRows {
      func some(_ values: [Int32]) -> UnsafePointer<Int32> {
        UnsafePointer(arena.integers(rows.map { $0.map { values[Int($0)] } } ?? values))
      }
      return VisibleRows(
        count: rows?.count ?? count, paths: some(paths), limits: some(limits), maskStarts: some(starts),
        masks: masks)
    }
    rows = visible(nil)
    askedRows = asked == nil ? rows : visible(asked)
    self.asked = asked.map { Indices(pointer: UnsafePointer(arena.integers($0)), count: $0.count) } ?? commits
  }
}
