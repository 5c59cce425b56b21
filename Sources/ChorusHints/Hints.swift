import ChorusData
import ChorusTensors

/// The hints of a network, in the order in which they are told.
public struct Hints: Sendable {
  /// Every kind of hint that is told of an input.
  static let all: [any Hint.Type] = [TrendAndWaves.self, SeriesLevelAndSeason.self]
  /// Every kind of hint that is told of a row.
  static let ofRows: [any RowHint.Type] = [LocalSplines.self, LastValue.self]

  /// Hints that are told of every input, from the context alone.
  public let hints: [any Hint]
  /// Hints that are told of every row, from the context and the rows of its path.
  public let rows: [any RowHint]

  public init(_ hints: [any Hint] = [], rows: [any RowHint] = []) {
    self.hints = hints
    self.rows = rows
  }

  /// The hint of a kind, where there is one.
  public func first<H: Hint>(_ kind: H.Type) -> H? { hints.lazy.compactMap { $0 as? H }.first }

  /// The hint of rows of a kind, where there is one.
  public func first<H: RowHint>(_ kind: H.Type) -> H? { rows.lazy.compactMap { $0 as? H }.first }

  /// Who tells of rows: the hints of rows, then what the others have to say beside them.
  var tellers: [any RowTeller] { rows.isEmpty ? [] : rows + hints.compactMap(\.ofRows) }

  /// Numbers told of a row before its value is known.
  package var queryFeatures: Int { tellers.reduce(0) { $0 + $1.features } }
  /// Numbers told of a row with its value.
  package var rowFeatures: Int { rows.isEmpty ? 0 : queryFeatures + RowLayout.judged }

  /// Bytes that tellers keep of a path of so many slots at most, beside its rows.
  package func pathBytes(capacity: Int) -> Int { tellers.reduce(0) { $0 + $1.bytes(capacity: capacity) } }

  /// Numbers told of every input.
  public func features(dimensions: Int) -> Int {
    hints.reduce(0) { $0 + $1.features(dimensions: dimensions) }
  }

  public func validate() throws(DataError) {
    for hint in hints { try hint.validate() }
    for hint in rows { try hint.validate() }
    let names = hints.map { type(of: $0).name } + rows.map { type(of: $0).name }
    for name in Set(names).sorted() {
      let count = names.filter { $0 == name }.count
      guard count == 1 else { throw .size(what: "the number of hints '\(name)' (one at most)", found: count) }
    }
  }

  /// Whether one of them can tell the scale of a context's values.
  var choosesScale: Bool { hints.contains { type(of: $0).choosesScale } }

  /// The scale of a context's values; the first hint that can tell decides.
  func valueScale(_ rows: ObservedRows) -> ValueScale? {
    hints.lazy.compactMap { $0.valueScale(rows) }.first
  }

  /// Fits all hints to a context.
  public func fit(_ rows: ObservedRows) -> HintFits {
    func one(_ hint: some Hint) -> any HintFit { hint.fit(rows) }
    return HintFits(hints.map { one($0) })
  }
}

extension Hints: Hashable {
  public static func == (a: Hints, b: Hints) -> Bool {
    a.hints.map { AnyHashable($0) } == b.hints.map { AnyHashable($0) }
      && a.rows.map { AnyHashable($0) } == b.rows.map { AnyHashable($0) }
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(hints.map { AnyHashable($0) })
    hasher.combine(rows.map { AnyHashable($0) })
  }
}

/// A list of objects, each with the name of its kind and that kind's fields.
extension Hints: Codable {
  private enum Key: String, CodingKey { case name }

  public init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    var (hints, rows): ([any Hint], [any RowHint]) = ([], [])
    while !list.isAtEnd {
      let element = try list.superDecoder()
      let name = try element.container(keyedBy: Key.self).decode(String.self, forKey: .name)
      if let kind = Self.all.first(where: { $0.name == name }) {
        hints.append(try kind.init(from: element))
      } else if let kind = Self.ofRows.first(where: { $0.name == name }) {
        rows.append(try kind.init(from: element))
      } else {
        throw UnknownField(
          name, path: ["hints", "name"], known: Self.all.map { $0.name } + Self.ofRows.map { $0.name })
      }
    }
    self.init(hints, rows: rows)
  }

  public func encode(to encoder: any Encoder) throws {
    var list = encoder.unkeyedContainer()
    func encode(_ name: String, _ hint: any Encodable) throws {
      let element = list.superEncoder()
      var named = element.container(keyedBy: Key.self)
      try named.encode(name, forKey: .name)
      try hint.encode(to: element)
    }
    for hint in hints { try encode(type(of: hint).name, hint) }
    for hint in rows { try encode(type(of: hint).name, hint) }
  }
}

/// What a context's hints have found, in their order: one field of a context's state, of a saved context, of a task.
public struct HintFits: Sendable {
  public let fits: [any HintFit]

  public init(_ fits: [any HintFit] = []) { self.fits = fits }

  /// The fit of a kind, where there is one.
  public func first<F: HintFit>(_ kind: F.Type) -> F? { fits.lazy.compactMap { $0 as? F }.first }

  /// The unit that outputs at a row of scaled inputs reach the network in; the first hint that has one decides.
  public func unit(at x: ArraySlice<Double>, otherwise plain: Scaling.Unit) -> Scaling.Unit {
    for fit in fits { if let unit = fit.unit(at: x) { return unit } }
    return plain
  }
}

extension HintFits: Hashable {
  public static func == (a: HintFits, b: HintFits) -> Bool {
    a.fits.map { AnyHashable($0) } == b.fits.map { AnyHashable($0) }
  }
  public func hash(into hasher: inout Hasher) { hasher.combine(fits.map { AnyHashable($0) }) }
}

extension HintFits {
  /// Reads the fits of these hints from an object with their names as keys.
  public init(from decoder: any Decoder, of hints: Hints) throws {
    let fields = try decoder.container(keyedBy: HintKey.self)
    func one<H: Hint>(_ hint: H) throws -> any HintFit {
      try fields.decode(H.Fit.self, forKey: HintKey(H.name))
    }
    fits = try hints.hints.map { try one($0) }
  }

  /// Writes them as an object with their hints' names as keys.
  public func encode(to encoder: any Encoder, of hints: Hints) throws {
    var fields = encoder.container(keyedBy: HintKey.self)
    for (hint, fit) in zip(hints.hints, fits) {
      try fields.encode(AnyEncodable(fit), forKey: HintKey(type(of: hint).name))
    }
  }

  private struct HintKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
  }

  private struct AnyEncodable: Encodable {
    let value: any Encodable
    init(_ value: any Encodable) { self.value = value }
    func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
  }
}
