import ChorusData
import ChorusTensors

/// The hints of a network, in the order in which they are told.
public struct Hints: Sendable {
  /// Every kind of hint.
  static let all: [any Hint.Type] = [TrendAndWaves.self, SeriesLevelAndSeason.self]

  /// Hints that are told of every input, from the context alone.
  public let hints: [any Hint]
  /// A hint that is told of every row, from the rows near it, those of its path among them.
  public let rows: LocalSplines?

  public init(_ hints: [any Hint] = [], rows: LocalSplines? = nil) {
    self.hints = hints
    self.rows = rows
  }

  /// The hint of a kind, where there is one.
  public func first<H: Hint>(_ kind: H.Type) -> H? { hints.lazy.compactMap { $0 as? H }.first }

  /// Whether rows are told what the series says of their path.
  public var joins: Bool { rows != nil && first(SeriesLevelAndSeason.self)?.joins == true }

  /// Numbers told of every input.
  public func features(dimensions: Int) -> Int {
    hints.reduce(0) { $0 + $1.features(dimensions: dimensions) }
  }

  public func validate() throws(DataError) {
    for hint in hints { try hint.validate() }
    try rows?.validate()
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
    a.hints.map { AnyHashable($0) } == b.hints.map { AnyHashable($0) } && a.rows == b.rows
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(hints.map { AnyHashable($0) })
    hasher.combine(rows)
  }
}

/// A list of objects, each with the name of its kind and that kind's fields.
extension Hints: Codable {
  private enum Key: String, CodingKey { case name }

  public init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    var (hints, rows): ([any Hint], LocalSplines?) = ([], nil)
    while !list.isAtEnd {
      let element = try list.superDecoder()
      let name = try element.container(keyedBy: Key.self).decode(String.self, forKey: .name)
      if name == LocalSplines.name {
        rows = try LocalSplines(from: element)
        continue
      }
      guard let kind = Self.all.first(where: { $0.name == name }) else {
        throw UnknownField(
          name, path: ["hints", "name"], known: Self.all.map { $0.name } + [LocalSplines.name])
      }
      hints.append(try kind.init(from: element))
    }
    self.init(hints, rows: rows)
  }

  public func encode(to encoder: any Encoder) throws {
    var list = encoder.unkeyedContainer()
    for hint in hints {
      let element = list.superEncoder()
      var named = element.container(keyedBy: Key.self)
      try named.encode(type(of: hint).name, forKey: .name)
      try hint.encode(to: element)
    }
    if let rows {
      let element = list.superEncoder()
      var named = element.container(keyedBy: Key.self)
      try named.encode(LocalSplines.name, forKey: .name)
      try rows.encode(to: element)
    }
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
