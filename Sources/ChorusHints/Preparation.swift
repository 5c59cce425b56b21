import ChorusData
import Foundation

/// How the numbers of one data set become a network's and back: the scale that values are seen on, a unit for every column,
/// and what the hints found.
///
/// It is made once of a context and travels with it: a posterior, a saved context and a training task hold one.
///
/// ```swift
/// let rule = Preparation.Rule(scaling: .standardise, hints: Hints([TrendAndWaves(waves: 6, subtracts: true)]))
/// let preparation = try rule.prepare(x: days, y: levels, dimensions: 1)
/// let unit = preparation.unit(at: [0.5])      // how a value there becomes the network's, and back
/// ```
public struct Preparation: Sendable, Hashable {
  /// What values are seen as; units, and what hints found, are of that.
  public let values: ValueScale
  public let scaling: Scaling
  public let fits: HintFits
  /// Bounds that values are said to have, as they are; nil for none.
  public let limits: ClosedRange<Double>?
  /// Where values lie, as they are seen: within the limits, and near to those observed where the scale bends; nil for anywhere.
  public let range: ClosedRange<Double>?
  /// Whether values are whole numbers.
  public let isWhole: Bool

  public init(
    values: ValueScale = .raw, scaling: Scaling, fits: HintFits = HintFits(),
    limits: ClosedRange<Double>? = nil, range: ClosedRange<Double>? = nil, isWhole: Bool = false
  ) {
    self.values = values
    self.scaling = scaling
    self.fits = fits
    self.limits = limits
    self.range = range
    self.isWhole = isWhole
  }

  /// Numbers reach the network as they are.
  public static let identity = Preparation(scaling: .identity)

  /// How a model's contexts are prepared.
  public struct Rule: Sendable, Hashable {
    public var scaling: ScalingRule
    public var hints: Hints

    public init(scaling: ScalingRule = .none, hints: Hints = Hints()) {
      self.scaling = scaling
      self.hints = hints
    }

    /// Fits units and hints to a context, `x` `[rows, dimensions]` and `y` `[rows]`.
    ///
    /// - Parameters:
    ///   - errors: known standard deviations of the rows' errors of measurement, in the unit of `y`; empty for none.
    ///   - dates: whether the one input is a date, counted in days.
    ///   - values: what outputs are seen as.
    ///   - limits: bounds that values have.
    ///   - whole: whether values are whole numbers.
    ///   - scaling: units to use in place of the context's own; nil: those of the rule.
    /// - Throws: `DataError.tooFewRowsToScale` for fewer than 2 rows where units come from them, `.noPlace` for a value
    ///   that the scale asked for has none for, `.beyondBounds` for one outside of the limits, `.notWhole`.
    public func prepare(
      x: some RandomAccessCollection<Double>, y: some RandomAccessCollection<Double>,
      errors: [Double] = [], dimensions: Int, dates: Bool = false, values: ValueScale.Choice = .raw,
      limits: ClosedRange<Double>? = nil, whole: Bool = false, scaling given: Scaling? = nil
    ) throws(DataError) -> Preparation {
      guard dimensions > 0, x.count == y.count * dimensions else {
        throw .rowCount(what: "input values", expected: y.count * max(dimensions, 0), found: x.count)
      }
      guard errors.isEmpty || errors.count == y.count else {
        throw .rowCount(what: "errors of the outputs", expected: y.count, found: errors.count)
      }
      // Where nothing is chosen or bounded, there is nothing to look at in the rows.
      let isPlain = limits == nil && !whole && (values == .raw || values == .automatic)
      guard !isPlain || !hints.hints.isEmpty || given == nil && self.scaling == .standardise else {
        return Preparation(scaling: given ?? .identity)
      }
      // Sums in one order, whatever order the rows came in.
      let order = ObservedRows.order(Array(x), Array(y), errors, dimensions)
      let x = order.flatMap { row in
        (0..<dimensions).map { x[x.index(x.startIndex, offsetBy: row * dimensions + $0)] }
      }
      let y = order.map { y[y.index(y.startIndex, offsetBy: $0)] }
      let errors = errors.isEmpty ? [] : order.map { errors[$0] }
      // What tells of a scale is how values scatter, and errors hide it.
      let scale = try valueScale(
        errors.isEmpty || values != .automatic ? values : .raw, x: x, y: y, dimensions: dimensions,
        dates: dates)
      let seen = try Preparation.seen(y, on: scale)
      let own = zip(y, errors).map { scale.seen(error: $1, of: $0) }
      // An error may move a value between whole numbers and beyond bounds.
      let exact = own.isEmpty ? y : zip(y, own).filter { $0.1 == 0 }.map(\.0)
      if whole, let value = exact.first(where: { $0 != $0.rounded() }) { throw .notWhole(value: value) }
      let range = try Preparation.range(of: exact, seen: seen, on: scale, within: limits, whole: whole)
      let scaling = try units(x: x, y: seen, errors: own, dimensions: dimensions, given)
      guard !hints.hints.isEmpty else {
        return Preparation(
          values: scale, scaling: scaling, limits: limits, range: range, isWhole: whole)
      }
      let inputs = x.enumerated().map { scaling.scaled(input: $1, column: $0 % dimensions) }
      let rows = ObservedRows(
        x: inputs, y: seen, errors: own, unit: scaling.output, dimensions: dimensions,
        periods: dates ? Self.calendar(scaling) : [], clock: dates ? Self.clock(x, scaling) : nil)
      return Preparation(
        values: scale, scaling: scaling, fits: hints.fit(rows), limits: limits, range: range, isWhole: whole)
    }

