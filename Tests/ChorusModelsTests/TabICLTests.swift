import ChorusHints
import ChorusLayers
import ChorusStorage
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels

/// Checkpoints of TabICL's become networks that say the same.
@Suite struct TabICLTests {
  private static let columns = 5

  private static func rows(_ count: Int, seed: UInt64, classes: Int) -> [(x: [Double], y: Double)] {
    var stream = RandomStream(seed: seed)
    return (0..<count).map { _ in
      let x = (0..<columns).map { _ in Double(Float(stream.normal())) }
      return (x, classes > 0 ? Double(stream.below(classes)) : Double(Float(stream.normal())))
    }
  }

  /// The head's numbers along a chain: of a classifier log-probabilities, of a regressor quantiles.
  private static func chain(
    _ model: Model, context: [(x: [Double], y: Double)], _ rows: [(x: [Double], y: Double)]
  ) throws -> [[Double]] {
    if let network = model.network as? CellNetwork<CategoricalHead> {
      return try chain(network, context, rows) { $0.law.logProbabilities }
    }
    let network = try #require(model.network as? CellNetwork<QuantileHead>)
    return try chain(network, context, rows) { $0.law.quantiles }
  }

  private static func chain<H: Head>(
    _ network: CellNetwork<H>, _ context: [(x: [Double], y: Double)], _ rows: [(x: [Double], y: Double)],
    _ read: (H.Answer) -> [Double]
  ) throws -> [[Double]] {
    let observed = NetworkRows(
      x: context.flatMap { $0.x.map { Float($0) } }, y: context.map { Float($0.y) }, dimensions: columns)
    let state = network.encode(observed, HintFits())
    let asked = network.embed(rows.flatMap { $0.x.map { Float($0) } }, dimensions: columns, for: state)
    let paths = network.branch(paths: 1, capacity: rows.count)
    var found: [[Double]] = []
    for row in rows.indices {
      var call = RowBatch()
      call.begin()
      if row > 0 {
        call.commit(
          input: Int32(row - 1), y: Float(rows[row - 1].y), slot: Int32(row - 1), reads: .prefix(row))
      }
      call.query(input: Int32(row), reads: .prefix(row))
      network.advance(paths, state, asked, call) { found.append(read($0)) }
    }
    return found
  }

  static let kinds: [ReferenceTabICL.Kind] = [
    .init(), .init(group: 3, isInterleaved: false, classes: 0),
    .init(seesOutputs: false, isAffine: true),
    .init(seesOutputs: false, isAffine: true, isBiasFree: true, classes: 0),
    .init(scaling: "ssmax"), .init(scaling: "ssmax-mlp"), .init(scaling: "ssmax-mlp-elementwise", group: 2),
    .init(scaling: "qassmax-mlp", classes: 0),
    .init(scaling: "qassmax-mlp-elementwise", group: 3, isInterleaved: false),
  ]

