extension Plan {
  /// What a plan does and costs, as plain values: one row of a table. Numbers come from enumerating what the plan
  /// runs, verifications at their worst.
  public struct Explanation: Sendable, Hashable, Codable {
    /// The text form of the template; nil for a plan made by hand.
    public var plan: String?
    public var context: Int
    public var targets: Int
    public var paths: Int
    /// `random`, the name of a fixed order, or `fixed`.
    public var order: String
    public var exactness: Exactness
    /// Network calls one after another, S.
    public var calls: Int
    public var merges: Int
    /// Rows through the network, E.
    public var encodes: Int
    /// Those of them that ask.
    public var queries: Int
    /// Query-key pairs for each layer and head, R.
    public var reads: Int
    public var peakRows: Int
    public var peakSlots: Int
    /// Floating-point operations of all layers of all rows; nil without a model's rates.
    public var flopsNominal: Double?
    /// The context state and the buffers at their peak; nil without a model's rates.
    public var bytes: Int?
    /// The probability for which the expected calls are told; nil for a plan that verifies nothing.
    public var acceptance: Double?
    /// The mean number of calls of one path.
    public var callsExpected: Double?
    /// Earlier targets that a target reads.
    public var directMin: Int
    public var directMean: Double
    public var directMax: Int
    /// Earlier targets that reach it through the rows it reads, in the model's layers or any number of them; nil where
    /// they are too many to be followed.
    public var effectiveMin: Int?
    public var effectiveMean: Double?
    public var effectiveMax: Int?
    /// Ratios to `reencode`, `sequential` and `independent`; nil where those cannot be counted.
    public var callsToReencode: Double?
    public var encodesToReencode: Double?
    public var readsToReencode: Double?
    public var callsToSequential: Double?
    public var encodesToSequential: Double?
    public var readsToSequential: Double?
    public var callsToMarginal: Double?
    public var encodesToMarginal: Double?
    public var readsToMarginal: Double?

    public enum CodingKeys: String, CodingKey, CaseIterable {
      case plan, context, targets, paths, order, exactness, calls, merges, encodes, queries, reads
      case peakRows = "peak_rows"
      case peakSlots = "peak_slots"
      case flopsNominal = "flops_nominal"
      case bytes, acceptance
      case callsExpected = "calls_expected"
      case directMin = "direct_min"
      case directMean = "direct_mean"
      case directMax = "direct_max"
      case effectiveMin = "effective_min"
      case effectiveMean = "effective_mean"
      case effectiveMax = "effective_max"
      case callsToReencode = "calls_to_reencode"
      case encodesToReencode = "encodes_to_reencode"
      case readsToReencode = "reads_to_reencode"
      case callsToSequential = "calls_to_sequential"
      case encodesToSequential = "encodes_to_sequential"
      case readsToSequential = "reads_to_sequential"
      case callsToMarginal = "calls_to_marginal"
      case encodesToMarginal = "encodes_to_marginal"
      case readsToMarginal = "reads_to_marginal"
    }

    /// A cell of the row.
    public enum Value: Sendable, Hashable {
      case text(String)
      case integer(Int)
      case number(Double)
      case missing
    }

    /// The names of the columns.
    public static let columns = CodingKeys.allCases.map(\.rawValue)

    /// The row, in the order of ``columns``.
    public var values: [Value] {
      func integer(_ value: Int?) -> Value { value.map { .integer($0) } ?? .missing }
      func number(_ value: Double?) -> Value { value.map { .number($0) } ?? .missing }
      return CodingKeys.allCases.map { key in
        switch key {
        case .plan: plan.map { .text($0) } ?? .missing
        case .context: .integer(context)
        case .targets: .integer(targets)
        case .paths: .integer(paths)
        case .order: .text(order)
        case .exactness: .text(exactness.name)
        case .calls: .integer(calls)
        case .merges: .integer(merges)
        case .encodes: .integer(encodes)
        case .queries: .integer(queries)
        case .reads: .integer(reads)
        case .peakRows: .integer(peakRows)
        case .peakSlots: .integer(peakSlots)
        case .flopsNominal: number(flopsNominal)
        case .bytes: integer(bytes)
        case .acceptance: number(acceptance)
        case .callsExpected: number(callsExpected)
        case .directMin: .integer(directMin)
        case .directMean: .number(directMean)
        case .directMax: .integer(directMax)
        case .effectiveMin: integer(effectiveMin)
        case .effectiveMean: number(effectiveMean)
        case .effectiveMax: integer(effectiveMax)
        case .callsToReencode: number(callsToReencode)
        case .encodesToReencode: number(encodesToReencode)
        case .readsToReencode: number(readsToReencode)
        case .callsToSequential: number(callsToSequential)
        case .encodesToSequential: number(encodesToSequential)
        case .readsToSequential: number(readsToSequential)
        case .callsToMarginal: number(callsToMarginal)
        case .encodesToMarginal: number(encodesToMarginal)
        case .readsToMarginal: number(readsToMarginal)
        }
      }
    }
  }

