/// A column of numbers or dates as it is read: eight bytes a cell, and of the cells that are none the first of each
/// kind, with its place, for the error that a reader of the column may have to be given.
struct NumberColumn: Sendable {
  /// A cell that is no value. The error is made when the cell is read, while its place is known.
  struct Fault: Sendable {
    let row: Int
    let error: TableError
  }

  /// Where cells are and how they are read.
  struct Source: Sendable {
    let file: String
    let column: String
    var mark = DecimalMark.point
  }

  let source: Source
  /// NaN where a cell has no value. Nothing is kept behind a failure.
  private(set) var values: [Double] = []
  private var rows = 0
  /// What the values are, as far as was read; nil before the first.
  private var kind: ColumnKind?
  /// What the first cell that is not missing is.
  private(set) var firstKind: ColumnKind?
  private var missing: Fault?
  private var notANumber: Fault?
  /// A cell that is neither a value nor missing.
  private var failure: Fault?

  init(_ source: Source) { self.source = source }

  typealias Place = (line: Int?, column: Int?)

  /// Adds the cell `text`; `place` tells where it is, and `isQuoted` whether quotes in it are doubled.
  @inline(__always)
  mutating func append(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool = false, place: () -> Place) {
    defer { rows += 1 }
    guard failure == nil else { return }
    let reading = NumberText.read(text, mark: source.mark)
    if case .finite(let value) = reading, kind == .number {
      values.append(value)
    } else {
      append(reading, text, isQuoted, place)
    }
  }

  /// Adds a cell without a value.
  mutating func appendMissing(place: () -> Place) {
    defer { rows += 1 }
    if failure == nil { append(.missing, UnsafeBufferPointer(start: nil, count: 0), false, place) }
  }

  /// Adds a value of an array, which has no lines, NaN where there is none.
  mutating func append(_ value: Double, _ kind: ColumnKind) {
    defer { rows += 1 }
    guard failure == nil else { return }
    self.kind = kind
    firstKind = kind
    if value.isFinite {
      values.append(value)
    } else if value.isInfinite {
      failure = Fault(row: rows, error: notFinite("\(value)", (nil, nil), row: rows))
      values = []
    } else if kind == .number {
      if notANumber == nil { notANumber = Fault(row: rows, error: notFinite("nan", (nil, nil), row: rows)) }
      values.append(.nan)
    } else {
      if missing == nil { missing = Fault(row: rows, error: missingValue((nil, nil), row: rows)) }
      values.append(.nan)
    }
  }

  /// The cells that are not numbers, the first of each kind with a place.
  private mutating func append(
    _ reading: NumberText.Reading, _ text: UnsafeBufferPointer<UInt8>, _ isQuoted: Bool, _ place: () -> Place
  ) {
    let date: (days: Double, kind: ColumnKind)?
    switch reading {
    case .other: date = CalendarText.read(ArraySlice(text))
    default: date = nil
    }
    if firstKind == nil {
      switch reading {
      case .finite, .infinite: firstKind = .number
      case .other: firstKind = date?.kind ?? .text
      case .missing, .notANumber: break
      }
    }
    func words() -> String { CellText.shown(text, isQuoted: isQuoted) }
    func fail(_ error: TableError) {
      failure = Fault(row: rows, error: error)
      values = []
    }
    switch reading {
    case .missing:
      if missing == nil { missing = Fault(row: rows, error: missingValue(place())) }
      values.append(.nan)
    case .notANumber:
      if notANumber == nil { notANumber = Fault(row: rows, error: notFinite(words(), place())) }
      values.append(.nan)
    case .infinite: fail(notFinite(words(), place()))
    case .finite(let value) where kind == nil || kind == .number:
      kind = .number
      values.append(value)
    case .finite: fail(notANumber(words(), place()))
    case .other:
      guard let date, kind != .number else { return fail(notANumber(words(), place())) }
      guard let joined = Self.join(kind, date.kind) else { return fail(mixedZones(place())) }
      kind = joined
      values.append(date.days)
    }
  }

