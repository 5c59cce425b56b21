/// Cells as a network that is told nothing else reads them: levels of a category by their numbers, and a missing cell as the mean of
/// those that a context has in its column. TabICL's package (Qu et al. 2025) prepares tables so.
package struct NumberedCells: Sendable, Hashable {
  /// Which columns are categories; one element a column.
  package let categories: [Bool]
  /// Of each column the mean of the context's cells; 0 of a column without any.
  package let means: [Double]

  package init(context: Cells) {
    categories = context.categories
    means = (0..<context.columns).map { column in
      let shown = (0..<context.count).map { context[$0, column] }.filter { !$0.isNaN }
      return shown.isEmpty ? 0 : shown.reduce(0, +) / Double(shown.count)
    }
  }

  /// The numbers of rows, `[rows, columns]`.
  ///
  /// - Precondition: the rows have the columns of the context.
  package func numbers(_ rows: Cells) -> [Double] {
    precondition(rows.categories == categories, "rows have the columns of the context")
    var numbers = rows.values
    for place in numbers.indices where numbers[place].isNaN { numbers[place] = means[place % means.count] }
    return numbers
  }
}
