/// A plan's rule, before the number of observed rows and of targets is known.
///
/// Its text form is what it prints, what ``init(parsing:)`` reads and what it is encoded as.
public struct PlanTemplate: Sendable, Hashable {
  enum Rule: Sendable, Hashable {
    case independent
    case sequential(capacity: Int?)
    case reencode
    case blocks(size: Int)
  }

  let rule: Rule

  /// All targets in one call, each from the context alone: marginals, without any dependence.
  public static let independent = PlanTemplate(rule: .independent)

  /// One target a call, each reading all earlier ones in a buffer that grows to K - 1 rows (the causal
  /// autoregressive buffer of Hassan et al. 2026).
  public static let sequential = PlanTemplate(rule: .sequential(capacity: nil))

  /// One target a call; after `capacity` targets they all join the context, which is encoded anew. For more
  /// targets than the buffer had rows in training.
  public static func sequential(capacity: Int) -> PlanTemplate {
    PlanTemplate(rule: .sequential(capacity: capacity))
  }

  /// One target a call; each value joins the context at once (AR-CNP, Bruinsma et al. 2023). Runs the same
  /// calls as a buffer of capacity 1.
  public static let reencode = PlanTemplate(rule: .reencode)

  /// `size` targets a call, independent given the earlier blocks, then committed one after another.
  public static func blocks(of size: Int) -> PlanTemplate { PlanTemplate(rule: .blocks(size: size)) }

  /// The name without arguments.
  public var name: String {
    switch rule {
    case .independent: "independent"
    case .sequential: "sequential"
    case .reencode: "reencode"
    case .blocks: "blocks"
    }
  }

  /// The index data for `context` observed rows and `targets` targets.
  public func resolve(context: Int, targets: Int) throws(PlanError) -> Plan {
    var block = 1
    var capacity: Int?
    switch rule {
    case .independent: block = max(1, targets)
    case .sequential(let limit): capacity = limit
    case .reencode: capacity = 1
    case .blocks(let size):
      try check(size, "block size", in: 1...Int.max)
      block = size
    }
    var reader = try StepReader(targets: targets, capacity: capacity)
    if targets > 0 { try reader.take(.encode) }
    var merged = 0
    var drawn = 0..<0
    while drawn.upperBound < targets {
      let first = drawn.upperBound
      if let capacity, first - merged >= capacity {
        try reader.take(.merge)
        merged = first
      } else if !drawn.isEmpty {
        try reader.take(.commit(drawn, reads: .first(drawn.lowerBound - merged)))
      }
      drawn = first..<(targets - first > block ? first + block : targets)
      try reader.take(.predict(drawn, reads: .first(first - merged)))
    }
    return try Plan(template: self, context: context, capacity: capacity, visibility: reader.finish())
  }
}

extension PlanTemplate: CustomStringConvertible {
  /// The forms that ``init(parsing:)`` reads, with example numbers.
  public static let forms = [
    "independent", "sequential", "sequential(capacity:16)", "reencode", "blocks(of:8)",
  ]

  public var description: String {
    switch rule {
    case .independent, .reencode, .sequential(nil): name
    case .sequential(let capacity?): "\(name)(capacity:\(capacity))"
    case .blocks(let size): "\(name)(of:\(size))"
    }
  }

  /// Reads a text form; spaces and tabs around its parts are allowed.
  public init(parsing text: String) throws(PlanTextError) {
    let whole = trim(text[...])
    let open = whole.firstIndex(of: "(") ?? whole.endIndex
    let name = trim(whole[..<open])
    let arguments = whole[open...]
    func fail(_ problem: PlanTextError.Problem) -> PlanTextError {
      PlanTextError(text: text, problem: problem)
    }
    func number(_ label: String) throws(PlanTextError) -> Int {
      guard arguments.last == ")" else { throw fail(.badArguments(String(arguments))) }
      let parts = arguments.dropFirst().dropLast().split(
        separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, trim(parts[0]) == label else { throw fail(.badArguments(String(arguments))) }
      let digits = trim(parts[1])
      guard let value = Int(digits), value >= 1 else { throw fail(.badNumber(String(digits))) }
      return value
    }
    switch (name, arguments.isEmpty) {
    case ("independent", true): self = .independent
    case ("sequential", true): self = .sequential
    case ("sequential", false): self = .sequential(capacity: try number("capacity"))
    case ("reencode", true): self = .reencode
    case ("blocks", false): self = .blocks(of: try number("of"))
    case ("independent", _), ("reencode", _), ("blocks", _): throw fail(.badArguments(String(arguments)))
    default: throw fail(.unknownName(String(name)))
    }
  }
}

extension PlanTemplate: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    do {
      self = try PlanTemplate(parsing: container.decode(String.self))
    } catch let error as PlanTextError {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// The text without spaces and tabs at its ends.
private func trim(_ text: Substring) -> Substring {
  let kept = text.drop { $0 == " " || $0 == "\t" }
  let end = kept.lastIndex { $0 != " " && $0 != "\t" }
  return end.map { kept[...$0] } ?? kept[kept.startIndex..<kept.startIndex]
}
