import ChorusData
import ChorusMemories
import ChorusTensors

extension Network {
  /// Rows of a training pass: tasks side by side, contexts of all tasks first, then buffers, then targets.
  struct Layout {
    let tasks: Int
    let context: Int
    let buffer: Int
    let targets: Int
    var stored: Int { tasks * (context + buffer) }
    var rows: Int { tasks * (context + buffer + targets) }
    var targetRows: Range<Int> { stored..<rows }

    /// The visible blocks of every task: context rows see the context; buffer row j sees it and buffer rows up to
    /// and including itself; target m sees it and the first `prefixes[m]` buffer rows. With `targetsOnly` the
    /// queries are the target rows alone, counted from 0.
    func blocks(prefixes: [Int32], targetsOnly: Bool) -> [VisibleBlock] {
      let causal = (0..<buffer).map { Int32($0 + 1) }
      var blocks: [VisibleBlock] = []
      for task in 0..<tasks {
        let shared = task * context..<(task + 1) * context
        let own = tasks * context + task * buffer..<tasks * context + (task + 1) * buffer
        let origin = targetsOnly ? 0 : stored
        let limits = buffer == 0 ? [] : Array(prefixes[task * targets..<(task + 1) * targets])
        if !targetsOnly {
          blocks.append(VisibleBlock(queries: shared, shared: shared))
          if buffer > 0 {
            blocks.append(VisibleBlock(queries: own, shared: shared, own: own, limits: causal))
          }
        }
        blocks.append(
          VisibleBlock(
            queries: origin + task * targets..<origin + (task + 1) * targets, shared: shared, own: own,
            limits: limits))
      }
      return blocks
    }
  }

  /// What a training pass says of the targets, task by task.
  public struct Prediction {
    /// The head's parameters, `[tasks·M, 3·components]`.
    public let parameters: Node
    /// What 0 and 1 in the parameters of each target's local components are in the network's units; nil without neighbours.
    public let units: [Scaling.Unit]?
  }

  /// Records the forward pass of `tasks` of a batch.
  ///
  /// - Parameter prefixes: for every target of those tasks, how many buffer rows it sees.
  /// - Precondition: the batch is in the network's units (see `Scaling`).
  public func record(_ batch: TaskBatch, tasks: Range<Int>, prefixes: [Int32], on tape: Tape) -> Prediction {
    let empty = batch.context == 0
    let layout = Layout(
      tasks: tasks.count, context: empty ? 1 : batch.context, buffer: batch.buffer, targets: batch.targets)
    let d = blueprint.width
    let features = self.features(batch, tasks)
    let ex = embed(
      inputs,
      tape.constant(
        features, rows: features.count / blueprint.featureCount,
        columns: blueprint.featureCount), on: tape)
    let observed = observedOutputs(batch, tasks)
    let tokens = assembly(batch, layout, empty: empty)
    var terms: [GatherTerm] = [.node(ex, tokens.inputs)]
    if !observed.isEmpty {
      let ey = embed(outputs, tape.constant(observed, rows: observed.count, columns: 1), on: tape)
      terms.append(.node(ey, tokens.outputs))
    }
    terms.append(.parameter(roleContext, tokens.role(.context)))
    terms.append(.parameter(roleBuffer, tokens.role(.buffer)))
    terms.append(.parameter(roleTarget, tokens.role(.target)))
    let surroundings = surroundings(batch, tasks, prefixes)
    if let near, let nearRow, let surroundings {
      let told = tape.constant(
        surroundings.targets, rows: surroundings.units.count, columns: LocalSpline.features)
      terms.append(.node(tape.linear(told, near), tokens.targets))
      if !observed.isEmpty {
        let told = tape.constant(
          surroundings.rows, rows: observed.count, columns: LocalSpline.rowFeatures)
        terms.append(.node(tape.linear(told, nearRow), tokens.outputs))
      }
    }
    if empty { terms.append(.parameter(emptyContext, tokens.role(.empty))) }
    if let positions { terms.append(.parameter(positions, tokens.positions(limit: positions.rows))) }
    var h = tape.gather(terms, rows: layout.rows, columns: d)
    for (index, block) in blocks.enumerated() {
      h = record(block, h, layout, prefixes, last: index == blocks.count - 1, on: tape)
    }
    if let finalNorm { h = tape.layerNorm(h, gain: finalNorm.gain, bias: finalNorm.bias) }
    let hidden = tape.linear(h, headUp.weight, bias: headUp.bias, activation: .gelu)
    return Prediction(
      parameters: tape.linear(hidden, headDown.weight, bias: headDown.bias), units: surroundings?.units)
  }

