/// Draws the marks of a chart into its plot area.
struct MarkDrawing {
  let x: Projection
  let y: Projection
  /// The plot area in pixels.
  let left: Double
  let top: Double
  let width: Double
  let height: Double

  func place(_ point: Series.Point) -> Thinning.Place? {
    guard let across = x(point.x), let up = y(point.y) else { return nil }
    return Thinning.Place(x: left + across * width, y: top + (1 - up) * height)
  }

  func draw(_ series: Series, _ colour: Series.Colour) -> String {
    let tint = Style.name(colour)
    let dash = series.isDashed ? " stroke-dasharray=\"6 5\"" : ""
    func opacity(_ usual: Double, _ property: String) -> String {
      let value = series.opacity ?? usual
      return value >= 1 ? "" : " \(property)-opacity=\"\(Self.hundredths(value))\""
    }
    switch series.mark {
    case .points(let points):
      let places = Thinning.scattered(points.compactMap(place))
      let size = places.count > 4000 ? 1.6 : places.count > 800 ? 2.6 : places.count > 150 ? 4 : 5.5
      var data = PathData()
      for place in places { data.dot(place.x, place.y) }
      return path(data, "s-\(tint)", size, opacity(places.count > 400 ? 0.55 : 0.85, "stroke"))
    case .line(let points):
      return path(
        lines(points, limit: Thinning.limit), "s-\(tint)", series.isDashed ? 1.5 : 2,
        dash + opacity(1, "stroke"))
    case .paths(let paths, let highlighted):
      return many(paths, highlighted, tint, dash, opacity(paths.count > 30 ? 0.25 : 0.45, "stroke"))
    case .band(let intervals):
      return path(area(intervals), "f-\(tint)", nil, opacity(0.2, "fill"))
    case .intervals(let intervals):
      var data = PathData()
      for interval in intervals {
        guard let low = place(Series.Point(interval.x, interval.low)),
          let high = place(Series.Point(interval.x, interval.high))
        else { continue }
        data.move(low.x, low.y)
        data.line(high.x, high.y)
      }
      return path(data, "s-\(tint)", 1.5, opacity(0.8, "stroke"))
    case .bars(let bars, let horizontal):
      return path(rectangles(bars, horizontal), "f-\(tint)", nil, opacity(0.75, "fill"))
    case .rule(let value):
      guard let up = y(value), (0...1).contains(up) else { return "" }
      var data = PathData()
      data.move(left, top + (1 - up) * height)
      data.line(left + width, top + (1 - up) * height)
      return path(data, "s-\(tint)", 1.5, dash + opacity(1, "stroke"))
    case .verticalRule(let value):
      guard let across = x(value), (0...1).contains(across) else { return "" }
      var data = PathData()
      data.move(left + across * width, top)
      data.line(left + across * width, top + height)
      return path(data, "s-\(tint)", 1.5, dash + opacity(1, "stroke"))
    case .matrix(let rows): return matrix(rows)
    }
  }

  private func path(_ data: PathData, _ name: String, _ stroke: Double?, _ attributes: String) -> String {
    guard !data.text.isEmpty else { return "" }
    let width = stroke.map { " stroke-width=\"\(SVGText.number($0))\"" } ?? ""
    return "<path class=\"\(name)\"\(width)\(attributes) d=\"\(data.text)\"/>\n"
  }

  /// Runs of points between which nothing is missing.
  private func runs(_ points: [Series.Point]) -> [[Thinning.Place]] {
    var runs: [[Thinning.Place]] = [[]]
    for point in points {
      if let place = place(point) {
        runs[runs.count - 1].append(place)
      } else if runs.last?.isEmpty == false {
        runs.append([])
      }
    }
    return runs.filter { !$0.isEmpty }
  }

  private func lines(_ points: [Series.Point], limit: Int) -> PathData {
    var data = PathData()
    var left = limit
    for run in runs(points) where left > 0 {
      let kept = Thinning.line(run, limit: left)
      left -= kept.count
      data.move(kept[0].x, kept[0].y)
      if kept.count == 1 { data.dot(kept[0].x, kept[0].y) }
      for place in kept.dropFirst() { data.line(place.x, place.y) }
    }
    return data
  }

