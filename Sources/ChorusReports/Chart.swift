/// A picture of data as a value: axes, series and words. It is drawn by ``svg(id:)``, or with others by a ``Figure``.
///
/// ```swift
/// let chart = Chart(
///   title: "Time a step", x: Axis("context rows", scale: .log10), y: Axis("time", unit: "ms", scale: .log10),
///   series: [.line("softmax", x: rows, y: times), .law("∝ N", x: rows, y: law)])
/// try Data(chart.svg().utf8).write(to: file)
/// ```
///
/// Values that are not finite, or not positive on a logarithmic axis, are left out; a line has a gap there. The same
/// chart gives the same bytes.
public struct Chart: Sendable, Hashable {
  /// Above the picture; wrapped to two lines. Also its accessible name.
  public var title: String
  /// Smaller, below the title; wrapped to two lines.
  public var subtitle: String
  /// What the picture shows, for those who can not see it; where empty, made of titles and names.
  public var summary: String
  public var x: Axis
  public var y: Axis
  /// Drawn in order, the first at the back.
  public var series: [Series]
  /// In pixels of 1/96 inch; a ``Figure`` gives its charts their widths.
  public var width: Double
  /// In pixels of 1/96 inch.
  public var height: Double

  public init(
    title: String = "", subtitle: String = "", summary: String = "", x: Axis = Axis(), y: Axis = Axis(),
    series: [Series] = [], width: Double = 720, height: Double = 420
  ) {
    self.title = title
    self.subtitle = subtitle
    self.summary = summary
    self.x = x
    self.y = y
    self.series = series
    self.width = width
    self.height = height
  }

  /// The chart as an SVG document: light and dark by the reader's preference, with an accessible title and description.
  ///
  /// - Parameter id: the beginning of the ids in the document; give each picture of an HTML page its own.
  public func svg(id: String = "chart") -> String {
    Figure(title: "", charts: [self], columns: 1, width: width).svg(id: id)
  }

  /// ``summary``, or words made of the titles and names.
  var description: String {
    if !summary.isEmpty { return summary }
    let names = series.map(\.name).filter { !$0.isEmpty }
    var words = "\(y.title.isEmpty ? "Values" : y.title) against \(x.title.isEmpty ? "inputs" : x.title)"
    if !names.isEmpty { words += ": " + names.joined(separator: ", ") }
    return words + "."
  }
}

/// One axis of a chart.
public struct Axis: Sendable, Hashable {
  /// How values become places.
  public enum Scale: Sendable, Hashable {
    case linear
    /// Equal ratios are equal distances; ticks at decades, or at 1, 2 and 5 times them.
    case log10
    /// Values are days since 1970-01-01T00:00; ticks at units of the calendar.
    case date
    /// The value i stands for the i-th name.
    case categories([String])
  }

  public var title: String
  /// Shown in brackets after the title, together with the power of ten of very large or small values.
  public var unit: String
  public var scale: Scale
  /// The values at the ends; without it the data's, with a little room.
  public var bounds: ClosedRange<Double>?
  /// Whether the axis must hold 0 (not if it is logarithmic).
  public var includesZero: Bool
  /// Where to put ticks instead of the places the axis would choose, for sizes like 32, 64, 128.
  public var ticks: [Double]?

  public init(
    _ title: String = "", unit: String = "", scale: Scale = .linear, bounds: ClosedRange<Double>? = nil,
    includesZero: Bool = false, ticks: [Double]? = nil
  ) {
    self.title = title
    self.unit = unit
    self.scale = scale
    self.bounds = bounds
    self.includesZero = includesZero
    self.ticks = ticks
  }
}

/// Several charts in one picture, side by side or stacked.
public struct Figure: Sendable, Hashable {
  public var title: String
  /// In rows of `columns`, from the top left.
  public var charts: [Chart]
  public var columns: Int
  /// Below all charts, wrapped.
  public var caption: String
  /// Of the whole picture, in pixels of 1/96 inch; charts of a row share it. A row is as high as its highest chart.
  public var width: Double

  public init(
    title: String = "", charts: [Chart], columns: Int = 2, caption: String = "", width: Double = 960
  ) {
    self.title = title
    self.charts = charts
    self.columns = columns
    self.caption = caption
    self.width = width
  }
}
