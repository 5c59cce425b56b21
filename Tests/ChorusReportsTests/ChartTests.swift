import Foundation
import Testing

@testable import ChorusReports

@Suite struct ChartTests {
  private let ramp = (0..<50).map(Double.init)

  @Test func accessibleWellFormedAndTheSameBytes() throws {
    let chart = Chart(
      title: "A <b> & \"c\" \u{1}\u{8}", x: Axis("a<b", unit: "m&m"), y: Axis("]]> level"),
      series: [.line("x > y & z", x: ramp, y: ramp)])
    let text = chart.svg(id: "one & two")
    #expect(chart.svg(id: "one & two") == text)
    let document = try Document(text)
    let root = try #require(document.elements.first)
    #expect(root.name == "svg" && root.attributes["role"] == "img")
    let ids = try #require(root.attributes["aria-labelledby"]).split(separator: " ").map(String.init)
    let named = document.elements.filter { ids.contains($0.attributes["id"] ?? "") }
    #expect(named.map(\.name) == ["title", "desc"])
    #expect(named[0].text == "A <b> & \"c\" \u{FFFD}\u{FFFD}")
    #expect(named[1].text == "]]> level against a<b: x > y & z.")
    #expect(document.texts("label f-c0") == ["x > y & z"])
    #expect(document.texts("note").contains("a<b (m&m)"))
    #expect(text.contains("prefers-color-scheme:dark") && !text.contains("http://www.w3.org/1999"))
  }

