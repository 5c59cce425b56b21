import ChorusTensors

/// Recall of pairs whose keys are vectors (the continuous variant of multi-query associative recall in Arora et al. 2024, "Zoology"):
/// pairs of a key and a level in one row each, then keys alone, which ask for their levels. No row is needed to tell what came
/// after what, and the order of pairs says nothing: what is measured is the memory.
///
/// Keys are unit vectors at random, new ones in every task, and levels independent and equally likely. Questions take the keys in
/// random order; where there are more questions than pairs, all are asked again.
public struct VectorRecallPrior: Prior {
  public let name = "recall-vectors"
  public let dimensions = 2...64
  /// A column is a coordinate, and all are alike; there is no reason to exchange them.
  public let keepsColumns = true
  public let isSequence = true
  /// Levels that a value may have.
  public let levels: Int

  public init(levels: Int = 32) { self.levels = max(2, levels) }

  /// - Throws: `PriorError.stored` for a context of no pair, or a buffer.
  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions, limit: 8192)
    guard shape.context > 0, shape.buffer == 0 else {
      throw .stored("\(name) has a context of at least one pair and no buffer")
    }
    let keys = (0..<shape.context).map { _ in
      let key = stream.normals(shape.dimensions)
      let length = key.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return key.map { $0 / max(length, 1e-12) }
    }
    let values = keys.map { _ in Double(stream.below(levels)) }
    var asked: [Int] = []
    while asked.count < shape.targets { asked += stream.permutation(keys.count) }
    asked.removeLast(asked.count - shape.targets)
    return PriorTask(
      shape: shape, x: (keys + asked.map { keys[$0] }).flatMap { $0 }, y: values + asked.map { values[$0] },
      ceiling: 0, component: name)
  }
}
