import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Rows of floats.
struct Rows {
  var columns: Int
  var values: [Float]
  var count: Int { values.count / max(columns, 1) }

  init(_ columns: Int, _ values: [Float] = []) {
    self.columns = columns
    self.values = values
  }

  subscript(row: Int) -> [Float] {
    get { Array(values[row * columns..<(row + 1) * columns]) }
    set { values.replaceSubrange(row * columns..<(row + 1) * columns, with: newValue) }
  }
  subscript(range: Range<Int>) -> Rows {
    Rows(columns, Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }
  subscript(order: [Int]) -> Rows { Rows(columns, order.flatMap { self[$0] }) }
  static func + (a: Rows, b: Rows) -> Rows { Rows(a.columns, a.values + b.values) }

  /// Row by row in Double.
  var doubles: [[Double]] { (0..<count).map { self[$0].map { Double($0) } } }
}

/// One row of a read: of a path, the first `limit` slots, or those of them that `slots` names.
struct Sight {
  var path = 0
  var limit: Int
  var slots: [Int]?
  /// Its place in the sequence; the last row's where nil.
  var position: Int?

  var seen: [Int] { slots.map { $0.filter { $0 < limit } } ?? Array(0..<limit) }
}

/// A memory with numbers of its own, and everything that the tests do with it.
struct Bench {
  let name: String
  let layer: LayerMemory
  let sizes: AttentionSizes
  let compiled: CompiledMemory
  let table: ParameterTable
  let handles: [Parameter]
  let weights: Weights
  let memory: any Memory
  private let arena = Arena(blockCount: 1 << 14)

  /// - Parameter spread: how far the learned numbers are from where they begin.
  init(
    _ layer: LayerMemory, name: String = "", sizes: AttentionSizes = AttentionSizes(heads: 2, width: 8),
    spread: Double = 0.3, seed: UInt64 = 7, set values: [String: Double] = [:]
  ) throws {
    compiled = try CompiledMemory(layer, sizes, set: false)
    var table = ParameterTable()
    handles = compiled.shape.parameters.map { table.declare("memory." + $0.name, 1, $0.count) }
    weights = Weights(table)
    var stream = RandomStream(seed: seed, 4)
    for (handle, known) in zip(handles, compiled.shape.parameters) {
      for i in 0..<known.count {
        let drawn = known.initial + (known.spread + spread) * stream.normal()
        weights[handle][i] = Float(values[known.name] ?? drawn)
      }
    }
    self.table = table
    self.name = name
    self.layer = layer
    self.sizes = sizes
    memory = compiled.memory(weights, handles)
  }

  init(_ spec: MemorySpec, sizes: AttentionSizes, set values: [String: Double]) throws {
    try self.init(LayerMemory(spec), sizes: sizes, spread: 0, set: values)
  }

  var shape: MemoryShape { memory.shape }
  var capability: Capability { memory.capability }
  var numbers: [[Double]] { handles.map { p in (0..<p.count).map { Double(weights[p][$0]) } } }
  /// One head of a memory's definition, of the context's memory where there are two.
  func form(head: Int, rows: [ReferenceHead.Row] = []) -> ReferenceHead {
    ReferenceHead(spec: layer.context, sizes: sizes, head: head, rows: rows, numbers: numbers)
  }

  func stored(_ count: Int, seed: UInt64, scale: Double = 1) -> Rows {
    var stream = RandomStream(seed: seed, 1)
    return Rows(shape.stored, (0..<count * shape.stored).map { _ in Float(scale * stream.normal()) })
  }
  func queries(_ count: Int, seed: UInt64, scale: Double = 1) -> Rows {
    var stream = RandomStream(seed: seed, 2)
    return Rows(sizes.columns, (0..<count * sizes.columns).map { _ in Float(scale * stream.normal()) })
  }

  // MARK: Step form

  typealias State = any AnyObject & Sendable

  func context(_ rows: Rows, parts: [Range<Int>]? = nil) -> State {
    let draft = memory.anyDraft(rows: rows.count)
    for range in parts ?? (rows.count > 0 ? [0..<rows.count] : []) {
      rows.values.withUnsafeBufferPointer {
        memory.write(
          $0.baseAddress! + range.lowerBound * rows.columns, rows: range, toAny: draft, scratch: arena)
      }
    }
    return memory.finish(any: draft)
  }

  func buffer(paths: Int = 1, capacity: Int) -> AnyObject {
    memory.anyBuffer(paths: paths, capacity: capacity)
  }

