import CChorusKernels

/// Matrices recorded inside one operation of a tape: inputs cut out of nodes and parameters, outputs put into its rows.
public final class MatrixPass {
  public typealias Matrix = MatrixTape.Matrix

  /// Where a matrix came from, or where it goes: a place in rows of `stride` floats.
  struct Link {
    enum Place {
      case node(Node)
      case parameter(Parameter)
      case output
    }
    let matrix: Matrix
    let place: Place
    let offset: Int
    let stride: Int
  }

  /// The matrices' own tape: what is computed between inputs and outputs.
  public let matrices: MatrixTape
  /// Holds this pass through what it has fused.
  private unowned let tape: Tape
  private let out: UnsafeMutablePointer<Float>
  private let columns: Int
  private(set) var links: [Link] = []
  fileprivate(set) var fused: [any FusedPass] = []

  init(_ tape: Tape, out: UnsafeMutablePointer<Float>, columns: Int) {
    self.tape = tape
    self.out = out
    self.columns = columns
    matrices = tape.matrices
  }

  /// A node's values, for what is computed beside the matrices.
  public func values(_ node: Node) -> UnsafePointer<Float> { UnsafePointer(tape.values(node)) }

  /// Whether a node's gradient is asked for.
  public func learns(_ node: Node) -> Bool { tape.needsGradient(node) }

  /// Memory that lasts as long as the tape's records.
  public var arena: Arena { tape.arena }

  /// Rows of the operation's output, `[rows, columns]`, for what is computed beside the matrices.
  public var output: (values: UnsafeMutablePointer<Float>, columns: Int) { (out, columns) }

  /// Lets `pass`, which has written its part of the output, take part in the walk back.
  public func fuse(_ pass: any FusedPass) { fused.append(pass) }

  /// A part of a node.
  public func input(_ node: Node, rows: Range<Int>, columns: Range<Int>) -> Matrix {
    let offset = rows.lowerBound * node.columns + columns.lowerBound
    return read(
      tape.values(node) + offset, .node(node), offset, node.columns, rows.count, columns.count,
      learns: tape.needsGradient(node))
  }

  /// Elements of a parameter as a row `[1, count]`.
  public func input(_ parameter: Parameter, _ range: Range<Int>) -> Matrix {
    read(
      tape.weights[parameter] + range.lowerBound, .parameter(parameter), range.lowerBound, range.count, 1,
      range.count, learns: true)
  }

  private func read(
    _ from: UnsafePointer<Float>, _ place: Link.Place, _ offset: Int, _ stride: Int, _ rows: Int,
    _ columns: Int, learns: Bool
  ) -> Matrix {
    let matrix = matrices.input(rows, columns, learns: learns) { values in
      for i in 0..<rows { for j in 0..<columns { values[i * columns + j] = Double(from[i * stride + j]) } }
    }
    if learns { links.append(Link(matrix: matrix, place: place, offset: offset, stride: stride)) }
    return matrix
  }

  /// Puts a matrix into the operation's output, its first element at `row` and `column`. Places must not overlap.
  public func emit(_ matrix: Matrix, row: Int, column: Int) {
    let offset = row * columns + column
    let values = matrices.values(matrix)
    for i in 0..<matrix.rows {
      for j in 0..<matrix.columns {
        out[offset + i * columns + j] = Float(values[i * matrix.columns + j])
      }
    }
    links.append(Link(matrix: matrix, place: .output, offset: offset, stride: columns))
  }
}

/// What an operation of small matrices computes beside them, in Float: it reads nodes and matrices and writes its part of
/// the output.
public protocol FusedPass {
  /// Adds to the gradients of what was read.
  func backward(_ gradients: FusedGradients)
}

/// The gradients of an operation's output and of what it read.
public struct FusedGradients {
  /// Of the whole output, rows of `columns`.
  public let output: UnsafePointer<Float>
  public let columns: Int
  private let tape: Tape

  init(output: UnsafePointer<Float>, columns: Int, _ tape: Tape) {
    self.output = output
    self.columns = columns
    self.tape = tape
  }

