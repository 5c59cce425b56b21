import CChorus
import ChorusData
import ChorusInference
import ChorusModels
import Foundation
import Testing

@testable import ChorusC

/// Series of which more is known than rows: errors, and columns beside time.
@Suite struct SeriesCallTests {
  private static let count = 40
  /// Time, a price, and one of two shops.
  private static let cells = (0..<count).flatMap { row -> [Double] in
    [Double(row), 5 + cos(Double(row) * 1.7), row % 3 == 0 ? 1 : 0]
  }
  private static let y = (0..<count).map { row -> Double in
    let season = 3 * sin(Double(row) * 2 * .pi / 7)
    return 20 + season - 2 * cells[3 * row + 1] + 4 * cells[3 * row + 2] + 0.1 * cos(Double(row) * 2.3)
  }
  private static let errors = (0..<count).map { 0.2 + 0.3 * Double($0 % 4) }
  private static let at = [40.0, 5.5, 0, 41, 4.2, 1, 42, 6, 0]

  private final class Handles {
    var model: OpaquePointer?
    var posterior: OpaquePointer?

    init(_ name: String = "functions") {
      #expect(chorus_open(name, 1, &model) == 0, "\(words)")
    }
    deinit {
      chorus_free(posterior.map { UnsafeMutableRawPointer($0) })
      chorus_free(model.map { UnsafeMutableRawPointer($0) })
    }

    func condition(
      _ cells: [Double], columns: Int, kinds: [chorus_kind], errors: [Double]? = nil, levels: Int32 = 0
    ) -> Int32 {
      let kinds = kinds.map { Int32($0.rawValue) }
      return cells.withUnsafeBufferPointer { cells in
        SeriesCallTests.y.withUnsafeBufferPointer { y in
          kinds.withUnsafeBufferPointer { kinds in
            var rows = chorus_rows()
            (rows.inputs, rows.targets, rows.rows) = (cells.baseAddress, y.baseAddress, Int64(y.count))
            (rows.columns, rows.kinds, rows.levels) = (Int32(columns), kinds.baseAddress, levels)
            guard let errors else { return chorus_condition_series(model, &rows, nil, nil, &posterior) }
            return chorus_condition_series(model, &rows, errors, nil, &posterior)
          }
        }
      }
    }

    func points<Value>(_ cells: [Double], columns: Int, _ body: (UnsafePointer<chorus_points>) -> Value)
      -> Value
    {
      cells.withUnsafeBufferPointer { cells in
        var points = chorus_points()
        (points.inputs, points.rows) = (cells.baseAddress, Int64(cells.count / columns))
        points.columns = Int32(columns)
        return body(&points)
      }
    }
  }

  private static var words: String { chorus_last_error().map { String(cString: $0) } ?? "" }
  private var words: String { Self.words }

