import CChorus
import ChorusData
import ChorusInference
import ChorusPlans

/// How the rows of an array are divided among contexts.
struct Parts: Sendable {
  private let offsets: [Int]?
  private let rows: Int
  let contexts: Int

  /// - Parameters:
  ///   - contexts: how many there have to be.
  ///   - what: what the rows are, in words.
  init(
    _ offsets: UnsafePointer<Int64>?, rows: Int64, contexts: Int64, _ what: String
  ) throws(CallError) {
    guard rows >= 0, let rows = Int(exactly: rows) else { throw .usage("the number of \(what) is \(rows)") }
    guard (0...1 << 32).contains(contexts) else { throw .usage("the number of contexts is \(contexts)") }
    (self.rows, self.contexts) = (rows, Int(contexts))
    guard let offsets else {
      self.offsets = nil
      return
    }
    let places = UnsafeBufferPointer(start: offsets, count: self.contexts + 1).map(Int.init)
    guard places.first == 0, places.last == rows, zip(places, places.dropFirst()).allSatisfy({ $0 <= $1 })
    else {
      throw .usage("the offsets of the \(what) do not rise from 0 to \(rows)")
    }
    self.offsets = places
  }

  /// The rows of a context. Without offsets it has all.
  subscript(context: Int) -> Range<Int> {
    guard let offsets else { return 0..<rows }
    return offsets[context]..<offsets[context + 1]
  }

  /// How many rows all contexts before this one have.
  func before(_ context: Int) -> Int { offsets?[context] ?? context * rows }
}

/// Memory of the caller, of which every context has a part of its own.
struct Array2D<Element>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Element>?

  init(_ base: UnsafeMutablePointer<Element>?) { self.base = base }

  func write(_ values: some Sequence<Element>, at place: Int) {
    guard let base else { return }
    var next = base + place
    for value in values {
      next.pointee = value
      next += 1
    }
  }
}

/// Memory of the caller that is read.
struct Source: @unchecked Sendable {
  private let base: UnsafePointer<Double>?

  /// - Throws: where there is something to be read and nothing given.
  init(_ base: UnsafePointer<Double>?, count: Int, _ what: String) throws(CallError) {
    guard base != nil || count == 0 else { throw .usage("the \(what) are not given: the pointer is NULL") }
    self.base = base
  }

  subscript(range: Range<Int>) -> [Double] {
    guard let base, !range.isEmpty else { return [] }
    return Array(UnsafeBufferPointer(start: base + range.lowerBound, count: range.count))
  }
}

private func columns(_ count: Int32, _ rows: Int64) throws(CallError) -> Int {
  guard count > 0 else { throw .usage("the number of input columns is \(count)") }
  guard !rows.multipliedReportingOverflow(by: Int64(count)).overflow else {
    throw .usage("\(rows) rows of \(count) columns are more than memory can hold")
  }
  return Int(count)
}

/// Observed rows as the caller has them.
struct ObservedParts: Sendable {
  let parts: Parts
  private let inputs: Source
  private let targets: Source
  private let inputColumns: [Column]
  private let outputColumn: Column
  private let categories: [Bool]
  /// Known errors of the targets.
  private let errors: Source?
  /// How many levels the target has; nil for a number.
  let levels: Int?

