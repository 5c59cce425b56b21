import Foundation
import Testing

/// Files with a column for each series: answered as if one column told them apart.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct WideTests {
  let folder: Folder
  private let months = (1...9).map { "2020-0\($0)-01" }

  init() throws {
    folder = try Folder()
    try folder.writeModel()
    try write("wide.csv", ["shop_1", "shop_2", "shop_10"])
    // The same with a row for each value.
    let rows = ["shop_1", "shop_2", "shop_10"].enumerated().flatMap { shop, name in
      months.enumerated().map { "\($1),\(name),\(Self.value(shop, $0))" }
    }
    try folder.write("long.csv", "month,series,value\n" + rows.joined(separator: "\n") + "\n")
  }

  private static func value(_ shop: Int, _ month: Int) -> String {
    shop == 1 && month < 3 ? "" : "\(10 * shop + month * 5 % 7)"
  }

  private func write(_ name: String, _ columns: [String]) throws {
    let rows = months.enumerated().map { month, date in
      ([date] + columns.indices.map { Self.value($0, month) }).joined(separator: ",")
    }
    try folder.write(
      name, (["month"] + columns).joined(separator: ",") + "\n" + rows.joined(separator: "\n") + "\n")
  }

  private func run(_ arguments: String...) throws -> Outcome {
    try folder.start(arguments + ["--model", "m.safetensors"]).1()
  }

  @Test func asIfAColumnToldThemApart() throws {
    let long = try run("predict", "long.csv", "--group", "series", "--target", "value", "--horizon", "2")
    #expect(long.code == 0 && long.rows.count == 7, "\(long.errors)")
    let found = try run("predict", "wide.csv", "--horizon", "2")
    #expect(found.output == long.output, "\(found.errors)")
    #expect(
      found.errors.hasPrefix(
        "3 series, a column for each ('shop_1', 'shop_2', 'shop_10'), by 'month': months"),
      "\(found.errors)")
    let told = try run("predict", "wide.csv", "--wide", "--input", "month", "--horizon", "2")
    #expect(told.output == long.output, "\(told.errors)")
    let some = try run("predict", "wide.csv", "--wide", "--target", "shop_2,shop_10", "--horizon", "2")
    #expect(
      some.rows.dropFirst().map { $0[0] } == ["shop_2", "shop_2", "shop_10", "shop_10"], "\(some.errors)")
    #expect(Array(some.rows.dropFirst()) == Array(long.rows.dropFirst(3)))
    // Rows without a value are asked for, each of its own series.
    let gaps = try run("predict", "wide.csv")
    #expect(
      gaps.rows.dropFirst().map { $0[0] + $0[1] } == [
        "shop_22020-01-01", "shop_22020-02-01", "shop_22020-03-01",
      ])
    // A file of points may name the series, as the output does.
    try folder.write("points.csv", "month,series\n2021-01-01,shop_10\n2021-01-01,shop_1\n")
    let points = try run("predict", "wide.csv", "--at-file", "points.csv")
    #expect(points.rows.dropFirst().map { $0[0] } == ["shop_1", "shop_10"], "\(points.errors)")
  }

  @Test func scoresAndReports() throws {
    let long = try run("score", "long.csv", "--group", "series", "--target", "value", "--last", "2")
    let wide = try run("score", "wide.csv", "--last", "2")
    #expect(wide.code == 0 && wide.output == long.output, "\(wide.errors)")
    #expect(wide.rows[0][0] == "series" && wide.errors.contains("3 series, a column for each"))
    let report = try run(
      "report", "wide.csv", "--wide", "--horizon", "2", "--samples", "9", "--output", "r.html")
    #expect(report.code == 0, "\(report.errors)")
    #expect(try folder.read("r.html").contains("<h1>value by series in wide.csv</h1>"))
    #expect(
      try run("score", "wide.csv", "--last", "2", "--functional", "sum").errors.contains(
        "of one series, and wide.csv has 3"))
  }

  /// What could be two things of one is a choice, and what was answered before is answered so.
  @Test func nothingIsGuessed() throws {
    try write("things.csv", ["sales", "visits", "staff"])
    let open = try run("predict", "things.csv", "--horizon", "2")
    #expect(
      open.code == 64 && open.errors.contains("has several columns that could be predicted"), "\(open.errors)"
    )
    try write("two.csv", ["a1", "a2"])
    #expect(try run("predict", "two.csv", "--horizon", "2").code == 64)
    #expect(try run("predict", "things.csv", "--wide", "--horizon", "2").rows.count == 7)
    let one = try run("predict", "wide.csv", "--target", "shop_1", "--horizon", "2")
    #expect(one.rows[0][0] == "month" && one.rows.count == 3)
    let targets = try run(
      "predict", "wide.csv", "--input", "month", "--target", "shop_1,shop_2", "--horizon", "2")
    #expect(targets.rows[0][0] == "target")
    let outcome = try run("report", "wide.csv", "--output", "n.html")
    #expect(outcome.code == 64 && outcome.errors.contains("several columns"), "\(outcome.errors)")
    for more in [["--group", "month"], ["--error", "shop_2", "--target", "shop_1"]] {
      let outcome = try folder.start(
        ["predict", "wide.csv", "--wide", "--horizon", "2", "--model", "m.safetensors"] + more
      ).1()
      #expect(outcome.code == 64 && outcome.errors.contains("--wide"), "\(more): \(outcome.errors)")
    }
    #expect(try run("predict", "--context", "c", "--wide", "--horizon", "2").code == 64)
  }

  // MARK: Kept

  /// All series are kept in one file, whose answers are those of the rows.
  @Test func keptTogether() throws {
    let direct = try run("predict", "wide.csv", "--horizon", "2")
    let long = try run(
      "condition", "long.csv", "--group", "series", "--target", "value", "--output", "l.safetensors")
    #expect(long.code == 0 && long.errors.contains("of 3 series kept in l.safetensors"), "\(long.errors)")
    let wide = try run("condition", "wide.csv", "--output", "w.safetensors")
    #expect(wide.code == 0 && wide.errors.contains("3 series, a column for each"), "\(wide.errors)")
    #expect(try run("condition", "wide.csv", "--wide", "--output", "t.safetensors").code == 0)
    #expect(try folder.bytes("t.safetensors") == folder.bytes("w.safetensors"))
    for context in ["l.safetensors", "w.safetensors"] {
      let kept = try run("predict", "--context", context, "--horizon", "2")
      #expect(kept.output == direct.output, "\(kept.errors)")
    }
    // Points of some series.
    try folder.write("points.csv", "month,series\n2021-01-01,shop_10\n2021-01-01,shop_1\n")
    let points = try run("predict", "--context", "w.safetensors", "--at-file", "points.csv")
    #expect(points.output == (try run("predict", "wide.csv", "--at-file", "points.csv").output))
    #expect(points.rows.count == 3)
    // Rows join the series that they are of.
    try folder.write("more.csv", "month,shop_10,shop_1\n2020-10-01,3,4\n2020-11-01,5,6\n")
    try folder.write(
      "more-long.csv",
      "month,series,value\n2020-10-01,shop_10,3\n2020-11-01,shop_10,5\n2020-10-01,shop_1,4\n2020-11-01,shop_1,6\n"
    )
    for (file, context) in [("more.csv", "w"), ("more-long.csv", "l")] {
      let more = try run(
        "condition", file, "--append", "\(context).safetensors", "--output", "\(context)2.safetensors")
      #expect(more.code == 0, "\(more.errors)")
    }
    let (a, b) = (
      try run("predict", "--context", "w2.safetensors", "--horizon", "1"),
      try run("predict", "--context", "l2.safetensors", "--horizon", "1")
    )
    #expect(a.output == b.output && a.rows.count == 4, "\(a.errors)")
    #expect(a.rows.dropFirst().map { $0[1] } == ["2020-12-01", "2020-10-01", "2020-12-01"])
    try folder.write("other.csv", "month,series,value\n2020-10-01,shop_7,3\n")
    let other = try run("condition", "other.csv", "--append", "l.safetensors", "--output", "o.safetensors")
    #expect(other.code != 0 && other.errors.contains("shop_7"), "\(other.errors)")
  }

  /// A file of another kind, cut or changed is refused with its name.
  @Test func damagedFiles() throws {
    #expect(try run("condition", "wide.csv", "--output", "w.safetensors").code == 0)
    var bytes = try folder.bytes("w.safetensors")
    bytes[bytes.count - 9] ^= 1
    try bytes.write(to: folder.url("bad.safetensors"))
    let bad = try run("predict", "--context", "bad.safetensors", "--horizon", "1")
    #expect(bad.code != 0 && bad.errors.contains("bad.safetensors"), "\(bad.errors)")
    for more in [["--with", "shop_1"], ["--append", "w.safetensors"]] {
      let outcome = try folder.start(
        ["condition", "wide.csv", "--wide", "--output", "n.safetensors", "--model", "m.safetensors"] + more
      ).1()
      #expect(outcome.code == 64 && outcome.errors.contains("--wide"), "\(more): \(outcome.errors)")
    }
  }
}
