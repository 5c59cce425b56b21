import ChorusData
import ChorusHints
import ChorusLayers
import ChorusPlans
import ChorusTensors
import Foundation

/// The parameters of a network that reads a set of rows, as handles that both forms of its passes share.
///
/// One transformer serves context, buffer and targets (Hassan et al. 2026, App. A.1): a row's token is
/// Ex(x) + Ey(y) + role, a target's Ex(x) + role. Where the blueprint has hints of rows, a token also takes in what these
/// say of it, and some of the head's components are in their unit (`RowHint`).
struct SetLayers<H: Head>: Sendable {
  let blueprint: Blueprint
  let inputs: Embedder
  let outputs: Embedder
  /// From what is told of a target, where the blueprint has hints of rows.
  let near: Projection?
  /// The same of an observed row.
  let nearRow: Projection?
  let roleContext: Parameter
  let roleBuffer: Parameter
  let roleTarget: Parameter
  let emptyContext: Parameter
  let positions: Parameter?
  /// Where contexts go through blocks of their own.
  let encoder: EncoderLayers?
  let stack: StackLayers
  let head: H

  /// - Parameter head: makes the head of rows that wide with a hidden layer.
  init(
    _ blueprint: Blueprint, head: (_ width: Int, _ hidden: Int, inout ParameterScope) -> H,
    _ scope: inout ParameterScope
  ) throws(ModelError) {
    self.blueprint = blueprint
    let d = blueprint.width
    func embedder(_ name: String, _ features: Int, _ scope: inout ParameterScope) -> Embedder {
      scope.nested("embed." + name) { Embedder(features, hidden: blueprint.embedderHidden, d, &$0) }
    }
    inputs = embedder("x", Self.columns(blueprint), &scope)
    // How a head describes values is known without its parameters, which come last in the table.
    var unused = ParameterScope()
    outputs = embedder("y", head(d, blueprint.headHidden, &unused).valueFeatures, &scope)
    let (asked, known) = (blueprint.hints.queryFeatures, blueprint.hints.rowFeatures)
    near = asked > 0 ? .unbiased("embed.near", asked, d, &scope) : nil
    nearRow = known > 0 ? .unbiased("embed.row", known, d, &scope) : nil
    func vectors(_ name: String, _ rows: Int, _ scope: inout ParameterScope) -> Parameter {
      scope.parameter(name, rows, d, .normal(deviation: 0.1))
    }
    roleContext = vectors("role.context", 1, &scope)
    roleBuffer = vectors("role.buffer", 1, &scope)
    roleTarget = vectors("role.target", 1, &scope)
    emptyContext = vectors("context.empty", 1, &scope)
    positions =
      if let rows = blueprint.bufferPositions.learned, rows > 0 {
        vectors("position.buffer", rows, &scope)
      } else { nil }
    encoder = try scope.nested("encoder") { (scope) throws(ModelError) in try EncoderLayers(blueprint, &scope)
    }
    stack = try StackLayers(blueprint, &scope)
    self.head = scope.nested("head") { head(d, blueprint.headHidden, &$0) }
  }

  /// A context's rows count as others do, also where they go through blocks of their own.
  var rates: WorkRates {
    WorkRates(
      layers: stack.rates,
      input: WorkRates.Embedding(first: inputs.first.work, rest: inputs.feed.work),
      value: WorkRates.Embedding(first: outputs.first.work, rest: outputs.feed.work), head: head.map.work,
      held: stack.held)
  }

  /// Columns of the input features: raw inputs, their mask, sines and cosines of each, what hints tell.
  private static func columns(_ blueprint: Blueprint) -> Int {
    let size = blueprint.inputDimensions
    return size * (2 + 2 * blueprint.frequencies) + blueprint.hints.features(dimensions: size)
  }

  /// The features of one input, zero-padded: x | mask | for each dimension sin(ω_f x), then cos(ω_f x), with
  /// ω_f = (π/4)·2^f, f = 0 ..< frequencies | what each hint tells. `x` is in the network's units.
  func writeFeatures(
    _ x: UnsafePointer<Float>, dimensions: Int, _ fits: HintFits, into features: UnsafeMutablePointer<Float>
  ) {
    let size = blueprint.inputDimensions
    features.update(repeating: 0, count: inputs.inputs)
    for i in 0..<min(dimensions, size) {
      features[i] = x[i]
      features[size + i] = 1
      let waves = features + 2 * size + i * 2 * blueprint.frequencies
      var omega = Double.pi / 4
      for f in 0..<blueprint.frequencies {
        waves[f] = Float(sin(omega * Double(x[i])))
        waves[blueprint.frequencies + f] = Float(cos(omega * Double(x[i])))
        omega *= 2
      }
    }
    var out = features + size * (2 + 2 * blueprint.frequencies)
    for (hint, fit) in zip(blueprint.hints.hints, fits.fits) {
      fit.tell(x, dimensions: dimensions, size: size, into: out)
      out += hint.features(dimensions: size)
    }
  }
}
