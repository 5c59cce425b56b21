import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Categories as they are asked: with estimators alone and with a network of classes, by itself and in a chain.
@Suite struct ClassPosteriorTests {
  /// A small network whose law of a row depends on the rows before it.
  private static func model() throws -> Model {
    var blueprint = Blueprint()
    blueprint.family = .classes
    blueprint.parts.coordinates = TableExperts.coordinates
    (blueprint.width, blueprint.layers, blueprint.heads) = (32, 2, 2)
    (blueprint.feedForward, blueprint.embedderHidden, blueprint.headHidden) = (16, 16, 16)
    blueprint.inputDimensions = ToldClasses.mostPasses * ToldRow.level.width + 1
    blueprint.head = .levels(around: ToldClasses.estimators, trusted: 3)
    (blueprint.trainedContext, blueprint.trainedBuffer) = (64, 16)
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 3)
    // A fresh head says next to nothing of its own.
    for p in declared.table.all where p.path.hasPrefix("head.") {
      var stream = RandomStream(seed: 5, UInt64(p.offset))
      for i in 0..<p.count { weights[p][i] = Float(0.4 * stream.normal()) }
    }
    weights.pack()
    return Model(network: try declared.network(weights))
  }

  private static func table(_ rows: Int, levels: Int = 3) throws -> (cells: Cells, levels: [Int]) {
    var stream = RandomStream(seed: 78)
    var (values, own) = ([Double](), [Int]())
    for row in 0..<rows {
      let level = row < levels ? row : stream.below(levels)
      values += [Double(level) + stream.normal(), stream.uniform() < 0.2 ? .nan : stream.normal()]
      own.append(level)
    }
    return (try Cells(values, categories: [false, false]), own)
  }

  @Test func probabilitiesSumToOneAndEstimatorsSpeakWithoutANetwork() throws {
    let (cells, levels) = try Self.table(50)
    let (known, asked) = (cells.rows(0..<40), cells.rows(40..<50))
    // A fourth level that no row has.
    let network = try ClassPosterior(known, levels: Array(levels[..<40]), of: 4, by: Self.model())
    let fit = try ClassFit(known, levels: Array(levels[..<40]), of: 4)
    let alone = try ClassPosterior(known, levels: Array(levels[..<40]), of: 4)
    #expect(try alone.probabilities(at: asked) == fit.probabilities(asked) && !alone.isJoint)
    let said = try network.probabilities(at: asked)
    #expect(network.isJoint && said.count == 10)
    for (row, law) in said.enumerated() {
      #expect(abs(law.reduce(0, +) - 1) < 1e-9 && law.allSatisfy { $0 > 0 })
      // What the context does not have, the estimators say.
      #expect(abs(law[3] - fit.probabilities(asked)[row][3]) < 1e-6)
    }
    #expect(said != fit.probabilities(asked))
    let same = try ClassPosterior(known, levels: [Int](repeating: 2, count: 40), of: 4, by: Self.model())
    #expect(try same.probabilities(at: asked).allSatisfy { $0 == [0, 0, 1, 0] } && !same.isJoint)
    #expect(throws: DataError.self) { try network.probabilities(at: cells.columns([0])) }
  }

  @Test func togetherFollowsTheChainRuleAndDrawsFollowTheLaw() throws {
    let (cells, levels) = try Self.table(50)
    let posterior = try ClassPosterior(
      cells.rows(0..<40), levels: Array(levels[..<40]), of: 3, by: Self.model())
    let two = cells.rows([40, 41])
    // All outcomes of two rows have probability one together.
    var (total, joint) = (0.0, [[Double]](repeating: [0, 0, 0], count: 3))
    for a in 0..<3 {
      for b in 0..<3 {
        joint[a][b] = exp(try posterior.logProbability(of: [a, b], at: two, plan: .blocks(of: 1), orders: 1))
        total += joint[a][b]
      }
    }
    #expect(abs(total - 1) < 1e-5)
    // The first row's part is what is said of it by itself.
    let alone = try posterior.probabilities(at: two)
    let single = try posterior.logProbabilities(of: [0, 1], at: two)
    #expect(abs(single[1] - log(alone[1][1])) < 1e-12)
    let paths = try posterior.sample(4000, at: two, seed: 4)
    var counts = [[Double]](repeating: [0, 0, 0], count: 3)
    for path in paths { counts[path[0]][path[1]] += 1 / 4000 }
    for a in 0..<3 {
      #expect(abs(counts[a].reduce(0, +) - alone[0][a]) < 0.03)
      let given = try posterior.logProbability(of: [a], at: cells.rows([40]))
      #expect(abs(given - log(alone[0][a])) < 1e-5)
    }
    // Rows together are not rows by themselves.
    var apart = 0.0
    for a in 0..<3 {
      for b in 0..<3 { apart = max(apart, abs(joint[a][b] - alone[0][a] * alone[1][b])) }
    }
    #expect(apart > 1e-4)
  }

  @Test func threadsAndPathsChangeNoByteAndAChainDrawsTheSame() throws {
    let (cells, levels) = try Self.table(50)
    let model = try Self.model()
    let (known, asked) = (cells.rows(0..<40), cells.rows(40..<50))
    let posterior = try ClassPosterior(known, levels: Array(levels[..<40]), of: 3, by: model)
    let paths = try posterior.sample(30, at: asked, seed: 9)
    let pooled = try ClassPosterior(
      known, levels: Array(levels[..<40]), of: 3, by: model, on: ThreadPool(threads: 3))
    #expect(try pooled.sample(30, at: asked, seed: 9) == paths)
    #expect(try pooled.sample(7, at: asked, seed: 9) == Array(paths[..<7]))
    let rows = (0..<50).map { row in
      [cells[row, 0], cells[row, 1], row < 40 ? Double(levels[row]) : .nan]
    }
    let chain = try TableChain(
      model, Cells(rows.flatMap { $0 }, categories: [false, false, true]),
      steps: [TableChain.Step(column: 2, inputs: [0, 1], levels: 3)])
    let drawn = try chain.sample(30, seed: 9)
    #expect(drawn.paths == paths.map { $0.map(Double.init) })
    #expect(drawn.expected == (try posterior.probabilities(at: asked)))
    // A number is for a network of tables.
    #expect(throws: ModelError.self) {
      try TableChain(
        model, Cells(rows.flatMap { $0 }, categories: [false, false, true]),
        steps: [TableChain.Step(column: 0, inputs: [1, 2]), .init(column: 2, inputs: [0, 1], levels: 3)])
    }
  }

  @Test func orderAndOtherRowsChangeNoByte() throws {
    let (cells, levels) = try Self.table(60)
    let model = try Self.model()
    let (known, asked) = (cells.rows(0..<50), cells.rows(50..<60))
    let own = Array(levels[..<50])
    let posterior = try ClassPosterior(known, levels: own, of: 3, by: model)
    let said = try posterior.probabilities(at: asked)
    // Rows and columns of the context in another order.
    var stream = RandomStream(seed: 12)
    let rows = stream.permutation(50)
    let moved = try ClassPosterior(
      known.columns([1, 0]).rows(rows), levels: rows.map { own[$0] }, of: 3, by: model)
    #expect(try moved.probabilities(at: asked.columns([1, 0])) == said)
    // Another row that is asked for, and its features.
    #expect(try posterior.probabilities(at: asked.rows([4])) == [said[4]])
    var values = asked.values
    (values[2 * 7], values[2 * 7 + 1]) = (-3, 9)
    let changed = try posterior.probabilities(at: Cells(values, categories: [false, false]))
    for row in 0..<10 where row != 7 { #expect(changed[row] == said[row]) }
    #expect(changed[7] != said[7])
  }

  /// What is shipped, at more rows than the network reads and more levels than it has passes.
  @Test(arguments: [(60, 2), (60, 3), (330, 3), (150, 16)])
  func orderAndOtherRowsChangeNoByteOfTheShippedNetwork(rows: Int, count: Int) throws {
    let (cells, levels) = try Self.table(rows + 12, levels: count)
    let model = try Model(named: "classes")
    let (known, asked) = (cells.rows(0..<rows), cells.rows(rows..<rows + 12))
    let own = Array(levels[..<rows])
    let posterior = try ClassPosterior(known, levels: own, of: count, by: model)
    let said = try posterior.probabilities(at: asked)
    #expect(said.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-9 && $0.allSatisfy { $0 > 0 } })
    #expect((posterior.note != nil) == (rows > model.blueprint.trainedContext))
    var stream = RandomStream(seed: 4, UInt64(rows))
    let order = stream.permutation(rows)
    let moved = try ClassPosterior(
      known.columns([1, 0]).rows(order), levels: order.map { own[$0] }, of: count, by: model,
      on: ThreadPool(threads: 2))
    #expect(try moved.probabilities(at: asked.columns([1, 0])) == said)
    #expect(
      try moved.sample(3, at: asked.columns([1, 0]), seed: 5) == posterior.sample(3, at: asked, seed: 5))
    // Rows asked one by one, in another order, and with strangers among them.
    for row in [0, 5, 11] { #expect(try posterior.probabilities(at: asked.rows([row])) == [said[row]]) }
    let back = Array((0..<12).reversed())
    #expect(try posterior.probabilities(at: asked.rows(back)) == back.map { said[$0] })
    var values = asked.values
    (values[0], values[1]) = (1e6, .nan)
    let strange = try posterior.probabilities(at: Cells(values, categories: [false, false]))
    #expect(Array(strange[1...]) == Array(said[1...]) && strange[0] != said[0])
  }

  @Test func manyRowsAreDrawnInParts() throws {
    let count = ClassPosterior.together + 8
    let (cells, levels) = try Self.table(40 + count)
    let posterior = try ClassPosterior(
      cells.rows(0..<40), levels: Array(levels[..<40]), of: 3, by: Self.model())
    let (asked, own) = (cells.rows(40..<40 + count), Array(levels[40...]))
    let (drawn, notes) = try posterior.draws(
      3, at: asked, plan: .sequential, seed: 6, flopLimit: Posterior.flopLimit)
    #expect(drawn.count == 3 && drawn.allSatisfy { $0.count == count })
    #expect(notes.contains { $0.contains("of \(count) rows asked at once, 512 in turn") })
    // The first part is what it is without the second, which is drawn by numbers of its own.
    let first = try posterior.draws(
      3, at: asked.rows(0..<512), plan: .sequential, seed: 6, flopLimit: Posterior.flopLimit)
    #expect(
      drawn.map { Array($0[..<512]) } == first.levels && !first.notes.contains { $0.contains("in turn") })
    let both = try posterior.logProbability(of: own, at: asked, orders: 1)
    let sum =
      try posterior.logProbability(of: Array(own[..<512]), at: asked.rows(0..<512), orders: 1)
      + posterior.logProbability(
        of: Array(own[512...]), at: asked.rows(512..<count), plan: .blocks(of: 1), orders: 1)
    #expect(abs(both - sum) < 0.5 && both < 0)
    #expect(throws: InferenceError.self) {
      try posterior.draws(3, at: asked, plan: .sequential, seed: 6, flopLimit: 1e6)
    }
  }

  @Test func anotherRowsTargetChangesNoByteOfAChain() throws {
    // Two categories, the second told by the first; cells of one row are missing in turn.
    let (cells, levels) = try Self.table(40)
    let both = try Model.ofTables()
    #expect(both.ofCategories?.name == "classes" && both.name == "tables")
    #expect(try Model.ofTables(categories: false).ofCategories == nil)
    func drawn(_ change: (Int, inout [Double]) -> Void) throws -> [[Double]] {
      let rows = (0..<40).flatMap { row in
        var own = [cells[row, 0], cells[row, 1], Double(levels[row]), Double(levels[row] == 2 ? 1 : 0)]
        if row >= 34 { (own[2], own[3]) = (.nan, .nan) }
        change(row, &own)
        return own
      }
      let steps = [
        TableChain.Step(column: 2, inputs: [0, 1], levels: 3),
        TableChain.Step(column: 3, inputs: [0, 1, 2], levels: 2),
      ]
      let table = try Cells(rows, categories: [false, false, true, true])
      return try TableChain(both, table, steps: steps, rows: Set(34..<40)).sample(4, seed: 2).expected
    }
    let said = try drawn { _, _ in }
    #expect(said.count == 12 && said.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-9 })
    // The features of the last row, which is asked for: what is said of the first column in other rows stays.
    let other = try drawn { row, own in if row == 39 { own[0] += 3 } }
    #expect(Array(other[..<5]) == Array(said[..<5]) && other[5] != said[5])
  }

  @Test func aModelOfTablesIsAskedBesideOneOfClasses() throws {
    let (cells, levels) = try Self.table(50)
    let (classes, tables) = (try Self.model(), try Model(named: "tables"))
    let both = try tables.with(ofCategories: classes)
    #expect(tables.ofCategories == nil && both.blueprint == tables.blueprint)
    #expect(throws: ModelError.self) { try classes.with(ofCategories: classes) }
    #expect(throws: ModelError.self) { try tables.with(ofCategories: tables) }
    // A category and a number, missing in the last rows, and a column that tells of them.
    var values: [Double] = []
    for row in 0..<50 {
      let (own, isKnown) = (cells[row, 0], row < 40)
      values.append(own)
      values.append(isKnown ? Double(levels[row]) : Double.nan)
      values.append(isKnown ? own + 1 : Double.nan)
    }
    let table = try Cells(values, categories: [false, true, false])
    let steps = [
      TableChain.Step(column: 1, inputs: [0], levels: 3), TableChain.Step(column: 2, inputs: [0, 1]),
    ]
    let drawn = try TableChain(both, table, steps: steps).sample(6, seed: 3)
    let alone = try TableChain(tables, table, steps: steps).sample(6, seed: 3)
    let posterior = try ClassPosterior(
      table.rows(0..<40).columns([0]), levels: Array(levels[..<40]), of: 3, by: classes)
    let asked = table.rows(40..<50).columns([0])
    #expect(Array(drawn.expected[..<10]) == (try posterior.probabilities(at: asked)))
    let fit = try ClassFit(
      table.rows(0..<40).columns([0]), levels: Array(levels[..<40]), of: 3)
    #expect(Array(alone.expected[..<10]) == fit.probabilities(asked))
    #expect(drawn.paths.allSatisfy { path in path[10...].allSatisfy { $0.isFinite } })
    // What reading and asking costs counts both.
    let costs = [both, tables].map { TableChain.flops(toFit: steps, rows: 40, by: $0) }
    #expect(costs[0] > costs[1])
  }

  @Test func manyLevelsShareAPassAndAllAreDrawn() throws {
    let (cells, levels) = try Self.table(120, levels: 20)
    let posterior = try ClassPosterior(
      cells.rows(0..<100), levels: Array(levels[..<100]), of: 20, by: Self.model())
    let asked = cells.rows(100..<104)
    let said = try posterior.probabilities(at: asked)
    #expect(said.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-9 && $0.allSatisfy { $0 > 0 } })
    let drawn = try posterior.sample(2000, at: asked, seed: 2)
    #expect(Set(drawn.joined()).count > 15)
    for level in 0..<20 {
      let share = drawn.reduce(0.0) { $0 + ($1[0] == level ? 1 : 0) } / 2000
      #expect(abs(share - said[0][level]) < 0.05)
    }
    let together = try posterior.logProbability(of: Array(levels[100..<104]), at: asked)
    #expect(together.isFinite && together < 0)
  }

  @Test func otherModelsAreRefused() throws {
    let (cells, levels) = try Self.table(20)
    #expect(throws: ModelError.self) {
      try ClassPosterior(cells, levels: levels, of: 3, by: Model(named: "gp"))
    }
    // Told rows are no inputs of one's own.
    let model = try Self.model()
    #expect(throws: ModelError.self) { try model.condition(on: Dataset(x: [0, 1, 2], y: [0, 1, 0])) }
    #expect(throws: ModelError.self) {
      try Model(named: "tables").condition(on: Dataset(x: [0, 1, 2], y: [0, 1, 0]))
    }
  }
}
