/// Cells of two by four dots.
struct TextCanvas {
  struct Cell {
    var dots: UInt8 = 0
    var bands = 0
    var isPoint = false
    var isBar = false
    var colour = 39
    var bandColour = 39

    var isBandOnly: Bool { dots == 0 && !isPoint && !isBar }

    /// Nil for a space.
    var character: Character? {
      if isPoint { return "•" }
      if isBar { return "█" }
      if dots != 0 { return Character(Unicode.Scalar(0x2800 + UInt32(dots)) ?? " ") }
      return bands > 1 ? "▒" : bands > 0 ? "░" : nil
    }
  }

  let columns: Int
  let rows: Int
  private var cells: [Cell]

  init(columns: Int, rows: Int) {
    self.columns = max(columns, 4)
    self.rows = rows
    cells = [Cell](repeating: Cell(), count: self.columns * rows)
  }

  private static func code(_ colour: Series.Colour) -> Int {
    switch colour {
    case .palette(let index): [34, 33, 32, 35, 93, 36, 31, 95][((index % 8) + 8) % 8]
    case .ink: 39
    case .muted: 90
    }
  }

  /// Numbers of dots: `x` from the left, `y` from the top.
  private func dot(_ point: Series.Point, _ x: Projection, _ y: Projection) -> (x: Int, y: Int)? {
    guard let across = x(point.x), let up = y(point.y) else { return nil }
    return (
      Int((across * Double(2 * columns - 1)).rounded()), Int(((1 - up) * Double(4 * rows - 1)).rounded())
    )
  }

  private mutating func change(_ x: Int, _ y: Int, _ body: (inout Cell) -> Void) {
    guard (0..<2 * columns).contains(x), (0..<4 * rows).contains(y) else { return }
    body(&cells[y / 4 * columns + x / 2])
  }

  private mutating func set(_ x: Int, _ y: Int, _ colour: Int) {
    let bits: [UInt8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80]
    change(x, y) { cell in
      cell.dots |= bits[y % 4 * 2 + x % 2]
      cell.colour = colour
    }
  }

  mutating func draw(_ entry: Names.Entry, _ x: Projection, _ y: Projection) {
    let colour = Self.code(entry.colour)
    switch entry.series.mark {
    case .points(let points):
      for point in points {
        guard let place = dot(point, x, y) else { continue }
        change(place.x, place.y) { ($0.isPoint, $0.colour) = (true, colour) }
      }
    case .line(let points): line(points, x, y, colour)
    case .paths(let paths, let highlighted):
      if let highlighted, paths.indices.contains(highlighted) { line(paths[highlighted], x, y, colour) }
    case .band(let intervals): band(intervals, x, y, colour)
    case .intervals(let intervals):
      for interval in intervals {
        line([Series.Point(interval.x, interval.low), Series.Point(interval.x, interval.high)], x, y, colour)
      }
    case .rule(let value):
      line([Series.Point(x.range.lowerBound, value), Series.Point(x.range.upperBound, value)], x, y, colour)
    case .verticalRule(let value):
      line([Series.Point(value, y.range.lowerBound), Series.Point(value, y.range.upperBound)], x, y, colour)
    case .bars(let bars, let horizontal): self.bars(bars, horizontal, x, y, colour)
    case .matrix(let matrix):
      for (row, values) in matrix.enumerated() {
        for (column, value) in values.enumerated() where abs(value) >= 0.5 {
          guard let place = dot(Series.Point(Double(column), Double(row)), x, y) else { continue }
          change(place.x, place.y) { $0.isBar = true }
        }
      }
    }
  }

  private mutating func line(_ points: [Series.Point], _ x: Projection, _ y: Projection, _ colour: Int) {
    var before: (x: Int, y: Int)?
    for point in points {
      let place = dot(point, x, y)
      if let place {
        let from = before ?? place
        let steps = max(abs(place.x - from.x), abs(place.y - from.y), 1)
        for step in 0...steps {
          set(from.x + (place.x - from.x) * step / steps, from.y + (place.y - from.y) * step / steps, colour)
        }
      }
      before = place
    }
  }

  private mutating func band(_ intervals: [Series.Interval], _ x: Projection, _ y: Projection, _ colour: Int)
  {
    var covered: Set<Int> = []
    func cover(_ x: Int, _ low: Double, _ high: Double) {
      guard (0..<2 * columns).contains(x) else { return }
      // A cell belongs to the band when its middle does.
      for row in 0..<rows where Double(4 * row) + 1.5 >= high && Double(4 * row) + 1.5 <= low {
        covered.insert(row * columns + x / 2)
      }
    }
    var before: (x: Int, low: Int, high: Int)?
    for interval in intervals {
      guard let low = dot(Series.Point(interval.x, interval.low), x, y),
        let high = dot(Series.Point(interval.x, interval.high), x, y)
      else {
        before = nil
        continue
      }
      let from = before ?? (low.x, low.y, high.y)
      for column in min(from.x, low.x)...max(from.x, low.x) {
        let share = low.x == from.x ? 1 : Double(column - from.x) / Double(low.x - from.x)
        cover(
          column, Double(from.low) + share * Double(low.y - from.low),
          Double(from.high) + share * Double(high.y - from.high))
      }
      before = (low.x, low.y, high.y)
    }
    for cell in covered {
      cells[cell].bands += 1
      cells[cell].bandColour = colour
    }
  }

  private mutating func bars(
    _ bars: [Series.Bar], _ horizontal: Bool, _ x: Projection, _ y: Projection, _ colour: Int
  ) {
    for bar in bars {
      let corners =
        horizontal
        ? (Series.Point(0, bar.start), Series.Point(bar.value, bar.end))
        : (Series.Point(bar.start, 0), Series.Point(bar.end, bar.value))
      guard bar.value != 0, let one = dot(corners.0, x, y), let other = dot(corners.1, x, y) else { continue }
      // A bar is never thinner than a dot.
      func dots(_ a: Int, _ b: Int, isThickness: Bool) -> ClosedRange<Int> {
        let first = max(0, min(a, b))
        return first...max(first, max(a, b) - (isThickness ? 1 : 0))
      }
      for column in dots(one.x, other.x, isThickness: !horizontal) {
        for row in dots(one.y, other.y, isThickness: horizontal) {
          set(column, row, colour)
        }
      }
    }
  }

  /// One row of cells, without spaces at its end; neighbours of one colour are painted together.
  func line(_ row: Int, colour: Bool) -> String {
    var text = ""
    var run = ""
    var code = 39
    var spaces = 0
    for cell in cells[row * columns..<(row + 1) * columns] {
      guard let character = cell.character else {
        spaces += 1
        continue
      }
      let own = cell.isBandOnly ? cell.bandColour : cell.colour
      if spaces > 0 || own != code {
        text += Self.painted(run, code, colour) + String(repeating: " ", count: spaces)
        (run, code, spaces) = ("", own, 0)
      }
      run.append(character)
    }
    return text + Self.painted(run, code, colour)
  }

  private static func painted(_ text: String, _ code: Int, _ colour: Bool) -> String {
    colour && code != 39 && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }

  /// What stands for a series in the legend.
  static func sample(_ entry: Names.Entry, colour: Bool) -> String {
    let mark: String
    switch entry.series.mark {
    case .points: mark = "•"
    case .band: mark = (entry.series.opacity ?? 0.2) > 0.2 ? "▒" : "░"
    case .bars, .matrix: mark = "█"
    case .intervals, .verticalRule: mark = "⡇"
    case .line, .rule, .paths: mark = "⠤⠤"
    }
    return painted(mark, code(entry.colour), colour)
  }
}
