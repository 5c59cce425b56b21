import ChorusData
import ChorusMemories
import ChorusTensors
import Foundation

/// The parameters of a blueprint by path, as handles that the training pass and the inference pass both read.
///
/// One transformer serves context, buffer and targets (Hassan et al. 2026, App. A.1): a row's token is
/// Ex(x) + Ey(y) + role, a target's Ex(x) + role. Where the blueprint has neighbours, a token also takes in what the
/// other rows near it say, and some of the head's components are in their unit (`LocalSpline`).
public struct Network: Sendable {
  /// A linear map `[in, out]` with its bias.
  struct Linear: Sendable {
    let weight: Parameter
    let bias: Parameter
  }
  /// out = t + down(gelu(up(t))), t = in(features).
  struct Embedder: Sendable {
    let `in`: Linear
    let up: Linear
    let down: Linear
  }
  struct Norm: Sendable {
    let gain: Parameter
    let bias: Parameter
  }
  struct Block: Sendable {
    let norm1: Norm
    let query: Parameter
    let keyValue: Parameter
    let memory: CompiledMemory
    let memoryParameters: [Parameter]
    let out: Linear
    let norm2: Norm
    let up: Linear
    let down: Linear
  }

  public let blueprint: Blueprint
  public let table: ParameterTable
  let inputs: Embedder
  let outputs: Embedder
  /// From what the rows near a target say, where the blueprint has neighbours.
  let near: Parameter?
  /// The same of an observed row, from what the others near it say.
  let nearRow: Parameter?
  let roleContext: Parameter
  let roleBuffer: Parameter
  let roleTarget: Parameter
  let emptyContext: Parameter
  let positions: Parameter?
  let blocks: [Block]
  let finalNorm: Norm?
  let headUp: Linear
  let headDown: Linear

  public init(_ blueprint: Blueprint) throws(ModelError) {
    try blueprint.validate()
    self.blueprint = blueprint
    var table = ParameterTable()
    let d = blueprint.width
    func linear(_ path: String, _ rows: Int, _ columns: Int) -> Linear {
      Linear(
        weight: table.declare(path + ".weight", rows, columns),
        bias: table.declare(path + ".bias", 1, columns))
    }
    func norm(_ path: String) -> Norm {
      Norm(gain: table.declare(path + ".gain", 1, d), bias: table.declare(path + ".bias", 1, d))
    }
    func embedder(_ path: String, _ features: Int) -> Embedder {
      Embedder(
        in: linear(path + ".in", features, d), up: linear(path + ".up", d, blueprint.embedderHidden),
        down: linear(path + ".down", blueprint.embedderHidden, d))
    }
    inputs = embedder("embed.x", blueprint.featureCount)
    outputs = embedder("embed.y", 1)
    near = blueprint.neighbours > 0 ? table.declare("embed.near.weight", LocalSpline.features, d) : nil
    nearRow = blueprint.neighbours > 0 ? table.declare("embed.row.weight", LocalSpline.rowFeatures, d) : nil
    roleContext = table.declare("role.context", 1, d)
    roleBuffer = table.declare("role.buffer", 1, d)
    roleTarget = table.declare("role.target", 1, d)
    emptyContext = table.declare("context.empty", 1, d)
    positions =
      blueprint.bufferPositions > 0
      ? table.declare("position.buffer", blueprint.bufferPositions, d) : nil
    var blocks: [Block] = []
    for index in 0..<blueprint.layers {
      let path = "block.\(index)"
      let memory = try Self.memory(blueprint, layer: index)
      let shape = memory.shape
      blocks.append(
        Block(
          norm1: norm(path + ".norm1"), query: table.declare(path + ".query.weight", d, d),
          keyValue: table.declare(path + ".keyvalue.weight", d, shape.stored), memory: memory,
          memoryParameters: shape.parameters.map { table.declare("\(path).memory.\($0.name)", 1, $0.count) },
          out: linear(path + ".out", shape.read, d),
          norm2: norm(path + ".norm2"), up: linear(path + ".up", d, blueprint.feedForward),
          down: linear(path + ".down", blueprint.feedForward, d)))
    }
    self.blocks = blocks
    finalNorm = blueprint.norm == .pre ? norm("final.norm") : nil
    headUp = linear("head.up", d, blueprint.headHidden)
    headDown = linear("head.down", blueprint.headHidden, 3 * blueprint.components)
    guard table.count <= Self.parameterLimit else {
      throw .blueprint("it has \(table.count) parameters; at most \(Self.parameterLimit) are held")
    }
    self.table = table
  }

  private static func memory(_ blueprint: Blueprint, layer: Int) throws(ModelError) -> CompiledMemory {
    do {
      return try CompiledMemory(blueprint.memory(layer: layer), blueprint.attention)
    } catch {
      throw .blueprint("layer \(layer): \(error)")
    }
  }

  /// Floats of a network's parameters, so that a few sizes in a file cannot ask for all memory.
  public static let parameterLimit = 1 << 30

