import ArgumentParser
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusTables
import ChorusTensors
import Foundation

/// `chorus score` of categories of a table: one, or several by the chain rule, each told by the inputs and those before it.
extension Score {
  func run(_ job: TableJob, _ table: Table, categories steps: [TableChain.Step]) throws {
    let names = steps.map { job.column($0).name }
    let known = (0..<job.cells.count).filter { row in steps.allSatisfy { !job.cells[row, $0.column].isNaN } }
    guard known.count >= 4 else {
      throw InferenceError.input(
        "\(file): \(known.count) rows have a value of '\(names.joined(separator: "' and '"))'; at least 4 are needed"
      )
    }
    for (option, isGiven) in [
      ("--functional", functional != nil), ("--calibration", calibration != nil),
      ("--output", output != nil), ("--reencode", reencode),
    ] where isGiven { throw ValidationError("\(option) is of numbers, and '\(names[0])' is a category") }
    let splits = try splits(of: known, table)
    common.say(job.found(steps))
    for words in job.words { common.say("note: \(words)") }
    let asked = try TableModel(givenModel, categories: true)
    if let words = asked.note { common.say("note: \(words)") }
    let progress = Progress(of: splits.count, "repetitions", common)
    let (cells, network) = (job.cells.rows(known), asked.model.ofCategories)
    let template = try PlanTemplate(parsing: plan ?? "sequential")
    let targets = Set(steps.map(\.column))
    let results = try common.pool.map(splits.count) { index, _ in
      defer { progress.advance() }
      func scoring(_ step: TableChain.Step, by inputs: [Int]) throws -> ClassScoring {
        try ClassScoring(
          cells.columns(inputs), levels: (0..<cells.count).map { Int(cells[$0, step.column]) },
          of: step.levels ?? 1, splits[index], by: network)
      }
      let chained = try steps.map { try scoring($0, by: $0.inputs) }
      let later = try steps.dropFirst().map { step in
        try scoring(step, by: step.inputs.filter { !targets.contains($0) }).model.logLoss
      }
      let together = try chained.map {
        try $0.together(plan: template, orders: orders, seed: common.seed, flopLimit: flopLimit)
      }
      return ScoredCategories(
        targets: chained, together: together, apart: later.reduce(chained[0].model.logLoss, +))
    }
    progress.clear()
    for words in Set(results.flatMap { $0.targets.compactMap(\.note) }).sorted() {
      common.say("note: \(words)")
    }
    let scores = ClassTable(names: names, results: results)
    try scores.write(format)
    common.say(scores.verdict)
  }
}

/// One repetition: what is said of held-out levels.
private struct ScoredCategories: Sendable {
  /// Target by target, each told by the inputs and the targets before it.
  let targets: [ClassScoring]
  /// Of each target the rows that are looked at together.
  let together: [ClassScoring.Together]
  /// The sum of the targets' log-losses, each told by the inputs alone.
  let apart: Double
}

/// The scores of categories' probabilities: a line each repetition, then "all" with the means. Of several targets a line each, and one of
/// all together, whose log-losses are the sums of theirs. Of rows that are looked at together the log-loss a row, each by itself and
/// jointly.
private struct ClassTable {
  let names: [String]
  let results: [ScoredCategories]

  private static let scores = ["accuracy", "log_loss", "brier", "calibration_error"]
  private static let methods = ["", "shares_", "logistic_", "forest_"]

  private static func scores(_ result: ClassScoring) -> [ClassScores] {
    [result.model, result.shares, result.logistic, result.forest]
  }

  func write(_ format: TableFormat) throws {
    let isSeveral = names.count > 1
    var columns = ["repetition"]
    if isSeveral { columns.append("target") }
    columns += ["context", "held_out"]
    for method in Self.methods { columns += Self.scores.map { method + $0 } }
    columns += ["independent_log_loss", "joint_log_loss"]
    if isSeveral { columns.append("log_loss_apart") }
    columns.append("log_loss_se")
    let writer = try RowWriter(columns: columns, format: format, to: .standardOutput)
    for (index, result) in results.enumerated() { try write([result], .integer(index + 1), to: writer) }
    try write(results, .text("all"), to: writer)
    try writer.finish()
  }

