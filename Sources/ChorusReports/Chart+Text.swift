import ChorusFiles

/// A chart as text for a terminal: Braille dots for lines, shades for bands.
extension Chart {
  /// The chart in lines of at most `columns` characters, about `rows` of them.
  ///
  /// Bands are `░` where one covers a place and `▒` where more do; lines are
  /// Braille dots, and so is the highlighted path where there is no band; points are `•`. With `colour`, the colours are those of the 16 that any terminal has.
  public func text(columns: Int, rows: Int, colour: Bool = false) -> String {
    harmless.drawn(columns: columns, rows: rows, colour: colour)
  }

  /// Without anything in its words that a terminal would act on: they may be from a file.
  private var harmless: Chart {
    func harmless(_ axis: Axis) -> Axis {
      var axis = axis
      (axis.title, axis.unit) = (axis.title.escapingControls(), axis.unit.escapingControls())
      if case .categories(let names) = axis.scale {
        axis.scale = .categories(names.map { $0.escapingControls() })
      }
      return axis
    }
    var chart = self
    chart.title = title.escapingControls()
    (chart.x, chart.y) = (harmless(x), harmless(y))
    for index in series.indices { chart.series[index].name = series[index].name.escapingControls() }
    return chart
  }

  private func drawn(columns: Int, rows: Int, colour: Bool) -> String {
    let (x, y) = Panel(chart: self, left: 0, top: 0, width: 0, height: 0, clip: "").projections()
    let columns = max(20, min(columns, 400))
    let height = max(4, min(rows, 100) - 4)
    let yTicks = y.ticks(count: max(2, height / 3))
    let labels = min(yTicks.map(\.label.count).max() ?? 0, columns / 3)
    var canvas = TextCanvas(columns: columns - labels - 2, rows: height)
    let names = Names(self, room: 0)
    // Paths in a band would hide it at this resolution.
    let hasBand = series.contains { if case .band = $0.mark { true } else { false } }
    let shown = names.all.filter { if hasBand, case .paths = $0.series.mark { false } else { true } }
    for entry in shown { canvas.draw(entry, x, y) }

    var text: [String] = []
    for line in TextMetrics.wrapped(title, to: Double(columns), size: 1.3, lines: 1) { text.append(line) }
    if !y.title.isEmpty { text.append(Self.cut(y.title, columns)) }
    var marks: [Int: String] = [:]
    for tick in yTicks {
      guard let up = y(tick.value), (0...1).contains(up) else { continue }
      marks[min(height - 1, Int((1 - up) * Double(height)))] = Self.cut(tick.label, labels)
    }
    for row in 0..<height {
      let label = marks[row]
      let space = String(repeating: " ", count: labels - (label?.count ?? 0))
      text.append(space + (label ?? "") + (label == nil ? " │" : " ┤") + canvas.line(row, colour: colour))
    }
    text += Self.axis(x, canvas.columns).map { String(repeating: " ", count: labels + 1) + $0 }
    if !x.title.isEmpty {
      text.append(String(repeating: " ", count: labels + 2) + Self.cut(x.title, canvas.columns))
    }
    var legend: (text: String, width: Int) = ("", 0)
    for entry in shown where !entry.series.name.isEmpty && entry.series.labelling != .none {
      let name = Self.cut(entry.series.name, columns - 6)
      if legend.width > 0, legend.width + name.count + 6 > columns {
        text.append(legend.text)
        legend = ("", 0)
      }
      let gap = legend.width == 0 ? "" : "   "
      legend.text += gap + TextCanvas.sample(entry, colour: colour) + " " + name
      legend.width += gap.count + 3 + name.count
    }
    if legend.width > 0 { text.append(legend.text) }
    return text.joined(separator: "\n") + "\n"
  }

  private static func cut(_ text: String, _ width: Int) -> String {
    text.count <= width ? text : text.prefix(max(width - 1, 0)) + "…"
  }

  /// The line of the horizontal axis, its labels, and the larger units of dates below them.
  private static func axis(_ x: Projection, _ columns: Int) -> [String] {
    // One character is one pixel here, and as wide as the widest estimate.
    let ticks = x.ticks(along: Double(columns), size: 1.6)
    var line = [Character](repeating: "─", count: columns)
    var labels = [Character](repeating: " ", count: columns)
    var contexts = labels
    func put(_ text: String, _ at: Int, _ row: inout [Character]) {
      let start = max(0, min(at - text.count / 2, columns - text.count))
      guard text.count <= columns, row[max(0, start - 1)..<start + text.count].allSatisfy({ $0 == " " })
      else { return }
      row.replaceSubrange(start..<start + text.count, with: Array(text))
    }
    for tick in ticks {
      guard let across = x(tick.value), (0...1).contains(across) else { continue }
      let column = min(columns - 1, Int(across * Double(columns)))
      line[column] = "┬"
      put(tick.label, column, &labels)
      if let context = tick.context { put(context, column, &contexts) }
    }
    func trimmed(_ row: [Character]) -> String {
      String(row.reversed().drop { $0 == " " }.reversed())
    }
    return ["└" + String(line), " " + trimmed(labels)]
      + (contexts.contains { $0 != " " } ? [" " + trimmed(contexts)] : [])
  }
}
