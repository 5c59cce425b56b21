import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusHints

/// Estimators of tables beside plain forms of themselves, and what their statements may depend on.
@Suite struct TableFitTests {
  /// Numbers, a category of four levels, gaps, and an output that all of them tell of.
  static func table(_ rows: Int, seed: UInt64 = 1) throws -> (cells: Cells, y: [Double]) {
    var stream = RandomStream(seed: seed, 41)
    var (values, y) = ([Double](), [Double]())
    for _ in 0..<rows {
      let (a, b, level) = (stream.normal(), stream.uniform(in: 100...200), stream.below(4))
      values += [stream.uniform() < 0.1 ? .nan : a, b, Double(level), stream.normal()]
      y.append(2 * a + b / 40 + [0, 3, -1, 1][level] + 0.5 * stream.normal())
    }
    return (try Cells(values, categories: [false, false, true, false]), y)
  }

  @Test func rowsColumnsAndNamesOfLevelsChangeNoByte() throws {
    let (cells, y) = try Self.table(60)
    let fit = try TableFit(cells.rows(0..<40), y: Array(y[..<40]))
    let told = fit.tell(cells.rows(40..<60))
    var stream = RandomStream(seed: 3)
    for _ in 0..<3 {
      let (rows, columns) = (stream.permutation(40), stream.permutation(4))
      let names = stream.permutation(4).map { Double(10 * $0 + 3) }
      let moved = cells.columns(columns)
      let renamed = try Cells(
        moved.values.enumerated().map { index, value in
          moved.categories[index % 4] ? names[Int(value)] : value
        }, categories: moved.categories)
      let other = try TableFit(renamed.rows(rows), y: rows.map { y[$0] })
      let isSame = other.observed == fit.observed && other.tell(renamed.rows(40..<60)) == told
      #expect(isSame, "rows \(rows.prefix(5)), columns \(columns)")
      #expect(columns.map { fit.relevance[$0] } == other.relevance)
    }
  }

  /// A category of twelve levels has a column each; of more levels, the process gets their names.
  @Test func theProcessKnowsAllLevels() throws {
    var stream = RandomStream(seed: 5, 41)
    func fit(_ levels: Int, missing: Bool = false) throws -> TableFit {
      let rows = (0..<60).flatMap {
        [stream.normal(), Double($0 % levels), missing && $0 == 13 ? .nan : Double($0 % 20)]
      }
      let y = (0..<60).map { Double($0 % levels) + stream.normal() }
      return try TableFit(Cells(rows, categories: [false, true, true]), y: y)
    }
    let both = try fit(13, missing: true)
    #expect(both.designWidth == 3 && both.designNames == 2)
    let twelve = try fit(12)
    #expect(twelve.designWidth == 14 && twelve.designNames == 1)
    // Rows of the context are as they are told when they are asked for, and a gap is the name of no level.
    let back = both.design(both.cells.rows(both.order))
    #expect(back == both.observedDesign && back.allSatisfy(\.isFinite))
    let asked = try both.design(Cells([0, 3, .nan, 0, 99, 3], categories: [false, true, true]))
    let named = Set([asked[1], asked[2], asked[4], asked[5]])
    #expect(named.contains(99) && named.contains(3) && named.count == 3)
    #expect(!(0...99).contains(named.min() ?? 0))
  }

  @Test func aRowIsToldTheSameWhoeverIsAskedBesideIt() throws {
    let (cells, y) = try Self.table(60)
    let fit = try TableFit(cells.rows(0..<40), y: Array(y[..<40]))
    let all = fit.tell(cells.rows(40..<60))
    for row in 0..<20 {
      let alone = fit.tell(cells.rows([40 + row]))
      #expect(alone == Array(all[row * TableExperts.width..<(row + 1) * TableExperts.width]))
    }
    #expect(fit.tell(cells.rows([])).isEmpty)
    // More rows than are told at once.
    let many = fit.tell(cells.rows((0..<1100).map { 40 + $0 % 20 }))
    #expect(many.count == 1100 * TableExperts.width && Array(many.suffix(20 * TableExperts.width)) == all)
  }

