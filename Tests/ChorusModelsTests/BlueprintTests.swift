import ChorusHints
import ChorusLayers
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTensors

@Suite struct BlueprintTests {
  private func decoded(_ json: String) throws -> Blueprint {
    try JSONDecoder().decode(Blueprint.self, from: Data(json.utf8))
  }

  @Test func goesThroughJSONUnchanged() throws {
    let full = smallBlueprint {
      $0.norm = .post
      $0.bufferPositions = .learned(7)
      $0.scaling = .standardise
      $0.hints = Hints([TrendAndWaves(waves: 3, subtracts: true)], rows: [LocalSplines(neighbours: 5)])
      $0.head = .mixture(components: 4, around: 2, floor: 0.0123)
      $0.parts.norm = .rms
      $0.parts.keyHeads = 1
      $0.trainedContext = 33
      $0.trainedBuffer = 5
      $0.encoder = .latents(count: 7)
    }
    let grid = smallBlueprint { ($0.family, $0.gridDensity, $0.bufferPositions) = (.grid, 9, .alibi) }
    for blueprint in [full, Blueprint(), grid] {
      let json = try JSONEncoder().encode(blueprint)
      #expect(try JSONDecoder().decode(Blueprint.self, from: json) == blueprint)
      // Every field is written, but for those that say what files say that do not know them.
      let fields = try JSONSerialization.jsonObject(with: json) as? [String: Any]
      var expected = Set(Blueprint.CodingKeys.allCases.map(\.rawValue))
      if blueprint.parts == BlockParts() { expected.remove("parts") }
      if blueprint.encoder == .shared { expected.remove("encoder") }
      if blueprint.family != .grid { expected.remove("gridDensity") }
      expected.subtract(["cells", "tellsInputs", "pairsValues", "trainedReads"])
      #expect(Set(fields?.keys.map { $0 } ?? []) == expected)
    }
  }

