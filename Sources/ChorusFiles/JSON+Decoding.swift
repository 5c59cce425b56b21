extension JSON {
  /// A value out of a text of JSON.
  ///
  /// Own code in place of Foundation's decoder, which a third of the C library's bytes would be there for. Errors are the standard library's,
  /// in the words of Foundation's. A key that is there twice is an error, and so is a depth of more than 64.
  ///
  /// - Throws: `DecodingError`, or what `Value.init(from:)` throws.
  package static func decode<Value: Decodable>(
    _ type: Value.Type, from bytes: [UInt8], userInfo: [CodingUserInfoKey: any Sendable] = [:]
  ) throws -> Value { try decode(type, from: JSON(decoding: bytes), userInfo: userInfo) }

  /// The tree of a text, with the errors of ``decode(_:from:userInfo:)-[UInt8]``.
  package init(decoding bytes: [UInt8]) throws {
    // The mark of UTF-8 that some editors write.
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    do throws(JSONFault) {
      self = try JSON(parsing: bytes.starts(with: mark) ? Array(bytes.dropFirst(3)) : bytes)
    } catch {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "The given data was not valid JSON.", underlyingError: error))
    }
  }

  /// A value out of a tree.
  ///
  /// - Throws: `DecodingError`, or what `Value.init(from:)` throws.
  package static func decode<Value: Decodable>(
    _ type: Value.Type, from json: JSON, userInfo: [CodingUserInfoKey: any Sendable] = [:]
  ) throws -> Value { try JSONNode(json: json, codingPath: [], userInfo: userInfo).decode(type) }

  /// A value out of a text of JSON; see ``decode(_:from:userInfo:)-[UInt8]``.
  package static func decode<Value: Decodable>(
    _ type: Value.Type, from text: String, userInfo: [CodingUserInfoKey: any Sendable] = [:]
  ) throws -> Value {
    try decode(type, from: Array(text.utf8), userInfo: userInfo)
  }

  /// The numbers of an array that holds nothing else, without a container for each; nil for any other value, and where one does not fit.
  fileprivate var numbers: [Double]? {
    guard case .array(let values) = self else { return nil }
    var numbers: [Double] = []
    numbers.reserveCapacity(values.count)
    for value in values {
      guard case .number(let digits) = value, let number = Double(digits), number.isFinite else { return nil }
      numbers.append(number)
    }
    return numbers
  }

  /// What kind of value it is, for messages.
  fileprivate var kind: String {
    switch self {
    case .null: "null"
    case .bool: "bool"
    case .number: "number"
    case .string: "a string"
    case .array: "an array"
    case .object: "a dictionary"
    }
  }
}

/// A place in an array, or a field that is not named by its reader.
struct JSONKey: CodingKey {
  let stringValue: String
  let intValue: Int?
  init(stringValue: String) { (self.stringValue, intValue) = (stringValue, nil) }
  init(intValue: Int) { (stringValue, self.intValue) = ("Index \(intValue)", intValue) }
  static let parent = JSONKey(stringValue: "super")
}

/// A value of the tree, where it is and what readers were given.
private struct JSONNode: Decoder, SingleValueDecodingContainer {
  let json: JSON
  let codingPath: [any CodingKey]
  let info: [CodingUserInfoKey: any Sendable]
  var userInfo: [CodingUserInfoKey: Any] { info }

  init(json: JSON, codingPath: [any CodingKey], userInfo: [CodingUserInfoKey: any Sendable]) {
    (self.json, self.codingPath, info) = (json, codingPath, userInfo)
  }

  func child(_ json: JSON, _ key: some CodingKey) -> JSONNode {
    JSONNode(json: json, codingPath: codingPath + [key], userInfo: info)
  }

  func context(_ words: String) -> DecodingError.Context {
    .init(codingPath: codingPath, debugDescription: words)
  }

  /// The error of another kind of value than `type`.
  func mismatch(_ type: Any.Type) -> DecodingError {
    guard json != .null else {
      return .valueNotFound(type, context("Cannot get value of type \(type) -- found null value instead"))
    }
    return .typeMismatch(type, context("Expected to decode \(type) but found \(json.kind) instead."))
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .object(let members) = json else {
      guard json != .null else {
        throw DecodingError.valueNotFound(
          [String: Any].self, context("Cannot get keyed decoding container -- found null value instead"))
      }
      throw mismatch([String: Any].self)
    }
    return KeyedDecodingContainer(JSONFields(node: self, members: members))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .array(let values) = json else {
      guard json != .null else {
        throw DecodingError.valueNotFound(
          [Any].self, context("Cannot get unkeyed decoding container -- found null value instead"))
      }
      throw mismatch([Any].self)
    }
    return JSONElements(node: self, values: values)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { json == .null }

  // Stands for the protocol's functions of every single type too.
  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    if type == [Double].self, let numbers = json.numbers as? Value { return numbers }
    guard let scalar = JSON.scalar(type) else { return try Value(from: self) }
    guard let value = try scalar.read(self) as? Value else { throw mismatch(type) }
    return value
  }

  /// The digits of a number.
  func digits(for type: Any.Type) throws -> String {
    guard case .number(let digits) = json else { throw mismatch(type) }
    return digits
  }

  func unfit(_ digits: String, _ type: Any.Type) -> DecodingError {
    .dataCorrupted(context("Parsed JSON number <\(digits)> does not fit in \(type)."))
  }
}

