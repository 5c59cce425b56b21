import ChorusData
import ChorusModels

extension Posterior {
  /// The posterior with further rows observed, without reading the old ones again; in the units fixed by the first.
  ///
  /// Exact for a network of one layer without neighbours. In any other the old rows do not read the new ones, so it is an approximation that costs a
  /// small part of `Model.condition(on:)` with all rows; docs/memories.md tells what it loses.
  ///
  /// - Throws: `ModelError.input` for another number of inputs, or a model whose memories cannot be merged.
  public func observing(more data: Dataset) throws -> Posterior {
    guard data.dimensions == conditioned.dimensions else {
      throw ModelError.input(
        "the new rows have \(data.dimensions) inputs, those observed have \(conditioned.dimensions)")
    }
    let scaled = try scaling.apply(data)
    let x = try Self.narrow(scaled.x, "an input of the data")
    let y = try Self.narrow(scaled.y, "a value of the data")
    let trunk = model.trunk
    guard trunk.memoryCapability.merge,
      let state = trunk.observing(conditioned.state, x: x, y: y, dimensions: conditioned.dimensions)
    else {
      throw ModelError.input("this model's memories cannot take in further rows; condition on all rows anew")
    }
    return replacing(
      Conditioned(
        trunk, x: conditioned.x + x, y: conditioned.y + y, dimensions: conditioned.dimensions, state: state))
  }

  /// The posterior without some of its rows, counted in the order they were observed.
  ///
  /// Exact for a network of one layer without neighbours; in any other the rows that stay have read those that left.
  ///
  /// - Throws: `ModelError.input` for a row that is not there, for all rows at once, or for a model whose memories
  ///   cannot take rows out.
  public func forgetting(_ rows: Set<Int>) throws -> Posterior {
    let (x, y, d) = (conditioned.x, conditioned.y, conditioned.dimensions)
    if let wrong = rows.first(where: { !y.indices.contains($0) }) {
      throw ModelError.input("there is no row \(wrong); \(y.count) rows are observed, counted from 0")
    }
    guard rows.count < y.count else { throw ModelError.input("a posterior keeps at least one row") }
    func part(_ places: [Int]) -> (x: [Float], y: [Float]) {
      (places.flatMap { x[$0 * d..<($0 + 1) * d] }, places.map { y[$0] })
    }
    let gone = part(rows.sorted())
    guard model.trunk.memoryCapability.remove,
      let state = model.trunk.observing(
        conditioned.state, x: gone.x, y: gone.y, dimensions: d, removing: true)
    else {
      throw ModelError.input(
        "this model's memories cannot take rows out (softmax keeps rows, not their sum); condition on the others anew"
      )
    }
    let kept = part(y.indices.filter { !rows.contains($0) })
    return replacing(Conditioned(model.trunk, x: kept.x, y: kept.y, dimensions: d, state: state))
  }
}
