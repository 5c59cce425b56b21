import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Tables as they are asked: what answers may depend on, and cells drawn in a chain.
@Suite struct TableTests {
  private static func model() throws -> Model {
    var blueprint = Blueprint()
    blueprint.family = .table
    blueprint.parts.coordinates = TableExperts.coordinates
    blueprint.width = 32
    blueprint.layers = 2
    blueprint.heads = 2
    blueprint.feedForward = 16
    blueprint.embedderHidden = 16
    blueprint.headHidden = 16
    blueprint.inputDimensions = TableExperts.width
    blueprint.scaling = .standardise
    blueprint.head = .mixture(components: 10, around: 8, units: TableExperts.count)
    blueprint.trainedContext = 64
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 3)
    return Model(network: try declared.network(weights))
  }

  /// Two numbers, a category of three levels, with gaps; `y` follows all of them.
  private static func table(_ rows: Int) throws -> (cells: Cells, y: [Double]) {
    var stream = RandomStream(seed: 77)
    var (values, y) = ([Double](), [Double]())
    for _ in 0..<rows {
      let (a, b, level) = (stream.normal(), stream.normal(), stream.below(3))
      values += [a, stream.uniform() < 0.2 ? .nan : b, Double(level)]
      y.append(50 + 3 * a + b + 2 * Double(level) + 0.3 * stream.normal())
    }
    return (try Cells(values, categories: [false, false, true]), y)
  }

  @Test func rowsColumnsThreadsAndPathsChangeNoByte() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(60)
    let (known, asked) = (cells.rows(0..<50), cells.rows(50..<60))
    let posterior = try model.condition(on: known, y: Array(y[..<50]))
    let paths = try posterior.sample(40, at: asked, seed: 5).paths
    #expect(paths.allSatisfy { $0.count == 10 && $0.allSatisfy { $0.isFinite } })
    let pooled = try model.condition(on: known, y: Array(y[..<50]), pool: ThreadPool(threads: 3))
    #expect(try pooled.sample(40, at: asked, seed: 5).paths == paths)
    #expect(try pooled.sample(7, at: asked, seed: 5).paths == Array(paths[..<7]))
    var stream = RandomStream(seed: 1)
    let (rows, columns) = (stream.permutation(50), [2, 0, 1])
    let moved = try model.condition(on: known.columns(columns).rows(rows), y: rows.map { y[$0] })
    #expect(try moved.sample(40, at: asked.columns(columns), seed: 5).paths == paths)
  }

  /// A fast wave of one column beside a slow one, which trees and processes of fixed lengths miss; and values that follow nothing.
  @Test func aProcessThatExplainsTheRowsDrawsMostPathsWhereManyRowsSaySo() throws {
    let model = try Self.model()
    var stream = RandomStream(seed: 5)
    func share(_ rows: Int, _ y: (Double, Double) -> Double) throws -> Double {
      let x = (0..<2 * rows).map { _ in stream.uniform() }
      let values = (0..<rows).map { y(x[2 * $0], x[2 * $0 + 1]) + 0.01 * stream.normal() }
      return try model.condition(on: Cells(x, categories: [false, false]), y: values).share
    }
    let wave: (Double, Double) -> Double = { a, b in sin(20 * a) + b }
    let (few, many) = (try share(60, wave), try share(200, wave))
    #expect(few > 0.5 && few <= 0.6 && many > 0.85 && many <= 0.9)
    for rows in [20, 200] {
      var other = RandomStream(seed: 6)
      #expect(try share(rows) { _, _ in other.normal() } < 0.2)
    }
  }

  @Test func knownErrorsOfZeroChangeNoByteAndOrderOfRowsNone() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(60)
    let (known, asked, own) = (cells.rows(0..<50), cells.rows(50..<60), Array(y[..<50]))
    var stream = RandomStream(seed: 8)
    let errors = own.indices.map { $0 % 3 == 0 ? 6.0 : $0 % 3 == 1 ? 0.2 : 0 }
    let measured = zip(own, errors).map { $0 + $1 * stream.normal() }
    let plain = try model.condition(on: known, y: measured).sample(20, at: asked, seed: 5).paths
    let zero = try model.condition(on: known, y: measured, errors: [Double](repeating: 0, count: 50))
    #expect(try zero.sample(20, at: asked, seed: 5).paths == plain)
    let posterior = try model.condition(on: known, y: measured, errors: errors)
    let paths = try posterior.sample(20, at: asked, seed: 5).paths
    #expect(paths != plain && posterior.note == nil)
    let (rows, columns) = (stream.permutation(50), [2, 0, 1])
    let moved = try model.condition(
      on: known.columns(columns).rows(rows), y: rows.map { measured[$0] }, errors: rows.map { errors[$0] })
    #expect(try moved.sample(20, at: asked.columns(columns), seed: 5).paths == paths)
    // A value that is given has no error, and bounds do not refuse a row that its error has moved.
    let chain = try TableChain(
      model,
      Cells(
        (0..<60).flatMap { [cells[$0, 0], $0 < 50 ? measured[$0] : .nan, $0 < 50 ? errors[$0] : .nan] },
        categories: [false, false, false]),
      steps: [TableChain.Step(column: 1, inputs: [0], limits: 45...65, errors: 2)],
      pins: [TableChain.Pin(row: 50, column: 1, value: 60)])
    #expect(measured.contains { !(45...65).contains($0) })
    let drawn = try chain.sample(20, seed: 2)
    #expect(drawn.paths.joined().allSatisfy { (45...65).contains($0) } && drawn.cells.count == 9)
    #expect(throws: DataError.self) {
      try model.condition(on: known, y: measured, errors: errors, limits: 45...46)
    }
    #expect(throws: InferenceError.self) {
      try TableChain(
        model, Cells([1, 2, 0.5, 3, 4, .nan, 5, 6, 1], categories: [false, false, false]),
        steps: [TableChain.Step(column: 1, inputs: [0], errors: 2)])
    }
    // Rows that tell nothing are left out, and it is said.
    let hidden = try model.condition(
      on: known, y: measured, errors: errors.indices.map { $0 == 7 ? 1e6 : errors[$0] })
    #expect(hidden.rows.fitted == 49 && hidden.note?.contains("1 row has an error") ?? false)
  }

  @Test func otherRowsLeakIntoNoAnswer() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(60)
    let posterior = try model.condition(on: cells.rows(0..<50), y: Array(y[..<50]))
    let all = try posterior.marginals(at: cells.rows(50..<60)).map { $0.quantile(0.3) }
    for row in 0..<10 {
      let alone = try posterior.marginals(at: cells.rows([50 + row]))[0].quantile(0.3)
      #expect(alone == all[row])
    }
    // The chain rule: the joint density is that of one row times that of the other given it.
    let two = cells.rows([50, 51])
    let joint = try posterior.logDensity(of: [y[50], y[51]], at: two, plan: .sequential, orders: 1).value
    #expect(joint.isFinite)
    let apart = try posterior.logDensity(of: [y[50], y[51]], at: two, plan: .independent).value
    let single = try (0..<2).map {
      try posterior.logDensity(of: [y[50 + $0]], at: cells.rows([50 + $0])).value
    }
    #expect(abs(apart - single[0] - single[1]) < 1e-6)
  }

  @Test func largeTablesAreReadByWhatTheyHold() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(300)
    let posterior = try model.condition(on: cells.rows(0..<290), y: Array(y[..<290]))
    #expect(posterior.rows == (290, 290) && posterior.note?.contains("read 64 rows") == true)
    let asked = cells.rows(290..<300)
    let backwards = try model.condition(
      on: cells.rows((0..<290).reversed().map { $0 }), y: y[..<290].reversed())
    #expect(
      try backwards.sample(5, at: asked, seed: 2).paths == posterior.sample(5, at: asked, seed: 2).paths)
  }

  /// More rows than the network reads: what is asked of other rows moves no byte, nor does what they hold.
  @Test func otherRowsLeakIntoNoAnswerOfALargeTable() throws {
    let model = try Model(named: "tables")
    let rows = model.blueprint.trainedContext + 60
    let (cells, y) = try Self.table(rows + 5)
    let posterior = try model.condition(on: cells.rows(0..<rows), y: Array(y[..<rows]))
    #expect(posterior.note?.contains("the network read 384 rows") ?? false)
    let asked = cells.rows(rows..<rows + 5)
    func said(_ rows: Cells) throws -> [[Double]] {
      try posterior.marginals(at: rows).map { law in [0.05, 0.5, 0.9].map { law.quantile($0) } + [law.mean] }
    }
    let all = try said(asked)
    for row in 0..<5 { #expect(try said(asked.rows([row])) == [all[row]]) }
    var values = asked.values
    for column in 0..<asked.columns { values[3 * asked.columns + column] = column == 0 ? 40 : .nan }
    let changed = try said(Cells(values, categories: asked.categories))
    for row in [0, 1, 2, 4] { #expect(changed[row] == all[row]) }
    #expect(changed[3] != all[3])
  }

  @Test func limitsHold() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(40)
    let least = y.min() ?? 0
    let posterior = try model.condition(
      on: cells.rows(0..<30), y: Array(y[..<30]), limits: (least - 1)...1000)
    let paths = try posterior.sample(200, at: cells.rows(30..<40), seed: 1).paths
    #expect(paths.joined().allSatisfy { $0 >= least - 1 })
    #expect(throws: DataError.self) {
      try model.condition(on: cells.rows(0..<30), y: Array(y[..<30]), limits: 60...61)
    }
  }

  @Test func cellsAreDrawnInAChain() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(80)
    // The category and the output, both missing in the last rows; the output also in the first.
    var values: [Double] = []
    for row in 0..<80 {
      let own = Array(cells[row])
      values += own[..<2] + [row >= 70 ? .nan : own[2], row >= 70 || row == 0 ? .nan : y[row]]
    }
    let table = try Cells(values, categories: [false, false, true, false])
    let steps = [
      TableChain.Step(column: 2, inputs: [0, 1], levels: 3), TableChain.Step(column: 3, inputs: [0, 1, 2]),
    ]
    let drawn = try TableChain(model, table, steps: steps).sample(30, seed: 9)
    #expect(drawn.cells.count == 10 + 11 && drawn.paths.allSatisfy { $0.count == 21 })
    #expect(drawn.cells[10] == TableChain.Cell(row: 0, step: 1))
    #expect(drawn.paths.allSatisfy { $0[..<10].allSatisfy { [0, 1, 2].contains($0) } })
    #expect(drawn.expected[0].count == 3 && abs(drawn.expected[0].reduce(0, +) - 1) < 1e-9)
    #expect(drawn.expected[10].count == 1)
    // By paths asked for and threads no byte changes.
    let pooled = try TableChain(model, table, steps: steps, on: ThreadPool(threads: 2))
    #expect(try pooled.sample(30, seed: 9).paths == drawn.paths)
    #expect(try pooled.sample(12, seed: 9).paths == Array(drawn.paths[..<12]))
    // What is drawn of a row's category is a feature of its output: levels are two apart.
    let (cell, output) = (0, 11)
    let low = drawn.paths.filter { $0[cell] == 0 }.map { $0[output] }
    let high = drawn.paths.filter { $0[cell] == 2 }.map { $0[output] }
    if low.count > 4, high.count > 4 {
      let (above, below) = (high.reduce(0, +) / Double(high.count), low.reduce(0, +) / Double(low.count))
      #expect(above > below)
    }
    // Only some rows.
    let some = try TableChain(model, table, steps: steps, rows: [75]).sample(3, seed: 9)
    #expect(some.cells.map(\.row) == [75, 75])
    // A number that names no level is an error, not a trap.
    let odd = try Cells([0, 0.5, 1, 1e300, 2, 1], categories: [false, true])
    #expect(throws: DataError.self) {
      try TableChain(model, odd, steps: [TableChain.Step(column: 1, inputs: [0], levels: 2)])
    }
    #expect(throws: InferenceError.self) {
      try TableChain(
        model, table.rows([70, 71, 72]), steps: [TableChain.Step(column: 3, inputs: [0, 1])])
    }
  }

  @Test func aModelOfFunctionsRefusesATable() throws {
    let declared = try Declaration(Blueprint())
    let model = Model(network: try declared.network(Weights(declared.table)))
    let (cells, y) = try Self.table(10)
    #expect(throws: ModelError.self) { try model.condition(on: cells, y: y) }
  }

  /// The table of a chain: a category and an output, both missing in the last rows.
  private static func gaps() throws -> (table: Cells, steps: [TableChain.Step], y: [Double]) {
    let (cells, y) = try table(80)
    let values = (0..<80).flatMap { row in
      Array(cells[row][..<(cells[row].startIndex + 2)])
        + [row >= 70 ? .nan : cells[row, 2], row >= 70 ? .nan : y[row]]
    }
    let steps = [
      TableChain.Step(column: 2, inputs: [0, 1], levels: 3), TableChain.Step(column: 3, inputs: [0, 1, 2]),
    ]
    return (try Cells(values, categories: [false, false, true, false]), steps, y)
  }

  @Test("A cell that is given is one that was there; its column is drawn first")
  func pinnedCells() throws {
    let model = try Self.model()
    let (table, steps, _) = try Self.gaps()
    let pins = [TableChain.Pin(row: 72, column: 3, value: 55), .init(row: 74, column: 0, value: 1.5)]
    var values = table.values
    values[72 * 4 + 3] = 55
    #expect(!values[74 * 4].isNaN)
    #expect(throws: InferenceError.self) { try TableChain(model, table, steps: steps, pins: pins) }
    let pinned = try TableChain(model, table, steps: steps, pins: [pins[0]]).sample(8, seed: 4)
    let turned = [
      TableChain.Step(column: 3, inputs: [0, 1]), TableChain.Step(column: 2, inputs: [0, 1, 3], levels: 3),
    ]
    let filled = try TableChain(model, Cells(values, categories: table.categories), steps: turned)
      .sample(8, seed: 4)
    #expect(pinned.paths == filled.paths && pinned.expected == filled.expected)
    // Cells are named by the steps that were asked for.
    #expect(pinned.cells.map(\.step) == filled.cells.map { 1 - $0.step })
    for bad in [TableChain.Pin(row: 72, column: 2, value: 3), .init(row: 99, column: 3, value: 1)] {
      #expect(throws: InferenceError.self) { try TableChain(model, table, steps: steps, pins: [bad]) }
    }
    #expect(throws: InferenceError.self) {
      try TableChain(model, table, steps: steps, pins: [pins[0], pins[0]])
    }
  }

  @Test("A cell given after another of its row is drawn weighs paths by its density")
  func weighedCells() throws {
    let model = try Self.model()
    let (table, steps, y) = try Self.gaps()
    // Both columns have a cell given, so row 71's category comes before the output that is known of it.
    let pins = [TableChain.Pin(row: 70, column: 2, value: 1), .init(row: 71, column: 3, value: y[71])]
    let chain = try TableChain(model, table, steps: steps, pins: pins)
    #expect(chain.isWeighing)
    let drawn = try chain.sample(400, given: [], seed: 2)
    let cell = try #require(drawn.cells.firstIndex(of: TableChain.Cell(row: 71, step: 0)))
    #expect(drawn.paths.count == 400 && drawn.notes.contains { $0.contains("left in effect") })
    // Bayes' rule for that row alone.
    let known = Array(0..<71)
    let shares = try ClassFit(
      table.rows(known).columns([0, 1]), levels: known.map { $0 == 70 ? 1 : Int(table[$0, 2]) }, of: 3
    ).probabilities(table.rows([71]).columns([0, 1]))[0]
    let posterior = try model.condition(on: table.rows(0..<70).columns([0, 1, 2]), y: Array(y[..<70]))
    let joint = try (0..<3).map { level in
      let row = try Cells([table[71, 0], table[71, 1], Double(level)], categories: [false, false, true])
      return shares[level] * exp(try posterior.logDensity(of: [y[71]], at: row, orders: 1).value)
    }
    for level in 0..<3 {
      let exact = joint[level] / joint.reduce(0, +)
      #expect(abs(drawn.expected[cell][level] - exact) < 0.08, "level \(level): \(exact)")
    }
    #expect(try chain.sample(400, given: [], seed: 2).paths == drawn.paths)
  }

  @Test("Bounds of cells and of a number made of a column hold on every draw")
  func boundedCells() throws {
    let model = try Self.model()
    let (table, steps, _) = try Self.gaps()
    let chain = try TableChain(model, table, steps: steps)
    let plain = try chain.sample(400, seed: 6)
    let place = try #require(plain.cells.firstIndex(of: TableChain.Cell(row: 75, step: 1)))
    let level = plain.paths.map { $0[place] }.sorted()[200]
    let numbers = plain.cells.indices.filter { plain.cells[$0].step == 1 }
    func sum(_ path: [Double]) -> Double { numbers.reduce(0) { $0 + path[$1] } }
    let total = plain.paths.map(sum).sorted()[100]
    let events: [CellEvent] = [
      .cell(row: 75, step: 1, in: level ... .infinity),
      .column(1, in: total ... .infinity) { $0.reduce(0, +) },
    ]
    let given = try chain.sample(60, given: events, seed: 6)
    #expect(given.paths.count == 60 && given.paths.allSatisfy { $0[place] >= level && sum($0) >= total })
    #expect(
      given.expected[place][0] >= level && given.notes.last?.contains("the conditions hold for") == true)
    #expect(throws: InferenceError.self) {
      try chain.sample(30, given: [.cell(row: 75, step: 1, in: 1e6...1e7)])
    }
    #expect(throws: InferenceError.self) {
      try chain.sample(30, given: [.cell(row: 3, step: 1, in: 0...1)])
    }
  }
}
