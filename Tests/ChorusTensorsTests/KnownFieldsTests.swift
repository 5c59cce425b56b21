import ChorusTensors
import Foundation
import Testing

@Suite struct KnownFieldsTests {
  private struct Inner: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable { case width, heads }
    let width: Int?
    init(from decoder: any Decoder) throws {
      width = try decoder.knownFields(CodingKeys.self).decodeIfPresent(Int.self, forKey: .width)
    }
  }
  private struct Outer: Decodable {
    let layers: [Inner]
  }

  private func read(_ json: String) throws -> Outer {
    try JSONDecoder().decode(Outer.self, from: Data(json.utf8))
  }

  @Test func knownFieldsAreRead() throws {
    #expect(try read(#"{"layers": [{"width": 3, "heads": 2}, {}]}"#).layers.map(\.width) == [3, nil])
  }

  @Test func anUnknownFieldIsNamedWithItsPlaceAndTheNearestKnownOne() {
    let near = #expect(throws: UnknownField.self) { try read(#"{"layers": [{}, {"widht": 3}]}"#) }
    #expect(near?.description == "layers.1: unknown field 'widht'; did you mean 'width'?")
    let far = #expect(throws: UnknownField.self) { try read(#"{"layers": [{"colour": 3, "zebra": 1}]}"#) }
    #expect(far?.description == "layers.0: unknown field 'colour'; known are width, heads")
  }
}
