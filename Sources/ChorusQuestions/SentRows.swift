import ChorusStorage
import ChorusTables

/// Rows as they were sent, to the bit, each with its number: they are counted from 1 in the order in which they came, those included
/// that lack a value.
///
/// A network holds them rounded and in its own units; whoever wants some of them forgotten reads the others anew.
package struct SentRows: Sendable, Equatable {
  package let numbers: [Int]
  /// Row after row; none of a table, whose frame has its cells.
  package let inputs: [Double]
  package let targets: [Double]
  /// Known errors of the targets; none where none are known.
  package let errors: [Double]

  private static let format = "chorus-rows-1"

  private init(_ numbers: [Int], _ inputs: [Double], _ targets: [Double], _ errors: [Double] = []) {
    (self.numbers, self.inputs, self.targets, self.errors) = (numbers, inputs, targets, errors)
  }

  /// The observed rows of a selection.
  ///
  /// - Parameter count: rows that were sent before.
  package init(_ selection: Selection, after count: Int = 0) {
    let rows = selection.observed
    self.init(rows.indices.map { count + $0 + 1 }, rows.inputs, rows.targets, rows.errors)
  }

  /// All rows of a table.
  package init(rowsOfTable numbers: [Int]) { self.init(numbers, [], []) }

  package func appending(_ other: SentRows) -> SentRows {
    SentRows(
      numbers + other.numbers, inputs + other.inputs, targets + other.targets, errors + other.errors)
  }

  /// Without some of them.
  package func without(_ gone: Set<Int>) -> SentRows {
    picking(places(without: gone))
  }

  /// Those at some places.
  package func picking(_ kept: [Int]) -> SentRows {
    let dimensions = inputs.count / max(numbers.count, 1)
    return SentRows(
      kept.map { numbers[$0] }, kept.flatMap { inputs[$0 * dimensions..<($0 + 1) * dimensions] },
      targets.isEmpty ? [] : kept.map { targets[$0] }, errors.isEmpty ? [] : kept.map { errors[$0] })
  }

  /// The places of the others.
  package func places(without gone: Set<Int>) -> [Int] {
    numbers.indices.filter { !gone.contains(numbers[$0]) }
  }

  /// Bytes in memory.
  package var bytes: Int { 8 * (numbers.count + inputs.count + targets.count + errors.count) }

  /// Writes them, whole or not at all.
  package func write(to path: String) throws(StorageError) {
    var writer = SafetensorsWriter(metadata: ["format": Self.format])
    if !targets.isEmpty {
      try writer.add("inputs", shape: [inputs.count], doubles: inputs)
      try writer.add("targets", shape: [targets.count], doubles: targets)
    }
    if !errors.isEmpty { try writer.add("errors", shape: [errors.count], doubles: errors) }
    try writer.add("numbers", shape: [numbers.count], integers: numbers.map(Int64.init))
    try writer.write(to: path)
  }

  /// - Parameter dimensions: inputs of a row; nil for rows of a table.
  /// - Throws: `StorageError` for a file that is not as it was written, or has rows of another shape.
  package init(path: String, dimensions: Int?) throws(StorageError) {
    let content = try Safetensors(path: path)
    guard content.metadata["format"] == Self.format, case .verified = content.verification,
      let count = content["numbers"]?.count
    else { throw StorageError(.malformed, file: path, "holds no rows as they were sent") }
    let numbers = try content.integers("numbers", shape: [count]).map(Int.init)
    guard let dimensions else {
      self.init(numbers, [], [])
      return
    }
    self.init(
      numbers, try content.doubles("inputs", shape: [count * dimensions]),
      try content.doubles("targets", shape: [count]),
      content["errors"] == nil ? [] : try content.doubles("errors", shape: [count]))
  }
}