  /// What the plan does and costs, as values.
  ///
  /// - Parameters:
  ///   - rates: the model's rates, for FLOPs, bytes and the layers that a value can hop over.
  ///   - paths: how many paths are drawn side by side.
  ///   - acceptance: the probability of accepting a draft, for the expected calls of a plan that verifies.
  public func explained(rates: WorkRates? = nil, paths: Int = 1, acceptance: Double = 0.8) throws(PlanError)
    -> Explanation
  {
    let cost = try cost(paths: paths)
    let visibility = visibility
    let direct = visibility.summary
    let effective = visibility.effective(layers: rates?.layers.count).map { Visibility.Summary($0) }
    var row = Explanation(
      plan: template?.description, context: contextRows, targets: targets, paths: paths, order: orderName,
      exactness: exactness, calls: cost.calls, merges: cost.merges, encodes: cost.encodes,
      queries: cost.queries, reads: cost.reads, peakRows: cost.peakRows, peakSlots: cost.peakSlots,
      directMin: direct.minimum, directMean: direct.mean, directMax: direct.maximum,
      effectiveMin: effective?.minimum, effectiveMean: effective?.mean, effectiveMax: effective?.maximum)
    if let rates {
      row.flopsNominal = cost.work(rates).total
      row.bytes = try cost.bytes(rates)
    }
    if requirements.rewind {
      row.acceptance = acceptance
      row.callsExpected = try expectedCost(acceptance: acceptance).calls
    }
    if let other = reference(.reencode, paths: paths) {
      row.callsToReencode = ratio(cost.calls, other.calls)
      row.encodesToReencode = ratio(cost.encodes, other.encodes)
      row.readsToReencode = ratio(cost.reads, other.reads)
    }
    if let other = reference(.sequential, paths: paths) {
      row.callsToSequential = ratio(cost.calls, other.calls)
      row.encodesToSequential = ratio(cost.encodes, other.encodes)
      row.readsToSequential = ratio(cost.reads, other.reads)
    }
    if let other = reference(.independent, paths: paths) {
      row.callsToMarginal = ratio(cost.calls, other.calls)
      row.encodesToMarginal = ratio(cost.encodes, other.encodes)
      row.readsToMarginal = ratio(cost.reads, other.reads)
    }
    return row
  }

  private func reference(_ template: PlanTemplate, paths: Int) -> Cost? {
    try? template.resolve(context: contextRows, targets: targets).cost(paths: paths)
  }

  private func ratio(_ value: Int, _ other: Int) -> Double? {
    other > 0 ? Double(value) / Double(other) : value == other ? 1 : nil
  }

  /// `random`, the name of the order, or `fixed` for one made by hand.
  private var orderName: String {
    if order == .random { return "random" }
    return template?.orderName ?? "fixed"
  }
}

extension PlanTemplate {
  fileprivate var orderName: String {
    switch rule {
    case .coarseToFine, .coarseToFineVerified, .lineage: Ordering.coarseToFine.rawValue
    default: ordering.rawValue
    }
  }
}

extension Plan.Exactness {
  /// A name for tables.
  public var name: String {
    switch self {
    case .exactChain: "exact chain"
    case .exactByVerification: "exact by verification"
    case .blockwiseIndependent: "blockwise independent"
    case .truncated: "truncated"
    }
  }

  /// The class in words, with what it is exact for.
  public var explanation: String {
    switch self {
    case .exactChain: "exact chain of the model's conditionals in this order"
    case .exactByVerification:
      "exact by verification: drafted side by side, then accepted or corrected along the chain"
    case .blockwiseIndependent: "blockwise independent: targets of one call, given those of earlier calls"
    case .truncated: "truncated: some target does not read some earlier one"
    }
  }
}
