import ChorusData

/// Tasks of equal sizes packed for one training step, in Float.
///
/// Every task has `rows` = context + buffer + targets rows, in that order. x: [tasks, rows, dimensions] and
/// y: [tasks, rows], row-major, in the units the network reads.
public struct TaskBatch: Sendable, Hashable {
  /// Number of tasks.
  public let tasks: Int
  /// Context rows a task (N).
  public let context: Int
  /// Buffer rows a task (C).
  public let buffer: Int
  /// Target rows a task (M).
  public let targets: Int
  /// Numbers an input has.
  public let dimensions: Int
  /// Inputs: [tasks, rows, dimensions].
  public var x: [Float]
  /// Outputs: [tasks, rows].
  public var y: [Float]
  /// What hints found in each task's context; nil where nobody has looked.
  public var fits: [HintFits?]
  /// Of every task which targets are asked; empty where all are.
  public var asked: [[Bool]]

  /// Rows a task: context, then buffer, then targets.
  public var rows: Int { context + buffer + targets }
  /// The rows of one task that are context, buffer and targets.
  public var contextRows: Range<Int> { 0..<context }
  public var bufferRows: Range<Int> { context..<(context + buffer) }
  public var targetRows: Range<Int> { (context + buffer)..<rows }

  /// A batch of zeros. Throws `DataError.size` for a negative size or no dimension.
  public init(tasks: Int, context: Int, buffer: Int, targets: Int, dimensions: Int) throws(DataError) {
    for (what, size) in [
      ("the number of tasks", tasks), ("the number of context rows", context),
      ("the number of buffer rows", buffer), ("the number of targets", targets),
      ("the number of input dimensions", dimensions),
    ] where size < 0 || size > 1 << 20 {
      throw .size(what: what, found: size)
    }
    guard dimensions > 0 else { throw .size(what: "the number of input dimensions", found: dimensions) }
    self.tasks = tasks
    self.context = context
    self.buffer = buffer
    self.targets = targets
    self.dimensions = dimensions
    let rows = context + buffer + targets
    let (cells, overflow) = (tasks * rows).multipliedReportingOverflow(by: dimensions)
    guard !overflow, cells < 1 << 34 else { throw .size(what: "the number of values", found: cells) }
    x = Array(repeating: 0, count: cells)
    y = Array(repeating: 0, count: tasks * rows)
    fits = Array(repeating: nil, count: tasks)
    asked = Array(repeating: [], count: tasks)
  }

  /// One task of the same sizes whose rows are told otherwise.
  ///
  /// - Precondition: `x` has `dimensions` numbers a row, and `y` one.
  package func replacing(x: [Float], y: [Float], dimensions: Int) -> TaskBatch {
    precondition(y.count == rows && x.count == rows * dimensions, "there are as many rows as before")
    return TaskBatch(self, x: x, y: y, dimensions: dimensions)
  }

  private init(_ other: TaskBatch, x: [Float], y: [Float], dimensions: Int) {
    (tasks, context, buffer, targets) = (1, other.context, other.buffer, other.targets)
    (self.x, self.y, self.dimensions) = (x, y, dimensions)
    (fits, asked) = ([nil], [[]])
  }

  /// Writes task `index`: inputs [rows, dimensions] and outputs [rows] in Double, prepared on the way.
  ///
  /// Throws `DataError.size` for an index outside the batch, `.rowCount` for other sizes, `.dimensions` when the
  /// scaling is for another number of columns.
  public mutating func store(
    _ index: Int, x inputs: [Double], y outputs: [Double], preparation: Preparation = .identity
  ) throws(DataError) {
    guard (0..<tasks).contains(index) else { throw .size(what: "the index of a task", found: index) }
    let (rows, dimensions) = (rows, dimensions)
    guard outputs.count == rows else {
      throw .rowCount(what: "outputs of a task", expected: rows, found: outputs.count)
    }
    guard inputs.count == rows * dimensions else {
      throw .rowCount(what: "input values of a task", expected: rows * dimensions, found: inputs.count)
    }
    let scaling = preparation.scaling
    guard scaling.inputCentres.isEmpty || scaling.inputCentres.count == dimensions else {
      throw .dimensions(what: "a scaling", expected: dimensions, found: scaling.inputCentres.count)
    }
    let start = index * rows
    fits[index] = preparation.fits.fits.isEmpty ? nil : preparation.fits
    var own = [Double](repeating: 0, count: dimensions)
    for row in 0..<rows {
      for column in 0..<dimensions {
        own[column] = scaling.scaled(input: inputs[row * dimensions + column], column: column)
        x[(start + row) * dimensions + column] = Float(own[column])
      }
      y[start + row] = Float(preparation.unit(at: own).scaled(outputs[row]))
    }
  }
}
