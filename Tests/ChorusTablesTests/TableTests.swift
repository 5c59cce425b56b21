import Foundation
import Testing

@testable import ChorusTables

func table(_ text: String, _ delimiter: Delimiter? = nil) throws(TableError) -> Table {
  try Table(bytes: Array(text.utf8), source: "t.csv", options: TableOptions(delimiter: delimiter))
}

/// The error of `body`, or nil.
func refusal(_ body: () throws -> Void) -> TableError? {
  do { try body() } catch { return error as? TableError }
  return nil
}

@Suite struct TableTests {
  @Test(arguments: ["\n", "\r\n", "\r"])
  func readsEachLineEnd(_ end: String) throws {
    let text = ["\u{FEFF}x, name ,y", "1,\"a, \"\"b\"\"\(end)c\",2.5", "", "-3e2,  d ,", ""].joined(
      separator: end)
    let table = try table(text)
    #expect(table.columns == ["x", "name", "y"])
    #expect(table.rowCount == 2)
    #expect(try table.numbers("x") == [1, -300])
    #expect(try table.numbers("y", missing: .allowed) == [2.5, nil])
    #expect(try table.texts("name") == ["a, \"b\"\(end)c", "  d "])
    #expect(table.line(ofRow: 1) == 5)
    #expect(table.line(ofRow: 2) == nil)
  }

  @Test func findsTheDelimiter() throws {
    #expect(try table("a;b,c;d\n1;2;3").columns == ["a", "b,c", "d"])
    #expect(try table("a\tb\n1\t2\n").columns == ["a", "b"])
    #expect(try table("\"a;b;c\",d\n1,2\n").columns == ["a;b;c", "d"])
    #expect(try table("\n\na;b\n1;2\n").columns == ["a", "b"])
    #expect(try table("a\n1\n\n2\n\n").numbers("a", missing: .allowed) == [1, nil, 2])
    #expect(try table("a,b\tc\n1,2\t3\n", .tab).columns == ["a,b", "c"])
    let path = NSTemporaryDirectory() + "chorus-\(UUID().uuidString).tsv"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data("a,a,b\tc\n1\t2\n".utf8).write(to: URL(fileURLWithPath: path))
    #expect(try Table.read(path: path).columns == ["a,a,b", "c"])
  }

  @Test(arguments: [
    ("", "t.csv: is empty"), ("\n\n", "t.csv: is empty"), ("a,b\n", "t.csv: has a header and no rows"),
    ("a\n\n\n", "t.csv: has a header and no rows"),
    ("a,b,a\n1,2,3\n", "t.csv:1:5: columns 1 and 3 are both called 'a'"),
    ("a,b\n1,2\n1\n", "t.csv:3: expected 2 cells as in the header (line 1), found 1"),
    ("a,b\n1,2,3\n", "t.csv:2: expected 2 cells as in the header (line 1), found 3"),
    ("a,b\n1,2\n\n\"x\ny\",2\n1,2,3", "t.csv:6: expected 2"),
    ("a,b\n1,2\n1,\"x\n2,3\n", "t.csv:3:3: the quote that opens here is never closed"),
    ("a,b\n1,x\"y\"\n", "t.csv:2:4: a quote inside a cell"),
    ("a,b\n\"é\"x,1\n", "t.csv:2:4: text after a closing quote"),
    ("a,b\n1,2\0\n", "t.csv:2:4: a zero byte"),
  ])
  func refusesWhatIsNoTable(_ text: String, _ words: String) {
    let error = refusal { _ = try table(text) }
    #expect(error?.description.hasPrefix(words) == true, "\(error?.description ?? "no error")")
  }

