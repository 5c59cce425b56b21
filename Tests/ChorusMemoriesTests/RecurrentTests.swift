import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// What memories owe whose state goes from row to row (spec 5.4): all their forms are one function, whatever the split, and
/// where definitions coincide so do answers. Every entry of the registry that reads the newest prefixes only is tried.
@Suite struct RecurrentTests {
  private static let sizes = AttentionSizes(heads: 2, width: 8)

  static let names = Subjects.all.filter { name in
    (try? Subjects.bench(name))?.capability.prefixReads != .any
  }

  private static func reach(_ bench: Bench) throws -> Int {
    guard case .newest(let chunk) = bench.capability.prefixReads else {
      throw MemoryError.refused("any prefix")
    }
    return chunk
  }

  @Test func thereAreSome() { #expect(Self.names.contains("retention")) }

  // MARK: One function

  /// Rows of the context go through the chunk form, those of a path through the step form, and both through the training
  /// form: wherever the split between them is, the last query reads the same.
  @Test(arguments: names)
  func stepsAreChunksAreTraining(name: String) throws {
    let bench = try Subjects.bench(name)
    let rows = bench.stored(100, seed: 81)
    let asked = bench.queries(3, seed: 82)
    for split in [0, 1, 15, 16, 17, 31, 32, 33, 50, 64, 96, 99, 100] {
      let (set, own) = (rows[0..<split], rows[split..<100])
      let sights = [Sight](repeating: Sight(limit: 100 - split), count: 3)
      // Where one memory holds the context too, this is the same for all splits.
      let wanted = bench.expected(context: set, own: own, asked, sights)
      let stepped = bench.run(context: set, own: own, asked, sights)
      #expect(deviation(stepped, wanted) < ConformanceTests.tolerance(name), "\(name): \(split)")
      let trained = bench.trained(
        context: set, own: own, bench.queries(100, seed: 83) + asked, limits: sights.map(\.limit))
      #expect(
        deviation(Array(trained.suffix(wanted.count)), wanted) < ConformanceTests.tolerance(name),
        "\(name): \(split)")
    }
  }

  /// All prefixes in one training pass, and the same ones step by step.
  @Test(arguments: names)
  func everyPrefix(name: String) throws {
    let bench = try Subjects.bench(name)
    let (set, own) = (bench.stored(5, seed: 84), bench.stored(70, seed: 85))
    let limits = Array(0...70) + [70, 3, 33, 32, 4, 5, 0]
    let asked = bench.queries(75 + limits.count, seed: 86)
    let trained = bench.trained(context: set, own: own, asked, limits: limits)
    let read = bench.run(context: set, own: own, asked[75..<asked.count], limits.map { Sight(limit: $0) })
    #expect(deviation(Array(trained.suffix(read.count)), read) < ConformanceTests.tolerance(name), "\(name)")
  }