  init(_ rows: UnsafePointer<chorus_rows>?, errors: UnsafePointer<Double>? = nil) throws(CallError) {
    guard let rows = rows?.pointee else { throw .usage("no rows are given: the pointer is NULL") }
    guard (0...Self.mostLevels).contains(Int(rows.levels)) else {
      throw .usage("the number of the target's levels is \(rows.levels); give 0 for a number")
    }
    levels = rows.levels == 0 ? nil : Int(rows.levels)
    let count = try columns(rows.columns, rows.rows)
    parts = try Parts(
      rows.offsets, rows: rows.rows, contexts: rows.offsets == nil ? 1 : rows.contexts, "rows")
    inputs = try Source(rows.inputs, count: Int(rows.rows) * count, "inputs")
    targets = try Source(rows.targets, count: Int(rows.rows), "targets")
    self.errors = try errors.map { errors throws(CallError) in
      try Source(errors, count: Int(rows.rows), "errors")
    }
    var own: [Column] = []
    var categories: [Bool] = []
    for column in 0...count {
      let name = rows.names?[column].map { String(cString: $0) } ?? ""
      let kind = column < count ? rows.kinds?[column] ?? 0 : 0
      guard
        [CHORUS_NUMBER.rawValue, CHORUS_DATE.rawValue, CHORUS_CATEGORY.rawValue].contains(
          UInt32(bitPattern: kind))
      else {
        throw .usage("column \(column) has the kind \(kind), which is none that a model takes")
      }
      own.append(Column(name, unit: "", isDate: UInt32(bitPattern: kind) == CHORUS_DATE.rawValue))
      categories.append(UInt32(bitPattern: kind) == CHORUS_CATEGORY.rawValue)
    }
    self.categories = Array(categories.dropLast())
    outputColumn = own.removeLast()
    inputColumns = own
  }

  /// The rows of a table, NaN where a cell is missing; and their outputs.
  func cells(_ context: Int) throws -> (cells: Cells, y: [Double]) {
    let (rows, count) = (parts[context], inputColumns.count)
    return (
      try Cells(
        inputs[rows.lowerBound * count..<rows.upperBound * count], categories: categories), targets[rows]
    )
  }

  /// The rows of a table, and the level of each.
  func cellsAndLevels(_ context: Int) throws -> (cells: Cells, levels: [Int]) {
    let (cells, y) = try cells(context)
    return (cells, try levelNumbers(y, of: levels ?? 0))
  }

  /// Refuses levels of a category for a model of numbers.
  func refuseCategories() throws(CallError) {
    if levels != nil {
      throw .usage("the target is a category, which only a model of tables takes")
    }
    if let column = categories.firstIndex(of: true) {
      throw .usage("column \(column) is a category, which only a model of tables takes")
    }
  }

  func dataset(_ context: Int) throws -> Dataset {
    let (rows, count) = (parts[context], inputColumns.count)
    return try Dataset(
      inputs: Inputs(inputs[rows.lowerBound * count..<rows.upperBound * count], dimensions: count),
      y: targets[rows], errors: errors?[rows] ?? [], inputColumns: inputColumns, outputColumn: outputColumn)
  }

  /// What the columns behind the first hold, where they are known beside it.
  func covariates(_ context: Int) throws(CallError) -> [Covariate] {
    let (rows, count) = (parts[context], inputColumns.count)
    let cells = inputs[rows.lowerBound * count..<rows.upperBound * count]
    guard categories.first != true else {
      throw .usage("the first column of a series is its time, which is no category")
    }
    return try categories.indices.dropFirst().map { column throws(CallError) in
      guard categories[column] else { return .number }
      let numbers = stride(from: column, to: cells.count, by: count).map { cells[$0] }
      let most = Double(Self.mostLevels)
      guard numbers.allSatisfy({ $0 >= 0 && $0 < most && $0 == $0.rounded() }) else {
        throw CallError(
          code: CHORUS_DATA,
          "column \(column) is a category, and a row has no number of a level there: 0, 1, 2, … below \(Self.mostLevels)"
        )
      }
      return .category(levels: Int(numbers.max() ?? 0) + 1)
    }
  }

  private static let mostLevels = 100_000
}

/// Points as the caller has them.
struct PointParts: Sendable {
  let parts: Parts
  private let inputs: Source
  private let dimensions: Int
  /// How many points all contexts have.
  let total: Int

  init(_ points: UnsafePointer<chorus_points>?, contexts: Int) throws(CallError) {
    guard let points = points?.pointee else { throw .usage("no points are given: the pointer is NULL") }
    dimensions = try columns(points.columns, points.rows)
    parts = try Parts(points.offsets, rows: points.rows, contexts: Int64(contexts), "points")
    inputs = try Source(points.inputs, count: Int(points.rows) * dimensions, "inputs of the points")
    let (total, isTooLarge) =
      points.offsets == nil
      ? Int(points.rows).multipliedReportingOverflow(by: contexts) : (Int(points.rows), false)
    guard !isTooLarge else { throw .usage("\(contexts) contexts times \(points.rows) points are too many") }
    self.total = total
  }

