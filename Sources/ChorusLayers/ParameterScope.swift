import ChorusTensors

/// How a parameter begins before training.
public enum Start: Sendable, Hashable {
  case zeros
  case ones
  /// Uniform in ±bound.
  case uniform(Double)
  /// Normal around a mean.
  case normal(mean: Double = 0, deviation: Double)
  /// Uniform in ±bound, but for the last rows of the matrix, which begin at zero.
  case gated(bound: Double, rows: Int)
  /// Uniform in ±bound, but for the last columns of the matrix, which begin at zero.
  case narrow(bound: Double, columns: Int)
  /// Uniform in ±bound, with numbers added at some places, counted row by row.
  case adding(bound: Double, [Int: Float])
  case values([Float])

  /// Uniform in ±1/√fan-in, times `shrink`.
  public static func fan(in count: Int, times shrink: Double = 1) -> Start {
    .uniform(1 / Double(count).squareRoot() * shrink)
  }
}

/// Where a layer declares its parameters: names are relative to the layer, and each says its shape and how it begins.
///
/// ```swift
/// var scope = ParameterScope()
/// let map = scope.nested("head") { Projection("up", 64, 128, &$0) }   // head.up.weight, head.up.bias
/// let weights = Weights(scope.table)
/// scope.start(weights, seed: 1)
/// ```
public struct ParameterScope: Sendable {
  public private(set) var table: ParameterTable
  private var starts: [Start] = []
  private var prefix = ""

  /// - Parameter matricesInBlocks: whether weight matrices are kept as a file has them.
  public init(matricesInBlocks: Bool = false) {
    table = ParameterTable(matricesInBlocks: matricesInBlocks)
  }

  /// Declares a matrix `[rows, columns]`, or a vector with one row. A name ends with `.weight` if and only if it multiplies.
  public mutating func parameter(_ name: String, _ rows: Int, _ columns: Int, _ start: Start) -> Parameter {
    let known = table.all.count
    let parameter = table.declare(prefix + name, rows, columns)
    if table.all.count > known { starts.append(start) }
    return parameter
  }

  /// Declares what `body` asks for under `name`.
  public mutating func nested<R, E: Error>(
    _ name: String, _ body: (inout ParameterScope) throws(E) -> R
  ) throws(E) -> R {
    let outer = prefix
    prefix += name + "."
    defer { prefix = outer }
    return try body(&self)
  }

  /// Fills `weights` with a fresh start, a pure function of `seed`: every parameter has a stream of its own.
  public func start(_ weights: Weights, seed: UInt64) {
    for (index, (p, start)) in zip(table.all, starts).enumerated() {
      var stream = RandomStream(seed: seed, 0x1217, UInt64(index))
      let values = weights[p]
      func uniform(_ bound: Double) {
        for i in 0..<p.count { values[i] = Float((2 * stream.uniform() - 1) * bound) }
      }
      switch start {
      case .zeros: values.update(repeating: 0, count: p.count)
      case .ones: values.update(repeating: 1, count: p.count)
      case .uniform(let bound): uniform(bound)
      case .normal(let mean, let deviation):
        for i in 0..<p.count {
          values[i] = Float(mean + (deviation > 0 ? deviation * stream.normal() : 0))
        }
      case .gated(let bound, let rows):
        uniform(bound)
        let gated = min(rows, p.rows) * p.columns
        (values + p.count - gated).update(repeating: 0, count: gated)
      case .narrow(let bound, let columns):
        uniform(bound)
        for row in 0..<p.rows {
          (values + (row + 1) * p.columns - min(columns, p.columns)).update(
            repeating: 0, count: min(columns, p.columns))
        }
      case .adding(let bound, let known):
        uniform(bound)
        for (place, value) in known where (0..<p.count).contains(place) { values[place] += value }
      case .values(let known):
        for i in 0..<p.count { values[i] = i < known.count ? known[i] : 0 }
      }
    }
    weights.pack()
  }
}
