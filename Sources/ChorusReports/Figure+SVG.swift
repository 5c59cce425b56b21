extension Figure {
  private static let margin = 16.0
  private static let space = 28.0

  /// The figure as an SVG document: light and dark by the reader's preference, with an accessible title and description.
  ///
  /// - Parameter id: the beginning of the ids in the document; give each picture of an HTML page its own.
  public func svg(id: String = "chart") -> String {
    let id = String(
      id.unicodeScalars.map {
        $0.properties.isAlphabetic && $0.isASCII || ("0"..."9").contains($0) ? Character($0) : "-"
      })
    let width = min(max(self.width, 160), 10_000)
    let inner = width - 2 * Self.margin
    let columns = max(1, min(self.columns, charts.count))
    let panelWidth = (inner - Self.space * Double(columns - 1)) / Double(columns)
    var body = ""
    var cursor = Self.margin
    func add(_ words: String, _ name: String, _ size: Double, lines: Int) {
      for line in TextMetrics.wrapped(words, to: inner, size: size, lines: lines, bold: name != "note") {
        body += SVGText.text(line, x: Self.margin, y: cursor + size, class: name)
        cursor += (size * Style.lineHeight).rounded()
      }
    }
    add(title, charts.count > 1 ? "head" : "title", Style.headSize, lines: 2)
    if !title.isEmpty { cursor += 8 }
    for row in stride(from: 0, to: charts.count, by: columns) {
      let members = charts[row..<min(row + columns, charts.count)]
      let height = min(max(members.map(\.height).max() ?? 0, 120), 10_000)
      for (column, chart) in members.enumerated() {
        let panel = Panel(
          chart: chart, left: Self.margin + Double(column) * (panelWidth + Self.space), top: cursor,
          width: panelWidth,
          height: height - (charts.count == 1 ? 2 * Self.margin : 0), clip: "\(id)-clip\(row + column)")
        body += "<g>\n" + panel.draw() + "</g>\n"
      }
      cursor += height - (charts.count == 1 ? 2 * Self.margin : 0)
      if row + columns < charts.count { cursor += Self.space }
    }
    if !caption.isEmpty {
      cursor += 12
      add(caption, "note", Style.textSize, lines: 6)
    }
    let height = cursor + Self.margin
    let name = [title, charts.first?.title ?? "", "Chart"].first { !$0.isEmpty } ?? ""
    let words = (charts.map(\.description) + [caption]).filter { !$0.isEmpty }.joined(separator: " ")
    let size = "width=\"\(SVGText.number(width))\" height=\"\(SVGText.number(height))\""
    return """
      <svg xmlns="http://www.w3.org/2000/svg" class="chorus-figure" role="img" \
      aria-labelledby="\(id)-title \(id)-desc" \(size) \
      viewBox="0 0 \(SVGText.number(width)) \(SVGText.number(height))">
      <title id="\(id)-title">\(SVGText.escaped(name))</title>
      <desc id="\(id)-desc">\(SVGText.escaped(words))</desc>
      <style>
      \(Style.sheet)</style>
      \(SVGText.rectangle(0, 0, width, height, class: "paper", attributes: " rx=\"6\""))\(body)</svg>

      """
  }
}
