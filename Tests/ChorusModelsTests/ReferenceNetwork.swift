import ChorusData
import ChorusHints
import ChorusLayers
import Foundation

@testable import ChorusMemories
@testable import ChorusModels
@testable import ChorusTensors

/// The network once more, in float64 and as the paper writes it: one sequence of context, buffer and target
/// tokens, one mask, every token through every layer (Hassan et al. 2026, sec. 3 and App. A.1). No caches, no
/// blocks, no views.
struct ReferenceNetwork {
  typealias Row = [Double]

  enum Token {
    case empty
    case context(x: Row, y: Double)
    case buffer(x: Row, y: Double, position: Int)
    case target(x: Row, sees: Int)
  }

  let blueprint: Blueprint
  private let head: MixtureHead
  private var waves: Int { blueprint.hints.first(TrendAndWaves.self)?.waves ?? 0 }
  /// The waves in the context.
  var periods = Periods.none
  /// All parameters in one line, as the table lays them out.
  var values: [Double]
  private let memories: [CompiledMemory]
  private let places: [String: (offset: Int, rows: Int, columns: Int)]

  init(_ network: Network) {
    let weights = network.weights
    blueprint = network.blueprint
    head = network.layers.head
    memories = network.layers.stack.blocks.map(\.mixer.memory)
    values = weights.values.array.map(Double.init)
    places = Dictionary(
      uniqueKeysWithValues: weights.table.all.map { ($0.path, ($0.offset, $0.rows, $0.columns)) })
  }

  // MARK: Parts

  private func vector(_ path: String, row: Int = 0) -> Row {
    guard let place = places[path] else { return [] }
    let first = place.offset + row * place.columns
    return Array(values[first..<first + place.columns])
  }

  /// x W + b.
  private func linear(_ path: String, _ x: Row) -> Row {
    let weight = path.hasSuffix(".weight") ? path : path + ".weight"
    guard let place = places[weight] else { return [] }
    var out = weight == path ? Row(repeating: 0, count: place.columns) : vector(path + ".bias")
    for (k, value) in x.enumerated() {
      for n in 0..<place.columns { out[n] += value * values[place.offset + k * place.columns + n] }
    }
    return out
  }

