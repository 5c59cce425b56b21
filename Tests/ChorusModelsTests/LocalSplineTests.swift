import ChorusData
import Foundation
import Testing

@testable import ChorusHints
@testable import ChorusTensors

/// Splines through the nearest rows: against the other derivation, closed forms, and what must not matter.
@Suite struct LocalSplineTests {
  private struct Rows {
    var x: [Float]
    var y: [Float]
    let dimensions: Int

    init(_ count: Int, dimensions: Int, seed: UInt64 = 3, noise: Double = 0.1) {
      self.dimensions = dimensions
      var stream = RandomStream(seed: seed, 31)
      x = (0..<count * dimensions).map { _ in Float(4 * stream.uniform() - 2) }
      y = []
      for row in 0..<count {
        let sum = x[row * dimensions..<(row + 1) * dimensions].reduce(0) { $0 + Double($1) }
        y.append(Float(sin(2 * sum) + noise * stream.normal()))
      }
    }

    init(x: [Double], y: [Double]) {
      (self.x, self.y, dimensions) = (x.map(Float.init), y.map(Float.init), 1)
    }

    var pairs: [(x: [Double], y: Double)] {
      y.indices.map { row in
        (x[row * dimensions..<(row + 1) * dimensions].map(Double.init), Double(y[row]))
      }
    }

    func near(_ neighbours: Int) -> NearRows {
      NearRows(NetworkRows(x: x, y: y, dimensions: dimensions), neighbours: neighbours)
    }

    func told(
      at point: [Double], neighbours: Int, law: LocalSpline.Law? = nil
    ) -> (features: [Float], unit: Scaling.Unit) {
      let near = near(neighbours)
      let spline = LocalSpline(most: neighbours, dimensions: dimensions)
      spline.move(to: point.map(Float.init))
      near.show(to: spline)
      let told = spline.tell(law ?? near.law)
      return ((0..<LocalSpline.features).map { told.features[$0] }, told.unit)
    }
  }

  private static let noiseless = LocalSpline.Law(noise: [0, 0, 0])

  @Test(arguments: [1, 2, 3], [0, 1, 2, 4, 7, 12, 40])
  func bothDerivationsAgree(dimensions: Int, count: Int) {
    let rows = Rows(count, dimensions: dimensions, seed: UInt64(7 * dimensions + count))
    let reference = ReferenceSpline(rows.pairs, neighbours: 12)
    if count > 0 {
      for (own, wanted) in zip(rows.near(12).law.noise, reference.noise) {
        #expect(abs(log(own / wanted)) < 3e-3, "\(own) \(wanted)")
      }
    }
    var stream = RandomStream(seed: 8, UInt64(count))
    for scale in [1.0, 3.0] {
      let point = (0..<dimensions).map { _ in Double(Float(scale * (4 * stream.uniform() - 2))) }
      let (features, unit) = rows.told(at: point, neighbours: 12)
      let wanted = reference.tell(rows.pairs, at: point)
      for (own, wanted) in zip(features, wanted.features) {
        #expect(abs(Double(own) - wanted) < 2e-3 * max(1, abs(wanted)), "\(features) \(wanted)")
      }
      #expect(abs(unit.origin - wanted.origin) < 2e-3 * wanted.scale + 1e-4)
      #expect(abs(unit.scale / wanted.scale - 1) < 2e-3)
    }
  }

  /// Through all rows of a line, without noise: |h| joins them by straight pieces with the error of a Brownian bridge.
  @Test func theLinearFormIsABrownianBridge() throws {
    let rows = Rows(x: [-1, 0, 0.5, 2], y: [0.3, -0.2, 0.4, 1])
    let (features, unit) = rows.told(at: [1.25], neighbours: 8, law: Self.noiseless)
    // Half of the mean of Δy²/Δx is the factor c, and the variance between rows a and b away 2cab/(a + b).
    let factor = (0.25 / 1 + 0.36 / 0.5 + 0.36 / 1.5) / 3 / 2
    let deviation = (factor * 2 * 0.75 * 0.75 / 1.5).squareRoot()
    #expect(abs(exp(2 * Double(features[1])) / deviation - 1) < 1e-4)
    let value = unit.origin + Double(features[4]) * 4 * unit.scale
    #expect(abs(value - 0.7) < 1e-4)
  }

