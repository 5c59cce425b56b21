import CChorus
import ChorusData
import ChorusInference
import ChorusModels
import Foundation
import Testing

@testable import ChorusC

/// A series with more rows than the model reads at once: every point is answered by the rows around it, as in the program.
@Suite struct LongSeriesCallTests {
  private static let count = 1300
  private static let y = (0..<count + 40).map { row -> Double in
    20 + 3 * sin(2 * .pi * Double(row) / 24) + 0.1 * cos(Double(row) * 2.3)
  }
  /// A gap near the start, and what follows.
  private static let at = [100.5, 101.5, 1345, 1346]

  private final class Handles {
    var model: OpaquePointer?
    var made: [OpaquePointer?] = []

    init() { #expect(chorus_open("functions", 2, &model) == 0, "\(words)") }
    deinit { for handle in made + [model] { chorus_free(handle.map { UnsafeMutableRawPointer($0) }) } }

    private var words: String { chorus_last_error().map { String(cString: $0) } ?? "" }

    private func rows(
      _ range: Range<Int>, _ body: (UnsafePointer<chorus_rows>, inout OpaquePointer?) -> Int32
    ) -> OpaquePointer? {
      var posterior: OpaquePointer?
      let (x, y) = (range.map(Double.init), Array(LongSeriesCallTests.y[range]))
      x.withUnsafeBufferPointer { x in
        y.withUnsafeBufferPointer { y in
          var rows = chorus_rows()
          (rows.inputs, rows.targets, rows.rows, rows.columns) = (
            x.baseAddress, y.baseAddress, Int64(y.count), 1
          )
          #expect(body(&rows, &posterior) == 0, "\(words)")
        }
      }
      made.append(posterior)
      return posterior
    }

    func condition(_ range: Range<Int>) -> OpaquePointer? {
      rows(range) { chorus_condition(model, $0, nil, &$1) }
    }

    func append(_ range: Range<Int>, to posterior: OpaquePointer?) -> OpaquePointer? {
      rows(range) { chorus_append(posterior, $0, nil, &$1) }
    }

    func knowing(_ input: Double, _ value: Double, _ posterior: OpaquePointer?) -> OpaquePointer? {
      var informed: OpaquePointer?
      withUnsafePointer(to: input) { input in
        var known = chorus_known()
        (known.input, known.least, known.most) = (input, value, value)
        #expect(chorus_given(posterior, &known, 1, nil, &informed) == 0, "\(words)")
      }
      made.append(informed)
      return informed
    }

    /// Four paths through points, one after the other, and the words about them.
    func paths(_ posterior: OpaquePointer?, at: [Double] = LongSeriesCallTests.at) -> (
      values: [Double], notes: String
    ) {
      var values = [Double](repeating: 0, count: 4 * at.count)
      points(at) {
        #expect(chorus_sample(posterior, $0, 4, nil, nil, 0, &values, nil, nil, nil) == 0, "\(words)")
      }
      return (values, chorus_notes(0).map { String(cString: $0) } ?? "")
    }

    func means(_ posterior: OpaquePointer?, at: [Double] = LongSeriesCallTests.at) -> (
      values: [Double], notes: String
    ) {
      var values = [Double](repeating: 0, count: at.count)
      points(at) {
        #expect(
          chorus_marginals(posterior, $0, nil, nil, 0, nil, &values, nil, nil, nil) == 0, "\(words)")
      }
      return (values, chorus_notes(0).map { String(cString: $0) } ?? "")
    }

    private func points(_ at: [Double], _ body: (UnsafePointer<chorus_points>) -> Void) {
      at.withUnsafeBufferPointer { at in
        var points = chorus_points()
        (points.inputs, points.rows, points.columns) = (at.baseAddress, Int64(at.count), 1)
        body(&points)
      }
    }
  }

  private func sections(_ rows: Range<Int>) throws -> SectionedPosterior<Posterior> {
    let model = try Model(named: "functions")
    let data = try Dataset(x: rows.map(Double.init), y: Array(Self.y[rows]))
    return try #require(SectionedPosterior(model, data) { try model.condition(on: $0) })
  }

