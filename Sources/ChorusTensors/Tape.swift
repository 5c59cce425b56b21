import CChorusKernels

/// A matrix on a tape, or a contiguous range of its rows.
public struct Node: Sendable, Hashable {
  let index: Int
  /// Rows of the recorded matrix that this node stands for.
  let first: Int
  public let rows: Int
  public let columns: Int

  /// The same matrix, seen only in `range` of this node's rows. Nothing is copied.
  public subscript(range: Range<Int>) -> Node {
    Node(index: index, first: first + range.lowerBound, rows: range.count, columns: columns)
  }

  /// The same numbers in rows of `columns`. Nothing is copied.
  public func reshaped(columns new: Int) -> Node {
    precondition(
      (rows * columns).isMultiple(of: new) && (first * columns).isMultiple(of: new),
      "rows are cut or joined whole")
    return Node(index: index, first: first * columns / new, rows: rows * columns / new, columns: new)
  }
}

public enum Activation: Int32, Sendable, Codable {
  case identity = 0
  case gelu = 1
  case relu = 2
}

/// One group of query rows with the keys they see: all rows of `shared`, then a prefix of `own`.
///
/// The visibility of training (context, causal buffer, targets) is a list of these, so that no mask of the size
/// (N+C+M)² is ever made (Hassan et al. 2026, App. A.1; five visible blocks).
public struct VisibleBlock: Sendable {
  public var queries: Range<Int>
  public var shared: Range<Int>
  public var own: Range<Int>
  /// For each query row, how many rows of `own` it sees; empty means none.
  public var limits: [Int32]

  public init(queries: Range<Int>, shared: Range<Int>, own: Range<Int> = 0..<0, limits: [Int32] = []) {
    self.queries = queries
    self.shared = shared
    self.own = own
    self.limits = limits
  }

  /// `own` as far as anybody sees it: without limits there is nothing to read.
  var visibleOwn: Range<Int> { limits.isEmpty ? 0..<0 : own }
}

/// A term of a sum of gathered rows: row `indices[r]` of a node or of a parameter goes into row `r`; -1 adds nothing.
public struct GatherTerm {
  enum Source {
    case node(Node)
    case parameter(Parameter)
  }
  let source: Source
  let indices: [Int32]

  public static func node(_ node: Node, _ indices: [Int32]) -> GatherTerm {
    GatherTerm(source: .node(node), indices: indices)
  }
  /// Rows of a parameter matrix; a vector has the one row 0.
  public static func parameter(_ parameter: Parameter, _ indices: [Int32]) -> GatherTerm {
    GatherTerm(source: .parameter(parameter), indices: indices)
  }
}

/// Records fused operations on matrices as they run, then walks back through them for gradients.
///
/// Operations are an enumeration and their memory comes from one arena, so recording costs a fraction of a
/// microsecond and nothing is allocated once the arena has grown to its size. A tape belongs to one thread.
public final class Tape {
  enum Operation {
    case constant
    case gather([GatherTerm])
    case linear(
      x: Node, weight: Parameter, bias: Parameter?, Activation, pre: UnsafeMutablePointer<Float>?,
      residual: Node?)
    case layerNorm(x: Node, gain: Parameter, bias: Parameter, stats: UnsafeMutablePointer<Float>)
    case rmsNorm(x: Node, gain: Parameter, scales: UnsafeMutablePointer<Float>)
    case gatedUnit(gate: Node, up: Node)
    case rotate(x: Node, Turns)
    case convolve(x: Node, taps: Parameter)
    case attention(
      queries: Node, keyValues: Node, AttentionSizes, [VisibleBlock], lse: [UnsafeMutablePointer<Float>])
    /// A loss over rows whose gradient is known as soon as it is.
    case rowLoss(parameters: Node, gradient: UnsafeMutablePointer<Float>)
    case localLinear(LocalLinear.Pass)
    case beside([Node])
    /// A range of the records of `matrices`, and where its inputs and outputs lie.
    case matrices(Range<Int>, [MatrixPass.Link], [any FusedPass])
  }
  struct Record {
    let operation: Operation
    let values: UnsafeMutablePointer<Float>
    let rows: Int
    let columns: Int
    var needsGradient: Bool
    var gradient: UnsafeMutablePointer<Float>?
    /// The last record that reads this one.
    var lastReader: Int
  }

  public let weights: Weights
  let arena = Arena()
  /// The small matrices that operations are made of inside.
  let matrices = MatrixTape()
  var records: [Record] = []

  public init(_ weights: Weights) { self.weights = weights }

  /// Forgets all records and keeps the memory.
  public func reset() {
    records.removeAll(keepingCapacity: true)
    arena.reset()
    matrices.reset()
  }

  /// Floating-point operations of the products inside `matrices` since the tape was made.
  public var work: Double { matrices.work }

  /// Bytes the tape holds for values and gradients.
  public var bytes: Int { arena.bytes + matrices.bytes }

  public func values(_ node: Node) -> UnsafeMutablePointer<Float> {
    records[node.index].values + node.first * node.columns
  }

  func append(
    _ operation: Operation, _ values: UnsafeMutablePointer<Float>, _ rows: Int, _ columns: Int, reads: [Node],
    parameters: Bool = true
  ) -> Node {
    let index = records.count
    var needs = parameters
    for node in reads {
      records[node.index].lastReader = index
      needs = needs || records[node.index].needsGradient
    }
    records.append(
      Record(
        operation: operation, values: values, rows: rows, columns: columns, needsGradient: needs,
        gradient: nil,
        lastReader: index))
    return Node(index: index, first: 0, rows: rows, columns: columns)
  }

