import Testing

/// `report` of a table, as a person calls it.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct TableReportTests {
  private static func report(_ folder: Folder, _ more: String...) throws -> Outcome {
    try folder.start(
      ["report", "wood.csv", "--model", "t.safetensors", "--samples", "20", "--output", "r.html"] + more
    ).1()
  }

  @Test func numbers() throws {
    let folder = try TableTests.folder()
    let outcome = try Self.report(folder, "--target", "price", "--functional", "sum")
    #expect(outcome.code == 0 && outcome.output.isEmpty, "\(outcome.errors)")
    let page = try folder.read("r.html")
    for words in [
      "<h1>price in wood.csv", "20 paths through 4 rows", "<h2>The sum of all rows", "<h2>How the values go",
      "7 of the rows, taken at random, were held out", "ridge regression", "<h2>Which columns it comes from",
      "<td>size</td>", "<td>date</td>", "counts the rows",
    ] { #expect(page.contains(words), "\(words)") }
    for words in ["<script", "href=", "src=", "nan<", "inf<"] { #expect(!page.contains(words), "\(words)") }
    // The price is made of the size: nothing costs as much to lose.
    let rows = try #require(page.components(separatedBy: "loss when exchanged").dropFirst().first)
    #expect(rows.components(separatedBy: "<td>").dropFirst().first?.hasPrefix("size<") ?? false)
    #expect(try Self.report(folder, "--target", "price", "--functional", "sum", "--threads", "2").code == 0)
    #expect(try folder.read("r.html") == page)
  }

  @Test func categories() throws {
    let folder = try TableTests.folder()
    #expect(try Self.report(folder, "--target", "kind").code == 0)
    let page = try folder.read("r.html")
    for words in [
      "kind (category of 3 levels)", "<th class=\"number\" scope=\"col\">oak</th>", "log-loss",
      "logistic ridge regression", "Probabilities of the likeliest level", "<h2>Which columns",
    ] { #expect(page.contains(words), "\(words)") }
    #expect(!page.contains("of all rows"))
  }

  /// A column without gaps has nothing to predict, and still a report of what a prediction would be worth.
  @Test func nothingIsMissing() throws {
    let folder = try TableTests.folder()
    let outcome = try Self.report(folder, "--target", "size")
    #expect(outcome.code == 0 && outcome.errors.contains("no row lacks a value of 'size'"))
    let page = try folder.read("r.html")
    #expect(!page.contains("<h2>Prediction") && page.contains("<h2>Calibration"))
  }

  @Test func refusals() throws {
    let folder = try TableTests.folder()
    for (more, code, words) in [
      (["--target", "price", "--last", "3"], 64, "--last goes with a series"),
      (["--target", "price", "--functional", "difference"], 64, "rows of a table have no order"),
      (["--target", "kind", "--functional", "sum"], 64, "'kind' is a category"),
      (["--target", "price,size"], 65, "name the one column"),
      (["--target", "nosuch"], 65, "no column 'nosuch'"),
      (["--target", "price", "--as", "kind=colour"], 64, "--as: 'kind=colour'"),
    ] {
      let outcome = try folder.start(
        ["report", "wood.csv", "--model", "t.safetensors", "--output", "r.html"] + more
      ).1()
      #expect(outcome.code == code && outcome.errors.contains(words), "\(more): \(outcome.errors)")
    }
  }
}
