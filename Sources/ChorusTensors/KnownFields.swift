/// A field of an object in a file that nothing reads: a misspelling, or a field of a later version.
public struct UnknownField: Error, Sendable, Equatable, CustomStringConvertible {
  public let name: String
  /// The fields around it, from the file's outermost one on; positions in arrays as numbers.
  public let path: [String]
  /// The fields that are read there.
  public let known: [String]

  public init(_ name: String, path: [String] = [], known: [String]) {
    self.name = name
    self.path = path
    self.known = known
  }

  public var description: String {
    let place = path.isEmpty ? "" : path.joined(separator: ".") + ": "
    let hint =
      Suggestion.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
      ?? "known are \(known.joined(separator: ", "))"
    return "\(place)unknown field '\(name)'; \(hint)"
  }
}

/// Any key at all: what a coding key that lists the known ones would hide.
private struct AnyField: CodingKey {
  let stringValue: String
  let intValue: Int?
  init?(stringValue: String) { (self.stringValue, intValue) = (stringValue, nil) }
  init?(intValue: Int) { (stringValue, self.intValue) = (String(intValue), intValue) }
}

extension Decoder {
  /// The fields of an object, all of which must be among `keys`: a field that would be ignored is refused by name.
  public func knownFields<Key: CodingKey & CaseIterable>(
    _ keys: Key.Type
  ) throws -> KeyedDecodingContainer<Key> {
    try refuseUnknownFields(known: Key.allCases.map(\.stringValue))
    return try container(keyedBy: keys)
  }

  /// Throws `UnknownField` for the first field, in alphabetical order, that is not among `known`.
  public func refuseUnknownFields(known: [String]) throws {
    let names = try container(keyedBy: AnyField.self).allKeys.map(\.stringValue)
    guard let unknown = Set(names).subtracting(known).min() else { return }
    throw UnknownField(
      unknown, path: codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }, known: known)
  }
}
