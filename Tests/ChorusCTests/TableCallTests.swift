import CChorus
import ChorusData
import ChorusInference
import ChorusModels
import Foundation
import Testing

@testable import ChorusC

/// Tables through the C functions: what is drawn is what the program draws.
@Suite struct TableCallTests {
  private var words: String { chorus_last_error().map { String(cString: $0) } ?? "" }

  @Test func tablesTakeCategoriesAndGaps() throws {
    let inputs = [0, 1.5, 1, .nan, 2, 0.5, 0, 2.5, 1, 1.0, 2, 3, 0, 2.25, 1, 0.75]
    let targets = [1.5, 3, 4, 2.5, 3, 6, 2.25, 2.75]
    var model: OpaquePointer?
    var posterior: OpaquePointer?
    defer {
      chorus_free(posterior.map { UnsafeMutableRawPointer($0) })
      chorus_free(model.map { UnsafeMutableRawPointer($0) })
    }
    #expect(chorus_open("tables", 1, &model) == 0, "\(words)")
    let kinds = [Int32(CHORUS_CATEGORY.rawValue), Int32(CHORUS_NUMBER.rawValue)]
    let code = kinds.withUnsafeBufferPointer { kinds in
      inputs.withUnsafeBufferPointer { inputs in
        targets.withUnsafeBufferPointer { targets in
          var rows = chorus_rows()
          (rows.inputs, rows.targets, rows.rows) = (inputs.baseAddress, targets.baseAddress, 8)
          (rows.columns, rows.kinds) = (2, kinds.baseAddress)
          return chorus_condition(model, &rows, nil, &posterior)
        }
      }
    }
    #expect(code == 0, "\(words)")
    let asked = [1, 1.25, 7, .nan]
    var values = [Double](repeating: 0, count: 10)
    let drawn = asked.withUnsafeBufferPointer { asked in
      var points = chorus_points()
      (points.inputs, points.rows, points.columns) = (asked.baseAddress, 2, 2)
      return chorus_sample(posterior, &points, 5, nil, nil, 0, &values, nil, nil, nil)
    }
    #expect(drawn == 0, "\(words)")
    let categories = [true, false]
    // What the program draws: the rows asked for are those of the table that lack the target.
    let chain = try Self.chain(inputs, targets, asked, categories: categories, levels: nil)
    #expect(try values == chain.sample(5, seed: 0).paths.flatMap { $0 })
    #expect(chorus_save(posterior, 0, "/nowhere/t.safetensors") == CHORUS_USAGE.rawValue)
    #expect(words.contains("a table that was read is not kept in a file yet"))
  }

  /// A table with the target behind the inputs and the rows asked for behind those observed.
  private static func chain(
    _ inputs: [Double], _ targets: [Double], _ asked: [Double], categories: [Bool], levels: Int?,
    by model: String = "tables"
  ) throws -> TableChain {
    let columns = categories.count
    func rows(_ cells: [Double], _ target: (Int) -> Double) -> [Double] {
      (0..<cells.count / columns).flatMap {
        Array(cells[$0 * columns..<($0 + 1) * columns]) + [target($0)]
      }
    }
    let cells = try Cells(
      rows(inputs) { targets[$0] } + rows(asked) { _ in .nan }, categories: categories + [levels != nil])
    let step = TableChain.Step(column: columns, inputs: Array(0..<columns), levels: levels)
    return try TableChain(Model(named: model), cells, steps: [step])
  }

