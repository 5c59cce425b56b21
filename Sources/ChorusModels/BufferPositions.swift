import ChorusMemories

/// What a path's own rows tell of their order, to a network that reads a set beside them.
///
/// In a blueprint: 0 for nothing, a number for the length of a learned table, or "rotary" or "alibi".
public enum BufferPositions: Sendable, Hashable, CustomStringConvertible {
  case none
  /// A learned vector for each of so many slots (Hassan et al. 2026, App. A.1); slots beyond have the last one's.
  case learned(Int)
  /// Their age, as scores of attention tell it: defined for any number of rows.
  case aged(RowAges)

  public static let (rotary, alibi) = (BufferPositions.aged(.rotary), BufferPositions.aged(.alibi))

  var ages: RowAges? {
    if case .aged(let ages) = self { return ages }
    return nil
  }

  /// Length of a learned table, 0 for none; nil for rows that tell their age.
  var learned: Int? {
    switch self {
    case .none: 0
    case .learned(let rows): rows
    case .aged: nil
    }
  }

  public var description: String {
    switch self {
    case .none: "none"
    case .learned(let rows): "learned (\(rows))"
    case .aged(let ages): ages.rawValue
    }
  }
}

extension BufferPositions: Codable {
  public init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let rows = try? value.decode(Int.self) {
      self = rows == 0 ? .none : .learned(rows)
      return
    }
    guard let ages = RowAges(rawValue: try value.decode(String.self)) else {
      throw ModelError.blueprint(
        "bufferPositions is 0, the length of a learned table, "
          + RowAges.allCases.map { "'\($0.rawValue)'" }.joined(separator: " or "))
    }
    self = .aged(ages)
  }

  public func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    if let ages { try value.encode(ages) } else { try value.encode(learned ?? 0) }
  }
}
