import ChorusData
import ChorusPriors
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTraining

@Suite struct ConfigurationTests {
  private func decoded(_ json: String) throws -> TrainingConfiguration {
    try JSONDecoder().decode(TrainingConfiguration.self, from: Data(json.utf8))
  }

  @Test func goesThroughJSONUnchanged() throws {
    for configuration in [
      TrainingConfiguration(),
      tinyConfiguration {
        $0.seed = .max
        $0.rate = 0.1 + 0.2
        $0.epsilon = .leastNonzeroMagnitude
        $0.dimensions = [1, 1]
        $0.blueprint.norm = .post
      },
    ] {
      let json = try JSONEncoder().encode(configuration)
      #expect(try JSONDecoder().decode(TrainingConfiguration.self, from: json) == configuration)
    }
    #expect(try decoded("{}") == TrainingConfiguration())
    #expect(try decoded(#"{"steps": 7, "blueprint": {"layers": 2}}"#).blueprint.layers == 2)
    #expect(throws: DecodingError.self) { try decoded(#"{"seed": -1}"#) }
  }

  @Test func presetsAreValid() throws {
    for name in Priors.names {
      let configuration = try TrainingConfiguration.preset(name)
      try configuration.validate()
      let prior = try Priors.named(name)
      #expect(configuration.dimensions.allSatisfy { prior.dimensions.contains($0) })
    }
    #expect(throws: TrainingError.self) { try TrainingConfiguration.preset("astrology") }
  }

  static let wrong = [
    #"{"steps": 0}"#, #"{"batch": 0}"#, #"{"batch": -1}"#, #"{"context": []}"#, #"{"context": [4]}"#,
    #"{"context": [9, 4]}"#, #"{"context": [-1, 4]}"#, #"{"context": [1, 2, 3]}"#, #"{"buffers": []}"#,
    #"{"buffers": [-3]}"#,
    #"{"objective": "autoregressive", "blueprint": {"version": 2, "family": "sequence"}}"#,
    #"{"dimensions": []}"#, #"{"dimensions": [2]}"#,
    #"{"dimensions": [0]}"#, #"{"targets": 1}"#, #"{"targets": -2}"#, #"{"rate": 0}"#, #"{"rate": -1}"#,
    #"{"warmUp": 2}"#, #"{"warmUp": -0.1}"#, #"{"beta1": 1}"#, #"{"beta2": -0.5}"#, #"{"clip": 0}"#,
    #"{"validateEvery": 0}"#, #"{"checkpointEvery": -1}"#, #"{"validationTasks": -1}"#,
    #"{"validationTasks": 0}"#, #"{"epsilon": 0}"#, #"{"epsilon": -1}"#, #"{"decay": -1}"#,
    #"{"average": 1.5}"#,
    #"{"average": -0.5}"#, #"{"blueprint": {"inputDimensions": 0}}"#,
    #"{"blueprint": {"inputDimensions": -7}}"#,
    #"{"blueprint": {"width": 10}}"#, #"{"blueprint": {"scaling": "standardise"}, "context": [1, 8]}"#,
  ]

  /// Whatever a file may say, the answer is an error and not a trap.
  @Test(arguments: wrong)
  func valuesThatCannotBeAreRefused(json: String) throws {
    let configuration = try decoded(json)
    let error = #expect(throws: TrainingError.self) { try configuration.validate() }
    guard case .configuration? = error else {
      Issue.record("\(json): \(String(describing: error))")
      return
    }
    #expect(throws: TrainingError.self) {
      _ = try Trainer(configuration, prior: LinePrior(), on: ThreadPool(threads: 1))
    }
  }

  @Test func aPriorWithoutTheAskedInputsIsRefused() throws {
    let configuration = tinyConfiguration {
      $0.blueprint.inputDimensions = 2
      $0.dimensions = [1, 2]
    }
    #expect(throws: TrainingError.self) {
      _ = try Trainer(configuration, prior: LinePrior(), on: ThreadPool(threads: 1))
    }
  }

  @Test func storedTasksThatAreTooShortSayWhatIsMissing() throws {
    #expect(throws: PriorError.self) { _ = try StoredTasks([]) }
    let sets = try (0..<3).map { set in
      try Dataset(x: (0..<12 + set).map { Double($0) }, y: (0..<12 + set).map { Double($0 % 3) })
    }
    let prior = try StoredTasks(sets)
    #expect(prior.dimensions == 1...1 && prior.rows == 12)
    var stream = RandomStream(seed: 1)
    let shape = TaskShape(context: 6, buffer: 2, targets: 4)
    let task = try prior.draw(shape, from: &stream)
    #expect(task.x.count == 12 && task.y.count == 12)
    // A row is an input with its own output, and no row is drawn twice.
    #expect(zip(task.x, task.y).allSatisfy { $1 == Double(Int($0) % 3) })
    #expect(Set(task.x).count == 12)
    for wrong in [
      TaskShape(context: 20, buffer: 2, targets: 4), TaskShape(context: 1, targets: 1, dimensions: 2),
    ] {
      let error = #expect(throws: PriorError.self) { _ = try prior.draw(wrong, from: &stream) }
      #expect(error?.description.contains("\(wrong.rows) rows") == true)
    }
    // In training the error comes out of the step, with its words.
    let trainer = try Trainer(
      tinyConfiguration { $0.context = [40, 40] }, prior: prior, on: ThreadPool(threads: 2))
    #expect(throws: PriorError.self) { _ = try trainer.advance() }
    let fitting = try Trainer(
      tinyConfiguration {
        $0.context = [1, 2]
        $0.buffers = [2]
      }, prior: prior, on: ThreadPool(threads: 2))
    #expect(try fitting.advance().loss.mean.isFinite)
  }

  @Test func theFutureOfStoredTasksComesAfterItsContext() throws {
    let sets = try [Dataset(x: (0..<9).map(Double.init), y: (0..<9).map { Double(10 + $0) })]
    let prior = try StoredTasks(sets, split: .future)
    var stream = RandomStream(seed: 1)
    let task = try prior.draw(TaskShape(context: 4, targets: 3), from: &stream)
    #expect(task.x == [0, 1, 2, 3, 4, 5, 6] && task.y == [10, 11, 12, 13, 14, 15, 16])
  }

  @Test func columnsThatMeanTheSameInEveryTaskKeepTheirPlaces() throws {
    /// Columns of the tasks that training sees, in which every value tells the column it comes from.
    func columns(_ prior: any Prior) throws -> Set<[Float]> {
      let source = TaskSource(TaskGenerator(prior, seed: 3))
      let shape = TaskShape(context: 2, buffer: 1, targets: 2, dimensions: 3)
      return try Set(
        (0..<20).map { index in
          var stream = RandomStream(seed: 3, UInt64(index))
          let batch = try Objective.buffered.batch(source, index: index, step: 0, shape, &stream)
          return Array(batch.x[..<3])
        })
    }
    let sets = try [
      Dataset(inputs: Inputs((0..<15).map { Double($0 % 3) }, dimensions: 3), y: [1, 2, 3, 4, 5])
    ]
    #expect(try columns(StoredTasks(sets, keepsColumns: true)) == [[0, 1, 2]])
    #expect(try columns(StoredTasks(sets)).count > 1)
  }
}
