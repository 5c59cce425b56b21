/// A chart laid out in a rectangle.
struct Panel {
  let chart: Chart
  /// In pixels.
  let left: Double
  let top: Double
  let width: Double
  let height: Double
  /// Of the clip path; each panel of a document has its own.
  let clip: String

  private static let gap = 6.0

  func draw() -> String {
    let (x, y) = projections()
    var text = ""
    var cursor = top
    cursor = lines(chart.title, "title", Style.titleSize, 2, &text, cursor)
    cursor = lines(chart.subtitle, "note", Style.textSize, 2, &text, cursor)
    let names = Names(chart, room: max(1, Int((height - 120) / EndLabels.spacing)))
    let legend = Legend(names.legend, width: width)
    if legend.height > 0 {
      text += legend.draw(left: left, top: cursor + 2)
      cursor += legend.height + 2
    }
    cursor = lines(y.title, "note", Style.textSize, 2, &text, cursor + (cursor > top ? 6 : 0))
    let plotTop = cursor + 10

    let tick = Style.tickSize
    let below = xLabelHeight(x) + titleHeight(x.title)
    let plotHeight = max(top + height - below - plotTop, 40)
    let yTicks = y.ticks(count: max(2, Int(plotHeight / 36)))
    let widest = yTicks.map { TextMetrics.width($0.label, size: tick) }.max() ?? 0
    let plotLeft = left + min(widest, width * 0.32) + 10
    let room = width * 0.28
    let endWidth = names.atEnd.map {
      min(room, TextMetrics.width($0.series.name, size: Style.textSize, bold: true))
    }.max()
    var plotWidth = max(left + width - (endWidth.map { $0 + 14 } ?? 14) - plotLeft, 40)
    if isMatrix { plotWidth = min(plotWidth, plotHeight) }
    let drawing = MarkDrawing(x: x, y: y, left: plotLeft, top: plotTop, width: plotWidth, height: plotHeight)

    text += yAxis(y, yTicks, drawing, labels: min(widest, width * 0.32))
    text += xAxis(x, drawing)
    text +=
      "<clipPath id=\"\(clip)\">"
      + SVGText.rectangle(plotLeft - 4, plotTop - 4, plotWidth + 8, plotHeight + 8, class: "clip").dropLast()
      + "</clipPath>\n<g clip-path=\"url(#\(clip))\">\n"
    let marks = names.all.map { drawing.draw($0.series, $0.colour) }.joined()
    text += marks + "</g>\n"
    if marks.isEmpty {
      text += SVGText.text(
        "nothing to draw", x: plotLeft + plotWidth / 2, y: plotTop + plotHeight / 2, class: "note",
        anchor: .middle)
    }
    text += EndLabels(names.atEnd, drawing, room: room).draw(at: plotLeft + plotWidth + 8)
    text += PointLabels(names.beside, names.all, drawing).draw()
    return text
  }

  /// Whether the plot is a square.
  private var isMatrix: Bool {
    chart.series.contains { if case .matrix = $0.mark { true } else { false } }
  }

  /// The axes with their ranges. Bars begin at 0, and nothing pads the squares of a matrix.
  func projections() -> (x: Projection, y: Projection) {
    var (xAxis, yAxis) = (chart.x, chart.y)
    var padding = (x: 0.02, y: 0.05)
    for series in chart.series {
      switch series.mark {
      case .bars(_, let horizontal):
        if horizontal { xAxis.includesZero = true } else { yAxis.includesZero = true }
      case .matrix: padding = (0, 0)
      default: break
      }
    }
    var x = Extent(positiveOnly: xAxis.scale == .log10)
    var y = Extent(positiveOnly: yAxis.scale == .log10)
    for series in chart.series { series.extend(&x, &y) }
    return (Projection(xAxis, x, padding: padding.x), Projection(yAxis, y, padding: padding.y))
  }

  /// Writes wrapped lines from `cursor` down and returns where they end.
  private func lines(
    _ words: String, _ name: String, _ size: Double, _ most: Int, _ text: inout String, _ cursor: Double
  ) -> Double {
    var cursor = cursor
    for line in TextMetrics.wrapped(words, to: width, size: size, lines: most, bold: name == "title") {
      text += SVGText.text(
        line, x: left, y: cursor + size, class: name, full: line.contains("…") ? words : nil)
      cursor += (size * Style.lineHeight).rounded()
    }
    return cursor
  }

  private func xLabelHeight(_ x: Projection) -> Double {
    let probe = x.ticks(along: width * 0.85, size: Style.tickSize)
    return 8 + Style.tickSize * Style.lineHeight * (probe.contains { $0.context != nil } ? 2 : 1)
  }

  private func titleHeight(_ title: String) -> Double {
    let rows = TextMetrics.wrapped(title, to: width * 0.9, size: Style.textSize, lines: 2).count
    return rows == 0 ? 0 : 4 + Double(rows) * Style.textSize * Style.lineHeight
  }

  private func yAxis(_ y: Projection, _ ticks: [Tick], _ drawing: MarkDrawing, labels room: Double) -> String
  {
    var text = ""
    for tick in ticks {
      guard let up = y(tick.value), (-1e-6...1 + 1e-6).contains(up) else { continue }
      let place = drawing.top + (1 - up) * drawing.height
      if case .categories = y.axis.scale {
      } else {
        text += SVGText.line(drawing.left, place, drawing.left + drawing.width, place, class: "grid")
      }
      text += SVGText.text(
        TextMetrics.shortened(tick.label, to: room + 1, size: Style.tickSize), x: drawing.left - Self.gap,
        y: place + 4,
        class: "tick", anchor: .end, full: tick.label)
    }
    return text
  }

  private func xAxis(_ x: Projection, _ drawing: MarkDrawing) -> String {
    var text = ""
    let bottom = drawing.top + drawing.height
    let ticks = x.ticks(along: drawing.width, size: Style.tickSize)
    var isCategories = false
    if case .categories = x.axis.scale { isCategories = true }
    for tick in ticks {
      guard let across = x(tick.value), (-1e-6...1 + 1e-6).contains(across) else { continue }
      let place = drawing.left + across * drawing.width
      if !isCategories {
        text += SVGText.line(place, drawing.top, place, bottom, class: "grid")
        text += SVGText.line(place, bottom, place, bottom + 4, class: "axis")
      }
      let baseline = bottom + 8 + Style.tickSize
      if !tick.label.isEmpty {
        text += SVGText.text(tick.label, x: place, y: baseline, class: "tick", anchor: .middle)
      }
      if let context = tick.context {
        text += SVGText.text(
          context, x: place, y: baseline + Style.tickSize * Style.lineHeight, class: "tick", anchor: .middle)
      }
    }
    text += SVGText.line(drawing.left, bottom, drawing.left + drawing.width, bottom, class: "axis")
    let titles = TextMetrics.wrapped(x.title, to: width * 0.9, size: Style.textSize, lines: 2)
    let base = top + height - Double(titles.count - 1) * Style.textSize * Style.lineHeight - 3
    for (index, line) in titles.enumerated() {
      // Below the middle of the plot, unless that would lead out of the picture.
      let half = TextMetrics.width(line, size: Style.textSize) / 2
      let middle = max(left + half, min(drawing.left + drawing.width / 2, left + width - half))
      text += SVGText.text(
        line, x: middle,
        y: base + Double(index) * Style.textSize * Style.lineHeight,
        class: "note", anchor: .middle, full: line.contains("…") ? x.title : nil)
    }
    return text
  }
}
