import Foundation
import Testing

@testable import ChorusFiles

/// Our own forms of what Foundation's encoder and decoder do, held to them.
@Suite struct JSONTests {
  struct Inner: Codable, Equatable {
    var ratio: Float
    var flags: [Bool]
    var nested: [[Double]]
    var none: Int?
  }
  enum Choice: Codable, Equatable {
    case plain
    case sized(Int, named: String)
  }
  struct Outer: Codable, Equatable {
    var text: String
    var value: Double
    var small: Int8
    var large: UInt64
    var inner: Inner
    var table: [String: Int]
    var choices: [Choice]
    var absent: [Inner]?
  }

  static let outer = Outer(
    text: "a/b \"\\ \u{1}\u{8}\u{C}\n\r\t\u{1F}\u{7F} é e\u{301} \u{2028} 日本 😀", value: -0.1, small: -128,
    large: .max, inner: Inner(ratio: 0.1, flags: [true, false], nested: [[], [1, 2.5], [1e300]]),
    table: ["b": 1, "a": 2, "B": 3, "a10": 4, "a9": 5, "é": 6, "/": 7, "": 8],
    choices: [.plain, .sized(3, named: "x")], absent: nil)

  private func foundation(_ value: some Encodable, _ more: JSONEncoder.OutputFormatting = []) throws -> String
  {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, more]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  @Test func writesTheBytesOfFoundation() throws {
    #expect(try JSON.encode(Self.outer) == foundation(Self.outer))
    #expect(try JSON.encode(Self.outer, .allButSlashes) == foundation(Self.outer, .withoutEscapingSlashes))
    #expect(try JSON.encode([Self.outer, Self.outer]) == foundation([Self.outer, Self.outer]))
    #expect(
      try JSON.encode("a") == "\"a\"" && JSON.encode([Int]()) == "[]" && JSON.encode([String: Int]()) == "{}")
    let numbers = [
      0, -0.0, 1, -1, 0.1, 1e15, 1e16, 123_456_789_012_345_680, 1e-5, 1e-7, .greatestFiniteMagnitude,
      .leastNormalMagnitude, .leastNonzeroMagnitude, .pi, 1 / 3,
    ]
    #expect(try JSON.encode(numbers) == foundation(numbers))
    let floats = numbers.map(Float.init).filter(\.isFinite)
    #expect(try JSON.encode(floats) == foundation(floats))
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let value = Double(bitPattern: random.next())
      guard value.isFinite else { continue }
      let text = try JSON.encode([value])
      #expect(try text == foundation([value]))
      #expect(try JSON.decode([Double].self, from: text) == [value])
    }
  }

  @Test func readsWhatFoundationReads() throws {
    let text = try foundation(Self.outer)
    #expect(try JSON.decode(Outer.self, from: text) == Self.outer)
    let pretty = JSONEncoder()
    pretty.outputFormatting = [.prettyPrinted]
    #expect(try JSON.decode(Outer.self, from: Array(pretty.encode(Self.outer))) == Self.outer)
    #expect(try JSON.decode(Int.self, from: " 1e2 ") == 100)
    #expect(
      try JSON.decode([Double].self, from: "[1, -0, 1.50e-3, 12345678901234567890]").map(\.description)
        == ["1.0", "-0.0", "0.0015", "1.2345678901234567e+19"])
    #expect(try JSON.decode([Int?].self, from: "[1,null]") == [1, nil])
    #expect(
      try JSON.decode(String.self, from: [0xEF, 0xBB, 0xBF] + Array(#""\u00e9\ud83d\ude00\/""#.utf8)) == "é😀/"
    )
  }

  /// The kind of error, where it is, and its words.
  private func fault(_ read: () throws -> Void) -> String {
    func place(_ context: DecodingError.Context) -> String {
      context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? "." + $0.stringValue }.joined() + " "
        + context.debugDescription
    }
    do { try read() } catch let error as DecodingError {
      switch error {
      case .dataCorrupted(let context):
        // What is no JSON is told in the same words; what a number does not fit in is told by Foundation as no JSON.
        return "corrupted " + (context.codingPath.isEmpty ? "" : place(context).prefix { $0 != " " })
      case .keyNotFound(let key, let context): return "absent \(key.stringValue)" + place(context)
      case .typeMismatch(let type, let context): return "mismatch \(type)" + place(context)
      case .valueNotFound(let type, let context): return "null \(type)" + place(context)
      @unknown default: return "unknown"
      }
    } catch { return "other" }
    return "none"
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"text\":1}", "{}", "[]", "null", "tru", "01", "1 2",
    "{\"text\":\"a\",\"value\":null}",
    "{\"text\":\"a\",\"value\":\"b\"}", "{\"text\":\"a\",\"value\":1,\"small\":128}",
    "{\"text\":\"a\",\"value\":1,\"small\":1.5}",
    "{\"text\":\"a\",\"value\":1,\"small\":1,\"large\":1,\"inner\":[]}",
    "{\"text\":\"a\",\"value\":1,\"small\":1,\"large\":1,\"inner\":{\"ratio\":1,\"flags\":[true,0]}}",
    "{\"text\":\"a\",\"value\":1,\"small\":1,\"large\":1,\"inner\":{\"ratio\":1,\"flags\":{}}}",
    "{\"text\":\"\\x\"}", "{\"text\":\"\\ud800\"}", "\u{1}", "{\"value\":1e999,\"text\":\"\"}",
  ])
  func failsWhereFoundationFails(_ text: String) {
    let theirs = fault { _ = try JSONDecoder().decode(Outer.self, from: Data(text.utf8)) }
    let own = fault { _ = try JSON.decode(Outer.self, from: text) }
    #expect(theirs != "none")
    // What is no JSON at all is told before anything is read of it; Foundation may come to the kind of a value first.
    #expect(own == theirs || own.hasPrefix("corrupted"), "\(own) | \(theirs)")
  }

  @Test func refusesWhatCannotBeWritten() throws {
    struct Nothing: Encodable { func encode(to encoder: any Encoder) {} }
    #expect(throws: EncodingError.self) { try JSON.encode([Double.nan]) }
    #expect(throws: EncodingError.self) { try JSON.encode(["a": Float.infinity]) }
    #expect(throws: EncodingError.self) { try JSON.encode(Nothing()) }
    #expect(try JSON.encode([Nothing()]) == "[{}]")
  }

  @Test func refusesAKeyThatIsThereTwiceAndWhatIsTooDeep() {
    #expect(throws: DecodingError.self) { try JSON.decode([String: Int].self, from: #"{"a":1,"a":2}"#) }
    for depth in [65, 100_000] {
      #expect(throws: DecodingError.self) {
        try JSON.decode([Int].self, from: String(repeating: "[", count: depth))
      }
    }
    #expect(throws: DecodingError.self) { try JSON.decode(String.self, from: [0x22, 0xFF, 0x22]) }
  }

  /// The parts of the protocols that synthesized code does not use.
  private struct ByHand: Codable, Equatable {
    enum Key: String, CodingKey { case list, parts, kept, level }
    struct Header: Codable, Equatable { var level: Int }
    var header: Header
    var list: [Int]
    var kept: String

    init(header: Header, list: [Int], kept: String) {
      (self.header, self.list, self.kept) = (header, list, kept)
    }

    init(from decoder: any Decoder) throws {
      header = try Header(from: decoder)
      let fields = try decoder.container(keyedBy: Key.self)
      var elements = try fields.nestedUnkeyedContainer(forKey: .list)
      var found: [Int] = []
      while !elements.isAtEnd {
        if try elements.decodeNil() { continue }
        if (try? elements.nestedUnkeyedContainer()) != nil { continue }
        found.append(try elements.decode(Int.self))
      }
      list = found
      let parts = try fields.nestedContainer(keyedBy: Key.self, forKey: .parts)
      guard Set(parts.allKeys) == [.kept], parts.contains(.kept), try !parts.decodeNil(forKey: .kept) else {
        throw DecodingError.dataCorrupted(.init(codingPath: parts.codingPath, debugDescription: "parts"))
      }
      kept = try String(from: parts.superDecoder(forKey: .kept))
    }

    func encode(to encoder: any Encoder) throws {
      try header.encode(to: encoder)
      var fields = encoder.container(keyedBy: Key.self)
      var elements = fields.nestedUnkeyedContainer(forKey: .list)
      for value in list { try elements.encode(value) }
      try elements.encodeNil()
      var inner = elements.nestedUnkeyedContainer()
      try inner.encode(true)
      var parts = fields.nestedContainer(keyedBy: Key.self, forKey: .parts)
      try kept.encode(to: parts.superEncoder(forKey: .kept))
    }
  }

  @Test func containersOfOnePlaceWriteTogether() throws {
    let value = ByHand(header: .init(level: 4), list: [1, 2], kept: "k")
    let text = try JSON.encode(value)
    #expect(text == #"{"level":4,"list":[1,2,null,[true]],"parts":{"kept":"k"}}"#)
    #expect(try text == foundation(value))
    #expect(try JSON.decode(ByHand.self, from: text) == value)
  }

  @Test func readersGetWhatTheyAreGiven() throws {
    struct Asks: Decodable {
      let answer: Int
      init(from decoder: any Decoder) throws {
        let key = try #require(CodingUserInfoKey(rawValue: "k"))
        answer = try decoder.singleValueContainer().decode(Int.self) + (decoder.userInfo[key] as? Int ?? 0)
      }
    }
    let key = try #require(CodingUserInfoKey(rawValue: "k"))
    #expect(try JSON.decode([Asks].self, from: "[1]", userInfo: [key: 41]).map(\.answer) == [42])
  }
}

