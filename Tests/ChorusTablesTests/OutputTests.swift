import Foundation
import Testing

@testable import ChorusTables

@Suite struct RowEncoderTests {
  let cells: [Cell] = [
    .number(0.1), .float(0.1), .integer(-3), .text("a \"b\",\nc\u{1}é"), .number(.nan), .value(0.5, .date),
    .missing,
    .value(2, .number),
  ]
  let columns = ["n", "f,", "i", "t", "x", "d", "m", "v"]

  @Test func csv() throws {
    let encoder = RowEncoder(columns: columns, format: .csv)
    #expect(encoder.header == "n,\"f,\",i,t,x,d,m,v\n")
    let row = try encoder.row(cells)
    #expect(row == "0.1,0.1,-3,\"a \"\"b\"\",\nc\u{1}é\",,1970-01-01T12:00,,2\n")
    let back = try Table(bytes: Array((encoder.header + row).utf8), source: "t")
    #expect(try back.texts("t") == ["a \"b\",\nc\u{1}é"])
    #expect(back.columns == columns)
    #expect(try back.numbers("d") == [0.5])
  }

  @Test func jsonLines() throws {
    let encoder = RowEncoder(columns: columns, format: .jsonl)
    #expect(encoder.header.isEmpty)
    let row = try encoder.row(cells)
    #expect(
      row
        == #"{"n":0.1,"f,":0.1,"i":-3,"t":"a \"b\",\nc\u0001é","x":null,"d":"1970-01-01T12:00","m":null,"v":2}"#
        + "\n")
    let object = try #require(JSONSerialization.jsonObject(with: Data(row.utf8)) as? [String: Any])
    #expect(object["t"] as? String == "a \"b\",\nc\u{1}é")
  }

  @Test func numbersRoundTrip() throws {
    let encoder = RowEncoder(columns: ["a"], format: .csv)
    for value in [
      0.1, 1e-7, 1e16, 123456.789, -Double.leastNonzeroMagnitude, Double.greatestFiniteMagnitude, -0.0, 3,
      1e15,
    ] {
      let text = try encoder.row([.number(value)]).dropLast()
      #expect(Double(text)?.bitPattern == value.bitPattern)
      #expect(!text.hasSuffix(".0"))
    }
    #expect(try encoder.row([.missing]) == "\"\"\n")
    #expect(refusal { _ = try encoder.row([]) }?.reason == .row)
  }
}

@Suite struct RowWriterTests {
  func scratch() throws -> String {
    let path = NSTemporaryDirectory() + "chorus-tables-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  @Test func aFileAppearsWholeOrNotAtAll() throws {
    let folder = try scratch()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/out.csv"
    do {
      let writer = try RowWriter(columns: ["a"], format: .csv, to: .file(path))
      try writer.write([.integer(1)])
      #expect(!FileManager.default.fileExists(atPath: path))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    let writer = try RowWriter(columns: ["a"], format: .csv, to: .file(path))
    for row in 0..<30_000 { try writer.write([.integer(row)]) }
    try writer.finish()
    try writer.finish()
    #expect(refusal { try writer.write([.integer(1)]) }?.reason == .system)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["out.csv"])
    #expect(try Table.read(path: path).numbers("a") == (0..<30_000).map(Double.init))
    #expect(refusal { _ = try RowWriter(columns: ["a"], format: .csv, to: .file(folder + "/no/x")) } != nil)
    #expect(refusal { _ = try RowWriter(columns: ["a"], format: .csv, to: .file(folder)) } != nil)
    let device = try RowWriter(columns: ["a"], format: .jsonl, to: .file("/dev/null"))
    try device.finish()
  }

  #if os(Linux)
    @Test func aFullDiskIsAnErrorEachTime() throws {
      let writer = try RowWriter(columns: ["a"], format: .csv, to: .file("/dev/full"))
      #expect(refusal { try writer.finish() }?.reason == .system)
      #expect(refusal { try writer.finish() }?.reason == .system)
    }
  #endif
}

@Suite struct TaskFileTests {
  func tasks(_ text: String) throws -> [TaskFile.Task] {
    try TaskFile(bytes: Array(text.utf8), source: "tasks.jsonl").tasks
  }

  @Test func readsBothForms() throws {
    let tasks = try tasks(
      "{\"x\": [1, 2.5], \"y\": [3, 4]}\r\n\n {\"y\":[5],\"x\":[[1,2]],\"note\":\"kept out\"}")
    #expect(
      tasks == [.init(x: [1, 2.5], y: [3, 4], dimensions: 1), .init(x: [1, 2], y: [5], dimensions: 2)])
  }

  @Test func aFirstLineNamesTheInputs() throws {
    let text = "{\"columns\": [\"time\", \"depth\"]}\n{\"x\": [[1, 2]], \"y\": [3]}\n"
    let file = try TaskFile(bytes: Array(text.utf8), source: "tasks.jsonl")
    #expect(file.columns == ["time", "depth"] && file.tasks.count == 1)
    #expect(try TaskFile(bytes: Array("{\"x\":[1],\"y\":[1]}".utf8), source: "t").columns == nil)
  }

  @Test(arguments: [
    ("\n", "tasks.jsonl: has no tasks"), ("{\"columns\":[\"t\"]}", "tasks.jsonl: has no tasks"),
    (
      "{\"columns\":[\"t\"]}\n{\"x\":[[1,2]],\"y\":[1]}",
      "tasks.jsonl:2: the task has 2 inputs, and the first line names 1"
    ),
    ("{\"x\":[1],\"y\":[1]}\n{\"columns\":[\"t\"]}", "tasks.jsonl:2: the task has no 'x'"),
    ("{\"x\":[1],\"y\":[1]}\nnope", "tasks.jsonl:2: the line is not JSON"),
    ("{\"x\":[1]}", "tasks.jsonl:1: the task has no 'y'"),
    ("{\"x\":[1,2],\"y\":[1]}", "tasks.jsonl:1: x has 2 rows and y has 1 values"),
    ("{\"x\":[[1,2],[3]],\"y\":[1,2]}", "tasks.jsonl:1: row 2 of x has 1 inputs, the first has 2"),
    ("{\"x\":[],\"y\":[]}", "tasks.jsonl:1: the task has no rows"),
    ("{\"x\":[[]],\"y\":[1]}", "tasks.jsonl:1: the task has no rows"),
    ("{\"x\":[1],\"y\":[\"a\"]}", "tasks.jsonl:1: 'y[0]' is not a number"),
    ("{\"x\":[1],\"y\":[null]}", "tasks.jsonl:1: 'y[0]' is not a number"),
    ("{\"x\":[1,[2]],\"y\":[1,2]}", "tasks.jsonl:1: 'x[1]' is not a number"),
    ("{\"x\":[1],\"y\":[1e999]}", "tasks.jsonl:1: "), ("{\"x\":[1],\"y\":[NaN]}", "tasks.jsonl:1: "),
    ("[1]", "tasks.jsonl:1: "),
  ])
  func refuses(_ text: String, _ words: String) {
    let error = refusal { _ = try tasks(text) }
    #expect(error?.description.hasPrefix(words) == true, "\(error?.description ?? "no error")")
  }

  @Test func tellsOfAMissingFile() {
    #expect(refusal { _ = try TaskFile(path: "no/such.jsonl") }?.reason == .missing)
  }
}