  /// By estimators alone, and by the network that judges them.
  @Test(arguments: ["tables", "classes"]) func aCategoryHasProbabilities(name: String) throws {
    let inputs: [Double] = (0..<40).flatMap { row -> [Double] in
      [Double(row % 4), Double((row * 7) % 11) / 3]
    }
    let levels: [Double] = (0..<40).map { row in
      if row % 4 == 0 { return 2 }
      return (row * 7) % 11 > 5 ? 1 : 0
    }
    let asked = [0, 1.2, 3, .nan, 1, 3]
    let categories = [true, false]
    var (model, posterior): (OpaquePointer?, OpaquePointer?)
    defer {
      chorus_free(posterior.map { UnsafeMutableRawPointer($0) })
      chorus_free(model.map { UnsafeMutableRawPointer($0) })
    }
    #expect(chorus_open(name, 2, &model) == 0, "\(words)")
    func condition(_ targets: [Double], levels count: Int32) -> Int32 {
      chorus_free(posterior.map { UnsafeMutableRawPointer($0) })
      return [Int32(CHORUS_CATEGORY.rawValue), 0].withUnsafeBufferPointer { kinds in
        inputs.withUnsafeBufferPointer { inputs in
          targets.withUnsafeBufferPointer { targets in
            var rows = chorus_rows()
            (rows.inputs, rows.targets, rows.rows) = (
              inputs.baseAddress, targets.baseAddress, Int64(targets.count)
            )
            (rows.columns, rows.kinds, rows.levels) = (2, kinds.baseAddress, count)
            return chorus_condition(model, &rows, nil, &posterior)
          }
        }
      }
    }
    func ask(_ body: (UnsafePointer<chorus_points>) -> Int32) -> Int32 {
      asked.withUnsafeBufferPointer { asked in
        var points = chorus_points()
        (points.inputs, points.rows, points.columns) = (asked.baseAddress, 3, 2)
        return body(&points)
      }
    }
    #expect(condition(levels, levels: 3) == 0, "\(words)")
    var (likely, drawn) = ([Double](repeating: 0, count: 9), [Double](repeating: -1, count: 60))
    var options = chorus_options()
    options.seed = 5
    #expect(ask { chorus_probabilities(posterior, $0, nil, &likely) } == 0, "\(words)")
    #expect(
      ask { chorus_sample(posterior, $0, 20, &options, nil, 0, &drawn, nil, nil, nil) } == 0, "\(words)")
    let chain = try Self.chain(inputs, levels, asked, categories: categories, levels: 3, by: name)
    #expect(try drawn == chain.sample(20, seed: 5).paths.flatMap { $0 })
    // What is said of a row depends on no path.
    #expect(try likely == chain.sample(1).expected.flatMap { $0 })

    var (density, alone, mean) = (0.0, [0.0, 0, 0], [0.0, 0, 0])
    #expect(ask { chorus_log_density(posterior, $0, [2, 0, 1], nil, &density) } == 0, "\(words)")
    #expect(ask { chorus_marginals(posterior, $0, nil, nil, 0, [2, 0, 1], nil, nil, nil, &alone) } == 0)
    #expect(alone == [log(likely[2]), log(likely[3]), log(likely[7])])
    // Rows go together by the network alone.
    let sum: Double = alone.reduce(0, +)
    let isSum: Bool = density == sum
    #expect(isSum == (name == "tables"))
    #expect(ask { chorus_log_density(posterior, $0, [2, 0, 1.5], nil, &density) } == 65)
    #expect(words.contains("1.5 is the number of no level"), "\(words)")
    let meanCode = ask { chorus_sample(posterior, $0, 2, nil, nil, 0, nil, &mean, nil, nil) }
    #expect(meanCode == 64 && words.contains("no mean"), "\(words)")
    #expect(String(cString: chorus_describe(posterior.map { UnsafeRawPointer($0) })).contains("\"levels\":3"))

    #expect(condition(levels.map { _ in 1 }, levels: 3) == 0, "\(words)")
    #expect(ask { chorus_probabilities(posterior, $0, nil, &likely) } == 0)
    #expect(likely == [0, 1, 0, 0, 1, 0, 0, 1, 0], "as the program has it where all rows are the same")
    #expect(condition(levels, levels: 2) == 65 && words.contains("row 0: 2.0 is the number of no level"))
    #expect(condition(levels, levels: -1) == 64)
    guard name == "tables" else {
      #expect(condition(levels, levels: 0) != 0 && words.contains("predicts categories"), "\(words)")
      return
    }
    #expect(condition(levels, levels: 0) == 0)
    #expect(ask { chorus_probabilities(posterior, $0, nil, &likely) } == 64 && words.contains("a number"))
  }

  @Test func theNetworkOfClassesAndItsEstimatorsDiffer() throws {
    let inputs: [Double] = (0..<40).flatMap { row -> [Double] in
      [Double(row % 4), Double((row * 7) % 11) / 3]
    }
    let levels: [Double] = (0..<40).map { row in
      if row % 4 == 0 { return 2 }
      return (row * 7) % 11 > 5 ? 1 : 0
    }
    let said = try ["tables", "classes"].map {
      try Self.chain(inputs, levels, [0, 1.2, 3, .nan], categories: [true, false], levels: 3, by: $0)
        .sample(1).expected
    }
    let (pool, network) = (said[0].flatMap { $0 }, said[1].flatMap { $0 })
    #expect(pool != network && zip(pool, network).allSatisfy { abs($0 - $1) < 0.5 })
  }
}
