import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Tables asked by a network that reads their cells: it answers as a plain posterior of the numbers that cells are.
@Suite struct CellTableTests {
  private static func model(_ change: (inout Blueprint) -> Void = { _ in }) throws -> Model {
    var blueprint = Blueprint()
    blueprint.family = .cells
    blueprint.width = 16
    blueprint.layers = 2
    blueprint.heads = 2
    blueprint.feedForward = 16
    blueprint.embedderHidden = 16
    blueprint.headHidden = 16
    blueprint.inputDimensions = 4
    blueprint.cells.columnHeads = 2
    blueprint.cells.rowHeads = 1
    blueprint.cells.summaries = 2
    blueprint.cells.points = 3
    blueprint.cells.feedForward = 12
    blueprint.scaling = .standardise
    blueprint.head = .mixture(components: 3)
    blueprint.trainedContext = 32
    change(&blueprint)
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 3)
    return Model(network: try declared.network(weights))
  }

  /// Two numbers, a category of three levels, with gaps.
  private static func table(_ rows: Int) throws -> (cells: Cells, y: [Double]) {
    var stream = RandomStream(seed: 77)
    var (values, y) = ([Double](), [Double]())
    for row in 0..<rows {
      let (a, b, level) = (stream.normal(), 20 + 5 * stream.normal(), stream.below(3))
      values += [a, row % 5 == 3 ? .nan : b, row % 7 == 2 ? .nan : Double(level)]
      y.append(50 + 3 * a + b + 2 * Double(level) + 0.3 * stream.normal())
    }
    return (try Cells(values, categories: [false, false, true]), y)
  }

  @Test func aTableIsThePlainPosteriorOfItsNumbers() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(30)
    let (known, asked) = (cells.rows(0..<22), cells.rows(22..<30))
    let table = try model.condition(on: known, y: Array(y[..<22]))
    // By hand: the mean of what the context has in a column is in the place of a gap.
    var numbers = cells.values
    for column in 0..<3 {
      let shown = (0..<22).map { cells[$0, column] }.filter { !$0.isNaN }
      let mean = shown.reduce(0, +) / Double(shown.count)
      for row in 0..<30 where cells[row, column].isNaN { numbers[row * 3 + column] = mean }
    }
    #expect(numbers != cells.values && asked.values.contains { $0.isNaN })
    let plain = try model.condition(
      on: Dataset(inputs: Inputs(Array(numbers[..<66]), dimensions: 3), y: Array(y[..<22])))
    let inputs = try Inputs(Array(numbers[66...]), dimensions: 3)
    let held = Array(y[22...])
    let (own, other) = (
      try table.logDensity(of: held, at: asked, orders: 3, seed: 4).orders,
      try plain.logDensity(of: held, at: inputs, orders: 3, seed: 4).orders
    )
    // The rows of the context are in another order here.
    #expect(zip(own, other).allSatisfy { abs($0 - $1) < 1e-3 } && own.count == 3)
    let (drawn, expected) = (
      try table.sample(5, at: asked, seed: 6), try plain.sample(5, at: inputs, seed: 6)
    )
    for (path, other) in zip(drawn.paths, expected.paths) {
      #expect(zip(path, other).allSatisfy { abs($0 - $1) < 1e-2 })
    }
    #expect(Set(drawn.paths.map { $0[0] }).count == 5)
    #expect(table.fit == nil && table.share == 0 && table.rows == (0, 22))
    #expect(table.categories == [false, false, true])
    // What a gap is depends on the context, and levels are their numbers.
    let filled = try Cells(numbers, categories: cells.categories)
    let told = try model.condition(on: filled.rows(0..<22), y: Array(y[..<22]))
    #expect(try told.sample(5, at: filled.rows(22..<30), seed: 6).paths == drawn.paths)
    let renamed = try Cells(
      cells.values.enumerated().map { $0 % 3 == 2 ? 2 - $1 : $1 }, categories: cells.categories)
    let again = try model.condition(on: renamed.rows(0..<22), y: Array(y[..<22]))
    #expect(try again.sample(5, at: renamed.rows(22..<30), seed: 6).paths != drawn.paths)
  }

  @Test func rowsThreadsAndPathsChangeNoByte() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(40)
    let (known, asked) = (cells.rows(0..<30), cells.rows(30..<40))
    let table = try model.condition(on: known, y: Array(y[..<30]))
    let paths = try table.sample(20, at: asked, seed: 5).paths
    var stream = RandomStream(seed: 1)
    let rows = stream.permutation(30)
    let moved = try model.condition(on: known.rows(rows), y: rows.map { y[$0] })
    #expect(try moved.sample(20, at: asked, seed: 5).paths == paths)
    let pooled = try model.condition(on: known, y: Array(y[..<30]), pool: ThreadPool(threads: 3))
    #expect(try pooled.sample(20, at: asked, seed: 5).paths == paths)
    #expect(try pooled.sample(7, at: asked, seed: 5).paths == Array(paths[..<7]))
    // What is said of a row does not depend on who else is asked for.
    let laws = try table.marginals(at: asked).enumerated().map { $1.logDensity(y[30 + $0]) }
    for row in 0..<10 {
      let alone = try table.marginals(at: asked.rows([row]))[0].logDensity(y[30 + row])
      #expect(alone == laws[row])
    }
    // Columns have places: their order is part of the question.
    let columns = [2, 0, 1]
    let other = try model.condition(on: known.columns(columns), y: Array(y[..<30]))
    #expect(try other.sample(20, at: asked.columns(columns), seed: 5).paths != paths)
  }

  @Test func boundsAndWholeNumbersHold() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(30)
    let whole = y.map { min(max($0.rounded(), 60), 80) }
    let table = try model.condition(
      on: cells.rows(0..<24), y: Array(whole[..<24]), limits: 60...80, whole: true)
    let paths = try table.sample(30, at: cells.rows(24..<30), seed: 5).paths
    #expect(paths.joined().allSatisfy { (60...80).contains($0) && $0 == $0.rounded() })
    #expect(throws: DataError.self) {
      try model.condition(on: cells.rows(0..<24), y: Array(y[..<24]), whole: true)
    }
  }

  /// Cells that are drawn before are read as cells that were there.
  @Test func aChainOfNumbers() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(30)
    var values: [Double] = []
    for row in 0..<30 { values += Array(cells[row]) + [row < 26 ? y[row] : .nan] }
    let all = try Cells(values, categories: cells.categories + [false])
    let steps = [
      TableChain.Step(column: 1, inputs: [0, 2]), TableChain.Step(column: 3, inputs: [0, 1, 2]),
    ]
    let chain = try TableChain(model, all, steps: steps)
    let drawn = try chain.sample(4, seed: 2)
    let gaps = (0..<30).filter { all[$0, 1].isNaN }
    #expect(drawn.cells.count == gaps.count + 4 && drawn.paths.joined().allSatisfy { $0.isFinite })
    #expect(chain.relevance(0) == nil)
    // With the first path's cells in the gaps the second step says what it said on that path.
    let one = try chain.sample(1, seed: 2, plan: .independent)
    let filled = try Cells(
      all.values.enumerated().map { place, value in
        place % 4 == 1 && value.isNaN ? one.paths[0][gaps.firstIndex(of: place / 4) ?? 0] : value
      }, categories: all.categories)
    let posterior = try model.condition(on: all.rows(0..<26).columns([0, 1, 2]), y: Array(y[..<26]))
    let means = try posterior.marginals(at: filled.rows(26..<30).columns([0, 1, 2])).map(\.mean)
    for (place, mean) in means.enumerated() {
      #expect(abs(one.expected[gaps.count + place][0] - mean) < 1e-4)
    }
    #expect(gaps.contains(28))
    #expect(TableChain.flops(toFit: steps, rows: 30, by: model) > 0)
  }

  @Test func whatItCannotIsRefusedByName() throws {
    let model = try Self.model()
    let (cells, y) = try Self.table(20)
    #expect(
      throws: ModelError.input(
        "model '\(model.name)' takes no known errors of rows; take model 'tables'")
    ) {
      try model.condition(on: cells, y: y, errors: y.map { _ in 0.5 })
    }
    #expect(throws: Never.self) { try model.condition(on: cells, y: y, errors: y.map { _ in 0 }) }
    #expect(throws: ModelError.self) { try model.condition(on: cells, y: y, share: 0.5) }
    #expect(throws: DataError.self) { try model.condition(on: cells, y: Array(y.dropLast())) }
    #expect(throws: TablePosterior.notOfCategories(model)) {
      try ClassPosterior(cells, levels: y.indices.map { $0 % 3 }, of: 3, by: model)
    }
    let wide = try Cells(
      (0..<20 * 5).map { Double($0 % 7) }, categories: [Bool](repeating: false, count: 5))
    let error = #expect(throws: ModelError.self) { try model.condition(on: wide, y: y) }
    #expect(error?.description.contains("5 columns") ?? false)
    let posterior = try model.condition(on: cells, y: y)
    #expect(throws: DataError.self) { try posterior.told(wide) }
  }
}
