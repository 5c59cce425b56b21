import ChorusData
import ChorusTensors

/// A law of tasks: functions together with where they are seen, from which training and evaluation draw.
///
/// A prior is a pure function of the stream: the same stream gives the same task. A simulator draws the
/// function; a prior over stored tasks picks one of them and a random split, both from the stream.
///
/// ```swift
/// struct Lines: Prior {
///   let name = "lines"
///   let dimensions = 1...1
///
///   func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
///     let (level, slope) = (stream.normal(), stream.normal())
///     let x = (0..<shape.rows).map { _ in stream.uniform(in: -2...2) }
///     return PriorTask(shape: shape, x: x, y: x.map { level + slope * $0 + 0.1 * stream.normal() }, component: name)
///   }
/// }
/// ```
public protocol Prior: Sendable {
  /// The name it is asked for by.
  var name: String { get }
  /// Numbers of input dimensions it can draw.
  var dimensions: ClosedRange<Int> { get }
  /// Whether a column means the same in every task. Training then leaves columns in their places; else it puts them in random
  /// order, so that which column is which is no knowledge a model has.
  var keepsColumns: Bool { get }
  /// Whether rows come one after another and each is to be told from those before it: tasks for networks of the family
  /// `sequence`.
  var isSequence: Bool { get }
  /// One task of the given sizes.
  ///
  /// Throws `PriorError.dimensions` when `shape.dimensions` is outside `dimensions`, `.rows` when it cannot give
  /// that many rows, `.notPositiveDefinite` when a covariance cannot be factored.
  func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask
}

extension Prior {
  public var keepsColumns: Bool { false }
  public var isSequence: Bool { false }
}

/// The sizes of a task: context rows N, buffer rows C, targets M, numbers an input has.
public struct TaskShape: Sendable, Hashable, Codable {
  public var context: Int
  public var buffer: Int
  public var targets: Int
  public var dimensions: Int

  /// N + C + M.
  public var rows: Int { context + buffer + targets }

  public init(context: Int, buffer: Int = 0, targets: Int, dimensions: Int = 1) {
    self.context = context
    self.buffer = buffer
    self.targets = targets
    self.dimensions = dimensions
  }

  /// Throws `PriorError.rows` for a negative size or for more rows than `limit`.
  func check(_ supported: ClosedRange<Int>, limit: Int = 1 << 16) throws(PriorError) {
    guard supported.contains(dimensions) else { throw .dimensions(asked: dimensions, supported: supported) }
    for size in [context, buffer, targets] where !(0...limit).contains(size) {
      throw .rows(asked: size, limit: limit)
    }
    guard rows <= limit else { throw .rows(asked: rows, limit: limit) }
  }
}

/// One task: rows in the order context | buffer | targets.
///
/// In a random partition these are exchangeable; under a layout with a gap or a future they are not, and
/// the buffer and the targets follow one law in random order.
public struct PriorTask: Sendable {
  /// The sizes.
  public let shape: TaskShape
  /// Inputs, row-major [shape.rows, shape.dimensions]. In tasks of `TablesPrior` NaN is a missing cell; elsewhere all
  /// are finite.
  public let x: [Double]
  /// Outputs [shape.rows].
  public let y: [Double]
  /// The exact answers, where they can be computed.
  public let oracle: (any Oracle)?
  /// The exact answers of somebody who knows the prior, but not this task's hyperparameters, where they can be computed:
  /// what a model can have at best. Slow.
  public internal(set) var attainable: (any Oracle)?
  /// The expected log density of a target, in nats, to somebody who knows everything but its noise. No model
  /// can have more, and it may be far out of reach: a ceiling, not an oracle.
  public let ceiling: Double?
  /// The part of a mixed prior the task came from, for evaluation by part.
  public let component: String
  /// Which columns are categories: their inputs are level numbers 0, 1, 2 … in no particular order. Empty where all are
  /// numbers.
  public var categories: [Bool]
  /// Which targets are asked, of a sequence of which others are there to be read only; empty where all are.
  public var asked: [Bool] = []

  /// - Precondition: `categories` is empty or has one element per column.
  public init(
    shape: TaskShape, x: [Double], y: [Double], oracle: (any Oracle)? = nil, ceiling: Double? = nil,
    component: String, categories: [Bool] = []
  ) {
    precondition(categories.isEmpty || categories.count == shape.dimensions, "one kind per column")
    self.shape = shape
    self.x = x
    self.y = y
    self.oracle = oracle
    self.ceiling = ceiling
    self.component = component
    self.categories = categories
  }

  /// Rows of the three parts.
  public var contextRows: Range<Int> { 0..<shape.context }
  public var bufferRows: Range<Int> { shape.context..<(shape.context + shape.buffer) }
  public var targetRows: Range<Int> { (shape.context + shape.buffer)..<shape.rows }

  /// What the oracle says of the targets given the context; nil where there is no oracle, or none for so few rows.
  public func exactLaw() throws(OracleError) -> OracleDensity? {
    try law(by: oracle)
  }

