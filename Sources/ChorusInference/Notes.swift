import ChorusPlans

/// Something the reader of a result should know; part of the result, so that it cannot be lost on stderr.
public enum Note: Sendable, Hashable, CustomStringConvertible {
  case contextBeyondTraining(rows: Int, trained: Int)
  case contextThinned(from: Int, to: Int)
  /// Of a series the rows near to the points that a context was made for were kept.
  case contextNearest(from: Int, to: Int)
  /// Of a series the last rows were kept.
  case contextLatest(from: Int, to: Int)
  /// Of a series the rows around each point were read, in so many sections that are drawn apart.
  case contextSections(from: Int, each: Int, read: Int, sections: Int)
  /// More values are drawn together than in training; `merging` where the model has plans that hold fewer at once.
  case bufferBeyondTraining(rows: Int, trained: Int, merging: Bool)
  case fewRows(Int)
  /// Rows were left out whose known errors hide what was measured.
  case hiddenByErrors(Int)
  /// Rounding left a layer's regression without an answer until this much was added to its diagonal.
  case regressionRaised(by: Double)
  /// Points farther from the observed rows than training went, by that many standard deviations of an input, or where a column
  /// that was always the same is not.
  case inputsBeyondTraining(points: Int, reach: Double)
  /// Given values whose density is 0: far from the observed rows, or where the scale of the values has no place.
  case valuesBeyondReach(Int)
  /// Of the paths drawn those that meet conditions were kept.
  case conditioned(kept: Int, found: Int, drawn: Int)
  /// The paths drawn were weighed by what is known of them.
  case weighed(effective: Int, drawn: Int)
  /// The plan reads parts of the buffer that are no prefix.
  case readsBeyondTraining(PlanTemplate?)
  /// A Gaussian process of a table draws more rows than it ties to each other.
  case processApart(targets: Int, together: Int)

  public var description: String {
    switch self {
    case .contextBeyondTraining(let rows, let trained):
      "the context has \(rows) rows; the model was trained on up to \(trained)"
    case .contextThinned(let from, let to):
      "the context was thinned from \(from) to \(to) rows, evenly along its first input"
    case .contextNearest(let from, let to):
      "of \(from) rows the \(to) nearest to the points that were asked for when they were read are kept; the other \(from - to) were left out"
    case .contextLatest(let from, let to):
      "of \(from) rows the latest \(to) were read; \(from - to) before them were left out"
    case .contextSections(let from, let each, let read, let sections):
      "of \(from) rows the \(each) around each point were read"
        + (sections > 1 ? ", in \(sections) sections that are drawn apart" : "")
        + (read < from ? "; \(from - read) rows were left out" : "")
    case .bufferBeyondTraining(let rows, let trained, let merging):
      "the buffer grows to \(rows) rows; the model was trained on up to \(trained)"
        + (merging ? " (sequential(capacity:\(trained)) merges instead)" : "")
    case .readsBeyondTraining(let plan):
      "the plan reads parts of the buffer, which training has not shown"
        + (plan.map { " (\($0) reads the same values as context)" } ?? "")
    case .processApart(let targets, let together):
      "of \(targets) rows asked at once, the paths that a Gaussian process draws tie only \(together) in turn to each other"
    case .inputsBeyondTraining(let points, _):
      "\(points) point\(points == 1 ? " lies" : "s lie") farther from the observed rows than training went"
    case .valuesBeyondReach(let count):
      "\(count) value\(count == 1 ? " has" : "s have") density 0: too far from the observed rows, or impossible on the scale that "
        + "values are seen on (--scale raw takes them as they are)"
    case .conditioned(let kept, let found, let drawn):
      "the conditions hold for \(found) of \(drawn) paths drawn; \(kept) are kept"
    case .weighed(let effective, let drawn):
      "of \(drawn) paths drawn, weighed by what is given, \(effective) are left in effect"
    case .regressionRaised(let amount):
      "a layer's regression had no answer at the precision of its numbers; \(amount) was added to its ridge"
    case .hiddenByErrors(let rows):
      "\(rows) row\(rows == 1 ? " has an error" : "s have errors") more than thirty times what values vary by, and tell\(rows == 1 ? "s" : "") nothing"
    case .fewRows(let rows): "only \(rows) row\(rows == 1 ? " was" : "s were") observed"
    }
  }
}

/// What stops a prediction before or while it runs.
public enum InferenceError: Error, Sendable, Equatable, CustomStringConvertible {
  case input(String)
  case scale(String)
  /// The plan would need more arithmetic than allowed.
  case tooExpensive(flops: Double, limit: Double)
  /// The plan's buffers would need more memory than allowed; `merging` where the model has plans with smaller ones.
  case tooLarge(bytes: Double, limit: Double, merging: Bool)
  case cancelled

  public var description: String {
    switch self {
    case .input(let text), .scale(let text): text
    case .tooExpensive(let flops, let limit):
      "this plan needs about \(Self.tera(flops)) TFLOP and the limit is \(Self.tera(limit)); a cheaper plan,"
        + " fewer targets or paths, or a higher limit (--flop-limit) would do"
    case .tooLarge(let bytes, let limit, let merging):
      "the paths of this plan need about \(Int(min((bytes / 1e9).rounded(.up), 1e15))) GB and the limit is"
        + " \(Self.giga(limit)) GB; fewer targets or paths"
        + (merging ? ", or a plan that merges (sequential(capacity:64)), would do" : " would do")
    case .cancelled: "cancelled"
    }
  }

  private static func giga(_ value: Double) -> String {
    value >= 2e9 ? String(Int(value / 1e9)) : String((value / 1e8).rounded(.down) / 10)
  }

  private static func tera(_ value: Double) -> String {
    let scaled = value / 1e12
    return scaled >= 10 ? String(Int(scaled.rounded())) : String((scaled * 100).rounded() / 100)
  }
}
