import ChorusTensors
import Foundation

/// Three small experiments whose figures are known, computed with the library's own memories: what tells a memory's kind
/// before anything is trained.
public enum GoldenTables {
  public struct Table: Sendable {
    public struct Cell: Sendable {
      public let memory: String
      public let value: Double
      /// The known figure; nil where none was published with these choices.
      public let known: Double?
    }
    public struct Row: Sendable {
      public let setting: String
      public let cells: [Cell]
      public subscript(memory: String) -> Double? { cells.first { $0.memory == memory }?.value }
    }
    public let title: String
    public let rows: [Row]
  }

  /// All tables; the same figures at every call.
  public static func all() throws(MemoryError) -> [Table] {
    [try correlatedKeys(), try regressionInOnePass(), try recall()]
  }

  // MARK: Correlated keys

  /// 32 unit keys √ρ·c + √(1−ρ)·u of width 64 with independent values of variance 1, each read at its own key: the mean
  /// squared error of a value. Linear attention's is near (n−1)(ρ² + (1−ρ)²/d): cross-talk, which ridge undoes.
  public static func correlatedKeys(repeats: Int = 64) throws(MemoryError) -> Table {
    let (rows, width) = (32, 64)
    let known: [Double: [Double]] = [
      0: [0.480, 0.290, 8e-6], 0.5: [8.04, 0.811, 3e-5], 0.9: [25.0, 1.62, 7e-4],
    ]
    let leastRidge = ["ridge": -40.0]  // 10⁻³, the floor
    let subjects = [
      try Subject("linear", linear(.raw), width),
      try Subject(
        "delta", MemorySpec(features: "unit", function: .linear, optimiser: .online), width, ["rate": 40]),
      try Subject("ridge", MemorySpec(features: "unit", function: .linear), width, leastRidge),
    ]
    var table: [Table.Row] = []
    for correlation in [0, 0.5, 0.9] {
      var errors = subjects.map { _ in 0.0 }
      for index in 0..<repeats {
        var stream = RandomStream(seed: 21, UInt64(index), UInt64(correlation * 10))
        let keys = self.keys(rows, width, correlation, &stream)
        let values = (0..<rows).map { _ in stream.normals(width) }
        for (place, subject) in subjects.enumerated() {
          let read = subject.readSet(keys, values, at: keys)
          errors[place] += squares(read, values) / Double(rows * width * repeats)
        }
      }
      table.append(row("rho \(correlation)", subjects, errors, known[correlation]))
    }
    return Table(title: "Error of recall from correlated keys", rows: table)
  }

  // MARK: Regression inside one pass

  private struct Setting {
    let name: String
    let segment: Int
    var noise = 0.0
    var correlation = 0.0
    let known: [Double]
  }

