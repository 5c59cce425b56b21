import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusHints

/// The process against its definition, in plain loops.
@Suite struct JointProcessTests {
  private static func laws(
    _ process: JointProcess, _ x: [Double], latent: Bool = false, together: Int = JointProcess.together
  ) -> [JointProcess.Law] {
    var laws: [JointProcess.Law] = []
    process.laws(x, latent: latent, together: together) { laws.append($1) }
    return laws
  }

  private static func rows(_ count: Int, _ columns: Int, seed: UInt64) -> [Double] {
    var stream = RandomStream(seed: seed, 41)
    return stream.normals(count * columns)
  }

  private static func process(_ count: Int = 30) throws -> (JointProcess, x: [Double], y: [Double]) {
    let x = rows(count, 2, seed: 1)
    var stream = RandomStream(seed: 2, 41)
    let y = (0..<count).map { sin(2 * x[2 * $0]) + 0.05 * stream.normal() }
    return (try #require(JointProcess(x: x, y: y, columns: 2)), x, y)
  }

  private static func kernel(_ process: JointProcess, _ a: ArraySlice<Double>, _ b: ArraySlice<Double>)
    -> Double
  {
    let square = zip(zip(a, b), process.inverseLengths).enumerated().reduce(0) { sum, column in
      let ((a, b), inverse) = column.element
      let isName = column.offset >= process.columns - process.names
      return sum + (isName ? (a == b ? 0 : 2) : (a - b) * (a - b)) * inverse * inverse
    }
    let r = (3 * square).squareRoot()
    return process.variance * (1 + r) * exp(-r)
  }

  private static func covariance(_ process: JointProcess, _ x: [Double]) -> [[Double]] {
    let d = process.columns
    let n = x.count / d
    return (0..<n).map { i in
      (0..<n).map { j in
        kernel(process, x[d * i..<d * (i + 1)], x[d * j..<d * (j + 1)])
          + (i == j ? process.variance * process.noise : 0)
      }
    }
  }

  /// The law of the rows after the first `known` ones, given those: by conditioning one row after another.
  private static func conditioned(
    _ process: JointProcess, _ x: [Double], _ y: [Double], known: Int
  ) -> (means: [Double], covariance: [[Double]]) {
    var k = covariance(process, x)
    var means = [Double](repeating: process.mean, count: k.count)
    for row in 0..<known {
      let (pivot, error) = (k[row][row], y[row] - means[row])
      let own = k[row]
      for i in row + 1..<k.count {
        means[i] += own[i] / pivot * error
        for j in row + 1..<k.count { k[i][j] -= own[i] * own[j] / pivot }
      }
    }
    return (Array(means[known...]), k[known...].map { Array($0[known...]) })
  }

  @Test func theLawIsThatOfTheDefinition() throws {
    let (process, x, y) = try Self.process()
    let asked = Self.rows(5, 2, seed: 3)
    let expected = Self.conditioned(process, x + asked, y, known: 30)
    let laws = Self.laws(process, asked)
    #expect(laws.count == 1)
    for i in 0..<5 {
      #expect(abs(laws[0].means[i] - expected.means[i]) < 1e-6)
      #expect(abs(laws[0].variances[i] - expected.covariance[i][i]) < 1e-6)
      for j in 0...i {
        let found = (0...j).reduce(0.0) { $0 + laws[0].factor[i * 5 + $1] * laws[0].factor[j * 5 + $1] }
        #expect(abs(found - expected.covariance[i][j]) < 1e-6)
      }
    }
    // Without noise the same law less that of each value.
    let latent = Self.laws(process, asked, latent: true)
    for i in 0..<5 {
      let less = laws[0].variances[i] - process.variance * process.noise
      #expect(abs(latent[0].variances[i] - less) < 1e-6)
    }
  }

  /// The density of each row given the others, in closed form and with the row put last.
  @Test func leavingOneOutIsWhatItSays() throws {
    let (process, x, y) = try Self.process(12)
    var sum = 0.0
    for row in 0..<12 {
      let others = (0..<12).filter { $0 != row }
      let turned = (others + [row]).flatMap { x[2 * $0..<2 * $0 + 2] }
      let law = Self.conditioned(process, turned, others.map { y[$0] } + [y[row]], known: 11)
      let error = y[row] - law.means[0]
      sum -= 0.5 * (error * error / law.covariance[0][0] + log(2 * .pi * law.covariance[0][0]))
    }
    #expect(abs(process.leftOut - sum / 12) < 1e-6)
  }

  /// Weights of one law, with the heavy tails of Student's: of three degrees of freedom 5 % lie beyond 3.18 deviations of its scale.
  @Test func scalesAreOfOneLaw() {
    let scales = JointProcess.scales
    #expect(abs(scales.reduce(0) { $0 + exp($1.logWeight) } - 1) < 1e-12)
    let beyond = scales.reduce(0) { $0 + exp($1.logWeight) * erfc(3.182 / (2 * $1.factor).squareRoot()) }
    #expect(abs(beyond - 0.05) < 0.005)
  }

  /// The column that tells has the shorter length.
  @Test func lengthsTellColumnsApart() throws {
    let (process, _, _) = try Self.process(60)
    #expect(process.inverseLengths[0] > 4 * process.inverseLengths[1])
    #expect(process.noise < 0.1)
  }

  @Test func slopesOfTheSearch() throws {
    let x = Self.rows(14, 3, seed: 5)
    let y = (0..<14).map { (row: Int) -> Double in
      let (a, b) = (x[3 * row], x[3 * row + 1])
      return a + 0.3 * b * b
    }
    let search = JointSearch(x: x, y: y, columns: 3)
    var place = [0.2, 0.7, 1.4, -2]
    let found = try #require(search.score(place))
    for i in place.indices {
      let kept = place[i]
      place[i] = kept + 1e-5
      let above = try #require(search.score(place)).score
      place[i] = kept - 1e-5
      let below = try #require(search.score(place)).score
      place[i] = kept
      #expect(abs(found.slope[i] - (above - below) / 2e-5) < 1e-4 * max(1, abs(found.slope[i])))
    }
  }

  /// Rows of a number and a level: what a level adds, and a slope. Levels are told of by three rows each.
  private static func levels(_ count: Int) -> (x: [Double], y: [Double], effects: [Double]) {
    var stream = RandomStream(seed: 7, 41)
    let effects = stream.normals(count)
    var (x, y) = ([Double](), [Double]())
    for row in 0..<3 * count {
      let (number, level) = (stream.normal(), row % count)
      x += [number, Double(level)]
      y.append(0.3 * number + effects[level] + 0.05 * stream.normal())
    }
    return (x, y, effects)
  }

  @Test func theLawKnowsAllLevels() throws {
    let (x, y, effects) = Self.levels(20)
    let process = try #require(JointProcess(x: x, y: y, columns: 2, names: 1))
    // A row of each level, and two of levels that no row shown has: the same twice, then another.
    let shown: [Double] = (0..<20).flatMap { [0, Double($0)] }
    let asked: [Double] = shown + [0, 77, 0, 77, 0, 78]
    let law = Self.laws(process, asked)[0]
    for level in 0..<20 { #expect(abs(law.means[level] - effects[level]) < 0.2, "level \(level)") }
    func covariance(_ i: Int, _ j: Int) -> Double {
      (0...min(i, j)).reduce(0) { $0 + law.factor[i * law.count + $1] * law.factor[j * law.count + $1] }
    }
    #expect(covariance(21, 20) > 0.9 * law.variances[20])
    #expect(covariance(22, 20) < 0.5 * law.variances[20])
    #expect(law.variances[20] > 20 * law.variances[0])
    let expected = Self.conditioned(process, x + asked, y, known: 60)
    for i in 0..<law.count {
      #expect(abs(law.means[i] - expected.means[i]) < 1e-6)
      for j in 0...i { #expect(abs(covariance(i, j) - expected.covariance[i][j]) < 1e-6) }
    }
  }

  @Test func namesOfLevelsMeanNothing() throws {
    let (x, y, _) = Self.levels(14)
    let renamed = x.enumerated().map { $0.offset % 2 == 1 ? 1000 - 7 * $0.element : $0.element }
    let process = try #require(JointProcess(x: x, y: y, columns: 2, names: 1))
    let other = try #require(JointProcess(x: renamed, y: y, columns: 2, names: 1))
    #expect(process.leftOut == other.leftOut && process.inverseLengths == other.inverseLengths)
    let (law, same) = (Self.laws(process, [1, 3, 0, 5])[0], Self.laws(other, [1, 979, 0, 965])[0])
    #expect(law.means == same.means && law.factor == same.factor)
    #expect(JointProcess(x: x, y: y, columns: 2, names: 3) == nil)
    #expect(JointProcess(x: x, y: y, columns: 2, names: 2) != nil)
  }

  @Test func slopesOfTheSearchByLevels() throws {
    let (x, y, _) = Self.levels(5)
    let search = JointSearch(x: x, y: y, columns: 2, names: 1)
    let place = [0.3, 0.1, -2.5]
    let found = try #require(search.score(place))
    for i in place.indices {
      let scores = try [1e-5, -1e-5].map { step in
        var moved = place
        moved[i] += step
        return try #require(search.score(moved)).score
      }
      #expect(abs(found.slope[i] - (scores[0] - scores[1]) / 2e-5) < 1e-4 * max(1, abs(found.slope[i])))
    }
  }

  /// Of more rows than the first search takes, more have a say: the last steps make them likelier.
  @Test func moreRowsAreHeardInTheEnd() throws {
    let x = Self.rows(320, 2, seed: 9)
    var stream = RandomStream(seed: 10, 41)
    let y = (0..<320).map { sin(3 * x[2 * $0]) + 0.02 * stream.normal() }
    let process = try #require(JointProcess(x: x, y: y, columns: 2))
    let search = JointSearch(x: x, y: y.map { $0 - process.mean }, columns: 2)
    let some = (0..<200).map { $0 * 320 / 200 }
    let few = JointSearch(
      x: some.flatMap { x[2 * $0..<2 * $0 + 2] }, y: some.map { y[$0] - process.mean }, columns: 2)
    let first = try #require(few.run(steps: 35))
    func score(_ lengths: [Double], _ noise: Double) throws -> Double {
      try #require(search.score(lengths + [noise])).score
    }
    let found = try score(process.inverseLengths.map { -log($0) }, log(process.noise))
    #expect(try found > score(first.lengths, first.noise) + 1e-6)
    let best = try #require(search.run(steps: 60))
    #expect(try score(best.lengths, best.noise) - found < 0.5)
  }

  @Test func theLowerInverseIsThatOfAllColumns() throws {
    for count in [1, 31, 70] {
      let a = Self.rows(count, count, seed: 8)
      var matrix = [Double](repeating: 0, count: count * count)
      for i in 0..<count {
        for j in 0..<count {
          var sum = i == j ? 5.0 : 0
          for k in 0..<count { sum += a[i * count + k] * a[j * count + k] }
          matrix[i * count + j] = sum
        }
      }
      let factor = try CholeskyFactor(lower: matrix, count: count)
      let unit: [Double] = (0..<count * count).map { $0 % (count + 1) == 0 ? 1 : 0 }
      let (all, lower) = (try factor.solve(unit, columns: count), InverseFactor.lowerInverse(of: factor))
      for i in 0..<count {
        for j in 0...i {
          #expect(all[i * count + j] == lower[i * count + j])
          var product = 0.0
          for k in 0..<count { product += matrix[i * count + k] * lower[max(k, j) * count + min(k, j)] }
          #expect(abs(product - (i == j ? 1 : 0)) < 1e-9)
        }
      }
    }
  }

  /// Many rows are told of in parts, each as it would be alone.
  @Test func manyRowsAreToldInParts() throws {
    let (process, _, _) = try Self.process(10)
    let asked = Self.rows(23, 2, seed: 6)
    let laws = Self.laws(process, asked, together: 20)
    #expect(laws.map(\.count) == [20, 3])
    let last = Self.laws(process, Array(asked.suffix(6)))[0]
    #expect(laws[1].means == last.means && laws[1].factor == last.factor)
  }

  @Test func tooFewRowsAndNoColumnsAreNone() {
    #expect(JointProcess(x: [1, 2, 3], y: [1, 2, 3], columns: 1) == nil)
    #expect(JointProcess(x: [], y: [1, 2, 3, 4], columns: 0) == nil)
    // Equal outputs have no variance to find.
    let same = JointProcess(x: [1, 2, 3, 4, 5], y: [0, 0, 0, 0, 0], columns: 1)
    #expect(same.map { Self.laws($0, [2.5])[0].variances[0].isFinite } ?? true)
  }
}
