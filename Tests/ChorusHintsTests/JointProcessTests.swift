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
    let square = zip(zip(a, b), process.inverseLengths).reduce(0) {
      $0 + ($1.0.0 - $1.0.1) * ($1.0.0 - $1.0.1) * $1.1 * $1.1
    }
    let r = (3 * square).squareRoot()
    return process.variance * (1 + r) * exp(-r)
  }

  private static func covariance(_ process: JointProcess, _ x: [Double]) -> [[Double]] {
    let n = x.count / 2
    return (0..<n).map { i in
      (0..<n).map { j in
        kernel(process, x[2 * i..<2 * i + 2], x[2 * j..<2 * j + 2])
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
    let search = JointProcess.Search(x: x, y: y, columns: 3)
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
