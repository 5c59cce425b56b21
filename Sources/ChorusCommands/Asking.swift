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
  /// What a person should know about the file.
  let notes: [String]
  /// The model that a saved context needs.
  let model: Model?

  /// The questions of a file.
  ///
  /// Every series is one of its own: nothing is learned from the others. A series with too few rows stays among the
  /// questions, so that its points are in the output, without a prediction; one with nothing to predict is left out.
  init(
    file: String, input: String, target: String, group: String? = nil, points: PointOptions,
    units: String? = nil, reading: ReadingOptions
  ) throws {
    let names = Observations.names(input)
    // Which of these the file has, its header tells; columns that are not there are refused by their selection.
    let candidates = Set([target] + Observations.names(target)).sorted()
    let table = try reading.table(
      file, numbers: names + candidates, texts: group.map { [$0] } ?? [],
      optional: candidates.count > 1 ? candidates : [])
    let units = try Observations.units(units, of: table)
    // A single column may have a comma in its name.
    let targets = table.columns.contains(target) ? [target] : Observations.names(target)
    let named = names + targets + (group.map { [$0] } ?? [])
    if let twice = named.indices.first(where: { named[..<$0].contains(named[$0]) }) {
      throw TableError(
        .unknownColumn, file, "column '\(named[twice])' is asked for twice; name each column once.")
    }
    let groups = try group.map { try Groups(table, $0) }
    let selections = try targets.map { try table.select(inputs: names, target: $0) }
    // The inputs are the same for all targets.
    let given = try selections.first.flatMap {
      try points.given(for: $0, groups: groups, reading: reading)
    }
    var notes: [String] = []
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
        for part in parts {
          questions.append(
            try Question(
              Observations(file: file, selection: part[index], group: label, units: units), given: given))
        }
      }
    } else {
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
    self.questions = asked
    self.targets = targets
    self.notes = notes
    groupColumn = group
    model = nil
  }

  /// The question of a context that was encoded before.
  ///
  /// - Parameter model: the model's name or path; nil for the shipped one that the context names.
  init(context path: String, model name: String?, points: PointOptions, reading: ReadingOptions) throws {
    let context = try SavedContext(path: path)
    let kinds = try Self.kinds(context)
    let model = try name.map { try Model(named: $0) } ?? Self.shipped(for: context)
    let posterior = try context.posterior(model)
    let observed = try posterior.observed
    let selection = Selection(
      inputs: context.inputColumns.map(\.name), target: context.outputColumn.name,
      kinds: Array(kinds.dropLast()), targetKind: kinds[kinds.count - 1], observed: observed.x,
      targets: observed.y)
    let units = Dictionary(
      (context.inputColumns + [context.outputColumn]).filter { !$0.unit.isEmpty }.map { ($0.name, $0.unit) },
      uniquingKeysWith: { first, _ in first })
    questions = [
      try Question(
        Observations(file: path, selection: selection, units: units),
        given: points.given(for: selection, reading: reading), saved: posterior)
    ]
    targets = [selection.target]
    self.model = model
    groupColumn = nil
    notes = []
  }

  /// The shipped model that a context names. Its file is one that anybody may have made, so a path in it is never opened.
  private static func shipped(for context: SavedContext) throws -> Model {
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

  // MARK: What columns hold, in a saved context

  private static let words: [(kind: ColumnKind, word: String)] = [
    (.number, "number"), (.date, "date"), (.dateTime(utc: false), "datetime"),
    (.dateTime(utc: true), "datetime-utc"),
  ]

  /// The card of a context: what its input columns and its target hold.
  static func card(_ selection: Selection) -> [String: String] {
    let kinds = selection.kinds + [selection.targetKind]
    return [
      "kinds": kinds.map { kind in words.first { $0.kind == kind }?.word ?? "number" }.joined(separator: ",")
    ]
  }

  private static func kinds(_ context: SavedContext) throws -> [ColumnKind] {
    // One that the library wrote says nothing and has numbers.
    guard let text = context.card["kinds"] else {
      return [ColumnKind](repeating: .number, count: context.inputColumns.count + 1)
    }
    let kinds = text.split(separator: ",", omittingEmptySubsequences: false).compactMap { word in
      words.first { $0.word == word }?.kind
    }
    guard kinds.count == context.inputColumns.count + 1 else {
      throw InferenceError.input(
        "\(context.file): its kinds of columns '\(text)' cannot be read; make it anew with chorus condition")
    }
    return kinds
  }
}
