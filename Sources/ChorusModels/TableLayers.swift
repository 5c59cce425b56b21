import ChorusData
import ChorusHints
import ChorusLayers
import ChorusPlans
import ChorusTensors
import Foundation

/// The parameters of a network that reads rows of a table as classical estimators tell of them (`TableFit`), as handles that both
/// forms of its passes share.
///
/// A row's token is Ex(told) + Ey(y, residuals) + role, a target's Ex(told) + role; behind it come the row's coordinates, so that
/// attention can fall with distance (`RowPlaces`). Some of the head's components are around each estimator's statement, in its unit.
struct TableLayers<H: Head>: Sendable {
  let blueprint: Blueprint
  /// Where the numbers told of a row stand.
  let row: ToldRow
  let told: Embedder
  let outputs: Embedder
  let roleContext: Parameter
  let roleBuffer: Parameter
  let roleTarget: Parameter
  let emptyContext: Parameter
  let stack: StackLayers
  let head: H

  /// Columns of a representation, without those of its place.
  var columns: Int { blueprint.width - places.columns }
  var places: RowPlaces { blueprint.parts.places }

  /// - Parameter head: makes the head of rows that wide with a hidden layer.
  init(
    _ blueprint: Blueprint, telling row: ToldRow,
    head: (_ width: Int, _ hidden: Int, inout ParameterScope) -> H,
    _ scope: inout ParameterScope
  ) throws(ModelError) {
    self.blueprint = blueprint
    self.row = row
    let d = blueprint.width - blueprint.parts.places.columns
    func embedder(_ name: String, _ features: Int, _ scope: inout ParameterScope) -> Embedder {
      scope.nested("embed." + name) { Embedder(features, hidden: blueprint.embedderHidden, d, &$0) }
    }
    told = embedder("told", row.features, &scope)
    outputs = embedder("y", 1 + TableExperts.count, &scope)
    func vectors(_ name: String, _ scope: inout ParameterScope) -> Parameter {
      scope.parameter(name, 1, d, .normal(deviation: 0.1))
    }
    roleContext = vectors("role.context", &scope)
    roleBuffer = vectors("role.buffer", &scope)
    roleTarget = vectors("role.target", &scope)
    emptyContext = vectors("context.empty", &scope)
    stack = try StackLayers(blueprint, &scope)
    self.head = scope.nested("head") { head(blueprint.width, blueprint.headHidden, &$0) }
  }

  var rates: WorkRates {
    WorkRates(
      layers: stack.rates,
      input: WorkRates.Embedding(first: told.first.work, rest: told.feed.work),
      value: WorkRates.Embedding(first: outputs.first.work, rest: outputs.feed.work), head: head.map.work,
      held: stack.held)
  }

  /// What an observed value is to the network: y, and how far it is from each estimate, in that one's unit, cut at ±8.
  ///
  /// - Parameter row: what was told of the row, `[TableExperts.width]`.
  static func describe(_ y: Float, _ row: UnsafePointer<Float>, into features: UnsafeMutablePointer<Float>) {
    features[0] = y
    for estimator in 0..<TableExperts.count {
      let unit = TableExperts.unit(estimator, of: row)
      features[1 + estimator] = Float(min(max(unit.scaled(Double(y)), -8), 8))
    }
  }
}

// MARK: Training

extension TableLayers {
  /// Records the forward pass of one task of a batch: the head's raw numbers of its targets, and their units.
  func record(_ batch: TaskBatch, task: Int, prefixes: [Int32], on tape: Tape) -> (
    raw: Node, units: [Scaling.Unit]
  ) {
    let (width, k) = (self.row.width, self.row.features)
    let (rows, seen) = (batch.rows, batch.context + batch.buffer)
    let empty = batch.context == 0
    let layout = TrainingLayout(
      tasks: 1, context: empty ? 1 : batch.context, buffer: batch.buffer, targets: batch.targets)
    let tokens = TrainingTokens(batch, layout, empty: empty)
    let x = Array(batch.x[task * rows * width..<(task + 1) * rows * width])
    let y = Array(batch.y[task * rows..<(task + 1) * rows])
    var features = [Float](repeating: 0, count: rows * k)
    var described = [Float](repeating: 0, count: seen * (1 + TableExperts.count))
    var placed = [Float](repeating: 0, count: layout.rows * places.columns)
    var units: [Scaling.Unit] = []
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for row in 0..<rows {
        for i in 0..<k { features[row * k + i] = x[row * width + i] }
      }
      described.withUnsafeMutableBufferPointer { described in
        guard let described = described.baseAddress else { return }
        for row in 0..<seen {
          Self.describe(y[row], x + row * width, into: described + row * (1 + TableExperts.count))
        }
      }
      placed.withUnsafeMutableBufferPointer { placed in
        guard let placed = placed.baseAddress else { return }
        for (token, input) in tokens.inputs.enumerated() where input >= 0 {
          places.write(x + Int(input) * width + k, into: placed + token * places.columns)
        }
      }
      for row in batch.targetRows {
        units += (0..<self.row.units).map { self.row.unit($0, of: x + row * width) }
      }
    }
    let ex = told.record(tape.constant(features, rows: rows, columns: k), on: tape)
    var terms: [GatherTerm] = [.node(ex, tokens.inputs)]
    if seen > 0 {
      let shown = tape.constant(described, rows: seen, columns: 1 + TableExperts.count)
      terms.append(.node(outputs.record(shown, on: tape), tokens.outputs))
    }
    terms.append(.parameter(roleContext, tokens.role(.context)))
    terms.append(.parameter(roleBuffer, tokens.role(.buffer)))
    terms.append(.parameter(roleTarget, tokens.role(.target)))
    if empty { terms.append(.parameter(emptyContext, tokens.role(.empty))) }
    let represented = tape.gather(terms, rows: layout.rows, columns: columns)
    let h = stack.record(
      places.columns == 0
        ? represented
        : tape.beside([represented, tape.constant(placed, rows: layout.rows, columns: places.columns)]),
      stored: 0..<layout.stored, asked: layout.targetRows, on: tape
    ) { layout.blocks(prefixes: prefixes, $0 ? .targets : .all) }
    return (head.map.record(h, on: tape), units)
  }
}
