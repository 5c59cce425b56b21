import CChorusKernels

/// One named array of a model: a matrix `[rows, columns]`, or a vector with `rows == 1`.
public struct Parameter: Sendable, Hashable {
  public let path: String
  public let rows: Int
  public let columns: Int
  /// Where it begins in the flat block of all parameters, in floats.
  public let offset: Int
  /// Where a weight matrix begins among the packed ones, and its transpose among the packed transposes.
  let packedOffset: Int
  let transposedOffset: Int
  /// Its number among the weight matrices.
  let matrix: Int
  public var count: Int { rows * columns }
  /// A matrix that multiplies (and is therefore packed and decayed), told by its name.
  public var isWeight: Bool { path.hasSuffix(".weight") }
  public var shape: [Int] { rows == 1 && !isWeight ? [columns] : [rows, columns] }
}

/// The parameters of a model by path, in the order they were declared, one flat block behind all of them.
public struct ParameterTable: Sendable {
  public private(set) var all: [Parameter] = []
  public private(set) var count = 0
  /// Floats that all weight matrices take when packed, and their transposes.
  private(set) var packedCount = 0
  private(set) var transposedCount = 0
  private var matrices = 0
  private var byPath: [String: Int] = [:]
  /// Whether weight matrices are kept as a file has them and take no room in the block.
  public let matricesInBlocks: Bool

  public init(matricesInBlocks: Bool = false) { self.matricesInBlocks = matricesInBlocks }

  /// Declares a parameter. Declaring a path twice is a programming error and returns the first one.
  @discardableResult
  public mutating func declare(_ path: String, _ rows: Int, _ columns: Int) -> Parameter {
    if let index = byPath[path] { return all[index] }
    let parameter = Parameter(
      path: path, rows: rows, columns: columns, offset: count, packedOffset: packedCount,
      transposedOffset: transposedCount, matrix: matrices)
    byPath[path] = all.count
    all.append(parameter)
    if parameter.isWeight { matrices += 1 }
    if parameter.isWeight, matricesInBlocks { return parameter }
    count += (parameter.count + 15) & ~15  // every array begins on a cache line
    if parameter.isWeight {
      packedCount += ck_packed_count(Int32(rows), Int32(columns))
      transposedCount += ck_packed_count(Int32(columns), Int32(rows))
    }
    return parameter
  }

  public subscript(path: String) -> Parameter? { byPath[path].map { all[$0] } }
}

/// The values of a model's parameters, with each weight matrix also packed for the kernels.
///
/// `pack` must follow every change of `values`. Reading from several threads is safe between such changes.
public final class Weights: Sendable {
  public let table: ParameterTable
  /// What products with the matrices are rounded to.
  public let precision: Precision
  public let values: FloatBuffer
  /// All weight matrices packed, in the order of the table, and their transposes where gradients need them.
  private let forward: FloatBuffer
  private let transposed: FloatBuffer?
  /// The weight matrices, where they are kept as a file has them.
  private let blocks: [BlockMatrix]

  /// - Parameters:
  ///   - training: also keep the transposed packing that gradients need.
  ///   - precision: what products are rounded to; `values` are 32-bit floats in any case.
  public init(_ table: ParameterTable, training: Bool = false, precision: Precision = .f32) {
    self.table = table
    self.precision = precision
    values = FloatBuffer(count: table.count)
    forward = FloatBuffer(count: table.packedCount)
    transposed = training ? FloatBuffer(count: table.transposedCount) : nil
    blocks = []
  }

  /// Weights whose matrices are kept as a file has them, in the order of the table, and whose other values are zeros; nil
  /// where a matrix has another shape. They serve inference, by layers without biases and activations.
  public init?(_ table: ParameterTable, blocks: [BlockMatrix]) {
    let shapes = table.all.filter(\.isWeight)
    guard table.matricesInBlocks, shapes.count == blocks.count,
      zip(shapes, blocks).allSatisfy({ $0.rows == $1.inputs && $0.columns == $1.outputs })
    else { return nil }
    self.table = table
    self.blocks = blocks
    precision = .f32
    values = FloatBuffer(count: table.count)
    forward = FloatBuffer(count: 0)
    transposed = nil
  }

  /// The matrix of a parameter that is kept as a file has it.
  public func block(_ weight: Parameter) -> BlockMatrix? {
    blocks.isEmpty ? nil : blocks[weight.matrix]
  }

