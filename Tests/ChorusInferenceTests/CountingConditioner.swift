import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

@testable import ChorusInference

/// What really went through a conditioner: the counters that a plan's cost is held against.
final class Counters: Sendable {
  struct Counts: Equatable {
    var calls = 0
    var encodes = 0
    var reads = 0
    var queries = 0
    var peak = 0
  }

  /// What was said of each target the last time it was asked for.
  let laws = Lock<[Int: any Predictive]>([:])

  private let counts = Lock(Counts())
  var value: Counts { counts.withLock { $0 } }

  func add(_ body: @Sendable (inout Counts) -> Void) { counts.withLock { body(&$0) } }
}

/// Counts, row by row, what another conditioner is asked.
struct CountingConditioner<Base: Conditioner>: Conditioner {
  let base: Base
  let observedRows: Int
  let counters = Counters()

  struct Context: Sendable {
    let base: Base.Context
    let rows: Int
  }

  final class Paths {
    let base: Base.Paths
    /// Slots in use of each path.
    var slots: [Set<Int>]
    init(_ base: Base.Paths, count: Int) {
      self.base = base
      slots = [Set<Int>](repeating: [], count: count)
    }
  }

  /// - Parameter observedRows: the rows of the observed context, which is encoded once.
  init(_ base: Base, observedRows: Int) {
    self.base = base
    self.observedRows = observedRows
    counters.add {
      $0.encodes = observedRows
      $0.reads = observedRows * observedRows
    }
  }

  var capability: Plan.Capability { base.capability }
  var observed: Context { Context(base: base.observed, rows: observedRows) }

  func encode(with rows: [(target: Int, value: Float)]) -> Context {
    let count = observedRows + rows.count
    counters.add {
      $0.encodes += count
      $0.reads += count * count
    }
    return Context(base: base.encode(with: rows), rows: count)
  }

  func branch(paths: Int, capacity: Int) -> Paths {
    Paths(base.branch(paths: paths, capacity: capacity), count: paths)
  }

  func rewind(_ paths: Paths, path: Int, to count: Int) {
    paths.slots[path] = paths.slots[path].filter { $0 < count }
    base.rewind(paths.base, path: path, to: count)
  }

  func advance(_ paths: Paths, _ context: Context, _ rows: RowBatch, _ body: (Base.Answer) -> Void) {
    var reads = 0
    for row in 0..<rows.count {
      if rows.slots[row] >= 0 { paths.slots[Int(rows.path[row])].insert(Int(rows.slots[row])) }
      reads += context.rows + visible(rows, row)
    }
    let held = context.rows + paths.slots.reduce(0) { $0 + $1.count }
    counters.add { [reads] in
      $0.calls += 1
      $0.encodes += rows.count
      $0.queries += rows.queries
      $0.reads += reads
      $0.peak = max($0.peak, held)
    }
    var asked = (0..<rows.count).filter { rows.slots[$0] < 0 }.map { Int(rows.inputs[$0]) }[...]
    base.advance(paths.base, context.base, rows) { answer in
      let target = asked.removeFirst()
      let law = answer.law
      counters.laws.withLock { $0[target] = law }
      body(answer)
    }
  }

  private func visible(_ rows: RowBatch, _ row: Int) -> Int {
    let limit = Int(rows.limits[row])
    guard rows.maskStarts[row] >= 0 else { return limit }
    return (0..<(limit + 63) / 64).reduce(0) {
      $0 + rows.masks[Int(rows.maskStarts[row]) + $1].nonzeroBitCount
    }
  }
}
