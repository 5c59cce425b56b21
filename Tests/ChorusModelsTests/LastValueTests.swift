import ChorusData
import ChorusLayers
import Foundation
import Testing

@testable import ChorusHints
@testable import ChorusModels
@testable import ChorusTensors

/// The hint `last-value`: beside its formula in float64, and in training and inference alike.
@Suite struct LastValueTests {
  private struct Row {
    let x: [Float]
    let y: Float
  }

  /// What rows say of a place after them, by looking through all of them.
  private static func told(
    _ rows: [Row], at place: Float, law: (noise: Double, slope: Double)
  ) -> (features: [Double], unit: Scaling.Unit?) {
    let last = rows.filter { $0.x[0] <= place }
      .max { ($0.x + [$0.y]).lexicographicallyPrecedes($1.x + [$1.y]) }
    guard let last else { return ([0, log(8) / 2, 0], nil) }
    let gap = Double(place) - Double(last.x[0])
    let error = min(max((law.noise + law.slope * gap).squareRoot(), 0.001), 8)
    return (
      [Double(last.y) / 4, log(error) / 2, log(1 + gap) / 2],
      Scaling.Unit(origin: Double(last.y), scale: error)
    )
  }

  private static func law(_ rows: [Row]) -> (noise: Double, slope: Double) {
    let sorted = rows.sorted { ($0.x + [$0.y]).lexicographicallyPrecedes($1.x + [$1.y]) }
    func mean(_ lag: Int, _ of: (Row, Row) -> Double) -> Double {
      zip(sorted, sorted.dropFirst(lag)).reduce(0) { $0 + of($1.0, $1.1) } / Double(sorted.count - lag)
    }
    func square(_ lag: Int) -> Double { mean(lag) { pow(Double($1.y) - Double($0.y), 2) } }
    func gap(_ lag: Int) -> Double { mean(lag) { Double($1.x[0]) - Double($0.x[0]) } }
    guard rows.count > 1 else { return (1, 0) }
    let far = min(4, rows.count - 1)
    let slope = gap(far) > gap(1) ? max((square(far) - square(1)) / (gap(far) - gap(1)), 0) : 0
    return (gap(far) > gap(1) ? max(square(1) - slope * gap(1), 0) : square(1), slope)
  }

  private static func network(_ rows: [Row], _ d: Int) -> NetworkRows {
    NetworkRows(x: rows.flatMap(\.x), y: rows.map(\.y), dimensions: d)
  }

