/// Which series of a chart are named where, and in which colours.
struct Names {
  struct Entry: Sendable {
    let series: Series
    let colour: Series.Colour
  }

  /// Every series with its colour.
  let all: [Entry]
  /// Named at the end of the line.
  private(set) var atEnd: [Entry] = []
  /// Named beside the point.
  private(set) var beside: [Entry] = []
  private(set) var legend: [Entry] = []

  /// The most lines that are named at their ends.
  static let mostDirect = 7

  init(_ chart: Chart, room: Int) {
    var next = 0
    all = chart.series.map { series in
      if let colour = series.colour { return Entry(series: series, colour: colour) }
      defer { next += 1 }
      return Entry(series: series, colour: .palette(next))
    }
    let named = all.filter { !$0.series.name.isEmpty && $0.series.labelling != .none }
    let needsLegend = named.contains { $0.series.labelling != .direct && $0.series.place == .legend }
    for entry in named {
      switch entry.series.labelling == .legend ? .legend : entry.series.place {
      case .atEnd where entry.series.labelling == .direct || !needsLegend: atEnd.append(entry)
      case .beside where entry.series.labelling == .direct || !needsLegend: beside.append(entry)
      default: legend.append(entry)
      }
    }
    if atEnd.count > min(Self.mostDirect, room) {
      legend += atEnd
      atEnd = []
    }
    if beside.count > 24 {
      legend += beside
      beside = []
    }
  }
}

extension Series {
  enum NamePlace {
    case atEnd, beside, legend
  }

  /// Where the name stands if nothing speaks against it.
  var place: NamePlace {
    switch mark {
    case .line, .rule: .atEnd
    case .points(let points): points.count == 1 ? .beside : .legend
    default: .legend
    }
  }
}

/// The names of a chart in rows above the plot, each after a sample of its mark.
struct Legend {
  private let rows: [[(entry: Names.Entry, text: String, x: Double)]]
  private static let sample = 20.0
  private static let rowHeight = 18.0

  var height: Double { rows.isEmpty ? 0 : Double(rows.count) * Self.rowHeight + 4 }

  init(_ entries: [Names.Entry], width: Double) {
    var rows: [[(entry: Names.Entry, text: String, x: Double)]] = []
    var x = 0.0
    for entry in entries {
      let room = min(width - Self.sample - 6, 300)
      let text = TextMetrics.shortened(entry.series.name, to: room, size: Style.textSize)
      let needed = Self.sample + 6 + TextMetrics.width(text, size: Style.textSize)
      if rows.isEmpty || x + needed > width {
        rows.append([])
        x = 0
      }
      rows[rows.count - 1].append((entry, text, x))
      x += needed + 16
    }
    self.rows = rows
  }

  func draw(left: Double, top: Double) -> String {
    var text = ""
    for (index, row) in rows.enumerated() {
      let middle = top + (Double(index) + 0.5) * Self.rowHeight
      for item in row {
        text += Self.sample(item.entry, x: left + item.x, y: middle)
        text += SVGText.text(
          item.text, x: left + item.x + Self.sample + 6, y: middle + 4, class: "note",
          full: item.entry.series.name)
      }
    }
    return text
  }

  private static func sample(_ entry: Names.Entry, x: Double, y: Double) -> String {
    let tint = Style.name(entry.colour)
    let dash = entry.series.isDashed ? " stroke-dasharray=\"6 5\"" : ""
    func path(_ data: String, _ width: String) -> String {
      "<path class=\"s-\(tint)\" stroke-width=\"\(width)\"\(dash) d=\"\(data)\"/>\n"
    }
    let (left, right, middle) = (SVGText.number(x), SVGText.number(x + sample), SVGText.number(y))
    switch entry.series.mark {
    case .points: return path("M\(SVGText.number(x + sample / 2)) \(middle)h0", "6")
    case .line, .rule: return path("M\(left) \(middle)L\(right) \(middle)", dash.isEmpty ? "2" : "1.5")
    case .paths: return path("M\(left) \(middle)L\(right) \(middle)", "1.5")
    case .intervals, .verticalRule:
      let centre = SVGText.number(x + sample / 2)
      return path("M\(centre) \(SVGText.number(y - 6))L\(centre) \(SVGText.number(y + 6))", "1.5")
    case .band, .bars, .matrix:
      let opacity =
        entry.series.opacity.map { max($0, 0.2) }
        ?? { if case .band = entry.series.mark { 0.25 } else { 0.75 } }()
      return SVGText.rectangle(
        x, y - 5, sample, 10, class: "f-\(tint)", attributes: " fill-opacity=\"\(opacity)\"")
    }
  }
}

/// Names at the right ends of lines, pushed apart until none covers another.
struct EndLabels {
  struct Label {
    let entry: Names.Entry
    let text: String
    /// The line's end in pixels.
    let end: Thinning.Place
    var y: Double
  }

  static let spacing = 15.0
  private(set) var labels: [Label]

  init(_ entries: [Names.Entry], _ drawing: MarkDrawing, room: Double) {
    labels = entries.compactMap { entry in
      let end: Thinning.Place?
      switch entry.series.mark {
      case .line(let points): end = points.lazy.reversed().compactMap(drawing.place).first
      case .rule(let value):
        end = drawing.y(value).map {
          Thinning.Place(x: drawing.left + drawing.width, y: drawing.top + (1 - $0) * drawing.height)
        }
      default: end = nil
      }
      guard let end else { return nil }
      let y = min(max(end.y, drawing.top), drawing.top + drawing.height)
      let text = TextMetrics.shortened(entry.series.name, to: room, size: Style.textSize, bold: true)
      return Label(entry: entry, text: text, end: Thinning.Place(x: end.x, y: y), y: y)
    }
    labels.sort { $0.y < $1.y }
    spread(drawing.top, drawing.top + drawing.height)
  }

  private mutating func spread(_ top: Double, _ bottom: Double) {
    // Groups of labels that touch stand centred on the mean of their ends.
    var groups: [(members: Range<Int>, centre: Double)] = []
    for index in labels.indices {
      groups.append((index..<index + 1, labels[index].y))
      while groups.count > 1 {
        let (one, other) = (groups[groups.count - 2], groups[groups.count - 1])
        let distance = Double(one.members.count + other.members.count) / 2 * Self.spacing
        guard other.centre - one.centre < distance else { break }
        let members = one.members.lowerBound..<other.members.upperBound
        let mean = members.reduce(0) { $0 + labels[$1].y } / Double(members.count)
        let half = Double(members.count) / 2 * Self.spacing
        groups.removeLast(2)
        groups.append((members, max(min(mean, bottom - half + 8), top + half - 8)))
      }
    }
    for group in groups {
      let first = group.centre - Double(group.members.count - 1) / 2 * Self.spacing
      for (place, index) in group.members.enumerated() {
        labels[index].y = first + Double(place) * Self.spacing
      }
    }
  }

  func draw(at x: Double) -> String {
    var text = ""
    for label in labels {
      if x - label.end.x > 14 || abs(label.y - label.end.y) > 9 {
        text += SVGText.line(label.end.x + 3, label.end.y, x - 3, label.y, class: "axis")
      }
      text += SVGText.text(
        label.text, x: x, y: label.y + 4, class: "label f-\(Style.name(label.entry.colour))",
        full: label.entry.series.name)
    }
    return text
  }
}
