import Foundation

/// A table whose columns are known for what they are: numbers, categories, dates; or nothing to learn from, with the reason.
///
/// ```swift
/// let frame = try Table.read(path: "penguins.csv").frame()
/// frame.columns.map(\.kind)       // category of 3 levels, number, …
/// ```
public struct TableFrame: Sendable {
  public struct Column: Sendable {
    public enum Kind: Sendable, Equatable {
      case number
      /// Days since 1970-01-01.
      case date(DateNotation)
      /// The levels in alphabetical order; values are their places.
      case category([String])
      /// Nothing can be learned from it, for this reason.
      case unused(String)
    }

    public let name: String
    public let kind: Kind
    /// NaN where a cell is missing.
    public let values: [Double]

    public init(name: String, kind: Kind, values: [Double]) {
      (self.name, self.kind, self.values) = (name, kind, values)
    }

    /// A value as output has it.
    public func cell(_ value: Double) -> Cell {
      switch kind {
      case .number: .number(value)
      case .date(let notation): .value(value, .calendar(notation))
      case .category(let levels): .text(levels.indices.contains(Int(value)) ? levels[Int(value)] : "")
      case .unused: .missing
      }
    }

    /// What it is, in words.
    public var words: String {
      switch kind {
      case .number: "number"
      case .date: "date"
      case .category(let levels): "category of \(levels.count) levels"
      case .unused(let reason): reason
      }
    }
  }

  /// What a person says that a column is.
  public enum Told: String, Sendable, CaseIterable { case number, category, skip }

  /// Columns that a table may have: estimators look at each.
  public static let mostColumns = 1000
  /// Levels that a category may have.
  public static let mostLevels = 200

  public let source: String
  public let columns: [Column]
  public let rowCount: Int

  public func column(_ name: String) -> Column? { columns.first { $0.name == name } }

  public init(source: String, columns: [Column], rowCount: Int) {
    (self.source, self.columns, self.rowCount) = (source, columns, rowCount)
  }

  /// Some of the rows, in that order; kinds and levels stay as they are.
  public func rows(_ picked: [Int]) -> TableFrame {
    TableFrame(
      source: source,
      columns: columns.map { column in
        Column(name: column.name, kind: column.kind, values: picked.map { column.values[$0] })
      }, rowCount: picked.count)
  }

  /// These rows, then those of a frame that was read like this one: its columns of the same names; where it has none, cells are
  /// missing. Levels that only it has count among a column's.
  public func appending(_ other: TableFrame) -> TableFrame {
    TableFrame(
      source: source,
      columns: columns.map { column in
        guard let more = other.column(column.name) else {
          let none = [Double](repeating: .nan, count: other.rowCount)
          return Column(name: column.name, kind: column.kind, values: column.values + none)
        }
        let kind = if case .category = more.kind { more.kind } else { column.kind }
        return Column(name: column.name, kind: kind, values: column.values + more.values)
      }, rowCount: rowCount + other.rowCount)
  }
}

extension Table {
  /// The columns for what they are.
  ///
  /// A column of numbers or dates is one; of texts it is a category, unless nearly every text is another, which tells nothing. A
  /// category's cells are missing where they are empty or one of the usual words.
  ///
  /// - Parameters:
  ///   - told: what some columns are said to be.
  ///   - like: a frame whose columns of the same names these have the kinds and levels of; texts that it has not are new levels.
  /// - Throws: `TableError`: a column that is not there; a text in a column of numbers; more columns than can be read.
  public func frame(
    as told: [String: TableFrame.Told] = [:], like other: TableFrame? = nil
  ) throws(TableError) -> TableFrame {
    for name in told.keys.sorted() where !columns.contains(name) {
      _ = try Table.index(of: name, in: columns, source)
    }
    guard columns.count <= TableFrame.mostColumns else {
      throw TableError(
        .malformed, source,
        "has \(columns.count) columns and at most \(TableFrame.mostColumns) are read; leave out those that do not matter."
      )
    }
    var frame: [TableFrame.Column] = []
    for name in columns {
      let known = other?.column(name)
      frame.append(try column(name, told[name], like: known))
    }
    return TableFrame(source: source, columns: frame, rowCount: rowCount)
  }

  private func column(
    _ name: String, _ told: TableFrame.Told?, like known: TableFrame.Column?
  ) throws(TableError) -> TableFrame.Column {
    if told == .skip { return unused(name, "left out as told") }
    if case .unused(let reason) = known?.kind { return unused(name, reason) }
    if case .category(let levels) = known?.kind { return try category(name, told: true, levels) }
    let kind = try kind(of: name)
    if told == .category || told == nil && known == nil && kind == .text {
      return try category(name, told: told == .category, [])
    }
    let (values, held) = try checked(name, missing: .allowed)
    if values.allSatisfy({ $0.isNaN }) { return unused(name, "all cells are missing") }
    if case .calendar(let notation) = held {
      return TableFrame.Column(name: name, kind: .date(notation), values: values)
    }
    return TableFrame.Column(name: name, kind: .number, values: values)
  }

  private func unused(_ name: String, _ reason: String) -> TableFrame.Column {
    TableFrame.Column(
      name: name, kind: .unused(reason), values: [Double](repeating: .nan, count: rowCount))
  }

  /// - Parameters:
  ///   - told: whether it is one, whatever it looks like.
  ///   - known: levels that it has at least.
  func category(
    _ name: String, told: Bool, _ known: [String]
  ) throws(TableError) -> TableFrame.Column {
    let texts = try texts(name).map { $0.trimmed }
    let markers = try missingMarkers(name)
    let isMissing = Dictionary(
      Set(texts).map { text in
        (
          text,
          Array(text.utf8).withUnsafeBufferPointer { bytes -> Bool in
            let reading = NumberText.read(bytes)
            let isMarked = if case .missing = reading { true } else { markers.contains(bytes, reading) }
            return isMarked || text.lowercased() == "nan"
          }
        )
      }, uniquingKeysWith: { first, _ in first })
    let present = texts.filter { isMissing[$0] == false }
    let own = Set(present)
    guard !own.isEmpty || !known.isEmpty else { return unused(name, "all cells are missing") }
    if !told {
      if own.count > 12, 2 * own.count > present.count {
        return unused(
          name, "\(own.count) different texts in \(present.count) rows tell nothing of each other")
      }
      if own.count > TableFrame.mostLevels {
        return unused(name, "\(own.count) levels are more than the \(TableFrame.mostLevels) that are read")
      }
    }
    // Levels that only these rows have come last, so that the known ones keep their numbers.
    let levels = known + own.subtracting(known).sorted()
    let places = Dictionary(uniqueKeysWithValues: levels.enumerated().map { ($1, Double($0)) })
    return TableFrame.Column(
      name: name, kind: .category(levels),
      values: texts.map { isMissing[$0] == false ? places[$0] ?? .nan : .nan })
  }
}

extension String {
  /// Without tabs and Unicode's spaces at both ends. Foundation's own way would bring all of it into the C library.
  fileprivate var trimmed: String {
    func isSpace(_ scalar: Unicode.Scalar) -> Bool {
      scalar == "\t" || scalar.properties.generalCategory == .spaceSeparator
    }
    let rest = unicodeScalars.drop(while: isSpace)
    guard let last = rest.lastIndex(where: { !isSpace($0) }) else { return "" }
    return String(rest[...last])
  }
}
