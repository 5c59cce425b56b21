/// Choices that take a number. One is written as its name, or as an object with one field, its name, whose value holds the
/// number by the name of its setting: `"squared"`, `{"power": {"p": 3}}`.
private struct Choice: Codable {
  let name: String
  var setting: (name: String, value: Double)?

  init(_ name: String, _ setting: (String, Double)? = nil) {
    self.name = name
    self.setting = setting
  }

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    if let name = try? decoder.singleValueContainer().decode(String.self) {
      self.init(name)
      return
    }
    let fields = try decoder.container(keyedBy: Key.self)
    guard fields.allKeys.count == 1, let key = fields.allKeys.first else {
      throw MemoryError.refused("a choice is a name, or an object with one field, the name")
    }
    let settings = try fields.nestedContainer(keyedBy: Key.self, forKey: key)
    guard settings.allKeys.count <= 1 else {
      throw MemoryError.refused("'\(key.stringValue)' takes one number at most")
    }
    let setting = try settings.allKeys.first.map {
      ($0.stringValue, try settings.decode(Double.self, forKey: $0))
    }
    self.init(key.stringValue, setting)
  }

  func encode(to encoder: any Encoder) throws {
    guard let setting else {
      var value = encoder.singleValueContainer()
      try value.encode(name)
      return
    }
    var fields = encoder.container(keyedBy: Key.self)
    var settings = fields.nestedContainer(keyedBy: Key.self, forKey: Key(stringValue: name))
    try settings.encode(setting.value, forKey: Key(stringValue: setting.name))
  }

  /// The case that this names: of `kinds`, each with what its number is called, nil where it takes none.
  func pick<Value>(_ what: String, _ kinds: [(name: String, setting: String?, make: (Double) -> Value)])
    throws
    -> Value
  {
    guard let kind = kinds.first(where: { $0.name == name }) else {
      throw MemoryError.refused("a \(what) is one of " + kinds.map(\.name).joined(separator: ", "))
    }
    guard kind.setting == setting?.name else {
      let takes = kind.setting.map { "takes a number '\($0)'" } ?? "takes no number"
      throw MemoryError.refused("the \(what) '\(name)' \(takes)")
    }
    return kind.make(setting?.value ?? 0)
  }
}

extension MemorySpec.Loss: Codable {
  private var choice: Choice {
    switch self {
    case .dot: Choice("dot")
    case .squared: Choice("squared")
    case .power(let p): Choice("power", ("p", p))
    case .huber: Choice("huber")
    }
  }
  public init(from decoder: any Decoder) throws {
    self = try Choice(from: decoder).pick(
      "loss",
      [
        ("dot", nil, { _ in .dot }), ("squared", nil, { _ in .squared }), ("power", "p", { .power($0) }),
        ("huber", nil, { _ in .huber }),
      ])
  }
  public func encode(to encoder: any Encoder) throws { try choice.encode(to: encoder) }
  public var text: String { choice.text }
}

extension MemorySpec.Retention: Codable {
  private var choice: Choice {
    switch self {
    case .quadratic: Choice("quadratic")
    case .norm(let q): Choice("norm", ("q", q))
    case .printedNorm(let q): Choice("printedNorm", ("q", q))
    case .simplex: Choice("simplex")
    case .signedSimplex: Choice("signedSimplex")
    }
  }
  public init(from decoder: any Decoder) throws {
    self = try Choice(from: decoder).pick(
      "retention",
      [
        ("quadratic", nil, { _ in .quadratic }), ("norm", "q", { .norm($0) }),
        ("printedNorm", "q", { .printedNorm($0) }), ("simplex", nil, { _ in .simplex }),
        ("signedSimplex", nil, { _ in .signedSimplex }),
      ])
  }
  public func encode(to encoder: any Encoder) throws { try choice.encode(to: encoder) }
  public var text: String { choice.text }
}

extension Choice {
  fileprivate var text: String {
    guard let setting else { return name }
    return "\(name)(\(setting.value.formatted))"
  }
}

extension Double {
  /// Without a fraction where there is none.
  fileprivate var formatted: String { Int(exactly: self).map { String($0) } ?? String(self) }
}

