import Foundation
import Testing

@testable import ChorusTables

/// A source that repeats a text for ever, as a file of ten gigabytes without a line end would.
final class Endless: ByteSource {
  private let text: [UInt8]
  private(set) var given = 0

  init(_ text: String) { self.text = Array(text.utf8) }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, 1 << 16)
    for index in 0..<count { buffer[index] = text[(given + index) % text.count] }
    given += count
    return count
  }
}

@Suite struct StreamingTests {
  /// Whatever way the text comes in, the same table: blocks end within cells, between CR and LF, in characters.
  @Test func blocksDoNotMatter() throws {
    let text = "\u{FEFF}x,\"na \"\"me\",y\r\n1,\"a,é\r\nb\",1.5\r\n\r\n2,\"\"\"\",NA\r3,c,-1e-3\n"
    for block in 3...40 {
      var reader = try CSVReader(
        TextBuffer(Trickle(Array(text.utf8)), name: "t", block: block), delimiter: 0x2C)
      var rows: [[String]] = []
      var lines: [Int] = []
      while try reader.advance() {
        lines.append(reader.line)
        rows.append(
          reader.cells.map { cell in
            reader.text.bytes[cell.range].withUnsafeBufferPointer {
              CellText.string($0, isQuoted: cell.isQuoted)
            }
          })
      }
      #expect(
        rows == [
          ["x", "na \"me", "y"], ["1", "a,é\r\nb", "1.5"], [""], ["2", "\"", "NA"], ["3", "c", "-1e-3"],
        ], "\(block)")
      #expect(lines == [1, 2, 4, 5, 6])
    }
  }

  @Test func aRowWithoutAnEndIsRefusedEarly() {
    for text in ["1,", "x", "\"", "{\"a\":"] {
      let source = Endless(text)
      let error = refusal {
        _ = try Table.csv(source, name: "t.csv", options: TableOptions(), tabs: false)
      }
      #expect(source.given <= 3 * TextBuffer.recordLimit, "\(text)")
      #expect(
        error?.description.hasPrefix("t.csv:1: the row ") == true || error?.reason == .malformed,
        "\(error?.description ?? "")")
    }
    let source = Endless("1234567,")
    let error = refusal { _ = try Table.jsonLines(source, name: "t.jsonl", options: TableOptions()) }
    #expect(error?.description.hasPrefix("t.jsonl:1: the row is longer than 64 MiB") == true)
    #expect(source.given <= 3 * TextBuffer.recordLimit)
  }

  @Test func keepsOnlyWhatIsAskedFor() throws {
    var options = TableOptions()
    options.numbers = ["b"]
    options.texts = ["c"]
    let bytes = Array("a,b,c\nfoo,1,01\n\"x\ny\",2,\"a\"\"b\"\n".utf8)
    let table = try Table(bytes: bytes, source: "t.csv", options: options)
    #expect(table.columns == ["a", "b", "c"])
    #expect(try table.numbers("b") == [1, 2])
    #expect(try table.texts("c") == ["01", "a\"b"])
    #expect(table.line(ofRow: 1) == 3)
    #expect(refusal { _ = try table.numbers("c") }?.detail.contains("was not kept as numbers") == true)
    options.numbers = ["bb"]
    #expect(
      refusal { _ = try Table(bytes: bytes, source: "t.csv", options: options) }?.detail
        == "has no column 'bb'; it has: a, b, c. Did you mean 'b'?")
  }

  /// A column that a file may lack is kept where it is there.
  @Test(arguments: ["t.csv", "t.jsonl"]) func keepsOptionalColumns(_ name: String) throws {
    let text = name == "t.csv" ? "a,b,c\n1,2,x\n" : "{\"a\": 1, \"b\": 2, \"c\": \"x\"}\n"
    var options = TableOptions()
    options.numbers = ["b", "a, b"]
    options.texts = ["c", "who"]
    options.optional = ["a, b", "c", "who"]
    func read() throws(TableError) -> Table {
      try Table(bytes: Array(text.utf8), source: name, options: options)
    }
    let table = try read()
    #expect(try table.numbers("b") == [2])
    #expect(try table.texts("c") == ["x"])
    #expect(refusal { _ = try table.numbers("a") }?.detail.contains("was not kept as numbers") == true)
    #expect(refusal { _ = try table.texts("who") }?.detail == "has no column 'who'; it has: a, b, c.")
    options.optional = ["c", "who"]
    #expect(refusal { _ = try read() }?.detail.hasPrefix("has no column 'a, b'; it has: a, b, c.") == true)
  }

  /// The fault that a reader is given is the first in the file of those it does not take.
  @Test func tellsOfTheFirstFault() throws {
    let table = try table("a,b\n1,x\n,2\nNaN,3\ninf,4\nfoo,5\n")
    func line(_ missing: Table.Missing) -> Int? {
      refusal { _ = try table.numbers("a", missing: missing) }?.line
    }
    #expect(line(.refused) == 3)
    #expect(line(.allowedExceptNaN) == 4)
    #expect(line(.allowed) == 5)
  }
}

@Suite struct DelimiterTests {
  func sniff(_ text: String) -> Delimiter { .sniff(ArraySlice(text.utf8)) }

  @Test func countsInTheFirstLines() {
    #expect(sniff("x, in m;y, in s\n1;2\n3;4\n") == .semicolon)
    #expect(sniff("a;b\n1,5;2,5\n") == .semicolon)
    #expect(sniff("a,b;c\n1;2\n") == .semicolon)
    #expect(sniff("a,b\n\"1;2\n3;4\",5\n") == .comma)
    #expect(sniff("a\tb,c\td\n") == .tab)
    #expect(sniff("a\n1\n") == .comma)
    #expect(sniff("a,b\n1\n") == .comma)
    #expect(sniff("") == .comma)
    #expect(Delimiter.sniff(ArraySlice("a,b;c\n".utf8), among: [.semicolon, .tab]) == .semicolon)
  }

  @Test func decimalCommas() throws {
    let options = TableOptions(decimal: .comma)
    func read(_ text: String, _ options: TableOptions = options) throws(TableError) -> Table {
      try Table(bytes: Array(text.utf8), source: "t.csv", options: options)
    }
    #expect(try read("a;b\n1,5;-2,25e1\n").numbers("b") == [-22.5])
    #expect(try read("a\n1,5\n").numbers("a") == [1.5])
    #expect(try read("a,b\tc\n1,5\t2\n").numbers("a,b") == [1.5])
    #expect(
      refusal { _ = try read("a;b\n1.5;2\n").numbers("a") }?.description
        == "t.csv:2:1: '1.5' is not a number or a date (column 'a'); with --decimal comma the decimal mark is ','."
    )
    #expect(
      refusal { _ = try read("\na,b\n1,5\n") }?.description
        == "t.csv:2: the header has commas and no ';', '|', tab or space, and with --decimal comma a comma separates no cells; "
        + "leave --decimal out, or separate cells by ';'.")
    let quoted = TableOptions(delimiter: .comma, decimal: .comma)
    #expect(try read("a,b\n\"1,5\",\"2,5\"\n", quoted).numbers("b") == [2.5])
    // Commas that were meant as decimal marks, read as separators.
    #expect(
      refusal { _ = try read("time,level\n0,1,5\n1,2,5\n", TableOptions()) }?.description
        == "t.csv:2: expected 2 cells as in the header (line 1), found 3; are its commas decimal commas? Then "
        + "separate cells by ';' or tabs and pass --decimal comma.")
  }
}
