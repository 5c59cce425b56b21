import ArgumentParser
import ChorusEvaluation
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusReports
import ChorusStorage
import ChorusTables
import Foundation

/// `chorus report` of the series of a file: an overview, and a part for each.
extension Report {
  /// Series that a page has room for.
  static let mostGroups = 12

  func runByGroups() throws {
    let asking = try Asking(
      reading.rows(file), input: input, target: target, group: group, points: points.asked(reading),
      units: units, error: errors.column, wide: wide ? .told : .no)
    let column = asking.groupColumn ?? ""
    guard asking.targets.count == 1 else {
      throw ValidationError("a report is of one target; name one with --target")
    }
    if let reason = FanChart.refusal(asking.questions[0].selection) {
      throw InferenceError.input("\(file): \(reason)")
    }
    guard asking.questions.count <= Self.mostGroups else {
      throw InferenceError.input(
        "\(file): a report has room for \(Self.mostGroups) series, and there are \(asking.questions.count); give fewer, or take chorus predict and chorus score, which have tables of any number"
      )
    }
    let questions = asking.questions.filter { $0.observations.refusal == nil }
    let functionals = try questions.map { try numberOfPaths($0) }
    let model = try Model(named: modelName)
    try outputs().checkPlaces()
    let contents = try zip(questions, functionals).map { question, functional in
      do { return try content(of: question, functional, model) } catch {
        guard let label = question.observations.group else { throw error }
        throw SeriesError(file: file, group: label, underlying: error)
      }
    }
    common.progress("")
    if let found = asking.found { common.say(found) }
    let notes =
      asking.notes
      + asking.questions.compactMap { question in
        question.observations.refusal.map {
          "group '\(question.observations.group ?? "")': not predicted: \($0)"
        }
      }
    for note in notes { common.say("note: \(note)") }
    let page = GroupReport(contents: contents, column: column, notes: notes, points: points.horizon).page
    try AtomicFile.write(page.html.utf8, to: output)
  }
}

/// The page of a report by groups.
struct GroupReport {
  /// At least one.
  let contents: [ReportContent]
  /// That tells the series apart.
  let column: String
  let notes: [String]
  /// Steps that were asked for, where that is how points were given.
  let points: Int?

  private func label(_ content: ReportContent) -> String { content.question.observations.group ?? "" }

  var page: Page {
    let first = contents[0]
    let file =
      first.question.file == "-"
      ? "standard input" : URL(fileURLWithPath: first.question.file).lastPathComponent
    let output = first.question.named(first.question.selection.target)
    let charts = contents.enumerated().map { place, content in
      FanChart(question: content.question, samples: content.joint, subtitle: "").panel(
        label(content), isFirst: place == 0)
    }
    var blocks: [Page.Block] = [
      .paragraph(
        "\(contents.count) series, told apart by '\(column)', each predicted from its own rows by model "
          + "\(first.modelName)\(points.map { ", \($0) steps on" } ?? ""); \(first.joint.paths.count) paths, seed \(first.seed)."
      ),
      .heading("Predictions"),
      .figure(Figure(charts: charts, columns: min(charts.count, 3))),
      .heading("Scores"),
    ]
    blocks += scores
    blocks += ReportBlocks.notes(notes)
    blocks.append(.heading("Series by series"))
    blocks += contents.map { .details(label($0), $0.blocks) }
    return Page(
      title: "\(output.title) by \(column) in \(file)",
      blocks: blocks + ReportBlocks.model(first.model, first.modelName))
  }

  /// What came of the rows held out of each series.
  private var scores: [Page.Block] {
    let held = contents.compactMap { content in content.heldOut.map { (label(content), $0) } }
    guard !held.isEmpty else { return [.paragraph("No rows were held out.")] }
    let rows = held.map { label, result -> [String] in
      let inside = result.calibration.coverage([0.9]).first.map { ReportBlocks.percent($0.observed) } ?? "–"
      let accuracy = result.accuracy
      let best = result.baselines.filter { $0.value.crps.isFinite }.min {
        ($0.value.crps, $0.key.rawValue) < ($1.value.crps, $1.key.rawValue)
      }
      return [
        label, best.map { Standing.name($0.key) } ?? "–", String(result.split.context.count),
        String(result.calibration.levels.count), ReportText.number(accuracy.mae),
        ReportText.number(accuracy.rmse), ReportText.number(accuracy.crps),
        best.map { ReportText.number($0.value.crps) } ?? "–", inside,
      ]
    }
    return [
      .paragraph(
        "Rows of each series were held out and predicted from its others. MAE and RMSE are what medians and means are off by; "
          + "CRPS is less for forecasts that are nearer and as sure as they may be, and stands beside that of the best simple method. Of right "
          + "forecasts, nine in ten values lie inside the 90 % interval."),
      .table(
        Page.Table(
          columns: [
            column, "best simple method", "rows read", "held out", "MAE", "RMSE", "CRPS", "its CRPS",
            "inside 90 %",
          ], rows: rows, textColumns: 2)),
    ]
  }
}
