import ChorusTensors

/// How a network of the family `cells` comes from the cells of a table to a representation of each row (TabICL, Qu et al. 2025):
/// column by column through induced points that read rows of the context alone, then row by row through learned summaries.
///
/// A cell is as wide as the blueprint's width divided by `summaries`, whose outputs beside each other are the row.
public struct CellReading: Sendable, Hashable {
  /// Pairs of blocks that a column goes through: points read it, and it reads them.
  public var columnBlocks = 2
  public var columnHeads = 4
  /// Learned points of each pair.
  public var points = 16
  /// Blocks in which the cells of a row, and its summaries, read each other.
  public var rowBlocks = 2
  public var rowHeads = 4
  /// Learned rows that a row's cells are read by.
  public var summaries = 4
  /// Hidden units of the blocks.
  public var feedForward = 64
  /// Cells that are read as one: those 1, 2, 4 … columns further on, counted around; 0 for each as it is.
  public var group = 0
  /// Whether cells of the context are told their row's output.
  public var seesOutputs = true
  /// Whether a cell is its number times what the column's blocks say, plus what they say besides; else what they say.
  public var isAffine = false
  /// How summaries and cells of a row are told their places.
  public var rotary = Rotary(base: 100_000)

  public init() {}

  /// Numbers of a cell.
  var numbers: Int { max(group, 1) }

  /// The columns that cell `cell` of `columns` is of.
  func columns(of cell: Int, among columns: Int) -> [Int] {
    group == 0 ? [cell] : (0..<group).map { (cell + 1 << $0) % columns }
  }

  /// What is wrong with it in a network `width` wide; nil where nothing is.
  func fault(width: Int) -> String? {
    for (name, value, range) in [
      ("columnBlocks", columnBlocks, 1...64), ("columnHeads", columnHeads, 1...128),
      ("points", points, 1...4096), ("rowBlocks", rowBlocks, 1...64), ("rowHeads", rowHeads, 1...128),
      ("summaries", summaries, 1...64), ("feedForward", feedForward, 1...16384), ("group", group, 0...16),
    ] where !range.contains(value) {
      return "\(name) is \(value); it must be within \(range.lowerBound)...\(range.upperBound)"
    }
    guard width.isMultiple(of: summaries) else {
      return "width \(width) must be a multiple of summaries (\(summaries))"
    }
    for (name, heads) in [("columnHeads", columnHeads), ("rowHeads", rowHeads)]
    where !(width / summaries).isMultiple(of: 4 * heads) {
      return "a cell is \(width / summaries) wide, which must be a multiple of 4·\(name) (\(heads))"
    }
    guard rotary.base > 1, rotary.base <= 1e12 else {
      return "rotary: base is \(rotary.base); it must be above 1 and at most 1e12"
    }
    if isAffine, group > 1 { return "isAffine multiplies one number; leave group out" }
    return nil
  }
}

extension CellReading: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case columnBlocks, columnHeads, points, rowBlocks, rowHeads, summaries, feedForward, group
    case seesOutputs, isAffine, rotary
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    func read<T: Decodable>(_ key: CodingKeys, _ path: WritableKeyPath<CellReading, T>) throws {
      if let value = try fields.decodeIfPresent(T.self, forKey: key) { self[keyPath: path] = value }
    }
    try read(.columnBlocks, \.columnBlocks)
    try read(.columnHeads, \.columnHeads)
    try read(.points, \.points)
    try read(.rowBlocks, \.rowBlocks)
    try read(.rowHeads, \.rowHeads)
    try read(.summaries, \.summaries)
    try read(.feedForward, \.feedForward)
    try read(.group, \.group)
    try read(.seesOutputs, \.seesOutputs)
    try read(.isAffine, \.isAffine)
    try read(.rotary, \.rotary)
  }
}
