import ChorusData
import ChorusHints
import ChorusModels
import ChorusPriors
import ChorusTensors

/// Tasks of a prior as a network reads them: drawn, prepared as a model's contexts are, and packed.
public struct TaskSource: Sendable {
  public let generator: TaskGenerator
  public let rule: Preparation.Rule
  /// Whether rows are those of a table, which a network reads as estimators tell of them.
  private let tells: Bool

  public init(_ generator: TaskGenerator, _ rule: Preparation.Rule = Preparation.Rule()) {
    self.generator = generator
    self.rule = rule
    tells = false
  }

  /// Tasks for networks of a blueprint.
  public init(_ generator: TaskGenerator, for blueprint: Blueprint) {
    self.generator = generator
    rule = blueprint.preparation
    tells = blueprint.family == .table
  }

  /// How a task is shown. A task with fewer than two context rows stays as drawn: they have no unit of their own.
  func preparation(of task: PriorTask) throws(PriorError) -> Preparation {
    let (n, d) = (task.shape.context, task.shape.dimensions)
    guard n >= 2 else { return .identity }
    do {
      return try rule.prepare(x: task.x.prefix(n * d), y: task.y.prefix(n), dimensions: d)
    } catch { throw .data(error) }
  }

  /// Packs a task as number `index` of `batch`.
  public func store(_ task: PriorTask, _ index: Int, into batch: inout TaskBatch) throws(PriorError) {
    guard !tells else { return try storeTold(task, index, into: &batch) }
    let task = Self.filled(task)
    let preparation = try preparation(of: task)
    do { try batch.store(index, x: task.x, y: task.y, preparation: preparation) } catch { throw .data(error) }
    batch.asked[index] = task.asked
  }

  /// The task with missing cells filled by the mean of those that the context has: a network that reads cells as they are knows
  /// no other word for them, and a category's levels are numbers to it.
  private static func filled(_ task: PriorTask) -> PriorTask {
    guard task.x.contains(where: \.isNaN) else { return task }
    var x = task.x
    let (n, d) = (task.shape.context, task.shape.dimensions)
    for column in 0..<d {
      let shown = (0..<n).map { x[$0 * d + column] }.filter { !$0.isNaN }
      let mean = shown.isEmpty ? 0 : shown.reduce(0, +) / Double(shown.count)
      for row in 0..<task.shape.rows where x[row * d + column].isNaN { x[row * d + column] = mean }
    }
    return PriorTask(
      shape: task.shape, x: x, y: task.y, component: task.component, categories: task.categories)
  }

  /// Packs a task of a table: of the context what estimators say without each row, of the others what they say with all of it.
  private func storeTold(_ task: PriorTask, _ index: Int, into batch: inout TaskBatch) throws(PriorError) {
    let (n, d) = (task.shape.context, task.shape.dimensions)
    let categories = task.categories.isEmpty ? [Bool](repeating: false, count: d) : task.categories
    do {
      let cells = try Cells(task.x, categories: categories)
      let fit = try TableFit(cells.rows(0..<n), y: Array(task.y[..<n]))
      try batch.store(
        index, x: fit.observed.x + fit.tell(cells.rows(n..<cells.count)),
        y: fit.observed.y + task.y[n...].map { fit.unit.scaled($0) })
    } catch { throw .data(error) }
  }

  /// The `tasks` tasks of `step`, one after the other.
  public func batch(_ tasks: Int, step: Int, shape: TaskShape) throws(PriorError) -> TaskBatch {
    var batch = try empty(tasks, shape)
    for index in 0..<tasks {
      try store(generator.task(index, step: step, shape: shape), index, into: &batch)
    }
    return batch
  }

  /// A batch of zeros of the given sizes.
  public func empty(_ tasks: Int, _ shape: TaskShape) throws(PriorError) -> TaskBatch {
    do {
      return try TaskBatch(
        tasks: tasks, context: shape.context, buffer: shape.buffer, targets: shape.targets,
        dimensions: tells ? TableExperts.width : shape.dimensions)
    } catch { throw .data(error) }
  }
}
