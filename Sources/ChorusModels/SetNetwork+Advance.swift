import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusTensors

/// The private buffers of `count` paths that advance side by side; belongs to one thread at a time.
public final class SetPaths {
  public let count: Int
  public let capacity: Int
  /// For each path, the slots in use: one more than the highest that holds a row.
  public private(set) var slots: [Int]
  let layers: [AnyObject]
  let arena = Arena(blockCount: 1 << 15)
  /// The committed rows, where the network is told of rows.
  let told: ToldPaths?

  init(count: Int, capacity: Int, layers: [AnyObject], told: ToldPaths? = nil) {
    self.count = count
    self.capacity = capacity
    self.layers = layers
    self.told = told
    slots = [Int](repeating: 0, count: count)
  }

  func fill(path: Int, slot: Int) { slots[path] = max(slots[path], slot + 1) }

  /// The kernels trust what they are given. Nothing read from a file or a flag decides it; a caller that gets it
  /// wrong must stop here and not read or write beside a buffer.
  func check(_ batch: RowBatch, inputs: Int) {
    precondition(batch.paths == count, "a batch has a part for every path, if an empty one")
    for row in 0..<batch.count {
      precondition((0..<inputs).contains(Int(batch.inputs[row])), "a row has one of the inputs")
      let slot = Int(batch.slots[row])
      guard slot >= 0 else { continue }
      precondition(slot < capacity, "a slot lies within the paths' capacity")
      fill(path: Int(batch.path[row]), slot: slot)
    }
    for row in 0..<batch.count {
      precondition(
        Int(batch.limits[row]) <= slots[Int(batch.path[row])], "a row reads slots that were written")
    }
  }

  /// Forgets the rows of a path in slots `count` and above.
  public func rewind(path: Int, to count: Int) { slots[path] = min(max(count, 0), slots[path]) }
}

extension SetNetwork {
  public typealias Paths = SetPaths

  // MARK: Extend and query

  /// Empty private buffers for `count` paths with room for `capacity` committed rows each.
  public func branch(paths count: Int, capacity: Int) -> Paths {
    precondition(count > 0 && capacity >= 0, "there is at least one path")
    return Paths(
      count: count, capacity: capacity, layers: stack.buffers(paths: count, capacity: capacity),
      told: ToldPaths(
        blueprint.hints, paths: count, capacity: capacity, inputDimensions: blueprint.inputDimensions))
  }

  /// Commits rows to the paths' buffers and queries further rows, in one network call.
  ///
  /// Every row reads the whole context and the slots of its path's buffer that it names, those written in this call
  /// included. The last layer computes only what the queries read. A row's bytes do not depend on the other rows of
  /// the call, but for the values that it reads.
  /// - Parameter rows: of all paths, in order; its inputs are indices into `questions`.
  @specialized(where H == MixtureHead)
  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch, _ body: (H.Answer) -> Void
  ) {
    let head = layers.head
    if questions.alone.serves(rows, context.layers[0]) {
      paths.check(rows, inputs: questions.count)
      questions.alone.answer(rows) {
        predict(paths, context, questions, $0)
      } _: {
        body(head.answer($0.numbers, units: $0.units))
      }
      return
    }
    let (raw, units) = predict(paths, context, questions, rows)
    for query in 0..<rows.queries {
      body(head.answer(raw + query * head.map.outputs, units: units.map { $0 + 2 * query }))
    }
  }

  /// The head's raw numbers of the queries, and the units of their own, origin and scale, where a hint has them; valid until the
  /// next call.
  @specialized(where H == MixtureHead)
  func predict(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch
  ) -> ContextAnswers.Raw {
    let run = Workspace(weights, paths.arena)
    run.arena.reset()
    paths.check(rows, inputs: questions.count)
    if let told = paths.told { keep(rows, told, questions) }
    let places = Places(rows, run.arena)
    let h = run.arena.floats(rows.count * blueprint.width)
    let near = surroundings(rows, paths, context, questions, run)
    assemble(h, rows, questions, near, run)
    let asked = stack.advance(h, places, contexts: context.layers, buffers: paths.layers, run)
    return (layers.head.apply(asked, rows: rows.queries, run), near?.units)
  }

  public func rewind(_ paths: Paths, path: Int, to count: Int) { paths.rewind(path: path, to: count) }

  private func keep(_ batch: RowBatch, _ told: ToldPaths, _ inputs: Questions) {
    var commit = 0
    inputs.x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for row in 0..<batch.count where batch.slots[row] >= 0 {
        let input = Int(batch.inputs[row])
        told.keep(
          input: input, x + input * inputs.dimensions, dimensions: inputs.dimensions, batch.values[commit],
          path: Int(batch.path[row]), slot: Int(batch.slots[row]))
        commit += 1
      }
    }
  }

  /// Tokens of the rows of one call: Ex(x) + Ey(y) + role for committed rows, Ex(x) + role for queries; and what is
  /// told of them.
  @specialized(where H == MixtureHead)
  private func assemble(
    _ h: UnsafeMutablePointer<Float>, _ batch: RowBatch, _ inputs: Questions,
    _ surroundings: RowSurroundings?, _ run: Workspace
  ) {
    let d = blueprint.width
    let outputs = run.arena.floats(batch.commits * d)
    if batch.commits > 0 {
      embed(values: batch.values, count: batch.commits, into: outputs, run)
    }
    let (buffer, target) = (weights[layers.roleBuffer], weights[layers.roleTarget])
    var ey = UnsafePointer(outputs)
    var (commits, queries) = (surroundings?.commits, surroundings?.queries)
    func addNext(of rows: inout UnsafePointer<Float>?, to out: UnsafeMutablePointer<Float>) {
      guard let row = rows else { return }
      for column in 0..<d { out[column] += row[column] }
      rows = row + d
    }
    for row in 0..<batch.count {
      let out = h + row * d
      let ex = inputs.rows.pointer + Int(batch.inputs[row]) * d
      let slot = Int(batch.slots[row])
      guard slot >= 0 else {
        for column in 0..<d { out[column] = ex[column] + target[column] }
        addNext(of: &queries, to: out)
        continue
      }
      for column in 0..<d { out[column] = ey[column] + ex[column] + buffer[column] }
      ey += d
      addNext(of: &commits, to: out)
      if let positions = layers.positions {
        add(positions, row: min(slot, positions.rows - 1), to: out, rows: 1)
      }
    }
  }
}
