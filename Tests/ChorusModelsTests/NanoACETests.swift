import ChorusHints
import ChorusLayers
import ChorusStorage
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels

/// Models of nanoACE's become networks that say the same.
@Suite struct NanoACETests {
  /// A small model in nanoACE's files, with random weights; and the same in float64.
  private static func write(
    to folder: String, change: (inout [String: Any]) -> Void = { _ in }, blob: (inout Data) -> Void = { _ in }
  ) throws -> ReferenceNano {
    let (d, hidden, components, headHidden, layers) = (8, 6, 3, 5, 2)
    var reference = ReferenceNano(d: d, heads: 2, layers: layers, variables: 2)
    var (data, arrays) = (Data(), [[String: Any]]())
    var stream = RandomStream(seed: 6)
    func add(_ name: String, _ shape: [Int]) {
      let count = shape.reduce(1, *)
      let halves = (0..<count).map { _ in
        HalfPrecision.binary16(
          from: Float((name.hasSuffix("weight") && shape.count == 1 ? 1 : 0) + 0.5 * stream.normal()))
      }
      arrays.append(["name": name, "shape": shape, "offset": data.count / 2, "length": count])
      for half in halves { data.append(contentsOf: [UInt8(half & 0xFF), UInt8(half >> 8)]) }
      reference.arrays[name] = halves.map { Double(HalfPrecision.float(fromBinary16: $0)) }
    }
    func perceptron(_ name: String, _ inputs: Int, _ hidden: Int, _ outputs: Int) {
      add(name + ".0.weight", [hidden, inputs])
      add(name + ".0.bias", [hidden])
      add(name + ".2.weight", [outputs, hidden])
      add(name + ".2.bias", [outputs])
    }
    func norm(_ name: String) {
      add(name + ".weight", [d])
      add(name + ".bias", [d])
    }
    func attention(_ name: String) {
      add(name + ".in_proj_weight", [3 * d, d])
      add(name + ".in_proj_bias", [3 * d])
      add(name + ".out_proj.weight", [d, d])
      add(name + ".out_proj.bias", [d])
    }
    add("unknown", [d])
    add("var_embed.weight", [2, d])
    add("mode_embed.weight", [3, d])
    add("disc_value_embed.weight", [4, d])
    perceptron("x_embed", 1, hidden, d)
    perceptron("value_embed", 1, hidden, d)
    for layer in 0..<layers {
      let base = "blocks.\(layer)."
      for name in ["ctx_ln1", "ctx_ln2", "tgt_ln1", "tgt_ln2", "kv_ln"] { norm(base + name) }
      for name in ["ctx_attn", "cross_attn"] { attention(base + name) }
      for name in ["ctx_mlp", "tgt_mlp"] { perceptron(base + name, d, hidden, d) }
      let own = "buf_blocks.\(layer)."
      add(own + "buf_bias", [2])
      for name in ["buf_ln1", "buf_ln2"] { norm(own + name) }
      attention(own + "buf_attn")
      perceptron(own + "buf_mlp", d, hidden, d)
    }
    norm("final_norm")
    perceptron("cont_head", d, headHidden, 3 * components)
    var manifest: [String: Any] = [
      "task": "small",
      "cfg": [
        "x_dim": 1, "d_model": d, "n_heads": 2, "n_layers": layers, "mlp_hidden": hidden,
        "mdn_components": components, "head_hidden": headHidden, "min_scale": 0.001,
      ], "modes": ["VALUE": 0, "PRIOR": 1, "QUERY": 2],
      "variables": [
        ["name": "y", "kind": "data", "value_type": "continuous"],
        ["name": "kernel", "kind": "latent", "value_type": "discrete"],
      ], "tensors": arrays, "total_floats": data.count / 2, "weights_file": "weights.bin", "dtype": "float16",
      "byte_order": "little",
    ]
    change(&manifest)
    blob(&data)
    try JSONSerialization.data(withJSONObject: manifest).write(
      to: URL(fileURLWithPath: folder + "/manifest.json"))
    try data.write(to: URL(fileURLWithPath: folder + "/weights.bin"))
    return reference
  }

