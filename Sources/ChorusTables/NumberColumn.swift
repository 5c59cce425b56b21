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
    /// Whether the mark was told, or nothing else can be meant.
    var isMarkSure = true
    /// The notation that all dates have.
    var notation: DateNotation?
    var missing = MissingMarkers()
  }

  let source: Source
  /// NaN where a cell has no value. Nothing is kept behind a failure.
  private(set) var values: [Double] = []
  private var rows = 0
  /// What the values are, as far as was read; nil before the first.
  private var kind: ColumnKind?
  /// The sign that numbers have: all of them, where it is that of per cent.
  private var sign: AmountText.Sign?
  /// Whether the next plain number can be taken as it is.
  private var isPlain = false
  private var missing: Fault?
  private var notANumber: Fault?
  /// A cell that is neither a value nor missing.
  private var failure: Fault?
  /// The first cell of which something is open that others may settle: the order of day and month, or what a comma is.
  private var open: Fault?

  init(_ source: Source) { self.source = source }

  typealias Place = (line: Int?, column: Int?)

  /// Adds the cell `text`; `place` tells where it is, and `isQuoted` whether quotes in it are doubled.
  @inline(__always)
  mutating func append(_ text: UnsafeBufferPointer<UInt8>, isQuoted: Bool = false, place: () -> Place) {
    defer { rows += 1 }
    guard failure == nil else { return }
    let reading = NumberText.read(text, mark: source.mark)
    if case .finite(let value) = reading, isPlain {
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
    if value.isFinite, !source.missing.contains(value) {
      values.append(value)
    } else if value.isInfinite {
      fail(notFinite("\(value)", (nil, nil), row: rows))
    } else if kind == .number, value.isNaN {
      if notANumber == nil { notANumber = Fault(row: rows, error: notFinite("nan", (nil, nil), row: rows)) }
      values.append(.nan)
    } else {
      if missing == nil { missing = Fault(row: rows, error: missingValue((nil, nil), row: rows)) }
      values.append(.nan)
    }
  }

  private mutating func fail(_ error: TableError) {
    failure = Fault(row: rows, error: error)
    values = []
  }

  /// Cells that are not plain numbers, or the first that is one.
  private mutating func append(
    _ reading: NumberText.Reading, _ text: UnsafeBufferPointer<UInt8>, _ isQuoted: Bool, _ place: () -> Place
  ) {
    func words() -> String { CellText.shown(text, isQuoted: isQuoted) }
    switch source.missing.contains(text, reading) ? .missing : reading {
    case .missing:
      if missing == nil { missing = Fault(row: rows, error: missingValue(place())) }
      values.append(.nan)
    case .notANumber:
      if notANumber == nil { notANumber = Fault(row: rows, error: notFinite(words(), place())) }
      values.append(.nan)
    case .infinite: fail(notFinite(words(), place()))
    case .finite(let value):
      append(AmountText(value: value), words, place)
    case .other:
      if kind == nil || kind == .number, let amount = AmountText.read(text, mark: source.mark) {
        return append(amount, words, place)
      }
      switch CalendarText.reading(text, like: source.notation) {
      case .none: fail(notANumber(words(), after: kind, place()))
      case .impossible(let reason): fail(impossible(words(), reason, place()))
      case .moment(let days, let notation): append(days, notation, words, place)
      }
    }
  }

  private mutating func append(_ amount: AmountText, _ words: () -> String, _ place: () -> Place) {
    if let kind, kind != .number { return fail(notANumber(words(), after: kind, place())) }
    let isFirst = kind == nil
    guard
      isFirst || amount.sign == sign
        || sign != .percent && amount.sign != .percent && (amount.sign == nil || sign == nil)
    else { return fail(mixedSigns(words(), place())) }
    kind = .number
    sign = amount.sign ?? sign
    isPlain = sign != .percent && source.missing.isEmpty
    if amount.isSettled { open = nil }
    if amount.isOpen, !source.isMarkSure, open == nil, !isMarkSettled {
      open = Fault(row: rows, error: openMark(words(), amount, place()))
    }
    isMarkSettled = isMarkSettled || amount.isSettled
    values.append(amount.value)
  }

  /// Whether a number told what sets thousands apart.
  private var isMarkSettled = false

  private mutating func append(
    _ days: Double, _ notation: DateNotation, _ words: () -> String, _ place: () -> Place
  ) {
    if let asked = source.notation, !asked.isLike(notation) {
      return fail(unlike(words(), asked, place()))
    }
    guard let kind else {
      kind = .calendar(notation)
      if !notation.isSettled { open = Fault(row: rows, error: openOrder(words(), notation, place())) }
      return values.append(days)
    }
    guard let earlier = kind.notation else { return fail(notANumber(words(), after: kind, place())) }
    guard let joined = earlier.joined(notation) else {
      return fail(
        earlier.swapped.isLike(notation)
          ? bothOrders(words(), place()) : notANumber(words(), after: kind, place()))
    }
    if let one = earlier.isUTC, let other = notation.isUTC, one != other { return fail(mixedZones(place())) }
    self.kind = .calendar(joined)
    if earlier.isOpen, joined.order == .monthDayYear {
      for index in values.indices where !values[index].isNaN {
        values[index] = CalendarText.swapped(values[index])
      }
    }
    if joined.isSettled { open = nil }
    values.append(notation.isOpen && joined.order == .monthDayYear ? CalendarText.swapped(days) : days)
  }

  /// What the column holds, by its first cell that is not missing.
  var held: ColumnKind {
    guard failure == nil else { return kind ?? .text }
    if kind == .number, sign == nil, case .dates(_, let kind) = DigitDates(values) { return kind }
    return kind ?? .number
  }

  /// The values, NaN where missing, and what they are.
  ///
  /// - Parameters:
  ///   - like: what another column of this name holds; settles what is open here.
  ///   - line: the line of a row.
  /// - Throws: `TableError` of the first cell that `allowed` does not take.
  func checked(
    _ allowed: Table.Missing, like: ColumnKind? = nil, line: (Int) -> Int?
  ) throws(TableError) -> (values: [Double], kind: ColumnKind) {
    var faults = [failure]
    switch allowed {
    case .refused: faults += [missing, notANumber]
    case .allowedExceptNaN: faults += [notANumber]
    case .allowed: break
    }
    if let first = faults.compactMap({ $0 }).min(by: { $0.row < $1.row }) { throw first.error }
    let kind = self.kind ?? .number
    if kind == .number, sign == nil {
      let isAsked = source.notation?.isDigits ?? like?.notation?.isDigits ?? false
      switch DigitDates(values, isAsked: isAsked) {
      case .numbers: break
      case .dates(let days, let kind): return (days, kind)
      case .odd(let row): throw oddDigits(RowEncoder.written(values[row], .number), (line(row), nil))
      }
    }
    if var notation = kind.notation, notation.isOpen {
      if let like = like?.notation, !like.isOpen, notation.isLike(like) {
        let isMonthFirst = like.order == .monthDayYear
        return (
          isMonthFirst ? values.map { $0.isNaN ? $0 : CalendarText.swapped($0) } : values, .calendar(like)
        )
      }
      notation.isOpen = !notation.isSettled
      if !notation.isOpen { return (values, .calendar(notation)) }
    }
    if let open { throw open.error }
    return (values, kind)
  }
}

