import CChorusKernels

/// How a file keeps the numbers of a matrix: as they are, or in blocks of few-bit integers with scales. The raw values are
/// those of GGUF files.
public enum BlockFormat: Int32, Sendable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q40 = 2
  case q41 = 3
  case q80 = 8
  case q4k = 12
  case q5k = 13
  case q6k = 14
  case bf16 = 30

  /// Numbers in a block and the bytes that it takes; those that are kept as they are count in eights.
  public var values: Int { Int(ck_block_values(rawValue)) }
  public var bytes: Int { Int(ck_block_bytes(rawValue)) }
  /// As ggml calls it.
  public var name: String {
    switch self {
    case .f32: "F32"
    case .f16: "F16"
    case .bf16: "BF16"
    case .q40: "Q4_0"
    case .q41: "Q4_1"
    case .q80: "Q8_0"
    case .q4k: "Q4_K"
    case .q5k: "Q5_K"
    case .q6k: "Q6_K"
    }
  }

  /// Bytes of `count` numbers; nil where they fill no whole number of blocks.
  public func bytes(of count: Int) -> Int? {
    let (blocks, rest) = count.quotientAndRemainder(dividingBy: values)
    let (size, overflow) = blocks.multipliedReportingOverflow(by: bytes)
    return rest == 0 && count >= 0 && !overflow ? size : nil
  }
}

/// A weight matrix that stays as a file keeps it and is expanded inside products.
///
/// Output after output, each a row of `inputs` numbers. The memory belongs to `owner`, as a rule a mapped file.
public struct BlockMatrix: @unchecked Sendable {
  /// Outputs beside each other that lie together in memory.
  private struct Part: @unchecked Sendable {
    let format: BlockFormat
    let bytes: UnsafeRawPointer
    let outputs: Int
    let owner: any AnyObject & Sendable
  }

  public let inputs: Int
  public private(set) var outputs: Int
  private var parts: [Part]
  private static let scratch = ScratchPool()

  /// `bytes` holds `outputs` rows of `inputs` numbers; nil where a row is no whole number of blocks.
  public init?(
    _ format: BlockFormat, inputs: Int, outputs: Int, bytes: UnsafeRawPointer,
    owner: any AnyObject & Sendable
  ) {
    guard inputs > 0, outputs > 0, format.bytes(of: inputs) != nil else { return nil }
    (self.inputs, self.outputs) = (inputs, outputs)
    parts = [Part(format: format, bytes: bytes, outputs: outputs, owner: owner)]
  }

  /// A matrix of 32-bit numbers of one's own; nil where `inputs` is no multiple of 8.
  public init?(_ values: FloatBuffer, inputs: Int, outputs: Int) {
    guard values.count == inputs * outputs else { return nil }
    self.init(
      .f32, inputs: inputs, outputs: outputs, bytes: UnsafeRawPointer(values.pointer), owner: values)
  }

  /// This matrix with the outputs of another one behind its own; nil where their inputs differ.
  public func beside(_ other: BlockMatrix) -> BlockMatrix? {
    guard other.inputs == inputs else { return nil }
    var both = self
    both.parts += other.parts
    both.outputs += other.outputs
    return both
  }

  /// Bytes in memory or in the file.
  public var bytes: Int {
    parts.reduce(0) { $0 + $1.outputs * ($1.format.bytes(of: inputs) ?? 0) }
  }

  /// The numbers of one output.
  public func expand(_ output: Int, into values: UnsafeMutablePointer<Float>) {
    var first = 0
    for part in parts {
      if output < first + part.outputs {
        let size = part.format.bytes(of: inputs) ?? 0
        ck_expand(part.format.rawValue, inputs, part.bytes + (output - first) * size, values)
        return
      }
      first += part.outputs
    }
  }

  /// Outputs that one thread computes at a time.
  private static let share = 96

  /// `out = x·Wᵀ + residual` for `count` rows of x, `stride` floats apart; those of out `outStride`.
  ///
  /// The same bytes with and without a pool, and for a row whatever the others are. `residual` may be `out`.
  public func multiply(
    _ x: UnsafePointer<Float>, rows count: Int, stride: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, outStride: Int, on pool: ThreadPool?
  ) {
    // One loop over the shares of all parts: threads meet once a product.
    var (pieces, first): ([(part: Part, range: Range<Int>, column: Int)], Int) = ([], 0)
    for part in parts {
      for begin in Swift.stride(from: 0, to: part.outputs, by: pool == nil ? part.outputs : Self.share) {
        let end = pool == nil ? part.outputs : min(begin + Self.share, part.outputs)
        pieces.append((part, begin..<end, first))
      }
      first += part.outputs
    }
    nonisolated(unsafe) let (x, residual, out) = (x, residual, out)
    let body: @Sendable (Int) -> Void = { [self, pieces] index in
      let (part, range, column) = pieces[index]
      multiply(
        part, range, x, rows: count, stride: stride, residual: residual.map { $0 + column },
        into: out + column, outStride: outStride)
    }
    if let pool { pool.run(pieces.count, body) } else { for index in pieces.indices { body(index) } }
  }

  private func multiply(
    _ part: Part, _ range: Range<Int>, _ x: UnsafePointer<Float>, rows: Int, stride: Int,
    residual: UnsafePointer<Float>?, into out: UnsafeMutablePointer<Float>, outStride: Int
  ) {
    let size = part.format.bytes(of: inputs) ?? 0
    var arguments = ck_products_args()
    (arguments.m, arguments.k, arguments.n) = (Int32(rows), Int32(inputs), Int32(range.count))
    arguments.type = part.format.rawValue
    arguments.weights = part.bytes + range.lowerBound * size
    arguments.row_bytes = size
    (arguments.a, arguments.lda) = (x, Int32(stride))
    (arguments.c, arguments.ldc) = (out + range.lowerBound, Int32(outStride))
    arguments.residual = residual.map { $0 + range.lowerBound }
    arguments.ldres = Int32(outStride)
    guard rows > 1 else { return ck_products(&arguments) }
    Self.scratch.with { arena in
      arguments.scratch = arena.floats(ck_products_scratch(Int32(rows), Int32(inputs)))
      ck_products(&arguments)
    }
  }
}
