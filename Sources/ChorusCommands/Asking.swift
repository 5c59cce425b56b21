import ArgumentParser
import ChorusData
import ChorusInference
import ChorusModels
import ChorusTables
import Foundation

/// All that one command asks of a file: a question for each series in it and each target column.
struct Asking {
  /// Series by series in the order of the file, in each target by target.
  let questions: [Question]
  /// The column that tells the series apart.
  let groupColumn: String?
  let targets: [String]
  /// Which columns were taken and how the points go on, where that was found and not told.
  let found: String?
  /// What a person should know about the file.
  let notes: [String]
  /// The model that a saved context needs.
  let model: Model?

  /// The questions of a file.
  ///
  /// Every series is one of its own: nothing is learned from the others. A series with too few rows stays among the
  /// questions, so that its points are in the output, without a prediction; one with nothing to predict is left out.
  init(
    file: String, input: String?, target: String?, group: String? = nil, points: PointOptions,
    units: String? = nil, reading: ReadingOptions, table read: Table? = nil
  ) throws {
    let columns = try AskedColumns(
      file: file, input: input, target: target, group: group, several: true, reading: reading,
      table: read)
    let (table, targets, groups, selections) = (
      columns.table, columns.targets, columns.groups, columns.selections
    )
    let isOpen = columns.isOpen
    let units = try Observations.units(units, of: table)
    // The inputs are the same for all targets.
    let given = try selections.first.flatMap {
      try points.given(for: $0, groups: groups, reading: reading, file: file)
    }
    var notes: [String] = []
    let dataWords = DataWords(table, reading: reading)
    notes += dataWords.fileWords.map(\.text)
    if isOpen, groups == nil, let first = selections.first { try dataWords.refusePooling(first) }
    var words: [[DataWord]] = []
    if let incomplete = selections.first?.incomplete.count, incomplete > 0 {
      notes.append("\(incomplete) rows lack an input and were left out")
    }
    if let nameless = groups?.nameless, nameless > 0 {
      notes.append("\(nameless) rows have no value of '\(group ?? "")' and were left out")
    }
    var questions: [Question] = []
    if let groups {
      let parts = selections.map { $0.split(groups.ofRow, into: groups.labels.count) }
      for (index, label) in groups.labels.enumerated() {
        words.append(try dataWords.words(parts.map { $0[index] }, grouped: true, group: label))
        for part in parts {
          questions.append(
            try Question(
              Observations(file: file, selection: part[index], group: label, units: units), given: given))
        }
      }
    } else {
      words.append(try dataWords.words(selections, grouped: false))
      for selection in selections {
        let question = try Question(
          Observations(file: file, selection: selection, units: units), given: given)
        if let refusal = question.observations.refusal { throw InferenceError.input("\(file): \(refusal)") }
        questions.append(question)
      }
    }
    let asked = questions.filter { $0.points.count > 0 }
    guard !asked.isEmpty else {
      throw PointOptions.nothing(file, "'\(targets.joined(separator: "' or '"))'")
    }
    if asked.allSatisfy({ $0.observations.refusal != nil }), let first = asked.first {
      let place = first.observations.group.map { "group '\($0)': " } ?? ""
      throw InferenceError.input(
        "\(file): no group has enough rows; \(place)\(first.observations.refusal ?? "")")
    }
    if asked.count < questions.count {
      let what = groups == nil ? "targets" : "series"
      notes.append(
        "\(questions.count - asked.count) of \(questions.count) \(what) have nothing to predict and were left out"
      )
    }
    notes += DataWord.said(words)
    found = Self.found(asked, columns.found)
    self.questions = asked
    self.targets = targets
    self.notes = notes
    groupColumn = group
    model = nil
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

  /// The question of a context that was encoded before.
  ///
  /// - Parameter model: the model's name or path; nil for the shipped one that the context names.
  init(context path: String, model name: String?, points: PointOptions, reading: ReadingOptions) throws {
    let context = try SavedContext(path: path)
    let card = try ContextCard(context)
    let model = try name.map { try Model(named: $0) } ?? Self.shipped(for: context)
    let posterior = try context.posterior(model)
    let observed = try posterior.observed
    let selection = Selection(
      inputs: context.inputColumns.map(\.name), target: context.outputColumn.name,
      kinds: Array(card.kinds.dropLast()), targetKind: card.kinds[card.kinds.count - 1], observed: observed.x,
      targets: observed.y)
    let units = Dictionary(
      (context.inputColumns + [context.outputColumn]).filter { !$0.unit.isEmpty }.map { ($0.name, $0.unit) },
      uniquingKeysWith: { first, _ in first })
    questions = [
      try Question(
        Observations(file: path, selection: selection, units: units),
        given: points.given(for: selection, reading: reading, file: path, saved: card), saved: posterior)
    ]
    found = Self.found(questions)
    targets = [selection.target]
    self.model = model
    groupColumn = nil
    notes = []
  }

  /// The shipped model that a context names. Its file is one that anybody may have made, so a path in it is never opened.
  static func shipped(for context: SavedContext) throws -> Model {
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
    return try Model(path: path)
  }
}
