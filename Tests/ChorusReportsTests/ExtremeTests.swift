import Foundation
import Testing

@testable import ChorusReports

/// Axes of every width, from the narrowest that numbers have to the widest.
@Suite struct ExtremeTests {
  static let sizes: [Double] =
    [0, .leastNonzeroMagnitude, 1e-320, .leastNormalMagnitude, 1e-300, 1e-151, 1e-150, 1e-149]
    + stride(from: -140.0, through: 160, by: 12.5).map { pow(10, $0) } + [1e300, .greatestFiniteMagnitude]

  private func draw(_ chart: Chart) throws {
    _ = try Document(chart.svg())
    for size in [(20, 4), (80, 24), (400, 100)] {
      #expect(!chart.text(columns: size.0, rows: size.1, colour: true).isEmpty)
    }
  }

  @Test func everyWidthOfEveryAxisIsDrawn() throws {
    for start in [0, 1, -1e9, 20_000, 1e15] {
      for size in Self.sizes {
        let (x, y) = ([start, start + size / 3, start + size], [size, -size, start])
        let scales: [Axis.Scale] = [.linear, .date, .log10]
        for scale in scales {
          let bounds = x[2] > x[0] && x[2].isFinite ? x[0]...x[2] : nil
          for bounds in [nil, bounds] {
            try draw(
              Chart(
                x: Axis("x", scale: scale, bounds: bounds), y: Axis("y", scale: scale),
                series: [
                  .line("line", x: x, y: y), .points("points", x: x, y: x),
                  .band("band", x: x, lower: y, upper: x), .paths("paths", x: x, [y, x], highlighted: 0),
                  .histogram("histogram", x + y),
                ]))
          }
        }
      }
    }
  }

  @Test func everyNumberIsWritten() {
    for size in Self.sizes + [.nan, .infinity] {
      for value in [size, -size, size * 3] {
        #expect(!ChartNumber.text(value).isEmpty)
      }
    }
    #expect(ChartNumber.text(5e-324) == "4.94×10⁻³²⁴")
    #expect(ChartNumber.text(2.5e-310) == "2.5×10⁻³¹⁰")
    #expect(ChartNumber.text(-1.25e300) == "−1.25×10³⁰⁰")
  }

  @Test func aTerminalActsOnNoWord() {
    let evil = "a\u{1B}[2J\r\nb\u{7}"
    let chart = Chart(
      title: evil, x: Axis(evil, unit: evil), y: Axis(evil, scale: .categories([evil, evil])),
      series: [
        .points(evil, x: [0, 1], y: [0, 1]), .line(evil, x: [0, 1], y: [0, 1]),
        Series(evil, .rule(y: 1), labelling: .legend),
      ])
    let text = chart.text(columns: 200, rows: 30)
    #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
    #expect(text.contains("\\u{1B}[2J\\r\\nb\\u{7}"))
    #expect(
      text.split(separator: "\n").count
        == Chart(
          title: "a", x: Axis("x", unit: "m"), y: Axis("y", scale: .categories(["a", "b"])),
          series: chart.series
        ).text(columns: 200, rows: 30).split(separator: "\n").count)
  }
}