  /// The estimate of a row must not know the row: with any other output there, what is said of it by ridge and processes with the
  /// same penalty and kernel stays. So they are compared with fits without the row.
  @Test func leaveOneOutIsWhatAFitWithoutTheRowSays() throws {
    let (cells, y) = try Self.table(30, seed: 2)
    let design = TableDesign(cells)
    let shown = design.shown(cells)
    let (n, p) = (30, design.width)
    let mean = y.reduce(0, +) / Double(n)
    // Ridge: the squared error of each penalty by n fits, and the estimates of the best.
    let gram = (0..<p).reduce(0.0) { sum, column in
      sum + (0..<n).reduce(0) { $0 + shown[$1 * p + column] * shown[$1 * p + column] }
    }
    func without(_ row: Int, _ penalty: Double) throws -> Double {
      let rest = (0..<n).filter { $0 != row }
      let level = rest.reduce(0) { $0 + y[$1] } / Double(n - 1)
      let centres = (0..<p).map { column in rest.reduce(0) { $0 + shown[$1 * p + column] } / Double(n - 1) }
      var (matrix, right) = ([Double](repeating: 0, count: p * p), [Double](repeating: 0, count: p))
      for i in rest {
        for a in 0..<p {
          let x = shown[i * p + a] - centres[a]
          right[a] += x * (y[i] - level)
          for b in 0..<p { matrix[a * p + b] += x * (shown[i * p + b] - centres[b]) }
        }
      }
      for a in 0..<p { matrix[a * p + a] += penalty }
      let beta = try CholeskyFactor(lower: matrix, count: p).solve(right)
      return level + (0..<p).reduce(0) { $0 + beta[$1] * (shown[row * p + $1] - centres[$1]) }
    }
    var best: (error: Double, estimates: [Double]) = (.infinity, [])
    for part in RidgeExpert.parts {
      let penalty = part * gram / Double(min(n - 1, p)) + 1e-6
      let estimates = try (0..<n).map { try without($0, penalty) }
      let error = zip(estimates, y).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      if error < best.error { best = (error, estimates) }
    }
    let context = TableContext(
      rows: design.rows(cells), y: y, relevance: [1, 1, 1, 1],
      designRelevance: [Double](repeating: 1, count: p),
      seed: 1)
    let ridge = RidgeExpert(context)
    for row in 0..<n { #expect(abs(ridge.observed[row].value - best.estimates[row]) < 1e-8) }
    #expect(abs(mean) > 0)
  }

  @Test func ridgeAmongRowsEqualsRidgeAmongColumns() throws {
    // More columns than rows, told as numbers without gaps: both forms solve the same equation.
    var stream = RandomStream(seed: 6)
    let cells = try Cells(stream.normals(12 * 20), categories: [Bool](repeating: false, count: 20))
    let y = stream.normals(12)
    let fit = try TableFit(cells, y: y)
    let told = fit.tell(cells)
    for row in 0..<12 { #expect(told[row * TableExperts.width].isFinite) }
    // With the penalty that was chosen a fit to itself is nearer to the outputs than what is said without each row.
    let own = (0..<12).reduce(0.0) {
      $0 + pow(told[fit.order[$1] * TableExperts.width] - fit.observed.y[$1], 2)
    }
    let left = (0..<12).reduce(0.0) {
      $0 + pow(fit.observed.x[$1 * TableExperts.width] - fit.observed.y[$1], 2)
    }
    #expect(own < left)
  }

  // More rows than a band has, and bands of which the last is short.
  @Test(arguments: [37, 64, 150]) func inverseFactorGivesLeaveOneOutLaws(n: Int) throws {
    var stream = RandomStream(seed: 9)
    let x = stream.normals(n)
    let y = stream.normals(n)
    var matrix = [Double](repeating: 0, count: n * n)
    for i in 0..<n { for j in 0..<n { matrix[i * n + j] = exp(-0.5 * (x[i] - x[j]) * (x[i] - x[j])) } }
    let factor = try #require(InverseFactor(matrix, n, adding: 0.1))
    let (alpha, diagonal) = (factor.solve(y), factor.diagonal)
    for row in [0, 11, n - 1] {
      // The row last, so that it is given all others.
      let order = (0..<n).filter { $0 != row } + [row]
      let moved = (0..<n).flatMap { i in
        (0..<n).map { j in matrix[order[i] * n + order[j]] + (i == j ? 0.1 : 0) }
      }
      let law = try GaussianConditional(
        CholeskyFactor(lower: moved, count: n), values: order.map { y[$0] }, given: n - 1)
      #expect(abs(y[row] - alpha[row] / diagonal[row] - law.means[0]) < 1e-9)
      #expect(abs(1 / diagonal[row] - law.variances[0]) < 1e-9)
    }
    let squares = factor.squares(Array(matrix[..<(2 * n)]), 2)
    let solved = factor.solve(Array(matrix[..<n]))
    #expect(abs(squares[0] - zip(solved, matrix[..<n]).reduce(0) { $0 + $1.0 * $1.1 }) < 1e-9)
  }

  @Test func outputsOfTheSameRowsShareWhatProcessesHold() throws {
    var stream = RandomStream(seed: 12)
    let n = 90
    let cells = try Cells(
      (0..<n).flatMap { _ in [stream.normal(), stream.normal()] }, categories: [false, false])
    let outputs = (0..<2).map { column in (0..<n).map { cells[$0, column] + 0.3 * stream.normal() } }
    let reading = TableReading(cells, order: TableOrder(cells, outputs[0]), outputs: outputs)
    let basis = ProcessBasis(reading.context(outputs[0]))
    let others = reading.shown(cells.rows([3, 70, 11]))
    let shown = basis.shown(others)
    for y in outputs {
      let (alone, shared) = (ProcessExpert(reading.context(y)), ProcessExpert(reading.context(y), basis))
      #expect(alone.observed == shared.observed)
      #expect(alone.estimates(others) == shared.estimates(shown))
      #expect(!shared.parts.isEmpty && shared.parts.isSubset(of: Set(0..<9)))
    }
  }

  @Test func relevanceIsThePartOfTheVarianceThatALevelTells() throws {
    // Of levels: (Σ y + 2 mean without the row)/(n + 2), rows left out one by one.
    let column: [Double] = [0, 0, 0, 1, 1, 1, .nan]
    let y: [Double] = [1, 2, 3, 7, 8, 9, 4]
    var (error, plain) = (0.0, 0.0)
    for row in 0..<7 {
      let rest = (0..<7).filter { $0 != row }
      let mean = rest.reduce(0) { $0 + y[$1] } / 6
      let same = rest.filter { column[$0] == column[row] || column[$0].isNaN && column[row].isNaN }
      let said = (same.reduce(0) { $0 + y[$1] } + 2 * mean) / Double(same.count + 2)
      error += pow(y[row] - said, 2)
      plain += pow(y[row] - mean, 2)
    }
    let found = ColumnSmoother.relevance(of: column, isCategory: true, y: y)
    #expect(abs(found - (1 - error / plain)) < 1e-12)
    var stream = RandomStream(seed: 4)
    let x = stream.normals(200)
    let curve = x.map { $0 * $0 + 0.1 * stream.normal() }
    #expect(ColumnSmoother.relevance(of: x, isCategory: false, y: curve) > 0.75)
    #expect(ColumnSmoother.relevance(of: stream.normals(200), isCategory: false, y: curve) < 0.1)
    #expect(ColumnSmoother.relevance(of: [1, 2], isCategory: false, y: [1, 2]) == 0)
  }

  @Test func statementsOfRowsNotSeenAreAboutAsFarOffAsTheySay() throws {
    let (cells, y) = try Self.table(400, seed: 5)
    let fit = try TableFit(cells.rows(0..<200), y: Array(y[..<200]))
    let told = fit.tell(cells.rows(200..<400))
    for estimator in 0..<TableExperts.count {
      var sum = 0.0
      for row in 0..<200 {
        let place = row * TableExperts.width + estimator
        sum += pow((fit.unit.scaled(y[200 + row]) - told[place]) / exp(told[place + TableExperts.count]), 2)
      }
      #expect((0.6...1.6).contains((sum / 200).squareRoot()), "estimator \(estimator)")
    }
    #expect(fit.relevance[3] < min(fit.relevance[0], fit.relevance[2]), "noise tells least")
  }

  @Test func oddTablesAreToldInFiniteNumbers() throws {
    let nan = Double.nan
    let tables: [([Double], [Bool], [Double])] = [
      ([1, 1, 1], [false], [2, 2, 2]), ([nan, nan, nan], [false], [1, 2, 3]), ([0, 1], [true], [1, 2]),
      ([1e15, 1e15 + 2, nan], [false], [1e-12, 2e-12, 3e-12]), ([0, 0, 0, 0], [true], [1, 5, 2, 2]),
    ]
    for (values, categories, y) in tables {
      let cells = try Cells(values, categories: categories)
      let fit = try TableFit(cells, y: y)
      let told = fit.observed.x + fit.tell(cells)
      #expect(told.count == 2 * y.count * TableExperts.width && told.allSatisfy { $0.isFinite }, "\(values)")
    }
    let cells = try Cells([1, 2], categories: [false])
    #expect(throws: DataError.self) { try TableFit(cells, y: [1]) }
    #expect(throws: DataError.self) { try TableFit(cells.rows([0]), y: [1]) }
    #expect(throws: DataError.self) { try TableFit(cells, y: [1, .nan]) }
  }
}

@Suite struct ClassFitTests {
  /// Three levels by two columns, one of which also has gaps.
  static func table(_ rows: Int, seed: UInt64) throws -> (cells: Cells, levels: [Int]) {
    var stream = RandomStream(seed: seed, 43)
    var (values, levels) = ([Double](), [Int]())
    for _ in 0..<rows {
      let level = stream.choice(weights: [0.5, 0.3, 0.2])
      levels.append(level)
      values += [
        Double(level) + 0.7 * stream.normal(),
        stream.uniform() < 0.1 ? .nan : stream.normal() - Double(level % 2),
        Double(stream.below(3)),
      ]
    }
    return (try Cells(values, categories: [false, false, true]), levels)
  }

  @Test func probabilitiesAreSomeAndTell() throws {
    let (cells, levels) = try Self.table(300, seed: 1)
    let fit = try ClassFit(cells.rows(0..<200), levels: Array(levels[..<200]), of: 4)
    let said = fit.probabilities(cells.rows(200..<300))
    #expect(said.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-12 && $0.allSatisfy { $0 > 0 } })
    func loss(_ laws: [[Double]]) -> Double {
      zip(laws, levels[200...]).reduce(0) { $0 - log($1.0[$1.1]) } / 100
    }
    #expect(loss(said) < 0.85 * loss(said.map { _ in fit.shares }))
    #expect(said.allSatisfy { $0[3] < 0.02 }, "a level that was never seen is unlikely, not impossible")
    // What is said of the context's own rows is said without them.
    let own = fit.left.reduce(0) { $0 - log($1.law[levels[$1.row]]) } / 200
    #expect(abs(own - loss(said)) < 0.25)
    let alone = fit.probabilities(cells.rows([250]))
    #expect(alone[0] == said[50])
  }

  @Test func rowsAndColumnsChangeNoByte() throws {
    let (cells, levels) = try Self.table(80, seed: 2)
    let fit = try ClassFit(cells.rows(0..<60), levels: Array(levels[..<60]), of: 3)
    var stream = RandomStream(seed: 3)
    let (rows, columns) = (stream.permutation(60), [2, 0, 1])
    let other = try ClassFit(
      cells.columns(columns).rows(rows), levels: rows.map { levels[$0] }, of: 3)
    #expect(
      other.probabilities(cells.columns(columns).rows(60..<80)) == fit.probabilities(cells.rows(60..<80)))
    for (a, b) in zip(fit.left, other.left) { #expect(a.row == rows[b.row] && a.law == b.law) }
  }

  @Test func leavingARowOutByOneNewtonStepIsNearlyAFitWithoutIt() throws {
    let (cells, levels) = try Self.table(60, seed: 4)
    let design = TableDesign(cells)
    func context(_ rows: [Int]) -> TableContext {
      let shown = design.rows(cells.rows(rows))
      return TableContext(
        rows: shown, y: rows.map { levels[$0] == 0 ? 1 : 0 }, relevance: [1, 1, 1],
        designRelevance: [Double](repeating: 1, count: design.width), seed: 1)
    }
    let whole = LogisticExpert(context(Array(0..<60)), isClass: levels.map { $0 == 0 })
    var far = 0.0
    for row in stride(from: 0, to: 60, by: 7) {
      let rest = (0..<60).filter { $0 != row }
      let without = LogisticExpert(context(rest), isClass: rest.map { levels[$0] == 0 })
      far = max(far, abs(without.probabilities(design.rows(cells.rows([row])))[0] - whole.observed[row]))
    }
    #expect(far < 0.08)
  }

  @Test func wrongLevelsAreRefused() throws {
    let cells = try Cells([1, 2, 3], categories: [false])
    #expect(throws: DataError.self) { try ClassFit(cells, levels: [0, 1], of: 2) }
    #expect(throws: DataError.self) { try ClassFit(cells, levels: [0, 1, 2], of: 2) }
    let one = try ClassFit(cells, levels: [1, 1, 1], of: 2).probabilities(cells)
    #expect(one.allSatisfy { $0[1] > 0.8 && $0[0] > 0 })
  }
}

/// What a network is told of levels.
@Suite struct ToldClassesTests {
  private static func table(_ rows: Int, levels: Int, seed: UInt64 = 1) -> (cells: Cells, levels: [Int])? {
    var stream = RandomStream(seed: seed, 43)
    var (values, own) = ([Double](), [Int]())
    for row in 0..<rows {
      let level = row < levels ? row : stream.below(levels)
      values += [Double(level % 3) + 0.7 * stream.normal(), stream.normal()]
      own.append(level)
    }
    return (try? Cells(values, categories: [false, false])).map { ($0, own) }
  }

  @Test func aPassALevelAndTheRestOfTheProbability() throws {
    let (cells, levels) = try #require(Self.table(50, levels: 3))
    // A fourth level that no row has.
    let fit = try ClassFit(cells.rows(0..<40), levels: Array(levels[..<40]), of: 4)
    let told = ToldClasses(fit)
    #expect(told.passes == [[0], [1], [2]] && told.pass == [0, 1, 2, 3])
    #expect(told.width == 3 * ToldRow.level.width + 1 && ToldClasses.passes(width: told.width) == 3)
    #expect(told.observed.x.count == 40 * told.width && told.observed.x.allSatisfy(\.isFinite))
    let (rows, width) = (told.tell(cells.rows(40..<50)), ToldRow.level.width)
    let said = fit.probabilities(cells.rows(40..<50))
    for row in 0..<10 {
      let own = Array(rows[row * told.width..<(row + 1) * told.width])
      #expect(abs(own[told.width - 1] - said[row][3]) < 1e-12 && said[row][3] > 0)
      for pass in 0..<3 {
        // Of the levels that were seen, the pool as it is; estimators of forty rows are no surer than these tell.
        let pooled = exp(own[pass * width + TableExperts.features + 3])
        #expect(abs(pooled - said[row][pass] / (1 - said[row][3])) < 1e-9)
        let least = 0.5 / 42 - 1e-9
        for estimator in 0..<3 {
          let probability = exp(own[pass * width + TableExperts.features + estimator])
          #expect(probability >= least && probability <= 1 - least)
        }
      }
    }
    // Zero and one are what is told of them: of mean 0 and deviation 1 in the context, up to the row that shares have more.
    let row = told.observed.x.map(Float.init)
    row.withUnsafeBufferPointer { row in
      let share = ToldClasses.share(row.baseAddress!)
      let (one, zero) = (
        ToldClasses.value(true, row.baseAddress!), ToldClasses.value(false, row.baseAddress!)
      )
      #expect(abs(share - fit.shares[0]) < 1e-6)
      #expect(abs(Double(one) * share + Double(zero) * (1 - share)) < 1e-5)
      #expect(abs(Double(one - zero) - 1 / (share * (1 - share)).squareRoot()) < 1e-4)
    }
  }

  @Test func renumberedLevelsAreRenumberedPasses() throws {
    let (cells, levels) = try #require(Self.table(40, levels: 3, seed: 2))
    let told = ToldClasses(try ClassFit(cells, levels: levels, of: 3))
    let names = [2, 0, 1]
    let other = ToldClasses(try ClassFit(cells, levels: levels.map { names[$0] }, of: 3))
    let (own, renamed) = (told.tell(cells.rows(0..<5)), other.tell(cells.rows(0..<5)))
    let width = ToldRow.level.width
    for row in 0..<5 {
      for pass in 0..<3 {
        for i in 0..<width {
          // Forests are other ones, since rows come in another order: what does not depend on them is the same.
          guard i < 2 || i >= TableExperts.features + TableExperts.count else { continue }
          let (a, b) = (
            own[row * told.width + pass * width + i], renamed[row * told.width + names[pass] * width + i]
          )
          guard ![TableExperts.features + 2, TableExperts.features + 3].contains(i) else { continue }
          #expect(abs(a - b) < 0.05, "row \(row), pass \(pass), number \(i): \(a) and \(b)")
        }
      }
    }
  }

  @Test func rareLevelsShareThePassThatIsLeft() throws {
    let (cells, levels) = try #require(Self.table(90, levels: 20, seed: 3))
    let fit = try ClassFit(cells, levels: levels, of: 20)
    let told = ToldClasses(fit)
    #expect(told.passes.count == ToldClasses.mostPasses && told.passes.joined().sorted() == Array(0..<20))
    let rare = told.passes[ToldClasses.mostPasses - 1]
    #expect(rare.count == 9)
    let most = rare.map { level in levels.count { $0 == level } }.max() ?? 0
    for pass in told.passes.dropLast() { #expect(levels.count { $0 == pass[0] } >= most) }
    #expect(Set(told.observed.y).count == ToldClasses.mostPasses)
  }

  @Test func aRowOfTheContextDoesNotKnowItsLevel() throws {
    let (cells, levels) = try #require(Self.table(30, levels: 2, seed: 4))
    let told = ToldClasses(try ClassFit(cells, levels: levels, of: 2))
    // Levels by chance: what is said of the rows themselves is no better than that.
    var stream = RandomStream(seed: 9)
    let random = (0..<30).map { $0 < 2 ? $0 : stream.below(2) }
    let other = ToldClasses(try ClassFit(cells, levels: random, of: 2))
    func loss(_ told: ToldClasses) -> Double {
      told.observed.y.enumerated().reduce(0.0) { sum, row in
        let place = row.offset * told.width + Int(row.element) * ToldRow.level.width
        return sum - told.observed.x[place + TableExperts.features + 2] / 30
      }
    }
    #expect(loss(other) > 0.6 && loss(told) < loss(other))
  }
}
