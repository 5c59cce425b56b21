import ChorusData
import ChorusModels

extension Posterior {
  /// The posterior with further rows observed, without reading the old ones again; in the units fixed by the first.
  ///
  /// Exact for a network of one layer without neighbours, and for one whose context is causal. In any other the old rows do not read the new ones, so it is an approximation that costs a
  /// small part of `Model.condition(on:)` with all rows; docs/memories.md tells what it loses.
  ///
  /// - Throws: `ModelError.input` for another number of inputs, or a model whose memories cannot be merged;
  ///   `InferenceError.input` for rows with known errors, old or new.
  public func observing(more data: Dataset) throws -> Posterior {
    guard data.dimensions == conditioned.rows.dimensions else {
      throw ModelError.input(
        "the new rows have \(data.dimensions) inputs, those observed have \(conditioned.rows.dimensions)")
    }
    try refuseChanging(data)
    let rows = try Self.rows(data, preparation)
    guard model.network.memoryCapability.merge, let merged = conditioned.observing(rows, removing: false)
    else {
      throw ModelError.input("this model's memories cannot take in further rows; condition on all rows anew")
    }
    return replacing(merged)
  }

  /// The posterior without some of its rows, counted in the order they were observed.
  ///
  /// Exact for a network of one layer without neighbours; in any other the rows that stay have read those that left.
  ///
  /// - Throws: `ModelError.input` for a row that is not there, for all rows at once, or for a model whose memories
  ///   cannot take rows out.
  public func forgetting(_ rows: Set<Int>) throws -> Posterior {
    let count = conditioned.rows.count
    if let wrong = rows.first(where: { !(0..<count).contains($0) }) {
      throw ModelError.input("there is no row \(wrong); \(count) rows are observed, counted from 0")
    }
    try refuseChanging()
    guard rows.count < count else { throw ModelError.input("a posterior keeps at least one row") }
    guard model.network.memoryCapability.remove,
      let left = conditioned.observing(conditioned.rows.rows(rows.sorted()), removing: true)
    else {
      throw ModelError.input(
        "this model's memories cannot take rows out (softmax keeps rows, not their sum); condition on the others anew"
      )
    }
    return replacing(left)
  }
}
