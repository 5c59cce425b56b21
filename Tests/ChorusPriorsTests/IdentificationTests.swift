import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("Systems to be identified")
struct IdentificationTests {
  private static func task(_ index: Int, context: Int, targets: Int, taps: Int = 4) throws -> PriorTask {
    try TaskGenerator(WienerHammersteinPrior(), seed: 21).task(
      index, step: 0, shape: TaskShape(context: context, targets: targets, dimensions: 2 * taps - 1))
  }

  @Test("A system's output is its filters and its line, by hand")
  func output() {
    var stream = RandomStream(seed: 4)
    for _ in 0..<20 {
      let system = WienerHammersteinSystem(taps: 3, from: &stream)
      for filter in [system.first, system.second] {
        #expect(abs(filter.reduce(0) { $0 + $1 * $1 } - 1) < 1e-9)
      }
      let u = stream.normals(5)
      let inner = (0..<3).map { lag in (0..<3).reduce(0.0) { $0 + system.first[$1] * u[lag + $1] } }
      let wanted = zip(system.second, inner).reduce(0) { $0 + $1.0 * system.bend($1.1) }
      #expect(abs(system.output(u[...]) - wanted) < 1e-12)
    }
  }

  /// Of white input, over systems and inputs.
  @Test("The bent line has mean 0 and variance 1, and outputs a variance of about 1")
  func units() throws {
    var stream = RandomStream(seed: 5)
    for _ in 0..<10 {
      let system = WienerHammersteinSystem(taps: 4, from: &stream)
      let bent = stream.normals(20_000).map { system.bend($0) }
      let mean = bent.reduce(0, +) / 20_000
      let variance = bent.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
      #expect(abs(mean) < 0.04 && abs(variance - 1) < 0.08)
    }
    let y = try (0..<200).flatMap { try Self.task($0, context: 10, targets: 10).y }
    #expect(abs(y.reduce(0) { $0 + $1 * $1 } / Double(y.count) - 1) < 0.25)
  }

