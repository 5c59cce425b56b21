import ChorusData
import ChorusHints
import ChorusModels
import ChorusPriors
import ChorusTensors

/// Tasks of a prior as a network reads them: drawn, prepared as a model's contexts are, and packed.
public struct TaskSource: Sendable {
  public let generator: TaskGenerator
  public let rule: Preparation.Rule
  /// What is told of the rows of a table, which a network reads as estimators tell of them; nil where it reads the cells.
  private let telling: Telling?

  private enum Telling { case numbers, levels }

  public init(_ generator: TaskGenerator, _ rule: Preparation.Rule = Preparation.Rule()) {
    self.generator = generator
    self.rule = rule
    telling = nil
  }

  /// Tasks for networks of a blueprint.
  public init(_ generator: TaskGenerator, for blueprint: Blueprint) {
    self.generator = generator
    rule = blueprint.preparation
    telling =
      switch blueprint.family {
      case .table: .numbers
      case .classes: .levels
      default: nil
      }
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
    if telling != nil {
      let told = try told(task)
      do { try batch.store(index, x: told.x, y: told.y) } catch { throw .data(error) }
      return
    }
    let task = try Self.filled(task)
    let preparation = try preparation(of: task)
    do { try batch.store(index, x: task.x, y: task.y, preparation: preparation) } catch { throw .data(error) }
    batch.asked[index] = task.asked
  }

  /// The task with missing cells filled by the mean of those that the context has: a network that reads cells as they are knows
  /// no other word for them, and a category's levels are numbers to it.
  private static func filled(_ task: PriorTask) throws(PriorError) -> PriorTask {
    guard task.x.contains(where: \.isNaN) else { return task }
    let (n, d) = (task.shape.context, task.shape.dimensions)
    do {
      let cells = try Cells(task.x, categories: [Bool](repeating: false, count: d))
      return PriorTask(
        shape: task.shape, x: NumberedCells(context: cells.rows(0..<n)).numbers(cells), y: task.y,
        component: task.component, categories: task.categories)
    } catch { throw .data(error) }
  }

  /// A task of a table: of the context what estimators say without each row, of the others what they say with all of it.
  private func told(_ task: PriorTask) throws(PriorError) -> (x: [Double], y: [Double]) {
    let (n, d) = (task.shape.context, task.shape.dimensions)
    let categories = task.categories.isEmpty ? [Bool](repeating: false, count: d) : task.categories
    let levels = telling == .levels ? try Self.levels(task) : []
    do {
      let cells = try Cells(task.x, categories: categories)
      let (context, others) = (cells.rows(0..<n), cells.rows(n..<cells.count))
      guard telling == .levels else {
        let fit = try TableFit(context, y: Array(task.y[..<n]))
        return (
          fit.observed.x + fit.tell(others), fit.observed.y + task.y[n...].map { fit.unit.scaled($0) }
        )
      }
      let fit = ToldClasses(
        try ClassFit(context, levels: Array(levels[..<n]), of: (levels.max() ?? 0) + 1))
      return (
        fit.observed.x + fit.tell(others), fit.observed.y + levels[n...].map { Double(fit.pass[$0]) }
      )
    } catch { throw .data(error) }
  }

  private static let mostLevels = 4096

  /// The levels of a task's rows, of which the context has two at least.
  private static func levels(_ task: PriorTask) throws(PriorError) -> [Int] {
    var levels: [Int] = []
    for y in task.y {
      guard let level = Int(exactly: y), (0..<mostLevels).contains(level) else {
        throw .stored("a value of a task of classes is \(y); levels are numbered from 0, below \(mostLevels)")
      }
      levels.append(level)
    }
    guard Set(levels[..<task.shape.context]).count > 1 else {
      throw .stored("all rows of a context have one level, which tells nothing of others")
    }
    return levels
  }

  /// A task as a batch of its own, as wide as its rows are told: levels have a pass each, of which tasks have more or fewer.
  public func batch(of task: PriorTask) throws(PriorError) -> TaskBatch {
    guard telling == .levels else {
      var batch = try empty(1, task.shape)
      try store(task, 0, into: &batch)
      return batch
    }
    let told = try told(task)
    let shape = task.shape
    do {
      var batch = try TaskBatch(
        tasks: 1, context: shape.context, buffer: shape.buffer, targets: shape.targets,
        dimensions: told.x.count / max(shape.rows, 1))
      try batch.store(0, x: told.x, y: told.y)
      return batch
    } catch { throw .data(error) }
  }

  /// The `tasks` tasks of `step`, one after the other, of rows that are equally wide: not of classes.
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
        dimensions: telling == nil ? shape.dimensions : TableExperts.width)
    } catch { throw .data(error) }
  }
}
