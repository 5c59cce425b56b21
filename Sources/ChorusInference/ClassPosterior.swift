import ChorusData
import ChorusHints
import ChorusTensors
import Foundation

/// What is said of a category after a table has been read: the probabilities of its levels, row by row, given the other columns.
///
/// A `ClassFit` says them, no network: rows are independent of each other given the rows that were read, so a joint draw is a draw of
/// each row.
///
/// ```swift
/// let cells = try Cells([[39.1, 0], [46.0, 1], [.nan, 1], [41.3, 0]], categories: [false, true])
/// let species = try ClassPosterior(cells, levels: [0, 2, 2, 0], of: 3)
/// let likely = try species.probabilities(at: others)      // [others.count][3]
/// ```
public struct ClassPosterior: Sendable {
  private enum Law: Sendable {
    case fit(ClassFit)
    /// All rows have the same level.
    case constant(Int)
  }

  /// How many levels there may be.
  public let levels: Int
  /// Rows that were read.
  public let rows: Int
  /// Which columns of the table are categories.
  public let categories: [Bool]
  /// What was left out, in words; nil where nothing was.
  public let note: String?
  private let law: Law

  /// - Parameters:
  ///   - cells: rows whose levels are observed.
  ///   - observed: of each row, its level, from 0.
  ///   - count: how many levels there may be.
  /// - Throws: `DataError` as `ClassFit`, where all rows have the same level as well.
  public init(_ cells: Cells, levels observed: [Int], of count: Int) throws {
    (levels, rows, categories) = (count, observed.count, cells.categories)
    if let first = observed.first, (0..<count).contains(first), observed.count >= 2,
      observed.count == cells.count, observed.allSatisfy({ $0 == first })
    {
      (law, note) = (.constant(first), nil)
      return
    }
    let some = TablePosterior.strata(cells, observed.map(Double.init), TablePosterior.mostFitted)
    note = some.map {
      "estimators were fitted to \($0.count) of \(observed.count) rows, a sample over all values"
    }
    law = .fit(
      try ClassFit(
        some.map { cells.rows($0) } ?? cells, levels: some.map { $0.map { observed[$0] } } ?? observed,
        of: count))
  }

  /// How much each column tells alone; nil where all rows have the same level.
  public var relevance: [Double]? {
    if case .fit(let fit) = law { fit.relevance } else { nil }
  }

  /// The probability of each level in each row, `[asked.count][levels]`.
  ///
  /// - Throws: `DataError.dimensions` for rows with other columns.
  public func probabilities(at asked: Cells) throws -> [[Double]] {
    guard asked.categories == categories else {
      throw DataError.dimensions(
        what: "the rows asked for", expected: categories.count, found: asked.columns)
    }
    return switch law {
    case .fit(let fit): fit.probabilities(asked)
    case .constant(let level):
      (0..<asked.count).map { _ in (0..<levels).map { $0 == level ? 1 : 0 } }
    }
  }

  /// Levels drawn for rows together, `[count][asked.count]`: those that a `TableChain` of one step draws by the same seed.
  ///
  /// A path's levels depend on the seed and the path alone.
  public func sample(_ count: Int, at asked: Cells, seed: UInt64 = 0) throws -> [[Int]] {
    let said = try probabilities(at: asked)
    let own = TableChain.seed(of: seed)
    return (0..<count).map { Self.drawn(said, seed: own, path: $0) }
  }

  /// A level of each row by its probabilities, on one path.
  static func drawn(_ said: [[Double]], seed: UInt64, path: Int) -> [Int] {
    said.enumerated().map { place, law in
      var stream = RandomStream(seed: seed, .paths, UInt64(path), UInt64(place))
      return stream.choice(weights: law)
    }
  }

  /// The logarithm of the probability of each row's level, in nats; its sum is that of all together.
  ///
  /// - Throws: `DataError` for a level that is none, or as many as there are not rows.
  public func logProbabilities(of values: [Int], at asked: Cells) throws -> [Double] {
    guard values.count == asked.count else {
      throw DataError.rowCount(what: "levels for the rows", expected: asked.count, found: values.count)
    }
    if let bad = values.first(where: { !(0..<levels).contains($0) }) {
      throw DataError.size(what: "a level (of \(levels))", found: bad)
    }
    return try zip(probabilities(at: asked), values).map { log($0[$1]) }
  }
}

extension TableChain {
  /// The seed of the draws of the first step, by the seed of all.
  ///
  /// Who asks for one column alone draws by it what the chain draws.
  public static func seed(of seed: UInt64) -> UInt64 {
    var stream = RandomStream(seed: seed, .paths, 0)
    return stream.nextUInt64()
  }
}