  /// The same of `attainable`.
  public func attainableLaw() throws(OracleError) -> OracleDensity? {
    try law(by: attainable)
  }

  private func law(by oracle: (any Oracle)?) throws(OracleError) -> OracleDensity? {
    do {
      return try oracle?.density(of: targetRows, given: contextRows)
    } catch OracleError.unresolved {
      return nil
    }
  }

  /// The same rows with input column `order[i]` in place i, without the exact answers, which know the columns as drawn.
  ///
  /// - Precondition: `order` is a permutation of the columns.
  public func withColumns(in order: [Int]) -> PriorTask {
    let d = shape.dimensions
    precondition(order.sorted() == Array(0..<d), "a permutation names every column once")
    return PriorTask(
      shape: shape, x: (0..<shape.rows).flatMap { row in order.map { x[row * d + $0] } }, y: y,
      ceiling: ceiling, component: component,
      categories: categories.isEmpty ? [] : order.map { categories[$0] })
  }

  /// The same context and targets, with the targets as buffer too, in their order.
  public func withTargetsAsBuffer() -> PriorTask {
    let d = shape.dimensions
    let (context, targets) = (contextRows, targetRows)
    func rows(_ range: Range<Int>) -> [Double] { Array(x[range.lowerBound * d..<range.upperBound * d]) }
    return PriorTask(
      shape: TaskShape(context: shape.context, buffer: shape.targets, targets: shape.targets, dimensions: d),
      x: rows(context) + rows(targets) + rows(targets),
      y: Array(y[context]) + Array(y[targets]) + Array(y[targets]),
      ceiling: ceiling, component: component, categories: categories)
  }

  /// The rows of `range` as a data set. Throws `DataError`.
  public func dataset(_ range: Range<Int>) throws(DataError) -> Dataset {
    guard range.lowerBound >= 0, range.upperBound <= shape.rows else {
      throw .size(what: "the end of a row range", found: range.upperBound)
    }
    let d = shape.dimensions
    guard y.count == shape.rows, x.count == shape.rows * d else {
      throw .rowCount(what: "outputs of a task", expected: shape.rows, found: y.count)
    }
    return try Dataset(
      inputs: Inputs(Array(x[(range.lowerBound * d)..<(range.upperBound * d)]), dimensions: d),
      y: Array(y[range]))
  }
}

/// Why a task cannot be drawn.
public enum PriorError: Error, Equatable, CustomStringConvertible {
  /// No prior has that name.
  case unknown(name: String, known: [String])
  /// The prior cannot draw that many input dimensions.
  case dimensions(asked: Int, supported: ClosedRange<Int>)
  /// A number of rows is negative or too large.
  case rows(asked: Int, limit: Int)
  /// A covariance could not be factored.
  case notPositiveDefinite(kernel: String, pivot: Int)
  /// Data of a stored or drawn task are not usable.
  case data(DataError)
  /// Anything else a prior over stored tasks may meet.
  case stored(String)

  public var description: String {
    switch self {
    case .unknown(let name, let known):
      return "there is no prior named \"\(name)\"; known are \(known.joined(separator: ", "))"
    case .dimensions(let asked, let supported):
      let few = supported.lowerBound == supported.upperBound
      return
        "the prior draws \(few ? "\(supported.lowerBound)" : "\(supported.lowerBound) to \(supported.upperBound)") dimensions, not \(asked)"
    case .rows(let asked, let limit):
      return "a task cannot have \(asked) rows: at least 0 and at most \(limit)"
    case .notPositiveDefinite(let kernel, let pivot):
      return "the covariance of \(kernel) is not positive definite at row \(pivot)"
    case .data(let error): return error.description
    case .stored(let words): return words
    }
  }
}

/// The built-in priors, by name.
public enum Priors {
  /// Every built-in prior that models are trained on.
  public static let all: [any Prior] = [
    GPPrior.gp, GPPrior.noisy, SawtoothPrior(), FunctionsPrior(), ObservationsPrior(),
    TablesPrior(), TablesPrior.classes, CausalPrior.plain, CausalPrior.wide, RecallPrior(),
    RecallPrior(fillers: .random),
  ]

  /// The names, in the order of `all`.
  public static var names: [String] { all.map(\.name) }

  /// Priors to evaluate on: laws that no model here is trained on, and the families of `functions` one by one.
  public static let evaluation: [any Prior] =
    OutsidePrior.Law.allCases.map(OutsidePrior.init) + [LinearRegressionPrior()] + FunctionsPrior.parts
    + [SeriesPrior(), GPPrior.small, DeepTemporalPrior()]

  /// The prior of that name. Throws `PriorError.unknown` with the known names.
  public static func named(_ name: String) throws(PriorError) -> any Prior {
    for prior in all + evaluation where prior.name == name { return prior }
    throw .unknown(name: name, known: names + evaluation.map(\.name))
  }
}