  /// One transformer block. The last one computes only what the targets read.
  private func record(
    _ block: Block, _ h: Node, _ layout: Layout, _ prefixes: [Int32], last: Bool, on tape: Tape
  ) -> Node {
    let memory = block.memory.memory(tape.weights, block.memoryParameters)
    let pre = blueprint.norm == .pre
    let normed = pre ? tape.layerNorm(h, gain: block.norm1.gain, bias: block.norm1.bias) : h
    let reading = last ? layout.targetRows : 0..<layout.rows
    let queries = tape.linear(normed[reading], block.query)
    let stored = tape.linear(normed[0..<layout.stored], block.keyValue)
    let read = memory.train(
      queries: queries, stored: stored, blocks: layout.blocks(prefixes: prefixes, targetsOnly: last),
      on: tape)
    var h = tape.linear(read, block.out.weight, bias: block.out.bias, residual: h[reading])
    if !pre { h = tape.layerNorm(h, gain: block.norm1.gain, bias: block.norm1.bias) }
    let inner = pre ? tape.layerNorm(h, gain: block.norm2.gain, bias: block.norm2.bias) : h
    let hidden = tape.linear(inner, block.up.weight, bias: block.up.bias, activation: .gelu)
    h = tape.linear(hidden, block.down.weight, bias: block.down.bias, residual: h)
    return pre ? h : tape.layerNorm(h, gain: block.norm2.gain, bias: block.norm2.bias)
  }

  private func embed(_ embedder: Embedder, _ features: Node, on tape: Tape) -> Node {
    let t = tape.linear(features, embedder.in.weight, bias: embedder.in.bias)
    let hidden = tape.linear(t, embedder.up.weight, bias: embedder.up.bias, activation: .gelu)
    return tape.linear(hidden, embedder.down.weight, bias: embedder.down.bias, residual: t)
  }

  // MARK: Tokens

  private func features(_ batch: TaskBatch, _ tasks: Range<Int>) -> [Float] {
    let (count, dimensions) = (batch.rows, batch.dimensions)
    var features = [Float](repeating: 0, count: tasks.count * count * blueprint.featureCount)
    features.withUnsafeMutableBufferPointer { out in
      batch.x.withUnsafeBufferPointer { x in
        guard let out = out.baseAddress, let x = x.baseAddress else { return }
        for (index, task) in tasks.enumerated() {
          let periods = periods(of: task, in: batch)
          for row in 0..<count {
            writeFeatures(
              x + (task * count + row) * dimensions, dimensions: dimensions, periods,
              into: out + (index * count + row) * blueprint.featureCount)
          }
        }
      }
    }
    return features
  }

  /// The waves in the context of a task.
  private func periods(of task: Int, in batch: TaskBatch) -> Periods {
    if let known = batch.periods[task] { return known }
    let (first, d) = (task * batch.rows, batch.dimensions)
    return Periods(
      x: batch.x[first * d..<(first + batch.context) * d], y: batch.y[first..<first + batch.context],
      dimensions: d, count: blueprint.periods)
  }

  /// Outputs of context and buffer rows, task by task.
  private func observedOutputs(_ batch: TaskBatch, _ tasks: Range<Int>) -> [Float] {
    tasks.flatMap { task in
      batch.y[task * batch.rows..<task * batch.rows + batch.context + batch.buffer]
    }
  }

  private enum Role { case context, buffer, target, empty }

  /// Where each token of a layout takes its summands from; -1 for nowhere.
  private struct Tokens {
    var inputs: [Int32] = []
    var outputs: [Int32] = []
    var roles: [Role] = []
    var buffered: [Int32] = []

    /// Each target by its number.
    var targets: [Int32] {
      var count: Int32 = -1
      return roles.map {
        guard $0 == .target else { return -1 }
        count += 1
        return count
      }
    }

    func role(_ role: Role) -> [Int32] { roles.map { $0 == role ? 0 : -1 } }
    func positions(limit: Int) -> [Int32] { buffered.map { Int($0) < limit ? $0 : Int32(limit - 1) } }

    mutating func append(_ input: Int, _ output: Int, _ role: Role, _ position: Int = -1) {
      inputs.append(Int32(input))
      outputs.append(Int32(output))
      roles.append(role)
      buffered.append(Int32(position))
    }
  }

  private func assembly(_ batch: TaskBatch, _ layout: Layout, empty: Bool) -> Tokens {
    var tokens = Tokens()
    let (rows, seen) = (batch.rows, batch.context + batch.buffer)
    for task in 0..<layout.tasks {
      if empty { tokens.append(-1, -1, .empty) }
      for i in 0..<batch.context { tokens.append(task * rows + i, task * seen + i, .context) }
    }
    for task in 0..<layout.tasks {
      for j in 0..<batch.buffer {
        let row = batch.context + j
        tokens.append(task * rows + row, task * seen + row, .buffer, j)
      }
    }
    for task in 0..<layout.tasks {
      for m in 0..<batch.targets { tokens.append(task * rows + seen + m, -1, .target) }
    }
    return tokens
  }
}
