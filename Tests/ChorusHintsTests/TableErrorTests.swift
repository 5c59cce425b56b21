import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusHints

/// Rows of tables whose outputs have known errors: what estimators say is of outputs without them.
@Suite struct TableErrorTests {
  /// Rows of two numbers and a category, the outputs without and with errors, and those errors: small ones or large ones by chance.
  static func table(
    _ rows: Int, seed: UInt64, _ sizes: (small: Double, large: Double)
  ) throws -> (cells: Cells, truth: [Double], y: [Double], errors: [Double]) {
    var stream = RandomStream(seed: seed, 43)
    var (values, truth, errors) = ([Double](), [Double](), [Double]())
    for _ in 0..<rows {
      let (a, b, level) = (stream.normal(), stream.normal(), stream.below(3))
      values += [a, b, Double(level)]
      truth.append(200 + 10 * (1.5 * a + sin(2 * b) + [0, 1, -1][level] + 0.2 * stream.normal()))
      errors.append(10 * (stream.uniform() < 0.5 ? sizes.small : sizes.large))
    }
    let y = truth.indices.map { truth[$0] + errors[$0] * stream.normal() }
    return (try Cells(values, categories: [false, false, true]), truth, y, errors)
  }

  @Test func errorsOfZeroChangeNoByteAndOrderNone() throws {
    let (cells, _, y, errors) = try Self.table(60, seed: 1, (0.1, 3))
    let (known, others, own) = (cells.rows(0..<48), cells.rows(48..<60), Array(y[..<48]))
    let plain = try TableFit(known, y: own)
    let zero = try TableFit(known, y: own, errors: [Double](repeating: 0, count: 48))
    #expect(zero.observed == plain.observed && zero.tell(others) == plain.tell(others))
    #expect(zero.leftOut == plain.leftOut && zero.unit == plain.unit && zero.measured.errors.isEmpty)
    let fit = try TableFit(known, y: own, errors: Array(errors[..<48]))
    #expect(fit.tell(others) != plain.tell(others))
    let rows = RandomStream.shuffled(48, seed: 4)
    let moved = try TableFit(
      known.columns([2, 0, 1]).rows(rows), y: rows.map { own[$0] }, errors: rows.map { errors[$0] })
    #expect(moved.observed == fit.observed && moved.unit == fit.unit && moved.leftOut == fit.leftOut)
    #expect(moved.tell(others.columns([2, 0, 1])) == fit.tell(others))
  }

  /// Two rows that differ in their errors alone have an order of their own.
  @Test func equalRowsWithOtherErrors() throws {
    let cells = try Cells([1, 1, 2, 3, 4, 5, 6, 7], categories: [false])
    let (y, errors) = ([1.0, 1, 2, 2.5, 4, 4.5, 6, 7], [0.1, 2, 0.1, 0.3, 0.2, 0.1, 0.5, 0.1])
    let fit = try TableFit(cells, y: y, errors: errors)
    let rows = [1, 0, 7, 6, 5, 4, 3, 2]
    let moved = try TableFit(cells.rows(rows), y: rows.map { y[$0] }, errors: rows.map { errors[$0] })
    #expect(moved.observed == fit.observed && moved.measured.errors == fit.measured.errors)
  }

  /// How far each estimator is from outputs without errors, root mean squares over tables; and how wide it says it is.
  private func missed(
    _ sizes: (small: Double, large: Double), told: Bool, rows: Int = 80
  ) throws -> (error: [Double], said: [Double]) {
    var (error, said) = ([Double](repeating: 0, count: 4), [Double](repeating: 0, count: 4))
    let tables = 6
    for seed in 0..<tables {
      let (cells, truth, y, errors) = try Self.table(rows + 100, seed: UInt64(seed), sizes)
      let fit = try TableFit(
        cells.rows(0..<rows), y: Array(y[..<rows]), errors: told ? Array(errors[..<rows]) : [])
      let all = fit.tell(cells.rows(rows..<rows + 100))
      for row in 0..<100 {
        for k in 0..<4 {
          let place = row * TableExperts.width + k
          let off = (fit.unit.raw(all[place]) - truth[rows + row]) / 10
          let wide = fit.unit.scale * exp(all[place + TableExperts.count]) / 10
          error[k] += off * off / Double(100 * tables)
          said[k] += wide * wide / Double(100 * tables)
        }
      }
    }
    return (error.map { $0.squareRoot() }, said.map { $0.squareRoot() })
  }

