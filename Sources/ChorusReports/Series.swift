/// What a chart shows of one thing: a mark with its data, a name and a look.
public struct Series: Sendable, Hashable {
  public struct Point: Sendable, Hashable {
    public var x: Double
    public var y: Double

    public init(_ x: Double, _ y: Double) {
      self.x = x
      self.y = y
    }
  }

  /// From `low` to `high` at `x`.
  public struct Interval: Sendable, Hashable {
    public var x: Double
    public var low: Double
    public var high: Double

    public init(_ x: Double, low: Double, high: Double) {
      self.x = x
      self.low = low
      self.high = high
    }
  }

  /// A bar from 0 to `value` that covers `start`...`end` of the other axis.
  public struct Bar: Sendable, Hashable {
    public var start: Double
    public var end: Double
    public var value: Double

    public init(_ start: Double, _ end: Double, value: Double) {
      self.start = start
      self.end = end
      self.value = value
    }
  }

  public enum Mark: Sendable, Hashable {
    case points([Point])
    /// Joined in the order given.
    case line([Point])
    /// Many thin lines, of which one may be drawn strongly.
    case paths([[Point]], highlighted: Int?)
    /// An area between two lines.
    case band([Interval])
    /// A vertical stroke at each x, such as the spread of a measurement.
    case intervals([Interval])
    case bars([Bar], horizontal: Bool)
    /// A straight line across the chart at a value of the y axis.
    case rule(y: Double)
    /// A straight line across the chart at a value of the x axis.
    case verticalRule(x: Double)
    /// Squares of values between -1 and 1, row 0 at y = 0; the colour tells the sign, its strength the size.
    case matrix([[Double]])
  }

  /// Colours by their meaning; what they are depends on light or dark.
  public enum Colour: Sendable, Hashable {
    /// One of eight that people with any colour vision can tell apart.
    case palette(Int)
    case ink
    case muted
  }

  public enum Labelling: Sendable, Hashable {
    /// Beside the marks where few lines or points are named, else in the legend.
    case automatic
    case direct
    case legend
    case none
  }

  /// Empty for none.
  public var name: String
  public var mark: Mark
  /// Nil takes the palette's next.
  public var colour: Colour?
  public var isDashed: Bool
  public var labelling: Labelling
  /// 0 to 1; nil takes the mark's own.
  public var opacity: Double?

  public init(
    _ name: String = "", _ mark: Mark, colour: Colour? = nil, isDashed: Bool = false,
    labelling: Labelling = .automatic, opacity: Double? = nil
  ) {
    self.name = name
    self.mark = mark
    self.colour = colour
    self.isDashed = isDashed
    self.labelling = labelling
    self.opacity = opacity
  }

  /// Points; values beyond the shorter array are left out, here and below.
  public static func points(
    _ name: String = "", x: [Double], y: [Double], colour: Colour? = nil
  ) -> Series {
    Series(name, .points(zip(x, y).map(Point.init)), colour: colour)
  }

  public static func line(_ name: String = "", x: [Double], y: [Double], colour: Colour? = nil) -> Series {
    Series(name, .line(zip(x, y).map(Point.init)), colour: colour)
  }

  /// A dashed grey line: what theory says.
  public static func law(_ name: String = "", x: [Double], y: [Double]) -> Series {
    Series(name, .line(zip(x, y).map(Point.init)), colour: .muted, isDashed: true)
  }

  public static func band(
    _ name: String = "", x: [Double], lower: [Double], upper: [Double], colour: Colour? = nil,
    opacity: Double? = nil
  ) -> Series {
    Series(
      name, .band(zip(x, zip(lower, upper)).map { Interval($0, low: $1.0, high: $1.1) }), colour: colour,
      opacity: opacity)
  }

  /// Many thin lines over the same `x`.
  public static func paths(
    _ name: String = "", x: [Double], _ paths: [[Double]], highlighted: Int? = nil, colour: Colour? = nil
  ) -> Series {
    Series(
      name, .paths(paths.map { zip(x, $0).map(Point.init) }, highlighted: highlighted), colour: colour)
  }

