/// Names beside single points, each where it covers least; one that stands apart is joined to its point by a line.
struct PointLabels {
  /// Where a name begins or ends, from its point.
  private struct Side {
    let x: Double
    let y: Double
    let anchor: SVGText.Anchor

    /// Nearest first: right, left, above, below, then farther up and down.
    static let all: [Side] =
      [
        Side(x: 8, y: 4, anchor: .start), Side(x: -8, y: 4, anchor: .end), Side(x: 0, y: -9, anchor: .middle),
        Side(x: 0, y: 18, anchor: .middle),
      ]
      + [-14, 22, -30, 38, -46, 54, -62, -78, -94].flatMap { y in
        [Side(x: 8, y: y, anchor: .start), Side(x: -8, y: y, anchor: .end)]
      }

    var isApart: Bool { y < -20 || y > 24 }
  }

  private struct Box {
    let x: ClosedRange<Double>
    let y: ClosedRange<Double>

    func overlaps(_ other: Box) -> Bool { x.overlaps(other.x) && y.overlaps(other.y) }
  }

  private struct Label {
    let entry: Names.Entry
    let centre: Thinning.Place
    let side: Side
  }

  private var labels: [Label] = []

  init(_ entries: [Names.Entry], _ all: [Names.Entry], _ drawing: MarkDrawing) {
    func points(_ entry: Names.Entry) -> [Thinning.Place] {
      switch entry.series.mark {
      case .points(let points), .line(let points): points.prefix(200).compactMap(drawing.place)
      default: []
      }
    }
    var taken = all.flatMap(points).map { Box(x: $0.x - 4...$0.x + 4, y: $0.y - 4...$0.y + 4) }
    let (right, bottom) = (drawing.left + drawing.width + 12, drawing.top + drawing.height)
    for entry in entries {
      guard let centre = points(entry).first else { continue }
      let width = TextMetrics.width(entry.series.name, size: Style.textSize, bold: true)
      func box(_ side: Side) -> Box {
        let x = centre.x + side.x
        let start = side.anchor == .start ? x : side.anchor == .end ? x - width : x - width / 2
        return Box(x: start...start + width, y: centre.y + side.y - 11...centre.y + side.y + 4)
      }
      func cost(_ box: Box) -> Int {
        let inside =
          box.x.lowerBound >= drawing.left - 4 && box.x.upperBound <= right
          && box.y.lowerBound >= drawing.top - 10 && box.y.upperBound <= bottom
        return taken.count { $0.overlaps(box) } + (inside ? 0 : 3)
      }
      var best: (side: Side, cost: Int)?
      for side in Side.all {
        let cost = cost(box(side))
        if best == nil || cost < best?.cost ?? 0 { best = (side, cost) }
        if cost == 0 { break }
      }
      guard let best else { continue }
      taken.append(box(best.side))
      labels.append(Label(entry: entry, centre: centre, side: best.side))
    }
  }

  func draw() -> String {
    labels.map { label in
      let (x, y) = (label.centre.x + label.side.x, label.centre.y + label.side.y)
      let line =
        label.side.isApart
        ? SVGText.line(
          label.centre.x, label.centre.y + (label.side.y < 0 ? -4 : 4), x,
          y + (label.side.y < 0 ? 4 : -10), class: "axis") : ""
      return line
        + SVGText.text(
          label.entry.series.name, x: x, y: y, class: "label f-\(Style.name(label.entry.colour))",
          anchor: label.side.anchor)
    }.joined()
  }
}