  /// Memory until the operation's walk back is over.
  public var scratch: Arena { tape.arena }
  /// A node's values.
  public func values(_ node: Node) -> UnsafePointer<Float> { UnsafePointer(tape.values(node)) }
  /// Of a node; nil where none is asked for.
  public func node(_ node: Node) -> UnsafeMutablePointer<Float>? { tape.gradient(node) }
  /// Of a matrix, as those that were fused later have left it; nil where nothing came by.
  public func matrix(_ matrix: MatrixTape.Matrix) -> UnsafePointer<Double>? {
    tape.matrices.gradient(matrix).map { UnsafePointer($0) }
  }
  /// Adds to that of a matrix, whose own derivatives are taken afterwards.
  public func seed(_ matrix: MatrixTape.Matrix, _ add: (UnsafeMutablePointer<Double>) -> Void) {
    tape.matrices.seed(matrix, add)
  }
}

extension Tape {
  func needsGradient(_ node: Node) -> Bool { records[node.index].needsGradient }

  /// An operation `[rows, columns]` that is written in small matrices of Double; rows that `body` does not emit are
  /// zeros. `reads` are the nodes that `body` takes inputs from.
  public func matrices(
    rows: Int, columns: Int, reads: [Node], _ body: (MatrixPass) -> Void
  ) -> Node {
    let out = arena.zeros(rows * columns)
    let first = matrices.count
    let pass = MatrixPass(self, out: out, columns: columns)
    body(pass)
    // What is fused may hold the pass.
    let fused = pass.fused
    pass.fused = []
    return append(.matrices(first..<matrices.count, pass.links, fused), out, rows, columns, reads: reads)
  }

  /// Nodes of as many rows beside each other.
  public func beside(_ nodes: [Node]) -> Node {
    let (rows, columns) = (nodes.first?.rows ?? 0, nodes.reduce(0) { $0 + $1.columns })
    let out = arena.floats(rows * columns)
    var column = 0
    for node in nodes {
      for row in 0..<rows {
        (out + row * columns + column).update(from: values(node) + row * node.columns, count: node.columns)
      }
      column += node.columns
    }
    return append(.beside(nodes), out, rows, columns, reads: nodes)
  }

  func backwardBeside(_ nodes: [Node], _ record: Record, _ dy: UnsafeMutablePointer<Float>) {
    var column = 0
    for node in nodes {
      if let target = gradient(node) {
        for row in 0..<record.rows {
          ck_add(node.columns, dy + row * record.columns + column, target + row * node.columns)
        }
      }
      column += node.columns
    }
  }

  func backwardMatrices(
    _ range: Range<Int>, _ links: [MatrixPass.Link], _ fused: [any FusedPass],
    columns: Int, _ dy: UnsafeMutablePointer<Float>, _ gradients: UnsafeMutablePointer<Float>
  ) {
    matrices.scratch.reset()  // gradients of the operation before are used up
    for pass in fused.reversed() { pass.backward(FusedGradients(output: dy, columns: columns, self)) }
    for link in links {
      guard case .output = link.place else { continue }
      let (rows, columns) = (link.matrix.rows, link.matrix.columns)
      matrices.seed(link.matrix) { seed in
        for i in 0..<rows {
          for j in 0..<columns { seed[i * columns + j] += Double(dy[link.offset + i * link.stride + j]) }
        }
      }
    }
    matrices.backward(from: range.lowerBound, to: range.upperBound)
    for link in links {
      let target: UnsafeMutablePointer<Float>?
      switch link.place {
      case .node(let node): target = gradient(node)
      case .parameter(let parameter): target = gradients + parameter.offset
      case .output: target = nil
      }
      guard let target, let found = matrices.gradient(link.matrix) else { continue }
      let columns = link.matrix.columns
      for i in 0..<link.matrix.rows {
        for j in 0..<columns {
          target[link.offset + i * link.stride + j] += Float(found[i * columns + j])
        }
      }
    }
  }
}
