import CChorusKernels
import ChorusTensors

/// A memory whose context is one small matrix a head and whose buffer rows are rank-one terms beside it: linear
/// attention, ridge regression, the delta rule, TTT-Linear.
struct FactorMemory<Rule: FactorRule>: SpecifiedMemory {
  let rule: Rule
  let sizes: AttentionSizes
  let shape: MemoryShape
  let values: MemoryValues

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape { Rule.shape(spec, sizes) }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    rule = Rule(spec, sizes, values)
    self.sizes = sizes
    self.values = values
    shape = Rule.shape(spec, sizes)
    capability = Rule.capability(spec)
  }

  let capability: Capability
  static func capability(_ spec: MemorySpec) -> Capability { Rule.capability(spec) }
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    Rule.reference(query, head)
  }

  // MARK: Context

  /// The sums of a set, or, with a sequential rule, the rows themselves.
  final class Draft: Sendable {
    let moments: Moments?
    let stored: StoredRows?
    init(moments: Moments) { (self.moments, stored) = (moments, nil) }
    init(stored: StoredRows) { (moments, self.stored) = (nil, stored) }
  }

  final class Context: Sendable {
    let rows: Int
    /// Sums of the set, `[heads][rank, momentColumns]`; kept where contexts can be merged.
    let moments: [Double]
    /// Packed maps, head by head.
    let maps: FloatBuffer
    /// The most that a head's diagonal was raised by so that its equation had an answer; 0 as a rule.
    let raised: Double
    init(rows: Int, moments: [Double], maps: FloatBuffer, raised: Double) {
      self.rows = rows
      self.moments = moments
      self.maps = maps
      self.raised = raised
    }
  }

  private var momentCount: Int { rule.rank * rule.momentColumns }
  private var mapCount: Int { ck_packed_count(Int32(rule.rank), Int32(rule.mapColumns)) }

  func draft(rows count: Int) -> Draft {
    if rule.sequential { return Draft(stored: StoredRows(count: count, columns: shape.stored)) }
    return Draft(
      moments: Moments(rows: count, heads: sizes.heads, rank: rule.rank, columns: rule.momentColumns))
  }

  func write(_ stored: UnsafePointer<Float>, rows range: Range<Int>, to draft: Draft, scratch: Arena) {
    draft.stored?.write(stored, rows: range)
    guard let moments = draft.moments else { return }
    let mark = scratch.mark
    let key = scratch.floats(rule.rank)
    moments.write(rows: range, scratch) { index, head, left, right in
      let row = StoredRow(stored + index * shape.stored, head, shape.layout)
      rule.features(row.key, into: key)
      rule.moment(row, key: key, head: head, left: left, right: right)
    }
    scratch.rewind(to: mark)
  }

  func finish(_ draft: Draft) -> Context {
    if let moments = draft.moments { return context(rows: moments.rows, moments.total) }
    var moments = [Double](repeating: 0, count: sizes.heads * momentCount)
    if let stored = draft.stored { addInOrder(stored, to: &moments) }
    return context(rows: draft.stored?.count ?? 0, moments)
  }

  /// The delta rule's way: every row is read before it is written.
  private func addInOrder(_ rows: StoredRows, to moments: inout [Double]) {
    let (rank, columns) = (rule.rank, rule.momentColumns)
    let scratch = Arena(blockCount: 1 << 12)
    let (key, left, right) = (scratch.floats(rank), scratch.floats(rank), scratch.floats(columns))
    let read = scratch.floats(rule.mapColumns)
    for index in 0..<rows.count {
      for head in 0..<sizes.heads {
        let row = StoredRow(rows.row(index), head, shape.layout)
        let base = head * momentCount
        rule.features(row.key, into: key)
        for j in 0..<columns {
          read[j] = Float((0..<rank).reduce(0.0) { $0 + Double(key[$1]) * moments[base + $1 * columns + j] })
        }
        rule.commit(
          row, key: key, head: head,
          read: FactorRead(mapped: read, sum: 0, square: 0, projected: read, rows: index), factor: left,
          stored: right)
        for i in 0..<rank {
          for j in 0..<columns { moments[base + i * columns + j] += Double(left[i]) * Double(right[j]) }
        }
      }
    }
  }

  private func context(rows: Int, _ moments: [Double]) -> Context {
    let maps = FloatBuffer(count: sizes.heads * mapCount)
    let scratch = Arena(blockCount: 1 << 12)
    let (rank, columns) = (rule.rank, rule.mapColumns)
    let (map, single) = (scratch.doubles(rank * columns), scratch.floats(rank * columns))
    var raised = 0.0
    moments.withUnsafeBufferPointer { moments in
      guard let moments = moments.baseAddress else { return }
      for head in 0..<sizes.heads {
        let added = rule.map(moments + head * momentCount, rows: rows, head: head, into: map, scratch)
        raised = max(raised, added)
        for i in 0..<rank * columns { single[i] = Float(map[i]) }
        ck_pack(
          Int32(rank), Int32(columns), single, Int32(columns), 0, maps.pointer + head * mapCount)
      }
    }
    return Context(
      rows: rows, moments: capability.merge ? moments : [], maps: maps, raised: raised)
  }

  func merge(_ first: Context, _ second: Context, removing: Bool) -> Context? {
    guard capability.merge else { return nil }
    let sign = removing ? -1.0 : 1.0
    return context(
      rows: max(0, first.rows + (removing ? -second.rows : second.rows)),
      zip(first.moments, second.moments).map { $0 + sign * $1 })
  }

  func raised(_ context: Context) -> Double { context.raised }

  // MARK: Buffer

  /// Factors and values of each path's own rows.
  final class Buffer {
    let capacity: Int
    let factors: FloatBuffer
    let values: FloatBuffer
    let factorsStride: Int
    let valuesStride: Int
    init(paths: Int, capacity: Int, heads: Int, rank: Int, width: Int) {
      self.capacity = capacity
      factorsStride = heads * capacity * rank
      valuesStride = heads * capacity * width
      factors = FloatBuffer(count: paths * factorsStride)
      values = FloatBuffer(count: paths * valuesStride)
    }
  }

  func buffer(paths: Int, capacity: Int) -> Buffer {
    Buffer(paths: paths, capacity: capacity, heads: sizes.heads, rank: rule.rank, width: sizes.width)
  }

  func append(
    _ stored: UnsafePointer<Float>, _ rows: CommittedRows, context: Context, to buffer: Buffer, scratch: Arena
  ) {
    let mark = scratch.mark
    let (d, heads) = (sizes.columns, sizes.heads)
    let keys = scratch.floats(rows.count * d)
    for index in 0..<rows.count { (keys + index * d).update(from: stored + index * shape.stored, count: d) }
    let work = Work(self, rows.count, scratch)
    apply(context, keys, rows.count, work)
    let nowhere = scratch.integers(count: 1)
    nowhere[0] = -1
    let projected = scratch.floats(heads * rule.rank)
    for index in 0..<rows.count {
      let (path, slot) = (Int(rows.paths[index]), Int(rows.slots[index]))
      if rule.readsBeforeWriting {
        // A row sees what its path committed before it, in this call or an earlier one.
        let visible = VisibleRows(
          count: 1, paths: rows.paths + index, limits: rows.slots + index, maskStarts: nowhere, masks: nil)
        let one = work.row(index, self)
        add(buffer, visible, one)
        if rule.valueColumn > 0 {
          projected.update(repeating: 0, count: heads * rule.rank)
          project(buffer, visible, one, into: projected)
        }
      }
      for head in 0..<heads {
        let row = StoredRow(stored + index * shape.stored, head, shape.layout)
        rule.commit(
          row, key: work.features + (index * heads + head) * rule.rank, head: head,
          read: work.read(
            index, head, heads, rows: context.rows + slot, rule.mapColumns, projected + head * rule.rank),
          factor: buffer.factors.pointer + path * buffer.factorsStride
            + (head * buffer.capacity + slot) * rule.rank,
          stored: buffer.values.pointer + path * buffer.valuesStride
            + (head * buffer.capacity + slot) * sizes.width)
      }
    }
    scratch.rewind(to: mark)
  }

  // MARK: Reading

  /// What reading some rows takes: φ `[rows, heads·rank]`, its products with the maps `[rows, heads·mapColumns]`, and
  /// the sums over the factors `[rows, heads]`.
  struct Work {
    var features: UnsafeMutablePointer<Float>
    var mapped: UnsafeMutablePointer<Float>
    var sums: UnsafeMutablePointer<Float>
    var squares: UnsafeMutablePointer<Float>

    init(_ memory: FactorMemory, _ rows: Int, _ scratch: Arena) {
      let heads = memory.sizes.heads
      features = scratch.floats(rows * heads * memory.rule.rank)
      mapped = scratch.floats(rows * heads * memory.rule.mapColumns)
      sums = scratch.zeros(rows * heads)
      squares = scratch.zeros(rows * heads)
    }

    func row(_ index: Int, _ memory: FactorMemory) -> Work {
      var one = self
      let heads = memory.sizes.heads
      one.features += index * heads * memory.rule.rank
      one.mapped += index * heads * memory.rule.mapColumns
      one.sums += index * heads
      one.squares += index * heads
      return one
    }

    func read(
      _ index: Int, _ head: Int, _ heads: Int, rows: Int, _ columns: Int,
      _ projected: UnsafeMutablePointer<Float>? = nil
    ) -> FactorRead {
      let place = index * heads + head
      return FactorRead(
        mapped: mapped + place * columns, sum: sums[place], square: squares[place],
        projected: projected ?? mapped, rows: rows)
    }
  }

  /// φ of the rows and its products with the context's maps.
  private func apply(_ context: Context, _ queries: UnsafePointer<Float>, _ rows: Int, _ work: Work) {
    let (heads, rank, columns) = (sizes.heads, rule.rank, rule.mapColumns)
    for row in 0..<rows {
      for head in 0..<heads {
        rule.features(
          queries + row * sizes.columns + head * sizes.width,
          into: work.features + (row * heads + head) * rank)
      }
    }
    for head in 0..<heads {
      var arguments = ck_matmul_args()
      (arguments.m, arguments.k, arguments.n) = (Int32(rows), Int32(rank), Int32(columns))
      arguments.a = UnsafePointer(work.features + head * rank)
      arguments.lda = Int32(heads * rank)
      arguments.packed = UnsafePointer(context.maps.pointer + head * mapCount)
      arguments.c = work.mapped + head * columns
      arguments.ldc = Int32(heads * columns)
      ck_matmul(&arguments)
    }
  }

  /// Adds the visible factors' values to the products.
  private func add(_ buffer: Buffer, _ visible: VisibleRows, _ work: Work) {
    guard buffer.capacity > 0 else { return }
    var arguments = factors(buffer, visible, work)
    let columns = Int32(rule.mapColumns)
    arguments.width = Int32(sizes.width)
    arguments.values = UnsafePointer(buffer.values.pointer)
    arguments.values_stride = buffer.valuesStride
    arguments.out = work.mapped + rule.valueColumn
    (arguments.ld_out, arguments.out_head) = (arguments.heads * columns, columns)
    (arguments.sums, arguments.squares) = (work.sums, work.squares)
    ck_factor_read(&arguments)
  }

  /// Adds the part of the probes that the visible factors span.
  private func project(
    _ buffer: Buffer, _ visible: VisibleRows, _ work: Work, into out: UnsafeMutablePointer<Float>
  ) {
    guard buffer.capacity > 0 else { return }
    var arguments = factors(buffer, visible, work)
    arguments.width = arguments.rank
    (arguments.values, arguments.values_stride) = (arguments.factors, arguments.factors_stride)
    arguments.out = out
    (arguments.ld_out, arguments.out_head) = (arguments.heads * arguments.rank, arguments.rank)
    ck_factor_read(&arguments)
  }

  /// Probes and factors of a read.
  private func factors(_ buffer: Buffer, _ visible: VisibleRows, _ work: Work) -> ck_factor_args {
    let (heads, columns) = (Int32(sizes.heads), Int32(rule.mapColumns))
    var arguments = ck_factor_args()
    (arguments.rows, arguments.heads) = (Int32(visible.count), heads)
    arguments.rank = Int32(rule.rank)
    if rule.valueColumn == 0 {
      arguments.probes = UnsafePointer(work.features)
      (arguments.ld_probes, arguments.probe_head) = (heads * Int32(rule.rank), Int32(rule.rank))
    } else {
      arguments.probes = UnsafePointer(work.mapped)
      (arguments.ld_probes, arguments.probe_head) = (heads * columns, columns)
    }
    (arguments.paths, arguments.limits) = (visible.paths, visible.limits)
    (arguments.masks, arguments.mask_starts) = (visible.masks, visible.maskStarts)
    arguments.capacity = Int32(buffer.capacity)
    arguments.factors = UnsafePointer(buffer.factors.pointer)
    arguments.factors_stride = buffer.factorsStride
    arguments.shift = rule.shift
    return arguments
  }

  private func finish(
    _ queries: UnsafePointer<Float>, _ rows: Int, _ work: Work, into out: UnsafeMutablePointer<Float>,
    seen: (Int) -> Int
  ) {
    for row in 0..<rows {
      let count = seen(row)
      for head in 0..<sizes.heads {
        let place = out + row * shape.read
        rule.finish(
          work.read(row, head, sizes.heads, rows: count, rule.mapColumns),
          query: queries + row * sizes.columns + head * sizes.width, head: head,
          into: place + head * sizes.width, feature: place + min(sizes.columns + head, shape.read - 1))
      }
    }
  }

  func read(
    _ queries: UnsafePointer<Float>, rows: Int, context: Context, into out: UnsafeMutablePointer<Float>,
    scratch: Arena
  ) {
    let mark = scratch.mark
    let work = Work(self, rows, scratch)
    apply(context, queries, rows, work)
    finish(queries, rows, work, into: out) { _ in context.rows }
    scratch.rewind(to: mark)
  }

  func read(
    _ queries: UnsafePointer<Float>, _ visible: VisibleRows, context: Context, buffer: Buffer,
    into out: UnsafeMutablePointer<Float>, scratch: Arena
  ) {
    let mark = scratch.mark
    let work = Work(self, visible.count, scratch)
    apply(context, queries, visible.count, work)
    add(buffer, visible, work)
    finish(queries, visible.count, work, into: out) { context.rows + visible.slotsRead(by: $0) }
    scratch.rewind(to: mark)
  }

  // MARK: Outside the program

  /// The maps, and the sums as pairs of floats whose sum they are to 48 bits.
  func stateArrays(rows: Int) -> [StateArray] {
    let sums = [sizes.heads, rule.rank, rule.momentColumns]
    return [StateArray("map", [sizes.heads, rule.rank, rule.mapColumns])]
      + (capability.merge ? [StateArray("sums", sums), StateArray("sums.rest", sums)] : [])
  }

  func values(of context: Context) -> [[Float]] {
    let whole = context.moments.map { Float($0) }
    return [PackedHeads.plain(context.maps, sizes.heads, rule.rank, rule.mapColumns)]
      + (capability.merge ? [whole, zip(context.moments, whole).map { Float($0 - Double($1)) }] : [])
  }

  func context(rows: Int, values: [[Float]]) -> Context? {
    guard StateArray.fit(values, stateArrays(rows: rows)) else { return nil }
    let maps = FloatBuffer(count: sizes.heads * mapCount)
    PackedHeads.pack(values[0], sizes.heads, rule.rank, rule.mapColumns, into: maps)
    let moments = values.count == 3 ? zip(values[1], values[2]).map { Double($0) + Double($1) } : []
    // Reads take the maps as they were kept; what their making had to add is found by making them once more.
    let raised = moments.isEmpty ? 0 : context(rows: rows, moments).raised
    return Context(rows: rows, moments: moments, maps: maps, raised: raised)
  }

  // MARK: Sizes

  var work: MemoryWork {
    let (heads, rank, width) = (Double(sizes.heads), Double(rule.rank), Double(sizes.width))
    let (sum, map) = (2 * rank * Double(rule.momentColumns), 2 * rank * Double(rule.mapColumns))
    var work = MemoryWork()
    work.write = heads * ((rule.sequential ? 2 : 1) * sum + rule.work.row)
    work.finish = heads * rule.work.map
    work.read = heads * (map + rule.work.read)
    // Its product with the probe, and with its value.
    work.ownRow = 2 * heads * (rank + width)
    work.append = heads * (map + rule.work.row)
    if rule.readsBeforeWriting {
      work.appendRow = work.ownRow + (rule.valueColumn > 0 ? 4 * heads * rank : 0)
    }
    work.contextNumbers = contextBytes(rows: 0) / 4
    work.ownRowNumbers = bufferBytes(capacity: 1) / 4
    return work
  }

  func contextBytes(rows: Int) -> Int {
    4 * sizes.heads * mapCount + (capability.merge ? 8 * sizes.heads * momentCount : 0)
  }
  func bufferBytes(capacity: Int) -> Int { 4 * sizes.heads * capacity * (rule.rank + sizes.width) }
}