  private func paths(_ posterior: any Answering, at: [Double] = Self.at) throws -> Posterior.Samples {
    try posterior.paths(
      4, at: Inputs(at), plan: Model(named: "functions").defaultPlan, seed: 0, latent: false,
      flopLimit: 1e13, progress: nil)
  }

  @Test("Paths, laws and words are those of the program")
  func asInTheProgram() throws {
    let handles = Handles()
    let posterior = handles.condition(0..<Self.count)
    let (values, notes) = handles.paths(posterior)
    let expected = try paths(sections(0..<Self.count))
    #expect(values == expected.paths.flatMap { $0 })
    #expect(notes == expected.notes.map(\.description).joined(separator: "; "))
    #expect(notes.contains("in 2 sections"))
    let laws = try sections(0..<Self.count).laws(of: Inputs(Self.at), flopLimit: 1e13)
    #expect(handles.means(posterior).values == laws.map(\.mean))
    #expect(handles.means(posterior).notes.contains("in 2 sections"))
    // A gap knows its neighbours: the latest rows alone would know the season, and not these values.
    #expect(abs(handles.means(posterior).values[0] - (Self.y[100] + Self.y[101]) / 2) < 0.6)
    let text = String(cString: chorus_describe(posterior.map { UnsafeRawPointer($0) }))
    #expect(text.contains("\"rows\":1300") && text.contains("latest"), "\(text)")
  }

  @Test("Rows that follow are taken in by what has read the latest; a gap before them keeps its answer")
  func appended() throws {
    let handles = Handles()
    let posterior = handles.condition(0..<Self.count)
    let longer = handles.append(Self.count..<Self.count + 3, to: posterior)
    let gap = [100.5, 101.5]
    #expect(handles.means(longer, at: gap).values == handles.means(posterior, at: gap).values)
    let model = try Model(named: "functions")
    let data = try Dataset(
      x: (0..<Self.count).map(Double.init), y: Array(Self.y[0..<Self.count]))
    let more = try Dataset(
      x: (Self.count..<Self.count + 3).map(Double.init), y: Array(Self.y[Self.count..<Self.count + 3]))
    let latest = try model.condition(on: data).observing(more: more)
    #expect(
      try handles.paths(longer, at: [1310]).values == paths(latest, at: [1310]).paths.flatMap { $0 })
    // Rows between others are read with them.
    let between = handles.append(50..<51, to: posterior)
    #expect(handles.means(between, at: gap).values != handles.means(posterior, at: gap).values)
    let text = String(cString: chorus_describe(longer.map { UnsafeRawPointer($0) }))
    #expect(text.contains("\"rows\":1303"), "\(text)")
  }

  @Test("A known value is a row more, wherever it lies")
  func known() throws {
    let handles = Handles()
    let posterior = handles.condition(0..<Self.count)
    let informed = handles.knowing(101, 30, posterior)
    let data = try Dataset(
      x: (0..<Self.count).map(Double.init) + [101], y: Array(Self.y[0..<Self.count]) + [30])
    let model = try Model(named: "functions")
    let expected = try #require(SectionedPosterior(model, data) { try model.condition(on: $0) })
    #expect(try handles.paths(informed).values == paths(expected).paths.flatMap { $0 })
  }

  @Test("What is kept in a file are the latest rows, as the program keeps them")
  func keptRows() throws {
    let handles = Handles()
    let path = NSTemporaryDirectory() + "chorus-long-\(UUID().uuidString).safetensors"
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(chorus_save(handles.condition(0..<Self.count), 0, path) == 0)
    var loaded: OpaquePointer?
    #expect(chorus_load(handles.model, path, &loaded) == 0)
    handles.made.append(loaded)
    let model = try Model(named: "functions")
    let latest = try model.condition(
      on: Dataset(x: (0..<Self.count).map(Double.init), y: Array(Self.y[0..<Self.count])))
    #expect(try handles.paths(loaded, at: [1300]).values == paths(latest, at: [1300]).paths.flatMap { $0 })
  }
}
