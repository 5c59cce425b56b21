import ChorusFiles
import Foundation

/// A field that a request can have, in its query or in its JSON.
package struct FieldSpec: Sendable {
  package enum Kind: Sendable {
    case text
    case choice([String])
    case integer(ClosedRange<Int>)
    /// 64 bits.
    case seed
    case number(ClosedRange<Double>)
    case boolean
    case texts
    case numbers
    /// Objects, one a row.
    case rows
    /// Objects, one a row, or plain values where there is one input.
    case points
  }

  package let name: String
  package let kind: Kind
  package let words: String

  package init(_ name: String, _ kind: Kind, _ words: String) {
    (self.name, self.kind, self.words) = (name, kind, words)
  }
}

/// What a request says in its query and in its JSON, checked against what it can say.
package struct Fields: Sendable {
  private let specs: [FieldSpec]
  private var values: [String: JSON] = [:]

  /// - Parameter json: an object, or nil.
  /// - Throws: `ServiceError`: 400 for what is no object or no query, 422 for a field that is not known, is there twice, or holds
  ///   something else.
  package init(_ specs: [FieldSpec], query: String, json: JSON?) throws(ServiceError) {
    self.specs = specs
    for (name, value) in try Self.parsed(query) { try add(name, .string(value), isText: true) }
    switch json {
    case nil: break
    case .object(let members)?: for member in members { try add(member.key, member.value, isText: false) }
    default: throw ServiceError(400, "the body is JSON, but no object")
    }
  }

  /// - Parameter isText: whether the value comes from a query or a form, where all is text.
  package mutating func add(_ name: String, _ value: JSON, isText: Bool) throws(ServiceError) {
    guard let spec = specs.first(where: { $0.name == name }) else {
      let known = specs.map(\.name).joined(separator: ", ")
      throw ServiceError(
        422, "there is no field '\(name.prefix(60))' here; the fields are \(known.isEmpty ? "none" : known)")
    }
    guard values[name] == nil else { throw ServiceError(422, "'\(name)' is given twice") }
    guard value != .null else { return }
    values[name] = try Self.checked(value, spec, isText: isText)
  }

  private static func parsed(_ query: String) throws(ServiceError) -> [(String, String)] {
    var pairs: [(String, String)] = []
    for part in query.split(separator: "&") {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let name = decoded(sides[0]), let value = decoded(sides.count > 1 ? sides[1] : "") else {
        throw ServiceError(400, "the query holds a '%' that is no code of a character")
      }
      pairs.append((name, value))
    }
    return pairs
  }

  private static func decoded(_ text: String) -> String? {
    text.replacingOccurrences(of: "+", with: " ").removingPercentEncoding
  }

  private static func checked(
    _ value: JSON, _ spec: FieldSpec, isText: Bool
  ) throws(ServiceError) -> JSON {
    func wrong(_ what: String) -> ServiceError { ServiceError(422, "'\(spec.name)' must be \(what)") }
    func number(_ value: JSON, _ what: String) throws(ServiceError) -> JSON {
      switch value {
      case .number: return value
      case .string(let text) where isText:
        guard let bare = try? JSON(parsing: Array(text.trimmedSpaces.utf8)), case .number = bare else {
          throw wrong(what)
        }
        return bare
      default: throw wrong(what)
      }
    }
    switch spec.kind {
    case .text:
      guard case .string = value else { throw wrong("text") }
      return value
    case .choice(let words):
      guard let text = value.string, words.contains(text) else {
        throw wrong("one of \(words.joined(separator: ", "))")
      }
      return value
    case .integer(let range):
      let what = "a whole number from \(range.lowerBound) to \(range.upperBound)"
      guard case .number(let digits) = try number(value, what), let integer = Int(digits),
        range.contains(integer)
      else { throw wrong(what) }
      return .number(digits)
    case .seed:
      let what = "a whole number from 0 to \(UInt64.max)"
      guard case .number(let digits) = try number(value, what), UInt64(digits) != nil else {
        throw wrong(what)
      }
      return .number(digits)
    case .number(let range):
      let what =
        range.lowerBound.isFinite ? "a number from \(range.lowerBound) to \(range.upperBound)" : "a number"
      guard case .number(let digits) = try number(value, what), let double = Double(digits),
        double.isFinite, range.contains(double)
      else { throw wrong(what) }
      return .number(digits)
    case .boolean:
      if case .bool = value { return value }
      guard isText, let text = value.string, ["true", "false"].contains(text) else {
        throw wrong("true or false")
      }
      return .bool(text == "true")
    case .texts:
      if case .string(let text) = value { return .array(split(text).map(JSON.string)) }
      guard let parts = value.array, parts.allSatisfy({ $0.string != nil }) else {
        throw wrong("a list of texts")
      }
      return value
    case .numbers:
      if isText, let text = value.string {
        var numbers: [JSON] = []
        for part in split(text) { numbers.append(try number(.string(part), "a list of numbers")) }
        return .array(numbers)
      }
      guard let parts = value.array,
        parts.allSatisfy({ if case .number(let d) = $0 { Double(d)?.isFinite ?? false } else { false } })
      else { throw wrong("a list of numbers") }
      return value
    case .rows:
      guard let rows = value.array, rows.allSatisfy({ if case .object = $0 { true } else { false } }) else {
        throw wrong("a list of objects, one a row")
      }
      return value
    case .points:
      if isText, let text = value.string { return .array(split(text).map(JSON.string)) }
      guard value.array != nil else { throw wrong("a list of points") }
      return value
    }
  }

  private static func split(_ text: String) -> [String] {
    text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  package func text(_ name: String) -> String? { values[name]?.string }

  package func integer(_ name: String) -> Int? { digits(name).flatMap { Int($0) } }

  package func seed(_ name: String) -> UInt64? { digits(name).flatMap { UInt64($0) } }

  package func number(_ name: String) -> Double? { digits(name).flatMap { Double($0) } }

  package func boolean(_ name: String) -> Bool? {
    if case .bool(let value)? = values[name] { value } else { nil }
  }

  package func texts(_ name: String) -> [String]? { values[name]?.array?.compactMap(\.string) }

  package func numbers(_ name: String) -> [Double]? {
    values[name]?.array?.compactMap { if case .number(let digits) = $0 { Double(digits) } else { nil } }
  }

  package func list(_ name: String) -> [JSON]? { values[name]?.array }

  /// The names of the fields that are there.
  package var names: Set<String> { Set(values.keys) }

  private func digits(_ name: String) -> String? {
    if case .number(let digits)? = values[name] { digits } else { nil }
  }
}
