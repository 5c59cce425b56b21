import ChorusHints
import ChorusTensors

/// Rows of a training pass: tasks side by side, contexts of all tasks first, then buffers, then targets.
struct TrainingLayout {
  let tasks: Int
  let context: Int
  let buffer: Int
  let targets: Int
  var stored: Int { tasks * (context + buffer) }
  var rows: Int { tasks * (context + buffer + targets) }
  var targetRows: Range<Int> { stored..<rows }

  /// Which rows ask: all, those behind the contexts, or the targets alone.
  enum Asking { case all, beyondContexts, targets }

  /// The visible blocks of every task: context rows see the context, or (`causal`) what of it comes before them and
  /// themselves; buffer row j sees it and buffer rows up to and including itself; target m sees it and the first
  /// `prefixes[m]` buffer rows. Queries are counted from the first row that asks.
  func blocks(prefixes: [Int32], _ asking: Asking, causal: Bool = false) -> [VisibleBlock] {
    let first =
      switch asking {
      case .all: 0
      case .beyondContexts: tasks * context
      case .targets: stored
      }
    func upTo(_ count: Int) -> [Int32] { (0..<count).map { Int32($0 + 1) } }
    var blocks: [VisibleBlock] = []
    for task in 0..<tasks {
      let shared = task * context..<(task + 1) * context
      let own = tasks * context + task * buffer..<tasks * context + (task + 1) * buffer
      let limits = buffer == 0 ? [] : Array(prefixes[task * targets..<(task + 1) * targets])
      if asking == .all {
        blocks.append(
          causal
            ? VisibleBlock(queries: shared, shared: 0..<0, own: shared, limits: upTo(context))
            : VisibleBlock(queries: shared, shared: shared))
      }
      if asking != .targets, buffer > 0 {
        blocks.append(
          VisibleBlock(
            queries: own.lowerBound - first..<own.upperBound - first, shared: shared, own: own,
            limits: upTo(buffer)))
      }
      let rows = stored - first + task * targets..<stored - first + (task + 1) * targets
      blocks.append(VisibleBlock(queries: rows, shared: shared, own: own, limits: limits))
    }
    return blocks
  }
}

/// Where each token of a training pass takes its summands from; -1 for nowhere.
struct TrainingTokens {
  enum Role { case context, buffer, target, empty }

  private(set) var inputs: [Int32] = []
  private(set) var outputs: [Int32] = []
  private var roles: [Role] = []
  private var buffered: [Int32] = []

  /// Of the inputs and observed outputs of a batch, task by task.
  ///
  /// - Parameter empty: whether contexts have no rows and are held as one learned token.
  init(_ batch: TaskBatch, _ layout: TrainingLayout, empty: Bool) {
    let (rows, seen) = (batch.rows, batch.context + batch.buffer)
    for task in 0..<layout.tasks {
      if empty { append(-1, -1, .empty) }
      for i in 0..<batch.context { append(task * rows + i, task * seen + i, .context) }
    }
    for task in 0..<layout.tasks {
      for j in 0..<batch.buffer {
        let row = batch.context + j
        append(task * rows + row, task * seen + row, .buffer, j)
      }
    }
    for task in 0..<layout.tasks {
      for m in 0..<batch.targets { append(task * rows + seen + m, -1, .target) }
    }
  }

  /// Each target by its number.
  var targets: [Int32] {
    var count: Int32 = -1
    return roles.map {
      guard $0 == .target else { return -1 }
      count += 1
      return count
    }
  }

  func role(_ role: Role) -> [Int32] { roles.map { $0 == role ? 0 : -1 } }
  func positions(limit: Int) -> [Int32] { buffered.map { Int($0) < limit ? $0 : Int32(limit - 1) } }

  private mutating func append(_ input: Int, _ output: Int, _ role: Role, _ position: Int = -1) {
    inputs.append(Int32(input))
    outputs.append(Int32(output))
    roles.append(role)
    buffered.append(Int32(position))
  }
}
