import ChorusInference
import ChorusTables
import Foundation

/// Something that a person should know about the rows before the answer.
package struct DataWord: Equatable, Sendable {
  /// What it is about, to say it once for many series.
  package let topic: String
  package let text: String

  /// The words for all series, each topic once.
  package static func said(_ words: [[DataWord]]) -> [String] {
    var (order, counts, first): ([String], [String: Int], [String: String]) = ([], [:], [:])
    for word in words.flatMap({ $0 }) {
      if counts[word.topic] == nil {
        order.append(word.topic)
        first[word.topic] = word.text
      }
      counts[word.topic, default: 0] += 1
    }
    return order.compactMap { topic in
      guard let text = first[topic], let count = counts[topic] else { return nil }
      return count == 1 ? text : text + " (and the like in \(count - 1) more of \(words.count) series)"
    }
  }
}

/// What of the rows of a table is worth a word: columns that do not change, rows out of order, rows far from the
/// others, dates that look mistyped, inputs that repeat, and fewer than two seasons.
package struct DataWords {
  private let table: Table
  private let rows: RowsSource

  package init(_ table: Table, of rows: RowsSource) {
    self.table = table
    self.rows = rows
  }

  /// What is worth a word of the file as a whole.
  package var fileWords: [DataWord] {
    guard table.comments > 0 else { return [] }
    return [
      DataWord(
        topic: "comments",
        text: table.comments == 1
          ? "1 line that begins with '#' was read as a comment"
          : "\(table.comments) lines that begin with '#' were read as comments")
    ]
  }

  /// - Parameters:
  ///   - selections: the same inputs with one or several targets.
  ///   - grouped: whether the rows are one series of several; no column is sought then that tells them apart.
  ///   - group: the name of the series.
  package func words(_ selections: [Selection], grouped: Bool, group: String? = nil) throws -> [DataWord] {
    guard let first = selections.first else { return [] }
    let prefix = group.map { "group '\($0)': " } ?? ""
    var words: [DataWord] = []
    func add(_ topic: String, _ text: String) {
      let word = DataWord(topic: topic, text: prefix + text)
      if !words.contains(word) { words.append(word) }
    }
    for selection in selections {
      let targets = selection.observed.targets
      if targets.count > 2, let value = targets.first, targets.allSatisfy({ $0 == value }) {
        add(
          "constant \(selection.target)",
          "column '\(selection.target)' is constant: \(Self.text(value, selection.targetKind)) in all \(targets.count) rows"
        )
      }
    }
    let rows = first.observed
    for column in first.inputs.indices {
      let values = Self.column(column, of: first)
      if values.count > 2, let value = values.first, values.allSatisfy({ $0 == value }) {
        add(
          "constant \(first.inputs[column])",
          "column '\(first.inputs[column])' is constant: \(Self.text(value, first.kinds[column])) in all \(values.count) rows, so nothing is known of other values"
        )
      }
      if let text = far(values, column, first) { add("far \(first.inputs[column])", text) }
    }
    let repeated = try repeated(first, grouped: grouped)
    if let repeated { add("repeated", repeated) }
    guard first.dimensions == 1, repeated == nil else { return words }
    if let text = disorder(rows.inputs, first) { add("order", text) }
    if first.kinds[0].notation != nil, let season = Spacing(of: rows.inputs, kind: first.kinds[0])?.season {
      let count = Set(rows.inputs).count
      if count < 2 * season.rows {
        add(
          "season",
          "\(count) rows are fewer than two times the \(season.rows) of a \(season.name): what comes back every \(season.name) can not be told from the trend"
        )
      }
    }
    return words
  }

  private static func column(_ column: Int, of selection: Selection) -> [Double] {
    stride(from: column, to: selection.observed.inputs.count, by: selection.dimensions).map {
      selection.observed.inputs[$0]
    }
  }

  private static func text(_ value: Double, _ kind: ColumnKind) -> String { kind.text(value) }

  // MARK: One row among others

  /// A word on rows far from the others.
  private func far(_ values: [Double], _ column: Int, _ selection: Selection) -> String? {
    let places = FarRows.places(values)
    guard !places.isEmpty else { return nil }
    let (name, first) = (selection.inputs[column], start(of: places, values, column, selection))
    return places.count == 1
      ? "one row lies far from the others in '\(name)': \(first); is it mistyped?"
      : "\(places.count) rows lie far from the others in '\(name)', the first at \(first); are they mistyped?"
  }

  /// The first of some rows, as `2011-01-02 (from line 64)`.
  private func start(of places: [Int], _ values: [Double], _ column: Int, _ selection: Selection) -> String {
    let line = places.lazy.compactMap { table.line(ofRow: selection.observed.indices[$0]) }.first
    let shown = places.first.map { Self.text(values[$0], selection.kinds[column]) } ?? ""
    return shown + (line.map { places.count == 1 ? " (line \($0))" : " (from line \($0))" } ?? "")
  }

  // MARK: Rows with a mistyped date

  /// Dates far from the others in a file that is in order but for them are mistyped, most likely. Answers should not be moved by
  /// them, so they are left out, which is said. In a file that is in order with them they stay.
  ///
  /// - Parameter selections: of one series, the same inputs with one or several targets.
  /// - Returns: the same without such rows, and what to say of them.
  package func apart(
    _ selections: [Selection], group: String? = nil
  ) -> (selections: [Selection], words: [DataWord]) {
    var words: [DataWord] = []
    let kept = selections.map { selection -> Selection in
      guard let (kept, word) = apart(selection, group: group) else { return selection }
      if !words.contains(where: { $0.topic == word.topic }) { words.append(word) }
      return kept
    }
    return (kept, words)
  }

  private func apart(_ selection: Selection, group: String?) -> (kept: Selection, word: DataWord)? {
    guard selection.dimensions - selection.covariates == 1, selection.kinds[0].notation != nil else {
      return nil
    }
    let values = Self.column(0, of: selection)
    let places = FarRows.places(values)
    guard !places.isEmpty else { return nil }
    let out = Set(places)
    let rest = values.indices.filter { !out.contains($0) }.map { values[$0] }
    guard FarRows.isInOrder(rest), !FarRows.isInOrder(values) else { return nil }
    let (name, first) = (selection.inputs[0], start(of: places, values, 0, selection))
    let text =
      places.count == 1
      ? "one row lies far from the others and out of order in '\(name)': \(first); it is taken to be mistyped and left out: put the rows in order to have it read"
      : "\(places.count) rows lie far from the others and out of order in '\(name)', the first at \(first); they are taken to be mistyped and left out: put the rows in order to have them read"
    let prefix = group.map { "group '\($0)': " } ?? ""
    return (selection.leavingOut(out), DataWord(topic: "apart \(name)", text: prefix + text))
  }

  /// Few rows that go back where all others go on.
  private func disorder(_ values: [Double], _ selection: Selection) -> String? {
    let steps = zip(values.dropFirst(), values).map { $0 - $1 }
    let isFalling = steps.count { $0 < 0 } > steps.count { $0 > 0 }
    let back = steps.indices.filter { isFalling ? steps[$0] > 0 : steps[$0] < 0 }
    guard let first = back.first, back.count <= max(1, values.count / 20) else { return nil }
    let line = table.line(ofRow: selection.observed.indices[first + 1]).map { "line \($0): " } ?? ""
    let kind = selection.kinds[0]
    return
      "rows are out of order in '\(selection.inputs[0])': \(line)\(Self.text(values[first + 1], kind)) comes after \(Self.text(values[first], kind))"
  }

  // MARK: Repeated inputs

  private func repeated(_ selection: Selection, grouped: Bool) throws -> String? {
    let keys = Self.keys(selection)
    let count = keys.count - Set(keys).count
    guard count > 0 else { return nil }
    let names = selection.inputs.map { "'\($0)'" }.joined(separator: " and ")
    let said = "\(count) of \(keys.count) rows repeat the \(names) of another"
    if !grouped, let (column, series) = try groupColumn(selection, keys) {
      return
        "\(said), and column '\(column)' tells \(series) series apart: pass --group \(column) to predict each from its own rows"
    }
    // Numbers are often measured twice; a date that is there twice is worth a look.
    guard selection.kinds.contains(where: { $0.notation != nil }) else { return nil }
    return "\(said); they are read as values measured more than once"
  }

  /// Refuses to pool rows whose inputs repeat because they are of several series, where the columns were not named.
  package func refusePooling(_ selection: Selection) throws {
    guard let (column, series) = try groupColumn(selection, Self.keys(selection)) else { return }
    let names = selection.inputs.map { "'\($0)'" }.joined(separator: " and ")
    throw TableError(
      .choice, table.source,
      "rows repeat \(names), and column '\(column)' tells \(series) series apart; pass --group \(column), or name --input and --target to read all rows as one series."
    )
  }

  private static func keys(_ selection: Selection) -> [[Double]] {
    let (d, inputs) = (selection.dimensions, selection.observed.inputs)
    return selection.observed.indices.indices.map { Array(inputs[$0 * d..<($0 + 1) * d]) }
  }

  /// The first further column by which inputs repeat no more, and how many series it tells apart; nil where none repeat.
  private func groupColumn(_ selection: Selection, _ keys: [[Double]]) throws -> (name: String, series: Int)?
  {
    guard Set(keys).count < keys.count else { return nil }
    let taken = Set(selection.inputs + [selection.target])
    let others = table.columns.filter { !taken.contains($0) }.prefix(50)
    guard !others.isEmpty else { return nil }
    var whole = table
    if !others.allSatisfy(table.hasTexts) {
      // What was not kept is read again.
      guard rows.isReadAgain else { return nil }
      whole = try rows.table(numbers: [], texts: Array(others))
      guard whole.rowCount == table.rowCount else { return nil }
    }
    for column in others {
      let texts = try whole.texts(column)
      let labels = selection.observed.indices.map { texts[$0] }
      let series = Set(labels).count
      guard series >= 2, series <= labels.count / 2 else { continue }
      if Set(zip(labels, keys).map { Labelled(label: $0, key: $1) }).count == keys.count {
        return (column, series)
      }
    }
    return nil
  }

  private struct Labelled: Hashable {
    let label: String
    let key: [Double]
  }
}

