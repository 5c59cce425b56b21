import Foundation
import Testing

@testable import ChorusReports

@Suite struct PageTests {
  private let figure = Figure(charts: [
    Chart(title: "One & two", series: [.line("a", x: [0, 1], y: [1, 2])])
  ])

  @Test func oneFileWithoutNetworkOrScript() throws {
    let page = Page(
      title: "A <report>",
      blocks: [
        .heading("H & h"), .paragraph("p < q"), .figure(figure), .figure(figure),
        .table(Page.Table(columns: ["name", "value"], rows: [["<x>", "1"]])),
        .details("more", [.preformatted("a\n  b <"), .figure(figure)]),
      ])
    let html = page.html
    #expect(html == page.html && html.hasPrefix("<!DOCTYPE html>"))
    for word in ["<script", "href=", "src=", "url(http", "@import"] { #expect(!html.contains(word)) }
    #expect(html.contains("<h1>A &lt;report&gt;</h1>") && html.contains("<pre>a\n  b &lt;</pre>"))
    #expect(html.contains("<td>&lt;x&gt;</td><td class=\"number\">1</td>"))
    for index in 1...3 { #expect(html.components(separatedBy: "id=\"figure\(index)-title\"").count == 2) }
    // Well-formed but for the void elements of HTML.
    let start = try #require(html.range(of: "<body>")).lowerBound
    let end = try #require(html.range(of: "</body>")).upperBound
    #expect(try Document(String(html[start..<end])).elements.filter { $0.name == "svg" }.count == 3)
    #expect(!Page(figure, title: "t").html.contains("<h1>"))
  }
}

@Suite struct TerminalTextTests {
  private func lines(_ chart: Chart, _ columns: Int, _ rows: Int, colour: Bool = false) -> [String] {
    chart.text(columns: columns, rows: rows, colour: colour).split(separator: "\n").map(String.init)
  }

  @Test func aLineOfDotsInABand() {
    let x = (0...100).map(Double.init)
    let chart = Chart(
      title: "T", x: Axis("t"), y: Axis("level", unit: "m"),
      series: [
        .band("90 %", x: x, lower: x.map { $0 - 30 }, upper: x.map { $0 + 30 }, opacity: 0.15),
        .line("median", x: x, y: x), .points("seen", x: [50], y: [50]),
      ])
    let text = lines(chart, 60, 20)
    #expect(text.allSatisfy { $0.count <= 60 }, "\(text)")
    #expect(text[0] == "T" && text[1] == "level (m)" && text.last == "░ 90 %   ⠤⠤ median   • seen")
    #expect(text.joined().filter { $0 == "•" }.count == 2)
    // A rising line: its dots are farther right in higher rows, with the band on both sides.
    let places = text.compactMap { line in
      line.firstIndex { ("\u{2801}"..."\u{28FF}").contains($0) }.map {
        line.distance(from: line.startIndex, to: $0)
      }
    }
    #expect(places.count > 8 && places.dropLast().elementsEqual(places.dropLast().sorted(by: >)))
    #expect(text.contains { $0.contains("░") })
    #expect(!text.joined().contains("\u{1B}"))
    #expect(chart.text(columns: 60, rows: 20, colour: true).contains("\u{1B}[33m"))
    for columns in [1, 20, 33, 500] {
      for line in lines(chart, columns, 12) { #expect(line.count <= max(20, min(columns, 400))) }
    }
  }

  @Test func anyChartHasText() {
    for series in [
      Series.points("", x: [], y: []), .histogram("h", [1, 2, 2, 3]),
      Series("m", .matrix([[1, 0], [0, 1]])),
      Series("r", .rule(y: 3)), Series("v", .verticalRule(x: 3)),
      .band("b", x: [.nan], lower: [1], upper: [2]),
      Series("i", .intervals([.init(1, low: 0, high: 2)])),
      .paths("p", x: [0, 1], [[1, 2], [3, 4]], highlighted: 1),
      Series("h", .bars([.init(0, 1, value: -2)], horizontal: true)),
    ] {
      for scale in [Axis.Scale.linear, .log10, .date, .categories(["one", "two"])] {
        #expect(lines(Chart(x: Axis(scale: scale), y: Axis(), series: [series]), 40, 12).count >= 8)
      }
    }
  }
}

@Suite struct StyleTests {
  /// Relative luminance as in WCAG 2.
  private func luminance(_ colour: String) -> Double {
    let value = Int(colour.dropFirst(), radix: 16) ?? 0
    let parts = [value >> 16 & 255, value >> 8 & 255, value & 255].map { part -> Double in
      let share = Double(part) / 255
      return share <= 0.03928 ? share / 12.92 : pow((share + 0.055) / 1.055, 2.4)
    }
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
  }

  private func contrast(_ one: String, _ other: String) -> Double {
    let (a, b) = (luminance(one), luminance(other))
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)
  }

  @Test func coloursCanBeSeenOnBothPapers() throws {
    let paper = try #require(Style.frame.last)
    #expect(paper.name == "paper")
    for tint in Style.palette {
      #expect(contrast(tint.light, paper.light) >= 3, "\(tint.name)")
      #expect(contrast(tint.dark, paper.dark) >= 3, "\(tint.name)")
    }
    for tint in Style.frame.prefix(2) {
      #expect(
        contrast(tint.light, paper.light) >= 4.5 && contrast(tint.dark, paper.dark) >= 4.5, "\(tint.name)")
    }
  }
}
