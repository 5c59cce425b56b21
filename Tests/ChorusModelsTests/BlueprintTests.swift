import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusTensors

@Suite struct BlueprintTests {
  private func decoded(_ json: String) throws -> Blueprint {
    try JSONDecoder().decode(Blueprint.self, from: Data(json.utf8))
  }

  @Test func goesThroughJSONUnchanged() throws {
    var blueprint = smallBlueprint {
      $0.norm = .post
      $0.bufferPositions = 7
      $0.scaling = .standardise
      $0.sigmaFloor = 0.0123
      $0.trainedContext = 33
      $0.trainedBuffer = 5
    }
    for _ in 0..<2 {
      let json = try JSONEncoder().encode(blueprint)
      #expect(try JSONDecoder().decode(Blueprint.self, from: json) == blueprint)
      // Every field is written.
      let fields = try JSONSerialization.jsonObject(with: json) as? [String: Any]
      #expect(Set(fields?.keys.map { $0 } ?? []) == Set(Blueprint.CodingKeys.allCases.map(\.rawValue)))
      blueprint = Blueprint()
    }
  }

  @Test func absentFieldsTakeTheirDefaults() throws {
    #expect(try decoded("{}") == Blueprint())
    var expected = Blueprint()
    expected.layers = 3
    expected.norm = .post
    #expect(try decoded(#"{"layers": 3, "norm": "post", "unheard of": [1]}"#) == expected)
    try Blueprint().validate()
  }

  @Test(arguments: [#"{"layers": "six"}"#, #"{"norm": "sideways"}"#, #"{"width": 1e40}"#, "[]", "{"])
  func wrongTypesAreErrors(json: String) {
    #expect(throws: DecodingError.self) { try decoded(json) }
  }

  static let wrong: [(String, String)] = [
    (#"{"version": 2}"#, "version 2"), (#"{"width": 0}"#, "width"), (#"{"width": -16}"#, "width"),
    (#"{"width": 18, "heads": 4}"#, "width 18"), (#"{"width": 24, "heads": 4}"#, "width 24"),
    (#"{"heads": 0}"#, "heads"), (#"{"heads": -4}"#, "heads"), (#"{"layers": 0}"#, "layers"),
    (#"{"layers": 9223372036854775807}"#, "layers"), (#"{"feedForward": 0}"#, "feedForward"),
    (#"{"embedderHidden": 0}"#, "embedderHidden"), (#"{"headHidden": -1}"#, "headHidden"),
    (#"{"components": 0}"#, "components"), (#"{"inputDimensions": 0}"#, "inputDimensions"),
    (#"{"inputDimensions": 65}"#, "inputDimensions"), (#"{"frequencies": -1}"#, "frequencies"),
    (#"{"bufferPositions": -1}"#, "bufferPositions"), (#"{"sigmaFloor": 0}"#, "sigmaFloor"),
    (#"{"sigmaFloor": -1}"#, "sigmaFloor"), (#"{"trainedBuffer": 0}"#, "trainedBuffer"),
    (#"{"trainedContext": -1}"#, "trainedContext"), (#"{"neighbours": -1}"#, "neighbours"),
    (#"{"neighbours": 65}"#, "neighbours"), (#"{"localComponents": 1}"#, "localComponents"),
    (#"{"neighbours": 4, "localComponents": 0}"#, "localComponents"),
    (#"{"neighbours": 4, "localComponents": 21}"#, "localComponents"),
    (#"{"neighbours": 4, "components": 0}"#, "components"),
  ]

  @Test(arguments: wrong)
  func sizesThatNoNetworkHasAreNamed(json: String, name: String) throws {
    let blueprint = try decoded(json)
    let error = #expect(throws: ModelError.self) { try blueprint.validate() }
    guard case .blueprint(let text)? = error else {
      Issue.record("another error: \(String(describing: error))")
      return
    }
    #expect(text.contains(name))
    #expect(throws: ModelError.self) { _ = try Network(blueprint) }
  }

  @Test func whatIsNotToldOfLocalComponents() throws {
    #expect(try decoded("{}").localComponents == 0)
    #expect(try decoded(#"{"neighbours": 4, "components": 7}"#).localComponents == 7)
    #expect(try decoded(#"{"neighbours": 4, "localComponents": 3}"#).localComponents == 3)
  }

  @Test func notANumberIsNoFloor() {
    for floor in [Float.nan, .infinity] {
      #expect(throws: ModelError.self) { try smallBlueprint { $0.sigmaFloor = floor }.validate() }
    }
  }

  @Test func startIsAFunctionOfTheSeed() throws {
    let network = try Network(smallBlueprint { $0.bufferPositions = 3 })
    func start(_ seed: UInt64) -> Weights {
      let weights = Weights(network.table)
      network.initialise(weights, seed: seed)
      return weights
    }
    #expect(same(start(1).values.array, start(1).values.array))
    #expect(!same(start(1).values.array, start(2).values.array))
    let weights = start(3)
    for p in network.table.all {
      let values = (0..<p.count).map { weights[p][$0] }
      #expect(values.allSatisfy { $0.isFinite })
      if p.path.hasSuffix(".gain") { #expect(values.allSatisfy { $0 == 1 }) }
      if p.isWeight { #expect(Set(values).count > p.count / 2, "\(p.path) is not random") }
      let unique = network.table.all.filter { $0.path == p.path }
      #expect(unique.count == 1)
    }
  }

  @Test func theHeadStartsSpreadEvenly() throws {
    for components in [1, 2, 5] {
      let network = try Network(smallBlueprint { $0.components = components })
      let weights = Weights(network.table)
      network.initialise(weights, seed: 1)
      let bias = weights[network.headDown.bias]
      let means = (0..<components).map { bias[components + $0] }
      #expect(means.first == (components == 1 ? 0 : -1))
      #expect(components == 1 || abs((means.last ?? 0) - 1) < 1e-6)
      #expect((0..<3 * components).allSatisfy { bias[$0].isFinite })
    }
  }
}
