import ChorusEvaluation
import ChorusPlans
import ChorusPriors
import ChorusTensors

extension Experiment {
  /// What networks are worth as marginal likelihoods: each says how probable an observer's answers are with nothing observed
  /// before them, under ρ = 1 and 4/3, and is held against the integral (`CausalInference`).
  public struct Evidence: Sendable, Hashable {
    /// A way to ask two networks, one for each ρ.
    public struct Column: Sendable, Hashable {
      public let name: String
      /// By `Evidence.stretches`.
      public let networks: [String]
      public let plan: PlanTemplate
      /// Orders of the trials that densities are averaged over; nil for what the block says.
      public let orders: Int?
    }

    /// Each has two data sets.
    public let observers: Int
    public let trials: Int
    public let orders: Int
    public let seed: UInt64
    public let columns: [Column]
    /// The paper's figures by `EvidenceTable.Quantity` and column: RMSE in nats.
    public let paper: [String: [String: Figure]]

    /// The models of observers that are compared: priors, whose ρ are 1 and 4/3.
    public static let priors = [CausalPrior.plain, CausalPrior.wide]
  }

  /// Reads the block `evidence`.
  static func evidence(
    _ fields: [String: Any], _ networks: [Network], _ fail: (String) -> ExperimentError
  ) throws(ExperimentError) -> Evidence {
    let known = ["observers", "trials", "orders", "seed", "columns", "paper"]
    if let unknown = fields.keys.sorted().first(where: { !known.contains($0) }) {
      throw fail("evidence: " + UnknownField(unknown, known: known).description)
    }
    func number(_ name: String, _ range: ClosedRange<Int>) throws(ExperimentError) -> Int {
      guard let value = fields[name] as? Int, range.contains(value) else {
        throw fail("evidence: '\(name)' must be within \(range)")
      }
      return value
    }
    guard let entries = fields["columns"] as? [[String: Any]], !entries.isEmpty else {
      throw fail("evidence: lacks 'columns'")
    }
    var columns: [Evidence.Column] = []
    for entry in entries {
      guard let name = entry["name"] as? String, let own = entry["networks"] as? [String],
        let text = entry["plan"] as? String,
        Set(entry.keys).isSubset(of: ["name", "networks", "plan", "orders"]),
        !columns.contains(where: { $0.name == name })
      else {
        throw fail("evidence: a column has a name of its own, a plan, maybe orders, and a network for each ρ")
      }
      let priors = own.map { name in networks.first { $0.name == name }?.configuration.prior }
      guard priors == Evidence.priors.map(\.name) else {
        throw fail(
          "evidence: column '\(name)': networks must name one of prior '\(Evidence.priors[0].name)' and one of"
            + " '\(Evidence.priors[1].name)'")
      }
      let orders = entry["orders"] as? Int
      guard orders.map({ (1...4096).contains($0) }) ?? (entry["orders"] == nil) else {
        throw fail("evidence: column '\(name)': orders must be within 1...4096")
      }
      let plan: PlanTemplate
      do { plan = try PlanTemplate(parsing: text) } catch {
        throw fail("evidence: column '\(name)': \(error)")
      }
      columns.append(.init(name: name, networks: own, plan: plan, orders: orders))
    }
    let paper = try figures(fields["paper"] as? [String: Any] ?? [:], fail)
    guard Set(paper.keys).isSubset(of: EvidenceTable.Quantity.allCases.map(\.rawValue)) else {
      throw fail("evidence: the paper's figures are of 'lml' and 'difference'")
    }
    return Evidence(
      observers: try number("observers", 1...1000), trials: try number("trials", 1...10_000),
      orders: try number("orders", 1...4096), seed: UInt64(try number("seed", 0...Int.max)), columns: columns,
      paper: paper)
  }
}

/// What networks say of whole data sets, against the integral over observers.
public struct EvidenceTable: Sendable {
  /// What is compared: the log marginal likelihood of a data set under each ρ, or that under 4/3 less that under 1.
  public enum Quantity: String, Sendable, CaseIterable { case lml, difference }

  public struct Row: Sendable {
    public let column: String
    public let quantity: Quantity
    /// Log marginal likelihoods, or differences.
    public let values: Int
    /// Root of the mean square of what the network says less the integral, in nats.
    public let rmse: OracleComparison.Estimate
    /// The mean of that difference: below 0 where the network finds the answers less probable.
    public let bias: OracleComparison.Estimate
    /// 1 less the mean square over the variance of the integral's; nil for one value.
    public let r2: Double?
    /// Of the differences, the share with the sign of the integral's; nil for `lml`.
    public let sameSign: Double?
    public let paper: Experiment.Figure?
  }

  public let rows: [Row]

  /// - Parameter scores: of every data set and ρ, as `ExperimentRun.evidence()` has them; those without an integral are left out.
  public init(_ evidence: Experiment.Evidence, _ scores: [ExperimentRun.EvidenceScore]) {
    // Later lines replace earlier ones: a network that was trained on is scored anew.
    var newest: [String: Double] = [:]
    func key(_ column: String, _ set: Int, _ stretch: Int) -> String { "\(column) \(set) \(stretch)" }
    for score in scores { newest[key(score.column, score.dataSet, score.prior)] = score.value }
    let sets = 0..<2 * evidence.observers
    func pairs(_ column: String, _ quantity: Quantity) -> [(said: Double, exact: Double)] {
      func value(_ column: String, _ set: Int, _ prior: Int) -> Double? { newest[key(column, set, prior)] }
      return sets.flatMap { set -> [(said: Double, exact: Double)] in
        let both = (0..<2).map { prior in
          (said: value(column, set, prior), exact: value(ExperimentRun.integral, set, prior))
        }
        switch quantity {
        case .lml:
          return both.compactMap { pair in
            if let said = pair.said, let exact = pair.exact { (said, exact) } else { nil }
          }
        case .difference:
          guard let said = both[1].said, let less = both[0].said, let exact = both[1].exact,
            let own = both[0].exact
          else { return [] }
          return [(said - less, exact - own)]
        }
      }
    }
    rows = Quantity.allCases.flatMap { quantity in
      evidence.columns.compactMap { column in
        let pairs = pairs(column.name, quantity)
        guard !pairs.isEmpty else { return nil }
        return Self.row(column.name, quantity, pairs, evidence.paper[quantity.rawValue]?[column.name])
      }
    }
  }

  private static func row(
    _ column: String, _ quantity: Quantity, _ pairs: [(said: Double, exact: Double)],
    _ paper: Experiment.Figure?
  ) -> Row {
    let squares = OracleComparison.Estimate(pairs.map { ($0.said - $0.exact) * ($0.said - $0.exact) })
    let rmse = squares.mean.squareRoot()
    let centre = pairs.reduce(0) { $0 + $1.exact } / Double(pairs.count)
    let variance =
      pairs.reduce(0) { $0 + ($1.exact - centre) * ($1.exact - centre) } / Double(pairs.count)
    let same = pairs.count { ($0.said > 0) == ($0.exact > 0) }
    return Row(
      column: column, quantity: quantity, values: pairs.count,
      // The error of a root by that of the mean under it.
      rmse: .init(mean: rmse, standardError: rmse > 0 ? squares.standardError / (2 * rmse) : .nan),
      bias: .init(pairs.map { $0.said - $0.exact }), r2: variance > 0 ? 1 - squares.mean / variance : nil,
      sameSign: quantity == .difference ? Double(same) / Double(pairs.count) : nil, paper: paper)
  }
}
