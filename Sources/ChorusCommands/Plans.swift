import ArgumentParser
import ChorusEvaluation
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusReports
import ChorusTables
import Foundation

struct Plans: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plans",
    abstract: "Compare what plans lose and cost.", subcommands: [ComparePlans.self, ComparePlansOnText.self])
}

struct ComparePlans: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Score plans on the same tasks of a prior: what each loses, why, and what it costs.",
    discussion: """
      A row for each context size and plan. gap_sequential and gap_reencode are the log-density that the plan loses \
      against those two plans in random orders, in nats a target, with a 95 % bootstrap interval over tasks; negative is \
      better. schedule_loss is what the plan loses when its conditionals are exact (by the prior's oracle, on the same \
      values), and network_error the rest of gap_sequential. Densities are averaged over orders; between_orders is their \
      standard deviation. calls, encodes and reads are for one path (of a plan that verifies drafts, the mean of \(PlanComparison.Row.paths)), \
      calls_lockstep for \(PlanComparison.Row.paths) paths side by side. time_1 and time_\(PlanComparison.Row.paths) are wall times against the sequential plan, each the \
      median of paired runs.
      """)

  /// The shipped plans and the baselines that a comparison has to have.
  static let usual = [
    "independent", "sequential", "sequential(order:left-to-right)", "sequential(order:coarse-to-fine)",
    "sequential(capacity:16)", "reencode", "blocks(of:8)", "blocks(of:8,order:left-to-right)", "blocks(of:2)",
    "coarse-to-fine(r:2)", "coarse-to-fine(r:4)", "coarse-to-fine(r:8)", "lineage(r:4)",
    "lineage(r:4,strict)",
    "window(sinks:4,span:16)", "window(sinks:4,span:16,strict)", "log-sparse", "random-sparse(reads:8)",
    "speculative(draft:8)", "coarse-to-fine-verified(r:2)", "trusted(millinats:20)",
  ]

  @Option(help: "functions, gp, gp-noisy, sawtooth, or a path.")
  var model = "gp"

  @Option(help: "Prior: gp, gp-noisy, sawtooth, functions.")
  var prior: String

  @Option(help: "Context sizes.")
  var context = "8,64"

  @Option(help: "Targets of a task.")
  var targets = 64

  @Option(help: "Tasks for each context size.")
  var functions = 64

  @Option(help: "Random target orders averaged.")
  var orders = 8

  @Option(
    help: ArgumentHelp(
      "Plans, separated by semicolons: \(PlanTemplate.forms.joined(separator: "; ")). (default: all, with baselines)",
      valueName: "plans"))
  var plans: String?

  @Option(help: "Timed alternations with the sequential plan; 0 times nothing.")
  var repetitions = 3

  @Option(help: ArgumentHelp("Draw what is lost against network calls.", valueName: "file.svg|file.html"))
  var plot: String?

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @OptionGroup var common: CommonOptions

  static let columns: [String] = {
    let gaps = ["gap_sequential", "gap_reencode", "schedule_loss", "network_error"]
    let times = ["time_1", "time_\(PlanComparison.Row.paths)"]
    var names = ["plan", "context", "targets", "functions"]
    for gap in gaps { names += [gap, gap + "_low", gap + "_high"] }
    names += ["between_orders", "calls", "calls_lockstep", "encodes", "reads"]
    for time in times { names += [time, time + "_min", time + "_max"] }
    return names
  }()

  func validate() throws {
    _ = try sizeList(context, option: "--context")
    guard (1...512).contains(targets) else { throw ValidationError("--targets must be within 1...512") }
    guard (1...1_000_000).contains(functions) else { throw ValidationError("--functions must be at least 1") }
    guard (1...4096).contains(orders) else { throw ValidationError("--orders must be within 1...4096") }
    if let plot { try PictureFile.check(plot, option: "--plot") }
    guard (0...1000).contains(repetitions) else {
      throw ValidationError("--repetitions must be within 0...1000")
    }
  }

  func run() throws {
    try reporting {
      let model = try Model(named: self.model)
      try model.refuseOrder("plans draw them in other orders")
      let comparison = PlanComparison(
        model: model, prior: try Priors.named(prior), targets: targets, functions: functions, orders: orders,
        seed: common.seed, repetitions: repetitions)
      let texts = plans?.split(separator: ";").map(String.init) ?? Self.usual
      let templates = try texts.map { try PlanTemplate(parsing: $0) }
      let writer = try RowWriter(columns: Self.columns, format: format, to: .standardOutput)
      common.progress("scoring \(templates.count) plans on \(functions) tasks")
      let rows = try comparison.rows(
        templates, contexts: try sizeList(context, option: "--context"), on: common.pool
      ) { row in
        try writer.write(cells(row))
        try writer.flush()
        common.progress("context \(row.context): \(row.plan) done")
      }
      common.progress("")
      try writer.finish()
      if let plot { try PictureFile.write(picture(rows), title: "Plans on \(prior)", to: plot) }
    }
  }

  /// Loss against calls, a panel for each context size; the stroke is the 95 % interval.
  private func picture(_ rows: [PlanComparison.Row]) -> Figure {
    let charts = Array(Set(rows.map(\.context))).sorted().map { context in
      let marks = rows.filter { $0.context == context }.enumerated().flatMap { index, row -> [Series] in
        let (gap, colour) = (row.toSequential, Series.Colour.palette(index % 8))
        return [
          Series("", .intervals([.init(row.calls, low: gap.low, high: gap.high)]), colour: colour),
          Series(
            row.plan.description, .points([.init(row.calls, gap.mean)]), colour: colour, labelling: .direct),
        ]
      }
      return Chart(
        title: "\(context) observed rows, \(targets) targets",
        x: Axis("network calls a path", scale: .log10), y: Axis("loss to sequential", unit: "nats a target"),
        series: marks + [Series("", .rule(y: 0), colour: .muted, isDashed: true)], height: 640)
    }
    return Figure(
      title: "What plans lose and how many calls they take", charts: charts, columns: 1,
      caption:
        "Model \(model) on prior \(prior), \(functions) tasks, the same for all plans. Below 0 is better than the"
        + " sequential plan in random order. Strokes are 95 % bootstrap intervals over tasks.", width: 1000)
  }

  private func cells(_ row: PlanComparison.Row) -> [Cell] {
    func number(_ value: Double?) -> Cell { value.map { $0.isFinite ? .number($0) : .missing } ?? .missing }
    func cells(_ interval: PlanComparison.Interval?) -> [Cell] {
      [number(interval?.mean), number(interval?.low), number(interval?.high)]
    }
    func cells(_ ratio: PlanComparison.Ratio?) -> [Cell] {
      [number(ratio?.median), number(ratio?.least), number(ratio?.largest)]
    }
    var line: [Cell] = [
      .text(row.plan.description), .integer(row.context), .integer(row.targets), .integer(row.functions),
    ]
    for interval in [row.toSequential, row.toReencode, row.scheduleLoss, row.networkError] {
      line += cells(interval)
    }
    line += [number(row.betweenOrders), number(row.calls), .integer(row.lockStepCalls)]
    line += [number(row.encodes), number(row.reads)]
    for ratio in [row.time, row.timeManyPaths] { line += cells(ratio) }
    return line
  }
}
