import ChorusData
import ChorusLayers
import Foundation
import Testing

@testable import ChorusHints
@testable import ChorusModels
@testable import ChorusTensors

/// What a series says of a path's next value reaches training and inference alike.
@Suite("A series on a path")
struct SeriesPathTests {
  private static func blueprint(joins: Bool = true) -> Blueprint {
    smallBlueprint {
      $0.inputDimensions = 1
      $0.scaling = .standardise
      $0.hints = Hints(
        [SeriesLevelAndSeason(subtracts: true, joins: joins)], rows: [LocalSplines(neighbours: 6)])
      $0.head = .mixture(components: 4, around: 2)
    }
  }

  /// A task whose context is a series with a season of seven rows; some asked rows lie before it, and in a gap.
  private static func task(targets: Int = 6) throws -> TaskBatch {
    var stream = RandomStream(seed: 9)
    let order = stream.permutation(60).map(Double.init)
    let context = order.filter { $0 < 44 && !(20..<26).contains($0) }
    let asked = Array(order.filter { !context.contains($0) }.prefix(5 + targets - 1)) + [-3]
    let x = context + asked
    let y = x.map { 30 + 4 * sin(2 * .pi * $0 / 7) + 0.05 * $0 + 0.5 * stream.normal() }
    let rule = blueprint().preparation
    let preparation = try rule.prepare(x: x.prefix(context.count), y: y.prefix(context.count), dimensions: 1)
    var batch = try TaskBatch(
      tasks: 1, context: context.count, buffer: 5, targets: asked.count - 5, dimensions: 1)
    try batch.store(0, x: x, y: y, preparation: preparation)
    return batch
  }

