/// An HTML page in one file: no script, no network, light and dark by the reader's preference.
public struct Page: Sendable, Hashable {
  public enum Block: Sendable, Hashable {
    case heading(String)
    case paragraph(String)
    case figure(Figure)
    case table(Table)
    /// Text in which spaces and line ends count.
    case preformatted(String)
    /// Blocks that are closed until the reader opens them.
    case details(String, [Block])
  }

  public struct Table: Sendable, Hashable {
    public var columns: [String]
    public var rows: [[String]]
    /// How many columns from the left are words; the others are numbers and stand at the right.
    public var textColumns: Int

    public init(columns: [String], rows: [[String]], textColumns: Int = 1) {
      self.columns = columns
      self.rows = rows
      self.textColumns = textColumns
    }
  }

  public var title: String
  public var blocks: [Block]

  public init(title: String, blocks: [Block]) {
    self.title = title
    self.blocks = blocks
  }

  /// A page that holds one picture.
  public init(_ figure: Figure, title: String) {
    self.init(title: title, blocks: [.figure(figure)])
  }

  /// The page. The same value gives the same bytes.
  public var html: String {
    var figures = 0
    let title = SVGText.escaped(self.title)
    let isOnlyPicture = blocks.allSatisfy { if case .figure = $0 { true } else { false } }
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>\(title)</title>
      <style>
      \(Self.style)</style>
      </head>
      <body>
      <main>
      \(isOnlyPicture ? "" : "<h1>\(title)</h1>\n")\(Self.html(blocks, &figures))</main>
      </body>
      </html>

      """
  }

  private static func html(_ blocks: [Block], _ figures: inout Int) -> String {
    var text = ""
    for block in blocks {
      switch block {
      case .heading(let words): text += "<h2>\(SVGText.escaped(words))</h2>\n"
      case .paragraph(let words): text += "<p>\(SVGText.escaped(words))</p>\n"
      case .figure(let figure):
        figures += 1
        text += "<figure>\n" + figure.svg(id: "figure\(figures)") + "</figure>\n"
      case .table(let table): text += html(table)
      case .preformatted(let words): text += "<pre>\(SVGText.escapedLines(words))</pre>\n"
      case .details(let name, let inner):
        text +=
          "<details><summary>\(SVGText.escaped(name))</summary>\n" + html(inner, &figures) + "</details>\n"
      }
    }
    return text
  }

  private static func html(_ table: Table) -> String {
    func cells(_ cells: [String], _ tag: String) -> String {
      cells.enumerated().map { index, cell in
        let side = index < table.textColumns ? "" : " class=\"number\""
        let scope = tag == "th" ? " scope=\"col\"" : ""
        return "<\(tag)\(side)\(scope)>\(SVGText.escaped(cell))</\(tag)>"
      }.joined()
    }
    let rows = table.rows.map { "<tr>\(cells($0, "td"))</tr>\n" }.joined()
    return "<div class=\"scroll\"><table>\n<thead><tr>\(cells(table.columns, "th"))</tr></thead>\n<tbody>\n"
      + rows + "</tbody>\n</table></div>\n"
  }

  private static let style =
    Style.variables(":root") + """
      body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 \(Style.fonts)}
      main{max-width:960px;margin:0 auto;padding:24px 16px 64px}
      h1{font-size:26px;line-height:1.25;margin:0 0 8px;overflow-wrap:anywhere}
      h2{font-size:19px;margin:36px 0 8px}
      p{max-width:70ch;margin:6px 0 12px;overflow-wrap:anywhere}
      figure{margin:12px 0}
      svg{display:block;max-width:100%;height:auto;margin:0 auto}
      .scroll{overflow-x:auto}
      table{border-collapse:collapse;margin:8px 0 16px;font-size:14px}
      th,td{padding:4px 14px 4px 0;text-align:left;border-bottom:1px solid var(--grid);vertical-align:top}
      th{color:var(--muted);font-weight:500}
      .number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
      pre{overflow-x:auto;font:12.5px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:var(--muted)}
      summary{cursor:pointer;color:var(--muted)}

      """
}
