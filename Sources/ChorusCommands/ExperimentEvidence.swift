import ArgumentParser
import ChorusEvaluation
import ChorusExperiments
import ChorusTables
import Foundation

/// `chorus experiment evidence`: what an experiment's networks are worth as marginal likelihoods of whole data sets.
struct ExperimentEvidence: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evidence",
    abstract:
      "Hold what trained networks say of observers' whole data sets against the integral over observers.",
    discussion: """
      NAME is an experiment whose networks `chorus experiment run` has trained, and whose file has a block evidence \
      (Experiments/causal.json). Each data set's log marginal likelihood under ρ = 1 and under ρ = 4/3 is integrated \
      (as `chorus experiment lml` does) and asked of the networks, which see nothing but the trials' inputs. The table \
      has a row a column and quantity: lml, or difference (4/3 less 1), with the root of the mean square error in nats, \
      the mean error, R² and how often the sign of the difference is right. The folder of the run keeps every value \
      (evidence.jsonl) and the table (evidence.csv): Ctrl-C stops, and the same command goes on.
      """)

  @Argument(help: ArgumentHelp("A name in the folder Experiments, or a file.", valueName: "name"))
  var what: String

  @Option(help: ArgumentHelp("Folder of the run.", valueName: "dir"))
  var out: String?

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var common: CommonOptions

  private static let columns = [
    "column", "quantity", "values", "rmse", "rmse_se", "bias", "bias_se", "r2", "same_sign", "paper_rmse",
    "paper_rmse_se",
  ]

  func validate() throws {
    if common.givenSeed != nil {
      throw ValidationError("--seed: the data sets' seed is in the experiment's file")
    }
  }

  func run() throws {
    try reporting {
      let experiment = try ExperimentPlaces.read(what)
      let folder = out ?? ExperimentPlaces.folder(experiment.name)
      guard ExperimentRun.isBegun(in: folder) else {
        throw ValidationError(
          "there is no run in \(folder); train the networks first: chorus experiment run \(what)")
      }
      let run = try ExperimentRun(experiment, folder: folder, on: common.pool)
      Interruption.watch()
      let whole = try run.scoreEvidence(
        stop: { Interruption.wanted },
        report: { score, done, total in
          common.progress(
            "\(done) of \(total): \(score.column), data set \(score.dataSet + 1): \((score.value * 100).rounded() / 100)"
          )
        })
      common.progress("")
      guard whole else {
        throw common.stopped(run.folder)
      }
      guard let evidence = experiment.evidence else { return }
      try write(EvidenceTable(evidence, run.evidence()), in: run.folder)
    }
  }

  private func write(_ table: EvidenceTable, in folder: String) throws {
    for destination in [RowWriter.Destination.standardOutput, .file(folder + "/evidence.csv")] {
      let writer = try RowWriter(
        columns: Self.columns, format: destination == .standardOutput ? format : .csv, to: destination)
      for row in table.rows {
        func cell(_ value: Double?) -> Cell { value.map { $0.isNaN ? .missing : .number($0) } ?? .missing }
        try writer.write([
          .text(row.column), .text(row.quantity.rawValue), .integer(row.values), cell(row.rmse.mean),
          cell(row.rmse.standardError), cell(row.bias.mean), cell(row.bias.standardError), cell(row.r2),
          cell(row.sameSign), cell(row.paper?.mean), cell(row.paper?.standardError),
        ])
      }
      try writer.finish()
    }
  }
}
