import ChorusData
import ChorusInference
import ChorusModels
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusEvaluation

@Suite struct CopulaTests {
  /// Functions of which few rows are seen: neighbours go together, and the copula says so.
  @Test func itTellsMoreThanIndependenceOfASmoothFunction() throws {
    let model = try Model(named: "gp-noisy")
    var gain = 0.0
    for index in 0..<8 {
      let task = try TaskGenerator(GPPrior.noisy, seed: 3, domain: .evaluation)
        .task(index, step: 0, shape: TaskShape(context: 16, targets: 16))
      let (observed, asked) = (try task.dataset(task.contextRows), try task.dataset(task.targetRows))
      let copula = try GaussianCopula(model, observed, seed: 1)
      let independent = try model.condition(on: observed)
        .logDensity(of: asked.y, at: asked.inputs, plan: .independent, orders: 1)
      gain += try copula.logDensity(of: asked.y, at: asked.inputs) - independent.value
    }
    #expect(gain > 0)
  }

  /// Paths have the model's marginals, and the correlation that was fitted.
  @Test func pathsHaveTheMarginalsAndTheCorrelation() throws {
    let model = try Model(named: "gp")
    let x = [-1.8, -1.2, -0.6, 0.1, 0.7, 1.3, 1.9, 0.4]
    let observed = try Dataset(inputs: Inputs(x, dimensions: 1), y: x.map { sin(2 * $0) })
    let copula = try GaussianCopula(model, observed, seed: 1)
    let asked = try Inputs([-0.3, -0.29, 1.6], dimensions: 1)
    let paths = try copula.paths(4000, at: asked, seed: 2)
    let marginals = try copula.posterior.marginals(at: asked)
    for (target, law) in marginals.enumerated() {
      let below = paths.count { $0[target] <= law.quantile(0.5) }
      #expect(abs(Double(below) / 4000 - 0.5) < 0.03)
    }
    #expect(try copula.paths(2, at: asked, seed: 2) == Array(paths.prefix(2)))
  }

  /// Two rows say nothing of a correlation.
  @Test func withoutResidualsItIsIndependence() throws {
    let model = try Model(named: "gp")
    let observed = try Dataset(inputs: Inputs([0, 1], dimensions: 1), y: [0.2, 0.1])
    let copula = try GaussianCopula(model, observed)
    #expect(copula.candidates.map(\.share) == [0] && copula.candidates[0].weight == 1)
    let asked = try Inputs([0.5, 0.6], dimensions: 1)
    let independent = try model.condition(on: observed)
      .logDensity(of: [0.1, 0.2], at: asked, plan: .independent, orders: 1)
    #expect(abs(try copula.logDensity(of: [0.1, 0.2], at: asked) - independent.value) < 1e-6)
  }
}
