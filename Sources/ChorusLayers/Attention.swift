import ChorusMemories
import ChorusTensors

/// What a memory needs around it: maps of a normed row to the queries it asks with and to what is stored of it, and the
/// map of what was read back to the row's representation.
public struct Attention: Sendable {
  public let query: Projection
  /// Keys, values, and what else the memory asks for of a stored row.
  public let stored: Projection
  public let out: Projection
  public let memory: CompiledMemory
  let parameters: [Parameter]

  /// - Parameter shrink: what the map back is shrunk by at the start.
  public init(
    _ width: Int, _ memory: CompiledMemory, queries: Int, shrink: Double, _ scope: inout ParameterScope
  ) {
    let shape = memory.shape
    self.memory = memory
    query = .unbiased("query", width, queries, &scope)
    stored = .unbiased("keyvalue", width, shape.stored, &scope)
    parameters = shape.parameters.map {
      scope.parameter("memory." + $0.name, 1, $0.count, .normal(mean: $0.initial, deviation: $0.spread))
    }
    let bound = 1 / Double(shape.read).squareRoot() * shrink
    out = Projection("out", shape.read, width, start: .gated(bound: bound, rows: shape.gated), &scope)
  }

  /// The memory with the numbers it has learned.
  public func memory(_ weights: Weights) -> any Memory { memory.memory(weights, parameters) }

  /// Floating-point operations of the maps a row that is stored and a row that asks.
  public var workStored: Double { stored.work }
  public var workAsked: Double { query.work + out.work }
}