  // MARK: Operations

  /// A matrix given from outside, without a gradient. `values` is `[rows, columns]`.
  public func constant(_ values: [Float], rows: Int, columns: Int) -> Node {
    let memory = arena.floats(rows * columns)
    values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { memory.update(from: base, count: min(rows * columns, source.count)) }
    }
    return append(.constant, memory, rows, columns, reads: [], parameters: false)
  }

  /// A matrix that stays where it is, `[rows, columns]` at `values`, as long as the tape's records.
  ///
  /// - Parameter learns: whether a walk back leaves its gradient in `gradient(of:)`.
  public func input(_ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, learns: Bool) -> Node {
    append(.constant, values, rows, columns, reads: [], parameters: learns)
  }

  /// A sum of gathered rows: `out[r] = Σ_terms source[indices[r]]`, `[rows, columns]`.
  public func gather(_ terms: [GatherTerm], rows: Int, columns: Int) -> Node {
    let out = arena.zeros(rows * columns)
    var reads: [Node] = []
    for term in terms {
      let source: UnsafeMutablePointer<Float>
      switch term.source {
      case .node(let node):
        source = values(node)
        reads.append(node)
      case .parameter(let parameter): source = weights[parameter]
      }
      for (row, index) in term.indices.enumerated() where index >= 0 {
        ck_add(columns, source + Int(index) * columns, out + row * columns)
      }
    }
    return append(.gather(terms), out, rows, columns, reads: reads)
  }

  /// The sum of two matrices of the same shape.
  public func add(_ a: Node, _ b: Node) -> Node {
    let rows = (0..<Int32(a.rows)).map { $0 }
    return gather([.node(a, rows), .node(b, rows)], rows: a.rows, columns: a.columns)
  }

  /// `activation(x W + b) + residual`, with x `[rows, k]` and W `[k, n]`.
  public func linear(
    _ x: Node, _ weight: Parameter, bias: Parameter? = nil, activation: Activation = .identity,
    residual: Node? = nil
  ) -> Node {
    let (rows, n) = (x.rows, weight.columns)
    let out = arena.floats(rows * n)
    let pre = activation == .identity ? nil : arena.floats(rows * n)
    weights.linear(
      values(x), rows: rows, stride: x.columns, weight, bias: bias, activation: activation,
      residual: residual.map { UnsafePointer(values($0)) }, pre: pre, into: out)
    return append(
      .linear(x: x, weight: weight, bias: bias, activation, pre: pre, residual: residual), out, rows, n,
      reads: residual.map { [x, $0] } ?? [x])
  }

  /// Layer normalisation of each row (Ba et al. 2016, eq. 4), ε = 1e-5; columns beyond those of the gain stay as they are.
  public func layerNorm(_ x: Node, gain: Parameter, bias: Parameter) -> Node {
    let out = arena.floats(x.rows * x.columns)
    let stats = arena.floats(x.rows * 2)
    weights.layerNorm(
      values(x), rows: x.rows, width: x.columns, gain: gain, bias: bias, into: out, stats: stats)
    return append(.layerNorm(x: x, gain: gain, bias: bias, stats: stats), out, x.rows, x.columns, reads: [x])
  }

  /// Softmax attention: queries `[rows, d]`, keys and values side by side in `keyValues`, of as many heads as have room there.
  ///
  /// Query rows outside every block give zeros.
  public func attention(queries: Node, keyValues: Node, heads: Int, blocks: [VisibleBlock]) -> Node {
    let d = queries.columns
    let width = d / heads
    let sizes = AttentionSizes(heads: heads, width: width, keyHeads: keyValues.columns / (2 * width))
    let out = arena.zeros(queries.rows * d)
    let lse = blocks.map { arena.floats($0.queries.count * heads) }
    let mark = arena.mark
    let packed = PackedSegments(arena, sizes)
    for (block, lse) in zip(blocks, lse) where !block.queries.isEmpty {
      packed.attend(
        block, queries: values(queries), keyValues: values(keyValues), out: out, lse: lse)
    }
    arena.rewind(to: mark)
    return append(
      .attention(queries: queries, keyValues: keyValues, sizes, blocks, lse: lse), out, queries.rows, d,
      reads: [queries, keyValues])
  }

  /// A weighted negative log-density over rows, Σ_r weights[r]·(−log p_r), `[1, 1]`, and its log-densities.
  ///
  /// - Parameter body: gets the parameters `[rows, columns]`, fills the gradient of the sum by them, and log p of each row.
  public func rowLoss(
    _ parameters: Node, weights rowWeights: [Float],
    _ body: (
      _ parameters: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>,
      _ logDensities: UnsafeMutablePointer<Float>
    ) -> Void
  ) -> (loss: Node, logDensities: [Float]) {
    let rows = parameters.rows
    let gradient = arena.floats(rows * parameters.columns)
    let logp = [Float](unsafeUninitializedCapacity: rows) { buffer, count in
      count = rows
      guard let first = buffer.baseAddress, rows > 0 else { return }
      body(UnsafePointer(values(parameters)), gradient, first)
    }
    let loss = arena.floats(1)
    var total = 0.0
    for row in 0..<rows { total -= Double(rowWeights[row]) * Double(logp[row]) }
    loss[0] = Float(total)
    let node = append(
      .rowLoss(parameters: parameters, gradient: gradient), loss, 1, 1, reads: [parameters])
    return (node, logp)
  }
}