  /// Log densities along a chain, and of the first value alone with nothing of the chain read.
  private static func chain(
    _ model: Model, context: [(x: Double, y: Double)], _ rows: [(x: Double, y: Double)]
  ) throws -> (chain: [Double], alone: [Double]) {
    let network = try #require(model.network as? StreamNetwork<MixtureHead>)
    let observed = NetworkRows(
      x: context.map { Float($0.x) }, y: context.map { Float($0.y) }, dimensions: 1)
    let state = network.encode(observed, HintFits())
    let asked = network.embed(rows.map { Float($0.x) }, dimensions: 1, for: state)
    let paths = network.branch(paths: 1, capacity: rows.count)
    var (chain, alone) = ([Double](), [Double]())
    for row in rows.indices {
      var call = RowBatch()
      call.begin()
      if row > 0 {
        call.commit(
          input: Int32(row - 1), y: Float(rows[row - 1].y), slot: Int32(row - 1), reads: .prefix(row))
      }
      call.query(input: Int32(row), reads: .prefix(row))
      call.query(input: Int32(row), reads: .none)
      var laws: [GaussianMixture] = []
      network.advance(paths, state, asked, call) { laws.append($0.law) }
      chain.append(laws[0].logDensity(rows[row].y))
      alone.append(laws[1].logDensity(rows[row].y))
    }
    return (chain, alone)
  }

  private static let context: [(x: Double, y: Double)] = [(-0.6, 0.4), (-0.1, -0.3), (0.3, 0.8), (0.55, 0.2)]
  private static let rows: [(x: Double, y: Double)] = [
    (-0.9, 0.12), (0.42, -0.2), (0.0, 0.1), (0.95, 0.7), (-0.3, 0.0),
  ]