  /// Equal bins over `range`, or over that of the finite values: about √n of them and at most `bins`. Counts, or with
  /// `density` counts divided by (number of values · width of a bin). Values beyond the range count for neither.
  public static func histogram(
    _ name: String = "", _ values: [Double], bins: Int = 40, within range: ClosedRange<Double>? = nil,
    density: Bool = false, colour: Colour? = nil
  ) -> Series {
    let values = values.filter {
      $0.isFinite && abs($0) < Extent.reach && range?.contains($0) ?? true
    }
    guard let low = range?.lowerBound ?? values.min(), let high = range?.upperBound ?? values.max(),
      !values.isEmpty
    else { return Series(name, .bars([], horizontal: false), colour: colour) }
    let isWide = Extent.isWide(low, high)
    let width = isWide ? high - low : 1
    let start = isWide ? low : low - 0.5
    let count = isWide ? max(1, min(bins, Int(Double(values.count).squareRoot().rounded(.up)))) : 1
    var counts = [Int](repeating: 0, count: count)
    for value in values { counts[min(count - 1, Int((value - start) / width * Double(count)))] += 1 }
    let step = width / Double(count)
    let scale = density ? 1 / (Double(values.count) * step) : 1
    let bars = counts.enumerated().map { bin, number in
      Bar(start + Double(bin) * step, start + Double(bin + 1) * step, value: Double(number) * scale)
    }
    return Series(name, .bars(bars, horizontal: false), colour: colour)
  }
}

extension Series {
  /// The bars of a vertical histogram as one stepped line, to lie over another.
  public func outlined(isDashed: Bool = false) -> Series {
    guard case .bars(let bars, horizontal: false) = mark, let first = bars.first, let last = bars.last else {
      return self
    }
    var points = [Point(first.start, 0)]
    for bar in bars { points += [Point(bar.start, bar.value), Point(bar.end, bar.value)] }
    points.append(Point(last.end, 0))
    return Series(name, .line(points), colour: colour, isDashed: isDashed, labelling: .legend)
  }
}

/// The smallest range that holds some values.
struct Extent: Equatable {
  /// Numbers of this size are left out, so that differences and products of those that are drawn stay finite. Those
  /// below its inverse are as good as 0, so that ranges can be divided by.
  static let reach = 1e150

  private(set) var low = Double.infinity
  private(set) var high = -Double.infinity
  let positiveOnly: Bool

  init(positiveOnly: Bool = false) { self.positiveOnly = positiveOnly }

  var isEmpty: Bool { low > high }

  /// Whether there is something to tell apart between two numbers: more than rounding, and enough to divide by.
  static func isWide(_ low: Double, _ high: Double) -> Bool {
    high - low > max(1e-12 * max(abs(low), abs(high)), 1 / reach)
  }

  mutating func add(_ value: Double) {
    let value = abs(value) < 1 / Self.reach ? 0 : value
    guard abs(value) < Self.reach, !positiveOnly || value > 0 else { return }
    low = min(low, value)
    high = max(high, value)
  }
}

extension Series {
  /// Gives every place of the marks to `x` and `y`.
  func extend(_ x: inout Extent, _ y: inout Extent) {
    switch mark {
    case .points(let points), .line(let points):
      for point in points { Self.add(point, &x, &y) }
    case .paths(let paths, _):
      for path in paths { for point in path { Self.add(point, &x, &y) } }
    case .band(let intervals), .intervals(let intervals):
      for interval in intervals {
        Self.add(Point(interval.x, interval.low), &x, &y)
        Self.add(Point(interval.x, interval.high), &x, &y)
      }
    case .bars(let bars, let horizontal):
      for bar in bars {
        for edge in [bar.start, bar.end] {
          for value in [0, bar.value] {
            Self.add(horizontal ? Point(value, edge) : Point(edge, value), &x, &y)
          }
        }
      }
    case .rule(let value): y.add(value)
    case .verticalRule(let value): x.add(value)
    case .matrix(let rows):
      let columns = rows.map(\.count).max() ?? 0
      guard columns > 0 else { return }
      Self.add(Point(-0.5, -0.5), &x, &y)
      Self.add(Point(Double(columns) - 0.5, Double(rows.count) - 0.5), &x, &y)
    }
  }

  /// A point of which one number can not be drawn takes no part at all.
  private static func add(_ point: Point, _ x: inout Extent, _ y: inout Extent) {
    guard abs(point.x) < Extent.reach, abs(point.y) < Extent.reach else { return }
    x.add(point.x)
    y.add(point.y)
  }
}