  /// Through all rows of a line, without noise: |h|³ is the natural cubic spline, whose second derivatives solve three-term
  /// equations and are 0 at the ends.
  @Test func theCubicFormIsTheNaturalSpline() {
    let (x, y) = ([-1.5, -0.5, 0.25, 1.5], [0.2, 1, -0.5, 0.75])
    let h = (0..<3).map { x[$0 + 1] - x[$0] }
    let slopes = (0..<3).map { (y[$0 + 1] - y[$0]) / h[$0] }
    let (a, b, c) = (2 * (h[0] + h[1]), h[1], 2 * (h[1] + h[2]))
    let (r, s) = (6 * (slopes[1] - slopes[0]), 6 * (slopes[2] - slopes[1]))
    let m = [0, (c * r - b * s) / (a * c - b * b), (a * s - b * r) / (a * c - b * b), 0]
    func natural(_ t: Double) -> Double {
      let k = t < x[1] ? 0 : t < x[2] ? 1 : 2
      let (left, right) = (x[k + 1] - t, t - x[k])
      return (m[k] * left * left * left + m[k + 1] * right * right * right) / (6 * h[k])
        + (y[k] / h[k] - m[k] * h[k] / 6) * left + (y[k + 1] / h[k] - m[k + 1] * h[k] / 6) * right
    }
    for t in [-1.0, -0.25, 0.5, 1.25] {
      let unit = Rows(x: x, y: y).told(at: [t], neighbours: 8, law: Self.noiseless).unit
      #expect(abs(unit.origin - natural(t)) < 1e-4)
    }
  }

  @Test func noiseIsToldFromShape() {
    func noise(_ deviation: Double) -> Double {
      let rows = Rows(120, dimensions: 1, noise: deviation)
      return exp(2 * Double(rows.told(at: [0.1], neighbours: 12).features[LocalSpline.features - 1]))
    }
    #expect(noise(0) < 0.01)
    #expect((0.05...0.2).contains(noise(0.1)))
    #expect((0.25...1).contains(noise(0.5)))
  }

  @Test func farFromTheRowsNobodyKnows() {
    let rows = Rows(40, dimensions: 1)
    let units = [0.0, 3, 6, 40].map { rows.told(at: [$0], neighbours: 12).unit.scale }
    #expect(units == units.sorted() && units[0] < 0.3 && units[3] == LocalSpline.mostUnit)
  }

  @Test(arguments: [1, 2]) func orderDoesNotMatter(dimensions: Int) {
    var rows = Rows(30, dimensions: dimensions)
    // Rows at one place, and rows as far from the point as others.
    for row in 0..<6 {
      for column in 0..<dimensions {
        rows.x[row * dimensions + column] = row < 3 ? 1 : row % 2 == 0 ? 0.5 : -0.5
      }
    }
    var stream = RandomStream(seed: 5)
    let order = stream.permutation(30)
    var turned = rows
    for (place, row) in order.enumerated() {
      turned.y[place] = rows.y[row]
      for column in 0..<dimensions {
        turned.x[place * dimensions + column] = rows.x[row * dimensions + column]
      }
    }
    #expect(rows.near(8).law == turned.near(8).law)
    let point = [Double](repeating: 0, count: dimensions)
    #expect(
      same(rows.told(at: point, neighbours: 8).features, turned.told(at: point, neighbours: 8).features))
  }

  @Test func whateverTheRowsAreTheAnswerIsANumber() {
    let hard: [([Double], [Double])] = [
      ([], []), ([0], [1]), ([0, 0, 0, 0, 0], [1, 2, 3, 4, 5]), ([1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0]),
      ([0, 1e-30, 2e-30, 3e-30, 1], [1, -1, 1, -1, 0]), ([0, 1e9, -1e9, 5, 6], [1e9, -1e9, 0, 3, 2]),
      (Array(repeating: 2, count: 30), (0..<30).map { Double($0 % 3) }),
    ]
    for (x, y) in hard {
      for point in [0, 1, 1e9] {
        let (features, unit) = Rows(x: x, y: y).told(at: [point], neighbours: 12)
        #expect(features.allSatisfy(\.isFinite) && unit.scale > 0 && unit.scale <= LocalSpline.mostUnit)
        #expect(abs(unit.origin) <= LocalSpline.mostValue)
      }
    }
  }

  @Test func rowsComeAndGo() throws {
    let rows = Rows(9, dimensions: 2)
    let hints = Hints(rows: [LocalSplines(neighbours: 5)])
    func told(_ context: ToldContext) -> [Float] {
      let width = hints.rowFeatures
      var features = [Float](repeating: .nan, count: context.count * width)
      context.tell(0..<context.count, into: &features, width: width)
      return features
    }
    func context(_ range: Range<Int>) -> NetworkRows {
      NetworkRows(
        x: Array(rows.x[2 * range.lowerBound..<2 * range.upperBound]), y: Array(rows.y[range]), dimensions: 2)
    }
    let all = try #require(ToldContext(hints, context(0..<9), HintFits()))
    let few = try #require(ToldContext(hints, context(0..<6), HintFits()))
    #expect(same(told(few.changed(by: context(6..<9), removing: false)), told(all)))
    #expect(same(told(all.changed(by: context(6..<9), removing: true)), told(few)))
  }
}
