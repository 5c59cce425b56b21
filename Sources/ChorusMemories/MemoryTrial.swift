import ChorusTensors

/// One head of a memory with numbers of one's choice, to be tried on rows in plain arrays: what a specification makes of
/// keys and values, without a network around it.
///
/// ```swift
/// let ridge = try MemoryTrial(MemorySpec(function: .linear), width: 1)
/// let line = ridge.read(keys: [[1], [2]], values: [[2], [4]], at: [[3]])  // close to 6
/// ```
public struct MemoryTrial: Sendable {
  private let memory: any Memory
  /// Columns of a key, a value and a query.
  public let width: Int
  /// The names of the columns that a row has behind its value, and how many each has: what the layer's map gives beside keys
  /// and values.
  public let gates: [StoredLayout.Gate]

  /// - Parameter numbers: what is learned, by the names of the memory's parameters; one that is not named keeps what it begins
  ///   with, without its spread.
  /// - Throws: `MemoryError` where the specification has no memory.
  public init(_ spec: MemorySpec, width: Int, numbers: [String: Double] = [:]) throws(MemoryError) {
    let compiled = try CompiledMemory(LayerMemory(spec), AttentionSizes(heads: 1, width: width), set: false)
    var table = ParameterTable()
    let handles = compiled.shape.parameters.map { table.declare($0.name, 1, $0.count) }
    let weights = Weights(table)
    for (handle, known) in zip(handles, compiled.shape.parameters) {
      for i in 0..<known.count { weights[handle][i] = Float(numbers[known.name] ?? known.initial) }
    }
    memory = compiled.memory(weights, handles)
    self.width = width
    gates = compiled.shape.layout.gates
  }

  /// Rows as the memory stores them; `gates` are a row's columns of all gates, zeros where there are none. Numbers that a row
  /// lacks are zeros, and what it has too many is left out.
  private func stored(_ keys: [[Double]], _ values: [[Double]], _ gates: [[Double]]) -> [Float] {
    func cut(_ row: [Double], _ count: Int) -> [Float] {
      (0..<count).map { $0 < row.count ? Float(row[$0]) : 0 }
    }
    return zip(keys, values).enumerated().flatMap { index, row in
      cut(row.0, width) + cut(row.1, width)
        + cut(index < gates.count ? gates[index] : [], memory.shape.stored - 2 * width)
    }
  }
  private func rows(_ read: [Float], _ count: Int) -> [[Double]] {
    (0..<count).map { row in (0..<width).map { Double(read[row * memory.shape.read + $0]) } }
  }

  /// What queries read of all rows together, `[query][column]`.
  public func read(
    keys: [[Double]], values: [[Double]], gates: [[Double]] = [], at queries: [[Double]]
  ) -> [[Double]] {
    let arena = Arena(blockCount: 1 << 16)
    let count = min(keys.count, values.count)
    let draft = memory.anyDraft(rows: count)
    if count > 0 {
      memory.write(stored(keys, values, gates), rows: 0..<count, toAny: draft, scratch: arena)
    }
    var out = [Float](repeating: 0, count: queries.count * memory.shape.read)
    if !queries.isEmpty {
      memory.read(
        queries.joined().map { Float($0) }, rows: queries.count, anyContext: memory.finish(any: draft),
        into: &out, scratch: arena)
    }
    return rows(out, queries.count)
  }

  /// What query i reads of the first `limits[i]` rows, which ascend: as a sequence is read, row by row.
  public func read(
    keys: [[Double]], values: [[Double]], gates: [[Double]] = [], at queries: [[Double]], limits: [Int]
  ) -> [[Double]] {
    let arena = Arena(blockCount: 1 << 16)
    let context = memory.finish(any: memory.anyDraft(rows: 0))
    let buffer = memory.anyBuffer(paths: 1, capacity: keys.count)
    let paths = arena.integers([Int32](repeating: 0, count: max(1, keys.count)))
    let everything = arena.integers([-1])
    let (stored, asked) = (stored(keys, values, gates), queries.joined().map { Float($0) })
    var out = [Float](repeating: 0, count: queries.count * memory.shape.read)
    stored.withUnsafeBufferPointer { rows in
      asked.withUnsafeBufferPointer { asked in
        out.withUnsafeMutableBufferPointer { out in
          guard let asked = asked.baseAddress, let out = out.baseAddress else { return }
          // A row is committed just before the first query that sees it.
          var committed = 0
          for (query, limit) in limits.enumerated() {
            let new = committed..<max(committed, limit)
            if let rows = rows.baseAddress, !new.isEmpty {
              memory.append(
                rows + new.lowerBound * memory.shape.stored,
                CommittedRows(count: new.count, paths: paths, slots: arena.integers(new.map { Int32($0) })),
                anyContext: context, toAny: buffer, scratch: arena)
            }
            committed = new.upperBound
            memory.read(
              asked + query * width,
              VisibleRows(
                count: 1, paths: paths, limits: arena.integers([Int32(limit)]), maskStarts: everything,
                masks: nil), anyContext: context, anyBuffer: buffer,
              into: out + query * memory.shape.read, scratch: arena)
          }
        }
      }
    }
    return rows(out, queries.count)
  }
}
