import ChorusData
import ChorusHints
import ChorusInference
import ChorusLayers
import ChorusPlans
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusPlayground
@testable import ChorusTensors

/// The program that runs the page's engine without a browser.
private let node: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
  .map { "\($0)/node" }.first { FileManager.default.isExecutableFile(atPath: $0) }

@Suite("The page to draw on") struct PlaygroundTests {
  @Test("holds its models and the engine, within 3 MB") func content() throws {
    let page = try PlaygroundPage()
    #expect(page.html.count < 3_000_000)
    let text = String(decoding: page.html, as: UTF8.self)
    #expect(!text.contains("id=\"models\">[]"))
    for name in PlaygroundPage.models { #expect(text.contains("\"name\":\"\(name)\"")) }
    // Nothing is fetched: no address, no element that loads from elsewhere.
    #expect(
      text.ranges(of: "http").allSatisfy { text[$0.lowerBound...].hasPrefix("http://www.w3.org/2000/svg") })
    #expect(!text.contains(" src="))
  }

  @Test("is the same bytes each time") func repeats() throws {
    #expect(try PlaygroundPage().html == PlaygroundPage().html)
  }

  @Test("refuses models that it cannot run, with words", arguments: ["functions", "tables", "classes"])
  func refuses(_ name: String) {
    #expect { try PlaygroundPage(models: [name]) } throws: { error in
      "\(error)".contains("the page cannot run the model '\(name)'")
    }
  }

  @Test("refuses blueprints with whatever the engine does not compute") func refusals() throws {
    let plain = try Model(named: "gp").blueprint
    #expect(PlaygroundPage.refusal(plain) == nil)
    var other = plain
    other.norm = .post
    #expect(PlaygroundPage.refusal(other) != nil)
    other = plain
    other.bufferPositions = .learned(8)
    #expect(PlaygroundPage.refusal(other) != nil)
    other = plain
    other.inputDimensions = 2
    #expect(PlaygroundPage.refusal(other) != nil)
    other = plain
    other.scaling = .standardise
    #expect(PlaygroundPage.refusal(other) != nil)
  }

  @Test("refuses two models of one name, which it could not tell apart") func twice() {
    #expect(throws: ModelError.self) { try PlaygroundPage(models: ["gp", "gp"]) }
  }

  @Test("cannot be broken by the name of a model's file") func names() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/chorus-page-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/<script>.safetensors"
    try FileManager.default.copyItem(atPath: ModelLocation.resolve("gp-noisy"), toPath: path)
    let text = String(decoding: try PlaygroundPage(models: [path]).html, as: UTF8.self)
    #expect(text.contains("\\u003cscript>"))
  }

  /// What the library makes of a request, in the form that playground/check.js reads.
  private struct Request: Encodable {
    struct Drawn: Encodable {
      let name: String
      let calls: [Int]
      let order: [Int]?
      let paths: [[Double]]
    }
    let model: String
    let x: [Double]
    let y: [Double]
    let targets: [Double]
    let seed: UInt64
    let layers: [[Float]]
    let embedded: [Float]
    let raw: [Float]
    let plans: [Drawn]
  }

  private static func request(_ name: String, rows count: Int) throws -> Request {
    let model = try Model(named: name)
    let network = try #require(model.network as? SetNetwork<MixtureHead>)
    var stream = RandomStream(seed: 11)
    let x = (0..<count).map { _ in Double(Float(stream.uniform(in: -2...2))) }
    let y = x.map { Double(Float(sin(2.5 * $0) + 0.1 * stream.normal())) }
    let targets = (0..<12).map { Double(Float(-1.9 + 0.33 * Double($0))) }
    let seed: UInt64 = 3_000_000_007

    let rows = NetworkRows(x: x.map(Float.init), y: y.map(Float.init), dimensions: 1)
    let posterior = try model.condition(on: Dataset(x: x, y: y))
    let context = network.encode(rows, posterior.preparation.fits)
    let questions = network.embed(targets.map(Float.init), dimensions: 1, for: context)
    var batch = RowBatch()
    batch.begin()
    for target in targets.indices { batch.query(input: Int32(target), reads: .none) }
    let outputs = network.layers.head.map.outputs
    let paths = network.branch(paths: 1, capacity: 1)
    let raw = withExtendedLifetime(paths) {
      let raw = network.predict(paths, context, questions, batch).numbers
      return Array(UnsafeBufferPointer(start: raw, count: targets.count * outputs))
    }

    let templates: [PlanTemplate] = [
      .sequential, .sequential.ordered(.leftToRight), .coarseToFine, .independent, .blocks(of: 5),
    ]
    let drawn = try templates.map { template in
      let samples = try posterior.sample(
        6, at: Inputs(targets), plan: template, seed: seed)
      var order: [Int]?
      if case .fixed(let fixed) = samples.plan.order { order = fixed }
      return Request.Drawn(
        name: template.description, calls: samples.plan.instructions.map { $0.positions.count },
        order: order, paths: samples.paths)
    }
    return Request(
      model: name, x: x, y: y, targets: targets, seed: seed, layers: network.values(of: context),
      embedded: Array(UnsafeBufferPointer(start: questions.rows.pointer, count: targets.count * 64)),
      raw: raw, plans: drawn)
  }

  @Test(
    "computes what the library does: every layer, the head, and paths of the same seed",
    .enabled(if: node != nil, "node is not installed"), arguments: PlaygroundPage.models, [0, 1, 17, 90])
  func parity(_ name: String, rows: Int) throws {
    let node = try #require(node)
    let folder = FileManager.default.temporaryDirectory.path + "/chorus-page-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (page, asked) = (folder + "/page.html", folder + "/request.json")
    try PlaygroundPage().html.write(to: URL(fileURLWithPath: page))
    try JSONEncoder().encode(Self.request(name, rows: rows)).write(to: URL(fileURLWithPath: asked))
    let check = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("playground/check.js").path

    let process = Process()
    process.executableURL = URL(fileURLWithPath: node)
    process.arguments = [check, page, asked]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let told = try JSONDecoder().decode([String: Double].self, from: data)
    #expect(told.count >= 6 + 2 + 5)
    for (what, distance) in told { #expect(distance < 1e-4, "\(what) is \(distance) away") }
  }
}