  private static func close(_ a: [Float], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs(Double($0) - $1) < 1e-5 * max(1, abs($1)) }
  }

  @Test(arguments: [1, 2, 3], [0, 1, 2, 3, 30]) func itSaysWhatItsFormulaSays(d: Int, count: Int) throws {
    var stream = RandomStream(seed: 21, UInt64(d), UInt64(count))
    // On a grid, so that rows share places.
    func row() -> Row {
      Row(
        x: (0..<d).map { _ in Float((8 * stream.uniform()).rounded() / 4 - 1) }, y: Float(stream.normal()))
    }
    let observed = (0..<count).map { _ in row() }
    let path = (0..<6).map { _ in row() }
    let asked = path + (0..<8).map { _ in row() } + [Row(x: [-9] + Array(repeating: 0, count: d - 1), y: 0)]
    let hints = Hints(rows: [LastValue()])
    let law = Self.law(observed)
    let context = try #require(ToldContext(hints, Self.network(observed, d), HintFits()))
    // Rows of the context, by the others.
    var own = [Float](repeating: .nan, count: count * 5)
    context.tell(0..<count, into: &own, width: 5)
    for (place, row) in observed.enumerated() {
      var others = observed
      others.remove(at: place)
      let (features, unit) = Self.told(others, at: row.x[0], law: law)
      let z = (unit ?? .plain).scaled(Double(row.y))
      let far = min(max(z, -8), 8)
      #expect(
        Self.close(Array(own[place * 5..<place * 5 + 5]), features + [far / 4, log(abs(far) + 0.05) / 2]))
    }
    // Rows asked for, by those of the context and any slots of the path.
    let inputs = context.asked(asked.flatMap(\.x))
    let paths = try #require(ToldPaths(hints, paths: 1, capacity: 6, inputDimensions: d))
    for (slot, row) in path.enumerated() {
      paths.keep(input: slot, row.x, dimensions: d, row.y, path: 0, slot: slot)
    }
    for input in asked.indices {
      for mask: UInt64 in [0, 0b1, 0b101101, 0b111111] {
        var features = [Float](repeating: .nan, count: 3)
        let unit = withUnsafePointer(to: mask) {
          paths.tell(
            RowRead(path: 0, input: input, slot: -1, limit: 6, mask: $0), context, inputs, into: &features)
        }
        let read = path.indices.filter { mask >> UInt64($0) & 1 == 1 }.map { path[$0] }
        let expected = Self.told(observed + read, at: asked[input].x[0], law: law)
        #expect(Self.close(features, expected.features))
        #expect(abs(unit.scale - (expected.unit ?? .plain).scale) < 1e-9)
        #expect(unit.origin == (expected.unit ?? .plain).origin)
      }
    }
    // The order of the rows is nothing that it knows of.
    let turned = try #require(
      ToldContext(hints, Self.network(observed.reversed(), d), HintFits()))
    var again = [Float](repeating: .nan, count: count * 5)
    turned.tell(0..<count, into: &again, width: 5)
    for place in 0..<count {
      let there = count - 1 - place
      #expect(again[there * 5..<there * 5 + 5].elementsEqual(own[place * 5..<place * 5 + 5]))
    }
  }

  /// A walk's error grows by the root of the gap, that of noise not at all.
  @Test func errorsGrowAsValuesMove() throws {
    var stream = RandomStream(seed: 3)
    func errors(_ values: [Double]) throws -> (near: Double, far: Double) {
      let x = values.indices.map { Float($0) / 50 }
      let hints = Hints(rows: [LastValue()])
      let rows = NetworkRows(x: x, y: values.map(Float.init), dimensions: 1)
      let context = try #require(ToldContext(hints, rows, HintFits()))
      let paths = try #require(ToldPaths(hints, paths: 1, capacity: 0, inputDimensions: 1))
      let end = Float(values.count - 1) / 50
      let inputs = context.asked([end + 1 / 50, end + 16 / 50])
      let said = (0..<2).map { input in
        var features = [Float](repeating: 0, count: 3)
        return paths.tell(
          RowRead(path: 0, input: input, slot: -1, limit: 0, mask: nil), context, inputs, into: &features)
      }
      return (said[0].scale, said[1].scale)
    }
    let steps = (0..<2000).map { _ in 0.05 * stream.normal() }
    var level = 0.0
    let walk = try errors(
      steps.map {
        level += $0
        return level
      })
    #expect(abs(walk.near - 0.05) < 0.005 && abs(walk.far - 0.2) < 0.02)
    let noise = try errors(steps)
    #expect(abs(noise.near - 0.05 * 2.0.squareRoot()) < 0.005 && abs(noise.far / noise.near - 1) < 0.3)
  }

  /// Training, one pass and steps say the same, alone and beside another hint of rows.
  @Test(arguments: [false, true]) func formsAgree(beside: Bool) throws {
    let blueprint = smallBlueprint {
      $0.hints = Hints(rows: beside ? [LastValue(), LocalSplines(neighbours: 4)] : [LastValue()])
      $0.head = .mixture(components: 4, around: 2)
    }
    let network = try randomNetwork(blueprint)
    let batch = try randomBatch(context: 9, buffer: 5, targets: 7)
    let prefixes = (0..<7).map { Int32($0 % 6) }
    let tape = Tape(network.weights)
    let trained = network.loss(batch, task: 0, prefixes: prefixes, weight: 1, on: tape).logDensities
    let context = network.encode(batch.observed, HintFits())
    let asked = Array(batch.x[batch.bufferRows.lowerBound * 2..<batch.rows * 2])
    let questions = network.embed(asked, dimensions: 2, for: context)
    for together in [true, false] {
      let paths = network.branch(paths: 1, capacity: 5)
      var found = [Double](repeating: .nan, count: 7)
      func call(_ commit: Range<Int>, _ targets: [Int]) {
        var rows = RowBatch()
        rows.begin()
        for slot in commit {
          rows.commit(
            input: Int32(slot), y: batch.y[batch.bufferRows.lowerBound + slot], slot: Int32(slot),
            reads: .prefix(slot + 1))
        }
        for target in targets {
          rows.query(input: Int32(5 + target), reads: .prefix(Int(prefixes[target])))
        }
        var next = 0
        network.advance(paths, context, questions, rows) { answer in
          let value = batch.y[batch.targetRows.lowerBound + targets[next]]
          found[targets[next]] = answer.law.logDensity(.number(Double(value)))
          next += 1
        }
      }
      if together {
        call(0..<5, Array(0..<7))
      } else {
        for seen in 0...5 { call(max(seen - 1, 0)..<seen, (0..<7).filter { prefixes[$0] == Int32(seen) }) }
      }
      for (a, b) in zip(trained, found) { #expect(abs(Double(a) - b) < 1e-3 * max(1, abs(b))) }
    }
  }

  @Test func blueprintsNameIt() throws {
    let hints = Hints([TrendAndWaves(waves: 2)], rows: [LastValue(), LocalSplines(neighbours: 5)])
    let json = try JSONEncoder().encode(hints)
    #expect(try JSONDecoder().decode(Hints.self, from: json) == hints)
    func decoded(_ json: String) throws -> Hints {
      try JSONDecoder().decode(Hints.self, from: Data(json.utf8))
    }
    #expect(try decoded(#"[{"name": "last-value"}]"#) == Hints(rows: [LastValue()]))
    #expect(throws: UnknownField.self) { try decoded(#"[{"name": "last-value", "neighbours": 3}]"#) }
    #expect(throws: UnknownField.self) { try decoded(#"[{"name": "last-values"}]"#) }
    #expect(throws: DataError.self) { try Hints(rows: [LastValue(), LastValue()]).validate() }
    #expect(throws: DataError.self) {
      try Hints([TrendAndWaves(waves: 2), TrendAndWaves(waves: 3)]).validate()
    }
  }
}
