import ChorusHints
import ChorusLayers
import ChorusPlans
import ChorusTensors

/// The parameters of a network that reads the cells of a table (TabICL, Qu et al. 2025), as handles that both forms of its passes
/// share.
///
/// A row's token is what `CellStage` makes of its cells; with an output that is known, plus Ey(y). What TabICL has not: rows of a
/// buffer, an empty context, and a role of targets, which begins at zero.
struct CellLayers<H: Head>: Sendable {
  let blueprint: Blueprint
  let cells: CellStage
  let outputs: Projection
  let roleBuffer: Parameter
  let roleTarget: Parameter
  let emptyContext: Parameter
  let stack: StackLayers
  let head: H

  /// - Parameter head: makes the head of rows that wide with a hidden layer.
  init(
    _ blueprint: Blueprint, head: (_ width: Int, _ hidden: Int, inout ParameterScope) -> H,
    _ scope: inout ParameterScope
  ) throws(ModelError) {
    self.blueprint = blueprint
    let d = blueprint.width
    // How a head describes values is known without its parameters, which come last in the table.
    var unused = ParameterScope()
    let features = head(d, blueprint.headHidden, &unused).valueFeatures
    cells = try scope.nested("cells") { scope throws(ModelError) in
      try CellStage(blueprint, valueFeatures: features, &scope)
    }
    outputs = Projection("embed.y", features, d, &scope)
    roleBuffer = scope.parameter("role.buffer", 1, d, .normal(deviation: 0.1))
    roleTarget = scope.parameter("role.target", 1, d, .zeros)
    emptyContext = scope.parameter("context.empty", 1, d, .normal(deviation: 0.1))
    stack = try StackLayers(blueprint, &scope)
    self.head = scope.nested("head") { head(d, blueprint.headHidden, &$0) }
  }

  /// A row is counted with as many cells as there may be.
  var rates: WorkRates {
    WorkRates(
      layers: stack.rates,
      input: WorkRates.Embedding(first: 0, rest: cells.work(columns: blueprint.inputDimensions)),
      value: WorkRates.Embedding(first: outputs.work, rest: 0), head: head.map.work,
      held: stack.held)
  }
}

// MARK: Training

extension CellLayers {
  /// Records what the network says of the targets of one task, `[M, outputs of the head]`.
  ///
  /// - Parameter prefixes: for every target, how many buffer rows it sees.
  func record(_ batch: TaskBatch, task: Int, prefixes: [Int32], on tape: Tape) -> Node {
    let (seen, empty) = (batch.context + batch.buffer, batch.context == 0)
    let held = max(batch.context, 1)
    let layout = TrainingLayout(tasks: 1, context: held, buffer: batch.buffer, targets: batch.targets)
    let tokens = TrainingTokens(batch, layout, empty: empty)
    let rows = cells.record(batch, task: task, describe: head.describe, on: tape)
    var terms: [GatherTerm] = [.node(rows, tokens.inputs)]
    if seen > 0 {
      var features = [Float](repeating: 0, count: seen * outputs.inputs)
      features.withUnsafeMutableBufferPointer { features in
        guard let features = features.baseAddress else { return }
        for row in 0..<seen {
          head.describe(batch.y[task * batch.rows + row], into: features + row * outputs.inputs)
        }
      }
      let shown = tape.constant(features, rows: seen, columns: outputs.inputs)
      terms.append(.node(outputs.record(shown, on: tape), tokens.outputs))
    }
    terms.append(.parameter(roleBuffer, tokens.role(.buffer)))
    terms.append(.parameter(roleTarget, tokens.role(.target)))
    if empty { terms.append(.parameter(emptyContext, tokens.role(.empty))) }
    let h = stack.record(
      tape.gather(terms, rows: layout.rows, columns: blueprint.width), stored: 0..<layout.stored,
      asked: layout.targetRows, held: held, on: tape
    ) { layout.blocks(prefixes: prefixes, $0 ? .targets : .all) }
    return head.map.record(h, on: tape)
  }
}