  /// However rows come in, however far a path has come since or was taken back: the same bytes.
  @Test(arguments: names)
  func lotsAndRowsTakenBackLeaveNoTrace(name: String) throws {
    let bench = try Subjects.bench(name)
    let reach = try Self.reach(bench)
    let count = 3 * reach + 5
    let (own, lost) = (bench.stored(count, seed: 87), bench.stored(count, seed: 88, scale: 20))
    let state = bench.context(bench.stored(9, seed: 89))
    let asked = bench.queries(1, seed: 90)
    func read(_ buffer: AnyObject, _ limit: Int) -> [Float] {
      bench.read(asked, [Sight(limit: limit)], state, buffer)
    }
    let (rowByRow, lots) = (bench.buffer(capacity: count), bench.buffer(capacity: count))
    var wanted = [read(rowByRow, 0)]
    for slot in 0..<count {
      bench.append(own[slot..<slot + 1], slots: [slot], state, to: rowByRow)
      wanted.append(read(rowByRow, slot + 1))
      // As far back as the capability tells.
      for limit in max(0, slot + 1 - reach)...slot { #expect(same(read(rowByRow, limit), wanted[limit])) }
    }
    var done = 0
    for lot in [1, reach - 1, 7, reach, reach, count] where done < count {
      let new = done..<min(count, done + lot)
      bench.append(own[new], slots: Array(new), state, to: lots)
      done = new.upperBound
      #expect(same(read(lots, done), wanted[done]), "\(name): \(new)")
    }
    // Taken back from every place, by as much as may be, also across the beginning of a chunk.
    for end in reach..<count {
      let buffer = bench.buffer(capacity: count)
      bench.append(own[0..<end], slots: Array(0..<end), state, to: buffer)
      let back = end - reach
      bench.append(lost[back..<end], slots: Array(back..<end), state, to: buffer)
      bench.append(own[back..<end], slots: Array(back..<end), state, to: buffer)
      #expect(same(read(buffer, end), wanted[end]), "\(name): \(end)")
      bench.append(own[end..<count], slots: Array(end..<count), state, to: buffer)
      #expect(same(read(buffer, count), wanted[count]), "\(name): \(end)")
    }
  }

  // MARK: Positions

  /// Rows with gaps between them, and queries behind the last row.
  @Test(arguments: names)
  func positions(name: String) throws {
    let bench = try Subjects.bench(name)
    let (set, own) = (bench.stored(4, seed: 91), bench.stored(40, seed: 92))
    let places = (0..<40).map { 4 + $0 + 3 * ($0 / 7) }
    let asked = bench.queries(2, seed: 93)
    let state = bench.context(set)
    let buffer = bench.buffer(capacity: 40)
    bench.append(own, positions: places, state, to: buffer)
    for (limit, position) in [(40, places[39]), (40, places[39] + 6), (39, places[38] + 1)] {
      let sights = [Sight](repeating: Sight(limit: limit, position: position), count: 2)
      let wanted = asked.doubles.flatMap {
        bench.compiled.reference(
          $0, context: set.doubles, own: Array(own.doubles.prefix(limit)),
          positions: Array(places.prefix(limit)),
          position: position, numbers: bench.numbers)
      }
      let got = bench.read(asked, sights, state, buffer)
      #expect(deviation(got, wanted) < 1e-5, "\(name): \(limit), \(position)")
      let plain = bench.buffer(capacity: 40)
      bench.append(own, state, to: plain)
      let without = bench.read(asked, sights.map { Sight(limit: $0.limit) }, state, plain)
      // Where the rows themselves tell what they forget, their places do not.
      #expect(
        (deviation(got, without) > 1e-3) == (name.contains("retention") || name == "rls"),
        "\(name): \(limit), \(position)")
    }
  }

  // MARK: Gradients across chunks

