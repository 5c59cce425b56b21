import ChorusInference
import ChorusTables
import Foundation

/// What a saved context says of its columns: what they hold, and how its rows would go on.
package struct ContextCard: Sendable {
  /// Of the inputs, then of the target.
  package let kinds: [ColumnKind]
  /// Nil where there are several inputs, and in files of earlier versions.
  package let end: SeriesEnd?
  /// The lines that say so in a file.
  package let entries: [String: String]

  private static let words: [(kind: ColumnKind, word: String)] = [
    (.number, "number"), (.date, "date"), (.dateTime(utc: false), "datetime"),
    (.dateTime(utc: true), "datetime-utc"),
  ]

  /// What a column holds, as files keep it.
  package static func word(_ kind: ColumnKind) -> String {
    words.first { $0.kind == kind }?.word ?? kind.notation?.pattern ?? "number"
  }

  /// What such a word stands for; nil for none.
  package static func kind(_ word: String) -> ColumnKind? {
    words.first { $0.word == word }?.kind ?? DateNotation(pattern: word).map(ColumnKind.calendar)
  }

  /// The card as it is kept. Dates in other notations than ISO 8601 have their pattern.
  ///
  /// - Parameter earlier: the end of a context that the rows were added to; nil where all rows are in the selection.
  package static func entries(_ selection: Selection, after earlier: SeriesEnd? = nil) -> [String: String] {
    let kinds = (selection.kinds + [selection.targetKind]).map(word)
    var entries = ["kinds": kinds.joined(separator: "\n")]
    // Sorted, so that a context is the same bytes whenever it is made.
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    if let end = SeriesEnd(of: selection, after: earlier), let data = try? encoder.encode(end) {
      entries["end"] = String(decoding: data, as: UTF8.self)
    }
    return entries
  }

  package init(_ context: SavedContext) throws {
    try self.init(context.card, inputs: context.inputColumns.count, file: context.file)
  }

  /// - Parameters:
  ///   - entries: as they were kept.
  ///   - inputs: how many input columns there are.
  package init(_ entries: [String: String], inputs: Int, file: String) throws {
    self.entries = entries
    func failure(_ what: String, _ text: String) -> InferenceError {
      .input("\(file): its \(what) '\(text)' cannot be read; make it anew with chorus condition")
    }
    end = try entries["end"].map { text in
      guard let end = try? JSONDecoder().decode(SeriesEnd.self, from: Data(text.utf8)) else {
        throw failure("end of the series", text)
      }
      return end
    }
    // One that the library wrote says nothing and has numbers.
    guard let text = entries["kinds"] else {
      kinds = [ColumnKind](repeating: .number, count: inputs + 1)
      return
    }
    // Files of earlier versions have commas, which a pattern may have as well.
    let parts = text.split(separator: text.contains("\n") ? "\n" : ",", omittingEmptySubsequences: false)
    kinds = parts.compactMap { Self.kind(String($0)) }
    guard kinds.count == inputs + 1 else { throw failure("kinds of columns", text) }
  }
}

/// Where a series ends and how it would go on. A saved context keeps it, for its rows have been rounded.
package struct SeriesEnd: Codable, Equatable, Sendable {
  package let last: Double
  package let spacing: Spacing?

  /// Nil where there are no rows, or several inputs.
  package init?(of selection: Selection, after earlier: SeriesEnd? = nil) {
    guard selection.dimensions == 1, let last = selection.observed.inputs.max() else { return nil }
    self.last = max(last, earlier?.last ?? last)
    spacing = earlier?.spacing ?? Spacing(of: selection.observed.inputs, kind: selection.kinds[0])
  }
}
