/// What a column says of a cell that it cannot take.
extension NumberColumn {
  private func error(_ reason: TableError.Reason, _ place: Place, _ detail: String) -> TableError {
    TableError(reason, source.file, line: place.line, column: place.column, detail)
  }

  func mixedZones(_ place: Place) -> TableError {
    error(
      .notANumber, place,
      "some times of column '\(source.column)' have an offset from UTC and some have none; give all or none.")
  }

  func mixedSigns(_ written: String, _ place: Place) -> TableError {
    error(
      .notANumber, place,
      "'\(written)' has another unit than the numbers above it (column '\(source.column)'); write all values in one."
    )
  }

  func impossible(_ written: String, _ reason: String, _ place: Place) -> TableError {
    error(
      .notANumber, place,
      "'\(written)' is no date: \(reason) (column '\(source.column)'); correct it, or leave the cell empty.")
  }

  func oddDigits(_ written: String, _ place: Place) -> TableError {
    error(
      .notANumber, place,
      "'\(written)' is no date, and other numbers of column '\(source.column)' are dates like 20120131; correct it."
    )
  }

  func openOrder(_ written: String, _ notation: DateNotation, _ place: Place) -> TableError {
    var settled = notation
    settled.isOpen = false
    settled.order = .dayMonthYear
    let dayFirst = settled.pattern
    settled.order = .monthDayYear
    return error(
      .notANumber, place,
      "'\(written)' has the day or the month first, and no date of column '\(source.column)' tells which; pass "
        + "--date-format '\(dayFirst)' or --date-format '\(settled.pattern)'.")
  }

  func bothOrders(_ written: String, _ place: Place) -> TableError {
    error(
      .notANumber, place,
      "'\(written)' has day and month the other way round than dates above it (column '\(source.column)'); write all "
        + "alike.")
  }

  func unlike(_ written: String, _ asked: DateNotation, _ place: Place) -> TableError {
    error(
      .notANumber, place,
      "'\(written)' is not written as \(asked.pattern) (column '\(source.column)'); correct it or --date-format."
    )
  }

  func openMark(_ written: String, _ amount: AmountText, _ place: Place) -> TableError {
    let whole = RowEncoder.written(amount.value, .number)
    let part = RowEncoder.written(amount.value / 1000, .number)
    return error(
      .notANumber, place,
      "'\(written)' may be \(whole) or \(part), and no number of column '\(source.column)' tells which; pass --decimal "
        + "point or --decimal comma.")
  }

  /// The column, and where there are no lines the row, counted from 0.
  private func named(_ row: Int?) -> String {
    "column '\(source.column)'" + (row.map { ", row \($0) from 0" } ?? "")
  }

  func missingValue(_ place: Place, row: Int? = nil) -> TableError {
    error(
      .missingValue, place,
      "no value (\(named(row))); every row needs one: fill it in or leave the row out.")
  }

  func notFinite(_ written: String, _ place: Place, row: Int? = nil) -> TableError {
    error(
      .notANumber, place,
      "'\(written)' is not finite (\(named(row))); write a finite number or leave the row out.")
  }

  /// - Parameter kind: what the cells above are.
  func notANumber(_ written: String, after kind: ColumnKind?, _ place: Place) -> TableError {
    let what: String
    var advice: String
    switch kind {
    case .calendar(let notation):
      what = "a date like those above it"
      advice = "write dates as \(notation.example), or leave the cell empty where it is missing"
    case .number:
      what = "a number"
      advice =
        "write a number, leave the cell empty where it is missing, or name its marker with --missing; if the column is a "
        + "category, say --as COLUMN=category"
    default:
      what = "a number or a date"
      advice = "choose a column of numbers or of dates (YYYY-MM-DD)"
    }
    let short = DateNotation.shortPatterns(of: written)
    if !short.isEmpty {
      advice =
        "if its year has two digits, say how it is written with "
        + short.map { "--date-format '\($0)'" }.joined(separator: " or ")
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

extension DateNotation {
  /// The patterns with a year of two digits by which a text is a date.
  static func shortPatterns(of text: String) -> [String] {
    let mark = text.first { "/-. ".contains($0) }.map(String.init) ?? "/"
    func patterns(day: String, month: String) -> [String] {
      let parts = [
        [day, month, "%y"], [month, day, "%y"], ["%y", month, day], [day, "%b", "%y"], ["%b", "%y"],
        [month, "%y"],
      ]
      return parts.map { $0.joined(separator: mark) } + ["%b \(day), %y"]
    }
    let all = patterns(day: "%d", month: "%m") + patterns(day: "%-d", month: "%-m")
    return all.enumerated().filter { index, pattern in
      guard !all[..<index].contains(pattern), let notation = DateNotation(pattern: pattern),
        case .moment(_, let found) = CalendarText.reading(text, like: notation)
      else { return false }
      return found.isLike(notation) && found.isPadded == notation.isPadded
    }.map(\.element)
  }

  /// The other order of day and month.
  var swapped: DateNotation {
    var result = self
    result.order = order == .dayMonthYear ? .monthDayYear : order == .monthDayYear ? .dayMonthYear : order
    return result
  }

  /// A date as it is written.
  var example: String {
    CalendarText.write(order.hasDay ? 15_370 + (clock == .none ? 0 : 0.65625) : 15_340, as: .calendar(self))
  }
}
