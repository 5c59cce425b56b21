import ChorusData
import ChorusHints
import ChorusModels
import ChorusPlans

/// What a table costs, before anything is fitted: roughly, in units of which a core does ten in a nanosecond, as it was measured.
extension TableChain {
  /// Rows that processes read at most.
  private static let mostRead = 1_000

  /// The arithmetic of fitting steps to `rows` rows.
  ///
  /// - Parameter model: the network that reads what the estimators say of the rows.
  package static func flops(toFit steps: [Step], rows: Int, by model: Model) -> Double {
    let read = Double(min(rows, mostRead))
    let fitted = Double(min(rows, TablePosterior.mostFitted))
    return steps.reduce(0) { sum, step in
      let columns = Double(step.inputs.count)
      // A category has estimators of its own for every level.
      let estimators =
        model.blueprint.isTold ? 3 * read * read * (read + 20 * columns) + 1e5 * fitted * (columns + 4) : 0
      let network = network(step, of: model).map {
        let reading = Posterior.flops(toRead: rows, dimensions: $0.blueprint.inputDimensions, by: $0)
        // What is believed of a network of classes is found by reading the rows again without some of them, and asking for these.
        return passes(step) * (step.levels == nil ? 1 : ClassNetwork.readings) * reading
      }
      return sum + Double(step.levels ?? 1) * estimators + (network ?? 0)
    }
  }

  /// The arithmetic of drawing what some rows lack. With conditions paths are drawn until enough meet them, which is not counted.
  ///
  /// - Parameter cells: all rows.
  package static func flops(
    asking steps: [Step], of rows: Range<Int>, in cells: Cells, paths: Int, plan: PlanTemplate,
    by model: Model
  ) throws -> Double {
    var drawn: Set<Int> = []
    return try steps.reduce(0) { sum, step in
      defer { drawn.insert(step.column) }
      let asked = rows.filter { cells[$0, step.column].isNaN }
      // Rows of which a cell is drawn before are told path by path.
      let isShared = !asked.contains { row in
        step.inputs.contains { drawn.contains($0) && cells[row, $0].isNaN }
      }
      let (times, together) = isShared ? (1, paths) : (paths, 1)
      return try sum + Double(times)
        * work(step, asked.count, of: cells.count, paths: together, plan: plan, by: model)
    }
  }

  /// The arithmetic of what a plan makes of `count` rows whose targets are known, told by these.
  ///
  /// - Parameter rows: all rows.
  package static func flops(
    scoring steps: [Step], _ count: Int, of rows: Int, paths: Int, plan: PlanTemplate, by model: Model
  ) throws -> Double {
    try steps.reduce(0) { try $0 + work($1, count, of: rows, paths: paths, plan: plan, by: model) }
  }

  /// Of telling the network of rows, and of its answer.
  private static func work(
    _ step: Step, _ count: Int, of rows: Int, paths: Int, plan: PlanTemplate, by model: Model
  ) throws -> Double {
    guard count > 0 else { return 0 }
    // Of each row its covariances with the rows that processes read, and the deviation that follows.
    let read = Double(min(rows, mostRead))
    let told =
      model.blueprint.isTold ? Double((step.levels ?? 1) * count) * (4 * read * read + 100 * read) : 0
    guard let network = network(step, of: model) else { return told }
    let most =
      network.blueprint.isTold
      ? max(network.blueprint.trainedContext, 1)
      : Posterior.contextLimit(network.blueprint, dimensions: step.inputs.count)
    let context = min(max(rows, 1), most)
    // Rows of a category beyond some are drawn in parts.
    let together = step.levels == nil ? count : min(count, ClassPosterior.together)
    let plan = try plan.resolve(context: context, targets: together, capability: network.network.capability)
    let parts = Double(count) / Double(together)
    return try told + parts * passes(step) * plan.cost(paths: paths).work(network.network.rates).total
  }

  /// The network that is asked of a step; nil where estimators are.
  package static func network(_ step: Step, of model: Model) -> Model? {
    step.levels == nil ? model : model.ofCategories
  }

  /// How many times a row goes through the network: for each level of a category.
  private static func passes(_ step: Step) -> Double {
    step.levels.map { Double(min($0, ToldClasses.mostPasses)) } ?? 1
  }
}