  @Test func refusesOtherEncodings() {
    func read(_ bytes: [UInt8]) -> TableError? {
      refusal { _ = try Table(bytes: bytes, source: "t.csv") }
    }
    let latin = read(Array("a,b\nö,1\n2,".utf8) + [0xE9, 0x0A])
    #expect(latin?.reason == .encoding)
    #expect(latin?.description.hasPrefix("t.csv:3:3: the byte 0xe9 is not UTF-8") == true)
    #expect(read([0xFF, 0xFE, 0x61, 0])?.description.hasPrefix("t.csv:1:1: is UTF-16") == true)
    #expect(read([0xFE, 0xFF, 0, 0x61])?.description.hasPrefix("t.csv:1:1: is UTF-16") == true)
    #expect(read([0x61, 0, 0x2C, 0])?.description.hasPrefix("t.csv:1:2: a zero byte") == true)
    #expect(read(Array("a,b\n1,".utf8) + [0xE2, 0x82])?.description.hasPrefix("t.csv:2:3: ") == true)
    #expect(read(Array("a,b\n1,".utf8) + [0xC0, 0x80])?.reason == .encoding)
  }

  @Test func refusesWhatIsTooWideOrTooLong() {
    let wide = String(repeating: "a,", count: CSVReader.columnLimit)
    #expect(refusal { _ = try table(wide) }?.description.contains("more than 100000 columns") == true)
    let long = [UInt8](repeating: 0x61, count: TextBuffer.recordLimit + 1)
    let error = refusal { _ = try Table(bytes: Array("a\n".utf8) + long, source: "t.csv") }
    #expect(error?.description.hasPrefix("t.csv:2: the row is longer than 64 MiB") == true)
  }

