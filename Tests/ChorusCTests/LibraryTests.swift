import CChorus
import ChorusData
import ChorusInference
import ChorusModels
import Foundation
import Testing

@testable import ChorusC

/// The C functions, called as C calls them.
@Suite struct LibraryTests {
  private static let x = [0.0, 1, 2, 3.5, 4, 6]
  private static let y = [3.1, 2.9, 3.4, 4.0, 4.2, 3.8]
  private static let at = [2.5, 5, 7]

  /// Handles that are let go of with the test.
  private final class Handles {
    var model: OpaquePointer?
    var posterior: OpaquePointer?

    init(threads: Int32 = 2) throws {
      #expect(chorus_open("functions", threads, &model) == 0, "\(words)")
      #expect(LibraryTests.condition(model, LibraryTests.x, LibraryTests.y, &posterior) == 0, "\(words)")
    }
    deinit {
      chorus_free(posterior.map { UnsafeMutableRawPointer($0) })
      chorus_free(model.map { UnsafeMutableRawPointer($0) })
    }
  }

  private static var words: String { chorus_last_error().map { String(cString: $0) } ?? "" }
  private var words: String { Self.words }

  private static func condition(
    _ model: OpaquePointer?, _ x: [Double], _ y: [Double], offsets: [Int64]? = nil,
    _ posterior: inout OpaquePointer?, _ options: chorus_options = chorus_options()
  ) -> Int32 {
    x.withUnsafeBufferPointer { x in
      y.withUnsafeBufferPointer { y in
        (offsets ?? []).withUnsafeBufferPointer { places in
          var rows = chorus_rows()
          (rows.inputs, rows.targets, rows.rows, rows.columns) = (
            x.baseAddress, y.baseAddress, Int64(y.count), 1
          )
          if let offsets { (rows.offsets, rows.contexts) = (places.baseAddress, Int64(offsets.count - 1)) }
          var options = options
          return chorus_condition(model, &rows, &options, &posterior)
        }
      }
    }
  }

  private func withPoints<Value>(
    _ at: [Double], _ offsets: [Int64]? = nil, _ body: (UnsafePointer<chorus_points>) -> Value
  ) -> Value {
    at.withUnsafeBufferPointer { at in
      (offsets ?? []).withUnsafeBufferPointer { places in
        var points = chorus_points()
        (points.inputs, points.rows, points.columns) = (at.baseAddress, Int64(at.count), 1)
        if offsets != nil { points.offsets = places.baseAddress }
        return body(&points)
      }
    }
  }

  private func reference() throws -> Posterior {
    try Model(named: "functions").condition(on: Dataset(x: Self.x, y: Self.y))
  }

  @Test func pathsAgreeWithWhatIsKnown() throws {
    let handles = try Handles()
    var informed: OpaquePointer?
    defer { chorus_free(informed.map { UnsafeMutableRawPointer($0) }) }
    func know(_ input: [Double]?, _ number: String?, _ least: Double, _ most: Double) -> Int32 {
      chorus_free(informed.map { UnsafeMutableRawPointer($0) })
      return (input ?? []).withUnsafeBufferPointer { place in
        (number ?? "").withCString { name in
          var known = chorus_known()
          (known.input, known.number) = (input == nil ? nil : place.baseAddress, number == nil ? nil : name)
          (known.least, known.most) = (least, most)
          return chorus_given(handles.posterior, &known, 1, nil, &informed)
        }
      }
    }
    var values = [Double](repeating: 0, count: 60)
    func draw() -> Int32 {
      withPoints(Self.at) { chorus_sample(informed, $0, 20, nil, nil, 0, &values, nil, nil, nil) }
    }
    #expect(know(nil, "sum", -.infinity, 11) == 0 && draw() == 0, "\(words)")
    let low = try reference().sample(
      20, at: Inputs(Self.at), given: [.path(in: -.infinity...11) { $0.reduce(0, +) }])
    #expect(values == low.paths.flatMap { $0 })
    #expect(low.paths.count == 20)
    var density = 0.0
    #expect(withPoints(Self.at) { chorus_log_density(informed, $0, [3, 4, 4], nil, &density) } == 64)

    #expect(know([5], nil, 4.5, .infinity) == 0 && draw() == 0, "\(words)")
    #expect((0..<20).allSatisfy { values[$0 * 3 + 1] >= 4.5 })
    #expect(know([7], nil, 5, 5) == 0 && draw() == 0, "\(words)")
    let pinned = try reference().given(Dataset(x: [7], y: [5]))
    #expect(try values == pinned.sample(20, at: Inputs(Self.at)).paths.flatMap { $0 })

    #expect(know([5], nil, 1e6, .infinity) == 0 && draw() == 65 && words.contains("too few"), "\(words)")
    #expect(know(nil, "sum", 3, 3) == 64 && words.contains("no path meets sum"))
    #expect(know(nil, "median", 3, 4) == 64 && words.contains("none of sum"))
    #expect(know(nil, nil, 3, 4) == 64)
    #expect(know([5], nil, 4, 3) == 64 && know([.nan], nil, 3, 4) == 65)
  }

