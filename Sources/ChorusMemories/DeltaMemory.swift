import ChorusTensors
import Foundation

/// The delta rule (Schlag et al. 2021, eq. 15): one gradient step a row in the rows' order, S ← S + β k (v − k·S)ᵀ with β
/// in (0, 1) a head. Its state depends on the order, so it cannot hold a set.
struct DeltaRule: FactorRule {
  private let map: any FeatureMap
  private let sizes: AttentionSizes
  private let values: MemoryValues
  let rank: Int

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    MemoryShape(
      StoredLayout(sizes), read: sizes.columns,
      parameters: [MemoryParameter("rate", sizes.heads, initial: 2)])
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    map = FeatureMaps.named(orIdentity: spec.features)
    self.sizes = sizes
    self.values = values
    rank = map.count(sizes.width)
  }

  static func capability(_ spec: MemorySpec) -> Capability { Capability(holdsSet: false, fixedState: true) }

  /// The rule row by row, then φ(q)·S.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let rate = head.sigmoid(head.numbers[0][head.head])
    let state = head.recurrence { state, row, _ in
      let key = head.features(row.key)
      let known = head.read(key, state)
      for i in key.indices {
        for j in known.indices { state[i][j] += rate * key[i] * (row.value[j] - known[j]) }
      }
    }
    return ReferenceRead(head.read(head.features(query), state))
  }

  var momentColumns: Int { sizes.width }
  var mapColumns: Int { sizes.width }
  let valueColumn = 0
  let shift: Float = 0
  let sequential = true
  let readsBeforeWriting = true

  func features(_ row: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) {
    map.apply(row, width: sizes.width, into: out)
  }

  /// Not summed up: the rows are read one after the other.
  func moment(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, left: UnsafeMutablePointer<Float>,
    right: UnsafeMutablePointer<Float>
  ) {}

  func commit(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, read: FactorRead,
    factor: UnsafeMutablePointer<Float>, stored: UnsafeMutablePointer<Float>
  ) {
    let rate = Float(Softplus.slope(Double(values[0][head])))
    factor.update(from: key, count: rank)
    for j in 0..<sizes.width { stored[j] = rate * (row.value[j] - read.mapped[j]) }
  }

  func finish(
    _ read: FactorRead, query: UnsafePointer<Float>, head: Int, into out: UnsafeMutablePointer<Float>,
    feature: UnsafeMutablePointer<Float>
  ) {
    out.update(from: read.mapped, count: sizes.width)
  }

  /// The residuals of all rows at once: (I + β·strict lower part of KKᵀ) R = β V (Yang et al. 2024, DeltaNet).
  func record(_ head: inout HeadPass) {
    let m = head.matrices
    let rate = m.map(head.parameter(0)) { x in
      let value = Softplus.slope(x)
      return (value, value * (1 - value))
    }
    let keys = m.stack(map.record(head.keys, on: m), map.record(head.ownKeys, on: m))
    let values = m.stack(head.values, head.ownValues)
    let rates = m.multiply(m.constant(1, keys.rows, 1), rate)
    let below = m.visible(m.multiply(keys, keys, .right), limits: (0..<keys.rows).map { Int32($0) })
    let system = m.addDiagonal(m.scaleRows(below, by: rates), m.constant(1, 1, 1))
    let residuals = m.solve(system, m.scaleRows(values, by: rates))
    for part in head.parts {
      let scores = m.multiply(map.record(part.queries, on: m), keys, .right)
      let limits = part.limits.map { $0 + Int32(head.keys.rows) }
      head.emit(part, m.multiply(m.visible(scores, limits: limits), residuals))
    }
  }
}