  /// The lines of one repetition, or of the means over all.
  private func write(_ results: [ScoredCategories], _ repetition: Cell, to writer: RowWriter) throws {
    let isMean = repetition == .text("all")
    func mean(_ value: (ScoredCategories) -> Double) -> RepeatedMean { RepeatedMean(results.map(value)) }
    func line(
      _ target: String, _ cells: [Cell], apart: Cell, loss: (ScoredCategories) -> Double
    ) throws {
      let split = results[0].targets[0].split
      let sizes =
        isMean
        ? [
          Cell.number(mean { Double($0.targets[0].split.context.count) }.mean),
          .number(mean { Double($0.targets[0].split.held.count) }.mean),
        ] : [.integer(split.context.count), .integer(split.held.count)]
      let error = isMean ? mean(loss).standardError : .nan
      try writer.write(
        [repetition] + (names.count > 1 ? [.text(target)] : []) + sizes + cells
          + (names.count > 1 ? [apart] : []) + [error.isNaN ? .missing : .number(error)])
    }
    let columns: [KeyPath<ClassScores, Double>] = [\.accuracy, \.logLoss, \.brier, \.calibrationError]
    func together(_ losses: @escaping (ScoredCategories) -> [ClassScoring.Together]) -> [Cell] {
      let both: [KeyPath<ClassScoring.Together, Double>] = [\.independent, \.joint]
      return both.map { loss in
        .number(mean { losses($0).reduce(0) { $0 + $1[keyPath: loss] } }.mean)
      }
    }
    for (index, name) in names.enumerated() {
      let cells: [Cell] =
        Self.methods.indices.flatMap { method in
          columns.map { score in
            Cell.number(mean { Self.scores($0.targets[index])[method][keyPath: score] }.mean)
          }
        } + together { [$0.together[index]] }
      try line(name, cells, apart: .missing) { $0.targets[index].model.logLoss }
    }
    guard names.count > 1 else { return }
    let sums: [Cell] =
      Self.methods.indices.flatMap { method in
        [Cell.missing, .number(mean { Self.sum($0, method) }.mean), .missing, .missing]
      } + together(\.together)
    try line(
      names.joined(separator: "+"), sums, apart: .number(mean(\.apart).mean)
    ) { Self.sum($0, 0) }
  }

  /// The log-loss of all targets together.
  private static func sum(_ result: ScoredCategories, _ method: Int) -> Double {
    result.targets.reduce(0) { $0 + scores($1)[method].logLoss }
  }

  var verdict: String {
    func mean(_ value: (ScoredCategories) -> Double) -> Double { RepeatedMean(results.map(value)).mean }
    func text(_ value: Double) -> String { String(format: "%.3f", value) }
    let losses = Self.methods.indices.map { method in mean { Self.sum($0, method) } }
    let best = losses[2] <= losses[3] ? ("logistic ridge regression", losses[2]) : ("a forest", losses[3])
    let of =
      names.count > 1
      ? "log-loss of \(names.count) targets together \(text(losses[0])), of each by the inputs alone \(text(mean(\.apart)))"
      : "accuracy \(text(mean { $0.targets[0].model.accuracy })), log-loss \(text(losses[0]))"
    let rows = results.map { $0.targets[0].split.joint.count }.max() ?? 0
    let alone = mean { $0.together.reduce(0) { $0 + $1.independent } }
    let joint = mean { $0.together.reduce(0) { $0 + $1.joint } }
    let both =
      joint == alone
      ? "" : "; of \(rows) rows together \(text(joint)) a row, of each by itself \(text(alone))"
    return of + both + "; shares alone \(text(losses[1])); verdict: "
      + (losses[0] <= best.1 ? "ahead of" : "behind")
      + " the best simple method here, \(best.0) (\(text(best.1)))"
  }
}