  private static func answers(
    _ network: Network, _ batch: TaskBatch, prefixes: [Int32], inSteps: Bool
  ) throws -> [Double] {
    let state = network.encode(batch.observed, try #require(batch.fits[0]))
    let asked = Array(batch.x[batch.bufferRows.lowerBound...])
    let questions = network.embed(asked, dimensions: 1, for: state)
    let paths = network.branch(paths: 1, capacity: batch.buffer)
    func rows(commit: Range<Int>, query: [Int]) -> RowBatch {
      var rows = RowBatch()
      rows.clear()
      rows.begin()
      for row in commit {
        rows.commit(
          input: Int32(row), y: batch.y[batch.bufferRows.lowerBound + row], slot: Int32(row),
          reads: .prefix(row + 1))
      }
      for target in query {
        rows.query(input: Int32(batch.buffer + target), reads: .prefix(Int(prefixes[target])))
      }
      return rows
    }
    var found = [Double](repeating: .nan, count: batch.targets)
    func take(_ commit: Range<Int>, _ targets: [Int]) {
      var next = 0
      network.advance(paths, state, questions, rows(commit: commit, query: targets)) { answer in
        let value = batch.y[batch.targetRows.lowerBound + targets[next]]
        found[targets[next]] = answer.law.logDensity(.number(Double(value)))
        next += 1
      }
    }
    if inSteps {
      for seen in 0...batch.buffer {
        take(max(seen - 1, 0)..<seen, (0..<batch.targets).filter { prefixes[$0] == Int32(seen) })
      }
    } else {
      take(0..<batch.buffer, Array(0..<batch.targets))
    }
    return found
  }

  @Test("Training, one pass and steps say the same of every target, however much it reads")
  func forms() throws {
    let network = try randomNetwork(Self.blueprint())
    let batch = try Self.task()
    let prefixes = (0..<batch.targets).map { Int32($0 % 6) }
    let onePass = try Self.answers(network, batch, prefixes: prefixes, inSteps: false)
    let steps = try Self.answers(network, batch, prefixes: prefixes, inSteps: true)
    #expect(onePass.allSatisfy { $0.isFinite })
    #expect(zip(onePass, steps).allSatisfy { abs($0 - $1) < 1e-4 })
    let tape = Tape(network.weights)
    let trained = network.loss(batch, task: 0, prefixes: prefixes, weight: 1, on: tape).logDensities
    for (a, b) in zip(trained, onePass) { #expect(abs(Double(a) - b) < 1e-3 * max(1, abs(b))) }
    let without = try randomNetwork(Self.blueprint(joins: false))
    let others = try Self.answers(without, batch, prefixes: prefixes, inSteps: false)
    #expect(others != onePass)
  }

  @Test("Rows that a context reads after its fits tell what rows of a path tell")
  func later() throws {
    let batch = try Self.task()
    let fits = try #require(batch.fits[0])
    let asked = Array(batch.x[batch.bufferRows.lowerBound...])
    let y = Array(batch.y[batch.bufferRows])
    let kept = SeriesPaths(paths: 1)
    let plain = try #require(SeriesInputs(fits, x: asked, dimensions: 1))
    for slot in y.indices { kept.keep(input: slot, y[slot], path: 0, slot: slot) }
    // Three are read as context, by a row that was asked for and by ones that were not; two stay in slots.
    let rows = (0..<3).map { SeriesRow(x: asked[$0], y: y[$0]) }
    for inputs in [plain, try #require(SeriesInputs(fits, x: asked, dimensions: 1, later: rows))] {
      let paths = SeriesPaths(paths: 1)
      for slot in 3..<5 { paths.keep(input: slot, y[slot], path: 0, slot: slot - 3) }
      for input in 5..<asked.count {
        let found = paths.tell(
          RowRead(path: 0, input: input, slot: -1, limit: 2, mask: nil), inputs, after: rows)
        let expected = kept.tell(RowRead(path: 0, input: input, slot: -1, limit: 5, mask: nil), plain)
        #expect((found == nil) == (expected == nil))
        guard let found, let expected else { continue }
        #expect(abs(found.origin - expected.origin) < 1e-9 && abs(found.scale - expected.scale) < 1e-9)
      }
    }
    // A context that is encoded with rows more, by the same fits, and one that has observed them, know which those are.
    let network = try randomNetwork(Self.blueprint())
    let observed = batch.observed
    let more = NetworkRows(x: Array(asked.prefix(3)), y: Array(y.prefix(3)), dimensions: 1)
    func later(_ context: Network.Context) throws -> [SeriesRow] {
      try #require(context.told?.parts.last as? SeriesContext).later
    }
    #expect(try later(network.encode(observed, fits)).isEmpty)
    #expect(try later(network.encode(observed.appending(more), fits)) == rows)
    let merged = try #require(network.observing(network.encode(observed, fits), more))
    #expect(try later(merged) == rows)
  }

  /// The law at an input given rows, by forward substitution row after row.
  private static func told(
    _ input: Int, _ rows: [(input: Int, value: Float)], _ inputs: SeriesInputs
  ) throws -> Scaling.Unit {
    var (factor, white): ([[Double]], [Double]) = ([], [])
    func solve(_ input: Int) -> (row: [Double], mean: Double, deviation: Double) {
      var (row, mean, variance): ([Double], Double, Double) = ([], 0, 1)
      for slot in factor.indices {
        var value = inputs.joint.correlation(input, rows[slot].input)
        for before in 0..<slot { value -= factor[slot][before] * row[before] }
        value /= factor[slot][slot]
        row.append(value)
        mean += value * white[slot]
        variance -= value * value
      }
      return (row, mean, max(variance, 1 / (1 + inputs.joint.variance(input))).squareRoot())
    }
    for (input, value) in rows {
      let (row, mean, deviation) = solve(input)
      let law = try #require(inputs.laws[input])
      white.append((law.scaled(Double(value)) - mean) / deviation)
      factor.append(row + [deviation])
    }
    let own = try #require(inputs.laws[input])
    let law = solve(input)
    return Scaling.Unit(origin: own.raw(law.mean), scale: own.scale * law.deviation)
  }

  @Test("Paths that read the same inputs share what is solved, and say to the bit what each says alone")
  func shared() throws {
    let batch = try Self.task(targets: 18)
    let asked = Array(batch.x[batch.bufferRows.lowerBound...])
    let fits = try #require(batch.fits[0])
    let inputs = try #require(SeriesInputs(fits, x: asked, dimensions: 1))
    let order = asked.indices.filter { inputs.laws[$0] != nil }
    let (paths, capacity) = (SeriesPaths(paths: 3), order.count - 2)
    var stream = RandomStream(seed: 4)
    var rows = [[(input: Int, value: Float)]](repeating: [], count: 3)
    let seen: UInt64 = 0b1011_0110_1101_1011
    let mask = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
    defer { mask.deallocate() }
    mask.initialize(to: seen)
    for slot in 0..<capacity {
      for path in 0..<3 {
        // The last path goes its own way.
        let input = path == 2 ? order[capacity - 1 - slot] : order[slot]
        rows[path].append((input, Float(stream.normal())))
        paths.keep(input: input, rows[path][slot].value, path: path, slot: slot)
      }
      for path in 0..<3 {
        let input = order[capacity + path % 2]
        func told(_ mask: UnsafePointer<UInt64>?) -> Scaling.Unit? {
          paths.tell(
            RowRead(path: path, input: input, slot: -1, limit: slot + 1, mask: mask), inputs)
        }
        let read = rows[path].indices.filter { seen >> UInt64($0) & 1 == 1 }.map { rows[path][$0] }
        let (all, part) = (
          try Self.told(input, rows[path], inputs), try Self.told(input, read, inputs)
        )
        #expect(told(nil) == all)
        #expect(told(mask) == part)
      }
    }
    #expect(capacity > 9)
  }

  @Test("What is told of a path is the normal law of its values, by any slots read")
  func law() throws {
    let batch = try Self.task()
    let fits = try #require(batch.fits[0])
    let asked = Array(batch.x[batch.bufferRows.lowerBound...])
    let inputs = try #require(SeriesInputs(fits, x: asked, dimensions: 1))
    let paths = SeriesPaths(paths: 2)
    // Slots written again, and out of order.
    for slot in [0, 1, 2, 1, 3, 4] {
      paths.keep(input: slot, batch.y[batch.bufferRows.lowerBound + slot], path: 1, slot: slot)
      _ = paths.tell(RowRead(path: 1, input: 7, slot: -1, limit: slot + 1, mask: nil), inputs)
    }
    func dense(_ input: Int, _ slots: [Int]) -> Scaling.Unit? {
      guard let own = inputs.laws[input] else { return nil }
      let read = slots.filter { inputs.laws[$0] != nil }
      let z = read.compactMap { inputs.laws[$0]?.scaled(Double(batch.y[batch.bufferRows.lowerBound + $0])) }
      // Gauss's elimination of the rows read out of the correlations of all.
      var matrix = (read + [input]).map { a in
        (read + [input]).map { b in a == b ? 1 : inputs.joint.correlation(a, b) }
      }
      var values = z + [0]
      for pivot in read.indices {
        for row in pivot + 1...read.count {
          let factor = matrix[row][pivot] / matrix[pivot][pivot]
          for column in pivot...read.count { matrix[row][column] -= factor * matrix[pivot][column] }
          values[row] -= factor * values[pivot]
        }
      }
      return Scaling.Unit(
        origin: own.raw(-values[read.count]), scale: own.scale * matrix[read.count][read.count].squareRoot())
    }
    for input in 5..<asked.count {
      let reads: [(Int, UInt64?)] = [(0, nil), (3, nil), (5, nil), (5, 0b10110)]
      for (limit, mask) in reads {
        let read = (0..<limit).filter { slot in mask.map { $0 >> UInt64(slot) & 1 == 1 } ?? true }
        let found = withUnsafePointer(to: mask ?? 0) {
          paths.tell(
            RowRead(path: 1, input: input, slot: -1, limit: limit, mask: mask == nil ? nil : $0), inputs
          )
        }
        let expected = dense(input, read)
        #expect((found == nil) == (expected == nil))
        guard let found, let expected else { continue }
        #expect(abs(found.origin - expected.origin) < 1e-9 && abs(found.scale - expected.scale) < 1e-9)
      }
    }
    #expect(inputs.laws.contains { $0 == nil }, "a place before the first row")
  }
}
