import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// One recurrent memory as a causal layer that learns to name the next token of sequences with rules of their own.
@Suite struct NextTokenTests {
  private static let (letters, length, width) = (5, 20, 8)

  /// Letters that follow each other in a circle, whose order is drawn anew for every sequence.
  private static func sequence(_ stream: inout RandomStream) -> [Int] {
    let circle = stream.permutation(letters)
    return (0..<length + 1).map { circle[$0 % letters] }
  }

  /// Each place shows its letter and the one before it.
  private static func features(_ letters: [Int]) -> [Float] {
    (0..<length).flatMap { t in
      (0..<2 * Self.letters).map { column in
        column == letters[t] || (t > 0 && column == Self.letters + letters[t - 1]) ? 1 : 0
      }
    }
  }

  private struct Layer {
    let compiled: CompiledMemory
    var table = ParameterTable()
    let query: Parameter
    let stored: Parameter
    let out: Parameter
    let handles: [Parameter]
    let weights: Weights

    init(_ name: String) throws {
      compiled = try CompiledMemory(
        MemoryRegistry.named(name), AttentionSizes(heads: 1, width: width), set: false)
      let shape = compiled.shape
      query = table.declare("query.weight", 2 * letters, width)
      stored = table.declare("stored.weight", 2 * letters, shape.stored)
      out = table.declare("out.weight", width, letters)
      var table = table
      handles = shape.parameters.map { table.declare($0.name, 1, $0.count) }
      self.table = table
      weights = Weights(table, training: true)
      var stream = RandomStream(seed: 95)
      for p in [query, stored, out] { for i in 0..<p.count { weights[p][i] = Float(0.3 * stream.normal()) } }
      for (p, known) in zip(handles, shape.parameters) {
        for i in 0..<p.count { weights[p][i] = Float(known.initial) }
      }
      weights.pack()
    }

    /// What the layer says of the next letter at every place of some sequences.
    func logits(_ sequences: [[Int]], on tape: Tape) -> Node {
      let rows = sequences.count * length
      let x = tape.constant(sequences.flatMap { features($0) }, rows: rows, columns: 2 * letters)
      let blocks = sequences.indices.map { index in
        let own = index * length..<(index + 1) * length
        return VisibleBlock(
          queries: own, shared: own.lowerBound..<own.lowerBound, own: own,
          limits: (1...length).map { Int32($0) })
      }
      let read = compiled.memory(weights, handles).train(
        queries: tape.linear(x, query), stored: tape.linear(x, stored), blocks: blocks, on: tape)
      return tape.linear(read, out)
    }

    /// A step on the squared error (Adam, Kingma & Ba 2015, alg. 1); returns the error.
    func train(_ sequences: [[Int]], _ moments: inout [(Double, Double)], step: Int) -> Double {
      let tape = Tape(weights)
      let logits = logits(sequences, on: tape)
      let wanted = sequences.flatMap { letters in
        (0..<length).flatMap { t in (0..<NextTokenTests.letters).map { $0 == letters[t + 1] ? 1.0 : 0 } }
      }
      let loss = tape.matrices(rows: 1, columns: 1, reads: [logits]) { pass in
        let m = pass.matrices
        let said = pass.input(logits, rows: 0..<logits.rows, columns: 0..<logits.columns)
        let target = m.input(logits.rows, logits.columns, learns: false) { values in
          for (i, value) in wanted.enumerated() { values[i] = value }
        }
        let error = m.add(said, target, scale: -1)
        let sum = m.multiply(m.constant(1, 1, logits.rows), m.rowSums(m.hadamard(error, error)))
        pass.emit(m.scaled(sum, by: 1 / Double(logits.rows)), row: 0, column: 0)
      }
      let gradients = FloatBuffer(count: table.count)
      tape.backward(from: loss, into: gradients)
      for p in table.all {
        for i in 0..<p.count {
          let slope = Double(gradients.pointer[p.offset + i])
          let (first, second) = moments[p.offset + i]
          moments[p.offset + i] = (0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope * slope)
          let (mean, size) = moments[p.offset + i]
          let rate = 0.02 / (1 - pow(0.9, Double(step + 1)))
          weights[p][i] -= Float(
            rate * mean / ((size / (1 - pow(0.99, Double(step + 1)))).squareRoot() + 1e-8))
        }
      }
      weights.pack()
      return Double(tape.values(loss)[0])
    }
  }

  /// Those of a linear state: an inner network begins at random and takes longer to learn how it is to be written.
  private static let names = RecurrentTests.names.filter { name in
    guard let layer = try? MemoryRegistry.named(name) else { return false }
    switch layer.context.optimiser {
    case .frozen, .frozenMomentum: return false
    default: return true
    }
  }

  @Test(arguments: names)
  func aCausalLayerLearnsWhatFollowsWhat(name: String) throws {
    let layer = try Layer(name)
    var moments = [(Double, Double)](repeating: (0, 0), count: layer.table.count)
    var stream = RandomStream(seed: 96)
    var errors: [Double] = []
    for step in 0..<300 {
      let batch = (0..<4).map { _ in Self.sequence(&stream) }
      errors.append(layer.train(batch, &moments, step: step))
    }
    #expect(errors[0] > 0.7 && errors.suffix(10).reduce(0, +) / 10 < 0.5, "\(name): \(errors.suffix(10))")

    // Sequences that were not seen, token by token: a row is committed and reads itself and those before it.
    let memory = layer.compiled.memory(layer.weights, layer.handles)
    let arena = Arena(blockCount: 1 << 12)
    let context = memory.finish(any: memory.anyDraft(rows: 0))
    var (right, told) = (0, 0)
    for _ in 0..<10 {
      let letters = Self.sequence(&stream)
      let tape = Tape(layer.weights)
      let wanted = layer.logits([letters], on: tape)
      let buffer = memory.anyBuffer(paths: 1, capacity: Self.length)
      let x = Self.features(letters)
      for t in 0..<Self.length {
        let token = Array(x[t * 2 * Self.letters..<(t + 1) * 2 * Self.letters])
        let (stored, query) = (arena.floats(memory.shape.stored), arena.floats(Self.width))
        let (read, logits) = (arena.floats(Self.width), arena.floats(Self.letters))
        layer.weights.linear(token, rows: 1, layer.stored, into: stored)
        layer.weights.linear(token, rows: 1, layer.query, into: query)
        let (path, slot, limit) = (
          arena.integers([0]), arena.integers([Int32(t)]), arena.integers([Int32(t + 1)])
        )
        memory.append(
          stored, CommittedRows(count: 1, paths: path, slots: slot), anyContext: context, toAny: buffer,
          scratch: arena)
        memory.read(
          query,
          VisibleRows(count: 1, paths: path, limits: limit, maskStarts: arena.integers([-1]), masks: nil),
          anyContext: context, anyBuffer: buffer, into: read, scratch: arena)
        layer.weights.linear(read, rows: 1, layer.out, into: logits)
        let said = (0..<Self.letters).map { logits[$0] }
        let recorded = (0..<Self.letters).map { tape.values(wanted)[t * Self.letters + $0] }
        #expect(deviation(said, recorded) < 1e-5, "\(name): \(t)")
        // A letter's follower is known from its second time on.
        guard t >= Self.letters else { continue }
        told += 1
        if said.indices.max(by: { said[$0] < said[$1] }) == letters[t + 1] { right += 1 }
      }
      arena.reset()
    }
    #expect(Double(right) >= 0.9 * Double(told), "\(name): \(right) of \(told)")
  }
}