  @Test func rowsWithLargeErrorsCountLessThanExactOnes() throws {
    let sizes = (small: 0.1, large: 4.0)
    let (with, without) = (try missed(sizes, told: true), try missed(sizes, told: false))
    for k in 0..<4 {
      #expect(with.error[k] < 0.85 * without.error[k], "\(k): \(with.error) \(without.error)")
      // What is said is of outputs without errors.
      #expect(
        (0.6...1.7).contains(with.said[k] / with.error[k]), "\(k): \(with.said) \(with.error)")
      #expect(without.said[k] > 1.3 * with.said[k])
    }
  }

  @Test func errorsOfOneSizeAreTakenOffWhatIsSaid() throws {
    let with = try missed((1, 1), told: true)
    let without = try missed((1, 1), told: false)
    for k in 0..<4 {
      #expect(with.error[k] < 1.1 * without.error[k], "\(k): \(with.error) \(without.error)")
      #expect((0.5...1.7).contains(with.said[k] / with.error[k]), "\(k): \(with.said) \(with.error)")
    }
    #expect(with.said[3] < without.said[3])
  }

  /// With a row of next to no weight, what ridge says without it is what it says with it.
  @Test(arguments: [30, 4]) func ridgeLeavesOutWeightedRows(n: Int) throws {
    let (cells, _, y, errors) = try Self.table(n, seed: 9, (0.2, 2))
    let (middle, scale) = (y.reduce(0, +) / Double(n), 10.0)
    let design = TableDesign(cells)
    let context = TableContext(
      rows: design.rows(cells), y: y.map { ($0 - middle) / scale },
      errors: KnownErrors(errors.map { $0 / scale }), relevance: [1, 1, 1],
      designRelevance: [Double](repeating: 1, count: design.width), seed: 1)
    let ridge = RidgeExpert(context)
    var heavy = errors.map { $0 / scale }
    heavy[2] = 1e4
    let light = RidgeExpert(
      TableContext(
        rows: context.rows, y: context.y, errors: KnownErrors(heavy), relevance: context.relevance,
        designRelevance: context.designRelevance, seed: 1))
    let own = light.estimates(context.rows)[2]
    #expect(abs(own.value - light.observed[2].value) < 1e-4)
    #expect(ridge.observed.allSatisfy { $0.value.isFinite && $0.deviation > 0 })
  }

  /// A process's statement of a row left out, with errors, is what Gaussian conditioning on the other rows says.
  @Test func processesLeaveOneOut() throws {
    let n = 24
    let (cells, _, y, errors) = try Self.table(n, seed: 3, (0.1, 1.5))
    let mean = y.reduce(0, +) / Double(n)
    let design = TableDesign(cells)
    func context(_ rows: [Int]) -> TableContext {
      TableContext(
        rows: design.rows(cells.rows(rows)), y: rows.map { (y[$0] - mean) / 20 },
        errors: KnownErrors(rows.map { errors[$0] / 20 }), relevance: [1, 1, 1],
        designRelevance: [Double](repeating: 1, count: design.width), seed: 1)
    }
    let all = context(Array(0..<n))
    let part = try #require(ProcessBasis(all).parts[1])
    let alpha = part.inverse.solve(all.y)
    for row in [0, 7, 23] {
      let rest = (0..<n).filter { $0 != row }
      let fewer = context(rest)
      let other = try #require(ProcessBasis(fewer).parts[1])
      // k of the row with the rest, from the whole covariance: its inverse's column tells the same.
      let left = all.y[row] - alpha[row] / part.diagonal[row]
      let shown = ProcessBasis(fewer).shown(design.rows(cells.rows([row])))
      let k = try #require(shown.covariances[other.kernel])
      let direct = zip(k, other.inverse.solve(fewer.y)).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(left - direct) < 1e-9)
      let law = try #require(shown.variances[1])[0]
      #expect(abs(1 / part.diagonal[row] - all.errors.variance(row) - (law.prior - law.explained)) < 1e-9)
    }
  }

  @Test func theJointProcessTellsNoiseFromErrors() throws {
    var stream = RandomStream(seed: 5)
    let n = 120
    let x = stream.normals(n)
    let errors = (0..<n).map { $0 % 2 == 0 ? 0.05 : 2.0 }
    let y = x.indices.map { sin(2 * x[$0]) + 0.1 * stream.normal() + errors[$0] * stream.normal() }
    let with = try #require(JointProcess(x: x, y: y, errors: errors, columns: 1))
    let without = try #require(JointProcess(x: x, y: y, columns: 1))
    let zero = try #require(JointProcess(x: x, y: y, errors: [Double](repeating: 0, count: n), columns: 1))
    #expect(zero.noise == without.noise && zero.leftOut == without.leftOut)
    #expect(with.noise * with.variance < 0.2 * without.noise * without.variance)
    func off(_ process: JointProcess) -> Double {
      let asked = (0..<20).map { -1.5 + 0.15 * Double($0) }
      var sum = 0.0
      process.laws(asked) { (_, law) in
        sum += zip(asked, law.means).reduce(0) { $0 + pow(sin(2 * $1.0) - $1.1, 2) }
      }
      return sum
    }
    #expect(off(with) < 0.5 * off(without))
  }

  @Test func outputsAreToldAsThoseWithoutErrorsScatter() throws {
    let errors = KnownErrors([0, 3, 4])
    let said = [1.0, 2, 3].map { Estimate(value: $0, deviation: 4 - $0) }
    // Deviations 3, 2 and 1.
    let told = errors.told([5, 2 + 13.0.squareRoot(), 3 - 17.0.squareRoot()], said)
    #expect(told[0] == 5 && abs(told[1] - 4) < 1e-12 && abs(told[2] - 2) < 1e-12)
    #expect(KnownErrors.none.told([7], [said[0]]) == [7])
    #expect(errors.weights(beside: 9, count: 3) == [1, 0.5, 9.0 / 25])
    #expect(KnownErrors.none.weights(beside: 9, count: 2) == [1, 1])
  }

  @Test func whatIsNoErrorIsRefused() throws {
    let (cells, _, y, _) = try Self.table(5, seed: 1, (1, 1))
    for errors in [[1.0, 2], [0, 0, -1, 0, 0], [0, 0, .nan, 0, 0], [0, 0, .infinity, 0, 0]] {
      #expect(throws: DataError.self) { try TableFit(cells, y: y, errors: errors) }
    }
    // Errors that explain all, and outputs of one value.
    for outputs in [y, [3.0, 3, 3, 3, 3]] {
      let fit = try TableFit(cells, y: outputs, errors: [Double](repeating: 1e4, count: 5))
      #expect(fit.tell(cells).allSatisfy { $0.isFinite } && fit.observed.y.allSatisfy { $0.isFinite })
    }
  }
}

extension RandomStream {
  fileprivate static func shuffled(_ count: Int, seed: UInt64) -> [Int] {
    var stream = RandomStream(seed: seed)
    return stream.permutation(count)
  }
}
