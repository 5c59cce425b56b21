import ChorusModels

extension TrainingConfiguration {
  /// The recipe of a shipped prior.
  public static func preset(_ prior: String) throws(TrainingError) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.prior = prior
    configuration.blueprint.frequencies = 6
    switch prior {
    case "gp", "gp-noisy", "sawtooth": break
    case "functions":
      configuration.blueprint.inputDimensions = 3
      configuration.dimensions = [1, 1, 1, 2, 3]
      configuration.blueprint.scaling = .standardise
      configuration.context = [4, 256]
      configuration.blueprint.trainedContext = 256
    default:
      throw .configuration(
        "no prior '\(prior)'; give gp, gp-noisy, sawtooth, functions, or a configuration file (.json)")
    }
    return configuration
  }
}
