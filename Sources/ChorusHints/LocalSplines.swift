import ChorusData
import ChorusTensors

/// Splines through the rows nearest to a point, each with the standard deviation of its error: what they say of a row, those
/// of its path among the rows near it, and a unit that a head may predict around (`LocalSpline`).
public struct LocalSplines: RowHint {
  public static let name = "local-splines"
  /// Rows nearest to a point that splines go through.
  public var neighbours: Int

  public init(neighbours: Int) { self.neighbours = neighbours }

  enum CodingKeys: String, CodingKey, CaseIterable { case name, neighbours }

  public init(from decoder: any Decoder) throws {
    neighbours = try decoder.knownFields(CodingKeys.self).decode(Int.self, forKey: .neighbours)
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(neighbours, forKey: .neighbours)
  }

  public func validate() throws(DataError) {
    guard (1...64).contains(neighbours) else {
      throw .size(what: "the number of neighbours (1 to 64)", found: neighbours)
    }
  }

  public var features: Int { LocalSpline.features }

  public func read(_ rows: NetworkRows, _ fits: HintFits) -> any RowTellerContext {
    NearRows(rows, neighbours: neighbours)
  }

  public func paths(_ rows: PathRows) -> any RowTellerPaths { NearPaths(rows) }
}
