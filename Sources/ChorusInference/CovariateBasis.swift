import ChorusData
import Foundation

/// What a column beside time holds.
public enum Covariate: Sendable, Hashable {
  case number
  /// Levels, as numbers from 0.
  case category(levels: Int)
}

/// Columns of a regression made of covariates: of a number a line and, where it has many values, bends at its quartiles; of a category
/// one for each level. All of mean 0 and deviation 1 in the context.
struct CovariateBasis: Sendable {
  private enum Part: Sendable {
    case line
    case above(Double)
    case level(Double)
  }
  private struct Place: Sendable {
    let covariate: Int
    let part: Part
    var centre = 0.0
    var scale = 1.0
  }
  private var places: [Place] = []
  /// Of each column the group that is kept or left out as one: a covariate's line or levels, or its bends.
  private(set) var groups: [Int] = []
  /// Of each group its covariate.
  private(set) var owners: [Int] = []
  /// Of each covariate where the context has it, for numbers.
  private let ranges: [ClosedRange<Double>?]

  /// Different values that a number needs to have bends.
  private static let fewest = 8
  /// Columns in all.
  static let most = 64

  /// - Parameter values: `[covariates][rows]`, without missing ones.
  init(_ kinds: [Covariate], _ values: [[Double]]) {
    ranges = zip(kinds, values).map { kind, own in
      guard kind == .number, let low = own.min(), let high = own.max() else { return nil }
      return low...high
    }
    for (covariate, (kind, own)) in zip(kinds, values).enumerated() {
      switch kind {
      case .number:
        add([.line], of: covariate, own)
        guard Set(own).count >= Self.fewest else { continue }
        let sorted = own.sorted()
        let knots = [1, 2, 3].map { sorted[$0 * (sorted.count - 1) / 4] }
        add(Set(knots).sorted().map { .above($0) }, of: covariate, own)
      case .category(let levels): add((0..<levels).map { .level(Double($0)) }, of: covariate, own)
      }
    }
  }

  private mutating func add(_ parts: [Part], of covariate: Int, _ values: [Double]) {
    let count = places.count
    for part in parts {
      var place = Place(covariate: covariate, part: part)
      let (centre, deviation) = Scaling.moments(values.map { Self.raw($0, part) })
      guard deviation > 1e-9 * max(abs(centre), 1e-300) else { continue }
      (place.centre, place.scale) = (centre, deviation)
      places.append(place)
      groups.append(owners.count)
    }
    if places.count > count { owners.append(covariate) }
  }

  private static func raw(_ value: Double, _ part: Part) -> Double {
    switch part {
    case .line: value
    case .above(let knot): max(value - knot, 0)
    case .level(let level): value == level ? 1 : 0
    }
  }

  var width: Int { places.count }

  /// The columns at a row of covariates.
  func columns(_ row: ArraySlice<Double>) -> [Double] {
    places.map { (Self.raw(row[row.startIndex + $0.covariate], $0.part) - $0.centre) / $0.scale }
  }

  /// Covariates of rows that lie outside of where the context has them.
  func beyond(_ row: ArraySlice<Double>) -> [Int] {
    ranges.indices.filter { covariate in
      ranges[covariate].map { !$0.contains(row[row.startIndex + covariate]) } ?? false
    }
  }
}