  private func many(
    _ paths: [[Series.Point]], _ highlighted: Int?, _ tint: String, _ dash: String, _ opacity: String
  ) -> String {
    let each = max(2, 2 * Thinning.limit / max(paths.count, 1))
    var text = ""
    for (index, points) in paths.enumerated() where index != highlighted {
      text += path(lines(points, limit: each), "s-\(tint)", 1, dash + opacity)
    }
    if let highlighted, paths.indices.contains(highlighted) {
      text += path(lines(paths[highlighted], limit: Thinning.limit), "s-\(tint)", 2, dash)
    }
    return text
  }

  private func area(_ intervals: [Series.Interval]) -> PathData {
    var data = PathData()
    func add(_ run: ArraySlice<Series.Interval>) {
      let lower = Thinning.line(run.compactMap { place(Series.Point($0.x, $0.low)) })
      let upper = Thinning.line(run.compactMap { place(Series.Point($0.x, $0.high)) })
      guard let first = upper.first else { return }
      if run.count == 1, let low = lower.first {
        // One interval has no area; it is shown as a narrow one.
        data.move(first.x - 2, first.y)
        for corner in [(first.x + 2, first.y), (low.x + 2, low.y), (low.x - 2, low.y)] {
          data.line(corner.0, corner.1)
        }
      } else {
        data.move(first.x, first.y)
        for place in upper.dropFirst() { data.line(place.x, place.y) }
        for place in lower.reversed() { data.line(place.x, place.y) }
      }
      data.close()
    }
    var start = intervals.startIndex
    for (index, interval) in intervals.enumerated()
    where place(Series.Point(interval.x, interval.low)) == nil
      || place(Series.Point(interval.x, interval.high)) == nil
    {
      add(intervals[start..<index])
      start = index + 1
    }
    add(intervals[start...])
    return data
  }

  private func rectangles(_ bars: [Series.Bar], _ horizontal: Bool) -> PathData {
    var data = PathData()
    let base = horizontal ? x : y
    let zero =
      base.isLogarithmic ? base.range.lowerBound : min(max(0, base.range.lowerBound), base.range.upperBound)
    for bar in bars.prefix(Thinning.limit / 4) {
      let corners =
        horizontal
        ? (Series.Point(zero, bar.start), Series.Point(bar.value, bar.end))
        : (Series.Point(bar.start, zero), Series.Point(bar.end, bar.value))
      guard let one = place(corners.0), let other = place(corners.1) else { continue }
      // A gap between bars that are wide enough to spare it.
      let gapX = !horizontal && abs(other.x - one.x) > 5 ? 0.5 : 0
      let gapY = horizontal && abs(other.y - one.y) > 5 ? 0.5 : 0
      let (a, b) = (min(one.x, other.x) + gapX, max(one.x, other.x) - gapX)
      let (c, d) = (min(one.y, other.y) + gapY, max(one.y, other.y) - gapY)
      data.move(a, c)
      data.line(b, c)
      data.line(b, d)
      data.line(a, d)
      data.close()
    }
    return data
  }

  /// Cells that would be narrower than four pixels are left out, evenly.
  private func matrix(_ rows: [[Double]]) -> String {
    let count = max(rows.count, rows.map(\.count).max() ?? 0)
    let every = max(1, Int((4 * Double(count) / max(min(width, height), 1)).rounded(.up)))
    var text = ""
    for row in stride(from: 0, to: rows.count, by: every) {
      for column in stride(from: 0, to: rows[row].count, by: every) {
        let value = rows[row][column]
        guard value.isFinite, abs(value) >= 0.005 else { continue }
        let (r, c, e) = (Double(row), Double(column), Double(every))
        guard let one = place(Series.Point(c - 0.5, r - 0.5)),
          let other = place(Series.Point(c - 0.5 + e, r - 0.5 + e))
        else { continue }
        let (bottom, top) = (max(one.y, other.y), min(one.y, other.y))
        let right = min(max(one.x, other.x), left + width)
        let lower = min(bottom, self.top + height)
        text += SVGText.rectangle(
          min(one.x, other.x), max(top, self.top), right - min(one.x, other.x),
          lower - max(top, self.top),
          class: value > 0 ? "f-c0" : "f-c1",
          attributes:
            " shape-rendering=\"crispEdges\" fill-opacity=\"\(Self.hundredths(min(abs(value), 1)))\"")
      }
    }
    return text
  }

  private static func hundredths(_ value: Double) -> String {
    let number = Int((min(max(value, 0), 1) * 100).rounded())
    return number == 100 ? "1" : "0." + (number < 10 ? "0" : "") + String(number)
  }
}