  @Test("A row is the input before it moved on by one, in two records of their own")
  func windows() throws {
    let task = try Self.task(0, context: 6, targets: 4)
    let d = task.shape.dimensions
    for record in [0..<6, 6..<10] {
      for row in record.dropFirst() {
        #expect(
          Array(task.x[row * d + 1..<(row + 1) * d]) == Array(task.x[(row - 1) * d..<row * d - 1]), "\(row)")
      }
    }
    #expect(task.x[6 * d + 1] != task.x[5 * d])
    for shape in [
      TaskShape(context: 4, targets: 2, dimensions: 4), TaskShape(context: 4, targets: 2, dimensions: 1),
      TaskShape(context: 4, buffer: 1, targets: 2, dimensions: 5),
    ] {
      var stream = RandomStream(seed: 1)
      #expect(throws: PriorError.self) { try WienerHammersteinPrior().draw(shape, from: &stream) }
    }
  }

  @Test("Who knows the law finds the system; a line does not")
  func fits() throws {
    var (line, law, noise, below) = (0.0, 0.0, 0.0, 0)
    for index in 0..<12 {
      let task = try Self.task(index, context: 60, targets: 40, taps: 3)
      let (a, b) = (try task.linearLaw(), try task.systemLaw())
      func error(_ law: OracleDensity) -> Double {
        zip(law.means, task.y[task.targetRows]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / 40
      }
      line += error(a) / 12
      law += error(b) / 12
      below += error(b) < error(a) ? 1 : 0
      // Squared errors are what the law says, within its own spread.
      noise +=
        zip(zip(b.means, b.variances), task.y[task.targetRows]).reduce(0) {
          $0 + ($1.0.0 - $1.1) * ($1.0.0 - $1.1) / $1.0.1
        } / 480
      #expect(b.independent > a.independent - 40)
    }
    #expect(law < 0.5 * line && below >= 9, "\(law), \(line), \(below)")
    #expect(noise > 0.6 && noise < 2, "\(noise)")
  }

  /// By inversion in plain loops.
  @Test("A line's weights are those of ridge regression, and its λ the one with the greatest evidence")
  func line() throws {
    let task = try Self.task(3, context: 30, targets: 1, taps: 2)
    let (x, y) = (Array(task.x.prefix(90)), Array(task.y.prefix(30)))
    let fit = try LinearFit(x: x, y: y, dimensions: 3)
    func feature(_ row: Int, _ i: Int) -> Double { i < 3 ? x[row * 3 + i] : 1 }
    // The gradient of |y − Xw|² + λ|w|² is nothing.
    for i in 0..<4 {
      let gradient = (0..<30).reduce(fit.ridge * fit.weights[i]) { sum, row in
        let told = (0..<4).reduce(0.0) { $0 + fit.weights[$1] * feature(row, $1) }
        return sum - feature(row, i) * (y[row] - told)
      }
      #expect(abs(gradient) < 1e-9)
    }
    // σ² is the one beside which the evidence N(y; 0, σ² (I + XXᵀ/λ)) is greatest: yᵀ(I + XXᵀ/λ)⁻¹y / n.
    func evidence(_ ridge: Double) throws -> (value: Double, noise: Double) {
      let covariance = (0..<900).map { place in
        let (a, b) = (place / 30, place % 30)
        return (0..<4).reduce(a == b ? 1.0 : 0) { $0 + feature(a, $1) * feature(b, $1) / ridge }
      }
      let factor = try CholeskyFactor(lower: covariance, count: 30)
      let noise = zip(try factor.solve(y), y).reduce(0) { $0 + $1.0 * $1.1 } / 30
      return (-15 * log(2 * .pi * noise) - 15 - factor.logDeterminant / 2, noise)
    }
    let best = try evidence(fit.ridge)
    #expect(abs(best.noise - fit.noise) < 1e-9)
    for factor in [pow(10, -0.25), pow(10, 0.25)] {
      #expect(try evidence(fit.ridge * factor).value <= best.value + 1e-9)
    }
    #expect(throws: PriorError.self) { try LinearFit(x: x, y: y, dimensions: 4) }
    #expect(throws: PriorError.self) { try fit.law(of: [0, 1]) }
    #expect(throws: PriorError.self) { try WienerHammersteinFit(x: x, y: y, dimensions: 2, seed: 1) }
  }
}

@Suite("Recall of vectors")
struct VectorRecallTests {
  @Test("Every question is a key of the context and asks for its level")
  func told() throws {
    let prior = VectorRecallPrior(levels: 6)
    for (context, targets) in [(5, 5), (8, 3), (3, 7)] {
      let task = try TaskGenerator(prior, seed: 5).task(
        0, step: 0, shape: TaskShape(context: context, targets: targets, dimensions: 4))
      func key(_ row: Int) -> [Double] { Array(task.x[row * 4..<(row + 1) * 4]) }
      var asked: [Int] = []
      for row in task.targetRows {
        let pair = try #require(task.contextRows.first { key($0) == key(row) })
        #expect(task.y[row] == task.y[pair])
        asked.append(pair)
      }
      // All before any a second time.
      #expect(Set(asked.prefix(context)).count == min(context, targets))
      #expect(task.y.allSatisfy { (0..<6).contains($0) && $0 == $0.rounded() })
      #expect(task.contextRows.allSatisfy { abs(key($0).reduce(0) { $0 + $1 * $1 } - 1) < 1e-12 })
    }
    for shape in [
      TaskShape(context: 0, targets: 3, dimensions: 4),
      TaskShape(context: 4, buffer: 1, targets: 3, dimensions: 4),
      TaskShape(context: 4, targets: 3, dimensions: 1),
    ] {
      var stream = RandomStream(seed: 1)
      #expect(throws: PriorError.self) { try prior.draw(shape, from: &stream) }
    }
  }
}
