import ChorusData

/// How the numbers of one data set become a network's and back: a unit for every column, and what the hints found.
///
/// It is made once of a context and travels with it: a posterior, a saved context and a training task hold one.
///
/// ```swift
/// let rule = Preparation.Rule(scaling: .standardise, hints: Hints([TrendAndWaves(waves: 6, subtracts: true)]))
/// let preparation = try rule.prepare(x: days, y: levels, dimensions: 1)
/// let unit = preparation.unit(at: [0.5])      // what 0 and 1 of the network are there, in the data's unit
/// ```
public struct Preparation: Sendable, Hashable {
  public let scaling: Scaling
  public let fits: HintFits

  public init(scaling: Scaling, fits: HintFits = HintFits()) {
    self.scaling = scaling
    self.fits = fits
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
    /// - Parameter scaling: units to use in place of the context's own; nil: those of the rule.
    /// - Throws: `DataError.tooFewRowsToScale` for fewer than 2 rows where units come from them.
    public func prepare(
      x: some RandomAccessCollection<Double>, y: some RandomAccessCollection<Double>, dimensions: Int,
      scaling given: Scaling? = nil
    ) throws(DataError) -> Preparation {
      guard dimensions > 0, x.count == y.count * dimensions else {
        throw .rowCount(what: "input values", expected: y.count * max(dimensions, 0), found: x.count)
      }
      guard !hints.hints.isEmpty || given == nil && self.scaling == .standardise else {
        return Preparation(scaling: given ?? .identity)
      }
      // Sums in one order, whatever order the rows came in.
      let order = ObservedRows.order(Array(x), Array(y), dimensions)
      let x = order.flatMap { row in
        (0..<dimensions).map { x[x.index(x.startIndex, offsetBy: row * dimensions + $0)] }
      }
      let y = order.map { y[y.index(y.startIndex, offsetBy: $0)] }
      let scaling: Scaling
      if let given {
        scaling = given
      } else if self.scaling == .standardise {
        scaling = try .standardising(x: x, y: y, dimensions: dimensions)
      } else {
        scaling = .identity
      }
      guard !hints.hints.isEmpty else { return Preparation(scaling: scaling) }
      let inputs = x.enumerated().map { scaling.scaled(input: $1, column: $0 % dimensions) }
      let rows = ObservedRows(
        x: inputs, y: y, unit: scaling.output, dimensions: dimensions)
      return Preparation(scaling: scaling, fits: hints.fit(rows))
    }
  }

  // MARK: - Between units

  /// The unit of outputs at a row of scaled inputs `[dimensions]`.
  public func unit(at inputs: some RandomAccessCollection<Double>) -> Scaling.Unit {
    guard !fits.fits.isEmpty else { return scaling.output }
    return fits.unit(at: ArraySlice(inputs), otherwise: scaling.output)
  }

  /// The unit at each row of scaled inputs.
  public func units(_ inputs: Inputs) -> [Scaling.Unit] { (0..<inputs.count).map { unit(at: inputs[$0]) } }

  /// A data set in the network's units. Throws `DataError.dimensions`.
  public func apply(_ data: Dataset) throws(DataError) -> Dataset {
    let inputs = try scaling.apply(data.inputs)
    let y = zip(data.y, units(inputs)).map { $1.scaled($0) }
    return try Dataset(
      inputs: inputs, y: y, inputColumns: data.inputColumns, outputColumn: data.outputColumn)
  }

  /// A data set back in its own units. Throws `DataError.dimensions`.
  public func invert(_ data: Dataset) throws(DataError) -> Dataset {
    let y = zip(data.y, units(data.inputs)).map { $1.raw($0) }
    return try Dataset(
      inputs: scaling.invert(data.inputs), y: y, inputColumns: data.inputColumns,
      outputColumn: data.outputColumn)
  }
}
