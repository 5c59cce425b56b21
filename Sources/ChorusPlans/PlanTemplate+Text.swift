extension PlanTemplate {
  /// What may stand between the parentheses of a name.
  struct Arguments {
    /// Labels of numbers with their least values, and the value where it may be left out.
    var numbers: [(label: String, least: Int, fallback: Int?)] = []
    var takesCapacity = false
    var takesReads = false
    var takesOrder = false
    var takesStrict = false
  }

  /// The forms that ``init(parsing:)`` reads, with example numbers.
  public static let forms = [
    "independent", "sequential", "sequential(capacity:16)", "reencode", "blocks(of:8)", "coarse-to-fine(r:4)",
    "lineage(r:4)", "window(sinks:4,span:16)", "log-sparse", "random-sparse(reads:8)", "periods(r:8)",
    "speculative(draft:8)",
    "coarse-to-fine-verified(r:2)", "trusted(millinats:20)", "auto",
  ]

  /// What the arguments mean, for help texts.
  public static let help = """
    capacity:C (sequential, blocks, speculative, trusted, both coarse-to-fine) merges what is drawn into the context as \
    soon as the buffer would hold C rows; millinats:M (trusted) is how far, in thousandths of a nat, the buffer may be from \
    a context encoded anew where both are asked, for twice as many values to be trusted next; reads:N (coarse-to-fine, not \
    with capacity) reads the N nearest of the targets drawn before; anchors:N (coarse-to-fine, lineage) begins with up to N targets one after another; \
    order:random (the default), given, left-to-right or coarse-to-fine orders the targets of plans that have no order \
    of their own; strict (not with capacity, nor for verified plans) reads everything as context; renewed:P (window, of texts alone) encodes \
    what is in the window anew every P tokens. \
    auto is sequential for no more targets than the model's trained buffer has rows, else coarse-to-fine(r:4) that reads \
    that many; for a model that takes values in their order alone it is sequential(order:given).
    """

  /// The name without arguments.
  public var name: String {
    switch rule {
    case .independent: "independent"
    case .sequential: "sequential"
    case .reencode: "reencode"
    case .blocks: "blocks"
    case .coarseToFine: "coarse-to-fine"
    case .lineage: "lineage"
    case .window: "window"
    case .logSparse: "log-sparse"
    case .randomSparse: "random-sparse"
    case .periods: "periods"
    case .speculative: "speculative"
    case .coarseToFineVerified: "coarse-to-fine-verified"
    case .trusted: "trusted"
    case .auto: "auto"
    }
  }

  var arguments: Arguments {
    switch rule {
    case .independent, .auto: Arguments()
    case .reencode: Arguments(takesOrder: true)
    case .sequential: Arguments(takesCapacity: true, takesOrder: true, takesStrict: true)
    case .blocks:
      Arguments(
        numbers: [("of", 1, nil)], takesCapacity: true, takesOrder: true, takesStrict: true)
    case .coarseToFine:
      Arguments(
        numbers: [("r", 2, 4), ("anchors", 1, 1)], takesCapacity: true, takesReads: true, takesStrict: true)
    case .lineage: Arguments(numbers: [("r", 2, nil), ("anchors", 1, 1)], takesStrict: true)
    case .window:
      Arguments(
        numbers: [("sinks", 0, nil), ("span", 1, nil), ("renewed", 0, 0)], takesOrder: true, takesStrict: true
      )
    case .logSparse: Arguments(takesOrder: true, takesStrict: true)
    case .randomSparse: Arguments(numbers: [("reads", 1, nil)], takesOrder: true, takesStrict: true)
    case .periods: Arguments(numbers: [("r", 2, nil)], takesOrder: true, takesStrict: true)
    case .speculative: Arguments(numbers: [("draft", 1, nil)], takesCapacity: true, takesOrder: true)
    case .coarseToFineVerified:
      Arguments(numbers: [("r", 2, 2), ("anchors", 1, 1)], takesCapacity: true)
    case .trusted:
      Arguments(numbers: [("millinats", 0, nil)], takesCapacity: true, takesOrder: true)
    }
  }

  /// The numbers of the rule in the order of `arguments.numbers`.
  private var numbers: [Int] {
    switch rule {
    case .independent, .sequential, .reencode, .logSparse, .auto: []
    case .blocks(let number), .randomSparse(let number), .periods(let number), .speculative(let number),
      .trusted(let number):
      [number]
    case .coarseToFine(let arity, let anchors), .lineage(let arity, let anchors),
      .coarseToFineVerified(let arity, let anchors):
      [arity, anchors]
    case .window(let sinks, let span, let renewed): [sinks, span, renewed]
    }
  }

  /// A rule of this name with the least numbers it may have, which tell what it takes.
  private init?(name: Substring) {
    let rules: [Rule] = [
      .independent, .sequential, .reencode, .blocks(size: 1), .coarseToFine(arity: 2, anchors: 1),
      .lineage(arity: 2, anchors: 1), .window(sinks: 0, span: 1, renewed: 0), .logSparse,
      .randomSparse(reads: 1),
      .periods(length: 2), .speculative(draft: 1), .coarseToFineVerified(arity: 2, anchors: 1),
      .trusted(millinats: 0), .auto,
    ]
    guard let found = rules.map({ PlanTemplate($0) }).first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// The same rule with other numbers.
  private func with(_ numbers: [Int]) -> PlanTemplate {
    switch rule {
    case .independent, .sequential, .reencode, .logSparse, .auto: self
    case .blocks: .blocks(of: numbers[0])
    case .coarseToFine: .coarseToFine(r: numbers[0], anchors: numbers[1])
    case .lineage: .lineage(r: numbers[0], anchors: numbers[1])
    case .window: .window(sinks: numbers[0], span: numbers[1], renewed: numbers[2])
    case .randomSparse: .randomSparse(reads: numbers[0])
    case .periods: .periods(r: numbers[0])
    case .speculative: .speculative(draft: numbers[0])
    case .coarseToFineVerified: .coarseToFineVerified(r: numbers[0], anchors: numbers[1])
    case .trusted: .trusted(millinats: numbers[0])
    }
  }
}

extension PlanTemplate: CustomStringConvertible {
  public var description: String {
    var parts: [String] = []
    for (argument, number) in zip(arguments.numbers, numbers)
    where !["anchors", "renewed"].contains(argument.label) || number != argument.fallback {
      parts.append("\(argument.label):\(number)")
    }
    if let capacity { parts.append("capacity:\(capacity)") }
    if let reads { parts.append("reads:\(reads)") }
    if ordering != .random { parts.append("order:\(ordering.rawValue)") }
    if isStrict { parts.append("strict") }
    return parts.isEmpty ? name : "\(name)(\(parts.joined(separator: ",")))"
  }

  /// Reads a text form; spaces and tabs around its parts are allowed.
  public init(parsing text: String) throws(PlanTextError) {
    let whole = trim(text[...])
    let open = whole.firstIndex(of: "(") ?? whole.endIndex
    let name = trim(whole[..<open])
    let list = whole[open...]
    func fail(_ problem: PlanTextError.Problem) -> PlanTextError {
      PlanTextError(text: text, problem: problem)
    }
    let unfit = fail(.badArguments(String(list)))
    guard let bare = PlanTemplate(name: name) else { throw fail(.unknownName(String(name))) }
    var given: [String: String] = [:]
    if !list.isEmpty {
      guard list.last == ")" else { throw unfit }
      for part in list.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false) {
        let pair = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(trim)
        let label = String(pair[0])
        guard label == "strict" ? pair.count == 1 : pair.count == 2, given[label] == nil else { throw unfit }
        given[label] = String(pair.last ?? "")
      }
    }
    func number(_ label: String, _ least: Int) throws(PlanTextError) -> Int? {
      guard let digits = given.removeValue(forKey: label) else { return nil }
      guard let value = Int(digits), value >= least else { throw fail(.badNumber(digits, least: least)) }
      return value
    }
    let arguments = bare.arguments
    var numbers: [Int] = []
    for argument in arguments.numbers {
      guard let value = try number(argument.label, argument.least) ?? argument.fallback else { throw unfit }
      numbers.append(value)
    }
    var template = bare.with(numbers)
    if arguments.takesCapacity { template.capacity = try number("capacity", 1) }
    if arguments.takesReads, template.capacity == nil { template.reads = try number("reads", 1) }
    if arguments.takesOrder, let order = given.removeValue(forKey: "order") {
      guard let ordering = Ordering(rawValue: order) else { throw fail(.badOrder(order)) }
      template.ordering = ordering
    }
    if arguments.takesStrict, template.capacity == nil, given.removeValue(forKey: "strict") != nil {
      template.isStrict = true
    }
    guard given.isEmpty else { throw unfit }
    self = template
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

/// Why a text is not a plan. The description names the text and lists the valid forms.
public struct PlanTextError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong with the text.
  public enum Problem: Sendable, Hashable {
    /// No plan has this name.
    case unknownName(String)
    /// The argument list of a known name is not one of its forms.
    case badArguments(String)
    /// An argument that is not a whole number of at least `least`.
    case badNumber(String, least: Int)
    /// An order that has no such name.
    case badOrder(String)
  }

  /// The whole text as given.
  public let text: String
  public let problem: Problem

  public var description: String {
    let reason =
      switch problem {
      case .unknownName(let name): "no plan is named '\(name)'"
      case .badArguments(let arguments): "the arguments '\(arguments)' do not fit the name"
      case .badNumber(let number, let least): "'\(number)' is not a whole number of at least \(least)"
      case .badOrder(let order):
        "no order is named '\(order)'; there are "
          + PlanTemplate.Ordering.allCases.map(\.rawValue).joined(separator: ", ")
      }
    let forms = PlanTemplate.forms.joined(separator: ", ")
    return "'\(text)' is not a plan: \(reason); valid forms: \(forms)"
  }
}

/// The text without spaces and tabs at its ends.
private func trim(_ text: Substring) -> Substring {
  let kept = text.drop { $0 == " " || $0 == "\t" }
  let end = kept.lastIndex { $0 != " " && $0 != "\t" }
  return end.map { kept[...$0] } ?? kept[kept.startIndex..<kept.startIndex]
}
