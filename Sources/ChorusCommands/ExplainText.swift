import ArgumentParser
import ChorusFiles
import ChorusLanguage
import ChorusPlans
import ChorusTables
import Foundation

/// What going on with a text costs under plans.
extension Explain {
  func explain(_ model: LanguageModel, _ templates: [PlanTemplate]) throws {
    for (option, isGiven) in [
      ("--inputs", inputs != nil), ("--paths", paths != 1), ("--reencode", reencode),
    ] where isGiven {
      throw ValidationError("\(option) is for models of values, and \(self.model) reads a text; leave it out")
    }
    guard let targets, targets > 0 else {
      throw ValidationError("--targets says how many tokens come after those of --context; give 1 or more")
    }
    guard context > 0 else {
      throw ValidationError(
        "--context counts the tokens that are known, the one that begins a text included; give 1 or more")
    }
    let costs = try templates.map { ($0, try model.cost($0, context: context, tokens: targets)) }
    switch format ?? (isatty(1) == 1 ? .text : .csv) {
    case .text:
      try StandardStreams.write(costs.map { words($0, $1) }.joined(separator: "\n").utf8)
    case .csv: try write(costs, .csv)
    case .jsonl: try write(costs, .jsonl)
    }
  }

  private func write(_ costs: [(PlanTemplate, ReadingCost)], _ format: TableFormat) throws {
    let ratios = ["to_reencode", "to_sequential"].flatMap { other in
      ["calls", "encodes", "reads"].map { "\($0)_\(other)" }
    }
    let writer = try RowWriter(
      columns: [
        "plan", "context", "targets", "calls", "encodes", "reads", "peak_rows", "flops_nominal", "bytes",
        "weight_bytes",
      ] + ratios, format: format, to: .standardOutput)
    for (plan, cost) in costs {
      try writer.write(
        [
          .text(plan.description), .integer(cost.context), .integer(cost.tokens), .integer(cost.calls),
          .integer(cost.encodes), .integer(cost.reads), .integer(cost.peakRows), .number(cost.flops),
          .integer(cost.stateBytes), .integer(cost.weightBytes),
        ]
          + [cost.reencoding, cost.reading].flatMap { other in
            [(cost.calls, other.calls), (cost.encodes, other.encodes), (cost.reads, other.reads)].map {
              Cell.number(Double($0) / Double($1))
            }
          })
    }
    try writer.finish()
  }

  private func words(_ plan: PlanTemplate, _ cost: ReadingCost) -> String {
    func share(_ own: Int, _ other: Int) -> String { String(format: "%.3g", Double(own) / Double(other)) }
    let megabytes = { (bytes: Int) in String(format: "%.1f MB", Double(bytes) / 1e6) }
    return """
      plan        \(plan)
      text        \(cost.context) tokens known, \(cost.tokens) told of one after another
      calls       \(cost.calls) one after another
      encodes     \(cost.encodes) tokens: \(share(cost.encodes, cost.reencoding.encodes)) of encoding all before each anew, \
      \(share(cost.encodes, cost.reading.encodes)) of reading everything once
      reads       \(cost.reads) pairs for each block and head: \(share(cost.reads, cost.reencoding.reads)), \
      \(share(cost.reads, cost.reading.reads))
      held        \(cost.peakRows) tokens, \(megabytes(cost.stateBytes)), beside \(megabytes(cost.weightBytes)) of weights
      work        \(String(format: "%.3g", cost.flops / 1e9)) GFLOP

      """
  }
}
