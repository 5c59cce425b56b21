import ChorusFiles
import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables

/// What is made of draws.
enum AnswerKind: Sendable {
  case paths
  /// Quantiles and probabilities, or functionals where some are asked for.
  case summary
}

/// What is asked of a kept context by draws, whatever it holds.
protocol ContextQuestion: Sendable {
  /// Points, or cells of a table.
  var points: Int { get }
  /// Values that are drawn.
  var values: Int { get }
  /// Paths that are drawn, of all series.
  var paths: Int { get }
  var functionals: [Functional] { get }
  /// Whether how long it takes says how long others will.
  var isTypical: Bool { get }

  /// Refuses what cannot be answered before anything is drawn.
  func check() throws
  /// The arithmetic of the answer. With bounds as conditions paths are drawn until enough meet them, which is not counted.
  func flops() throws -> Double
  /// Draws. The same question to the command line gives the same numbers.
  func response(_ kind: AnswerKind, _ form: AnswerForm, flopLimit: Double) throws -> ServiceResponse
  /// The plans that are followed, explained.
  func plans() throws -> [JSON]
}

/// How a question is drawn, of a series or of a table.
struct DrawSettings: Sendable {
  let template: PlanTemplate
  let samples: Int
  let seed: UInt64
  let levels: [Double]
  let functionals: [Functional]
  let known: [KnownStatement]

  /// - Parameter plan: without one that is named.
  init(_ fields: Fields, plan: String) throws {
    template = try PlanTemplate(parsing: fields.text("plan") ?? plan)
    samples = fields.integer("samples") ?? 100
    seed = fields.seed("seed") ?? 0
    known = try (fields.texts("given") ?? []).map(KnownStatement.init)
    functionals = try FunctionalTable.functionals(fields.texts("functional")?.joined(separator: ","))
    levels = fields.numbers("quantiles") ?? [0.05, 0.5, 0.95]
    guard levels.allSatisfy({ (0...1).contains($0) }), Set(levels).count == levels.count else {
      throw ServiceError(422, "'quantiles' must be different levels between 0 and 1")
    }
  }

  /// What stands beside the rows of an answer in JSON.
  func beside(notes: [String]) -> [JSON.Member] {
    [
      JSON.Member(key: "plan", value: .string(template.description)),
      JSON.Member(key: "samples", value: .integer(samples)),
      JSON.Member(key: "seed", value: .number(String(seed))),
      JSON.Member(key: "notes", value: .array(notes.map(JSON.string))),
    ]
  }
}
