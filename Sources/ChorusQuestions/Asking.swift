import ChorusData
import ChorusInference
import ChorusModels
import ChorusTables
import ChorusTensors
import Foundation

/// All that is asked of a file: a question for each series in it and each target column.
package struct Asking {
  /// Series by series in the order of the file, in each target by target.
  package let questions: [Question]
  /// The column that tells the series apart.
  package let groupColumn: String?
  package let targets: [String]
  /// Which columns were taken and how the points go on, where that was found and not told.
  package let found: String?
  /// What a person should know about the file.
  package let notes: [String]
  /// The model that a saved context needs.
  package let model: Model?
  /// What values of a kept series are seen as, where it is not kept with what a model made of it.
  package let settings: SavedSeries.Settings?

  /// The questions of a file. A series with nothing to predict is left out.
  package init(
    _ rows: RowsSource, input: String?, target: String?, group: String? = nil, points: AskedPoints,
    units: String? = nil, with covariates: [String] = [], error: String? = nil,
    wide: WideFile = .no
  ) throws {
    let series = try AskedSeries(
      rows, input: input, target: target, group: group, units: units, with: covariates,
      error: error, wide: wide)
    let (columns, targets) = (series.columns, series.columns.targets)
    // The inputs are the same for all targets.
    let given = try columns.selections.first.flatMap {
      try points.given(for: $0, groups: columns.groups, file: rows.name)
    }
    let questions = try series.observations.map { try Question($0, given: given) }
    let asked = questions.filter { $0.points.count > 0 }
    guard !asked.isEmpty else {
      throw AskedPoints.nothing(rows.name, "'\(targets.joined(separator: "' or '"))'")
    }
    if asked.allSatisfy({ $0.observations.refusal != nil }), let first = asked.first {
      let place = first.observations.group.map { "group '\($0)': " } ?? ""
      throw InferenceError.input(
        "\(rows.name): no group has enough rows; \(place)\(first.observations.refusal ?? "")")
    }
    var notes = series.notes
    if asked.count < questions.count {
      let what = columns.groups == nil ? "targets" : "series"
      notes.append(
        "\(questions.count - asked.count) of \(questions.count) \(what) have nothing to predict and were left out"
      )
    }
    notes += DataWord.said(series.words)
    found = Self.found(asked, columns.found)
    self.questions = asked
    self.targets = targets
    self.notes = notes
    groupColumn = columns.groups?.column
    model = nil
    settings = nil
  }

  /// One line on what was found: the columns and the spacing.
  private static func found(_ questions: [Question], _ columns: String? = nil) -> String? {
    var parts = columns.map { [$0] } ?? []
    var horizons: [String] = []
    for words in questions.compactMap(\.horizonWords) where !horizons.contains(words) {
      horizons.append(words)
    }
    if let words = horizons.first {
      parts.append(words + (horizons.count > 1 ? " (each series from its own last row)" : ""))
    }
    return parts.isEmpty ? nil : parts.joined(separator: ": ")
  }

  /// The questions to what was encoded, or kept, before; nil where that is a table.
  ///
  /// - Parameter model: the model's name or path; nil for the shipped one that the file names.
  package init?(
    _ file: SavedFile, model name: String?, precision: Precision = .f32, points: AskedPoints
  ) throws {
    notes = []
    switch file {
    case .table: return nil
    case .contexts(let saved):
      let model = try Self.model(name, for: saved.contexts[0], precision: precision)
      let kept = try saved.kept(model)
      // Steps go on from the last row of each; all else is read once.
      let given =
        points.horizon == nil
        ? try points.given(for: kept[0].observations.selection, groups: saved.groups, file: saved.path) : nil
      let all = try kept.map { try given == nil ? $0.question(points) : $0.question(given) }
      questions = all.filter { $0.points.count > 0 }
      guard !questions.isEmpty else {
        throw InferenceError.input("\(saved.path): no point is of a series that it keeps")
      }
      (found, targets) = (Self.found(questions), [kept[0].observations.selection.target])
      (groupColumn, self.model, settings) = (saved.column, model, nil)
    case .series(let saved):
      let observations = saved.observations
      let given = try points.given(for: observations.selection, file: saved.path)
      questions = [try Question(observations, given: given)]
      (found, targets, groupColumn) = (nil, [observations.selection.target], nil)
      (model, settings) = (try saved.model(name, precision: precision), saved.settings)
    case .context(let context):
      let card = try ContextCard(context)
      let model = try Self.model(name, for: context, precision: precision)
      let kept = try KeptSeries(context.posterior(model), card, file: context.file)
      questions = [try kept.question(points)]
      found = Self.found(questions)
      targets = [kept.observations.selection.target]
      (groupColumn, self.model, settings) = (nil, model, nil)
    }
  }

  /// The model of a name or path, or the shipped one that a context names.
  private static func model(
    _ name: String?, for context: SavedContext, precision: Precision
  ) throws -> Model {
    try name.map { try Model(named: $0, precision: precision) }
      ?? shipped(for: context, precision: precision)
  }

  /// The shipped model that a context names. Its file is one that anybody may have made, so a path in it is never opened.
  package static func shipped(for context: SavedContext, precision: Precision = .f32) throws -> Model {
    guard let path = ModelLocation.shipped(context.modelName) else {
      let name = context.modelName
      let why =
        name.contains("/") || name.hasSuffix(".safetensors")
        ? "names the path of its model, and a path is taken from --model alone"
        : "needs model '\(name)', which is not one that comes with Chorus"
      throw ModelError.missing(
        "\(context.file): the context \(why); give the model's file with --model (fingerprint \(context.fingerprint.prefix(12)))"
      )
    }
    return try Model(path: path, precision: precision)
  }
}