  /// Fills `weights` with a fresh start, a pure function of `seed`.
  ///
  /// Matrices and biases are uniform in ±1/√fan-in; maps that write into the residual stream are shrunk by
  /// 1/√(2·layers); the head starts as a mixture spread evenly over [-1, 1].
  public func initialise(_ weights: Weights, seed: UInt64) {
    let depth = 1 / Double(2 * blueprint.layers).squareRoot()
    for (index, p) in table.all.enumerated() {
      var stream = RandomStream(seed: seed, 0x1217, UInt64(index))
      let values = weights[p]
      func uniform(_ bound: Double) {
        for i in 0..<p.count { values[i] = Float((2 * stream.uniform() - 1) * bound) }
      }
      let name = p.path
      if name.contains(".memory.") {
        initialiseMemory(p, values, &stream)
      } else if name.hasSuffix(".gain") {
        for i in 0..<p.count { values[i] = 1 }
      } else if name.hasPrefix("role.") || name.hasPrefix("context.") || name.hasPrefix("position.") {
        for i in 0..<p.count { values[i] = Float(0.1 * stream.normal()) }
      } else if name.contains("norm") {
        for i in 0..<p.count { values[i] = 0 }
      } else if name == "head.down.bias" {
        initialiseHeadBias(values)
      } else {
        let fanIn = name.hasSuffix(".bias") ? fanInOfBias(name) : p.rows
        var bound = 1 / Double(fanIn).squareRoot()
        if name.hasPrefix("block."), name.hasSuffix(".out.weight") || name.hasSuffix(".down.weight") {
          bound *= depth
        }
        if name == "head.down.weight" { bound *= 0.1 }
        uniform(bound)
        closeGates(p, values)
      }
    }
    weights.pack()
  }

  private func initialiseMemory(
    _ p: Parameter, _ values: UnsafeMutablePointer<Float>, _ stream: inout RandomStream
  ) {
    for block in blocks {
      for (handle, known) in zip(block.memoryParameters, block.memory.shape.parameters) where handle == p {
        for i in 0..<p.count {
          values[i] = Float(known.initial + (known.spread > 0 ? known.spread * stream.normal() : 0))
        }
      }
    }
  }

  /// Rows of an output map that take a joined buffer memory's read begin at zero.
  private func closeGates(_ p: Parameter, _ values: UnsafeMutablePointer<Float>) {
    for block in blocks where block.out.weight == p {
      let gated = block.memory.shape.gated * p.columns
      (values + p.count - gated).update(repeating: 0, count: gated)
    }
  }

  private func fanInOfBias(_ path: String) -> Int {
    table[path.replacingOccurrences(of: ".bias", with: ".weight")]?.rows ?? 1
  }

  private func initialiseHeadBias(_ values: UnsafeMutablePointer<Float>) {
    let count = blueprint.components
    let local = blueprint.localComponents
    // Errors of a spline in its own unit: as many sizes of one bell, from a twentieth of the unit to ten of it.
    for c in 0..<local {
      let deviation = 0.05 * pow(200, Double(c) / Double(max(local - 1, 1)))
      (values[c], values[count + c], values[2 * count + c]) = (0, 0, Float(log(expm1(deviation))))
    }
    let spread = count - local
    let spacing = spread > 1 ? 2 / Double(spread - 1) : 1
    for c in 0..<spread {
      values[local + c] = 0
      values[count + local + c] = spread > 1 ? Float(-1 + spacing * Double(c)) : 0
      values[2 * count + local + c] = Float(log(exp(spacing / 2) - 1))
    }
  }

  /// The features of one input, zero-padded: x | mask | for each dimension sin(ω_f x), then cos(ω_f x), with
  /// ω_f = (π/4)·2^f, f = 0 ..< frequencies | for each dimension what `Periods` fits to the context | what is known of its rest.
  /// `x` is in the network's units.
  func writeFeatures(
    _ x: UnsafePointer<Float>, dimensions: Int, _ periods: Periods, into features: UnsafeMutablePointer<Float>
  ) {
    let size = blueprint.inputDimensions
    var out = features
    out.update(repeating: 0, count: blueprint.featureCount)
    for i in 0..<min(dimensions, size) {
      out[i] = x[i]
      out[size + i] = 1
      let waves = out + 2 * size + i * 2 * blueprint.frequencies
      var omega = Double.pi / 4
      for f in 0..<blueprint.frequencies {
        waves[f] = Float(sin(omega * Double(x[i])))
        waves[blueprint.frequencies + f] = Float(cos(omega * Double(x[i])))
        omega *= 2
      }
    }
    guard blueprint.periods > 0 else { return }
    out += size * (2 + 2 * blueprint.frequencies)
    for (column, line) in periods.lines.prefix(min(dimensions, size)).enumerated() {
      if let line {
        let x = Double(x[column])
        out[0] = Float(periods.skill)
        out[1] = Float(periods.skill * line.trend(at: x))
        out[2] = Float(periods.skill * line.season(at: x))
      }
      out += Self.lineFeatures
    }
    let last = features + blueprint.featureCount - Self.fitFeatures
    last[0] = Float(log(periods.inside))
    last[1] = Float(log(periods.beyond))
    last[2] = Float(log(periods.roughness))
  }

  /// The skill of the fit, then its trend and its waves along an input at the row, each times the skill: what the fit says
  /// is there to be copied where it can be trusted, and away where it cannot.
  static let lineFeatures = 3
  /// How much larger than the rest the fit's errors are where it has not seen rows, and how rough the rest is: logarithms of
  /// `Periods.inside`, `.beyond` and `.roughness`.
  static let fitFeatures = 3
}