    /// A year, a week, a day and an hour in the unit of scaled inputs.
    private static func calendar(_ scaling: Scaling) -> [Double] {
      [365.2425, 7, 1, 1.0 / 24].map { $0 / (scaling.inputScales.first ?? 1) }
    }

    /// What counts dates `x` in months, where they share a day of the month.
    private static func clock(_ x: [Double], _ scaling: Scaling) -> MonthClock? {
      MonthClock(
        days: x, origin: scaling.inputCentres.first ?? 0, unit: scaling.inputScales.first ?? 1)
    }

    private func units(
      x: [Double], y: [Double], errors: [Double] = [], dimensions: Int, _ given: Scaling?
    ) throws(DataError) -> Scaling {
      if let given { return given }
      guard scaling == .standardise else { return .identity }
      let plain = try Scaling.standardising(x: x, y: y, dimensions: dimensions)
      guard !errors.isEmpty else { return plain }
      // The unit that outputs would have without their errors.
      let moments = KnownErrors(errors).moments(of: y)
      guard moments.variance > 0 else { return plain }
      return try Scaling(
        inputCentres: plain.inputCentres, inputScales: plain.inputScales, inputSteps: plain.inputSteps,
        outputCentre: moments.mean,
        outputScale: moments.variance.squareRoot())
    }

    private func valueScale(
      _ choice: ValueScale.Choice, x: [Double], y: [Double], dimensions: Int, dates: Bool
    ) throws(DataError) -> ValueScale {
      switch choice {
      case .raw: return .raw
      case .logarithm: return .logarithm
      case .root: return .root(of: y)
      case .automatic:
        // A network without units of the context's own has been trained on values as they are.
        guard hints.choosesScale, scaling == .standardise, y.count >= 2 else { return .raw }
        let plain = try units(x: x, y: y, dimensions: dimensions, nil)
        let inputs = x.enumerated().map { plain.scaled(input: $1, column: $0 % dimensions) }
        return hints.valueScale(
          ObservedRows(
            x: inputs, y: y, unit: plain.output, dimensions: dimensions,
            periods: dates ? Self.calendar(plain) : [], clock: dates ? Self.clock(x, plain) : nil)) ?? .raw
      }
    }
  }

  /// The variance that outputs with known errors have beside these, or that of typical errors where that is more.
  public static func varianceBesideErrors(_ data: Dataset) -> Double {
    let errors = KnownErrors(data.errors)
    return max(errors.moments(of: data.y).variance, errors.typical)
  }

  // MARK: - Between units

  /// How an output at one place becomes the network's and back.
  public struct OutputUnit: Sendable, Hashable {
    public let values: ValueScale
    /// Of what values are seen as.
    public let unit: Scaling.Unit
    /// Where values lie, as they are seen.
    let range: ClosedRange<Double>?
    /// Of values that are whole numbers the least and the largest; nil for all others.
    public let whole: ClosedRange<Double>?

    /// The same of a value from which `shift` is taken off once it is seen.
    public func moved(by shift: Double, like other: Preparation) -> OutputUnit {
      OutputUnit(
        values: other.values, unit: Scaling.Unit(origin: unit.origin + shift, scale: unit.scale),
        range: other.range, whole: other.whole)
    }

    /// The network's number for a value; NaN for one that its scale has no place for.
    public func scaled(_ value: Double) -> Double { unit.scaled(values.seen(value) ?? .nan) }
    public func raw(_ scaled: Double) -> Double {
      let seen = unit.raw(scaled)
      let value = values.value(range.map { min(max(seen, $0.lowerBound), $0.upperBound) } ?? seen)
      return whole.map { min(max(value.rounded(), $0.lowerBound), $0.upperBound) } ?? value
    }
    /// The network's number of the whole number that is next to what `scaled` stands for, and the range of those that stand for it.
    public func whole(_ scaled: Double) -> (value: Double, range: ClosedRange<Double>) {
      let number = raw(scaled)
      func end(_ value: Double, _ last: Double?, _ beyond: Double) -> Double {
        number == last ? beyond : values.seen(value).map { unit.scaled($0) } ?? beyond
      }
      let low = end(number - 0.5, whole?.lowerBound, -.infinity)
      return (self.scaled(number), low...max(low, end(number + 0.5, whole?.upperBound, .infinity)))
    }
    /// Where values lie, as the network's numbers; nil for anywhere. Wider by what rounding to 32 bits may move a value that
    /// lies on an end, as the zeros of a count do; what is drawn between comes back as the end itself.
    public var scaledRange: ClosedRange<Double>? {
      guard let range else { return nil }
      let (least, most) = (unit.scaled(range.lowerBound), unit.scaled(range.upperBound))
      func slack(_ end: Double) -> Double { end.isFinite ? 1e-6 * max(abs(end), 1e-3) : 0 }
      return least - slack(least)...most + slack(most)
    }
    /// What the network is told of a value that has been measured with an error, of deviation `error` in the network's unit.
    ///
    /// The unit's deviation is that of a value without it. In units of its own, which is wider, a value scatters as one without an
    /// error does in the unit.
    func told(_ scaled: Double, error: Double) -> Double {
      error > 0 ? scaled / (1 + error * error).squareRoot() : scaled
    }
    /// The other way.
    func measured(_ told: Double, error: Double) -> Double {
      error > 0 ? told * (1 + error * error).squareRoot() : told
    }
    /// The logarithm of how much the network's number grows with the value: what a density gains by.
    public func logSlope(_ value: Double) -> Double { values.logSlope(value) - log(unit.scale) }
  }