  @Test func namesTheCellThatIsNoNumber() throws {
    let table = try table("times,accel\n1,2\n2,abc\n,3\n4,inf\nNaN,1e999\n", nil)
    #expect(
      refusal { _ = try table.numbers("accel") }?.description
        == "t.csv:3:3: 'abc' is not a number (column 'accel'); write a number, leave the cell empty where it "
        + "is missing, or name its marker with --missing; if the column is a category, say --as COLUMN=category."
    )
    let missing = refusal { _ = try table.numbers("times") }
    #expect(missing?.reason == .missingValue)
    #expect(missing?.description.hasPrefix("t.csv:4:1: no value (column 'times')") == true)
    let notFinite = refusal { _ = try table.numbers("times", missing: .allowedExceptNaN) }
    #expect(notFinite?.description.hasPrefix("t.csv:6:1: 'NaN' is not finite") == true)
    #expect(try table.numbers("times", missing: .allowed) == [1, 2, nil, 4, nil])
    #expect(
      refusal { _ = try table.numbers("acel") }?.description
        == "t.csv: has no column 'acel'; it has: times, accel. Did you mean 'accel'?")
    #expect(refusal { _ = try table.numbers("zzzzzz") }?.description.contains("Did you mean") == false)
  }

  @Test(arguments: ["inf", "-Infinity", "+INF", "1e999", "-1e400", "nan"])
  func refusesWhatIsNotFinite(_ word: String) throws {
    let table = try table("x,y\n1,2\n\(word),3\n")
    #expect(
      refusal { _ = try table.numbers("x") }?.description.hasPrefix("t.csv:3:1: '\(word)' is not finite")
        == true)
  }

  @Test func takesTheWordsForMissing() throws {
    let table = try table("y,k\n,1\nNA,1\nN/A,1\nNaN,1\nnan,1\nnull,1\nNone,1\n-,1\n\"\",1\n  ,1\n7,1\n")
    #expect(try table.numbers("y", missing: .allowed) == Array(repeating: nil, count: 10) + [7])
  }

  @Test func decimalCommasGetAdvice() throws {
    let table = try table("x;y\n1,5;2\n", .semicolon)
    #expect(
      refusal { _ = try table.numbers("x") }?.description
        == "t.csv:2:1: '1,5' is not a number or a date (column 'x'); if its comma is a decimal comma, pass "
        + "--decimal comma; else write the decimal point as '.'.")
    let second = try Table(bytes: Array("x;y\n1;2\n1,5;2\n".utf8), source: "t.csv")
    #expect(
      refusal { _ = try second.numbers("x") }?.description.contains(
        "pass --decimal comma; else write the decimal point as '.'") == true)
  }

  @Test func splitsRowsByTheirTarget() throws {
    let table = try table(
      "day,z,y\n1970-01-02,1,5\n1970-01-03,2,\n,3,6\n1970-01-04T12:00,4,NA\n1970-01-05,,7\n")
    let rows = try table.select(inputs: ["day", "z"], target: "y")
    #expect(rows.observed.indices == [0])
    #expect(rows.observed.inputs == [1, 1])
    #expect(rows.observed.targets == [5])
    #expect(rows.missing.indices == [1, 3])
    #expect(rows.missing.inputs == [2, 2, 3.5, 4])
    #expect(rows.missing.targets.isEmpty)
    #expect(rows.incomplete == [2, 4])
    #expect(rows.kinds == [.dateTime(utc: false), .number])
    #expect(refusal { _ = try table.select(inputs: ["z", "z"], target: "y") }?.reason == .unknownColumn)
    #expect(refusal { _ = try table.select(inputs: [], target: "y") } != nil)
    #expect(refusal { _ = try table.select(inputs: ["zz"], target: "y") }?.detail.contains("'z'") == true)
  }

  @Test func datesBecomeDays() throws {
    let table = try table(
      "a,b,c,d,e\n1958-03-29,2014-01-01T00:30,1970-01-01,1,x\n2000-02-29,2014-01-01T06:00:00,1970-13-01,2000-01-01,2\n"
    )
    #expect(try table.values(of: "a") == .init(values: [-4296, 11016], kind: .date))
    let times = try table.values(of: "b")
    #expect(times.values == [16071 + 1.0 / 48, 16071.25])
    #expect(times.kind.notation?.pattern == "%Y-%m-%dT%H:%M:%S")
    #expect(refusal { _ = try table.numbers("c") }?.description.contains("there is no month 13") == true)
    #expect(refusal { _ = try table.numbers("d") }?.description.contains("is not a number") == true)
    #expect(try table.kind(of: "e") == .text)
    #expect(try table.kind(of: "d") == .number)
    let mixed = try Table(bytes: Array("t\n2000-01-01T00:00Z\n2000-01-01T00:00\n".utf8), source: "t.csv")
    #expect(refusal { _ = try mixed.numbers("t") }?.description.contains("offset from UTC") == true)
  }

  @Test func readsFilesAndTellsOfMissingOnes() {
    #expect(refusal { _ = try Table.read(path: "no/such.csv") }?.reason == .missing)
    #expect(refusal { _ = try Table.read(path: NSTemporaryDirectory()) }?.reason == .system)
  }

  /// Damage at random (from a fixed seed) gives an error or a table, and never a trap.
  @Test func mutationsNeverTrap() {
    let bytes = Array(
      "\u{FEFF}x,\"na \"\"me\",y\r\n1958-03-29,\"a,\nb\",1.5\r\n2000-01-01T00:00:10.5Z,é,NA\n-1e-3,,inf\n"
        .utf8)
    let pool: [UInt8] = Array("\",;\t\n\r0-:TZ.eE".utf8) + [0, 0xFF, 0xC3, 0xA9]
    var state: UInt64 = 1
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    for _ in 0..<20_000 {
      var damaged = bytes
      for _ in 0...next(4) {
        guard !damaged.isEmpty else { break }
        let place = next(damaged.count)
        switch next(4) {
        case 0: damaged[place] = pool[next(pool.count)]
        case 1: damaged.insert(pool[next(pool.count)], at: place)
        case 2: damaged.remove(at: place)
        default: damaged.removeLast(damaged.count - place)
        }
      }
      guard let table = try? Table(bytes: damaged, source: "t") else { continue }
      for column in table.columns {
        _ = try? table.values(of: column, missing: .allowed)
        _ = try? table.values(of: column)
        _ = try? table.texts(column)
        _ = try? table.kind(of: column)
      }
    }
  }
}