  /// Whether products over an inner dimension are rounded: the kernels have a longest one.
  func rounds(_ inner: Int) -> Bool { precision == .bf16 && inner <= Int(CK_BF16_LONGEST) }

  public subscript(p: Parameter) -> UnsafeMutablePointer<Float> { values.pointer + p.offset }

  /// Packs every weight matrix anew.
  public func pack(on pool: ThreadPool? = nil) {
    guard blocks.isEmpty else { return }
    let weights = table.all.filter(\.isWeight)
    let body: @Sendable (Int) -> Void = { [self] index in
      let p = weights[index]
      let (rows, columns) = (Int32(p.rows), Int32(p.columns))
      let pack = rounds(p.rows) ? ck_pack_bf16 : ck_pack
      pack(rows, columns, self[p], columns, 0, forward.pointer + p.packedOffset)
      if let transposed {
        let pack = rounds(p.columns) ? ck_pack_bf16 : ck_pack
        pack(columns, rows, self[p], columns, 1, transposed.pointer + p.transposedOffset)
      }
    }
    if let pool {
      pool.run(weights.count, body)
    } else {
      for index in weights.indices { body(index) }
    }
  }

  /// The packed form of a weight matrix.
  public func packed(_ weight: Parameter) -> UnsafePointer<Float> {
    UnsafePointer(forward.pointer + weight.packedOffset)
  }

  /// The packed form of a weight matrix's transpose, kept only for training.
  public func packedTranspose(_ weight: Parameter) -> UnsafePointer<Float>? {
    transposed.map { UnsafePointer($0.pointer + weight.transposedOffset) }
  }

  public var bytes: Int {
    (values.count + forward.count + (transposed?.count ?? 0)) * 4 + blocks.reduce(0) { $0 + $1.bytes }
  }
}

extension Weights {
  /// `out = activation(x W + b) + residual` for `count` rows; x `[count, k]`, out and residual `[count, n]`. Rows
  /// of x are `stride` floats apart (nil: k), those of out `outStride` (nil: n). `pre` receives the sum before the
  /// activation. `residual` may be `out`. A pool serves matrices in blocks, whose rows are long.
  public func linear(
    _ x: UnsafePointer<Float>, rows count: Int, stride: Int? = nil, _ weight: Parameter,
    bias: Parameter? = nil,
    activation: Activation = .identity, residual: UnsafePointer<Float>? = nil,
    pre: UnsafeMutablePointer<Float>? = nil, into out: UnsafeMutablePointer<Float>,
    outStride: Int? = nil, on pool: ThreadPool? = nil
  ) {
    if let block = block(weight) {
      precondition(bias == nil && activation == .identity && pre == nil, "blocks serve plain maps")
      block.multiply(
        x, rows: count, stride: stride ?? weight.rows, residual: residual, into: out,
        outStride: outStride ?? weight.columns, on: pool)
      return
    }
    let n = Int32(weight.columns)
    var arguments = ck_matmul_args()
    arguments.m = Int32(count)
    arguments.k = Int32(weight.rows)
    arguments.n = n
    arguments.a = x
    arguments.lda = Int32(stride ?? weight.rows)
    arguments.packed = packed(weight)
    arguments.c = out
    arguments.ldc = outStride.map { Int32($0) } ?? n
    if let bias { arguments.bias = UnsafePointer(self[bias]) }
    arguments.activation = activation.rawValue
    arguments.pre = pre
    arguments.ldpre = n
    arguments.residual = residual
    arguments.ldres = n
    if rounds(weight.rows) { ck_matmul_bf16(&arguments) } else { ck_matmul(&arguments) }
  }

  /// Layer normalisation of `count` rows (Ba et al. 2016, eq. 4) with ε = 1e-5; `stats` receives mean and 1/sd.
  ///
  /// - Parameter width: of a row; columns beyond those of the gain are copied. nil: those of the gain.
  public func layerNorm(
    _ x: UnsafePointer<Float>, rows count: Int, width: Int? = nil, gain: Parameter, bias: Parameter,
    into out: UnsafeMutablePointer<Float>, stats: UnsafeMutablePointer<Float>? = nil
  ) {
    let (normed, width) = (gain.columns, width ?? gain.columns)
    ck_layer_norm(
      Int32(count), Int32(normed), x, Int32(width), self[gain], self[bias], 1e-5, out, Int32(width), stats)
    guard width > normed, x != UnsafePointer(out) else { return }
    for row in 0..<count {
      (out + row * width + normed).update(from: x + row * width + normed, count: width - normed)
    }
  }
}
