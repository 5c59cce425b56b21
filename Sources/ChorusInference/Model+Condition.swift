import ChorusData
import ChorusHints
import ChorusModels
import ChorusPlans
import ChorusTensors

extension Model {
  /// How values are drawn where no plan is named: `auto`; of a table, whose rows lie along no line, `sequential`.
  public var defaultPlan: PlanTemplate { blueprint.readsTables ? .sequential : .auto }

  /// Encodes a data set, to be asked for paths, densities and marginals.
  public func condition(
    on data: Dataset, values: ValueScale.Choice? = nil, limits: ClosedRange<Double>? = nil,
    whole: Bool = false,
    scaling: Scaling? = nil, preparation: Preparation? = nil, asked: Inputs? = nil, pool: ThreadPool? = nil
  ) throws -> Posterior {
    try Posterior(
      self, data, values: values, limits: limits, whole: whole, scaling: scaling, preparation: preparation,
      asked: asked, on: pool)
  }
}