/// The types that JSON has values of.
private protocol JSONScalar: Decodable, SendableMetatype { static func read(_ node: JSONNode) throws -> Self }

extension Bool: JSONScalar {
  fileprivate static func read(_ node: JSONNode) throws -> Bool {
    guard case .bool(let value) = node.json else { throw node.mismatch(self) }
    return value
  }
}

extension String: JSONScalar {
  fileprivate static func read(_ node: JSONNode) throws -> String {
    guard case .string(let value) = node.json else { throw node.mismatch(self) }
    return value
  }
}

extension JSONScalar where Self: BinaryFloatingPoint & LosslessStringConvertible {
  fileprivate static func read(_ node: JSONNode) throws -> Self {
    let digits = try node.digits(for: self)
    guard let value = Self(digits), value.isFinite else { throw node.unfit(digits, self) }
    return value
  }
}

extension JSONScalar where Self: FixedWidthInteger {
  fileprivate static func read(_ node: JSONNode) throws -> Self {
    let digits = try node.digits(for: self)
    // "1e3" and "2.0" are whole numbers too.
    guard let value = Self(digits) ?? Double(digits).flatMap(Self.init(exactly:)) else {
      throw node.unfit(digits, self)
    }
    return value
  }
}

extension JSON {
  fileprivate static func scalar(_ type: Any.Type) -> (any JSONScalar.Type)? { scalars.first { $0 == type } }
  static func isScalar(_ type: Any.Type) -> Bool { scalar(type) != nil }

  /// All types that are scalars. A type is looked for among them: asking the runtime whether it conforms to the protocol takes a look at
  /// each conformance in the program, for every type of a header anew.
  private static let scalars: [any JSONScalar.Type] = [
    Bool.self, String.self, Double.self, Float.self, Int.self, Int8.self, Int16.self, Int32.self, Int64.self,
    UInt.self, UInt8.self, UInt16.self, UInt32.self, UInt64.self,
  ]
}

extension Double: JSONScalar {}
extension Float: JSONScalar {}
extension Int: JSONScalar {}
extension Int8: JSONScalar {}
extension Int16: JSONScalar {}
extension Int32: JSONScalar {}
extension Int64: JSONScalar {}
extension UInt: JSONScalar {}
extension UInt8: JSONScalar {}
extension UInt16: JSONScalar {}
extension UInt32: JSONScalar {}
extension UInt64: JSONScalar {}

/// The fields of an object.
private struct JSONFields<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let node: JSONNode
  let values: [String: JSON]

  init(node: JSONNode, members: [JSON.Member]) {
    self.node = node
    values = Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  var codingPath: [any CodingKey] { node.codingPath }
  var allKeys: [Key] { values.keys.compactMap { Key(stringValue: $0) } }
  func contains(_ key: Key) -> Bool { values[key.stringValue] != nil }

  private func field(_ key: some CodingKey) throws -> JSONNode {
    guard let value = values[key.stringValue] else {
      throw DecodingError.keyNotFound(
        key, node.context("No value associated with key \(key) (\"\(key.stringValue)\")."))
    }
    return node.child(value, key)
  }

  func decodeNil(forKey key: Key) throws -> Bool { try field(key).decodeNil() }
  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
    try field(key).decode(type)
  }
  func nestedContainer<Inner: CodingKey>(
    keyedBy type: Inner.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Inner> { try field(key).container(keyedBy: type) }
  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try field(key).unkeyedContainer()
  }
  func superDecoder() -> any Decoder {
    node.child(values[JSONKey.parent.stringValue] ?? .null, JSONKey.parent)
  }
  func superDecoder(forKey key: Key) -> any Decoder { node.child(values[key.stringValue] ?? .null, key) }
}

/// The elements of an array, one after the other.
private struct JSONElements: UnkeyedDecodingContainer {
  let node: JSONNode
  let values: [JSON]
  private(set) var currentIndex = 0

  init(node: JSONNode, values: [JSON]) { (self.node, self.values) = (node, values) }

  var codingPath: [any CodingKey] { node.codingPath }
  var count: Int? { values.count }
  var isAtEnd: Bool { currentIndex >= values.count }

  private func element(for type: Any.Type) throws -> JSONNode {
    let key = JSONKey(intValue: currentIndex)
    guard !isAtEnd else {
      throw DecodingError.valueNotFound(
        type, .init(codingPath: codingPath + [key], debugDescription: "Unkeyed container is at end."))
    }
    return node.child(values[currentIndex], key)
  }

  mutating func decodeNil() throws -> Bool {
    guard try element(for: Never.self).decodeNil() else { return false }
    currentIndex += 1
    return true
  }

  /// Moves on only where the element could be read.
  private mutating func next<Value>(_ read: (JSONNode) throws -> Value) throws -> Value {
    let value = try read(element(for: Value.self))
    currentIndex += 1
    return value
  }

  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try next { try $0.decode(type) }
  }
  mutating func nestedContainer<Inner: CodingKey>(
    keyedBy type: Inner.Type
  ) throws -> KeyedDecodingContainer<Inner> { try next { try $0.container(keyedBy: type) } }
  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try next { try $0.unkeyedContainer() }
  }
  mutating func superDecoder() throws -> any Decoder { try next { $0 } }
}