  @Test func aSmallModelSaysWhatTheReferenceSays() throws {
    let folder = try ScratchFolder()
    let reference = try Self.write(to: folder.path)
    let model = try NanoACE(folder: folder.path).model()
    #expect(model.blueprint.family == .streams && model.blueprint.trainedBuffer == 64)
    let found = try Self.chain(model, context: Self.context, Self.rows)
    let tokens = Self.context.map { ReferenceNano.Token.value(x: $0.x, y: $0.y) }
    func expected(_ prefixes: [Int]) -> [Double] {
      let raw = reference.predict(
        context: tokens, buffer: Self.rows.map { .value(x: $0.x, y: $0.y) },
        targets: Self.rows.map { .query(x: $0.x) }, prefixes: prefixes)
      return zip(raw, Self.rows).map { reference.logDensity($0, $1.y, floor: 0.001) }
    }
    for (a, b) in zip(found.chain, expected([0, 1, 2, 3, 4])) { #expect(abs(a - b) < 1e-4 * max(1, abs(b))) }
    for (a, b) in zip(found.alone, expected([0, 0, 0, 0, 0])) { #expect(abs(a - b) < 1e-4 * max(1, abs(b))) }
    // The values before it matter.
    #expect(zip(found.chain, found.alone).dropFirst().contains { abs($0 - $1) > 0.01 })
    // Through a file of our own.
    let path = folder.path + "/model.safetensors"
    try model.write(to: path, half: false)
    let again = try Self.chain(Model(path: path), context: Self.context, Self.rows)
    #expect(again.chain == found.chain)
  }

  @Test func filesThatAreNotTheseAreRefused() throws {
    let folder = try ScratchFolder()
    func refusal(
      _ change: @escaping (inout [String: Any]) -> Void, _ blob: @escaping (inout Data) -> Void = { _ in }
    ) throws -> String {
      _ = try Self.write(to: folder.path, change: change, blob: blob)
      let error = #expect(throws: ModelError.self) { try NanoACE(folder: folder.path).model() }
      return error?.description ?? ""
    }
    func arrays(_ change: @escaping (inout [[String: Any]]) -> Void) -> (inout [String: Any]) -> Void {
      { manifest in
        var all = manifest["tensors"] as? [[String: Any]] ?? []
        change(&all)
        manifest["tensors"] = all
      }
    }
    #expect(try refusal { $0["dtype"] = "float32" }.contains("float16 is read"))
    #expect(try refusal { $0["weights_file"] = "../weights.bin" }.contains("a plain name"))
    #expect(try refusal { $0["cfg"] = nil }.contains("it has no 'cfg'"))
    #expect(
      try refusal { _ in
      } _: {
        $0.removeLast()
      }.contains("bytes"))
    #expect(
      try refusal(arrays { $0.removeAll { ($0["name"] as? String)?.hasSuffix("buf_bias") == true } })
        .contains("one softmax"))
    #expect(try refusal(arrays { $0.append($0[0]) }).contains("twice"))
    #expect(try refusal(arrays { $0[0]["offset"] = Int.max }).contains("does not lie within"))
    #expect(try refusal(arrays { $0[0]["shape"] = [4, 2] }).contains("[8] is expected"))
    #expect(
      try refusal {
        $0["variables"] = [["name": "k", "kind": "latent", "value_type": "discrete"]]
      }.contains("no variable"))
    #expect(try refusal(arrays { _ in }, { $0[1] = 0x7C }).contains("finite"))
    #expect(throws: StorageError.self) { try NanoACE(folder: folder.path + "/none") }
  }

  // MARK: The published model

  private struct Parity: Decodable {
    struct Tokens: Decodable {
      let varId: [Int]
      let x: [[Double]]
      let value: [Double]
      let valueIndex: [Int]
      let mask: [Bool]
    }
    struct Plain: Decodable {
      let name: String
      let context, target: Tokens
      let contRaw: [[Double]]
      let logProb: [Double]
    }
    struct Packed: Decodable {
      let context, buffer, target: Tokens
      let prefixLen: [Int]
      let contRaw: [[Double]]
    }
    struct Chain: Decodable {
      let context: Tokens
      let grid: [Double]
      let order: [Int]
      let values, logProb: [[Double]]
    }
    let plain: [Plain]
    let packed: Packed
    let chain: Chain
  }

  /// A folder beside the repository with the published weights and what their own program says.
  private static let published: String? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = root.deletingLastPathComponent().path + "/shared/data/nanoace"
    return FileManager.default.fileExists(atPath: folder + "/parity.json") ? folder : nil
  }()

  @Test(.enabled(if: published != nil, "needs ../shared/data/nanoace"))
  func thePublishedModelSaysWhatItsOwnProgramSays() throws {
    let folder = try #require(Self.published)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let parity = try decoder.decode(
      Parity.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/parity.json")))
    let model = try NanoACE(folder: folder).model()
    func observed(_ tokens: Parity.Tokens) -> [(x: Double, y: Double)] {
      tokens.x.indices.filter { tokens.mask[$0] }.map { (tokens.x[$0][0], tokens.value[$0]) }
    }
    var compared = 0
    for plain in parity.plain
    where zip(plain.context.varId, plain.context.mask).allSatisfy({ $0 == 0 || !$1 }) {
      let asked = plain.target.x.indices.filter { plain.target.varId[$0] == 0 }
      let found = try Self.chain(
        model, context: observed(plain.context), asked.map { (plain.target.x[$0][0], plain.target.value[$0]) }
      )
      for (row, a) in zip(asked, found.alone) {
        #expect(abs(a - plain.logProb[row]) < 1e-4 * max(1, abs(a)), "\(plain.name)")
        compared += 1
      }
    }
    // Density of a value that is far out is a matter of 1e-4 of itself.
    let chain = parity.chain
    for (values, expected) in zip(chain.values, chain.logProb) {
      let found = try Self.chain(
        model, context: observed(chain.context), chain.order.map { (chain.grid[$0], values[$0]) })
      // These are told in the order of the grid.
      for (a, b) in zip(found.chain, chain.order.map { expected[$0] }) {
        #expect(abs(a - b) < 1e-4 * max(1, abs(b)))
        compared += 1
      }
    }
    #expect(compared == 2 + 1 + 2 * chain.order.count)
  }

  /// The reference of these tests is held to the program that it stands for, with a known kernel in the context.
  @Test(.enabled(if: published != nil, "needs ../shared/data/nanoace"))
  func theReferenceIsThatProgram() throws {
    let folder = try #require(Self.published)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let packed = try decoder.decode(
      Parity.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/parity.json"))
    ).packed
    let json = try JSONSerialization.jsonObject(
      with: Data(contentsOf: URL(fileURLWithPath: folder + "/manifest.json")))
    let manifest = try #require(json as? [String: Any])
    let blob = try Data(contentsOf: URL(fileURLWithPath: folder + "/weights.bin"))
    var reference = ReferenceNano(d: 128, heads: 4, layers: 4, variables: 4)
    for array in try #require(manifest["tensors"] as? [[String: Any]]) {
      let name = try #require(array["name"] as? String)
      let (offset, length) = (array["offset"] as? Int ?? 0, array["length"] as? Int ?? 0)
      reference.arrays[name] = (offset..<offset + length).map {
        Double(HalfPrecision.float(fromBinary16: UInt16(blob[2 * $0]) | UInt16(blob[2 * $0 + 1]) << 8))
      }
    }
    func tokens(_ tokens: Parity.Tokens) -> [ReferenceNano.Token] {
      tokens.x.indices.map {
        tokens.varId[$0] == 0
          ? .value(x: tokens.x[$0][0], y: tokens.value[$0])
          : .level(variable: tokens.varId[$0], place: tokens.valueIndex[$0])
      }
    }
    let raw = reference.predict(
      context: tokens(packed.context), buffer: tokens(packed.buffer),
      targets: packed.target.x.map { .query(x: $0[0]) }, prefixes: packed.prefixLen)
    for (a, b) in zip(raw.joined(), packed.contRaw.joined()) { #expect(abs(a - b) < 1e-4 * max(1, abs(b))) }
  }
}
