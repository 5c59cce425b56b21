import ChorusData
import ChorusHints
import ChorusInference
import ChorusModels
import ChorusTensors
import Testing

@testable import ChorusEvaluation

/// Categories held out and scored, by estimators and by the network that judges them.
@Suite struct ClassScoringTests {
  private static func table(_ rows: Int) throws -> (cells: Cells, levels: [Int]) {
    var stream = RandomStream(seed: 31, 5)
    var (values, levels) = ([Double](), [Int]())
    for row in 0..<rows {
      let level = row < 3 ? row : stream.below(3)
      values += [Double(level) + stream.normal(), stream.normal(), Double(stream.below(4))]
      levels.append(level)
    }
    return (try Cells(values, categories: [false, false, true]), levels)
  }

  @Test func scoresAreOfWhatAPosteriorSays() throws {
    let (cells, levels) = try Self.table(60)
    let split = try #require(Split.random(60, share: 0.25, together: 8, seed: 4))
    let (context, held) = (cells.rows(split.context), cells.rows(split.held))
    let (known, came) = (split.context.map { levels[$0] }, split.held.map { levels[$0] })
    let network = try Model(named: "classes")
    var losses: [Double] = []
    for model in [nil, network] {
      let scoring = try ClassScoring(cells, levels: levels, of: 3, split, by: model)
      let said = try ClassPosterior(context, levels: known, of: 3, by: model).probabilities(at: held)
      #expect(scoring.model == ClassScores(said, came))
      #expect(try scoring.probabilities(held) == said)
      // A row by itself, and rows that were shown.
      #expect(try scoring.probabilities(held.rows([2])) == [said[2]])
      #expect(try scoring.probabilities(context.rows([0, 1])).allSatisfy { abs($0.reduce(0, +) - 1) < 1e-9 })
      #expect(throws: DataError.self) { try scoring.probabilities(held.columns([0, 1])) }
      #expect(scoring.note == nil)
      losses.append(scoring.model.logLoss)
    }
    #expect(losses[0] != losses[1])
    // What it is compared with is of the same estimators, network or not.
    let both = try [nil, network].map { try ClassScoring(cells, levels: levels, of: 3, split, by: $0) }
    #expect(both[0].logistic == both[1].logistic && both[0].forest == both[1].forest)
    #expect(both[0].shares == both[1].shares && both[0].fit.relevance == both[1].fit.relevance)
  }

  @Test func rowsTogetherAreThoseOfThePosterior() throws {
    let (cells, levels) = try Self.table(60)
    let split = try #require(Split.random(60, share: 0.25, together: 6, seed: 4))
    let (context, rows) = (cells.rows(split.context), cells.rows(split.joint))
    let (known, came) = (split.context.map { levels[$0] }, split.joint.map { levels[$0] })
    #expect(came.count == 6 && split.held.count == 15)
    let network = try Model(named: "classes")
    let posterior = try ClassPosterior(context, levels: known, of: 3, by: network)
    let scored = try ClassScoring(cells, levels: levels, of: 3, split, by: network).together(
      orders: 3, seed: 7)
    #expect(scored.joint == -(try posterior.logProbability(of: came, at: rows, orders: 3, seed: 7)) / 6)
    #expect(
      abs(scored.independent + (try posterior.logProbabilities(of: came, at: rows)).reduce(0, +) / 6) < 1e-12)
    #expect(scored.joint != scored.independent)
    // Estimators say each row by itself.
    let alone = try ClassScoring(cells, levels: levels, of: 3, split).together(orders: 3, seed: 7)
    #expect(alone.joint == alone.independent)
  }

  @Test func ofOneLevelTheEstimatorsSpeak() throws {
    let (cells, levels) = try Self.table(40)
    let split = try #require(
      Split.given(
        context: levels.indices.filter { levels[$0] == 1 }, held: [0, 2], together: 2, repetition: 0, seed: 1)
    )
    let scoring = try ClassScoring(cells, levels: levels, of: 3, split, by: Model(named: "classes"))
    let said = try scoring.probabilities(cells.rows([0, 2]))
    #expect(said == scoring.fit.probabilities(cells.rows([0, 2])) && said.allSatisfy { $0[0] > 0 })
    #expect(scoring.model.accuracy == 0 && scoring.model.logLoss.isFinite)
  }

  @Test func whatIsLeftOutIsSaid() throws {
    let (cells, levels) = try Self.table(420)
    let split = try #require(Split.random(420, share: 0.1, together: 8, seed: 4))
    let scoring = try ClassScoring(cells, levels: levels, of: 3, split, by: Model(named: "classes"))
    #expect(scoring.note == "the network read 256 rows, a sample over all values")
  }
}
