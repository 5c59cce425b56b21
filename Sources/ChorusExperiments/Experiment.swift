import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusTensors
import ChorusTraining
import Foundation

/// An experiment as data: networks trained by one trainer on the same tasks, and what is asked of them on tasks that none has
/// seen.
///
/// It is a JSON file. `training` has the settings that all networks share, as a training configuration; each network's
/// `change` holds what is different in it, setting by setting, where an object that has a name (a head, an encoder) is taken
/// whole. A column asks one of these networks, or a model that is there already, by its name; an experiment whose columns all do
/// has no `networks`, no `training` and no `tasks`.
public struct Experiment: Sendable {
  /// One network: what it is called, and how it is trained.
  public struct Network: Sendable {
    public let name: String
    /// Without steps and seed, which a run decides.
    public let configuration: TrainingConfiguration
    /// The network before it that an adapter changes; nil for a network of its own.
    public let base: String?
    /// Of the tasks that networks are trained on, so many.
    public let share: Double
  }

  /// Whom a column asks.
  public enum Asked: Sendable, Hashable {
    /// One of the experiment's networks, once for each seed that it is trained with.
    case network(String)
    /// A model that the experiment does not train: a shipped one by its name, or a file. It has one seed.
    case model(String)
  }

  /// One column of the table: a network or model, and what is asked of it.
  public struct Column: Sendable, Hashable {
    public let name: String
    public let asked: Asked
    public let law: Law
    /// Orders of the targets to average over; nil for what the size says.
    public let orders: Int?
  }

  /// How a network gives a joint law.
  public enum Law: Sendable, Hashable {
    case plan(PlanTemplate)
    /// A Gaussian copula around its independent marginals (`GaussianCopula`).
    case copula
    /// No law: how far the independent marginals depend on the order of the context's rows, as log of the mean density over
    /// orders minus the mean of its logarithm (0 for a network that reads a set; the rest of Jensen's inequality).
    case orderGap
  }

  /// Tasks of one size.
  public struct Size: Sendable, Hashable, Decodable {
    public let targets: Int
    /// Tasks for every context size and seed.
    public let functions: Int
    /// Random orders of the targets that a density is averaged over.
    public let orders: Int
    /// How tasks of a file are split.
    public let layout: StoredTasks.Split

    enum CodingKeys: String, CodingKey, CaseIterable { case targets, functions, orders, layout }

    /// What figures of the paper are filed under: the number of targets, and the layout where it is not random.
    public var key: String { layout == .random ? "\(targets)" : "\(targets) \(layout.rawValue)" }

    public init(from decoder: any Decoder) throws {
      let fields = try decoder.knownFields(CodingKeys.self)
      targets = try fields.decode(Int.self, forKey: .targets)
      functions = try fields.decode(Int.self, forKey: .functions)
      orders = try fields.decode(Int.self, forKey: .orders)
      layout = try fields.decodeIfPresent(StoredTasks.Split.self, forKey: .layout) ?? .random
    }
  }

  /// The tasks that all columns are asked about.
  public struct Evaluation: Sendable, Hashable, Decodable {
    public let prior: String
    public let contexts: [Int]
    public let seed: UInt64
    public let dimensions: Int
    public let sizes: [Size]

    enum CodingKeys: String, CodingKey, CaseIterable { case prior, contexts, seed, dimensions, sizes }

    public init(from decoder: any Decoder) throws {
      let fields = try decoder.knownFields(CodingKeys.self)
      prior = try fields.decode(String.self, forKey: .prior)
      contexts = try fields.decode([Int].self, forKey: .contexts)
      seed = try fields.decode(UInt64.self, forKey: .seed)
      dimensions = try fields.decodeIfPresent(Int.self, forKey: .dimensions) ?? 1
      sizes = try fields.decode([Size].self, forKey: .sizes)
    }
  }

  /// A figure of the paper: mean and standard error.
  public struct Figure: Sendable, Hashable {
    public let mean: Double
    public let standardError: Double
  }

