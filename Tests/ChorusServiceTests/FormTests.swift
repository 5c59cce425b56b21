import ChorusFiles
import Foundation
import Testing

@testable import ChorusService

@Suite struct FormTests {
  @Test("JSON is read as it is written, numbers with all their digits")
  func readsJSON() throws {
    let text =
      #"{"a":[1,-2.50,1e-7,18446744073709551615],"b":"é\n\"\\\u0041\ud83d\ude00","c":{"d":null,"e":true}}"#
    let json = try JSON(parsing: Array(text.utf8))
    #expect(json["a"]?.array?.last == .number("18446744073709551615"))
    #expect(json["b"]?.string == "é\n\"\\A😀")
    #expect(
      json.text == #"{"a":[1,-2.50,1e-7,18446744073709551615],"b":"é\n\"\\A😀","c":{"d":null,"e":true}}"#)
    #expect(try JSON(parsing: Array(json.text.utf8)) == json)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\" 1}", "01", "1.", "-", "tru", "\"a", "\"\\x\"", "\"\\ud800\"", "[1] 2",
    "{\"a\":1,\"a\":2}",
    "\"\u{1}\"", "NaN", "'a'", "[" + String(repeating: "[", count: 100),
  ])
  func refusesWhatIsNoJSON(_ text: String) {
    #expect(throws: JSONFault.self) { try JSON(parsing: Array(text.utf8)) }
  }

  @Test func formsAreTakenApart() throws {
    let body =
      "--B\r\nContent-Disposition: form-data; name=\"target\"\r\n\r\ny\r\n--B\r\n"
      + "Content-Disposition: form-data; name=\"f\"; filename=\"../a.tsv\"\r\nContent-Type: text/plain\r\n\r\nx\ty\r\n1\t2\r\n--B--\r\n"
    let parts = try #require(Multipart.parts(Array(body.utf8), boundary: "B"))
    #expect(parts.map(\.name) == ["target", "f"])
    #expect(parts.map(\.isFile) == [false, true])
    #expect(String(decoding: parts[1].bytes, as: UTF8.self) == "x\ty\r\n1\t2")
  }

  @Test("A form that is cut off anywhere is refused and ends nothing")
  func formsThatAreCutOff() {
    let body = Array("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n--B--".utf8)
    #expect(Multipart.parts(body, boundary: "B")?.count == 1)
    for count in 0..<body.count { #expect(Multipart.parts(Array(body[..<count]), boundary: "B") == nil) }
  }

  @Test func theFormThatIsLikedMostIsTaken() throws {
    let all: [AnswerForm] = [.json, .csv, .jsonl, .npy]
    #expect(try AnswerForm.accepted(nil, among: all) == .json)
    #expect(try AnswerForm.accepted("*/*", among: all) == .json)
    #expect(try AnswerForm.accepted("text/csv", among: all) == .csv)
    #expect(try AnswerForm.accepted("application/json;q=0.5, application/x-ndjson", among: all) == .jsonl)
    #expect(try AnswerForm.accepted("image/png, text/csv;q=0.1", among: all) == .csv)
    #expect(throws: ServiceError.self) { try AnswerForm.accepted("image/png", among: all) }
    #expect(throws: ServiceError.self) { try AnswerForm.accepted("text/csv;q=0", among: all) }
  }

  @Test func fieldsAreCheckedByTheirKind() throws {
    let specs = [
      FieldSpec("n", .integer(1...9), ""), FieldSpec("seed", .seed, ""), FieldSpec("flag", .boolean, ""),
      FieldSpec("levels", .numbers, ""), FieldSpec("names", .texts, ""),
    ]
    let fields = try Fields(
      specs, query: "n=7&levels=0.1,0.9&names=a%2Cb,c+d&flag=true",
      json: JSON(parsing: Array(#"{"seed":18446744073709551615}"#.utf8)))
    #expect(fields.integer("n") == 7)
    #expect(fields.seed("seed") == .max)
    #expect(fields.boolean("flag") == true)
    #expect(fields.numbers("levels") == [0.1, 0.9])
    #expect(fields.texts("names") == ["a", "b", "c d"])
    for query in ["n=10", "n=1.5", "n=x", "seed=-1", "flag=1", "levels=a", "m=1", "n=1&n=2", "n=%zz"] {
      #expect(throws: ServiceError.self) { try Fields(specs, query: query, json: nil) }
    }
    #expect(throws: ServiceError.self) { try Fields(specs, query: "", json: .members(["n": .string("7")])) }
  }

  @Test("An array file has the shape and the bytes that NumPy reads")
  func writesArrays() {
    let bytes = Npy.bytes([[1, 2, 3], [4, 5, 6.5]])
    #expect(bytes.count % 64 == 48)
    #expect(bytes[..<6].elementsEqual([0x93] + Array("NUMPY".utf8)))
    #expect(String(decoding: bytes[10..<128], as: UTF8.self).contains("'shape': (2, 3)"))
    #expect(bytes[9] == 0 && Int(bytes[8]) + 10 == bytes.count - 48)
    let last = bytes.suffix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    #expect(Double(bitPattern: last) == 6.5)
  }

  @Test("Options in words are fields")
  func wordsNameFields() {
    #expect(ServiceError.words("name one with --target") == "name one with 'target'")
    #expect(
      ServiceError.words("give --at or --at-file; --date-format") == "give 'at' or 'points'; 'date_format'")
  }
}
