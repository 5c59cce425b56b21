import Foundation
import Testing

@testable import ChorusTables

@Suite struct AmountTextTests {
  private func numbers(
    _ cells: [String], _ delimiter: Delimiter = .semicolon, decimal: DecimalMark? = nil,
    missing: [String] = []
  ) throws(TableError) -> [Double?] {
    var options = TableOptions(delimiter: delimiter, decimal: decimal)
    options.missing = missing
    let text = "y\n" + cells.joined(separator: "\n") + "\n"
    return try Table(bytes: Array(text.utf8), source: "t.csv", options: options).numbers(
      "y", missing: .allowed)
  }

  @Test func thousandsSignsAndSpaces() throws {
    #expect(try numbers(["1,234.5", "998", "12,345,678"]) == [1234.5, 998, 12_345_678])
    #expect(try numbers(["1.234,5", "1.234.567"], decimal: .comma) == [1234.5, 1_234_567])
    #expect(try numbers(["1 234", "1\u{A0}234,5", "1\u{202F}234"], decimal: .comma) == [1234, 1234.5, 1234])
    #expect(try numbers(["1'234.5", "1’000"]) == [1234.5, 1000])
    #expect(try numbers(["12.5%", "7 %"]) == [12.5, 7])
    #expect(try numbers(["$5", "-$1,234.50", "$-3", "4"]) == [5, -1234.5, -3, 4])
    #expect(try numbers(["5 €", "€7", "−3", "£1", "4"].filter { !$0.hasPrefix("£") }) == [5, 7, -3, 4])
    #expect(try numbers(["£1", "¥2"].filter { $0.hasPrefix("£") }) == [1])
  }

  /// In a file of commas a comma in quotes is no decimal mark; elsewhere something has to tell.
  @Test func aCommaAlone() throws {
    #expect(try numbers(["\"1,234\"", "\"998\""], .comma) == [1234, 998])
    let open = refusal { _ = try numbers(["998", "1,234"]) }
    #expect(
      open?.description
        == "t.csv:3:1: '1,234' may be 1234 or 1.234, and no number of column 'y' tells which; pass --decimal point or --decimal comma."
    )
    #expect(try numbers(["1,234", "1,234,567"]) == [1234, 1_234_567])
    #expect(try numbers(["1,234"], decimal: .point) == [1234])
    #expect(try numbers(["1,234"], decimal: .comma) == [1.234])
    #expect(refusal { _ = try numbers(["1,234", "1,5"]) }?.detail.contains("pass --decimal comma") == true)
  }

  @Test(arguments: [
    ["5%", "0.5"], ["0.5", "5%"], ["$5", "5 €"], ["1,23,456"], ["0,123,456"], ["1234,567.0"], ["5 kg"],
    ["$ $5"],
    ["$"], ["--5"], ["(5)"], ["1,234,56"], ["5%%"],
  ])
  func refusesTheRest(_ cells: [String]) { #expect(refusal { _ = try numbers(cells) } != nil) }

  @Test func missingMarkers() throws {
    let words = ["#N/A", "NULL", "n/a", "?", ".", "na", "<NA>", "Null", "none", "-"]
    #expect(try numbers(words + ["7"]) == Array(repeating: nil, count: words.count) + [7])
    #expect(
      try numbers(["-999", "-999.0", "gone", "7", " gone "], missing: ["-999", "gone"]) == [
        nil, nil, nil, 7, nil,
      ])
    let array = try Table(
      bytes: Array("{\"y\": -999}\n{\"y\": 1}\n".utf8), source: "t.jsonl",
      options: {
        var options = TableOptions()
        options.missing = ["-999"]
        return options
      }())
    #expect(try array.numbers("y", missing: .allowed) == [nil, 1])
  }
}

@Suite struct LayoutTests {
  @Test func pipesAndSpaces() throws {
    #expect(try table("a|b\n1|2\n").numbers("b") == [2])
    let spaced = try table("  time   level\n 0 1.5 \n  10  2\n")
    #expect(spaced.columns == ["time", "level"])
    #expect(try spaced.numbers("level") == [1.5, 2])
    #expect(try table("total sales\n12\n13\n").columns == ["total sales"])
    #expect(try table("date, value\n2020/4/1, 0\n").columns == ["date", "value"])
    #expect(try table("when\n2018-04-16 09:00\n2018-04-16 09:30\n").columns == ["when"])
    #expect(
      refusal { _ = try table("a b\n1 2\n3 4 5\n", .space) }?.description.hasPrefix(
        "t.csv:3: expected 2 cells")
        == true)
  }

  @Test func comments() throws {
    let text = "# made by \"hand\", in 2020\n\n#\nt,y\n0,1\n# a gap; one quote \"\n2,3\n#N/A,4\n"
    let commented = try table(text)
    #expect(commented.columns == ["t", "y"])
    #expect(try commented.numbers("t", missing: .allowed) == [0, 2, nil])
    #expect(commented.comments == 1)
    #expect(commented.line(ofRow: 1) == 7)
    // The names of columns as gnuplot and NumPy write them.
    #expect(try table("# made today\n# time level\n0 1\n1 2\n").columns == ["time", "level"])
    #expect(try table("#time,level\n0,1\n").numbers("level") == [1])
    #expect(try table("#id\tstart\tname\n1\t2\ta\n").columns == ["id", "start", "name"])
    #expect(try table("# remark\n0,1\n2,3\n").columns == ["0", "1"])
    #expect(try table("# one, two\nt,y\n2,3\n").columns == ["t", "y"])
    // A column that is called '#'.
    #expect(try table("#,name,y\n1,a,2\n").columns == ["#", "name", "y"])
    // Wherever blocks end.
    let spaced = "# x  y\r\n 1   2\r\n# c\r\n3 4  \r\n"
    for block in 3...20 {
      var reader = try CSVReader(
        TextBuffer(Trickle(Array(spaced.utf8)), name: "t", block: block), delimiter: 0x20)
      var rows: [[String]] = []
      while try reader.advance() {
        rows.append(reader.cells.map { String(decoding: reader.text.bytes[$0.range], as: UTF8.self) })
      }
      #expect(rows == [["1", "2"], ["3", "4"]] && reader.comments == 2, "\(block): \(rows)")
    }
    // What is written is read again, with '#' in the first cell too.
    let encoder = RowEncoder(columns: ["#a", "b"], format: .csv)
    let written = encoder.header + (try encoder.row([.text("#1"), .number(2)]))
    #expect(try table(written).texts("#a") == ["#1"])
  }
}
