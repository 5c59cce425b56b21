import ChorusData
import ChorusTensors

/// The last part of a network: makes a predictive law of a row's representation.
///
/// A head is a file: its raw numbers, what they mean, its loss, and the law. `CategoricalHead` is a short example.
public protocol Head: Sendable {
  associatedtype Answer: ChorusLayers.Answer
  /// The map from a row's representation to the raw numbers.
  var map: FeedForward { get }
  /// Numbers that describe an observed value to the network.
  var valueFeatures: Int { get }
  func describe(_ value: Float, into features: UnsafeMutablePointer<Float>)
  /// Whether values are numbers, which have units; else they are levels of a category.
  var takesNumbers: Bool { get }
  /// What the raw numbers of one row say.
  ///
  /// - Parameter units: what 0 and 1 are in the network's units for whatever the head predicts around hints: origin and scale, one
  ///   hint after the other, valid while the answer is used; nil where no hint says anything.
  func answer(_ raw: UnsafePointer<Float>, units: UnsafePointer<Double>?) -> Answer
  /// The weighted negative log-density Σ_r weights[r]·(−log p(y_r)) of rows with these raw numbers, `[1, 1]`, and the
  /// log-densities.
  func loss(_ raw: Node, _ targets: Targets, on tape: Tape) -> (loss: Node, logDensities: [Float])
}

/// What came of the rows of a training pass.
public struct Targets {
  /// Values as a network holds them, one a row.
  public var values: [Float]
  /// How much each row counts.
  public var weights: [Float]
  /// The rows' own units, where hints have them: those of the first row, then those of the next.
  public var units: [Scaling.Unit]?

  public init(values: [Float], weights: [Float], units: [Scaling.Unit]? = nil) {
    self.values = values
    self.weights = weights
    self.units = units
  }
}

extension Head {
  public var valueFeatures: Int { 1 }
  public func describe(_ value: Float, into features: UnsafeMutablePointer<Float>) { features[0] = value }
  public var takesNumbers: Bool { Answer.Law.self is any ContinuousLaw.Type }

  /// Raw numbers of `rows` rows, `[rows, map.outputs]`, in the arena.
  public func apply(_ h: UnsafePointer<Float>, rows: Int, _ run: Workspace) -> UnsafePointer<Float> {
    let raw = run.arena.floats(rows * map.outputs)
    map.apply(h, rows: rows, into: raw, run)
    return UnsafePointer(raw)
  }
}
