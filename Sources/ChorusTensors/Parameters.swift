import CChorusKernels

/// One named array of a model: a matrix `[rows, columns]`, or a vector with `rows == 1`.
public struct Parameter: Sendable, Hashable {
  public let path: String
  public let rows: Int
  public let columns: Int
  /// Where it begins in the flat block of all parameters, in floats.
  public let offset: Int
  public var count: Int { rows * columns }
  /// A matrix that multiplies (and is therefore packed and decayed), told by its name.
  public var isWeight: Bool { path.hasSuffix(".weight") }
  public var shape: [Int] { rows == 1 && !isWeight ? [columns] : [rows, columns] }
}

/// The parameters of a model by path, in the order they were declared, one flat block behind all of them.
public struct ParameterTable: Sendable {
  public private(set) var all: [Parameter] = []
  public private(set) var count = 0
  private var byPath: [String: Int] = [:]

  public init() {}

  /// Declares a parameter. Declaring a path twice is a programming error and returns the first one.
  @discardableResult
  public mutating func declare(_ path: String, _ rows: Int, _ columns: Int) -> Parameter {
    if let index = byPath[path] { return all[index] }
    let parameter = Parameter(path: path, rows: rows, columns: columns, offset: count)
    byPath[path] = all.count
    all.append(parameter)
    count += (parameter.count + 15) & ~15  // every array begins on a cache line
    return parameter
  }

  public subscript(path: String) -> Parameter? { byPath[path].map { all[$0] } }
}

/// The values of a model's parameters, with each weight matrix also packed for the kernels.
///
/// `pack` must follow every change of `values`. Reading from several threads is safe between such changes.
public final class Weights: Sendable {
  public let table: ParameterTable
  public let values: FloatBuffer
  private let forward: [Int: FloatBuffer]
  private let transposed: [Int: FloatBuffer]

  /// - Parameter training: also keep the transposed packing that gradients need.
  public init(_ table: ParameterTable, training: Bool = false) {
    self.table = table
    values = FloatBuffer(count: table.count)
    var forward: [Int: FloatBuffer] = [:]
    var transposed: [Int: FloatBuffer] = [:]
    for p in table.all where p.isWeight {
      forward[p.offset] = FloatBuffer(count: ck_packed_count(Int32(p.rows), Int32(p.columns)))
      if training {
        transposed[p.offset] = FloatBuffer(count: ck_packed_count(Int32(p.columns), Int32(p.rows)))
      }
    }
    self.forward = forward
    self.transposed = transposed
  }

  public subscript(p: Parameter) -> UnsafeMutablePointer<Float> { values.pointer + p.offset }

  /// Packs every weight matrix anew.
  public func pack(on pool: ThreadPool? = nil) {
    let weights = table.all.filter(\.isWeight)
    let body: @Sendable (Int) -> Void = { [self] index in
      let p = weights[index]
      let (rows, columns) = (Int32(p.rows), Int32(p.columns))
      if let packed = forward[p.offset] {
        ck_pack(rows, columns, self[p], columns, 0, packed.pointer)
      }
      if let packed = transposed[p.offset] {
        ck_pack(columns, rows, self[p], columns, 1, packed.pointer)
      }
    }
    if let pool { pool.run(weights.count, body) } else { for index in weights.indices { body(index) } }
  }

  /// The packed form of a weight matrix: of itself, or of its transpose (kept only for training).
  public func packed(_ p: Parameter, transposed isTransposed: Bool = false) -> UnsafeMutablePointer<Float>? {
    (isTransposed ? transposed : forward)[p.offset]?.pointer
  }

  public var bytes: Int {
    (values.count + forward.values.reduce(0) { $0 + $1.count } + transposed.values.reduce(0) { $0 + $1.count })
      * 4
  }
}

extension Weights {
  /// `out = activation(x W + b) + residual` for `count` rows; x `[count, k]`, out and residual `[count, n]`. Rows
  /// of x are `stride` floats apart (nil: k), those of out `outStride` (nil: n). `pre` receives the sum before the
  /// activation. `residual` may be `out`.
  public func linear(
    _ x: UnsafePointer<Float>, rows count: Int, stride: Int? = nil, _ weight: Parameter,
    bias: Parameter? = nil,
    activation: Activation = .identity, residual: UnsafePointer<Float>? = nil,
    pre: UnsafeMutablePointer<Float>? = nil, into out: UnsafeMutablePointer<Float>, outStride: Int? = nil
  ) {
    let n = Int32(weight.columns)
    var arguments = ck_matmul_args()
    arguments.m = Int32(count)
    arguments.k = Int32(weight.rows)
    arguments.n = n
    arguments.a = x
    arguments.lda = Int32(stride ?? weight.rows)
    arguments.packed = packed(weight).map { UnsafePointer($0) }
    arguments.c = out
    arguments.ldc = outStride.map { Int32($0) } ?? n
    if let bias { arguments.bias = UnsafePointer(self[bias]) }
    arguments.activation = activation.rawValue
    arguments.pre = pre
    arguments.ldpre = n
    arguments.residual = residual
    arguments.ldres = n
    ck_matmul(&arguments)
  }

  /// Layer normalisation of `count` rows (Ba et al. 2016, eq. 4) with ε = 1e-5; `stats` receives mean and 1/sd.
  public func layerNorm(
    _ x: UnsafePointer<Float>, rows count: Int, gain: Parameter, bias: Parameter,
    into out: UnsafeMutablePointer<Float>, stats: UnsafeMutablePointer<Float>? = nil
  ) {
    let d = Int32(gain.columns)
    ck_layer_norm(Int32(count), d, x, d, self[gain], self[bias], 1e-5, out, d, stats)
  }
}
