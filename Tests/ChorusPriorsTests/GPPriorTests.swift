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

@Suite("Gaussian process priors")
struct GPPriorTests {
  /// The engineering specification of the buffer, section 4.1: ceilings of the paper's GP task measured with the
  /// true kernel and hyperparameters, inputs a random N+M of 512 scrambled Sobol points, M = 16, averaged
  /// over N in {8, 16, 32, 64, 128}: joint 2.71, independent 2.35, in nats a target, standard errors 0.02.
  @Test("The oracle gives the measured ceilings: 2.71 joint, 2.35 independent")
  func golden() throws {
    let generator = TaskGenerator(GPPrior.gp, seed: 20, domain: .evaluation)
    var (joint, independent) = ([Average](), [Average]())
    for (set, n) in [8, 16, 32, 64, 128].enumerated() {
      var (joints, independents) = ([Double](), [Double]())
      for index in 0..<400 {
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
      #expect(abs(mean - golden) < 3.5 * error)
    }
  }
}
