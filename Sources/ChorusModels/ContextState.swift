import ChorusData
import ChorusMemories
import ChorusTensors

extension Trunk {
  /// What the state of a context of `rows` rows is kept as, layer after layer: names are unique in the network.
  public func stateArrays(rows: Int) -> [StateArray] {
    layerArrays(rows: rows).flatMap { $0 }
  }

  /// The values of these arrays, in their order.
  public func values(of context: ContextState) -> [[Float]] {
    zip(memories, context.layers).flatMap { $0.values(ofAny: $1) }
  }

  /// The context state with these values, which may come from any file: nil where no encoding of these rows has them.
  public func context(
    x: [Float], y: [Float], dimensions: Int, periods: Periods = .none, values: [[Float]]
  ) -> ContextState? {
    let rows = y.count
    guard dimensions > 0, x.count == rows * dimensions else { return nil }
    let arrays = layerArrays(rows: rows)
    guard values.count == arrays.reduce(0, { $0 + $1.count }) else { return nil }
    var (layers, first): ([any AnyObject & Sendable], Int) = ([], 0)
    for (memory, layer) in zip(memories, arrays) {
      let own = Array(values[first..<first + layer.count])
      guard let context = memory.anyContext(rows: max(rows, 1), values: own) else { return nil }
      layers.append(context)
      first += layer.count
    }
    return ContextState(
      rows: rows, periods: periods, near: nearRows(x: x, y: y, dimensions: dimensions), layers: layers)
  }

  private func layerArrays(rows: Int) -> [[StateArray]] {
    memories.enumerated().map { index, memory in
      memory.stateArrays(rows: max(rows, 1)).map { StateArray("layer.\(index).\($0.name)", $0.shape) }
    }
  }
}