  /// The unit of outputs at a row of scaled inputs `[dimensions]`.
  public func unit(at inputs: some RandomAccessCollection<Double>) -> OutputUnit {
    let plain = scaling.output
    let unit = fits.fits.isEmpty ? plain : fits.unit(at: ArraySlice(inputs), otherwise: plain)
    return OutputUnit(values: values, unit: unit, range: range, whole: whole)
  }

  /// Of values that are whole numbers the least and the largest that there can be; nil for all others.
  public var whole: ClosedRange<Double>? {
    guard isWhole else { return nil }
    let least = values == .logarithm ? 1 : values == .raw ? -Double.infinity : 0
    let (low, high) = (
      max(least, (limits?.lowerBound ?? least).rounded(.up)), limits?.upperBound ?? .infinity
    )
    return low...max(low, high.rounded(.down))
  }

  /// The unit at each row of scaled inputs.
  public func units(_ inputs: Inputs) -> [OutputUnit] { (0..<inputs.count).map { unit(at: inputs[$0]) } }

  /// What outputs are seen as. Throws `DataError.noPlace` for the first that the scale has no place for.
  static func seen(_ y: [Double], on scale: ValueScale) throws(DataError) -> [Double] {
    var seen: [Double] = []
    for value in y {
      guard let own = scale.seen(value) else { throw .noPlace(value: value, scale: scale) }
      seen.append(own)
    }
    return seen
  }

  /// Where values lie, as they are seen.
  private static func range(
    of y: [Double], seen: [Double], on scale: ValueScale, within limits: ClosedRange<Double>?, whole: Bool
  ) throws(DataError) -> ClosedRange<Double>? {
    let near = scale.range(of: seen)
    guard var limits else { return near }
    if let value = y.first(where: { !limits.contains($0) }) {
      throw .beyondBounds(value: value, bounds: limits)
    }
    // A whole number stands for what is nearer to it than to the next.
    if whole {
      let (low, high) = (limits.lowerBound.rounded(.up), limits.upperBound.rounded(.down))
      guard low <= high else { throw .badScale("the bounds \(limits.lowerBound) and \(limits.upperBound)") }
      limits = low - 0.5...high + 0.5
    }
    let least = scale.seen(limits.lowerBound) ?? -.infinity
    guard let most = limits.upperBound == .infinity ? .infinity : scale.seen(limits.upperBound), least < most
    else {
      throw .badScale("the bounds \(limits.lowerBound) and \(limits.upperBound)")
    }
    guard let near else { return least...most }
    return max(least, near.lowerBound)...max(min(most, near.upperBound), max(least, near.lowerBound))
  }

  /// A data set in the network's units, its errors too: outputs that have one are what the network is told of them.
  /// Throws `DataError.dimensions`, or `.noPlace` for a value that its scale has none for.
  public func apply(_ data: Dataset) throws(DataError) -> Dataset {
    let inputs = try scaling.apply(data.inputs)
    _ = try Self.seen(data.y, on: values)
    let units = units(inputs)
    var y = zip(data.y, units).map { $1.scaled($0) }
    let errors = data.errors.enumerated().map { row, error in
      values.seen(error: error, of: data.y[row]) / units[row].unit.scale
    }
    for (row, error) in errors.enumerated() { y[row] = units[row].told(y[row], error: error) }
    return try Dataset(
      inputs: inputs, y: y, errors: errors, inputColumns: data.inputColumns, outputColumn: data.outputColumn)
  }

  /// A data set back in its own units. Throws `DataError.dimensions`.
  public func invert(_ data: Dataset) throws(DataError) -> Dataset {
    let units = units(data.inputs)
    let told = data.error
    let y = units.indices.map { row in
      units[row].raw(units[row].measured(data.y[row], error: told[row]))
    }
    let errors = data.errors.enumerated().map { row, error in
      error * units[row].unit.scale / exp(values.logSlope(y[row]))
    }
    return try Dataset(
      inputs: scaling.invert(data.inputs), y: y, errors: errors, inputColumns: data.inputColumns,
      outputColumn: data.outputColumn)
  }
}