/// Few rows at one end, far from the others.
private enum FarRows {
  /// The empty part beside them is twice as long as all the rest; places ascend.
  static func places(_ values: [Double]) -> [Int] {
    let sorted = values.sorted()
    guard sorted.count >= 8, let first = sorted.first, let last = sorted.last else { return [] }
    let gaps = zip(sorted.dropFirst(), sorted).map { $0 - $1 }
    guard let widest = gaps.indices.max(by: { gaps[$0] < gaps[$1] }) else { return [] }
    let (below, above) = (widest + 1, sorted.count - widest - 1)
    let few = min(below, above)
    let rest = below > above ? sorted[widest] - first : last - sorted[widest + 1]
    guard few <= max(1, sorted.count / 10), rest > 0, gaps[widest] >= 2 * rest else { return [] }
    let isFar: (Double) -> Bool = below > above ? { $0 > sorted[widest] } : { $0 < sorted[widest + 1] }
    return values.indices.filter { isFar(values[$0]) }
  }

  /// Whether no value falls, or none rises.
  static func isInOrder(_ values: [Double]) -> Bool {
    let steps = zip(values.dropFirst(), values).map { $0 - $1 }
    return steps.allSatisfy { $0 >= 0 } || steps.allSatisfy { $0 <= 0 }
  }
}
