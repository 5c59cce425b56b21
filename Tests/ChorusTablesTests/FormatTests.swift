import Foundation
import Testing

@testable import ChorusTables

@Suite struct JSONLinesTests {
  func table(_ text: String, numbers: [String]? = nil) throws(TableError) -> Table {
    var options = TableOptions(decimal: .comma)  // of no meaning here
    options.numbers = numbers
    return try Table(bytes: Array(text.utf8), source: "t.jsonl", options: options)
  }

  @Test func readsObjects() throws {
    let table = try table(
      """
      \u{FEFF}{"x": 1, "day": "2000-01-01", "s": "a \\"b\\" \\u00e9\\ud83d\\ude00\\n", "y": null}

      {"y": -2.5e1, "x": NaN, "day": "2000-01-03", "extra": [1, {"a": [true]}, "]"]}\r
      {"x":3,"day":null,"s":"","y":"NA","extra":{}}
      """)
    #expect(table.columns == ["x", "day", "s", "y", "extra"])
    #expect(table.rowCount == 3)
    #expect(try table.numbers("x", missing: .allowed) == [1, nil, 3])
    #expect(
      try table.values(of: "day", missing: .allowed) == .init(values: [10957, 10959, nil], kind: .date))
    #expect(try table.texts("s") == ["a \"b\" é😀\n", "", ""])
    #expect(try table.texts("extra") == ["", "[1, {\"a\": [true]}, \"]\"]", "{}"])
    #expect(try table.numbers("y", missing: .allowed) == [nil, -25, nil])
    #expect(table.line(ofRow: 1) == 3)
    #expect(
      refusal { _ = try table.numbers("y") }?.description.hasPrefix("t.jsonl:1:73: no value (column 'y')")
        == true)
    #expect(
      refusal { _ = try table.numbers("x") }?.description.hasPrefix("t.jsonl:3:20: 'NaN' is not finite")
        == true)
    #expect(refusal { _ = try table.numbers("extra", missing: .allowed) }?.reason == .notANumber)
  }

  @Test func keepsWhatIsAskedFor() throws {
    let text = "{\"a\":1,\"b\":{\"a\":2}}\n{\"b\":3,\"a\":4}\n"
    let table = try table(text, numbers: ["a"])
    #expect(try table.numbers("a") == [1, 4])
    #expect(refusal { _ = try table.texts("b") }?.reason == .unknownColumn)
    #expect(
      refusal { _ = try self.table(text, numbers: ["c"]) }?.description
        == "t.jsonl: has no column 'c'; it has: a, b. Did you mean 'a'?")
  }

  @Test(arguments: [
    ("{\"x\":1}\nnope", "2:1: the line is no JSON object"),
    ("{\"x\":1}\n[1]", "2:1: the line is no JSON object"),
    ("{\"x\":1", "1:7: the object does not end on its line"), ("{\n\"x\":1}", "1:2: a key in quotes"),
    ("{\"x\":1}}", "1:8: text after the object"), ("{\"é\":1 \"y\":2}", "1:8: a ',' or '}'"),
    ("{\"x\":}", "1:6: a value is expected"), ("{\"x\":01}", "1:6: a value is expected"),
    ("{\"x\":+1}", "1:6: a value is expected"), ("{\"x\":1.}", "1:6: a value is expected"),
    ("{\"x\":nul}", "1:6: a value is expected"), ("{\"x\":\"a}", "1:9: the string does not end"),
    ("{\"x\":\"\\q\"}", "1:9: an escape"), ("{\"x\":\"\\ud800\"}", "1:13: an escape"),
    ("{\"x\":\"a\tb\"}", "1:8: a control character"),
    ("{\"x\":1,\"x\":2}", "1:8: the key 'x' is there twice"),
    ("{\"x\":[1,]}", "1:9: a value is expected"), ("{\"x\":[1}", "1:8: a ',' or ']'"),
    ("{\"x\":{\"a\"}}", "1:10: a ':' is expected"), ("{x:1}", "1:2: a key in quotes"),
    ("{\"x\":1,}", "1:8: a key in quotes"),
  ])
  func refuses(_ text: String, _ words: String) {
    let error = refusal { _ = try table(text) }
    #expect(error?.description.hasPrefix("t.jsonl:\(words)") == true, "\(error?.description ?? "no error")")
  }

  @Test func refusesWhatIsTooDeepOrTooMuch() {
    let deep = "{\"x\":" + String(repeating: "[", count: 100_000)
    #expect(refusal { _ = try table(deep) }?.description.contains("nested too deeply") == true)
    #expect(
      refusal { _ = try table("\n\n") }?.description
        == "t.jsonl: is empty; write one JSON object on each line.")
    let keys = (0...CSVReader.columnLimit).map { "\"k\($0)\":1" }.joined(separator: ",")
    #expect(
      refusal { _ = try table("{\(keys)}") }?.description.contains("more than 100000 different keys") == true)
    #expect(
      refusal { _ = try table("{}\n{}") }?.description.hasPrefix("t.jsonl: has objects without keys") == true)
    // Without this limit 30,000 lines would need 900 million cells.
    let lines = (0..<30_000).map { "{\"k\($0)\":1}" }.joined(separator: "\n")
    #expect(refusal { _ = try table(lines) }?.description.contains("keys change from line to line") == true)
    #expect(
      refusal { _ = try Table(bytes: Array("[\n {\"x\":1}]".utf8), source: "a.json") }?.description
        == "a.json: is JSON, but not one object a line; make it so (jq -c '.[]' for an array of objects).")
  }
}

@Suite struct NumPyTests {
  func table(_ name: String, _ numbers: [String]? = nil) throws -> Table {
    var options = TableOptions()
    options.numbers = numbers
    return try Table(bytes: fixture(name), source: name, options: options)
  }