  @Test func placesOfPointsFollowTheTicks() throws {
    let chart = Chart(
      x: Axis(bounds: 0...10), y: Axis(scale: .log10, bounds: 1...1000),
      series: [.points("", x: [5, 5, 5], y: [1, 10, 100])])
    let document = try Document(chart.svg())
    let ticks = Dictionary(
      document.elements("text", class: "tick").map { ($0.text, $0.attributes) },
      uniquingKeysWith: { a, _ in a })
    let dots = Document.numbers(try #require(document.elements("path", class: "s-c0").first?.attributes["d"]))
    // x y 0, three times.
    #expect(dots.count == 9)
    #expect(dots[0] == Double(ticks["5"]?["x"] ?? ""))
    let y = ["1", "10", "100"].map { (Double(ticks[$0]?["y"] ?? "") ?? .nan) - 4 }
    for (place, tick) in zip([dots[1], dots[4], dots[7]], y) { #expect(abs(place - tick) < 0.11) }
    #expect(abs((y[0] - y[1]) - (y[1] - y[2])) < 0.21)
  }

  @Test func hugeDataGiveBoundedFiles() throws {
    var state: UInt64 = 1
    let noise = (0..<100_000).map { _ -> Double in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 40)
    }
    let index = noise.indices.map(Double.init)
    let scatter = Chart(series: [.points("p", x: noise, y: noise.reversed())]).svg()
    let lines = Chart(series: [
      .paths("p", x: index, (0..<50).map { shift in noise.map { $0 + Double(shift) } }, highlighted: 1),
      .line("q", x: index, y: noise), .band("r", x: index, lower: noise, upper: noise.map { $0 + 1 }),
    ]).svg()
    let toAndFro = Chart(series: [.line("q", x: noise, y: index)]).svg()
    for text in [scatter, lines, toAndFro] {
      #expect(text.utf8.count < 1_000_000)
      _ = try Document(text)
    }
    // The first is the sample in the legend.
    let paths = try Document(lines).elements("path", class: "s-c1").compactMap { $0.attributes["d"] }
    let path = try #require(paths.last)
    // Thinning keeps the extremes.
    let kept = Document.numbers(path)
    let heights = stride(from: 1, to: kept.count, by: 2).map { kept[$0] }
    let all = try Document(
      Chart(series: [.line("q", x: [0, 1], y: [noise.min() ?? 0, noise.max() ?? 0])]).svg())
    let two = Document.numbers(try #require(all.elements("path", class: "s-c0").first?.attributes["d"]))
    #expect(try #require(heights.max()) - #require(heights.min()) > 0.9 * abs(two[1] - two[3]) * 0.8)
  }

  @Test func whatCanNotBeDrawnIsLeftOut() throws {
    let chart = Chart(
      x: Axis(), y: Axis(scale: .log10),
      series: [.line("", x: [0, 1, 2, 3, 4, 5, .nan, 7], y: [1, 2, -1, 4, .infinity, 6, 7, 1e200])])
    let document = try Document(chart.svg())
    let path = try #require(document.elements("path", class: "s-c0").first?.attributes["d"])
    // Three runs: 0-1, 3, 5; a lone place is a dot.
    #expect(path.filter { $0 == "M" }.count == 5 && path.filter { $0 == "h" }.count == 2)
    for series in [
      Series.points("", x: [], y: []), .points("", x: [.nan], y: [1]), .line("", x: [1], y: [.nan]),
      .histogram("", []), .band("", x: [.nan], lower: [0], upper: [1]), Series("", .matrix([])),
      Series("", .rule(y: .nan)),
    ] {
      #expect(try Document(Chart(series: [series]).svg()).texts("note") == ["nothing to draw"])
    }
  }

  @Test func oneRowAndConstants() throws {
    let cases: [[Double]] = [[5], [5, 5, 5], [0, 0], [1e12, 1e12], [-3e-7, -3e-7], [1, 1 + 1e-15]]
    for values in cases {
      for scale in [Axis.Scale.linear, .log10, .date] {
        let chart = Chart(
          x: Axis(scale: scale), y: Axis(scale: scale),
          series: [.points("", x: values, y: values), .band("", x: values, lower: values, upper: values)])
        let document = try Document(chart.svg())
        #expect(!chart.svg().contains("nan") && !chart.svg().contains("inf"))
        if scale == .linear { #expect(Set(document.texts("tick")).count > 2, "\(values)") }
      }
    }
  }

  @Test func namesStandWhereTheyAreReadBest() throws {
    let lines = (0..<5).map { Series.line("line \($0)", x: ramp, y: ramp.map { $0 * 1.0001 }) }
    let document = try Document(Chart(series: lines).svg())
    let ends = document.elements.filter { ($0.attributes["class"] ?? "").hasPrefix("label") }
    #expect(Set(ends.map(\.text)) == Set((0..<5).map { "line \($0)" }))
    let heights = ends.compactMap { Double($0.attributes["y"] ?? "") }.sorted()
    for (one, other) in zip(heights, heights.dropFirst()) { #expect(other - one > 14.8) }
    // Too many for the ends of the lines, or a chart that needs a legend anyway: all in one legend.
    let many = (0..<9).map { Series.line("line \($0)", x: ramp, y: ramp) }
    #expect(try Document(Chart(series: many).svg()).texts("note").count == 9)
    let mixed = [Series.line("line", x: ramp, y: ramp), .band("band", x: ramp, lower: ramp, upper: ramp)]
    #expect(try Document(Chart(series: mixed).svg()).texts("note") == ["line", "band"])
    // Points of one place have their names beside them, none over another.
    let points = (0..<6).map { Series.points("point \($0)", x: [Double($0) * 0.01], y: [1]) }
    let names = try Document(Chart(x: Axis(bounds: 0...1), y: Axis(bounds: 0...2), series: points).svg())
      .elements
      .filter { ($0.attributes["class"] ?? "").hasPrefix("label") }
    #expect(Set(names.map { ($0.attributes["x"] ?? "") + " " + ($0.attributes["y"] ?? "") }).count == 6)
  }

  @Test func longNamesStayInThePicture() throws {
    let long = String(repeating: "a_very_long_name_", count: 40)
    let chart = Chart(
      title: long, subtitle: long, x: Axis(long, unit: "m"), y: Axis(long),
      series: [.line(long, x: ramp, y: ramp), Series(long, .rule(y: 3))], width: 400, height: 300)
    let document = try Document(chart.svg())
    for element in document.elements where element.name == "text" {
      let x = try #require(Double(element.attributes["x"] ?? ""))
      let size = element.attributes["class"] == "title" ? 16.0 : 12
      let width = TextMetrics.width(element.text, size: size)
      switch element.attributes["text-anchor"] {
      case "middle": #expect(x - width / 2 > -1 && x + width / 2 < 401)
      case "end": #expect(x - width > -1)
      default: #expect(x + width < 401)
      }
    }
    #expect(document.elements.contains { $0.name == "title" && $0.text == long })
  }

  @Test func figures() throws {
    let charts = (0..<3).map { Chart(title: "panel \($0)", series: [.line("", x: ramp, y: ramp)]) }
    let text = Figure(title: "All", charts: charts, columns: 2, caption: "What it shows.").svg(id: "f")
    let document = try Document(text)
    #expect(
      document.texts("head") == ["All"] && document.texts("title") == ["panel 0", "panel 1", "panel 2"])
    let clips = document.elements.filter { $0.name == "clipPath" }.compactMap { $0.attributes["id"] }
    #expect(Set(clips).count == 3)
    let titles = document.elements("text", class: "title")
    #expect(titles[0].attributes["y"] == titles[1].attributes["y"])
    #expect(titles[0].attributes["x"] == titles[2].attributes["x"])
    _ = try Document(Figure(charts: []).svg())
  }

  @Test func histogramsCountEveryValueOnce() throws {
    let values = (0..<1000).map { Double($0 % 97) } + [.nan, .infinity]
    guard case .bars(let bars, _) = Series.histogram("", values, bins: 20).mark else { return }
    #expect(bars.count == 20 && bars.map(\.value).reduce(0, +) == 1000)
    #expect(bars.first?.start == 0 && bars.last?.end == 96)
    guard case .bars(let dense, _) = Series.histogram("", values, density: true).mark else { return }
    #expect(abs(dense.reduce(0) { $0 + $1.value * ($1.end - $1.start) } - 1) < 1e-12)
    guard case .bars(let one, _) = Series.histogram("", [3, 3]).mark else { return }
    #expect(one == [Series.Bar(2.5, 3.5, value: 2)])
  }
}