  /// Commits rows into slots of paths, all at once.
  func append(
    _ rows: Rows, paths: [Int]? = nil, slots: [Int]? = nil, positions: [Int]? = nil, _ context: State,
    to buffer: AnyObject
  ) {
    let paths = (paths ?? [Int](repeating: 0, count: rows.count)).map { Int32($0) }
    let slots = (slots ?? Array(0..<rows.count)).map { Int32($0) }
    guard rows.count > 0 else { return }
    let places = positions.map { UnsafePointer(arena.integers($0.map { Int32($0) })) }
    paths.withUnsafeBufferPointer { paths in
      slots.withUnsafeBufferPointer { slots in
        memory.append(
          rows.values,
          CommittedRows(
            count: rows.count, paths: paths.baseAddress!, slots: slots.baseAddress!, positions: places),
          anyContext: context, toAny: buffer, scratch: arena)
      }
    }
  }

  func read(_ queries: Rows, _ context: State) -> [Float] {
    var out = [Float](repeating: .nan, count: queries.count * shape.read)
    out.withUnsafeMutableBufferPointer {
      memory.read(
        queries.values, rows: queries.count, anyContext: context, into: $0.baseAddress!, scratch: arena)
    }
    return out
  }

  func read(_ queries: Rows, _ sights: [Sight], _ context: State, _ buffer: AnyObject) -> [Float] {
    var (words, starts) = ([UInt64](), [Int32]())
    for sight in sights {
      guard let slots = sight.slots else {
        starts.append(-1)
        continue
      }
      starts.append(Int32(words.count))
      var own = [UInt64](repeating: 0, count: (sight.limit + 63) / 64)
      // Bits beyond the limit may be anything.
      for slot in slots where slot / 64 < own.count { own[slot / 64] |= 1 << UInt64(slot % 64) }
      words += own
    }
    let masked = !words.isEmpty
    words.append(0)
    let places =
      sights.contains { $0.position != nil }
      ? UnsafePointer(arena.integers(sights.map { Int32($0.position ?? 0) })) : nil
    let (paths, limits) = (sights.map { Int32($0.path) }, sights.map { Int32($0.limit) })
    var out = [Float](repeating: .nan, count: queries.count * shape.read)
    out.withUnsafeMutableBufferPointer { out in
      words.withUnsafeBufferPointer { words in
        paths.withUnsafeBufferPointer { paths in
          limits.withUnsafeBufferPointer { limits in
            starts.withUnsafeBufferPointer { starts in
              memory.read(
                queries.values,
                VisibleRows(
                  count: sights.count, paths: paths.baseAddress!, limits: limits.baseAddress!,
                  maskStarts: starts.baseAddress!, masks: masked ? words.baseAddress! : nil,
                  positions: places),
                anyContext: context, anyBuffer: buffer, into: out.baseAddress!, scratch: arena)
            }
          }
        }
      }
    }
    return out
  }

  /// Context and one path's rows read from scratch. Where a memory reads the newest prefixes only, rows are committed as far
  /// as each read's prefix ends.
  func run(context rows: Rows, own: Rows, _ queries: Rows, _ sights: [Sight]) -> [Float] {
    let state = context(rows)
    let buffer = buffer(capacity: own.count)
    guard capability.prefixReads != .any else {
      append(own, state, to: buffer)
      return read(queries, sights, state, buffer)
    }
    var out = Rows(shape.read, [Float](repeating: .nan, count: queries.count * shape.read))
    var committed = 0
    for (index, sight) in sights.enumerated().sorted(by: { $0.element.limit < $1.element.limit }) {
      let new = committed..<max(committed, sight.limit)
      append(own[new], slots: Array(new), state, to: buffer)
      committed = new.upperBound
      out[index] = read(queries[index..<index + 1], [sight], state, buffer)
    }
    return out.values
  }

  /// What the same reads are by definition.
  func expected(context: Rows, own: Rows, _ queries: Rows, _ sights: [Sight]) -> [Double] {
    let (set, rows, asked) = (context.doubles, own.doubles, queries.doubles)
    return sights.indices.flatMap { index in
      compiled.reference(
        asked[index], context: set, own: sights[index].seen.map { rows[$0] }, numbers: numbers)
    }
  }

  // MARK: Training form

  /// The reads of a training pass: context rows of themselves, own rows of the context and those as far as their own,
  /// then queries as far as `limits`.
  func blocks(context: Int, own: Int, limits: [Int]) -> [VisibleBlock] {
    let rows = context..<context + own
    return [
      VisibleBlock(queries: 0..<context, shared: 0..<context),
      VisibleBlock(queries: rows, shared: 0..<context, own: rows, limits: (0..<own).map { Int32($0 + 1) }),
      VisibleBlock(
        queries: context + own..<context + own + limits.count, shared: 0..<context, own: rows,
        limits: limits.map { Int32($0) }),
    ]
  }

