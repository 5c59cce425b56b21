/// Rows of a table as a process with a length for every column reads them: columns of the design, then a column of names for each
/// category that has more levels than the design has columns for.
///
/// The design has columns for the most frequent levels of such a category and takes the others for one; the process knows all of
/// them, also those that the context does not have: rows that are asked for together may share one.
struct ProcessDesign: Sendable {
  /// Columns of the design, those that tell the most first.
  private let places: [Int]
  /// Columns of the cells.
  private let named: [Int]
  private let designWidth: Int

  var width: Int { places.count + named.count }
  /// How many of the columns, the last, name levels.
  var names: Int { named.count }

  /// What a missing cell of such a column is: the name of no level, and a number that 32 bits hold.
  private static let missing = -16_777_216.0

  /// - Parameter most: columns, beyond which those of the design that tell the least are left out.
  init(_ design: TableDesign, most: Int) {
    designWidth = design.width
    let named = Array(design.crowded.prefix(most))
    self.named = named
    let others = design.owners.indices.filter { !design.crowded.contains(design.owners[$0]) }
    places = Array(others.prefix(most - named.count))
  }

  /// Some of the rows, `[some, width]`.
  func rows(_ rows: TableRows, _ some: [Int]) -> [Double] {
    var out: [Double] = []
    out.reserveCapacity(some.count * width)
    for row in some {
      for place in places { out.append(rows.design[row * designWidth + place]) }
      for column in named {
        let level = rows.cells[row, column]
        out.append(level.isNaN ? Self.missing : level)
      }
    }
    return out
  }
}