  let x = (0..<50).map { Double($0) / 4 }

  @Test func readsArrays() throws {
    let plain = try table("f8.npy")
    #expect(plain.columns == ["0", "1"])
    #expect(try plain.numbers("0") == x)
    #expect(try plain.texts("0")[1...4] == ["0.25", "0.5", "0.75", "1"])
    #expect(plain.line(ofRow: 0) == nil)
    let y = try plain.numbers("1").compactMap { $0 }
    #expect(zip(y, 0...).allSatisfy { abs($0 - sin(Double($1))) < 1e-15 })
    let fortran = try table("f4-fortran.npy", ["1"])
    #expect(try fortran.numbers("1") == y.map { Double(Float($0)) })
    let archive = try table("stored.npz")
    #expect(archive.columns == ["x", "m.0", "m.1"])
    #expect(try archive.numbers("m.1") == y.map { -$0 })
    let file = try fixture("stored.npz")
    #expect(try Table(bytes: storedGzip(file), source: "t").numbers("x") == x)
  }

  @Test func readsEachType() throws {
    func values(_ name: String) throws -> [Double?] {
      try table("types.npz", [name]).numbers(name, missing: .allowed)
    }
    #expect(try table("types.npz", ["day"]).values(of: "day", missing: .allowed).kind == .date)
    #expect(try values("day") == [1, nil, 10957])
    #expect(try values("hour") == [1, nil, 10957])
    #expect(try values("i1") == [-1, 2, 3])
    #expect(try values("u2") == [1, 2, 65535])
    #expect(try values("i8") == [-9_007_199_254_740_992, 0, 5])
    #expect(try values("b") == [1, 0, 1])
    #expect(
      refusal { _ = try values("half") }?.description
        == "types.npz: 'inf' is not finite (column 'half', row 2 from 0); write a finite number or leave the row out."
    )
    #expect(
      refusal { _ = try table("types.npz", ["day"]).numbers("day") }?.description.hasPrefix(
        "types.npz: no value (column 'day', row 1 from 0)") == true)
    #expect(
      refusal { _ = try table("types.npz", ["i1", "long"]) }?.description
        == "types.npz: 'i1.npy' has 3 rows and 'long.npy' 4; a table needs as many in each.")
    #expect(
      refusal { _ = try table("types.npz", ["words"]) }?.description.hasPrefix(
        "types.npz (words.npy): has text ('<U1')") == true)
  }

  @Test(arguments: [
    ("big-endian.npy", "has elements of type '>f8', highest byte first; save it with a.astype("),
    ("objects.npy", "has Python objects, which only Python can read"),
    ("records.npy", "has records of several fields, which are no table of one type; save each field"),
    ("complex.npy", "has elements of type '<c16'"), ("cube.npy", "has 3 dimensions"),
  ])
  func refusesOtherTypes(_ name: String, _ words: String) {
    let error = refusal { _ = try table(name) }
    #expect(
      error?.reason == .array && error?.description.hasPrefix("\(name): \(words)") == true, "\(error as Any)")
  }

  @Test func refusesDamage() throws {
    let good = try fixture("f8.npy")
    func refused(_ change: (inout [UInt8]) -> Void) -> String {
      var bytes = good
      change(&bytes)
      return refusal { _ = try Table(bytes: bytes, source: "t.npy") }?.description ?? "no error"
    }
    #expect(refused { $0.removeLast(9) } == "t.npy: ends after 98 of 100 values; is the file cut off?")
    #expect(refused { $0 += [0] } == "t.npy: goes on behind its 100 values; is it one array a file?")
    #expect(refused { $0[6] = 9 } == "t.npy: has format version 9, which is not known.")
    #expect(refused { $0.removeLast($0.count - 40) } == "t.npy: has a header that is cut off or too long.")
    #expect(refused { $0[8] = 200 }.contains("has a header that is"))
    func shaped(_ shape: String) -> String {
      let head = "{'descr': '<f8', 'fortran_order': False, 'shape': (\(shape)), }"
      let bytes = [0x93] + Array("NUMPY\u{1}\0".utf8) + [UInt8(head.utf8.count), 0] + Array(head.utf8)
      return refusal { _ = try Table(bytes: bytes, source: "t.npy") }?.description ?? "no error"
    }
    #expect(
      shaped("9223372036854775807,") == "t.npy: has the shape [9223372036854775807], which is too large.")
    #expect(shaped("9223372036854775808,").contains("has a header that is no dictionary"))
    #expect(shaped("1000000000000, 2") == "t.npy: ends after 0 of 2000000000000 values; is the file cut off?")
    #expect(shaped("0,") == "t.npy: has no rows.")
    #expect(shaped("2, 0") == "t.npy: has 0 columns; a table has 1 to 100000.")
    #expect(shaped("-1,").contains("no dictionary"))
    #expect(shaped("") == "t.npy: has 0 dimensions; a table has one or two (reshape it).")
  }

  @Test func tellsOtherFormatsApart() {
    func refused(_ bytes: [UInt8]) -> String {
      refusal { _ = try Table(bytes: bytes, source: "t") }?.description ?? "no error"
    }
    let empty = [0x50, 0x4B, 5, 6] + [UInt8](repeating: 0, count: 18)
    #expect(
      refused(empty) == "t: is a zip file without NumPy arrays; if it is a spreadsheet, save it as CSV.")
    #expect(refused(Array("PAR1....".utf8)) == "t: is a Parquet file, which is not read; save it as CSV.")
    #expect(refused([0x28, 0xB5, 0x2F, 0xFD, 0]).hasPrefix("t: is compressed in another way than gzip"))
  }
}