  /// v_t = k_t·A + noise with unit keys of width 16, A drawn anew every `segment` steps of 512: each v_t is predicted from
  /// the pairs before it. The squared error relative to the values without their noise, over the last 32 steps of every segment.
  ///
  /// Linear attention is scaled by d/t, with a gate of 0.97 by d·0.03; softmax and local linear have the inverse temperature
  /// 8, and recursive least squares forgets by 1 − 2⁻⁵ where the known figures have 0.97.
  public static func regressionInOnePass(repeats: Int = 16) throws(MemoryError) -> Table {
    let (width, steps) = (16, 512)
    // Keys and queries of length √32, so that q·k/√16 is 8 on unit keys; the least ridge 10⁻³ is then 3·10⁻⁵ on those.
    let stretch = 32.0.squareRoot()
    let local = MemorySpec(
      weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 2 * width))
    let subjects = [
      try Subject("linear-mean", linear(.mean), width, gain: Double(width)),
      try Subject(
        "gated-linear",
        MemorySpec(
          weights: .scalarGate, features: "unit", function: .linear, loss: .dot,
          optimiser: .gradient(steps: 1)),
        width, ["keep": -log(expm1(-ScalarGateRule.divisor * log(0.97)))], gain: 0.03 * Double(width)),
      try Subject(
        "delta", MemorySpec(features: "unit", function: .linear, optimiser: .online), width, ["rate": 40]),
      try Subject(
        "ridge", MemorySpec(features: "unit", function: .linear), width, ["ridge": log(expm1(9e-3))]),
      try Subject(
        "rls", MemorySpec(weights: .decay, features: "unit", function: .linear, optimiser: .recursive), width,
        ["ridge": log(expm1(1e-2))]),
      try Subject(
        "softmax-unit",
        MemorySpec(weights: .similarity, features: "unit", function: .localConstant, readOut: .normalised),
        width,
        ["temperature": log(8)]),
      try Subject("local-linear", local, width, ["ridge": -40], stretch: stretch),
    ]
    let settings = [
      Setting(name: "one map, no noise", segment: 512, known: [0.037, 0.244, 0, 0, 0, 0.355, 0]),
      Setting(
        name: "one map, noise 0.3", segment: 512, noise: 0.3,
        known: [0.130, 0.339, 0.189, 0.097, 0.118, 0.415, 0.125]),
      Setting(
        name: "one map, keys rho 0.7", segment: 512, correlation: 0.7, known: [75.5, 76.7, 0, 0, 0, 0.232, 0]),
      Setting(
        name: "a map every 128", segment: 128, known: [0.634, 0.256, 0.0015, 0.584, 0.0049, 0.726, 0.759]),
      Setting(
        name: "a map every 128, noise 0.1", segment: 128, noise: 0.1,
        known: [0.640, 0.268, 0.024, 0.590, 0.019, 0.729, 0.770]),
    ]
    let table = settings.map { setting in
      var errors = subjects.map { _ in 0.0 }
      var size = 0.0
      for index in 0..<repeats {
        var stream = RandomStream(seed: 34, UInt64(index))
        let keys = self.keys(steps, width, setting.correlation, &stream)
        var map: [[Double]] = []
        var (clean, values) = ([[Double]](), [[Double]]())
        for step in 0..<steps {
          if step % setting.segment == 0 { map = (0..<width).map { _ in stream.normals(width) } }
          clean.append((0..<width).map { j in (0..<width).reduce(0) { $0 + keys[step][$1] * map[$1][j] } })
          values.append(clean[step].map { $0 + setting.noise * stream.normal() })
        }
        let asked = (0..<steps).filter { $0 % setting.segment >= setting.segment - 32 }
        let wanted = asked.map { values[$0] }
        size += asked.reduce(0) { sum, step in clean[step].reduce(sum) { $0 + $1 * $1 } }
        for (place, subject) in subjects.enumerated() {
          errors[place] += squares(
            subject.readPrefixes(keys, values, at: asked.map { keys[$0] }, limits: asked), wanted)
        }
      }
      return row(setting.name, subjects, errors.map { $0 / size }, setting.known)
    }
    return Table(title: "Relative error of regression inside one pass", rows: table)
  }

  // MARK: Shared

  static func linear(_ readOut: MemorySpec.ReadOut) -> MemorySpec {
    MemorySpec(
      features: "unit", function: .linear, loss: .dot, optimiser: .gradient(steps: 1), readOut: readOut)
  }

  /// Unit keys √ρ·c + √(1−ρ)·u with c and u uniform on the sphere, of length 1 again.
  private static func keys(
    _ count: Int, _ width: Int, _ correlation: Double, _ stream: inout RandomStream
  ) -> [[Double]] {
    func unit(_ x: [Double]) -> [Double] {
      let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return x.map { $0 / length }
    }
    let common = unit(stream.normals(width))
    return (0..<count).map { _ in
      let own = unit(stream.normals(width))
      return unit(
        zip(common, own).map { correlation.squareRoot() * $0 + (1 - correlation).squareRoot() * $1 })
    }
  }

  private static func squares(_ read: [[Double]], _ wanted: [[Double]]) -> Double {
    zip(read.joined(), wanted.joined()).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  }

  static func row(
    _ setting: String, _ subjects: [Subject], _ errors: [Double], _ known: [Double]?
  ) -> Table.Row {
    Table.Row(
      setting: setting,
      cells: subjects.indices.map { index in
        Table.Cell(memory: subjects[index].name, value: errors[index], known: known.map { $0[index] })
      })
  }

  /// A memory with a name, whose keys and queries are stretched and whose reads are multiplied.
  struct Subject {
    let name: String
    private let trial: MemoryTrial
    private let gain: Double
    private let stretch: Double

    init(
      _ name: String, _ spec: MemorySpec, _ width: Int, _ numbers: [String: Double] = [:], gain: Double = 1,
      stretch: Double = 1
    ) throws(MemoryError) {
      trial = try MemoryTrial(spec, width: width, numbers: numbers)
      (self.name, self.gain, self.stretch) = (name, gain, stretch)
    }

    private func stretched(_ rows: [[Double]]) -> [[Double]] { rows.map { $0.map { stretch * $0 } } }
    private func gained(_ rows: [[Double]]) -> [[Double]] { rows.map { $0.map { gain * $0 } } }

    /// All rows as a set, read at every query.
    func readSet(_ keys: [[Double]], _ values: [[Double]], at queries: [[Double]]) -> [[Double]] {
      gained(trial.read(keys: stretched(keys), values: values, at: stretched(queries)))
    }

    /// All rows behind an empty set, query i reading the first `limits[i]`.
    func readPrefixes(
      _ keys: [[Double]], _ values: [[Double]], at queries: [[Double]], limits: [Int]
    ) -> [[Double]] {
      gained(trial.read(keys: stretched(keys), values: values, at: stretched(queries), limits: limits))
    }
  }
}
