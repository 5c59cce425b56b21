import CChorusKernels
import ChorusLayers
import ChorusMemories
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// A network of tokens, each of which predicts the next: a table of representations, the frame's stack of blocks, and logits by
/// a table again, which may be the same.
///
/// Tokens are committed rows that predict; there is no context apart from them.
public final class TokenNetwork: Sendable {
  public let blueprint: Blueprint
  public let vocabulary: Int
  public let weights: Weights
  private let layers: TokenLayers
  private let stack: Stack

  init(_ layers: TokenLayers, _ blueprint: Blueprint, _ weights: Weights) {
    (self.layers, self.blueprint, self.weights) = (layers, blueprint, weights)
    vocabulary = layers.logits.outputs
    stack = Stack(layers.stack, weights)
  }

  /// The network of a sequence model of levels, whose first token is the one behind its levels.
  convenience init(_ network: SequenceNetwork<CategoricalHead>) {
    let (stack, logits) = network.parts
    self.init(
      TokenLayers(tokens: .rows(network.tokenRows), stack: stack, logits: logits), network.blueprint,
      network.weights)
  }

  /// Whether a token may read some of those before it: not where it is told by a state that has read all of them.
  public var readsSubsets: Bool { stack.capability.subsetReads }

  /// What tokens cost: they are looked up, so that nothing is made of them before the blocks.
  public var rates: WorkRates {
    let none = WorkRates.Embedding(first: 0, rest: 0)
    return WorkRates(
      layers: layers.stack.rates, input: none, value: none, head: layers.logits.work,
      held: layers.stack.held)
  }

  /// Numbers that a token's representation has.
  public var width: Int { blueprint.width }

  /// The tokens that some paths have read, in the blocks' memories. Belongs to one thread at a time.
  public final class Paths {
    fileprivate let memories: [AnyObject]
    public let count: Int
    public let capacity: Int

    fileprivate init(_ memories: [AnyObject], count: Int, capacity: Int) {
      (self.memories, self.count, self.capacity) = (memories, count, capacity)
    }
  }

  /// Empty paths with room for `capacity` tokens each.
  public func paths(_ count: Int = 1, capacity: Int) -> Paths {
    Paths(stack.buffers(paths: count, capacity: capacity), count: count, capacity: capacity)
  }

  /// Bytes that the tokens of a path take.
  public func bytes(capacity: Int) -> Int { stack.bufferBytes(capacity: capacity) }

  /// A token that a path reads.
  public struct Row: Sendable, Hashable {
    public var token: Int32
    /// Its place in the sequence, from 0 on. One below the newest takes back what was from there on.
    public var place: Int
    public var path = 0
    /// What it reads of its path, itself included; nil for everything up to itself.
    public var reads: Reads?
    /// Whether what it says of the next token is asked for.
    public var asked = false

    public init(_ token: Int32, at place: Int, path: Int = 0, reads: Reads? = nil, asked: Bool = false) {
      (self.token, self.place, self.path, self.reads, self.asked) = (token, place, path, reads, asked)
    }
  }

  /// What rows that were asked for say, valid while it is handed over.
  public struct Said {
    fileprivate let network: TokenNetwork
    fileprivate let hidden: UnsafePointer<Float>
    fileprivate let run: Workspace
    public let count: Int

    /// Logits of the next token behind some of the rows, `[rows, vocabulary]`, valid as long as this.
    public func logits(_ rows: Range<Int>) -> UnsafeMutablePointer<Float> {
      let out = run.arena.floats(rows.count * network.vocabulary)
      network.layers.logits.apply(
        hidden + rows.lowerBound * network.width, rows: rows.count, into: out, run)
      return out
    }

    /// log p(next token), in nats, for one token behind each row.
    public func logProbabilities(of next: [Int32]) -> [Double] {
      var result: [Double] = []
      let vocabulary = network.vocabulary
      // So many rows that weights are expanded seldom and their logits stay few.
      for first in stride(from: 0, to: count, by: 48) {
        let (mark, rows) = (run.arena.mark, first..<min(first + 48, count))
        let logits = logits(rows)
        for row in rows {
          let own = logits + (row - rows.lowerBound) * vocabulary
          let target = own[Int(next[row])]
          result.append(Double(target) - Self.logSumExp(own, vocabulary))
        }
        run.arena.rewind(to: mark)
      }
      return result
    }

