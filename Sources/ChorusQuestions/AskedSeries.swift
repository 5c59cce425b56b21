import ChorusInference
import ChorusTables

/// The rows of a file, a series and a target at a time.
package struct AskedSeries {
  package let columns: AskedColumns
  /// Series by series in the order of the file, in each target by target.
  package let observations: [Observations]
  /// What a person should know about the file as a whole.
  package let notes: [String]
  /// What a person should know about the rows.
  package let words: [[DataWord]]

  /// Every series is one of its own: nothing is learned from the others. One with too few rows stays, so that its points are in
  /// the output, without a prediction.
  ///
  /// - Throws: as `AskedColumns`; `InferenceError.input` where no series has enough rows.
  package init(
    _ rows: RowsSource, input: String?, target: String?, group: String? = nil, units: String? = nil,
    with covariates: [String] = [], error: String? = nil, wide: WideFile = .no
  ) throws {
    let columns = try AskedColumns(
      rows, input: input, target: target, group: group, with: covariates, error: error, several: true,
      wide: wide)
    let (groups, selections) = (columns.groups, columns.selections)
    let units = try Observations.units(units, of: columns.table)
    let dataWords = DataWords(columns.table, of: rows)
    var notes = dataWords.fileWords.map(\.text)
    if columns.isOpen, groups == nil, let first = selections.first { try dataWords.refusePooling(first) }
    if let incomplete = selections.first?.incomplete.count, incomplete > 0 {
      notes.append("\(incomplete) rows lack an input and were left out")
    }
    if let words = groups?.namelessWords { notes.append(words) }
    func observed(_ selection: Selection, _ group: String? = nil) throws -> Observations {
      try Observations(file: rows.name, selection: selection, group: group, units: units)
    }
    var (words, all) = ([[DataWord]](), [Observations]())
    for (label, part) in columns.series {
      let read = dataWords.apart(part, group: label)
      words.append(
        try read.words + dataWords.words(read.selections, grouped: groups != nil, group: label))
      all += try read.selections.map { try observed($0, label) }
    }
    (self.words, observations) = (words, all)
    self.columns = columns
    self.notes = notes
    if groups == nil, let refusal = observations.lazy.compactMap(\.refusal).first {
      throw InferenceError.input("\(rows.name): \(refusal)")
    }
  }
}
