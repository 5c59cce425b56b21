import ChorusData
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

/// Mean and standard error of numbers.
struct Average {
  var mean: Double
  var error: Double
  init(_ values: [Double]) {
    let n = Double(values.count)
    let mean = values.reduce(0, +) / n
    var squares = 0.0
    for value in values { squares += (value - mean) * (value - mean) }
    self.mean = mean
    error = (squares / (n - 1) / n).squareRoot()
  }
}

/// Mass, mean and variance of an oracle's density of a task's only target, summed over a grid around the mean that it tells.
struct Integral {
  private(set) var mass = 0.0
  private(set) var mean = 0.0
  private(set) var variance = 0.0

  init(of oracle: any Oracle, _ task: PriorTask, _ law: OracleDensity, step: Double, reach: Double) throws {
    let seen = Array(task.contextRows)
    var square = 0.0
    for place in -Int(reach / step)...Int(reach / step) {
      let y = law.means[0] + Double(place) * step
      let values = task.y.prefix(seen.count) + [y]
      let weight = exp(try oracle.density(of: [seen.count], given: seen, values: Array(values)).joint) * step
      mass += weight
      mean += weight * y
      square += weight * y * y
    }
    variance = square - mean * mean
  }
}

@Suite("Gaussian process priors")
struct GPPriorTests {
  /// Ceilings of the paper's GP task measured independently (in Python) with the true kernel and
  /// hyperparameters: inputs a random N+M of 512 scrambled Sobol points, M = 16, averaged over N in {8, 16,
  /// 32, 64, 128}: joint 2.71, independent 2.35, in nats a target, standard errors 0.02.
  @Test("The oracle gives the measured ceilings: 2.71 joint, 2.35 independent")
  func golden() throws {
    let generator = TaskGenerator(GPPrior.gp, seed: 20, domain: .evaluation)
    var (joint, independent) = ([Average](), [Average]())
    for (set, n) in [8, 16, 32, 64, 128].enumerated() {
      var (joints, independents) = ([Double](), [Double]())
      for index in 0..<200 {
        let task = try generator.task(index, step: set, shape: TaskShape(context: n, targets: 16))
        let oracle = try #require(task.oracle)
        let law = try oracle.density(of: task.targetRows, given: task.contextRows)
        joints.append(law.joint / 16)
        independents.append(law.independent / 16)
      }
      joint.append(Average(joints))
      independent.append(Average(independents))
    }
    for (parts, golden) in [(joint, 2.71), (independent, 2.35)] {
      let mean = parts.map(\.mean).reduce(0, +) / 5
      let ours = parts.map { $0.error * $0.error }.reduce(0, +).squareRoot() / 5
      let error = (ours * ours + 0.02 * 0.02).squareRoot()
      #expect(abs(mean - golden) < 3.5 * error, "\(mean) where \(golden) was measured")
    }
  }

  @Test("Inputs are different points of [-2, 2]; outputs have the prior's moments")
  func moments() throws {
    let generator = TaskGenerator(GPPrior.noisy, seed: 3)
    var (values, squares) = ([Double](), [Double]())
    for index in 0..<3000 {
      let task = try generator.task(index, step: 0, shape: TaskShape(context: 4, buffer: 2, targets: 2))
      #expect(Set(task.x).count == 8)
      #expect(task.x.allSatisfy { abs($0) < 2 })
      values.append(task.y[0])
      squares.append(task.y[7] * task.y[7])
    }
    let (mean, square) = (Average(values), Average(squares))
    #expect(abs(mean.mean) < 4 * mean.error)
    #expect(abs(square.mean - 1.01) < 4 * square.error)  // E[sigma_f²] + noise
  }

  @Test("More than 512 rows come from a larger set")
  func large() throws {
    let task = try TaskGenerator(GPPrior.noisy, seed: 3).task(
      0, step: 0, shape: .init(context: 600, targets: 9))
    #expect(Set(task.x).count == 609)
  }

  @Test("Kernels come as often as they should")
  func kernels() throws {
    var counts = [String: Double]()
    for index in 0..<4000 {
      let task = try TaskGenerator(GPPrior.gp, seed: 8).task(
        index, step: 0, shape: .init(context: 0, targets: 1))
      counts[task.component, default: 0] += 1 / 4000
    }
    for (name, probability) in [("rbf", 0.4), ("matern32", 0.3), ("matern52", 0.3)] {
      let error = (probability * (1 - probability) / 4000).squareRoot()
      #expect(abs((counts[name] ?? 0) - probability) < 4 * error)
    }
  }
}

@Suite("Sawtooth prior")
struct SawtoothPriorTests {
  @Test("The ceiling averages to 1.190 and is reached by whoever knows the wave")
  func ceiling() throws {
    #expect(abs(SawtoothPrior.averageCeiling - 1.190) < 5e-4)
    var ceilings = [Double]()
    for index in 0..<2000 {
      let task = try TaskGenerator(SawtoothPrior(), seed: 5).task(
        index, step: 0, shape: .init(context: 2, targets: 6, dimensions: 1 + index % 3))
      #expect((task.oracle == nil) == (task.shape.dimensions > 1))
      #expect(task.y.allSatisfy { $0 > -0.6 && $0 < 1.6 })
      ceilings.append(try #require(task.ceiling))
    }
    let mean = Average(ceilings)
    #expect(abs(mean.mean - SawtoothPrior.averageCeiling) < 4 * mean.error)
  }

  @Test("The wave takes its values uniformly")
  func uniform() throws {
    var (values, squares) = ([Double](), [Double]())
    for index in 0..<4000 {
      let task = try TaskGenerator(SawtoothPrior(), seed: 6).task(
        index, step: 0, shape: .init(context: 0, targets: 1))
      values.append(task.y[0])
      squares.append((task.y[0] - 0.5) * (task.y[0] - 0.5))
    }
    let noise = (0.1 * 0.1 * 0.1 - 0.05 * 0.05 * 0.05) / 0.15  // E[sigma²]
    let (mean, square) = (Average(values), Average(squares))
    #expect(abs(mean.mean - 0.5) < 4 * mean.error)
    #expect(abs(square.mean - 1 / 12.0 - noise) < 4 * square.error)
  }
}
