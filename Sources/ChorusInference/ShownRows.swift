import ChorusData
import ChorusTensors

/// Rows of which some cells were drawn before, path by path.
struct ShownRows: Sendable {
  /// As all paths have them.
  let plain: Cells
  /// Of each cell its place in a path, where it was drawn.
  let places: [Int?]
  let paths: [[Double]]

  /// Whether all paths have the same cells.
  var isShared: Bool { places.allSatisfy { $0 == nil } }

  func cells(_ path: Int) throws -> Cells {
    guard !isShared else { return plain }
    var values = plain.values
    for (cell, place) in places.enumerated() { if let place { values[cell] = paths[path][place] } }
    return try Cells(values, categories: plain.categories)
  }

  /// The different rows of all paths, and which of them each path has; nil for more than `most`.
  ///
  /// Where levels were drawn before, a row is one of few on most paths.
  func distinct(_ count: Int, most: Int) throws -> (rows: Cells, places: [[Int]])? {
    let width = plain.columns
    let drawn = (0..<plain.count).map { row in
      (row * width..<(row + 1) * width).compactMap { cell in places[cell].map { (cell - row * width, $0) } }
    }
    var (numbers, values): ([Row: Int], [Double]) = ([:], [])
    var found: [[Int]] = []
    for path in 0..<count {
      var own: [Int] = []
      for row in 0..<plain.count {
        let key = Row(row: row, drawn: drawn[row].map { paths[path][$0.1].bitPattern })
        if let number = numbers[key] {
          own.append(number)
          continue
        }
        guard numbers.count < most else { return nil }
        own.append(numbers.count)
        numbers[key] = numbers.count
        var cells = Array(plain[row])
        for (column, place) in drawn[row] { cells[column] = paths[path][place] }
        values += cells
      }
      found.append(own)
    }
    return (try Cells(values, categories: plain.categories), found)
  }

  private struct Row: Hashable {
    let row: Int
    let drawn: [UInt64]
  }

  /// What a network is told of the rows of all paths, where they are few; nil where telling each path's by themselves takes no more.
  func toldOnce(
    _ count: Int, on pool: ThreadPool?, _ tell: @escaping @Sendable (Cells) throws -> Inputs
  ) throws -> ToldPaths? {
    guard let (rows, places) = try distinct(count, most: min(count * plain.count / 2, ToldPaths.most)) else {
      return nil
    }
    let parts = stride(from: 0, to: rows.count, by: ToldPaths.part).map {
      $0..<min($0 + ToldPaths.part, rows.count)
    }
    let told = try pool.over(parts.count) { try tell(rows.rows(parts[$0])) }
    return ToldPaths(
      rows: try Inputs(told.flatMap(\.values), dimensions: told.first?.dimensions ?? 1), places: places)
  }
}

/// What a network is told of rows that many paths share.
struct ToldPaths: Sendable {
  /// Different rows that are held at once, and rows told in one go.
  static let most = 20_000
  static let part = 256

  let rows: Inputs
  /// Of each path the places of its rows.
  let places: [[Int]]

  func inputs(_ path: Int) -> Inputs { rows.rows(places[path]) }
}

extension ThreadPool? {
  /// What `body` makes of each number below `count`, on the threads there are.
  func over<R: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> R
  ) throws -> [R] {
    guard let pool = self else { return try (0..<count).map(body) }
    return try pool.map(count) { index, _ in try body(index) }
  }
}