  @Test(arguments: kinds) func aSmallModelSaysWhatTheReferenceSays(_ kind: ReferenceTabICL.Kind) throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/small.safetensors"
    let reference = ReferenceTabICL(kind)
    try reference.write(to: path)
    let model = try TabICL(path: path).model()
    #expect(model.blueprint.family == .cells && model.blueprint.trainedBuffer == 0)
    let (context, rows) = (
      Self.rows(7, seed: 3, classes: kind.classes), Self.rows(4, seed: 4, classes: kind.classes)
    )
    let found = try Self.chain(model, context: context, rows)
    func expected(_ prefixes: [Int]) -> [[Double]] {
      reference.predict(context: context, buffer: rows, targets: rows.map(\.x), prefixes: prefixes).map {
        kind.classes > 0 ? Categorical(logits: $0).logProbabilities : $0.sorted()
      }
    }
    let plain = expected([0, 0, 0, 0])
    for (a, b) in zip(found, expected([0, 1, 2, 3])) {
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 * max(1, abs($1)) })
    }
    #expect(found.count == 4 && found.allSatisfy { $0.count == kind.outputs })
    // The values before it matter.
    #expect(zip(found, plain).dropFirst().contains { zip($0, $1).contains { abs($0 - $1) > 0.01 } })
    // Through a file of our own.
    let own = folder.path + "/model.safetensors"
    try model.write(to: own, half: false)
    #expect(try Self.chain(Model(path: own), context: context, rows) == found)
  }

  @Test func aBufferIsAddedByAnAdapter() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/small.safetensors"
    let kind = ReferenceTabICL.Kind(scaling: "qassmax-mlp-elementwise", group: 3, classes: 0)
    try ReferenceTabICL(kind).write(to: path)
    let base = try TabICL(path: path).model()
    var blueprint = base.blueprint
    blueprint.trainedBuffer = 8
    let adapter = try Adapter(of: base, blueprint: blueprint, rank: 2)
    let values = Weights(adapter.table)
    adapter.initialise(values, seed: 1)
    let (context, rows) = (Self.rows(7, seed: 3, classes: 0), Self.rows(4, seed: 4, classes: 0))
    let before = try Self.chain(base, context: context, rows)
    #expect(try Self.chain(adapter.model(values, card: [:], source: path), context: context, rows) == before)
    // What is learned is of rows together; the cells stay the checkpoint's.
    let learned = adapter.table.all.map(\.path)
    #expect(learned.contains("role.buffer") && learned.contains("block.0.keyvalue.weight.a"))
    #expect(!learned.contains { $0.hasPrefix("cells.") })
    for p in adapter.table.all where p.path.hasSuffix(".b") { values[p][0] = 1 }
    let after = try Self.chain(adapter.model(values, card: [:], source: path), context: context, rows)
    #expect(after != before)
  }

  @Test func filesThatAreNotTheseAreRefused() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/small.safetensors"
    func refusal(
      _ change: @escaping (inout [String: Any]) -> Void = { _ in },
      arrays: @escaping (String, inout [Float]) -> Bool = { _, _ in true }
    ) throws -> String {
      try ReferenceTabICL(.init()).write(to: path, change: change, arrays: arrays)
      let error = #expect(throws: (any Error).self) { try TabICL(path: path).model() }
      return error.map { "\($0)" } ?? ""
    }
    #expect(try refusal { $0["embed_dim"] = nil }.contains("it has no 'embed_dim'"))
    #expect(try refusal { $0["embed_dim"] = 0 }.contains("embed_dim is 0"))
    #expect(try refusal { $0["embed_dim"] = 16 }.contains("shape"))
    #expect(try refusal { $0["embed_dim"] = 1 << 40 }.contains("embed_dim"))
    #expect(try refusal { $0["row_nhead"] = 0 }.contains("rowHeads"))
    #expect(try refusal { $0["row_rope_base"] = 10_000 }.contains("row_rope_base"))
    #expect(try refusal { $0["activation"] = "relu" }.contains("activation"))
    #expect(try refusal { $0["norm_first"] = false }.contains("norm_first"))
    #expect(try refusal { $0["icl_ssmax"] = "more" }.contains("icl_ssmax is 'more'"))
    #expect(try refusal { $0["col_feature_group"] = "valid" }.contains("col_feature_group valid"))
    #expect(try refusal { $0["icl_num_blocks"] = 1 }.contains("does not tell of"))
    #expect(
      try refusal(arrays: { name, _ in !name.hasSuffix("cls_tokens") }).contains("has no 'row_interactor.cls")
    )
    #expect(
      try refusal(arrays: { name, values in
        if name == "icl_predictor.ln.weight" { values[0] = .nan }
        return true
      }).contains("finite"))
    try SafetensorsWriter(metadata: ["format": "other"]).write(to: path)
    #expect(throws: ModelError.self) { try TabICL(path: path) }
    #expect(throws: StorageError.self) { try TabICL(path: folder.path + "/none.safetensors") }
  }

  // MARK: The package's own network

  private struct Reference: Decodable {
    let x: [[Double]]
    let y: [Double]
    let outputs: [[Double]]
  }

  private static let folder = ProcessInfo.processInfo.environment["CHORUS_TABICL"]

  /// By hand: CHORUS_TABICL names a folder in which `tools/convert_tabicl.py --random KIND KIND.safetensors --reference KIND.json` has
  /// written its files.
  @Test(.enabled(if: folder != nil), arguments: ["classifier", "classifier-v1", "regressor"])
  func thePackageSaysTheSame(_ kind: String) throws {
    let path = (Self.folder ?? "") + "/" + kind
    let reference = try JSONDecoder().decode(
      Reference.self, from: Data(contentsOf: URL(fileURLWithPath: path + ".json")))
    let model = try TabICL(path: path + ".safetensors").model()
    let observed = NetworkRows(
      x: reference.x.prefix(reference.y.count).flatMap { $0.map { Float($0) } },
      y: reference.y.map { Float($0) }, dimensions: reference.x[0].count)
    let asked = reference.x.dropFirst(reference.y.count).flatMap { $0.map { Float($0) } }
    func check<H: Head>(
      _ network: CellNetwork<H>, _ read: (H.Answer) -> [Double], _ told: ([Double]) -> [Double]
    ) {
      let state = network.encode(observed, HintFits())
      let questions = network.embed(asked, dimensions: observed.dimensions, for: state)
      var call = RowBatch()
      call.begin()
      for input in 0..<questions.count { call.query(input: Int32(input), reads: .none) }
      var (row, worst) = (0, 0.0)
      network.advance(network.branch(paths: 1, capacity: 0), state, questions, call) { answer in
        for (a, b) in zip(read(answer), told(reference.outputs[row])) { worst = max(worst, abs(a - b)) }
        row += 1
      }
      print("\(kind): at most \(worst) apart")
      #expect(row == reference.outputs.count && worst < 1e-4)
    }
    if let network = model.network as? CellNetwork<CategoricalHead> {
      check(network, { $0.law.logProbabilities }, { Categorical(logits: $0).logProbabilities })
    } else {
      let network = try #require(model.network as? CellNetwork<QuantileHead>)
      check(network, { $0.law.quantiles }, { $0.sorted() })
    }
  }
}
