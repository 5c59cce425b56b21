import ChorusStorage
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTensors

/// A model goes to a file and comes back; whatever else is in the file is an error with a name, never a trap.
@Suite struct ModelFileTests {
  private static func tiny(_ change: (inout Blueprint) -> Void = { _ in }) throws -> Model {
    let blueprint = smallBlueprint {
      $0.width = 8
      $0.heads = 1
      $0.layers = 1
      $0.feedForward = 5
      $0.embedderHidden = 3
      $0.headHidden = 4
      change(&$0)
    }
    return Model(network: try randomNetwork(blueprint), card: ["prior": "gp", "licence": "MIT \"é\"\n"])
  }

  private static func values(_ model: Model) -> [[Float]] {
    model.network.weights.table.all.map { p in (0..<p.count).map { model.network.weights[p][$0] } }
  }

  @Test func fullPrecisionComesBackExactly() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/m.safetensors"
    let model = try Self.tiny { $0.bufferPositions = .learned(3) }
    try model.write(to: path, half: false)
    let read = try Model(path: path)
    #expect(read.blueprint == model.blueprint)
    #expect(read.card == model.card)
    #expect(read.source == path)
    #expect(read.parameterCount == model.parameterCount)
    #expect(zip(Self.values(read), Self.values(model)).allSatisfy { same($0, $1) })
    let batch = try randomBatch(context: 5, buffer: 2, targets: 3)
    #expect(
      same(
        (try read.set).advanced(batch, prefixes: [0, 1, 2]),
        (try model.set).advanced(batch, prefixes: [0, 1, 2])))
    // Written again, the same bytes.
    try read.write(to: folder.path + "/n.safetensors", half: false)
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: path))
        == Data(contentsOf: URL(fileURLWithPath: folder.path + "/n.safetensors")))
  }

  @Test func halfPrecisionIsTheNearestHalf() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/m.safetensors"
    let model = try Self.tiny()
    try model.write(to: path)
    for (a, b) in zip(Self.values(try Model(path: path)), Self.values(model)) {
      // 11 bits of significand: half a unit in the last place is 2⁻¹¹ of the value.
      for (x, y) in zip(a, b) { #expect(abs(x - y) <= max(abs(y) * 0x1p-11, 0x1p-25)) }
    }
    #expect(throws: (any Error).self) {
      let model = try Self.tiny()
      model.network.weights[try #require(model.network.weights.table["head.down.bias"])][0] = 1e6
      try model.write(to: path)
    }
    _ = try Model(path: path)  // a write that failed left the file before it
  }

  /// A file put together by hand from a model's arrays.
  private static func file(
    _ model: Model, metadata change: (inout [String: String]) -> Void = { _ in }, drop: String? = nil,
    extra: String? = nil, reshape: String? = nil, poison: (String, Float)? = nil
  ) throws -> String {
    let path = NSTemporaryDirectory() + "chorus-models-" + UUID().uuidString + ".safetensors"
    var metadata = [
      "format": Model.format,
      "blueprint": String(decoding: try JSONEncoder().encode(model.blueprint), as: UTF8.self),
    ]
    change(&metadata)
    var writer = SafetensorsWriter(metadata: metadata)
    for p in model.network.weights.table.all where p.path != drop {
      var values = (0..<p.count).map { model.network.weights[p][$0] }
      if let poison, poison.0 == p.path { values[values.count - 1] = poison.1 }
      try writer.add(p.path, shape: p.path == reshape ? [1, 1] + p.shape : p.shape, floats: values)
    }
    if let extra { try writer.add(extra, shape: [1], floats: [0]) }
    try writer.write(to: path)
    return path
  }

  private static func failure(_ path: String) -> String? {
    defer { try? FileManager.default.removeItem(atPath: path) }
    do {
      _ = try Model(path: path)
      return nil
    } catch let error as ModelError {
      return error.description
    } catch let error as StorageError {
      return error.description
    } catch {
      return "an error of another type: \(error)"
    }
  }

  @Test func aFileMadeByHandIsAModel() throws {
    #expect(Self.failure(try Self.file(try Self.tiny())) == nil)
  }

  @Test func whatDoesNotFitIsNamed() throws {
    let model = try Self.tiny()
    for name in ["block.0.query.weight", "head.down.bias", "context.empty"] {
      #expect(Self.failure(try Self.file(model, drop: name))?.contains(name) == true)
      #expect(Self.failure(try Self.file(model, reshape: name))?.contains(name) == true)
      for value in [Float.nan, .infinity, -.infinity] {
        #expect(Self.failure(try Self.file(model, poison: (name, value)))?.contains(name) == true)
      }
    }
    #expect(
      Self.failure(try Self.file(model, extra: "block.1.out.bias"))?.contains("block.1.out.bias") == true)
  }

  @Test func metadataThatIsNoBlueprint() throws {
    let model = try Self.tiny()
    func failure(_ change: (inout [String: String]) -> Void) throws -> String? {
      Self.failure(try Self.file(model, metadata: change))
    }
    #expect(try failure { $0["format"] = nil }?.contains("format") == true)
    #expect(try failure { $0["format"] = "chorus-model-2" }?.contains("format") == true)
    #expect(try failure { $0["blueprint"] = nil } != nil)
    for json in ["", "{", "[]", "null", #"{"width": "8"}"#, #"{"version": 2}"#, #"{"heads": 0}"#] {
      let text = try failure { $0["blueprint"] = json }
      #expect(text != nil && text?.contains("another type") == false, "\(json): \(text ?? "read")")
    }
  }

  /// A blueprint that claims gigabytes above a file of a few kilobytes must not be believed.
  @Test func aBlueprintFarLargerThanItsFileIsRefusedBeforeMemoryIsTaken() throws {
    for (layers, word) in [(4, "shape"), (128, "parameters")] {
      let huge = #"{"width": 4096, "layers": \#(layers), "heads": 32, "feedForward": 16384}"#
      let text = Self.failure(try Self.file(try Self.tiny()) { $0["blueprint"] = huge })
      #expect(text?.contains(word) == true)
    }
  }

  /// Some 1500 bytes all over the file, each of their bits in turn, and every byte of the header's length.
  @Test func flippedBitsAreFound() throws {
    let path = try Self.file(try Self.tiny())
    defer { try? FileManager.default.removeItem(atPath: path) }
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    var accepted: [Int] = []
    let places = Array(0..<16) + stride(from: 16, to: bytes.count, by: max(1, bytes.count / 1500))
    for (round, place) in places.enumerated() {
      let bit = UInt8(1) << UInt8(round % 8)
      bytes[place] ^= bit
      do {
        _ = try Safetensors(bytes: bytes, file: "flipped")
        try bytes.write(to: URL(fileURLWithPath: path))
        _ = try Model(path: path)
        accepted.append(place)
      } catch {
        #expect(error is StorageError || error is ModelError)
      }
      bytes[place] ^= bit
    }
    #expect(accepted.isEmpty)
  }

  @Test func truncatedFilesAreFound() throws {
    let path = try Self.file(try Self.tiny())
    defer { try? FileManager.default.removeItem(atPath: path) }
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    for length in [0, 1, 7, 8, 9, 100, bytes.count / 2, bytes.count - 1] {
      try bytes.prefix(length).write(to: URL(fileURLWithPath: path))
      #expect(throws: StorageError.self) { _ = try Model(path: path) }
    }
    try (bytes + Data([0])).write(to: URL(fileURLWithPath: path))
    #expect(throws: StorageError.self) { _ = try Model(path: path) }
    #expect(throws: StorageError.self) { _ = try Model(path: path + ".absent") }
    #expect(throws: StorageError.self) { _ = try Model(path: NSTemporaryDirectory()) }
  }

  @Test func aModelThatIsNowhereIsAnErrorThatSaysWhereItWasSought() {
    let error = #expect(throws: ModelError.self) { _ = try ModelLocation.resolve("no-such-model") }
    #expect(error?.description.contains("no-such-model") == true)
    #expect(throws: ModelError.self) { _ = try ModelLocation.resolve("no/such/model.safetensors") }
    #expect(throws: ModelError.self) { _ = try Model(named: "no-such-model") }
  }
}