  /// Along some directions in rows and queries, over several chunks and from the context's rows, the initial state.
  @Test(arguments: names)
  func gradientsAcrossChunks(name: String) throws {
    let bench = try Subjects.bench(name)
    let (context, own, limits) = (20, 50, [50, 0, 33, 32])
    let rows = context + own
    var table = ParameterTable()
    let asked = table.declare("queries", rows + limits.count, bench.sizes.columns)
    let stored = table.declare("stored", rows, bench.shape.stored)
    let handles = bench.shape.parameters.map { table.declare($0.name, 1, $0.count) }
    let probe = table.declare("probe.weight", bench.shape.read, 1)
    let weights = Weights(table, training: true)
    var stream = RandomStream(seed: 94)
    for p in table.all {
      let known = handles.firstIndex(of: p).map { bench.numbers[$0] }
      for i in 0..<p.count { weights[p][i] = Float(known?[i] ?? stream.normal()) }
    }
    weights.pack()
    let tape = Tape(weights)
    func input(_ p: Parameter) -> Node {
      tape.gather([.parameter(p, (0..<p.rows).map { Int32($0) })], rows: p.rows, columns: p.columns)
    }
    let read = bench.compiled.memory(weights, handles).train(
      queries: input(asked), stored: input(stored),
      blocks: bench.blocks(context: context, own: own, limits: limits), on: tape)
    let summed = tape.linear(read, probe)
    let loss = tape.gather(
      (0..<read.rows).map { GatherTerm.node(summed, [Int32($0)]) }, rows: 1, columns: 1)
    let gradients = FloatBuffer(count: table.count)
    tape.backward(from: loss, into: gradients)

    let values = table.all.map { p in (0..<p.count).map { Double(weights[p][$0]) } }
    let index = Dictionary(uniqueKeysWithValues: table.all.enumerated().map { ($1.path, $0) })
    func defined(_ values: [[Double]]) -> Double {
      func row(_ place: Int, _ row: Int, _ width: Int) -> [Double] {
        Array(values[place][row * width..<(row + 1) * width])
      }
      let all = (0..<rows).map { row(index["stored"] ?? 0, $0, bench.shape.stored) }
      let numbers = handles.map { values[index[$0.path] ?? 0] }
      return (0..<rows + limits.count).reduce(0.0) { sum, query in
        let seen = query < context ? 0 : query < rows ? query - context + 1 : limits[query - rows]
        let out = bench.compiled.reference(
          row(index["queries"] ?? 0, query, bench.sizes.columns), context: Array(all[0..<context]),
          own: Array(all[context..<context + seen]), numbers: numbers)
        return sum + zip(out, values[index["probe.weight"] ?? 0]).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
    #expect(abs(Double(tape.values(loss)[0]) - defined(values)) < 1e-4 * max(1, abs(defined(values))))
    for _ in 0..<3 {
      let direction = table.all.map { p in
        p == probe ? [Double](repeating: 0, count: p.count) : stream.normals(p.count)
      }
      func moved(_ step: Double) -> [[Double]] {
        zip(values, direction).map { zip($0, $1).map { $0 + step * $1 } }
      }
      let slope = (defined(moved(1e-5)) - defined(moved(-1e-5))) / 2e-5
      let got = zip(table.all, direction).reduce(0.0) { sum, pair in
        sum
          + pair.1.enumerated().reduce(0.0) {
            $0 + $1.element * Double(gradients.pointer[pair.0.offset + $1.offset])
          }
      }
      #expect(abs(got - slope) < 1e-4 * max(1, abs(slope)), "\(name)")
    }
  }

  /// Gates that keep nothing, and gates that keep everything, over more rows than a chunk has: nothing turns into NaN.
  @Test(arguments: names)
  func gatesAtTheirEnds(name: String) throws {
    let bench = try Subjects.bench(name)
    guard bench.shape.stored > 32 else { return }
    for size in [-1e4, -300, 300, 1e4] {
      var rows = bench.stored(90, seed: 101)
      for row in 0..<90 where row % 3 > 0 {
        rows[row] = Array(rows[row][..<32]) + [Float](repeating: Float(size), count: bench.shape.stored - 32)
      }
      let (set, own) = (rows[0..<40], rows[40..<90])
      let asked = bench.queries(90 + 2, seed: 102)
      let sights = [Sight(limit: 50), Sight(limit: 45)]
      let got = bench.run(context: set, own: own, asked[90..<92], sights)
      #expect(got.allSatisfy { $0.isFinite }, "\(name): \(size)")
      let trained = bench.trained(context: set, own: own, asked, limits: sights.map(\.limit))
      #expect(trained.allSatisfy { $0.isFinite }, "\(name): \(size)")
      let wanted = bench.expected(context: set, own: own, asked[90..<92], sights)
      #expect(deviation(got, wanted) < 1e-5, "\(name): \(size)")
      #expect(deviation(Array(trained.suffix(got.count)), wanted) < 1e-5, "\(name): \(size)")
    }
  }
}