  @Test func answersAreThoseOfTheCore() throws {
    let handles = try Handles()
    let expected = try reference().sample(9, at: Inputs(Self.at), seed: 7)
    var (values, means) = ([Double](repeating: 0, count: 27), [Double](repeating: 0, count: 3))
    var (quantiles, outside) = ([Double](repeating: 0, count: 6), [Int32](repeating: -1, count: 3))
    var options = chorus_options()
    options.seed = 7
    let code = withPoints(Self.at) {
      chorus_sample(handles.posterior, $0, 9, &options, [0.1, 0.9], 2, &values, &means, &quantiles, &outside)
    }
    #expect(code == 0, "\(words)")
    #expect(values == expected.paths.flatMap { $0 })
    #expect(means == expected.means)
    #expect(quantiles == expected.quantiles([0.1, 0.9]).flatMap { $0 })
    #expect(outside == expected.outside.map { Int32($0.rawValue) })

    var density = 0.0
    #expect(withPoints(Self.at) { chorus_log_density(handles.posterior, $0, [3, 4, 4], nil, &density) } == 0)
    #expect(try density == reference().logDensity(of: [3, 4, 4], at: Inputs(Self.at)).value)

    let laws = try reference().marginals(at: Inputs(Self.at))
    var (variances, densities) = ([Double](repeating: 0, count: 3), [Double](repeating: 0, count: 3))
    let marginals = withPoints(Self.at) {
      chorus_marginals(
        handles.posterior, $0, nil, [0.5], 1, [3, 4, 4], &means, &variances, &quantiles, &densities)
    }
    #expect(marginals == 0)
    #expect(means == laws.map(\.mean) && variances == laws.map(\.variance))
    #expect(Array(quantiles.prefix(3)) == laws.map { $0.quantile(0.5) })
    #expect(densities == zip(laws, [3.0, 4, 4]).map { $0.logDensity($1) })

    var sums = [Double](repeating: 0, count: 18)
    #expect(
      withPoints(Self.at) { chorus_functionals(handles.posterior, $0, 9, values, "sum,max", &sums) } == 0)
    #expect(sums == expected.paths.map { $0.reduce(0, +) } + expected.paths.map { $0.max() ?? 0 })
  }

  /// Contexts of one call, one of which cannot be answered, have the bytes of calls of their own.
  @Test func contextsTogether() throws {
    let handles = try Handles()
    let (x, y) = (Self.x + [1] + Self.x, Self.y + [2] + Self.y.map { 10 - $0 })
    var options = chorus_options()
    var codes = [Int32](repeating: -1, count: 3)
    var many: OpaquePointer?
    defer { chorus_free(many.map { UnsafeMutableRawPointer($0) }) }
    let failed = Self.condition(handles.model, x, y, offsets: [0, 6, 7, 13], &many)
    #expect(failed == 65 && words.hasPrefix("context 1: ") && words.contains("at least 2"), "\(words)")
    #expect(many == nil)
    codes.withUnsafeMutableBufferPointer { codes in
      options.codes = codes.baseAddress
      #expect(Self.condition(handles.model, x, y, offsets: [0, 6, 7, 13], &many, options) == 0, "\(words)")
    }
    #expect(codes == [0, 65, 0])
    #expect(String(cString: chorus_notes(1)).contains("at least 2"))

    var values = [Double](repeating: 0, count: 4 * 6)
    codes.withUnsafeMutableBufferPointer { codes in
      options.codes = codes.baseAddress
      let points = [2.5, 5, 1, 0.5, 2.5, 7]
      let code = withPoints(points, [0, 2, 3, 6]) {
        chorus_sample(many, $0, 4, &options, nil, 0, &values, nil, nil, nil)
      }
      #expect(code == 0, "\(words)")
    }
    // Named once, however often it is asked.
    let note = String(cString: chorus_notes(1))
    #expect(note.hasPrefix("context 1: this model"), "\(note)")
    let first = try reference().sample(4, at: Inputs([2.5, 5])).paths
    let model = try Model(named: "functions")
    let last = try model.condition(on: Dataset(x: Self.x, y: Self.y.map { 10 - $0 }))
      .sample(4, at: Inputs([0.5, 2.5, 7])).paths
    #expect(Array(values.prefix(8)) == first.flatMap { $0 })
    #expect(values[8..<12].allSatisfy { $0.isNaN })
    #expect(Array(values.suffix(12)) == last.flatMap { $0 })
    // The same points for all contexts.
    var means = [Double](repeating: 0, count: 9)
    codes.withUnsafeMutableBufferPointer { codes in
      options.codes = codes.baseAddress
      #expect(
        withPoints(Self.at) { chorus_sample(many, $0, 4, &options, nil, 0, nil, &means, nil, nil) } == 0)
    }
    #expect(try Array(means.prefix(3)) == reference().sample(4, at: Inputs(Self.at)).means)
    #expect(means[3..<6].allSatisfy { $0.isNaN } && means[6..<9].allSatisfy { $0.isFinite })
  }

  @Test func whatIsWrongIsSaid() throws {
    let handles = try Handles()
    var other: OpaquePointer?
    #expect(chorus_open("no-such-model", 0, &other) == 66 && words.contains("no model 'no-such-model'"))
    #expect(chorus_open(nil, 0, &other) == 64)
    #expect(chorus_open("functions", -1, &other) == 64)
    #expect(Self.condition(nil, Self.x, Self.y, &other) == 64 && words.contains("NULL"))
    #expect(
      Self.condition(handles.posterior, Self.x, Self.y, &other) == 64 && words.contains("not one of a model"))
    #expect(Self.condition(handles.model, Self.x, Self.y, offsets: [0, 7], &other) == 64)
    #expect(words.contains("do not rise from 0 to 6"))
    #expect(Self.condition(handles.model, Self.x, Self.y, offsets: [0, 4, 2, 6], &other) == 64)
    #expect(Self.condition(handles.model, Self.x, Self.y.map { _ in Double.nan }, &other) == 65)
    var options = chorus_options()
    let code = "cube".withCString { scale in
      options.scale = scale
      return Self.condition(handles.model, Self.x, Self.y, &other, options)
    }
    #expect(code == 64 && words.contains("'cube'"))
    options = chorus_options()
    let plan = "sideways".withCString { plan in
      options.plan = plan
      return withPoints(Self.at) {
        chorus_sample(handles.posterior, $0, 1, &options, nil, 0, nil, nil, nil, nil)
      }
    }
    #expect(plan == 64 && words.contains("sideways"))
    #expect(
      withPoints([.infinity]) { chorus_sample(handles.posterior, $0, 1, nil, nil, 0, nil, nil, nil, nil) }
        == 65)
    #expect(
      withPoints(Self.at) { chorus_sample(handles.posterior, $0, -1, nil, nil, 0, nil, nil, nil, nil) } == 64)
    #expect(
      withPoints(Self.at) { chorus_sample(handles.posterior, $0, 1, nil, [1.5], 1, nil, nil, nil, nil) } == 64
    )
    #expect(chorus_save(handles.posterior, 1, "/tmp/never") == 64)
    #expect(chorus_save(handles.posterior, 0, "/no/such/folder/c.safetensors") == 74, "\(words)")
    var numbers = 0.0
    #expect(
      withPoints(Self.at) { chorus_functionals(handles.posterior, $0, 0, nil, "median", &numbers) } == 64)
    #expect(other == nil)
    // What was wrong before says nothing of a call that goes well.
    #expect(Self.condition(handles.model, Self.x, Self.y, &other) == 0 && words.isEmpty)
    chorus_free(other.map { UnsafeMutableRawPointer($0) })
  }

  @Test func keptAndGoneOn() throws {
    let handles = try Handles()
    let path = NSTemporaryDirectory() + "chorus-c-\(UUID().uuidString).safetensors"
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(chorus_save(handles.posterior, 0, path) == 0, "\(words)")
    var (loaded, longer): (OpaquePointer?, OpaquePointer?) = (nil, nil)
    defer { for handle in [loaded, longer] { chorus_free(handle.map { UnsafeMutableRawPointer($0) }) } }
    #expect(chorus_load(handles.model, path, &loaded) == 0, "\(words)")
    var means = [Double](repeating: 0, count: 3)
    #expect(withPoints(Self.at) { chorus_sample(loaded, $0, 5, nil, nil, 0, nil, &means, nil, nil) } == 0)
    #expect(try means == reference().sample(5, at: Inputs(Self.at)).means)

    let (x, y) = ([7.0, 8], [3.7, 3.5])
    let code = x.withUnsafeBufferPointer { x in
      y.withUnsafeBufferPointer { y in
        var rows = chorus_rows()
        (rows.inputs, rows.targets, rows.rows, rows.columns) = (x.baseAddress, y.baseAddress, 2, 1)
        return chorus_append(handles.posterior, &rows, nil, &longer)
      }
    }
    let more = Result {
      try reference().observing(more: Dataset(x: x, y: y)).sample(5, at: Inputs(Self.at)).means
    }
    switch more {
    case .success(let expected):
      #expect(code == 0, "\(words)")
      #expect(withPoints(Self.at) { chorus_sample(longer, $0, 5, nil, nil, 0, nil, &means, nil, nil) } == 0)
      #expect(means == expected)
    case .failure(let error): #expect(code == 65 && words == "\(error)")
    }
    let text = String(cString: chorus_describe(loaded.map { UnsafeRawPointer($0) }))
    #expect(text.contains("\"model\":\"functions\"") && text.contains("\"rows\":6"), "\(text)")
    let model = String(cString: chorus_describe(handles.model.map { UnsafeRawPointer($0) }))
    #expect(model.contains("\"most\":3") && model.contains("\"threads\":2"), "\(model)")
    #expect(chorus_describe(nil) == nil)
  }

  @Test func aCallStopsWhenAskedTo() throws {
    let handles = try Handles()
    let token = chorus_token_create()
    defer { chorus_free(token.map { UnsafeMutableRawPointer($0) }) }
    var options = chorus_options()
    (options.token, options.flop_limit) = (token, 1e18)
    let address = Int(bitPattern: token)
    Thread.detachNewThread {
      usleep(50_000)
      chorus_cancel(OpaquePointer(bitPattern: address))
    }
    let start = ContinuousClock.now
    let code = withPoints(Self.at) {
      chorus_sample(handles.posterior, $0, 2_000_000, &options, nil, 0, nil, nil, nil, nil)
    }
    #expect(code == 130 && words == "cancelled")
    #expect(ContinuousClock.now - start < .seconds(20))
    #expect(
      withPoints(Self.at) { chorus_sample(handles.posterior, $0, 2, nil, nil, 0, nil, nil, nil, nil) } == 0)
  }

  @Test func seriesGoOn() {
    let days = [0.0, 31, 59, 90]  // the firsts of four months
    var next = [0.0, 0]
    #expect(chorus_horizon(days, 4, 1, nil, 2, nil, &next) == 0)
    #expect(next == [120, 151])
    #expect(chorus_horizon([1, 1.5, 2], 3, 0, nil, 2, nil, &next) == 0)
    #expect(next == [2.5, 3])
    #expect(chorus_horizon(days, 4, 1, [212], 2, nil, &next) == 0)  // after the first of August
    #expect(next == [243, 273])
    #expect(chorus_horizon(days, 4, 1, nil, 2, "1w", &next) == 0)
    #expect(next == [97, 104])
    #expect(
      chorus_horizon([1, 2, 4, 8, 16], 5, 0, nil, 2, nil, &next) == 65 && words.contains("not evenly spaced"))
    #expect(chorus_horizon(days, 4, 0, nil, 2, "1M", &next) == 64)
    #expect(chorus_horizon(days, 0, 1, nil, 2, nil, &next) == 65)
    #expect(chorus_horizon(days, 4, 1, nil, 0, nil, &next) == 64)
  }
}
