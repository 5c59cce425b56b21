import ChorusData
import ChorusTensors

/// A prior over data sets that somebody brings: a draw picks one and splits its rows at random.
public struct StoredTasks: Prior {
  public let name = "tasks"
  public let dimensions: ClosedRange<Int>
  let sets: [Dataset]

  /// Throws `PriorError.stored` for no data set at all.
  public init(_ sets: [Dataset]) throws(PriorError) {
    guard let least = sets.map(\.dimensions).min(), let most = sets.map(\.dimensions).max() else {
      throw .stored("there are no tasks to train on")
    }
    dimensions = least...most
    self.sets = sets
  }

  /// Rows of the smallest set: no task can have more.
  public var rows: Int { sets.map(\.count).min() ?? 0 }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    let fitting = sets.filter { $0.count >= shape.rows && $0.dimensions == shape.dimensions }
    guard !fitting.isEmpty else {
      throw .stored(
        "no task has \(shape.rows) rows (context \(shape.context), buffer \(shape.buffer), targets \(shape.targets))"
          + " and \(shape.dimensions) inputs; bring longer tasks, or set smaller sizes in the configuration")
    }
    let set = fitting[stream.below(fitting.count)]
    let rows = set.rows(stream.sample(shape.rows, of: set.count))
    return PriorTask(shape: shape, x: rows.x, y: rows.y, component: name)
  }
}