  /// A number is the length of a learned table, as files have always had it.
  @Test func bufferPositionsAreANumberOrAName() throws {
    for (json, positions) in [
      ("0", BufferPositions.none), ("12", .learned(12)), (#""rotary""#, .rotary), (#""alibi""#, .alibi),
    ] {
      let blueprint = try decoded(#"{"version": 2, "bufferPositions": \#(json)}"#)
      #expect(blueprint.bufferPositions == positions)
      let again = String(decoding: try JSONEncoder().encode([positions]), as: UTF8.self)
      #expect(again == "[\(json)]")
      _ = try Declaration(blueprint)
    }
    #expect(throws: ModelError.self) { try decoded(#"{"version": 2, "bufferPositions": "sines"}"#) }
    // The first version knows no rows that tell their age.
    var blueprint = Blueprint()
    #expect(BlueprintV1(blueprint) != nil)
    blueprint.bufferPositions = .rotary
    #expect(BlueprintV1(blueprint) == nil)
  }

  @Test func absentFieldsTakeTheirDefaults() throws {
    #expect(try decoded(#"{"version": 2}"#) == Blueprint())
    #expect(try decoded("{}") == Blueprint(), "a blueprint without a version is of the first")
    var expected = Blueprint()
    expected.layers = 3
    expected.norm = .post
    #expect(try decoded(#"{"version": 2, "layers": 3, "norm": "post"}"#) == expected)
    #expect(try decoded(#"{"layers": 3, "norm": "post"}"#) == expected)
    try Blueprint().validate()
  }

  @Test func fieldsThatNothingReadsAreRefusedByName() {
    for (json, told) in [
      (#"{"version": 2, "layer": 3}"#, "unknown field 'layer'; did you mean 'layers'?"),
      (#"{"feedforward": 3}"#, "unknown field 'feedforward'; did you mean 'feedForward'?"),
      (#"{"version": 2, "head": {"name": "mixture", "component": 3}}"#, "did you mean 'components'?"),
      (#"{"version": 2, "head": {"name": "mixtur"}}"#, "did you mean 'mixture'?"),
      (
        #"{"version": 2, "hints": [{"name": "trend-and-wave", "waves": 3}]}"#,
        "did you mean 'trend-and-waves'?"
      ),
      (#"{"version": 2, "hints": [{"name": "trend-and-waves", "wave": 3}]}"#, "did you mean 'waves'?"),
      (
        #"{"version": 2, "hints": [{"name": "local-splines", "neighbors": 3}]}"#, "did you mean 'neighbours'?"
      ),
      (#"{"version": 2, "parts": {"keyheads": 3}}"#, "did you mean 'keyHeads'?"),
      (#"{"version": 2, "parts": {"rotary": {"theta": 3}}}"#, "known are base, pairing"),
    ] {
      let error = #expect(throws: UnknownField.self) { try decoded(json) }
      #expect(error?.description.contains(told) == true, "\(String(describing: error))")
    }
  }

  @Test(arguments: [
    #"{"layers": "six"}"#, #"{"norm": "sideways"}"#, #"{"width": 1e40}"#, "[]", "{",
    #"{"version": 2, "head": {}}"#, #"{"version": 2, "hints": {}}"#,
  ])
  func wrongTypesAreErrors(json: String) {
    #expect(throws: DecodingError.self) { try decoded(json) }
  }

  static let wrong: [(String, String)] = [
    (#"{"width": 0}"#, "width"), (#"{"width": -16}"#, "width"),
    (#"{"width": 18, "heads": 4}"#, "width 18"), (#"{"width": 24, "heads": 4}"#, "width 24"),
    (#"{"heads": 0}"#, "heads"), (#"{"heads": -4}"#, "heads"), (#"{"layers": 0}"#, "layers"),
    (#"{"layers": 9223372036854775807}"#, "layers"), (#"{"feedForward": 0}"#, "feedForward"),
    (#"{"embedderHidden": 0}"#, "embedderHidden"), (#"{"headHidden": -1}"#, "headHidden"),
    (#"{"components": 0}"#, "components"), (#"{"inputDimensions": 0}"#, "inputDimensions"),
    (#"{"inputDimensions": 65}"#, "inputDimensions"), (#"{"frequencies": -1}"#, "frequencies"),
    (#"{"bufferPositions": -1}"#, "bufferPositions"), (#"{"sigmaFloor": 0}"#, "floor"),
    (#"{"sigmaFloor": -1}"#, "floor"), (#"{"trainedBuffer": -1}"#, "trainedBuffer"),
    (#"{"trainedContext": -1}"#, "trainedContext"), (#"{"neighbours": 65}"#, "neighbours"),
    (#"{"localComponents": 1}"#, "around"), (#"{"neighbours": 4, "localComponents": 21}"#, "around"),
    (#"{"neighbours": 4, "components": 0}"#, "components"), (#"{"periods": 9}"#, "waves"),
    (#"{"version": 2, "head": {"name": "categorical", "levels": 1}}"#, "levels"),
    (#"{"version": 2, "parts": {"keyHeads": 3}}"#, "keyHeads"),
    (#"{"version": 2, "parts": {"keyHeads": 0}}"#, "keyHeads"),
    (#"{"version": 2, "parts": {"epsilon": 0}}"#, "epsilon"),
    (#"{"version": 2, "parts": {"rotary": {}}}"#, "sequence"),
    (#"{"version": 2, "bufferPositions": -1}"#, "bufferPositions"),
    (#"{"version": 2, "bufferPositions": "alibi", "memories": ["linear"]}"#, "alibi"),
    (#"{"version": 2, "bufferPositions": "rotary", "encoder": {"name": "causal"}}"#, "rotary"),
    (#"{"version": 2, "family": "sequence", "bufferPositions": "rotary"}"#, "sequence"),
    (#"{"version": 2, "family": "sequence", "parts": {"rotary": {"base": 1}}}"#, "base"),
    (#"{"version": 2, "parts": {"convolution": 4}}"#, "sequence"),
    (#"{"version": 2, "family": "sequence", "parts": {"convolution": 1}}"#, "convolution"),
    (#"{"version": 2, "head": {"name": "mixture", "around": 3}}"#, "around"),
    (#"{"version": 2, "hints": [{"name": "trend-and-waves", "waves": 0}]}"#, "waves"),
  ]

  @Test(arguments: wrong)
  func sizesThatNoNetworkHasAreNamed(json: String, name: String) throws {
    let blueprint = try decoded(json)
    let error = #expect(throws: ModelError.self) { _ = try Declaration(blueprint) }
    guard case .blueprint(let text)? = error else {
      Issue.record("another error: \(String(describing: error))")
      return
    }
    #expect(text.contains(name))
  }

  @Test func whatNoVersionHasIsRefused() {
    for json in [#"{"version": 3}"#, #"{"neighbours": -1}"#, #"{"scaling": "residual"}"#] {
      #expect(throws: ModelError.self) { try decoded(json) }
    }
  }

  @Test func theFirstVersionIsReadIntoTodaysWords() throws {
    let blueprint = try decoded(
      #"{"version": 1, "neighbours": 4, "components": 7, "periods": 3, "scaling": "residual", "sigmaFloor": 0.5}"#
    )
    #expect(blueprint.head == .mixture(components: 7, around: 7, floor: 0.5))
    #expect(blueprint.scaling == .standardise)
    #expect(
      blueprint.hints
        == Hints([TrendAndWaves(waves: 3, subtracts: true)], rows: [LocalSplines(neighbours: 4)]))
    #expect(
      try decoded(#"{"neighbours": 4, "localComponents": 3}"#).head == .mixture(components: 20, around: 3))
    // And back, to tell the fingerprint that a context of then has.
    let before = try #require(BlueprintV1(blueprint))
    #expect(try JSONDecoder().decode(Blueprint.self, from: JSONEncoder().encode(before)) == blueprint)
  }

  @Test func notANumberIsNoFloor() {
    for floor in [Float.nan, .infinity] {
      #expect(throws: ModelError.self) { try smallBlueprint { $0.head = .mixture(floor: floor) }.validate() }
    }
  }

  @Test func startIsAFunctionOfTheSeed() throws {
    let declared = try Declaration(smallBlueprint { $0.bufferPositions = .learned(3) })
    func start(_ seed: UInt64) -> Weights {
      let weights = Weights(declared.table)
      declared.initialise(weights, seed: seed)
      return weights
    }
    #expect(same(start(1).values.array, start(1).values.array))
    #expect(!same(start(1).values.array, start(2).values.array))
    let weights = start(3)
    for p in declared.table.all {
      let values = (0..<p.count).map { weights[p][$0] }
      #expect(values.allSatisfy { $0.isFinite })
      if p.path.hasSuffix(".gain") { #expect(values.allSatisfy { $0 == 1 }) }
      if p.isWeight { #expect(Set(values).count > p.count / 2, "\(p.path) is not random") }
      let unique = declared.table.all.filter { $0.path == p.path }
      #expect(unique.count == 1)
    }
  }

  @Test func theHeadStartsSpreadEvenly() throws {
    for components in [1, 2, 5] {
      let declared = try Declaration(smallBlueprint { $0.head = .mixture(components: components) })
      let weights = Weights(declared.table)
      declared.initialise(weights, seed: 1)
      let bias = weights[try #require(declared.table["head.down.bias"])]
      let means = (0..<components).map { bias[components + $0] }
      #expect(means.first == (components == 1 ? 0 : -1))
      #expect(components == 1 || abs((means.last ?? 0) - 1) < 1e-6)
      #expect((0..<3 * components).allSatisfy { bias[$0].isFinite })
    }
  }
}
