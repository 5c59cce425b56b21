extension JSON {
  /// A value as a text of JSON on one line, the fields of objects in order of their names: the bytes that Foundation's encoder writes with
  /// `sortedKeys`.
  ///
  /// Own code for the reason of ``decode(_:from:userInfo:)-String``. A text of a file must not change from version to version: fingerprints of
  /// models are made of it.
  ///
  /// - Throws: `EncodingError` for a number that is not finite and a value that writes nothing, or what `encode(to:)` throws.
  package static func encode(_ value: some Encodable, _ escapes: Escapes = .all) throws -> String {
    let slot = JSONSlot(codingPath: [])
    try slot.encode(value)
    guard let json = slot.json else {
      throw EncodingError.invalidValue(
        value,
        .init(codingPath: [], debugDescription: "Top-level \(type(of: value)) did not encode any values."))
    }
    return json.text(escapes)
  }
}

/// The place of a value that is being written. Containers of the same place, as those of a type and of what it encodes with, share it.
private final class JSONSlot {
  private enum Content {
    case scalar(JSON)
    case array([JSONSlot])
    case object([String: JSONSlot])
  }

  let codingPath: [any CodingKey]
  private var content: Content?

  init(codingPath: [any CodingKey]) { self.codingPath = codingPath }

  /// Nil where nothing was written.
  var json: JSON? {
    switch content {
    case nil: nil
    case .scalar(let value): value
    case .array(let slots): .array(slots.map { $0.json ?? .object([]) })
    case .object(let slots):
      .object(
        slots.sorted { $0.key < $1.key }.map { .init(key: $0.key, value: $0.value.json ?? .object([])) })
    }
  }

  func set(_ value: JSON) { content = .scalar(value) }

  func encode<Value: Encodable>(_ value: Value) throws {
    // Long arrays of numbers, without a place for each; what is not finite is said with its place below.
    if Value.self == [Double].self, let numbers = value as? [Double], numbers.allSatisfy(\.isFinite) {
      set(.array(numbers.map(JSON.double)))
    } else if JSON.isScalar(Value.self), let scalar = value as? any JSONWritable {
      set(try scalar.written(at: codingPath))
    } else {
      try value.encode(to: JSONPlace(slot: self))
    }
  }

  /// Makes an object of a place in which nothing is.
  func open() { if case .object = content {} else { content = .object([:]) } }
  func openList() { if case .array = content {} else { content = .array([]) } }

  var count: Int { if case .array(let slots) = content { slots.count } else { 0 } }

  /// The place of a field: the one there is, so that two containers write into one object.
  func field(_ key: some CodingKey) -> JSONSlot {
    guard case .object(var slots) = content else { return JSONSlot(codingPath: codingPath + [key]) }
    if let slot = slots[key.stringValue] { return slot }
    let slot = JSONSlot(codingPath: codingPath + [key])
    slots[key.stringValue] = slot
    content = .object(slots)
    return slot
  }

  func element() -> JSONSlot {
    let slot = JSONSlot(codingPath: codingPath + [JSONKey(intValue: count)])
    guard case .array(var slots) = content else { return slot }
    content = nil
    slots.append(slot)
    content = .array(slots)
    return slot
  }
}

/// The types that JSON has values of.
private protocol JSONWritable { func written(at path: [any CodingKey]) throws -> JSON }

extension Bool: JSONWritable {
  fileprivate func written(at path: [any CodingKey]) -> JSON { .bool(self) }
}

extension String: JSONWritable {
  fileprivate func written(at path: [any CodingKey]) -> JSON { .string(self) }
}

extension JSONWritable where Self: FixedWidthInteger {
  fileprivate func written(at path: [any CodingKey]) -> JSON { .number(String(self)) }
}

extension JSONWritable where Self: BinaryFloatingPoint & CustomStringConvertible {
  fileprivate func written(at path: [any CodingKey]) throws -> JSON {
    guard isFinite else {
      throw EncodingError.invalidValue(
        self,
        .init(codingPath: path, debugDescription: "Unable to encode \(Self.self).\(self) directly in JSON."))
    }
    let text = description
    return .number(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
  }
}

extension Double: JSONWritable {}
extension Float: JSONWritable {}
extension Int: JSONWritable {}
extension Int8: JSONWritable {}
extension Int16: JSONWritable {}
extension Int32: JSONWritable {}
extension Int64: JSONWritable {}
extension UInt: JSONWritable {}
extension UInt8: JSONWritable {}
extension UInt16: JSONWritable {}
extension UInt32: JSONWritable {}
extension UInt64: JSONWritable {}

/// Writes into a place.
private struct JSONPlace: Encoder, SingleValueEncodingContainer {
  let slot: JSONSlot
  var codingPath: [any CodingKey] { slot.codingPath }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    slot.open()
    return KeyedEncodingContainer(JSONFieldsWriter(slot: slot))
  }
  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    slot.openList()
    return JSONElementsWriter(slot: slot)
  }
  func singleValueContainer() -> any SingleValueEncodingContainer { self }

  func encodeNil() { slot.set(.null) }
  // Stands for the protocol's functions of every single type too.
  func encode<Value: Encodable>(_ value: Value) throws { try slot.encode(value) }
}

/// Writes the fields of an object.
private struct JSONFieldsWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let slot: JSONSlot
  var codingPath: [any CodingKey] { slot.codingPath }

  func encodeNil(forKey key: Key) { slot.field(key).set(.null) }
  func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try slot.field(key).encode(value) }
  func nestedContainer<Inner: CodingKey>(
    keyedBy type: Inner.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Inner> { JSONPlace(slot: slot.field(key)).container(keyedBy: type) }
  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    JSONPlace(slot: slot.field(key)).unkeyedContainer()
  }
  func superEncoder() -> any Encoder { JSONPlace(slot: slot.field(JSONKey.parent)) }
  func superEncoder(forKey key: Key) -> any Encoder { JSONPlace(slot: slot.field(key)) }
}

/// Writes the elements of an array.
private struct JSONElementsWriter: UnkeyedEncodingContainer {
  let slot: JSONSlot
  var codingPath: [any CodingKey] { slot.codingPath }
  var count: Int { slot.count }

  func encodeNil() { slot.element().set(.null) }
  func encode<Value: Encodable>(_ value: Value) throws { try slot.element().encode(value) }
  func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type) -> KeyedEncodingContainer<Inner> {
    JSONPlace(slot: slot.element()).container(keyedBy: type)
  }
  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    JSONPlace(slot: slot.element()).unkeyedContainer()
  }
  func superEncoder() -> any Encoder { JSONPlace(slot: slot.element()) }
}
