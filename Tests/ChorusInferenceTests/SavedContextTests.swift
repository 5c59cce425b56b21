import ChorusData
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusStorage
import Foundation
import Testing

@testable import ChorusInference

@Suite struct SavedContextTests {
  let path = FileManager.default.temporaryDirectory.path + "/chorus-context-\(UUID().uuidString)"

  private func model(_ seed: UInt64 = 1, card: [String: String] = [:]) throws -> Model {
    let small = try smallModel(seed: seed) {
      $0.scaling = .standardise
      $0.trainedContext = 8
      $0.trainedBuffer = 4
      $0.hints = Hints(
        [TrendAndWaves(waves: 2, subtracts: true)], rows: [LocalSplines(neighbours: 4), LastValue()])
      $0.head = .mixture(components: 3, around: 1)
    }
    return Model(network: small.network, card: card, source: "somewhere/small.safetensors")
  }

  /// Units far from the network's, so that a digit lost in the scaling would show.
  private func data(_ count: Int) throws -> Dataset {
    let raw = try wave(count)
    return try Dataset(
      inputs: Inputs(raw.x.map { 0.1 * $0 + 1987.3 }), y: raw.y.map { $0 / 3 - 1e4 },
      inputColumns: [Column("day", unit: "d")], outputColumn: Column("\"level\"\n", unit: "µm"))
  }

