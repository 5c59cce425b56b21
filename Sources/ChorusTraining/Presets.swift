import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPriors
import ChorusTensors

extension TrainingConfiguration {
  /// The recipe of a shipped prior: a narrow network and small batches, because at this project's horizons the
  /// number of updates is what is short (docs/models.md has the figures).
  public static func preset(_ prior: String) throws(TrainingError) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.prior = prior
    configuration.blueprint.frequencies = 6
    configuration.blueprint.width = 64
    configuration.blueprint.feedForward = 128
    configuration.blueprint.embedderHidden = 128
    configuration.blueprint.headHidden = 128
    configuration.batch = 8
    configuration.validationTasks = 128
    configuration.validateEvery = 1000
    switch prior {
    case "gp":
      // Rows near by tell nearly all of a noiseless function: everything is said in the unit of a spline's error.
      configuration.blueprint.hints = Hints(rows: [LocalSplines(neighbours: 12)])
      configuration.blueprint.head = .mixture(components: 20, around: 20, floor: 0.01)
    case "gp-noisy": break
    case "sawtooth":
      // A wave is found from some dozen rows: what is left to learn is how to find it from fewer.
      configuration.smallContexts = 1
    case "functions", "observations":
      configuration.blueprint.inputDimensions = 3
      // Jumps and waves are told in the network's units, beside what a spline tells. The first hint that has a unit decides:
      // of one input, where `series` says something, that.
      let waves = TrendAndWaves(waves: 6, subtracts: true)
      configuration.blueprint.hints = Hints(
        prior == "functions" ? [waves] : [SeriesLevelAndSeason(subtracts: true, joins: true), waves],
        rows: [LocalSplines(neighbours: 12)])
      configuration.blueprint.head = .mixture(components: 30, around: 10)
      configuration.dimensions = [1, 1, 1, 2, 3]
      configuration.blueprint.scaling = .standardise
      configuration.context = [2, 512]
      configuration.smallContexts = 0.5
      configuration.blueprint.trainedContext = 512
      if prior == "observations" {
        // As many rows ahead as people ask for.
        configuration.targets = 32
        configuration.buffers = [8, 24, 64]
      }
    case "tables", "classes":
      var blueprint = Blueprint()
      blueprint.family = .table
      blueprint.parts.coordinates = TableExperts.coordinates
      blueprint.width = 96 + blueprint.parts.places.columns
      blueprint.layers = 4
      blueprint.feedForward = 192
      blueprint.embedderHidden = 192
      blueprint.headHidden = 192
      blueprint.inputDimensions = TableExperts.width
      blueprint.scaling = .standardise
      blueprint.head = .mixture(components: 22, around: 16, units: TableExperts.count)
      blueprint.trainedContext = 384
      blueprint.trainedBuffer = 48
      configuration.blueprint = blueprint
      // About log-uniform.
      configuration.dimensions = [
        1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 8, 8, 9, 10, 12, 14, 16, 20, 25, 30,
      ]
      configuration.context = [8, 384]
      configuration.smallContexts = 1
      configuration.buffers = [8, 16, 48]
      configuration.targets = 48
      configuration.rate = 2e-3
      configuration.beta2 = 0.98
      if prior == "classes" { configuration.takeClasses() }
    case "causal", "causal-wide":
      // An observer is told apart by its trials alone, from the first on: contexts begin empty.
      configuration.blueprint.inputDimensions = 4
      configuration.dimensions = [4]
      configuration.context = [0, 400]
      configuration.smallContexts = 0.5
      configuration.buffers = [16]
      configuration.blueprint.trainedContext = 400
      configuration.blueprint.trainedBuffer = 16
    case "recall", "recall-random":
      configuration.blueprint = sequence(levels: RecallPrior().vocabulary)
      configuration.context = [8, 8]
      configuration.targets = 56
      configuration.blueprint.trainedContext = 64
    case "linear-regression":
      configuration.blueprint = sequence(levels: 2)
      configuration.blueprint.head = .mixture(components: 4)
      configuration.blueprint.tellsInputs = true
      configuration.blueprint.inputDimensions = 8
      configuration.dimensions = [8]
      configuration.context = [0, 0]
      configuration.targets = 32
      configuration.blueprint.trainedContext = 32
    case "wiener-hammerstein":
      configuration.blueprint = pairs(inputs: 7)
      configuration.blueprint.head = .mixture(components: 4)
      configuration.dimensions = [7]
      configuration.context = [16, 48]
      configuration.targets = 16
      configuration.blueprint.trainedContext = 48
    case "recall-vectors":
      configuration.blueprint = pairs(inputs: 32)
      configuration.blueprint.head = .categorical(levels: VectorRecallPrior().levels)
      configuration.blueprint.layers = 1
      configuration.dimensions = [32]
      configuration.context = [4, 64]
      configuration.targets = 32
      configuration.blueprint.trainedContext = 64
    case "text":
      configuration.blueprint = sequence(levels: 256)
      configuration.blueprint.feedForward = 192
      configuration.blueprint.width = 96
      configuration.blueprint.heads = 3
      configuration.blueprint.parts.rotary = Rotary()
      configuration.context = [0, 0]
      configuration.targets = 256
      configuration.blueprint.trainedContext = 256
    default:
      throw .configuration(
        "no prior '\(prior)'; give \(Priors.names.joined(separator: ", ")), text with a file, or a configuration file (.json)"
      )
    }
    if configuration.blueprint.family == .sequence { configuration.takeSequences() }
    return configuration
  }

  /// A small network of tokens out of a few: one row takes in those right before it, so that a memory can store what came after
  /// what.
  static func sequence(levels: Int) -> Blueprint {
    var blueprint = Blueprint()
    blueprint.family = .sequence
    blueprint.width = 64
    blueprint.layers = 2
    blueprint.heads = 2
    blueprint.feedForward = 128
    blueprint.embedderHidden = 64
    blueprint.headHidden = 64
    blueprint.parts.norm = .rms
    blueprint.parts.convolution = 4
    blueprint.head = .categorical(levels: levels)
    blueprint.trainedBuffer = 0
    return blueprint
  }

  /// A small network of pairs of inputs and a value, whose rows need no other.
  static func pairs(inputs: Int) -> Blueprint {
    var blueprint = sequence(levels: 2)
    blueprint.parts.convolution = nil
    blueprint.tellsInputs = true
    blueprint.pairsValues = true
    blueprint.inputDimensions = inputs
    return blueprint
  }

  /// Tables whose value is a level: the network of tables asked for each, with the head of levels. A task costs a pass for each
  /// level, so contexts are smaller and layers fewer.
  mutating func takeClasses() {
    blueprint.family = .classes
    blueprint.layers = 2
    blueprint.inputDimensions = ToldClasses.mostPasses * ToldRow.level.width + 1
    blueprint.scaling = .none
    // The pool, which weighs the others, comes behind them.
    blueprint.head = .levels(around: ToldClasses.estimators, trusted: ToldClasses.estimators - 2)
    blueprint.trainedContext = 256
    blueprint.trainedBuffer = 32
    context = [8, 256]
    buffers = [8, 16, 32]
    targets = 32
    rate = 1e-3
    validateEvery = 250
  }

  /// Many small batches of short sequences.
  mutating func takeSequences() {
    buffers = [0]
    batch = 16
    steps = 2000
    rate = 3e-3
    average = 0.99
    validateEvery = 250
    checkpointEvery = 250
    validationTasks = 64
  }
}
