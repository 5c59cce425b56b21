import ChorusData

/// Where the numbers that are told of a row of a table stand: features that a network embeds, then coordinates (`TableDistance`).
///
/// Both forms begin with what four estimators say of the row, so that a network that has learned to judge the ones begins to
/// judge the others: of a number `TableExperts`, of a level against all others `ToldClasses`.
public struct ToldRow: Sendable, Hashable {
  /// Numbers in front of the coordinates.
  public let features: Int
  /// Units that a head is given for a row.
  public let units: Int
  /// Whether units are logarithms of probabilities, which are the last features.
  private let isLevel: Bool

  public var width: Int { features + TableExperts.coordinates }

  /// What is told of a row whose value is a number.
  public static let number = ToldRow(
    features: TableExperts.features, units: TableExperts.count, isLevel: false)
  /// What is told of a row for one level of a category.
  public static let level = ToldRow(
    features: TableExperts.features + ToldClasses.estimators, units: ToldClasses.estimators, isLevel: true)

  /// A unit of the row: an estimate and its deviation, or the logarithm of a probability.
  public func unit(_ index: Int, of row: UnsafePointer<Float>) -> Scaling.Unit {
    isLevel
      ? Scaling.Unit(origin: Double(row[TableExperts.features + index]), scale: 1)
      : TableExperts.unit(index, of: row)
  }
}
