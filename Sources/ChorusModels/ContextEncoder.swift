import ChorusLayers
import ChorusMemories
import ChorusTensors

/// How a set network comes from the tokens of a context to what its blocks read of it.
public enum ContextEncoding: Sendable, Hashable {
  /// Through the blocks that serve buffer and targets too; every row reads all others (Hassan et al. 2026, App. A.1).
  case shared
  /// Through the same blocks, and a row reads those before it: answers depend on the order of the rows, and a further row is
  /// read at the cost of one (incTNP).
  case causal
  /// Through so many blocks of its own. Every other block reads what comes out of the last of them: an encoder beside a
  /// cross-attending causal decoder.
  case tower(layers: Int)
  /// As so many learned rows that read the context and then each other once for every block, which reads them in the place
  /// of the context (LBANP, Feng et al. 2023).
  case latents(count: Int)

  /// Rows that a block holds of a context of `rows` rows; one without rows is a learned token.
  func held(_ rows: Int) -> Int {
    if case .latents(let count) = self { return count }
    return max(rows, 1)
  }

  /// Blocks of its own beside `layers` others.
  func blocks(beside layers: Int) -> Int {
    switch self {
    case .shared, .causal: 0
    case .tower(let own): own
    case .latents: 2 * layers
    }
  }

  /// What is wrong with it; nil where nothing is.
  var fault: String? {
    switch self {
    case .tower(let layers) where !(1...128).contains(layers):
      "layers is \(layers); it must be within 1...128"
    case .latents(let count) where !(1...4096).contains(count):
      "count is \(count); it must be within 1...4096"
    default: nil
    }
  }
}

/// An object with the name of the kind and that kind's size.
extension ContextEncoding: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable { case name, layers, count }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    let name = try fields.decode(String.self, forKey: .name)
    switch name {
    case "shared": self = .shared
    case "causal": self = .causal
    case "tower": self = .tower(layers: try fields.decode(Int.self, forKey: .layers))
    case "latents": self = .latents(count: try fields.decode(Int.self, forKey: .count))
    default:
      throw UnknownField(name, path: ["encoder", "name"], known: ["shared", "causal", "tower", "latents"])
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .shared: try fields.encode("shared", forKey: .name)
    case .causal: try fields.encode("causal", forKey: .name)
    case .tower(let layers):
      try fields.encode("tower", forKey: .name)
      try fields.encode(layers, forKey: .layers)
    case .latents(let count):
      try fields.encode("latents", forKey: .name)
      try fields.encode(count, forKey: .count)
    }
  }
}

/// The parameters of an encoder with blocks of its own.
struct EncoderLayers: Sendable {
  /// Learned rows, `[count, width]`; nil where the rows of the context go through the blocks themselves.
  let latents: Parameter?
  let stack: StackLayers

  /// Nil where `blueprint` encodes a context by the blocks that serve the other rows.
  init?(_ blueprint: Blueprint, _ scope: inout ParameterScope) throws(ModelError) {
    var own = blueprint
    own.layers = blueprint.encoder.blocks(beside: blueprint.layers)
    guard own.layers > 0 else { return nil }
    own.memories = []
    own.bufferPositions = .none
    if case .latents(let count) = blueprint.encoder {
      latents = scope.parameter("latents", count, blueprint.width, .normal(deviation: 0.5))
    } else {
      latents = nil
    }
    stack = try StackLayers(own, &scope)
  }

  // MARK: Training

  /// What each of `layers` blocks reads of the contexts of some tasks, whose tokens are `rows`, `rowsPerTask` each.
  func record(_ rows: Node, rowsPerTask: Int, layers: Int, on tape: Tape) -> [Node] {
    let tasks = rows.rows / rowsPerTask
    guard let latents else {
      let all = 0..<rows.rows
      let out = stack.record(rows, stored: all, asked: all, on: tape) { _ in
        Self.among(tasks: tasks, queries: rowsPerTask, keys: rowsPerTask)
      }
      return [Node](repeating: out, count: layers)
    }
    let count = latents.rows
    var h = tape.gather(
      [.parameter(latents, (0..<Int32(tasks * count)).map { $0 % Int32(count) })], rows: tasks * count,
      columns: stack.width)
    var read: [Node] = []
    for layer in 0..<layers {
      let joined = tape.joining(rows, h)
      h = stack.blocks[2 * layer].record(
        joined, stored: 0..<rows.rows, reading: rows.rows..<joined.rows,
        visible: Self.among(tasks: tasks, queries: count, keys: rowsPerTask), on: tape)
      h = stack.blocks[2 * layer + 1].record(
        h, stored: 0..<h.rows, reading: 0..<h.rows,
        visible: Self.among(tasks: tasks, queries: count, keys: count), on: tape)
      read.append(h)
    }
    return read
  }

  /// Every query of a task sees every key of it.
  private static func among(tasks: Int, queries: Int, keys: Int) -> [VisibleBlock] {
    (0..<tasks).map { task in
      VisibleBlock(
        queries: task * queries..<(task + 1) * queries, shared: task * keys..<(task + 1) * keys)
    }
  }
}

extension Tape {
  /// The rows of `first`, then those of `second`.
  func joining(_ first: Node, _ second: Node) -> Node {
    let (a, b) = (Int32(first.rows), Int32(second.rows))
    return gather(
      [
        .node(first, (0..<a + b).map { $0 < a ? $0 : -1 }),
        .node(second, (0..<a + b).map { $0 < a ? -1 : $0 - a }),
      ],
      rows: first.rows + second.rows, columns: first.columns)
  }
}

/// An encoder with its weights. Immutable and shared by threads.
final class ContextEncoder: Sendable {
  private let layers: EncoderLayers
  private let stack: Stack

  init(_ layers: EncoderLayers, _ weights: Weights) {
    self.layers = layers
    stack = Stack(layers.stack, weights)
  }

  /// Calls `body` with what each of `blocks` blocks reads of a context, block after block.
  ///
  /// - Parameter h: tokens of the context, `[rows, width]`; overwritten.
  func encode(
    _ h: UnsafeMutablePointer<Float>, rows: Int, blocks: Int, _ run: Workspace,
    _ body: (_ block: Int, _ read: UnsafeMutablePointer<Float>, _ rows: Int) -> Void
  ) {
    guard let parameter = layers.latents else {
      stack.through(h, rows: rows, run)
      for block in 0..<blocks { body(block, h, rows) }
      return
    }
    let count = parameter.rows
    let latents = run.arena.floats(count * layers.stack.width)
    latents.update(from: run.weights[parameter], count: count * layers.stack.width)
    for block in 0..<blocks {
      let mark = run.arena.mark
      let context = stack.state(2 * block, of: h, rows: rows, run)
      stack.read(2 * block, latents, rows: count, context, held: rows, run)
      let own = stack.state(2 * block + 1, of: latents, rows: count, run)
      stack.read(2 * block + 1, latents, rows: count, own, held: count, run)
      run.arena.rewind(to: mark)
      body(block, latents, count)
    }
  }
}
