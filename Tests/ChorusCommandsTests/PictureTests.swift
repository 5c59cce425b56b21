import Foundation
import Testing

@testable import ChorusCommands

@Suite struct TerminalTests {
  private func terminal(_ environment: [String: String], isTerminal: Bool = true, columns: Int = 0)
    -> Terminal
  {
    Terminal(environment: environment, isTerminal: isTerminal, columns: columns, rows: 0)
  }

  @Test func environment() {
    #expect(terminal([:]).columns == 80 && terminal([:], columns: 132).columns == 132)
    #expect(terminal(["COLUMNS": "60"], columns: 132).columns == 60)
    #expect(
      terminal(["COLUMNS": "wide"], columns: 132).columns == 132 && terminal(["COLUMNS": "-4"]).columns == 80)
    #expect(terminal([:]).hasColour && terminal(["NO_COLOR": ""]).hasColour)
    #expect(!terminal(["NO_COLOR": "1"]).hasColour && !terminal(["TERM": "dumb"]).hasColour)
    #expect(!terminal([:], isTerminal: false).hasColour)
  }
}

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct PictureTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    try folder.writeTable()
  }

  private func run(_ command: String, _ more: String..., file: String = "t.csv") throws -> Outcome {
    try folder.start(
      [command, file, "--input", "t", "--target", "level", "--model", "m.safetensors"] + more
    ).1()
  }

  @Test func plotsBesideTheTable() throws {
    let plain = try run("predict")
    let outcome = try run("predict", "--plot", "p.svg", "--units", "level=m/s")
    #expect(outcome.code == 0 && outcome.output == plain.output, "\(outcome.errors)")
    let svg = try folder.read("p.svg")
    #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
    for word in [
      ">level, from 12 rows of t.csv<", ">level (m/s)<", ">5–95 %<", ">observed<", ">median<",
      ">100 paths, plan sequential, model m.safetensors<",
    ] { #expect(svg.contains(word), "\(word)") }
    #expect(try run("predict", "--plot", "q.svg", "--units", "level=m/s", "--threads", "2").code == 0)
    #expect(try folder.read("q.svg") == svg)
    #expect(try run("predict", "--plot", "p.HTML", "--samples", "1").code == 0)
    #expect(try folder.read("p.HTML").hasPrefix("<!DOCTYPE html>"))
    #expect(folder.names == ["m.safetensors", "p.HTML", "p.svg", "q.svg", "t.csv"])
  }

  @Test func rowsWithoutATargetAreNotJoinedAcrossOthers() throws {
    let rows = (0..<20).map { "\($0),\([5, 6, 12].contains($0) ? "" : String($0 % 3))" }
    try folder.write("gaps.csv", "t,level\n" + rows.joined(separator: "\n") + "\n")
    #expect(try run("predict", "--plot", "g.svg", file: "gaps.csv").code == 0)
    #expect(try run("predict", "--plot", "h.svg", "--at", "5..12/1", file: "gaps.csv").code == 0)
    // Each band is one area a run of targets.
    func areas(_ name: String) throws -> [Int] {
      try folder.read(name).split(separator: "\n").filter {
        $0.contains("fill-opacity") && $0.contains("Z\"")
      }
      .map { line in line.filter { $0 == "Z" }.count }
    }
    #expect(try areas("g.svg") == [2, 2])
    #expect(try areas("h.svg") == [1, 1])
  }

  @Test func aLookOnTheTerminal() throws {
    let outcome = try run("predict", "--show", "--at", "0..12/0.5")
    #expect(outcome.code == 0 && outcome.output.hasPrefix("t,q0.5,"))
    let lines = outcome.errors.split(separator: "\n")
    #expect(lines.first == "level, from 12 rows of t.csv" && lines.last?.contains("• observed") == true)
    #expect(lines.contains { $0.contains("░") } && !outcome.errors.contains("\u{1B}"))
    #expect(lines.allSatisfy { $0.count <= 80 } && lines.contains { $0.count > 60 })
  }

  @Test func functionalsBesideIndependentMarginals() throws {
    let outcome = try run(
      "predict", "--at", "0..6/1", "--functional", "sum, first-above:0.5,first-above:1e9", "--quantiles",
      "0.1,0.9", "--digits", "all")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(
      outcome.rows[0] == [
        "functional", "draws", "paths", "share", "share_se", "mean", "mean_se", "sd", "sd_se", "q0.1",
        "q0.1_se", "q0.9",
        "q0.9_se", "note",
      ])
    #expect(
      outcome.rows.dropFirst().map { $0[0] + " " + $0[1] } == [
        "sum joint", "sum independent", "first-above:0.5 joint", "first-above:0.5 independent",
        "first-above:1000000000.0 joint", "first-above:1000000000.0 independent",
      ])
    // The sum is that of the paths, which --output has.
    #expect(try run("predict", "--at", "0..6/1", "--functional", "sum", "--output", "paths.csv").code == 0)
    let values = try folder.read("paths.csv").split(separator: "\n").dropFirst().compactMap {
      Double($0.split(separator: ",")[3])
    }
    let mean = values.reduce(0, +) / 100
    #expect(abs((Double(outcome.rows[1][5]) ?? .nan) - mean) < 1e-9 * max(1, abs(mean)))
    // Nobody gets there: no mean, no quantile.
    #expect(outcome.rows[5][3] == "0.0" || outcome.rows[5][3] == "0")
    #expect(outcome.rows[5][5].isEmpty && outcome.rows[5][9].isEmpty)
    let lines = try run("predict", "--at", "0..6/1", "--functional", "max", "--format", "jsonl").output
    #expect(lines.split(separator: "\n").count == 2 && lines.contains("\"draws\":\"independent\""))
  }

  @Test func datesStayDatesInFunctionals() throws {
    let days = (1...9).map { "1958-03-0\($0),\($0)" }
    try folder.write("d.csv", "t,level\n" + days.joined(separator: "\n") + "\n")
    let outcome = try run(
      "predict", "--at", "1958-03-10..1958-03-20/1d", "--functional", "first-above:-1e6", file: "d.csv")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.rows[1][5] == "1958-03-10" && outcome.rows[1][9] == "1958-03-10")
  }

  @Test func aReportInOneFile() throws {
    let outcome = try run(
      "report", "--output", "r.html", "--holdout", "0.3", "--functional", "first-above:0.3", "--samples", "40"
    )
    #expect(outcome.code == 0 && outcome.output.isEmpty, "\(outcome.errors)")
    let html = try folder.read("r.html")
    for word in [
      "<h2>Prediction", "<h2>The first t with level above 0.3<", "<h2>Calibration", "4 of the rows",
      "<h2>Data",
      "<h2>Cost of the plan", "<h2>Model", "test, &quot;only&quot;", "Joint draws", "share of paths",
    ] { #expect(html.contains(word), "\(word)") }
    for word in ["<script", "href=", "src=", "nan", "inf<"] { #expect(!html.contains(word), "\(word)") }
    #expect(
      try run(
        "report", "--output", "s.html", "--holdout", "0.3", "--functional", "first-above:0.3", "--samples",
        "40", "--threads", "2"
      ).code == 0)
    #expect(try folder.read("s.html") == html)
    #expect(try run("report", "--output", "n.html", "--holdout", "0", "--at", "20..20/1").code == 0)
    #expect(try !folder.read("n.html").contains("Calibration"))
  }

  @Test func refusals() throws {
    try folder.write("xy.csv", "x,y,z\n0,0,1\n1,0,2\n0,1,3\n1,1,\n")
    try folder.writeModel("two.safetensors") { $0.inputDimensions = 2 }
    func two(_ more: String...) throws -> Outcome {
      try folder.start(
        ["predict", "xy.csv", "--input", "x,y", "--target", "z", "--model", "two.safetensors"] + more
      ).1()
    }
    for more in ["--plot=p.svg", "--show"] {
      let outcome = try two(more)
      #expect(
        outcome.code == 65 && outcome.errors.contains("all pairs of some values") && outcome.output.isEmpty)
    }
    #expect(try two("--functional", "sum").code == 0)
    for name in ["difference", "difference:0..1", "first-below:1"] {
      #expect(try two("--functional", name).code == 65)
    }
    for (more, words) in [
      (["--plot", "p.png"], "must end in .svg or .html"),
      (["--functional", "median"], "'median' is none of sum, mean"),
      (["--functional", ""], "'' is none of"), (["--units", "level"], "is not like column=unit"),
      (["--units", "nosuch=m"], "no column 'nosuch'"),
    ] {
      let outcome = try folder.start(
        ["predict", "t.csv", "--input", "t", "--target", "level", "--model", "m.safetensors"] + more
      ).1()
      #expect(outcome.code == 64 && outcome.errors.contains(words), "\(outcome.errors)")
    }
    let nowhere = try run("predict", "--plot", "nosuch/p.svg")
    #expect(nowhere.code == 74 && nowhere.output.isEmpty)
    #expect(try run("report", "--output", "r.pdf").code == 64)
    #expect(try run("report", "--output", "nosuch/r.html").code == 74)
    #expect(try run("report", "--output", "r.html", "--holdout", "1").code == 64)
    #expect(folder.names == ["m.safetensors", "t.csv", "two.safetensors", "xy.csv"])
  }
}