  /// The values, NaN where missing, and what they are.
  ///
  /// - Throws: `TableError` of the first cell that `allowed` does not take.
  func checked(_ allowed: Table.Missing) throws(TableError) -> (values: [Double], kind: ColumnKind) {
    var faults = [failure]
    switch allowed {
    case .refused: faults += [missing, notANumber]
    case .allowedExceptNaN: faults += [notANumber]
    case .allowed: break
    }
    if let first = faults.compactMap({ $0 }).min(by: { $0.row < $1.row }) { throw first.error }
    return (values, kind ?? .number)
  }

  /// The kind of a column of dates that has values of both kinds; nil where they can not be compared.
  private static func join(_ one: ColumnKind?, _ other: ColumnKind) -> ColumnKind? {
    guard let one, one != other else { return other }
    if one == .date { return other }
    return other == .date ? one : nil
  }

  // MARK: - Errors

  private func error(_ reason: TableError.Reason, _ place: Place, _ detail: String) -> TableError {
    TableError(reason, source.file, line: place.line, column: place.column, detail)
  }

  private func mixedZones(_ place: Place) -> TableError {
    error(
      .notANumber, place,
      "some times of column '\(source.column)' have an offset from UTC and some have none; give all or none.")
  }

  /// The column, and where there are no lines the row, counted from 0.
  private func named(_ row: Int?) -> String {
    "column '\(source.column)'" + (row.map { ", row \($0) from 0" } ?? "")
  }

  private func missingValue(_ place: Place, row: Int? = nil) -> TableError {
    error(
      .missingValue, place,
      "no value (\(named(row))); every row needs one: fill it in or leave the row out.")
  }

  private func notFinite(_ written: String, _ place: Place, row: Int? = nil) -> TableError {
    error(
      .notANumber, place,
      "'\(written)' is not finite (\(named(row))); write a finite number or leave the row out.")
  }

  private func notANumber(_ written: String, _ place: Place) -> TableError {
    let what: String
    var advice: String
    switch kind {
    case nil:
      what = "a number or a date"
      advice = "choose a column of numbers or of dates (YYYY-MM-DD)"
    case .number:
      what = "a number"
      advice = "write a number, or leave the cell empty where it is missing"
    default:
      what = "a date like those above it"
      advice = "write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, or leave the cell empty where it is missing"
    }
    let swapped = ArraySlice(written.utf8.map { Self.swapped[$0] ?? $0 })
    if kind == nil || kind == .number, case .finite = NumberText.read(swapped, mark: source.mark) {
      advice =
        source.mark == .point
        ? "if its comma is a decimal comma, pass --decimal comma; else write the decimal point as '.'"
        : "with --decimal comma the decimal mark is ','"
    }
    return error(
      .notANumber, place, "'\(written)' is not \(what) (column '\(source.column)'); \(advice).")
  }

  private static let swapped: [UInt8: UInt8] = [
    DecimalMark.point.rawValue: DecimalMark.comma.rawValue,
    DecimalMark.comma.rawValue: DecimalMark.point.rawValue,
  ]
}

/// The cells of a column as they are, one after another in one array of bytes.
struct TextColumn: Sendable {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []

  mutating func append(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool = false) {
    if isQuoted, text.contains(UInt8(ascii: "\"")) {
      bytes += CellText.single(text)
    } else {
      bytes.append(contentsOf: text)
    }
    ends.append(bytes.count)
  }

  var strings: [String] {
    ends.indices.map { index in
      String(decoding: bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]], as: UTF8.self)
    }
  }
}

enum CellText {
  /// The text of a cell, doubled quotes made single.
  static func string(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool) -> String {
    isQuoted ? String(decoding: single(text), as: UTF8.self) : String(decoding: text, as: UTF8.self)
  }

  /// As above, cut short for an error.
  static func shown(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool) -> String {
    let full = string(UnsafeBufferPointer(rebasing: text.prefix(400)), isQuoted: isQuoted)
    return full.count > 40 ? full.prefix(40) + "…" : full
  }

  static func single(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var half = false  // after the first of two quotes
    return text.filter { byte in
      half = byte == UInt8(ascii: "\"") && !half
      return !half
    }
  }
}
