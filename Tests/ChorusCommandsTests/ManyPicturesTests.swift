import Foundation
import Testing

/// Pictures and reports of several series, and of two inputs; and numbers made of two of the points.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ManyPicturesTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
  }

  /// `count` series of twelve months, and one with a single row.
  private func writeSeries(_ count: Int, short: Bool = true) throws {
    var rows = (0..<count).flatMap { shop in
      (1...12).map { "shop \(shop),2020-\($0 < 10 ? "0" : "")\($0)-01,\(shop * 10 + $0 * 5 % 7)" }
    }
    if short { rows.append("new,2020-12-01,3") }
    try folder.write("g.csv", "shop,month,sales\n" + rows.joined(separator: "\n") + "\n")
  }

  private func run(_ command: String, _ more: String...) throws -> Outcome {
    try folder.start([command] + more + ["--model", "m.safetensors"]).1()
  }

  @Test func smallMultiples() throws {
    try writeSeries(4)
    let base = ["g.csv", "--group", "shop", "--horizon", "3", "--samples", "20"]
    let plain = try folder.start(["predict"] + base + ["--model", "m.safetensors"]).1()
    let drawn = try folder.start(["predict"] + base + ["--plot", "p.svg", "--model", "m.safetensors"]).1()
    #expect(drawn.code == 0 && drawn.output == plain.output, "\(drawn.errors)")
    let svg = try folder.read("p.svg")
    for word in [
      ">sales by shop, from g.csv<", ">shop 0<", ">shop 1<", ">shop 2<", ">shop 3<",
      ">1 series have too few rows to be predicted.<",
    ] { #expect(svg.contains(word), "\(word)") }
    #expect(!svg.contains(">new<") && svg.components(separatedBy: ">5–95 %<").count == 2)
    let again = try folder.start(
      ["predict"] + base + ["--plot", "q.svg", "--threads", "3", "--model", "m.safetensors"]
    ).1()
    #expect(try again.code == 0 && folder.read("q.svg") == svg)
    let shown = try folder.start(["predict"] + base + ["--show", "--model", "m.safetensors"]).1()
    #expect(shown.code == 0 && shown.errors.contains("shop 0\n") && shown.errors.contains("shop 3\n"))
    // Several targets of one series have a chart each as well.
    try folder.write("two.csv", "t,a,b\n" + (0..<12).map { "\($0),\($0 % 5),\($0 % 3)\n" }.joined())
    let targets = try run(
      "predict", "two.csv", "--input", "t", "--target", "a,b", "--horizon", "2", "--plot", "t.svg")
    #expect(targets.code == 0 && targets.errors.isEmpty == false)
    #expect(try folder.read("t.svg").contains(">a, b, from two.csv<"))
    try writeSeries(25, short: false)
    let many = try folder.start(["predict"] + base + ["--plot", "r.svg", "--model", "m.safetensors"]).1()
    #expect(many.code == 65 && many.errors.contains("room for 24 series, and there are 25"), "\(many.errors)")
    #expect(many.output.isEmpty && !folder.names.contains("r.svg"))
  }

  @Test func maps() throws {
    try folder.writeModel { $0.inputDimensions = 2 }
    let rows = (0..<30).map { "\($0 % 6),\($0 / 6),\($0 * 7 % 11)" }
    try folder.write("xy.csv", "east (km),north,height (m)\n" + rows.joined(separator: "\n") + "\n")
    let base = ["xy.csv", "--input", "east (km),north", "--target", "height (m)", "--samples", "20"]
    func map(_ more: String...) throws -> Outcome {
      try folder.start(["predict"] + base + more + ["--model", "m.safetensors"]).1()
    }
    let drawn = try map("--at", "0..5/1,0..4/0.5", "--plot", "m.svg")
    #expect(drawn.code == 0 && drawn.rows.count == 55, "\(drawn.errors)")
    let svg = try folder.read("m.svg")
    for word in [
      ">height, from 30 rows of xy.csv<", ">Median of height<", ">Width of the 90 % interval<", ">east (km)<",
      ">north<",
    ] { #expect(svg.contains(word), "\(word)") }
    #expect(svg.components(separatedBy: "crispEdges").count > 54)
    let page = try map("--at", "0..5/1,0..4/0.5", "--plot", "m.html", "--show")
    #expect(page.code == 0 && page.errors.contains("Median of height"))
    let line = try map("--at", "0..5/1,3", "--plot", "n.svg")
    #expect(line.code == 65 && line.errors.contains("all pairs of some values of both"), "\(line.errors)")
    let wide = try map("--at", "0..5/0.01,0..4/1", "--plot", "n.svg")
    #expect(wide.code == 65 && wide.errors.contains("up to 200 values of an input, and there are 501"))
  }

  @Test func reportsByGroup() throws {
    try writeSeries(3)
    let base = [
      "report", "g.csv", "--group", "shop", "--horizon", "3", "--samples", "20", "--model", "m.safetensors",
    ]
    let outcome = try folder.start(base + ["--output", "r.html"]).1()
    #expect(outcome.code == 0 && outcome.output.isEmpty, "\(outcome.errors)")
    #expect(outcome.errors.contains("group 'new': not predicted"))
    let html = try folder.read("r.html")
    for word in [
      "<h1>sales by shop in g.csv</h1>", "<h2>Predictions", "<h2>Scores", "<h2>Series by series", "shop 0",
      "shop 2",
      "best simple method", "<h2>Calibration", "<h2>The mean of all points", "group 'new': not predicted",
      "<h2>Model",
    ] { #expect(html.contains(word), "\(word)") }
    #expect(html.components(separatedBy: "<details").count > 3 && !html.contains("nan"))
    #expect(try folder.start(base + ["--output", "s.html", "--threads", "2"]).1().code == 0)
    #expect(try folder.read("s.html") == html)
    try writeSeries(13, short: false)
    let many = try folder.start(base + ["--output", "t.html"]).1()
    #expect(many.code == 65 && many.errors.contains("room for 12 series, and there are 13"), "\(many.errors)")
    #expect(!folder.names.contains("t.html"))
  }

  @Test func functionalsOfTwoPoints() throws {
    try folder.write("d.csv", "t,y\n" + (0..<12).map { "\($0),\($0 * 5 % 7)\n" }.joined())
    let outcome = try run(
      "predict", "d.csv", "--horizon", "4", "--functional", "difference:12..14, difference,first-below:1e9",
      "--output", "p.csv", "--digits", "all")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(
      outcome.rows.dropFirst().map { $0[0] } == [
        "difference:12..14", "difference:12..14", "difference", "difference", "first-below:1000000000.0",
        "first-below:1000000000.0",
      ])
    let paths = try folder.read("p.csv").split(separator: "\n").dropFirst().compactMap {
      Double($0.split(separator: ",")[3])
    }
    let moved = stride(from: 0, to: paths.count, by: 4).map { paths[$0 + 2] - paths[$0] }
    let mean = moved.reduce(0, +) / Double(moved.count)
    #expect(abs((Double(outcome.rows[1][5]) ?? .nan) - mean) < 1e-9 * max(1, abs(mean)))
    #expect(Double(outcome.rows[5][5]) == 12 && outcome.rows[5][3].hasPrefix("1"))
    // Dates as the column has them.
    try folder.write("e.csv", "t,y\n" + (10...28).map { "2020-02-\($0),\($0 * 5 % 7)\n" }.joined())
    let dates = try run(
      "predict", "e.csv", "--horizon", "5", "--functional", "difference:2020-02-29..2020-03-04")
    #expect(
      dates.code == 0 && dates.output.contains("\ndifference:2020-02-29..2020-03-04,joint,"),
      "\(dates.errors)")
    for (text, code, words) in [
      ("difference:12..99", Int32(64), "is of 99, which is none of the points"),
      ("difference:12", 64, "is none of"),
      ("difference:2020-02-29..13", 64, "holds numbers and the point dates"),
    ] {
      let wrong = try run("predict", "d.csv", "--horizon", "4", "--functional", text)
      #expect(
        wrong.code == code && wrong.errors.contains(words) && wrong.output.isEmpty, "\(text): \(wrong.errors)"
      )
    }
    #expect(try run("score", "d.csv", "--last", "3", "--functional", "difference:1..2").code == 64)
  }
}