/// Written as an object with one field, the optimiser's name, whose value holds its steps or the rows of its chunk where it
/// takes some.
extension MemorySpec.Optimiser: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case exact, gradient, conjugateGradient, chebyshev, online, implicit, product, replace, eraseWrite,
      feedback, preconditioned, momentum, recursive, frozen, frozenMomentum
  }
  private enum Settings: String, CodingKey, CaseIterable { case steps, chunk }
  private struct Numbers: Codable {
    var steps: Int?
    var chunk: Int?
    init(steps: Int? = nil, chunk: Int? = nil) { (self.steps, self.chunk) = (steps, chunk) }
    init(from decoder: any Decoder) throws {
      let fields = try decoder.knownFields(Settings.self)
      steps = try fields.decodeIfPresent(Int.self, forKey: .steps)
      chunk = try fields.decodeIfPresent(Int.self, forKey: .chunk)
    }
  }

  /// The optimisers by their names, with the number that each takes, if any.
  private static let plain: [CodingKeys: MemorySpec.Optimiser] = [
    .exact: .exact, .online: .online, .implicit: .implicit, .replace: .replace, .eraseWrite: .eraseWrite,
    .feedback: .feedback, .preconditioned: .preconditioned, .momentum: .momentum, .recursive: .recursive,
  ]
  private static let stepped: [CodingKeys: @Sendable (Int) -> MemorySpec.Optimiser] = [
    .gradient: { .gradient(steps: $0) }, .conjugateGradient: { .conjugateGradient(steps: $0) },
    .chebyshev: { .chebyshev(steps: $0) }, .product: { .product(steps: $0) },
  ]
  private static let chunked: [CodingKeys: @Sendable (Int) -> MemorySpec.Optimiser] = [
    .frozen: { .frozen(chunk: $0) }, .frozenMomentum: { .frozenMomentum(chunk: $0) },
  ]

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    guard fields.allKeys.count == 1, let name = fields.allKeys.first else {
      throw MemoryError.refused(
        "an optimiser is one of " + CodingKeys.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let numbers = try fields.decode(Numbers.self, forKey: name)
    func only(_ wanted: Int?, _ other: Int?, _ what: String) throws -> Int {
      guard let wanted, other == nil else {
        throw MemoryError.refused("the optimiser '\(name.rawValue)' takes a number of \(what)")
      }
      return wanted
    }
    if let make = Self.stepped[name] {
      self = make(try only(numbers.steps, numbers.chunk, "steps"))
    } else if let make = Self.chunked[name] {
      self = make(try only(numbers.chunk, numbers.steps, "rows a chunk"))
    } else if let plain = Self.plain[name], numbers.steps == nil, numbers.chunk == nil {
      self = plain
    } else {
      throw MemoryError.refused("the optimiser '\(name.rawValue)' takes no numbers")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .gradient(let steps): try fields.encode(Numbers(steps: steps), forKey: .gradient)
    case .conjugateGradient(let steps): try fields.encode(Numbers(steps: steps), forKey: .conjugateGradient)
    case .chebyshev(let steps): try fields.encode(Numbers(steps: steps), forKey: .chebyshev)
    case .product(let steps): try fields.encode(Numbers(steps: steps), forKey: .product)
    case .frozen(let chunk): try fields.encode(Numbers(chunk: chunk), forKey: .frozen)
    case .frozenMomentum(let chunk): try fields.encode(Numbers(chunk: chunk), forKey: .frozenMomentum)
    case .exact, .online, .implicit, .replace, .eraseWrite, .feedback, .preconditioned, .momentum, .recursive:
      for (key, plain) in Self.plain where plain == self { try fields.encode(Numbers(), forKey: key) }
    }
  }

  public var text: String {
    switch self {
    case .exact: "exact"
    case .gradient(let steps): "gradient(\(steps))"
    case .conjugateGradient(let steps): "conjugate-gradient(\(steps))"
    case .chebyshev(let steps): "chebyshev(\(steps))"
    case .online: "online"
    case .implicit: "implicit"
    case .recursive: "recursive"
    case .momentum: "momentum"
    case .feedback: "feedback"
    case .preconditioned: "preconditioned"
    case .eraseWrite: "erase-write"
    case .replace: "replace"
    case .product(let steps): "product(\(steps))"
    case .frozen(let chunk): "frozen(\(chunk))"
    case .frozenMomentum(let chunk): "frozen-momentum(\(chunk))"
    }
  }
}
