import ChorusData
import ChorusModels

/// What of a target's prediction lies outside what the model has seen in training.
public struct Outside: OptionSet, Sendable, Hashable, CustomStringConvertible {
  public let rawValue: Int
  public init(rawValue: Int) { self.rawValue = rawValue }

  /// The context has more rows than training had, or next to none.
  public static let context = Outside(rawValue: 1)
  /// The target's input is farther from the observed rows than training went.
  public static let inputs = Outside(rawValue: 2)
  /// More values are drawn together than in training.
  public static let targets = Outside(rawValue: 4)
  /// The plan reads parts of the buffer, which training has not shown.
  public static let reads = Outside(rawValue: 8)

  private static let names: [(Outside, String)] = [
    (.context, "context"), (.inputs, "inputs"), (.targets, "targets"), (.reads, "reads"),
  ]

  /// The names of what is outside, separated by semicolons; empty where nothing is.
  public var description: String {
    Self.names.filter { contains($0.0) }.map(\.1).joined(separator: ";")
  }
}

extension Note {
  /// What a note about a whole request says is outside training.
  var outside: Outside {
    switch self {
    case .contextBeyondTraining, .contextThinned, .fewRows, .regressionRaised: .context
    case .bufferBeyondTraining: .targets
    case .readsBeyondTraining: .reads
    case .inputsBeyondTraining: .inputs
    }
  }
}

extension Posterior {
  /// What lies outside training, target by target, and a note if inputs do. A model whose card does not tell how far
  /// its inputs went has no inputs outside.
  func outside(_ inputs: Inputs, _ notes: [Note]) throws -> (rows: [Outside], note: Note?) {
    let all = notes.reduce(into: Outside()) { $0.formUnion($1.outside) }
    guard let reach = model.inputReach else {
      return ([Outside](repeating: all, count: inputs.count), nil)
    }
    let scaled = try scaling.apply(inputs)
    let far = (0..<scaled.count).map { row in scaled[row].contains { !(abs($0) <= reach) } }
    let count = far.count { $0 }
    return (
      far.map { $0 ? all.union(.inputs) : all },
      count > 0 ? .inputsBeyondTraining(points: count, reach: reach) : nil
    )
  }
}
