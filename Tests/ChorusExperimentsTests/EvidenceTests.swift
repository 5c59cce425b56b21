import ChorusData
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusExperiments

private let observers = #"""
  {"name": "observers", "title": "Two models of observers", "tasks": 24,
   "training": {"prior": "causal", "batch": 4, "context": [0, 8], "buffers": [4], "targets": 4, "dimensions": [4],
     "validateEvery": 3, "checkpointEvery": 3, "validationTasks": 2,
     "blueprint": {"version": 2, "width": 16, "layers": 2, "heads": 2, "feedForward": 16, "embedderHidden": 16,
       "headHidden": 16, "inputDimensions": 4, "trainedBuffer": 4, "head": {"name": "mixture", "components": 3}}},
   "networks": [{"name": "near"}, {"name": "wide", "change": {"prior": "causal-wide"}}],
   "evaluation": {"prior": "causal", "contexts": [0], "seed": 5, "dimensions": 4,
     "sizes": [{"targets": 3, "functions": 2, "orders": 2}]},
   "columns": [{"name": "K=4", "network": "near", "plan": "sequential(capacity:4)"}],
   "evidence": {"observers": 1, "trials": 6, "orders": 2, "seed": 9,
     "columns": [{"name": "K=4", "networks": ["near", "wide"], "plan": "sequential(capacity:4)"},
       {"name": "Ind", "networks": ["near", "wide"], "plan": "independent", "orders": 1}],
     "paper": {"lml": {"Ind": [86.96, 0]}}}}
  """#

private func experiment(_ text: String = observers) throws -> Experiment {
  try Experiment(Data(text.utf8), path: "observers.json")
}

@Suite struct EvidenceTests {
  @Test(arguments: [
    (#"["near", "wide"]"#, #"["wide", "near"]"#, "causal-wide"),
    (#"["near", "wide"]"#, #"["near"]"#, "causal"),
    (#""observers": 1"#, #""observers": 0"#, "observers"), (#""trials": 6"#, #""trails": 6"#, "trails"),
    (#""independent""#, #""indepndent""#, "indepndent"), (#""lml""#, #""lmm""#, "difference"),
    (#""orders": 1}"#, #""orders": 0}"#, "orders"),
  ])
  func whatIsWrongIsNamed(_ what: String, _ by: String, _ named: String) throws {
    let text = observers.replacing(what, with: by, maxReplacements: 1)
    #expect(text != observers)
    let error = #expect(throws: ExperimentError.self) { try experiment(text) }
    #expect(error?.description.contains(named) ?? false, "\(error?.description ?? "")")
  }

  /// The integral is that of `CausalInference`, a network's value its joint log-density with nothing observed, in degrees; a run
  /// that was stopped ends with the values of one that was not.
  @Test func networksSayHowProbableAWholeDataSetIs() throws {
    let folder = NSTemporaryDirectory() + "chorus-evidence-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let run = try ExperimentRun(experiment(), folder: folder, on: ThreadPool(threads: 2))
    #expect(try run.train(stop: { false }, report: { _, _, _ in }))
    var asked = 0
    func stop() -> Bool {
      asked += 1
      return asked == 4
    }
    #expect(try !run.scoreEvidence(stop: stop, report: { _, _, _ in }))
    var found = 0
    #expect(try run.scoreEvidence(stop: { false }, report: { _, _, _ in found += 1 }))
    let scores = run.evidence()
    // Two data sets, two models, two columns and the integral.
    #expect(scores.count == 12 && found < 12)
    let set = CausalInference.dataSets(observers: 1, trials: 6, seed: 9)[1]
    func value(_ column: String, _ prior: Int) throws -> Double {
      try #require(scores.first { $0.column == column && $0.dataSet == 1 && $0.prior == prior }).value
    }
    let exact = try CausalInference.logMarginalLikelihood(
      of: set.trials, stretch: 4.0 / 3, seed: 9, on: ThreadPool(threads: 1))
    #expect(try value(ExperimentRun.integral, 1) == exact.value)
    let model = try Model(path: folder + "/wide-seed1/model.safetensors")
    // Independent: the product of what is said of each trial alone.
    let alone = try set.trials.reduce(0) { sum, trial in
      let input = CausalPrior.input(trial)
      let law = try model.condition(on: Dataset(inputs: Inputs([], dimensions: 4), y: [])).logDensity(
        of: [trial.answer / 10], at: Inputs(input, dimensions: 4), plan: .independent, orders: 1)
      return sum + law.value - log(10)
    }
    #expect(abs(try value("Ind", 1) - alone) < 1e-3)
    #expect(try value("Ind", 0) != value("Ind", 1) && value("K=4", 1) != value("Ind", 1))
  }

  @Test func errorsAreOfValuesAndOfDifferences() throws {
    let evidence = try #require(experiment().evidence)
    func score(_ column: String, _ set: Int, _ prior: Int, _ value: Double) -> ExperimentRun.EvidenceScore {
      .init(
        column: column, dataSet: set, prior: prior, trials: 6, seed: 9, model: "", orders: 1, value: value,
        standardError: nil, seconds: 0)
    }
    let integral = ExperimentRun.integral
    let table = EvidenceTable(
      evidence,
      [
        score(integral, 0, 0, -10), score(integral, 0, 1, -12), score(integral, 1, 0, -20),
        score(integral, 1, 1, -17),
        // An older network's value, which a newer replaces.
        score("Ind", 0, 0, 100), score("Ind", 0, 0, -11), score("Ind", 0, 1, -10), score("Ind", 1, 0, -20),
        score("Ind", 1, 1, -20),
      ])
    #expect(table.rows.map(\.column) == ["Ind", "Ind"], "a column that was not asked has no row")
    let (lml, difference) = (table.rows[0], table.rows[1])
    #expect(lml.values == 4 && lml.paper?.mean == 86.96 && lml.sameSign == nil)
    #expect(abs(lml.rmse.mean - (14.0 / 4).squareRoot()) < 1e-12)
    #expect(abs(lml.bias.mean + 0.5) < 1e-12)
    // Integrals: −10, −12, −20, −17 around −14.75.
    let squares: [Double] = [22.5625, 7.5625, 27.5625, 5.0625]
    let variance = squares.reduce(0, +) / 4
    #expect(abs(try #require(lml.r2) - (1 - 3.5 / variance)) < 1e-12)
    // Integral: −2 and 3. Network: 1 and 0.
    #expect(difference.values == 2 && difference.sameSign == 0)
    #expect(abs(difference.rmse.mean - 3) < 1e-12)
  }
}
