import ChorusInference
import ChorusQuestions
import ChorusReports
import ChorusTables
import Foundation

/// The picture of all answers to a file: a fan chart, a small one for each of several series and targets, or a map over two inputs.
struct PredictionPicture {
  /// Charts that one picture has room for.
  static let mostPanels = 24

  private let asking: Asking
  private var whole: Figure?
  private var panels: [Chart] = []
  private var missing = 0

  /// - Throws: `InferenceError.input` for what no picture shows.
  init(_ asking: Asking) throws {
    self.asking = asking
    let first = asking.questions[0]
    func refuse(_ reason: String) -> InferenceError { .input("\(first.file): \(reason)") }
    let inputs = first.selection.inputs.dropLast(first.selection.covariates)
    guard asking.questions.count > 1 else {
      if inputs.count == 2, let reason = MapChart.refusal(first) { throw refuse(reason) }
      if inputs.count > 2, let reason = FanChart.refusal(first.selection) { throw refuse(reason) }
      return
    }
    if inputs.count > 1 {
      throw refuse(
        "several series have a picture along one input column, and '\(inputs.joined(separator: ","))' are \(inputs.count)"
      )
    }
    guard asking.questions.count <= Self.mostPanels else {
      throw refuse(
        "a picture has room for \(Self.mostPanels) series, and there are \(asking.questions.count); give fewer, or leave out --plot and --show"
      )
    }
  }

  /// Takes in an answer, in the order of the questions.
  ///
  /// - Parameter words: what drew the paths.
  mutating func add(_ answer: Answer, _ words: (Posterior.Samples) -> String) {
    guard let samples = answer.samples else {
      missing += 1
      return
    }
    let (question, words) = (answer.question, words(samples))
    guard asking.questions.count > 1 else {
      let isMap = question.selection.dimensions - question.selection.covariates == 2
      whole =
        isMap
        ? MapChart(question: question, samples: samples, subtitle: words).figure()
        : FanChart(question: question, samples: samples, subtitle: words).figure()
      return
    }
    let parts = [question.observations.group, asking.targets.count > 1 ? question.selection.target : nil]
    panels.append(
      FanChart(question: question, samples: samples, subtitle: "").panel(
        parts.compactMap { $0 }.joined(separator: ", "), isFirst: panels.isEmpty))
  }

  /// The picture; nil where nothing was predicted.
  func figure() -> Figure? {
    if let whole { return whole }
    guard !panels.isEmpty else { return nil }
    let first = asking.questions[0]
    let name = first.file == "-" ? "standard input" : URL(fileURLWithPath: first.file).lastPathComponent
    let titles = asking.targets.map { first.named($0).title }.joined(separator: ", ")
    let by = asking.groupColumn.map { " by \($0)" } ?? ""
    return Figure(
      title: "\(titles)\(by), from \(name)", charts: panels, columns: panels.count < 3 ? panels.count : 3,
      caption: missing > 0 ? "\(missing) series have too few rows to be predicted." : "")
  }
}