  public let name: String
  public let title: String
  /// Tasks that each network is trained on, unless a run says otherwise; 0 where there are no networks.
  public let tasks: Int
  public let networks: [Network]
  public let evaluation: Evaluation
  public let columns: [Column]
  /// The paper's figures by size (`Size.key`) and column.
  public let paper: [String: [String: Figure]]
  /// Networks as marginal likelihoods; nil where none is asked for.
  public let evidence: Evidence?

  /// The largest file that is read, in bytes.
  public static let fileLimit = 1 << 20

  /// Reads an experiment.
  ///
  /// - Parameter path: for the words of an error.
  /// - Throws: `ExperimentError` that names the file and what is wrong in it.
  public init(_ data: Data, path: String) throws(ExperimentError) {
    func fail(_ text: String) -> ExperimentError { .file("\(path): \(text)") }
    guard let fields = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
      throw fail("is no JSON object")
    }
    let known = [
      "name", "title", "training", "tasks", "networks", "evaluation", "columns", "paper", "evidence",
    ]
    if let unknown = fields.keys.sorted().first(where: { !known.contains($0) }) {
      throw fail(UnknownField(unknown, known: known).description)
    }
    func field<T>(_ name: String, _ type: T.Type) throws(ExperimentError) -> T {
      guard let value = fields[name] as? T else { throw fail("lacks '\(name)', or it is of another kind") }
      return value
    }
    name = try field("name", String.self)
    title = try field("title", String.self)
    let trains = fields["networks"] != nil
    tasks = trains ? try field("tasks", Int.self) : 0
    guard name.wholeMatch(of: /[a-z0-9-]{1,64}/) != nil else {
      throw fail("name is '\(name)'; it names a folder: lower-case letters, digits and '-'")
    }
    let training = trains ? try field("training", [String: Any].self) : [:]
    var networks: [Network] = []
    for entry in trains ? try field("networks", [[String: Any]].self) : [] {
      guard let own = entry["name"] as? String, own.wholeMatch(of: /[a-z0-9-]{1,64}/) != nil,
        Set(entry.keys).isSubset(of: ["name", "change", "adapt", "share"])
      else {
        throw fail(
          "a network has a name of lower-case letters, digits and '-', a change, and maybe adapt and share")
      }
      let settings = Self.merged(training, entry["change"] as? [String: Any] ?? [:])
      let configuration: TrainingConfiguration = try Self.decoded(settings) {
        fail("network '\(own)': \($0)")
      }
      do { try configuration.validate() } catch { throw fail("network '\(own)': \(error)") }
      let (base, share) = (entry["adapt"] as? String, entry["share"] as? Double ?? 1)
      guard (base == nil) == (configuration.adapterRank == 0),
        base.map({ name in networks.contains { $0.name == name } }) ?? true
      else {
        throw fail(
          "network '\(own)': adapt names a network before it, and adapterRank its rank; give both or none")
      }
      guard share > 0, share <= 1 else {
        throw fail("network '\(own)': share is \(share); it must be within 0...1")
      }
      networks.append(Network(name: own, configuration: configuration, base: base, share: share))
    }
    self.networks = networks
    evaluation = try Self.decoded(try field("evaluation", [String: Any].self)) { fail("evaluation: \($0)") }
    columns = try Self.columns(try field("columns", [[String: Any]].self), networks, fail)
    paper = try Self.figures(fields["paper"] as? [String: Any] ?? [:], fail)
    evidence =
      if fields["evidence"] == nil { nil } else {
        try Self.evidence(try field("evidence", [String: Any].self), networks, fail)
      }
    try check(fail)
  }

  private func check(_ fail: (String) -> ExperimentError) throws(ExperimentError) {
    let keys = evaluation.sizes.map(\.key)
    guard Set(keys).count == keys.count, Set(paper.keys).isSubset(of: keys) else {
      throw fail("two sizes have as many targets and one layout, or the paper's figures are of none of them")
    }
    if evaluation.prior != "tasks" {
      guard evaluation.sizes.allSatisfy({ $0.layout == .random }) else {
        throw fail("evaluation: only tasks of a file have the layout 'future'")
      }
      do { _ = try Priors.named(evaluation.prior) } catch { throw fail("evaluation: \(error)") }
    }
    for group in [networks.map(\.name), columns.map(\.name)] where Set(group).count != group.count {
      throw fail("two networks, or two columns, have one name")
    }
    guard !evaluation.contexts.isEmpty, evaluation.contexts.allSatisfy({ (0...100_000).contains($0) }),
      !evaluation.sizes.isEmpty,
      evaluation.sizes.allSatisfy({
        (1...10_000).contains($0.targets) && (1...1_000_000).contains($0.functions)
          && (1...4096).contains($0.orders)
      })
    else { throw fail("evaluation: contexts, targets, functions or orders are none, or out of range") }
    guard networks.isEmpty || (1...1_000_000_000).contains(tasks) else {
      throw fail("tasks is \(tasks); it must be at least 1")
    }
  }

  // MARK: Parts of the file

  /// Settings with some changed; an object that has a name is taken whole.
  private static func merged(_ settings: [String: Any], _ change: [String: Any]) -> [String: Any] {
    settings.merging(change) { old, new in
      guard let old = old as? [String: Any], let new = new as? [String: Any], new["name"] == nil else {
        return new
      }
      return merged(old, new)
    }
  }

  private static func decoded<T: Decodable>(
    _ object: [String: Any], _ fail: (String) -> ExperimentError
  ) throws(ExperimentError) -> T {
    do {
      return try JSONDecoder().decode(T.self, from: JSONSerialization.data(withJSONObject: object))
    } catch let error as DecodingError {
      throw fail(words(error))
    } catch { throw fail("\(error)") }
  }

  private static func words(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
      context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    return switch error {
    case .typeMismatch(let type, let context): "'\(place(context))' is no \(type)"
    case .keyNotFound(let key, let context): "'\(key.stringValue)' is missing in '\(place(context))'"
    case .valueNotFound(_, let context), .dataCorrupted(let context): "'\(place(context))' cannot be read"
    @unknown default: "cannot be read"
    }
  }

  private static func columns(
    _ entries: [[String: Any]], _ networks: [Network], _ fail: (String) -> ExperimentError
  ) throws(ExperimentError) -> [Column] {
    var columns: [Column] = []
    for entry in entries {
      guard let name = entry["name"] as? String,
        Set(entry.keys).isSubset(of: ["name", "network", "model", "plan", "law", "orders"])
      else {
        throw fail(
          "a column has a name, a network or a model, a plan or a law (copula, orderGap), and maybe orders")
      }
      let asked: Asked
      switch (entry["network"] as? String, entry["model"] as? String) {
      case (let network?, nil):
        guard networks.contains(where: { $0.name == network }) else {
          throw fail("column '\(name)': there is no network '\(network)'")
        }
        asked = .network(network)
      case (nil, let model?): asked = .model(model)
      default: throw fail("column '\(name)': give one of network and model")
      }
      let orders = entry["orders"] as? Int
      guard orders.map({ (1...4096).contains($0) }) ?? (entry["orders"] == nil) else {
        throw fail("column '\(name)': orders must be within 1...4096")
      }
      let law: Law
      switch (entry["plan"] as? String, entry["law"] as? String) {
      case (let text?, nil):
        do { law = .plan(try PlanTemplate(parsing: text)) } catch { throw fail("column '\(name)': \(error)") }
      case (nil, "copula"): law = .copula
      case (nil, "orderGap"): law = .orderGap
      default: throw fail("column '\(name)': give a plan, or one of the laws copula and orderGap")
      }
      columns.append(Column(name: name, asked: asked, law: law, orders: orders))
    }
    return columns
  }

  static func figures(
    _ entries: [String: Any], _ fail: (String) -> ExperimentError
  ) throws(ExperimentError) -> [String: [String: Figure]] {
    var figures: [String: [String: Figure]] = [:]
    for (key, value) in entries {
      guard let row = value as? [String: [Double]],
        row.values.allSatisfy({ $0.count == 2 })
      else { throw fail("paper: '\(key)' must hold [mean, standard error] by column") }
      figures[key] = row.mapValues { Figure(mean: $0[0], standardError: $0[1]) }
    }
    return figures
  }
}

/// What can go wrong with an experiment.
public enum ExperimentError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file is none, or says what cannot be.
  case file(String)
  /// The folder of the run holds something else.
  case run(String)

  public var description: String {
    switch self {
    case .file(let text), .run(let text): text
    }
  }
}
