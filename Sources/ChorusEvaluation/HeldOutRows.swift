import ChorusData
import ChorusHints
import ChorusInference
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation

/// Rows with outputs, some of which will be held out: of a function or a series, one with columns known beside time, or of a table.
public enum HeldOutRows: Sendable {
  case function(Dataset)
  /// Rows of a time, then what the columns hold.
  case series(Dataset, beside: [Covariate])
  /// Errors are known ones of the outputs, or none.
  case table(Cells, y: [Double], errors: [Double] = [])

  public var y: [Double] {
    switch self {
    case .function(let data), .series(let data, _): data.y
    case .table(_, let y, _): y
    }
  }

  /// Known errors of the outputs; empty for none.
  var errors: [Double] {
    switch self {
    case .function(let data), .series(let data, _): data.errors
    case .table(_, _, let errors): errors
    }
  }

  public var count: Int { y.count }

  /// A model that has read the context of a split, and rows as it takes them.
  struct Asked {
    let posterior: any Answering
    /// Rows by their numbers, inputs as the posterior is asked for them.
    let rows: ([Int]) throws -> Dataset
    /// What simple methods say of rows; of a table, its estimators.
    let baselines: ([Int]) -> [Baseline: [GaussianMixture]]
  }

  func asked(
    _ model: Model, _ split: Split, values: ValueScale.Choice, limits: ClosedRange<Double>?, whole: Bool,
    on pool: ThreadPool?
  ) throws -> Asked {
    switch self {
    case .function(let data):
      let read: @Sendable (Dataset) throws -> Posterior = {
        try model.condition(on: $0, values: values, limits: limits, whole: whole, pool: pool)
      }
      let context = data.rows(split.context)
      let posterior: any Answering =
        try SectionedPosterior(model, context, read: read) ?? read(context)
      return Asked(posterior: posterior, rows: { data.rows($0) }, baselines: { _ in [:] })
    case .series(let data, let kinds):
      let read: @Sendable (Dataset) throws -> CovariatePosterior = {
        try CovariatePosterior(model, $0, kinds, values: values, limits: limits, whole: whole, on: pool)
      }
      let context = data.rows(split.context)
      let posterior: any Answering =
        try SectionedPosterior(model, context, covariates: kinds.count, read: read) ?? read(context)
      return Asked(posterior: posterior, rows: { data.rows($0) }, baselines: { _ in [:] })
    case .table(let cells, let y, let errors):
      let own: @Sendable ([Int]) -> [Double] = { rows in errors.isEmpty ? [] : rows.map { errors[$0] } }
      let table = try model.condition(
        on: cells.rows(split.context), y: split.context.map { y[$0] }, errors: own(split.context),
        limits: limits, whole: whole, pool: pool)
      // Of a network that reads cells, the estimators beside it.
      let fit =
        try table.fit
        ?? TablePosterior.estimators(
          cells.rows(split.context), y: split.context.map { y[$0] }, errors: own(split.context)
        ).fit
      return Asked(
        posterior: table.posterior,
        rows: { rows in
          try Dataset(
            inputs: table.told(cells.rows(rows)), y: rows.map { y[$0] }, errors: own(rows))
        },
        baselines: { rows in Self.baselines(fit, cells.rows(rows)) })
    }
  }

  private static func baselines(_ fit: TableFit, _ rows: Cells) -> [Baseline: [GaussianMixture]] {
    let told = fit.tell(rows)
    func law(_ mean: Double, _ deviation: Double) -> GaussianMixture {
      GaussianMixture(
        logWeights: [0], means: [fit.unit.raw(mean)], deviations: [fit.unit.scale * deviation])
    }
    var laws: [Baseline: [GaussianMixture]] = [.mean: (0..<rows.count).map { _ in law(0, 1) }]
    for (estimator, baseline) in [Baseline.ridge, .processes, .forest, .stack].enumerated() {
      laws[baseline] = (0..<rows.count).map { row in
        let place = row * TableExperts.width + estimator
        return law(told[place], exp(told[place + TableExperts.count]))
      }
    }
    return laws
  }
}
