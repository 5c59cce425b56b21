import ChorusData
import ChorusHints
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
    case .contextBeyondTraining, .contextThinned, .contextNearest, .contextLatest, .contextSections,
      .fewRows, .regressionRaised, .hiddenByErrors:
      .context
    case .bufferBeyondTraining, .valuesBeyondReach: .targets
    case .conditioned, .weighed, .processApart: []
    case .readsBeyondTraining: .reads
    case .inputsBeyondTraining: .inputs
    }
  }
}

extension Posterior {
  /// What lies outside training, target by target, and a note if inputs do. A model whose card does not tell how far
  /// its inputs went has no inputs outside but those of a column that was always the same and now is not.
  func outside(_ inputs: Inputs, _ notes: [Note]) throws -> (rows: [Outside], note: Note?) {
    let all = notes.reduce(into: Outside()) { $0.formUnion($1.outside) }
    let (scaled, reach) = (try scaling.apply(inputs), model.inputReach)
    let known = conditioned.rows.constants
    let far = (0..<scaled.count).map { row in
      scaled[row].enumerated().contains { column, value in
        reach.map { !(abs(value) <= $0) } ?? false || known[column].map { $0 != Float(value) } ?? false
      }
    }
    let count = far.count { $0 }
    return (
      far.map { $0 ? all.union(.inputs) : all },
      count > 0 ? .inputsBeyondTraining(points: count, reach: reach ?? 0) : nil
    )
  }
}

extension NetworkRows {
  /// The value of each input column that is the same in all rows; nil for those that are not, and for a single row.
  fileprivate var constants: [Float?] {
    (0..<dimensions).map { column in
      guard count > 1 else { return nil }
      return (1..<count).allSatisfy { x[$0 * dimensions + column] == x[column] } ? x[column] : nil
    }
  }
}
