import ChorusData
import ChorusEvaluation
import ChorusFiles
import ChorusInference
import ChorusPlans
import ChorusTables

/// How well a context that has not read them foretells rows.
protocol ContextScore: Sendable {
  var rowCount: Int { get }

  func flops() throws -> Double
  func body(_ description: ContextDescription, flopLimit: Double) throws -> AnswerBody
}

/// How rows are scored.
struct ScoreSettings: Sendable {
  static let samples = FieldSpec("samples", .integer(2...2_000), "Paths for scores by draws; 200 without.")
  static let orders = FieldSpec(
    "orders", .integer(1...1_000),
    "Random orders of the targets that a joint density is averaged over; 8 without.")

  let template: PlanTemplate
  let samples: Int
  let orders: Int
  let seed: UInt64
  /// Whether the density alone is asked for, without the scores by draws and by laws.
  let isDensityAlone: Bool

  init(_ fields: Fields, densityAlone: Bool, isTable: Bool) throws {
    template = try PlanTemplate(parsing: fields.text("plan") ?? (isTable ? "sequential" : "auto"))
    samples = fields.integer("samples") ?? 200
    orders = fields.integer("orders") ?? 8
    seed = fields.seed("seed") ?? 0
    isDensityAlone = densityAlone
  }

  /// Values that are drawn or asked for one after the other.
  func values(of rows: Int) -> Int { rows * (isDensityAlone ? orders : max(samples, orders)) }

  /// - Parameter work: of a plan and a number of paths.
  func flops(_ work: (PlanTemplate, Int) throws -> Double) rethrows -> Double {
    let density = try work(template, orders)
    return isDensityAlone ? density : try density + work(.independent, 2) + work(template, samples)
  }

  /// The columns of ``cells(_:_:flopLimit:)``.
  var columns: [String] {
    isDensityAlone
      ? ["rows", "log_density"]
      : [
        "rows", "log_density", "log_density_independent", "crps", "rmse", "mae", "coverage_90", "energy",
        "variogram",
      ]
  }

  /// The scores of rows, and what to be careful about.
  func cells(
    _ posterior: Posterior, _ data: Dataset, flopLimit: Double
  ) throws -> (cells: [ChorusTables.Cell], note: String) {
    let joint = try posterior.logDensity(
      of: data.y, at: data.inputs, plan: template, orders: orders, seed: seed, flopLimit: flopLimit)
    let note = joint.notes.map(\.description).joined(separator: "; ")
    guard !isDensityAlone else { return ([.integer(data.count), .number(joint.value)], note) }
    let paths = try posterior.sample(
      samples, at: data.inputs, plan: template, seed: seed, flopLimit: flopLimit
    ).paths
    // A model that predicts each value from those before it knows none on its own.
    guard !posterior.model.network.capability.inOrder else {
      let crps = mean(data.y.indices.map { target in Scores.crps(paths.map { $0[target] }, data.y[target]) })
      let cells: [ChorusTables.Cell] =
        [.integer(data.count), .number(joint.value), .missing, .number(crps)]
        + [ChorusTables.Cell](repeating: .missing, count: 3)
        + [.number(Scores.energy(paths, data.y)), .number(Scores.variogram(paths, data.y))]
      return (cells, note)
    }
    let laws = try posterior.marginals(at: data.inputs, flopLimit: flopLimit)
    let pairs = Array(zip(laws, data.y))
    let squares = pairs.map { ($0.0.mean - $0.1) * ($0.0.mean - $0.1) }
    let inside = pairs.map { (0.05...0.95).contains($0.0.cdf($0.1)) ? 1.0 : 0.0 }
    let cells: [ChorusTables.Cell] = [
      .integer(data.count), .number(joint.value),
      .number(pairs.reduce(0) { $0 + $1.0.logDensity($1.1) }), .number(mean(pairs.map { $0.0.crps($0.1) })),
      .number(mean(squares).squareRoot()), .number(mean(pairs.map { abs($0.0.quantile(0.5) - $0.1) })),
      .number(mean(inside)), .number(Scores.energy(paths, data.y)), .number(Scores.variogram(paths, data.y)),
    ]
    return (cells, note)
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  /// What stands beside the rows of an answer in JSON.
  ///
  /// - Parameter leftOut: rows that lack what is needed.
  func beside(leftOut: Int) -> [JSON.Member] {
    let members = [
      JSON.Member(key: "plan", value: .string(template.description)),
      JSON.Member(key: "seed", value: .number(String(seed))),
    ]
    guard leftOut > 0 else { return members }
    let note = "\(leftOut) rows lack an input or a value and were left out"
    return members + [JSON.Member(key: "notes", value: .array([.string(note)]))]
  }
}

extension ChorusTables.Cell {
  static func note(_ text: String) -> ChorusTables.Cell { text.isEmpty ? .missing : .text(text) }
}

/// How well kept series foretell rows.
struct HeldScore: ContextScore {
  let rows: HeldRows
  let settings: ScoreSettings

  init(_ context: LoadedContext, _ incoming: Incoming, _ settings: ScoreSettings) throws {
    rows = try HeldRows(context, incoming)
    self.settings = settings
  }

  var rowCount: Int { rows.count }

  func flops() throws -> Double {
    try rows.parts.reduce(0) { sum, part in
      try sum
        + settings.flops {
          try part.series.posterior.cost(at: part.data.inputs, plan: $0, paths: $1).work.total
        }
    }
  }

  func body(_ description: ContextDescription, flopLimit: Double) throws -> AnswerBody {
    let keys = (description.groupColumn.map { [$0] } ?? []) + ["target"]
    let rows = try self.rows.parts.map { part -> [ChorusTables.Cell] in
      let observations = part.series.observations
      let keys: [ChorusTables.Cell] =
        (description.groupColumn == nil ? [] : [.text(observations.group ?? "")])
        + [.text(observations.selection.target)]
      let (cells, note) = try settings.cells(part.series.posterior, part.data, flopLimit: flopLimit)
      return keys + cells + [.note(note)]
    }
    return AnswerBody(
      columns: keys + settings.columns + ["note"], rows: rows,
      beside: settings.beside(leftOut: self.rows.leftOut))
  }
}
