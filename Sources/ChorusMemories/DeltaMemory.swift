import ChorusTensors
import Foundation

/// The delta rule (Schlag et al. 2021, eq. 15): one gradient step a row in the rows' order, S ← S + β k (v − k·S)ᵀ with β
/// in (0, 1) a head. Its state depends on the order, so it cannot hold a set.
struct DeltaRule: HeadwiseRule {
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

  /// The chunk form of the delta rules (`RecurrentPass`) without fading and with one rate.
  func record(_ head: inout HeadPass) {
    let (m, rows) = (head.matrices, head.rows)
    let rate = m.map(head.parameter(0)) { x in
      let value = Softplus.slope(x)
      return (value, value * (1 - value))
    }
    let terms = RecurrentPass.Terms(
      keys: .inputs([head.keyInputs.set, head.keyInputs.own], map), erases: nil,
      values: .inputs([head.valueInputs.set, head.valueInputs.own], IdentityFeatures()),
      fades: m.constant(0, rows, 1), rates: m.multiply(m.constant(1, rows, 1), rate))
    let set = head.keyInputs.set.rows.count
    let queries = head.parts.map { part in
      RecurrentPass.Queries(
        rows: .inputs([part.input], map), ends: part.limits.map { set + Int($0) }, row: part.row)
    }
    let form = RecurrentPass.Form(
      rank: rank, columns: sizes.width, channels: false, corrects: true, moves: 1, unread: 0, leastFade: 0,
      longest: 64)
    head.pass.fuse(
      RecurrentPass(form, terms, queries, moves: rows, column: head.head * sizes.width, head.pass))
  }
}