@Suite struct PathLinksTests {
  @Test func linksAreFollowedAsFoundationFollowsThem() throws {
    let scratch = try Scratch()
    let files = FileManager.default
    try files.createDirectory(atPath: scratch.path + "/real/deep", withIntermediateDirectories: true)
    try files.createSymbolicLink(atPath: scratch.path + "/link", withDestinationPath: "real")
    try files.createSymbolicLink(atPath: scratch.path + "/lost", withDestinationPath: "nowhere")
    #expect((scratch.path + "/link").linkedPath == "real" && (scratch.path + "/real").linkedPath == nil)
    #expect((scratch.path + "/link").isThere && !(scratch.path + "/lost").isThere && !"".isThere)
    let real = URL(fileURLWithPath: scratch.path).resolvingSymlinksInPath().path
    for (path, expected) in [
      ("/link", "/real"), ("/link/deep/..", "/real"), ("/link/deep/", "/real/deep"),
      ("/link/no/more", "/real/no/more"),
      ("/no/.", "/no"), ("/no/..", ""),
    ] {
      #expect((scratch.path + path).withoutLinks == real + expected, "\(path)")
    }
    #expect("/".withoutLinks == "/" && "/no-such-folder".withoutLinks == "/no-such-folder")
    #expect(
      ".".withoutLinks == files.currentDirectoryPath
        && "no-such".withoutLinks == files.currentDirectoryPath + "/no-such")
  }

  @Test func uniqueNamesAreUUIDs() {
    let names = (0..<100).map { _ in UniqueName.make() }
    #expect(Set(names).count == 100)
    #expect(names.allSatisfy { UniqueName.isOne($0) && UUID(uuidString: $0) != nil })
    #expect(UniqueName.isOne(UUID().uuidString) && UniqueName.isOne(UUID().uuidString.lowercased()))
    for text in [
      "", "x", String(repeating: "-", count: 36), String(UUID().uuidString.dropLast()),
      UUID().uuidString + "0",
    ] {
      #expect(!UniqueName.isOne(text))
    }
  }
}