  func trained(context: Rows, own: Rows, _ queries: Rows, limits: [Int]) -> [Float] {
    let tape = Tape(weights)
    let all = context + own
    let node = memory.train(
      queries: tape.constant(queries.values, rows: queries.count, columns: queries.columns),
      stored: tape.constant(all.values, rows: all.count, columns: all.columns),
      blocks: blocks(context: context.count, own: own.count, limits: limits), on: tape)
    return Array(UnsafeBufferPointer(start: tape.values(node), count: node.rows * node.columns))
  }
}

/// The largest difference relative to the largest number (at least 1); infinite where something is not a number.
func deviation(_ got: [Float], _ wanted: [Double]) -> Double {
  guard got.count == wanted.count else { return .infinity }
  let size = wanted.reduce(1) { max($0, abs($1)) }
  return zip(got, wanted).reduce(0) { worst, pair in
    let difference = abs(Double(pair.0) - pair.1) / size
    return difference.isFinite ? max(worst, difference) : .infinity
  }
}

func deviation(_ got: [Float], _ wanted: [Float]) -> Double { deviation(got, wanted.map { Double($0) }) }

/// Bit by bit.
func same(_ a: [Float], _ b: [Float]) -> Bool { a.map(\.bitPattern) == b.map(\.bitPattern) }

/// Every memory of the registry, and joins and weights that have no name.
enum Subjects {
  static let names = MemoryRegistry.all.map(\.name)

  static let unnamed: [String: LayerMemory] = [
    "ridge with learned weights": LayerMemory(
      MemorySpec(weights: .learned, features: "elu", function: .linear, readOut: .leverage)),
    "raw linear with learned weights": LayerMemory(
      MemorySpec(
        weights: .learned, features: "taylor", function: .linear, loss: .dot, optimiser: .gradient(steps: 1))),
    "cg on elu": LayerMemory(
      MemorySpec(features: "elu", function: .linear, optimiser: .conjugateGradient(steps: 5))),
    "linear with a ridge buffer": LayerMemory(
      context: MemorySpec(
        weights: .learned, features: "elu", function: .linear, loss: .dot, optimiser: .gradient(steps: 1),
        readOut: .normalised),
      buffer: MemorySpec(features: "unit", function: .linear, readOut: .leverage)),
    "ridge with a ttt buffer": LayerMemory(
      context: MemorySpec(function: .linear),
      buffer: MemorySpec(function: .normalisedLinear, optimiser: .gradient(steps: 1))),
    "kernel with a delta buffer": LayerMemory(
      context: MemorySpec(function: .kernel),
      buffer: MemorySpec(features: "unit", function: .linear, optimiser: .online)),
    "softmax with a retention buffer": LayerMemory(
      context: .softmax,
      buffer: MemorySpec(
        weights: .decay, features: "elu", function: .linear, loss: .dot, optimiser: .gradient(steps: 1))),
    "linear map with momentum": LayerMemory(
      MemorySpec(
        weights: .scalarGate, features: "unit", function: .linear, loss: .huber,
        optimiser: .frozenMomentum(chunk: 11))),
    "mini-batches of nine rows": LayerMemory(
      MemorySpec(
        weights: .learned, features: "unit", function: .normalisedLinear, loss: .power(1.5),
        optimiser: .frozen(chunk: 9))),
    "signed simplex": LayerMemory(
      MemorySpec(
        weights: .scalarGate, features: "unit", function: .normalisedLinear,
        optimiser: .frozenMomentum(chunk: 10), retention: .signedSimplex)),
    "kernel on unit keys": LayerMemory(MemorySpec(features: "unit", function: .kernel)),
    "softmax of grouped heads": .softmax,
    "unit softmax of grouped heads": LayerMemory(
      MemorySpec(weights: .similarity, features: "unit", function: .localConstant, readOut: .normalised)),
  ]

  static let all = names + unnamed.keys.sorted()

  static func layer(_ name: String) throws -> LayerMemory {
    if let layer = unnamed[name] { return layer }
    return try MemoryRegistry.named(name)
  }

  static func bench(_ name: String, sizes: AttentionSizes? = nil) throws -> Bench {
    let sizes = sizes ?? AttentionSizes(heads: 2, width: 8, keyHeads: name.contains("grouped") ? 1 : nil)
    return try Bench(layer(name), name: name, sizes: sizes)
  }
}
