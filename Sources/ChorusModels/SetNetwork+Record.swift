import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusTensors

extension SetLayers {
  /// What a training pass says of the targets, task by task.
  struct Prediction: Sendable {
    /// The head's raw numbers, `[tasks·M, outputs of the head]`.
    let raw: Node
    /// What 0 and 1 in the parameters of each target's local components are in the network's units; nil without neighbours.
    let units: [Scaling.Unit]?
  }

  /// Records the forward pass of `tasks` of a batch.
  ///
  /// - Parameter prefixes: for every target of those tasks, how many buffer rows it sees.
  /// - Precondition: the batch is in the network's units (see `Scaling`).
  func record(_ batch: TaskBatch, tasks: Range<Int>, prefixes: [Int32], on tape: Tape) -> Prediction {
    let empty = batch.context == 0
    let layout = TrainingLayout(
      tasks: tasks.count, context: empty ? 1 : batch.context, buffer: batch.buffer, targets: batch.targets)
    let features = inputFeatures(batch, tasks)
    let ex = inputs.record(
      tape.constant(
        features, rows: features.count / inputs.inputs, columns: inputs.inputs), on: tape)
    let observed = observedOutputs(batch, tasks)
    let tokens = TrainingTokens(batch, layout, empty: empty)
    var terms: [GatherTerm] = [.node(ex, tokens.inputs)]
    if !observed.isEmpty {
      let ey = outputs.record(described(observed, on: tape), on: tape)
      terms.append(.node(ey, tokens.outputs))
    }
    terms.append(.parameter(roleContext, tokens.role(.context)))
    terms.append(.parameter(roleBuffer, tokens.role(.buffer)))
    terms.append(.parameter(roleTarget, tokens.role(.target)))
    let surroundings = surroundings(batch, tasks, prefixes)
    if let near, let nearRow, let surroundings {
      let told = tape.constant(
        surroundings.targets, rows: surroundings.units.count, columns: near.inputs)
      terms.append(.node(near.record(told, on: tape), tokens.targets))
      if !observed.isEmpty {
        let told = tape.constant(
          surroundings.rows, rows: observed.count, columns: nearRow.inputs)
        terms.append(.node(nearRow.record(told, on: tape), tokens.outputs))
      }
    }
    if empty { terms.append(.parameter(emptyContext, tokens.role(.empty))) }
    if let positions { terms.append(.parameter(positions, tokens.positions(limit: positions.rows))) }
    let rows = tape.gather(terms, rows: layout.rows, columns: blueprint.width)
    let h = record(rows, layout, prefixes, on: tape)
    return Prediction(raw: head.map.record(h, on: tape), units: surroundings?.units)
  }

  /// The targets' representations, of the tokens of all rows.
  private func record(_ rows: Node, _ layout: TrainingLayout, _ prefixes: [Int32], on tape: Tape) -> Node {
    guard let encoder else {
      return stack.record(rows, stored: 0..<layout.stored, asked: layout.targetRows, on: tape) {
        layout.blocks(prefixes: prefixes, $0 ? .targets : .all, causal: blueprint.encoder == .causal)
      }
    }
    let first = layout.tasks * layout.context
    let contexts = encoder.record(
      rows[0..<first], rowsPerTask: layout.context, layers: blueprint.layers, on: tape)
    let own = TrainingLayout(
      tasks: layout.tasks, context: contexts[0].rows / layout.tasks, buffer: layout.buffer,
      targets: layout.targets)
    let buffered = layout.stored - first
    return stack.record(
      rows[first..<layout.rows], beside: contexts, stored: 0..<buffered,
      asked: buffered..<layout.rows - first, on: tape
    ) { own.blocks(prefixes: prefixes, $0 ? .targets : .beyondContexts) }
  }

  // MARK: Tokens

  private func inputFeatures(_ batch: TaskBatch, _ tasks: Range<Int>) -> [Float] {
    let (count, dimensions) = (batch.rows, batch.dimensions)
    var features = [Float](repeating: 0, count: tasks.count * count * inputs.inputs)
    features.withUnsafeMutableBufferPointer { out in
      batch.x.withUnsafeBufferPointer { x in
        guard let out = out.baseAddress, let x = x.baseAddress else { return }
        for (index, task) in tasks.enumerated() {
          let fits = fits(of: task, in: batch)
          for row in 0..<count {
            writeFeatures(
              x + (task * count + row) * dimensions, dimensions: dimensions, fits,
              into: out + (index * count + row) * inputs.inputs)
          }
        }
      }
    }
    return features
  }

  /// What hints found in the context of a task.
  private func fits(of task: Int, in batch: TaskBatch) -> HintFits {
    if let known = batch.fits[task] { return known }
    let (first, d) = (task * batch.rows, batch.dimensions)
    return blueprint.hints.fit(
      ObservedRows(
        x: batch.x[first * d..<(first + batch.context) * d].map(Double.init),
        y: batch.y[first..<first + batch.context].map(Double.init),
        unit: Scaling.Unit(origin: 0, scale: 1), dimensions: d))
  }

  /// Values as the head describes them.
  private func described(_ values: [Float], on tape: Tape) -> Node {
    let width = head.valueFeatures
    guard width > 1 else { return tape.constant(values, rows: values.count, columns: 1) }
    var features = [Float](repeating: 0, count: values.count * width)
    features.withUnsafeMutableBufferPointer { out in
      guard let out = out.baseAddress else { return }
      for (row, value) in values.enumerated() { head.describe(value, into: out + row * width) }
    }
    return tape.constant(features, rows: values.count, columns: width)
  }

  /// Outputs of context and buffer rows, task by task.
  private func observedOutputs(_ batch: TaskBatch, _ tasks: Range<Int>) -> [Float] {
    tasks.flatMap { task in
      batch.y[task * batch.rows..<task * batch.rows + batch.context + batch.buffer]
    }
  }
}

extension SetNetwork {
  /// Records what the network says of the targets of `tasks`, `[tasks·M, outputs of the head]`.
  public func record(_ batch: TaskBatch, tasks: Range<Int>, prefixes: [Int32], on tape: Tape) -> Node {
    layers.record(batch, tasks: tasks, prefixes: prefixes, on: tape).raw
  }

  @specialized(where H == MixtureHead)
  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    let prediction = layers.record(batch, tasks: task..<task + 1, prefixes: prefixes, on: tape)
    let first = task * batch.rows
    let targets = Targets(
      values: Array(batch.y[first + batch.targetRows.lowerBound..<first + batch.targetRows.upperBound]),
      weights: [Float](repeating: weight, count: batch.targets), units: prediction.units)
    return layers.head.loss(prediction.raw, targets, on: tape)
  }
}
