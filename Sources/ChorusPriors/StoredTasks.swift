import ChorusData
import ChorusTensors

/// A prior over data sets that somebody brings: a draw picks one and splits its rows.
public struct StoredTasks: Prior {
  /// How the rows of a set become context, buffer and targets.
  public enum Split: String, Sendable, Hashable, CaseIterable, Codable {
    /// At random.
    case random
    /// In the order they are in: the first rows are the context, those after it come next.
    case future
  }

  public let name = "tasks"
  public let dimensions: ClosedRange<Int>
  public let keepsColumns: Bool
  public private(set) var split: Split
  let sets: [Dataset]

  /// - Parameter keepsColumns: whether a column means the same in every set.
  /// - Throws: `PriorError.stored` for no data set at all.
  public init(
    _ sets: [Dataset], keepsColumns: Bool = false, split: Split = .random
  ) throws(PriorError) {
    guard let least = sets.map(\.dimensions).min(), let most = sets.map(\.dimensions).max() else {
      throw .stored("there are no tasks to train on")
    }
    dimensions = least...most
    self.sets = sets
    self.keepsColumns = keepsColumns
    self.split = split
  }

  /// Rows of the smallest set: no task can have more.
  public var rows: Int { sets.map(\.count).min() ?? 0 }

  /// The same tasks, split in another way.
  public func splitting(_ split: Split) -> StoredTasks {
    var tasks = self
    tasks.split = split
    return tasks
  }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    let fitting = sets.filter { $0.count >= shape.rows && $0.dimensions == shape.dimensions }
    guard !fitting.isEmpty else {
      throw .stored(
        "no task has \(shape.rows) rows (context \(shape.context), buffer \(shape.buffer), targets \(shape.targets))"
          + " and \(shape.dimensions) inputs; bring longer tasks, or set smaller sizes in the configuration")
    }
    let set = fitting[stream.below(fitting.count)]
    let rows = set.rows(split == .random ? stream.sample(shape.rows, of: set.count) : Array(0..<shape.rows))
    return PriorTask(shape: shape, x: rows.x, y: rows.y, component: name)
  }
}
