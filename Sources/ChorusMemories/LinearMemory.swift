import ChorusTensors
import Foundation

/// Linear attention (Katharopoulos et al. 2020, eq. 4-7): S = Σ w φ(k) vᵀ and z = Σ w φ(k), read as φ(q)·S, divided by
/// φ(q)·z or by the number of rows if so told. One full-batch gradient step of unit rate from zero (Wang et al. 2025, test-time regression).
struct LinearRule: FusedRule {
  let map: any FeatureMap
  private let sizes: AttentionSizes
  private let spec: MemorySpec
  private let values: MemoryValues
  let rank: Int
  static let epsilon = 1e-6

  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes) -> MemoryShape {
    PointWeights.shape(spec, sizes, MemoryShape(StoredLayout(sizes), read: sizes.columns))
  }

  init(_ spec: MemorySpec, _ sizes: AttentionSizes, _ values: MemoryValues) {
    map = FeatureMaps.named(orIdentity: spec.features)
    self.sizes = sizes
    self.spec = spec
    self.values = values
    rank = map.count(sizes.width)
  }

  static func capability(_ spec: MemorySpec) -> Capability {
    Capability(holdsSet: true, fixedState: true, subsetReads: true, merge: true, remove: true)
  }

  /// Σ w (φ(q)·φ(k)) v, by its read-out.
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let q = head.features(query)
    let scores = head.rows.map { head.weight($0) * head.dot(q, head.features($0.key)) }
    let total = head.sum(scores)
    switch head.spec.readOut {
    case .normalised: return ReferenceRead(total.map { $0 / (scores.reduce(0, +) + epsilon) })
    case .mean: return ReferenceRead(total.map { $0 / Double(max(1, head.rows.count)) })
    case .raw, .leverage: return ReferenceRead(total)
    }
  }

  // Values, then the denominator.
  var momentColumns: Int { sizes.width + 1 }
  var mapColumns: Int { sizes.width + 1 }
  let valueColumn = 0
  let shift: Float = 0
  let sequential = false
  let readsBeforeWriting = false

  func features(_ row: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) {
    map.apply(row, width: sizes.width, into: out)
  }

  private func weight(_ row: StoredRow, _ head: Int) -> Float {
    spec.weights == .learned ? PointWeights.value(row, values[0][head]) : 1
  }

  func moment(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, left: UnsafeMutablePointer<Float>,
    right: UnsafeMutablePointer<Float>
  ) {
    let w = weight(row, head)
    for i in 0..<rank { left[i] = w * key[i] }
    right.update(from: row.value, count: sizes.width)
    right[sizes.width] = 1
  }

  func commit(
    _ row: StoredRow, key: UnsafePointer<Float>, head: Int, read: FactorRead,
    factor: UnsafeMutablePointer<Float>, stored: UnsafeMutablePointer<Float>
  ) {
    let w = weight(row, head)
    for i in 0..<rank { factor[i] = w * key[i] }
    stored.update(from: row.value, count: sizes.width)
  }

  func finish(
    _ read: FactorRead, query: UnsafePointer<Float>, head: Int, into out: UnsafeMutablePointer<Float>,
    feature: UnsafeMutablePointer<Float>
  ) {
    let divisor: Float
    switch spec.readOut {
    case .normalised: divisor = read.mapped[sizes.width] + read.sum + Float(Self.epsilon)
    case .mean: divisor = Float(max(1, read.rows))
    case .raw, .leverage: divisor = 1
    }
    for j in 0..<sizes.width { out[j] = read.mapped[j] / divisor }
  }

  // MARK: Training

  let sums = FactorSums.valuesAndRows
  var powers: (key: Float, value: Float)? { spec.weights == .learned ? (1, 0) : nil }
  var extra: FactorExtra { spec.readOut == .normalised ? .sums : .none }

  /// What a query's total is divided by.
  private func divisor(_ reads: FactorReads, _ row: Int) -> Float {
    switch spec.readOut {
    case .normalised: reads.mapped.row(row)[sizes.width] + reads.extra[row] + Float(Self.epsilon)
    case .mean: Float(max(1, reads.set + Int(reads.limits[reads.limits.startIndex + row])))
    case .raw, .leverage: 1
    }
  }

  func finish(_ reads: FactorReads, _ products: FloatProducts) {
    for row in 0..<reads.rows {
      let factor = 1 / divisor(reads, row)
      let (total, out) = (reads.mapped.row(row), reads.out.row(row))
      for j in 0..<sizes.width { out[j] = factor * total[j] }
    }
  }

  /// o = t/c: dt = do/c, dc = −o·do/c.
  func finishGradient(
    _ reads: FactorReads, by gradients: FactorReads, _ numbers: FactorNumbers, _ products: FloatProducts
  ) {
    for row in 0..<reads.rows {
      let factor = 1 / divisor(reads, row)
      let (out, by, total) = (reads.out.row(row), gradients.out.row(row), gradients.mapped.row(row))
      var along: Float = 0
      for j in 0..<sizes.width {
        total[j] = factor * by[j]
        along += out[j] * by[j]
      }
      guard spec.readOut == .normalised else { continue }
      total[sizes.width] = -factor * along
      gradients.extra[row] = -factor * along
    }
  }
}

/// Learned weights of rows: softplus(x·w + b), the product a further column of a stored row, b a number a head.
enum PointWeights {
  static func shape(_ spec: MemorySpec, _ sizes: AttentionSizes, _ shape: MemoryShape) -> MemoryShape {
    guard spec.weights == .learned else { return shape }
    var shape = shape
    shape.layout = StoredLayout(sizes, gates: [StoredLayout.Gate("weight")])
    shape.parameters.insert(MemoryParameter("weight", sizes.heads, initial: Softplus.inverse(1)), at: 0)
    return shape
  }

  static func value(_ row: StoredRow, _ bias: Float) -> Float {
    Float(Softplus.value(Double(row.gate(0)[0]) + Double(bias)))
  }
}

extension HeadPass {
  /// 1/(rows read) of each query of a part, `[queries, 1]`.
  func shares(of part: Part) -> Matrix {
    matrices.input(part.limits.count, 1, learns: false) { values in
      for (row, limit) in part.limits.enumerated() {
        values[row] = 1 / Double(max(1, keys.rows + Int(limit)))
      }
    }
  }
}

extension FeatureMaps {
  /// The map of a specification that has been compiled, whose name is therefore known.
  static func named(orIdentity name: String) -> any FeatureMap {
    all.first { $0.name == name } ?? IdentityFeatures()
  }
}
