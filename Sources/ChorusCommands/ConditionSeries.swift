import ArgumentParser
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusStorage
import ChorusTables
import Foundation

/// Series that are encoded and kept: one, or several in one file.
extension Condition {
  /// Encodes the rows of the file. Several series are kept as a context each; one with too few rows is left out, which is said.
  func keepRows() throws {
    let series = try Observations.series(
      reading.rows(file), input: input, target: target, group: group, units: units, error: errors.column,
      wide: wide.file)
    guard let first = series.first else { throw InferenceError.input("\(file): has no rows") }
    let enough = series.filter { $0.refusal == nil }
    guard !enough.isEmpty else {
      throw InferenceError.input(
        "\(file): \(first.group == nil ? "" : "no series has enough rows; ")\(first.refusal ?? "")")
    }
    precise.warn(common)
    let model = try Model(named: givenModel ?? "functions", precision: precise.precision)
    try outputs().checkPlaces()
    let posteriors = try enough.map { series in
      do {
        return try model.condition(
          on: series.data, values: scale.choice, limits: scale.limits, whole: scale.isWhole,
          pool: common.pool)
      } catch {
        guard let group = series.group else { throw error }
        throw SeriesError(file: file, group: group, underlying: error)
      }
    }
    if let found = first.found { common.say(found) }
    for word in DataWord.said(series.map(\.words)) { common.say("note: \(word)") }
    let incomplete = first.group == nil ? first.selection.incomplete.count : 0
    if incomplete > 0 { common.say("note: \(incomplete) rows lack an input and were left out") }
    guard first.group != nil else {
      return try keep(posteriors[0], ContextCard.entries(first.selection), half: half)
    }
    if enough.count < series.count {
      common.say(
        "note: \(series.count - enough.count) of \(series.count) series have too few rows and were left out")
    }
    let members = zip(enough, posteriors).map { series, posterior in
      SavedContexts.Member(
        name: series.group ?? "", posterior: posterior, card: ContextCard.entries(series.selection))
    }
    try keep(members, column: group ?? WideFile.column, isWide: group == nil, half: half)
  }

  /// Adds the rows of the file to the series that they belong to; those without new rows stay as they are.
  func addRows(to saved: SavedContexts) throws {
    let (first, names) = (saved.contexts[0], saved.names)
    precise.warn(common)
    let model =
      try givenModel.map { try Model(named: $0, precision: precise.precision) }
      ?? Asking.shipped(for: first, precision: precise.precision)
    try outputs().checkPlaces()
    let inputs = first.inputColumns.map(\.name)
    var (source, target) = (reading.rows(file), first.outputColumn.name)
    if saved.isWide {
      let table = try source.table()
      source = RowsSource(read: table)
      let present = names.filter(table.columns.contains)
      guard !present.isEmpty else {
        throw InferenceError.input("\(file): has no column of a series that \(saved.path) keeps")
      }
      target = present.joined(separator: ",")
    }
    let more = try Observations.series(
      source, input: inputs.joined(separator: ","), target: target,
      group: saved.isWide ? nil : saved.column, wide: saved.isWide ? .told : .no)
    if let unknown = more.compactMap(\.group).first(where: { !names.contains($0) }) {
      throw InferenceError.input(
        "\(file): series '\(unknown)' has no row in \(saved.path); make it anew with chorus condition and all rows"
      )
    }
    let kept = try saved.kept(model)
    let members = try zip(names, kept).map { name, earlier -> SavedContexts.Member in
      guard let own = more.first(where: { $0.group == name }), own.data.count > 0 else {
        return SavedContexts.Member(name: name, posterior: earlier.posterior, card: earlier.card.entries)
      }
      for (name, (kind, held)) in zip(inputs, zip(own.selection.kinds, earlier.card.kinds)) {
        try PointKinds.check(kind, of: name, holding: held, in: file, what: "rows")
      }
      return SavedContexts.Member(
        name: name, posterior: try earlier.posterior.observing(more: own.data),
        card: ContextCard.entries(own.selection, after: earlier.card.end))
    }
    for word in DataWord.said(more.map(\.words)) { common.say("note: \(word)") }
    try keep(members, column: saved.column, isWide: saved.isWide, half: first.isHalf)
  }

  private func keep(
    _ members: [SavedContexts.Member], column: String, isWide: Bool, half: Bool
  ) throws {
    let notes = members.flatMap { $0.posterior.notes.map(\.description) }
    var said: Set<String> = []
    for note in notes where said.insert(note).inserted {
      let count = notes.count { $0 == note }
      common.say("note: \(note)" + (count > 1 ? " (\(count) of \(members.count) series)" : ""))
    }
    try SavedContexts.write(members, column: column, isWide: isWide, half: half, to: output)
    let rows = members.reduce(0) { $0 + $1.posterior.rows }
    common.say(
      "\(rows) rows of \(members.count) series kept in \(output); it reveals them: share it as you would share the data"
    )
  }

  func keep(_ posterior: Posterior, _ card: [String: String], half: Bool) throws {
    for note in posterior.notes { common.say("note: \(note)") }
    try posterior.write(to: output, card: card, half: half)
    common.say(
      "\(posterior.rows) rows kept in \(output); it reveals them: share it as you would share the data")
  }
}
