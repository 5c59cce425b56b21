import ArgumentParser

/// The command line. Each subcommand is a value that can be parsed and run in a test.
public struct Chorus: ParsableCommand {
  public static let version = "0.1.0"

  public static let configuration = CommandConfiguration(
    commandName: "chorus",
    abstract: "Coherent joint predictions from data shown once.",
    discussion: """
      One pretrained transformer reads the observed rows once and answers with joint distributions: sample paths, \
      joint log-densities, quantiles. Data goes to stdout, words go to stderr.

      Exit codes: 0 done, 64 usage, 65 bad data, 66 missing input, 70 internal error, 71 no memory, \
      74 input or output failed, 130 interrupted.
      """,
    version: version,
    subcommands: [
      Predict.self, Fill.self, Condition.self, Report.self, Score.self, Evaluate.self, Plans.self,
      Memories.self, Recall.self,
      Explain.self, Train.self, ExperimentCommand.self, Info.self, Export.self, Import.self, Generate.self,
      Surprisal.self, Serve.self, Playground.self, Bench.self,
    ])

  public init() {}
}
