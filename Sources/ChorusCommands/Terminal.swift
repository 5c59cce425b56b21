import ChorusReports
import Foundation

/// What the place where words go can show.
struct Terminal {
  let columns: Int
  let rows: Int
  let hasColour: Bool

  /// `COLUMNS` and `NO_COLOR` (no-color.org) are heeded; without a terminal there are 80 columns and no colour.
  static var standardError: Terminal {
    let environment = ProcessInfo.processInfo.environment
    let isTerminal = isatty(2) == 1
    var size = winsize()
    if isTerminal { _ = ioctl(2, UInt(TIOCGWINSZ), &size) }
    let given = environment["COLUMNS"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    let width = given ?? (size.ws_col > 0 ? Int(size.ws_col) : 80)
    let isPlain = environment["NO_COLOR"]?.isEmpty == false || environment["TERM"] == "dumb"
    return Terminal(
      columns: width, rows: size.ws_row > 0 ? min(28, max(12, Int(size.ws_row) - 4)) : 24,
      hasColour: isTerminal && !isPlain)
  }

  /// Shows the last chart of a figure: the closest look there is.
  func show(_ figure: Figure) {
    guard let last = figure.charts.last else { return }
    var chart = last
    chart.title = figure.charts[0].title
    FileHandle.standardError.write(
      Data(chart.text(columns: columns, rows: rows, colour: hasColour).utf8))
  }
}