/// Numbers that are dates without marks: 20120131.
enum DigitDates {
  /// None, or too few of them to tell.
  case numbers
  case dates([Double], ColumnKind)
  /// Most are, and the one of this row is none.
  case odd(row: Int)

  /// The fewest that make a column one of dates, and that make another number a mistake.
  private static let (enough, many) = (3, 10)

  /// - Parameter isAsked: whether the column is known to be one of such dates.
  init(_ values: [Double], isAsked: Bool = false) {
    self = .numbers
    guard let first = values.first(where: { !$0.isNaN }), isAsked || CalendarText.days(ofDigits: first) != nil
    else {
      return
    }
    var (days, dates, odd): ([Double], Int, Int?) = ([], 0, nil)
    var others = 0
    days.reserveCapacity(values.count)
    for (row, value) in values.enumerated() {
      let day = value.isNaN ? nil : CalendarText.days(ofDigits: value)
      days.append(day ?? .nan)
      if day != nil {
        dates += 1
      } else if !value.isNaN {
        others += 1
        odd = odd ?? row
        if others > max(Self.many, dates), !isAsked { return }
      }
    }
    if let odd {
      if isAsked || dates >= Self.many && others * Self.many <= dates { self = .odd(row: odd) }
    } else if isAsked || dates >= Self.enough {
      var notation = DateNotation()
      notation.separator = 0
      self = .dates(days, .calendar(notation))
    }
  }
}

/// Texts that stand for no value, beside the usual ones.
struct MissingMarkers: Sendable {
  private var texts: [[UInt8]] = []
  private var numbers: [Double] = []
  var isEmpty: Bool { texts.isEmpty && numbers.isEmpty }

  /// - Parameter mark: the decimal mark of those that are numbers, which stand for all ways to write them.
  init(_ words: [String] = [], mark: DecimalMark = .point) {
    for word in words {
      let text = NumberText.trimmed(ArraySlice(word.utf8))
      if case .finite(let value) = NumberText.read(text, mark: mark) {
        numbers.append(value)
      } else {
        texts.append(Array(text))
      }
    }
  }

  func contains(_ value: Double) -> Bool { numbers.contains(value) }

  func contains(_ text: UnsafeBufferPointer<UInt8>, _ reading: NumberText.Reading) -> Bool {
    if isEmpty { return false }
    if case .finite(let value) = reading { return contains(value) }
    let trimmed = NumberText.trimmed(ArraySlice(text))
    return texts.contains { $0.elementsEqual(trimmed) }
  }
}
