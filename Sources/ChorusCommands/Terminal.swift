import ChorusFiles
import ChorusReports
import Foundation

/// What the place where words go can show.
struct Terminal {
  let columns: Int
  let rows: Int
  let hasColour: Bool

  static var standardError: Terminal {
    let isTerminal = isatty(2) == 1
    var size = winsize()
    if isTerminal { _ = ioctl(2, UInt(TIOCGWINSZ), &size) }
    return Terminal(
      environment: ProcessInfo.processInfo.environment, isTerminal: isTerminal, columns: Int(size.ws_col),
      rows: Int(size.ws_row))
  }

  /// `COLUMNS` and `NO_COLOR` (no-color.org) are heeded; what does not tell its width has 80 columns.
  ///
  /// - Parameters:
  ///   - columns: as the terminal says; 0 where it does not.
  ///   - rows: likewise.
  init(environment: [String: String], isTerminal: Bool, columns: Int, rows: Int) {
    let given = environment["COLUMNS"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    self.columns = given ?? (columns > 0 ? columns : 80)
    self.rows = rows > 0 ? min(28, max(12, rows - 4)) : 24
    let isPlain = environment["NO_COLOR"]?.isEmpty == false || environment["TERM"] == "dumb"
    hasColour = isTerminal && !isPlain
  }

  /// Shows the last chart of a figure: the closest look there is.
  func show(_ figure: Figure) {
    guard let last = figure.charts.last else { return }
    var chart = last
    chart.title = figure.charts[0].title
    for index in chart.series.indices { chart.series[index].labelling = .automatic }
    StandardStreams.say(chart.text(columns: columns, rows: rows, colour: hasColour))
  }
}