  @Test(arguments: everyPlan) func answersAsTheOneThatWasWritten(plan: PlanTemplate) throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let model = try model()
    for rows in [2, 7, 100] {
      let posterior = try model.condition(on: data(rows))
      try posterior.write(to: path, card: ["kinds": "date"])
      let back = try Posterior(contentsOf: path, model: model)
      let at = try Inputs(places(6).values.map { 0.1 * $0 + 1987.3 })
      let (one, other) = try (
        posterior.sample(5, at: at, plan: plan, seed: 4, latent: true),
        back.sample(5, at: at, plan: plan, seed: 4, latent: true)
      )
      #expect(one.paths == other.paths && one.notes == other.notes && one.outside == other.outside)
      let y = one.paths[0]
      #expect(
        try posterior.logDensity(of: y, at: at, plan: plan, orders: 2).orders
          == back.logDensity(of: y, at: at, plan: plan, orders: 2).orders)
      #expect(try numbers(posterior.marginals(at: at)) == numbers(back.marginals(at: at)))
      #expect(back.preparation == posterior.preparation && back.rows == rows && back.notes == posterior.notes)
      #expect(back.inputColumns == [Column("day", unit: "d")])
      #expect(back.outputColumn == Column("\"level\"\n", unit: "µm"))
      #expect(try SavedContext(path: path).card == ["kinds": "date"])
      let seen = try back.observed
      #expect(seen.count == min(rows, 32) && abs(seen.y[0] + 1e4) < 1)
    }
  }

  @Test func anotherModelIsRefusedByName() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let model = try model()
    try model.condition(on: data(7)).write(to: path)
    #expect(try SavedContext(path: path).modelName == "small")
    let other = try self.model(2)
    let refused = refusal { _ = try Posterior(contentsOf: path, model: other) }
    #expect("\(refused.map { "\($0)" } ?? "")".contains("was encoded by model 'small'"))
    // Its card and the form of its weights do not make another model of it.
    #expect(try self.model(card: ["licence": "none"]).fingerprint == model.fingerprint)
    #expect(try other.fingerprint != model.fingerprint)
    let file = path + ".safetensors"
    defer { try? FileManager.default.removeItem(atPath: file) }
    try model.write(to: file, half: true)
    let half = try Model(path: file)
    try half.write(to: file, half: false)
    #expect(try Model(path: file).fingerprint == half.fingerprint)
  }

  /// A context names the file of its model as well, and is as open to the same weights of another file.
  @Test func theFileOfTheModelIsToldByItsChecksum() throws {
    let file = path + ".safetensors"
    defer { for path in [path, file] { try? FileManager.default.removeItem(atPath: path) } }
    try model().write(to: file)
    let first = try Model(path: file)
    let checksum = try #require(first.checksum)
    try first.condition(on: data(7)).write(to: path)
    let json = try #require(try Safetensors(path: path).metadata["context"])
    #expect(json.contains("\"weights\":\"\(checksum)\""))
    let (fingerprint, none) = (try first.fingerprint, String(repeating: "0", count: 64))
    // Either tells it: the file's checksum alone, and the fingerprint where the file is another one.
    #expect(
      try first.has(fingerprint: none, file: checksum) && first.has(fingerprint: fingerprint, file: none))
    #expect(try !first.has(fingerprint: none, file: none) && !first.has(fingerprint: none))
    // A model that was never in a file has no checksum to be mistaken by.
    #expect(try model().checksum == nil && !model().has(fingerprint: none, file: checksum))
    try first.write(to: file, half: false)
    let second = try Model(path: file)
    #expect(second.checksum != checksum)
    #expect(try Posterior(contentsOf: path, model: second).rows == 7)
    try self.model(2).write(to: file)
    let other = try Model(path: file)
    let refused = refusal { _ = try Posterior(contentsOf: path, model: other) }
    #expect("\(refused.map { "\($0)" } ?? "")".contains("is another one"))
  }

  @Test func inHalfTheBytesItAnswersNearlyTheSame() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let model = try model()
    let posterior = try model.condition(on: data(32))
    let whole = try posterior.encoded(card: [:])
    let half = try posterior.encoded(card: [:], half: true)
    let types = Dictionary(
      grouping: try Safetensors(bytes: half, file: "half").tensors, by: \.type
    ).mapValues { $0.map(\.name) }
    #expect(Set(types.keys) == [.f16, .f32] && types[.f32] == ["x", "y"])
    let (one, other) = try (
      SavedContext(bytes: whole, file: "whole"), SavedContext(bytes: half, file: "half")
    )
    #expect(!one.isHalf && other.isHalf)
    let at = try Inputs(places(6).values.map { 0.1 * $0 + 1987.3 })
    let (exact, rounded) = try (
      numbers(posterior.marginals(at: at)), numbers(other.posterior(model).marginals(at: at))
    )
    #expect(exact != rounded)
    #expect(zip(exact.joined(), rounded.joined()).allSatisfy { abs($0 - $1) < 1e-2 })
    // What is rounded once stays as it is when it is read and written again.
    #expect(try other.posterior(model).encoded(card: [:], half: true) == half)
  }

  /// Whatever is in the file, reading it ends with an error or a context, and never otherwise.
  @Test func damagedFilesAreRefused() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let model = try model()
    let posterior = try model.condition(on: data(7))
    try posterior.write(to: path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for place in stride(from: 0, to: whole.count, by: 97) {
      var flipped = whole
      flipped[flipped.startIndex + place] ^= 0x20
      try flipped.write(to: URL(fileURLWithPath: path))
      #expect(refusal { _ = try Posterior(contentsOf: path, model: model) } != nil, "byte \(place)")
    }
    for length in [0, 7, 8, 300, whole.count / 2, whole.count - 1] {
      try whole.prefix(length).write(to: URL(fileURLWithPath: path))
      #expect(refusal { _ = try Posterior(contentsOf: path, model: model) } != nil, "\(length) bytes")
    }
  }

  /// Files with a good checksum and wrong content.
  @Test func wrongContentIsRefused() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let model = try model()
    let posterior = try model.condition(on: data(7))
    try posterior.write(to: path)
    let file = try Safetensors(path: path)
    let json = try #require(file.metadata["context"])
    typealias Change = (_ name: String, _ shape: [Int], _ values: [Float]) -> ([Int], [Float])?
    func told(_ metadata: [String: String], _ change: Change = { ($1, $2) }, more: Bool = false) throws
      -> String
    {
      var writer = SafetensorsWriter(metadata: metadata)
      for tensor in file.tensors {
        let values = try file.floats(tensor.name, shape: tensor.shape)
        if let (shape, values) = change(tensor.name, tensor.shape, values) {
          try writer.add(tensor.name, shape: shape, floats: values)
        }
      }
      if more { try writer.add("layer.9.keyvalues", shape: [1], floats: [1]) }
      try writer.write(to: path)
      return refusal { _ = try Posterior(contentsOf: path, model: model) }.map { "\($0)" } ?? "read"
    }
    let good = ["format": "chorus-context-2", "context": json]
    #expect(try told(good) == "read")
    // It is the state that is read: nothing is encoded again.
    let at = try Inputs([1987.2])
    let before = numbers(try Posterior(contentsOf: path, model: model).marginals(at: at))
    #expect(try told(good, { $0 == "layer.1.keyvalues" ? ($1, $2.map { 2 * $0 }) : ($1, $2) }) == "read")
    #expect(numbers(try Posterior(contentsOf: path, model: model).marginals(at: at)) != before)
    #expect(try told(["context": json]).contains("is no saved context"))
    #expect(try told(["format": "chorus-context-9", "context": json]).contains("is no saved context"))
    #expect(try told(["format": "chorus-context-2", "context": "{"]).contains("cannot be read"))
    func header(_ from: String, _ to: String) throws -> String {
      let text = json.replacingOccurrences(of: from, with: to)
      #expect(text != json)
      return try told(["format": "chorus-context-2", "context": text])
    }
    #expect(try header("\"rows\":7", "\"rows\":6").contains("contradict"))
    #expect(try header("\"rows\":7", "\"rows\":-1").contains("contradict"))
    #expect(try header("\"lines\":[]", "\"lines\":[null,null]").contains("contradict"))
    #expect(try header("\"skill\":0", "\"skill\":7").contains("cannot be read"))
    #expect(try header("\"roughness\":1", "\"roughness\":-1").contains("cannot be read"))
    #expect(try header("\"outputScale\":", "\"outputScale\":-").contains("cannot be read"))
    #expect(try header("[{\"name\":\"day\",\"unit\":\"d\"}]", "[]").contains("0 input columns"))
    #expect(try header("\"inputScales\":[", "\"inputScales\":[1,").contains("cannot be read"))
    #expect(try told(good, { $0 == "y" ? nil : ($1, $2) }).contains("has shape"))
    #expect(try told(good, { $0 == "x" ? ([7], $2) : ($1, $2) }).contains("has shape"))
    #expect(
      try told(good, { $0 == "y" ? ($1, [.nan] + $2.dropFirst()) : ($1, $2) }).contains("not finite"))
    let state = "layer.1.keyvalues"
    #expect(try told(good, { $0 == state ? nil : ($1, $2) }).contains("no tensor '\(state)'"))
    #expect(
      try told(good, { $0 == state ? ($1, [.infinity] + $2.dropFirst()) : ($1, $2) }).contains("no state has")
    )
    #expect(try told(good, more: true).contains("1 arrays too many"))
  }

  @Test func pointsOutsideTraining() throws {
    let posterior = try model(card: ["input_reach": "3"]).condition(on: wave(6))
    let (centre, scale) = (posterior.scaling.inputCentres[0], posterior.scaling.inputScales[0])
    let at = try Inputs([-2.9, 2.9, 3.1, -40].map { centre + scale * $0 })
    let near = try posterior.sample(1, at: at)
    #expect(near.outside == [[], [], .inputs, .inputs])
    #expect(near.notes == [.inputsBeyondTraining(points: 2, reach: 3)])
    #expect(near.notes[0].description.contains("2 points lie farther"))
    let many = try posterior.sample(1, at: Inputs([0, 0.1, 0.2, 0.3, 0.4, 0.5]))
    #expect(many.outside == [Outside](repeating: .targets, count: 6))
    let few = try model().condition(on: wave(3)).sample(1, at: at, plan: .logSparse)
    #expect(few.outside.allSatisfy { $0 == [.context, .reads] })
    #expect(few.outside[0].description == "context;reads" && Outside().description.isEmpty)
    #expect(try model(card: ["input_reach": "-1"]).inputReach == nil)
    #expect(try model(card: ["prior": "gp"]).inputReach == nil, "of another scale")
    #expect(try model(card: ["prior": "functions"]).inputReach == 5.2)
  }
}