  private func gelu(_ x: Row) -> Row { x.map { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) } }

  private func norm(_ path: String, _ x: Row) -> Row {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let (gain, bias) = (vector(path + ".gain"), vector(path + ".bias"))
    return x.indices.map { (x[$0] - mean) / (variance + 1e-5).squareRoot() * gain[$0] + bias[$0] }
  }

  private func plus(_ a: Row, _ b: Row) -> Row { zip(a, b).map(+) }

  /// The skip-MLP of D.1.
  private func embed(_ path: String, _ features: Row) -> Row {
    let t = linear(path + ".in", features)
    return plus(t, linear(path + ".down", gelu(linear(path + ".up", t))))
  }

  /// x, mask, sines and cosines; where a fit is shown, its skill, trend and season along each input, then what is known of its rest.
  private func features(_ x: Row) -> Row {
    let size = blueprint.inputDimensions
    func padded(_ row: Row) -> Row { row + Row(repeating: 0, count: size - row.count) }
    var out = padded(x) + padded(x.map { _ in 1 })
    for i in 0..<size {
      let omegas = (0..<blueprint.frequencies).map { Double.pi / 4 * pow(2, Double($0)) }
      out +=
        i < x.count
        ? omegas.map { sin($0 * x[i]) } + omegas.map { cos($0 * x[i]) } : omegas.flatMap { _ in [0, 0] }
    }
    for i in 0..<(waves > 0 ? size : 0) {
      let line = i < x.count && i < periods.lines.count ? periods.lines[i] : nil
      out +=
        line.map { [periods.skill, periods.skill * $0.trend(at: x[i]), periods.skill * $0.season(at: x[i])] }
        ?? [0, 0, 0]
    }
    if waves > 0 { out += [log(periods.inside), log(periods.beyond), log(periods.roughness)] }
    return out
  }

  /// A token, and what the observed rows that it reads say of it, itself left out.
  private func embedded(_ place: Int, _ tokens: [Token], _ spline: ReferenceSpline?) -> Row {
    let token = tokens[place]
    guard let spline else { return embedded(token) }
    let rows = tokens.indices.filter { $0 != place && sees(place, $0, tokens) }.compactMap { other in
      switch tokens[other] {
      case .context(let x, let y), .buffer(let x, let y, _): (x: x, y: y)
      case .empty, .target: nil
      }
    }
    switch token {
    case .empty: return embedded(token)
    case .context(let x, let y), .buffer(let x, let y, _):
      return plus(embedded(token), linear("embed.row.weight", spline.judge(y, rows, at: x)))
    case .target(let x, _):
      return plus(embedded(token), linear("embed.near.weight", spline.tell(rows, at: x).features))
    }
  }

  private func embedded(_ token: Token) -> Row {
    switch token {
    case .empty: return vector("context.empty")
    case .context(let x, let y):
      return plus(plus(embed("embed.x", features(x)), embed("embed.y", [y])), vector("role.context"))
    case .buffer(let x, let y, let position):
      let row = plus(plus(embed("embed.x", features(x)), embed("embed.y", [y])), vector("role.buffer"))
      guard case .learned(let rows) = blueprint.bufferPositions else { return row }
      return plus(row, vector("position.buffer", row: min(position, rows - 1)))
    case .target(let x, _): return plus(embed("embed.x", features(x)), vector("role.target"))
    }
  }

  /// Who reads whom: all read the context, whose rows may see only those before them; buffer row j also buffer rows up to
  /// itself; a target also its prefix; nobody reads a target.
  private func sees(_ reader: Int, _ read: Int, _ tokens: [Token]) -> Bool {
    switch (tokens[reader], tokens[read]) {
    case (_, .target): false
    case (.context, .context): blueprint.encoder != .causal || read <= reader
    case (_, .empty), (_, .context): true
    case (.buffer(_, _, let j), .buffer(_, _, let i)): i <= j
    case (.target(_, let limit), .buffer(_, _, let i)): i < limit
    case (_, .buffer): false
    }
  }

  /// One block: rows `h` read, by the definition of its memory, rows of a context and rows of their own.
  private func block(
    _ path: String, _ memory: CompiledMemory, _ h: [Row], context: (Int) -> [Row], own: (Int) -> [Row]
  ) -> [Row] {
    func normed(_ x: Row) -> Row { blueprint.norm == .pre ? norm(path + ".norm1", x) : x }
    func stored(_ rows: [Row]) -> [Row] { rows.map { linear(path + ".keyvalue.weight", normed($0)) } }
    let numbers = memory.shape.parameters.map { vector("\(path).memory.\($0.name)") }
    return h.indices.map { row in
      let read = linear(
        path + ".out",
        memory.reference(
          linear(path + ".query.weight", normed(h[row])), context: stored(context(row)),
          own: stored(own(row)), numbers: numbers))
      let sum = plus(h[row], read)
      guard blueprint.norm == .post else { return plus(sum, feedForward(path, norm(path + ".norm2", sum))) }
      let first = norm(path + ".norm1", sum)
      return norm(path + ".norm2", plus(first, feedForward(path, first)))
    }
  }

  /// What each block reads of a context by an encoder of its own; nil where the blocks read the tokens themselves.
  private func encoded(_ rows: [Row]) -> [[Row]]? {
    let softmax = memories[0]
    func among(_ path: String, _ h: [Row], _ read: [Row]) -> [Row] {
      block("encoder." + path, softmax, h, context: { _ in read }, own: { _ in [] })
    }
    switch blueprint.encoder {
    case .shared, .causal: return nil
    case .tower(let layers):
      var h = rows
      for layer in 0..<layers { h = among("block.\(layer)", h, h) }
      if blueprint.norm == .pre { h = h.map { norm("encoder.final.norm", $0) } }
      return [[Row]](repeating: h, count: blueprint.layers)
    case .latents(let count):
      var h = (0..<count).map { vector("encoder.latents", row: $0) }
      return (0..<blueprint.layers).map { layer in
        h = among("block.\(2 * layer)", h, rows)
        h = among("block.\(2 * layer + 1)", h, h)
        return h
      }
    }
  }

  private func feedForward(_ path: String, _ x: Row) -> Row {
    linear(path + ".down", gelu(linear(path + ".up", x)))
  }

  // MARK: The whole

  /// The head's parameters of every target, in order.
  func predict(_ tokens: [Token]) -> [Row] {
    let context = tokens.compactMap { token in
      if case .context(let x, let y) = token { (x: x, y: y) } else { nil }
    }
    let spline = blueprint.hints.first(LocalSplines.self).map {
      ReferenceSpline(context, neighbours: $0.neighbours)
    }
    var h = tokens.indices.map { embedded($0, tokens, spline) }
    func isOfContext(_ place: Int) -> Bool {
      switch tokens[place] {
      case .empty, .context: true
      case .buffer, .target: false
      }
    }
    let encoded = encoded(tokens.indices.filter(isOfContext).map { h[$0] })
    for layer in 0..<blueprint.layers {
      let before = h
      func visible(_ reader: Int, ofContext: Bool) -> [Row] {
        tokens.indices.filter { isOfContext($0) == ofContext && sees(reader, $0, tokens) }.map { before[$0] }
      }
      h = block(
        "block.\(layer)", memories[layer], h,
        context: { encoded?[layer] ?? visible($0, ofContext: true) },
        own: { visible($0, ofContext: false) })
    }
    return zip(tokens, h).compactMap { token, row in
      guard case .target = token else { return nil }
      let last = blueprint.norm == .pre ? norm("final.norm", row) : row
      return linear("head.down", gelu(linear("head.up", last)))
    }
  }

  /// log p(y) under a row of head parameters (D.1).
  func logDensity(_ row: Row, _ y: Double) -> Double {
    let count = head.components
    let norm = log((0..<count).reduce(0) { $0 + exp(row[$1]) })
    return log(
      (0..<count).reduce(0) { sum, c in
        let deviation = log(1 + exp(row[2 * count + c])) + Double(head.floor)
        let z = (y - row[count + c]) / deviation
        return sum + exp(row[c] - norm - z * z / 2) / (deviation * (2 * Double.pi).squareRoot())
      })
  }

  /// Task `task` of a batch as tokens.
  static func tokens(_ batch: TaskBatch, task: Int, prefixes: [Int32]) -> [Token] {
    func x(_ row: Int) -> Row {
      (0..<batch.dimensions).map { Double(batch.x[(task * batch.rows + row) * batch.dimensions + $0]) }
    }
    func y(_ row: Int) -> Double { Double(batch.y[task * batch.rows + row]) }
    return (batch.context == 0 ? [.empty] : [])
      + batch.contextRows.map { .context(x: x($0), y: y($0)) }
      + batch.bufferRows.enumerated().map { .buffer(x: x($1), y: y($1), position: $0) }
      + batch.targetRows.enumerated().map {
        .target(x: x($1), sees: Int(prefixes[task * batch.targets + $0]))
      }
  }
}