  /// The points as rows of a table with these categories.
  func cells(_ context: Int, categories: [Bool]) throws -> Cells {
    guard dimensions == categories.count else {
      throw InferenceError.input(
        "the points have \(dimensions) columns and the rows read \(categories.count)")
    }
    let rows = parts[context]
    return try Cells(
      inputs[rows.lowerBound * dimensions..<rows.upperBound * dimensions], categories: categories)
  }

  /// The first number of each point, and how many each has.
  func firsts(_ context: Int) -> (values: [Double], columns: Int) {
    let rows = parts[context]
    let all = inputs[rows.lowerBound * dimensions..<rows.upperBound * dimensions]
    return (stride(from: 0, to: all.count, by: dimensions).map { all[$0] }, dimensions)
  }

  func inputs(_ context: Int) throws -> Inputs {
    let rows = parts[context]
    return try Inputs(
      inputs[rows.lowerBound * dimensions..<rows.upperBound * dimensions], dimensions: dimensions)
  }
}

/// What the caller asks for beside the defaults.
struct Options: @unchecked Sendable {
  let values: ValueScale.Choice
  let limits: ClosedRange<Double>?
  let asked: UnsafePointer<chorus_points>?
  /// nil for the one that the model takes where none is named.
  let plan: PlanTemplate?
  let seed: UInt64
  let flopLimit: Double
  let latent: Bool
  let orders: Int
  private let token: TokenHandle?
  private let codes: UnsafeMutablePointer<Int32>?

  init(_ given: UnsafePointer<chorus_options>?) throws {
    let given = given?.pointee ?? chorus_options()
    let scale = given.scale.map { String(cString: $0) } ?? "auto"
    guard let values = ValueScale.Choice(rawValue: scale) else {
      let known = ValueScale.Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw CallError.usage("the scale '\(scale)' is none of \(known)")
    }
    self.values = values
    limits = try Self.limits(given.least?.pointee, given.most?.pointee)
    asked = given.asked
    plan = try given.plan.map { try PlanTemplate(parsing: String(cString: $0)) }
    seed = given.seed
    guard given.flop_limit >= 0 else {
      throw CallError.usage("the limit of arithmetic is \(given.flop_limit)")
    }
    flopLimit = given.flop_limit == 0 ? Posterior.flopLimit : given.flop_limit
    latent = given.latent != 0
    guard given.orders >= 0 else { throw CallError.usage("the number of orders is \(given.orders)") }
    orders = given.orders == 0 ? 8 : Int(given.orders)
    token = try given.token.map { try TokenHandle.of($0) }
    codes = given.codes
  }

  private static func limits(_ least: Double?, _ most: Double?) throws(CallError) -> ClosedRange<Double>? {
    guard least != nil || most != nil else { return nil }
    let ends = (least ?? -.infinity, most ?? .infinity)
    guard ends.0 < ends.1 else {
      throw .usage("the least value, \(ends.0), is not below the largest, \(ends.1)")
    }
    return ends.0...ends.1
  }

  /// What `body` makes of every context, on all threads. A context that fails ends the call, or where there is room for codes
  /// has its own there.
  func each<Value: Sendable>(
    _ contexts: Int, on model: ModelHandle, _ body: @escaping @Sendable (Int) throws -> Value
  ) throws -> [Result<Value, CallError>] {
    let cancellation = token?.cancellation ?? Cancellation()
    let results = try model.pool.map(contexts) { context in
      cancellation.watching {
        Result { try body(context) }.mapError { CallError($0).of(context: context, among: contexts) }
      }
    }
    for (context, result) in results.enumerated() {
      var code: Int32 = 0
      if case .failure(let failure) = result {
        guard codes != nil, failure.code != CHORUS_CANCELLED.rawValue else { throw failure }
        code = failure.code
      }
      codes?[context] = code
    }
    return results
  }
}