    /// log Σ exp of numbers, which are overwritten.
    private static func logSumExp(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Double {
      var top = -Float.infinity
      for i in 0..<count where x[i] > top { top = x[i] }
      for i in 0..<count { x[i] -= top }
      ck_exp(count, x, x)
      var sum = 0.0
      for i in 0..<count { sum += Double(x[i]) }
      return Double(top) + log(sum)
    }
  }

  /// Rows that go through all blocks together.
  public static let piece = 128

  /// Reads tokens, rows of a path beside each other in the order of their places, and hands over what those asked for say.
  ///
  /// The same bytes however tokens are cut into calls, and on any number of threads.
  ///
  /// - Parameter pool: threads that share the call; nil where the caller has calls of its own on every thread.
  public func read<R>(
    _ rows: ArraySlice<Row>, into paths: Paths, on pool: ThreadPool?, _ body: (Said) throws -> R
  ) rethrows -> R {
    try stack.run(on: pool) { run in
      let pieces = pieces(rows)
      guard pieces.count > 1 else {
        let said = advance(rows, into: paths, run)
        return try body(Said(network: self, hidden: said.hidden, run: run, count: said.count))
      }
      let hidden = run.arena.floats(rows.count { $0.asked } * width)
      var count = 0
      for piece in pieces {
        let mark = run.arena.mark
        let said = advance(piece, into: paths, run)
        (hidden + count * width).update(from: said.hidden, count: said.count * width)
        count += said.count
        run.arena.rewind(to: mark)
      }
      return try body(Said(network: self, hidden: UnsafePointer(hidden), run: run, count: count))
    }
  }

  /// Rows cut so that no path has more of them in a piece than its memories read behind its newest row.
  private func pieces(_ rows: ArraySlice<Row>) -> [ArraySlice<Row>] {
    guard case .newest(let chunk) = stack.capability.prefixReads else { return [rows] }
    var (pieces, first, own) = ([ArraySlice<Row>](), rows.startIndex, 0)
    for index in rows.indices {
      own = index > first && rows[index].path == rows[index - 1].path ? own + 1 : 1
      guard own > chunk else { continue }
      pieces.append(rows[first..<index])
      (first, own) = (index, 1)
    }
    return pieces + [rows[first...]]
  }

  /// What rows say that were asked for, in the arena.
  private func advance(
    _ rows: ArraySlice<Row>, into paths: Paths, _ run: Workspace
  ) -> (hidden: UnsafePointer<Float>, count: Int) {
    let arena = run.arena
    let h = arena.floats(rows.count * width)
    layers.tokens.write(rows.lazy.map { Int($0.token) }, width: width, weights, into: h)
    let reads = rows.contains { $0.reads != nil } ? rows.map { $0.reads ?? .prefix($0.place + 1) } : nil
    let asked = rows.enumerated().filter(\.element.asked).map { Int32($0.offset) }
    let places = Places(
      sequence: rows.map { Int32($0.path) }, slots: rows.map { Int32($0.place) }, reads: reads,
      asked: asked, arena)
    let said = stack.advance(h, places, contexts: stack.emptyContexts, buffers: paths.memories, run)
    return (UnsafePointer(said), asked.count)
  }
}

/// The parameters of a network of tokens.
struct TokenLayers: Sendable {
  /// Where a token's representation comes from.
  enum Tokens: Sendable {
    case table(Parameter)
    /// Representations one after the other.
    case rows(FloatBuffer)

    func write(
      _ tokens: some Sequence<Int>, width: Int, _ weights: Weights, into h: UnsafeMutablePointer<Float>
    ) {
      switch self {
      case .table(let parameter):
        let table = weights.block(parameter)
        for (index, token) in tokens.enumerated() { table?.expand(token, into: h + index * width) }
      case .rows(let rows):
        for (index, token) in tokens.enumerated() {
          (h + index * width).update(from: rows.pointer + token * width, count: width)
        }
      }
    }
  }

  let tokens: Tokens
  let stack: StackLayers
  let logits: any Layer

  init(tokens: Tokens, stack: StackLayers, logits: any Layer) {
    (self.tokens, self.stack, self.logits) = (tokens, stack, logits)
  }

  /// - Parameter tied: whether logits are made with the table of tokens.
  init(
    _ blueprint: Blueprint, vocabulary: Int, tied: Bool, _ scope: inout ParameterScope
  ) throws(ModelError) {
    let table = scope.parameter("token.weight", blueprint.width, vocabulary, .normal(deviation: 0.02))
    tokens = .table(table)
    stack = try StackLayers(blueprint, &scope)
    logits =
      tied
      ? Projection(table) : .unbiased("logits", blueprint.width, vocabulary, &scope)
  }
}
