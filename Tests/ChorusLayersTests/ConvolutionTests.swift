import ChorusMemories
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLayers

/// The short convolution of a mixer: its formula, its gradients, and that rows taken in one by one give what they give at once.
@Suite struct ConvolutionTests {
  private static let (rows, width, convolved) = (9, 7, 5)

  /// Σ_i taps[i]·x[r − i] in the first columns, x in the others.
  private func reference(_ x: [Double], _ taps: [Double], kernel: Int) -> [Double] {
    (0..<Self.rows * Self.width).map { place in
      let (row, column) = place.quotientAndRemainder(dividingBy: Self.width)
      guard column < Self.convolved else { return x[place] }
      return (0..<min(kernel, row + 1)).reduce(0) {
        $0 + taps[$1 * Self.convolved + column] * x[(row - $1) * Self.width + column]
      }
    }
  }

  @Test(arguments: [2, 4, 12]) func formulaAndGradients(kernel: Int) {
    var scope = ParameterScope()
    let x = scope.parameter("x", Self.rows, Self.width, .normal(deviation: 1))
    let taps = scope.parameter("taps", kernel, Self.convolved, .normal(deviation: 1))
    let weights = Weights(scope.table, training: true)
    scope.start(weights, seed: 4)
    func numbers(_ p: Parameter) -> [Double] { (0..<p.count).map { Double(weights[p][$0]) } }
    let tape = Tape(weights)
    let all = (0..<Int32(Self.rows)).map { $0 }
    let node = tape.gather([.parameter(x, all)], rows: Self.rows, columns: Self.width)
    let out = tape.convolve(node, taps: taps)
    let wanted = reference(numbers(x), numbers(taps), kernel: kernel)
    for (place, value) in wanted.enumerated() {
      #expect(abs(Double(tape.values(out)[place]) - value) < 1e-5, "place \(place)")
    }
    // A fixed weighted sum of the outputs; its derivatives are linear in each factor.
    let mix = wanted.indices.map { Double(1 + $0 % 3) / 4 }
    let ones = [Float](repeating: 1, count: Self.rows)
    let (loss, _) = tape.rowLoss(out, weights: ones) { _, gradient, logp in
      for index in mix.indices { gradient[index] = Float(mix[index]) }
      for row in 0..<Self.rows { logp[row] = 0 }
    }
    let gradients = FloatBuffer(count: scope.table.count)
    tape.backward(from: loss, into: gradients)
    for p in [x, taps] {
      for index in 0..<p.count {
        func moved(_ step: Double) -> Double {
          var (a, b) = (numbers(x), numbers(taps))
          if p.path == "x" { a[index] += step } else { b[index] += step }
          return zip(mix, reference(a, b, kernel: kernel)).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let numeric = (moved(1e-3) - moved(-1e-3)) / 2e-3
        #expect(abs(Double(gradients.pointer[p.offset + index]) - numeric) < 1e-4, "\(p.path) \(index)")
      }
    }
  }

  /// Rows of two paths in calls of any size, some of them taken back: what was seen at once comes out, bit by bit.
  @Test func rowsOneByOneAndTakenBack() throws {
    var scope = ParameterScope()
    let memory = try CompiledMemory(
      MemoryRegistry.named("retention"), AttentionSizes(heads: 1, width: 4), set: false)
    var parts = BlockParts()
    parts.convolution = 4
    let mixer = Attention(
      8, memory, AttentionSizes(heads: 1, width: 4), parts, shrink: 1, &scope)
    let weights = Weights(scope.table)
    scope.start(weights, seed: 3)
    let taps = try #require(mixer.convolution)
    #expect(taps.rows == 4 && taps.columns == 8)
    let count = 40
    var stream = RandomStream(seed: 8)
    let x = (0..<2).map { _ in (0..<count * 8).map { _ in Float(stream.normal()) } }
    let whole = try x.map { own in
      let rows = try #require(mixer.recent(paths: 1, capacity: count, reach: nil))
      return store(mixer, own, path: 0, from: 0, rows, weights)
    }
    let rows = try #require(mixer.recent(paths: 2, capacity: count, reach: 8))
    #expect(mixer.recentBytes(capacity: count, reach: 8) == 4 * 8 * 12)
    var (newest, farthest) = ([0, 0], [0, 0])
    for step in 0..<200 {
      let path = step % 2
      // Now and then up to eight rows are taken back, and other rows come in their place before the right ones.
      if step % 5 == 4 {
        newest[path] = max(0, newest[path] - 6)
        let wrong = [Float](repeating: 9, count: 8 * min(2, count - newest[path]))
        _ = store(mixer, wrong, path: path, from: newest[path], rows, weights)
      }
      let size = min(1 + step % 3, count - newest[path])
      guard size > 0 else { continue }
      let range = newest[path] * 8..<(newest[path] + size) * 8
      let got = store(mixer, Array(x[path][range]), path: path, from: newest[path], rows, weights)
      let columns = got.count / size
      #expect(got == Array(whole[path][newest[path] * columns..<(newest[path] + size) * columns]))
      newest[path] += size
      farthest[path] = max(farthest[path], newest[path])
    }
    #expect(farthest == [count, count])
  }

  private func store(
    _ mixer: Attention, _ x: [Float], path: Int, from slot: Int, _ recent: RecentRows, _ weights: Weights
  ) -> [Float] {
    let (arena, rows) = (Arena(), x.count / 8)
    let committed = CommittedRows(
      count: rows, paths: UnsafePointer(arena.integers([Int32](repeating: Int32(path), count: rows))),
      slots: UnsafePointer(arena.integers((0..<Int32(rows)).map { $0 + Int32(slot) })))
    let kept = mixer.store(
      x, rows: rows, turns: nil, committed: (committed, recent), Workspace(weights, arena))
    return Array(UnsafeBufferPointer(start: kept, count: rows * mixer.stored.outputs))
  }
}