  @Test("Columns beside time: paths, densities and laws are those of the core")
  func besideTime() throws {
    let handles = Handles()
    #expect(
      handles.condition(Self.cells, columns: 3, kinds: [CHORUS_NUMBER, CHORUS_NUMBER, CHORUS_CATEGORY]) == 0,
      "\(words)")
    let data = try Dataset(inputs: Inputs(Self.cells, dimensions: 3), y: Self.y)
    let posterior = try CovariatePosterior(
      Model(named: "functions"), data, [.number, .category(levels: 2)])
    let inputs = try Inputs(Self.at, dimensions: 3)
    var (values, density) = ([Double](repeating: 0, count: 24), 0.0)
    let plan = try Model(named: "functions").defaultPlan
    #expect(
      handles.points(Self.at, columns: 3) {
        chorus_sample(handles.posterior, $0, 8, nil, nil, 0, &values, nil, nil, nil)
      } == 0, "\(words)")
    #expect(try values == posterior.sample(8, at: inputs, plan: plan).paths.flatMap { $0 })
    #expect(
      handles.points(Self.at, columns: 3) {
        chorus_log_density(handles.posterior, $0, [9, 12, 8], nil, &density)
      } == 0, "\(words)")
    #expect(try density == posterior.logDensity(of: [9, 12, 8], at: inputs, plan: plan).value)
    var means = [Double](repeating: 0, count: 3)
    #expect(
      handles.points(Self.at, columns: 3) {
        chorus_marginals(handles.posterior, $0, nil, nil, 0, nil, &means, nil, nil, nil)
      } == 0, "\(words)")
    #expect(try means == posterior.marginals(at: inputs).map(\.mean))

    // What is known of paths holds; what is kept or added needs all rows.
    var informed: OpaquePointer?
    defer { chorus_free(informed.map { UnsafeMutableRawPointer($0) }) }
    let low = "sum".withCString { name in
      var known = chorus_known()
      (known.number, known.least, known.most) = (name, -.infinity, means.reduce(0, +))
      return chorus_given(handles.posterior, &known, 1, nil, &informed)
    }
    #expect(low == 0, "\(words)")
    #expect(
      handles.points(Self.at, columns: 3) {
        chorus_sample(informed, $0, 8, nil, nil, 0, &values, nil, nil, nil)
      } == 0, "\(words)")
    #expect((0..<8).allSatisfy { values[3 * $0..<3 * $0 + 3].reduce(0, +) <= means.reduce(0, +) })
    #expect(chorus_save(handles.posterior, 0, "/dev/null") == 64 && words.contains("are not kept in a file"))
  }

  @Test("A point outside of what the rows have is said")
  func beyond() throws {
    let handles = Handles()
    #expect(
      handles.condition(Self.cells, columns: 3, kinds: [CHORUS_NUMBER, CHORUS_NUMBER, CHORUS_CATEGORY]) == 0)
    var values = [0.0]
    #expect(
      handles.points([41, 50, 0], columns: 3) {
        chorus_sample(handles.posterior, $0, 1, nil, nil, 0, &values, nil, nil, nil)
      } == 0)
    #expect(String(cString: chorus_notes(0)).contains("outside of what the rows have"))
  }

  @Test("Known errors are read as the core reads them")
  func knownErrors() throws {
    let handles = Handles()
    let times = (0..<Self.count).map(Double.init)
    #expect(
      handles.condition(times, columns: 1, kinds: [CHORUS_NUMBER], errors: Self.errors) == 0, "\(words)")
    var values = [Double](repeating: 0, count: 10)
    let at = [40.0, 41]
    #expect(
      handles.points(at, columns: 1) {
        chorus_sample(handles.posterior, $0, 5, nil, nil, 0, &values, nil, nil, nil)
      } == 0)
    let model = try Model(named: "functions")
    let data = try Dataset(inputs: Inputs(times), y: Self.y, errors: Self.errors)
    let posterior = try model.condition(on: data)
    #expect(try values == posterior.sample(5, at: Inputs(at), plan: model.defaultPlan).paths.flatMap { $0 })
    #expect(
      try values
        != model.condition(on: Dataset(inputs: Inputs(times), y: Self.y)).sample(
          5, at: Inputs(at), plan: model.defaultPlan
        ).paths.flatMap { $0 })
  }

  @Test func refuses() throws {
    let handles = Handles()
    let kinds = [CHORUS_NUMBER, CHORUS_NUMBER, CHORUS_CATEGORY]
    var cells = Self.cells
    cells[5] = 0.5
    #expect(handles.condition(cells, columns: 3, kinds: kinds) == 65 && words.contains("number of a level"))
    #expect(
      handles.condition(Self.cells, columns: 3, kinds: [CHORUS_CATEGORY, CHORUS_NUMBER, CHORUS_NUMBER]) == 64
        && words.contains("is no category"))
    #expect(
      handles.condition(Self.cells, columns: 3, kinds: kinds, levels: 2) == 64
        && words.contains("only a model of tables"))
    var errors = Self.errors
    errors[3] = -1
    let times = (0..<Self.count).map(Double.init)
    #expect(handles.condition(times, columns: 1, kinds: [CHORUS_NUMBER], errors: errors) == 65, "\(words)")
    let tables = Handles("tables")
    #expect(
      tables.condition(Self.cells, columns: 3, kinds: kinds) == 64 && words.contains("reads no series"))
  }
}
