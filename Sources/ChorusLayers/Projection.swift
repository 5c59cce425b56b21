import ChorusTensors

/// A linear map, y = x·W + b, with or without the bias, with an activation if so told.
public struct Projection: Layer {
  public let weight: Parameter
  public let bias: Parameter?
  public let activation: Activation
  public var inputs: Int { weight.rows }
  public var outputs: Int { weight.columns }
  public var work: Double { 2 * Double(weight.rows) * Double(weight.columns) }

  /// - Parameters:
  ///   - start: how the matrix begins; nil: uniform in ±1/√inputs.
  ///   - bias: how the bias begins; `.zeros` and the like. Use `unbiased` for none.
  public init(
    _ name: String, _ inputs: Int, _ outputs: Int, activation: Activation = .identity, start: Start? = nil,
    bias: Start? = nil, _ scope: inout ParameterScope
  ) {
    weight = scope.parameter(name + ".weight", inputs, outputs, start ?? .fan(in: inputs))
    self.bias = scope.parameter(name + ".bias", 1, outputs, bias ?? .fan(in: inputs))
    self.activation = activation
  }

  /// A map without a bias.
  public static func unbiased(
    _ name: String, _ inputs: Int, _ outputs: Int, start: Start? = nil, _ scope: inout ParameterScope
  ) -> Projection {
    Projection(scope.parameter(name + ".weight", inputs, outputs, start ?? .fan(in: inputs)))
  }

  /// A map by a matrix that is there already, as the table of a language model's tokens.
  public init(_ weight: Parameter) {
    self.weight = weight
    bias = nil
    activation = .identity
  }

  public func apply(
    _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
    into out: UnsafeMutablePointer<Float>, _ run: Workspace
  ) {
    run.weights.linear(
      x, rows: rows, weight, bias: bias, activation: activation, residual: residual, into: out,
      on: run.pool)
  }

  public func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
    tape.linear(x, weight, bias: bias, activation: activation, residual: residual)
  }
}
