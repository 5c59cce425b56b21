import ChorusData
import Foundation
import Testing

@Suite("What values are seen as")
struct ValueScaleTests {
  private static let scales: [ValueScale] = [.raw, .logarithm, .root(shift: 0.25)]

  @Test("There and back, with the slope of finite differences", arguments: scales)
  func inverses(scale: ValueScale) throws {
    for value in [0.01, 0.5, 1, 3, 1e4] {
      let seen = try #require(scale.seen(value))
      #expect(abs(scale.value(seen) - value) < 1e-9 * value)
      let step = 1e-5 * value
      let above = try #require(scale.seen(value + step))
      let below = try #require(scale.seen(value - step))
      #expect(abs(scale.logSlope(value) - log((above - below) / (2 * step))) < 1e-6)
    }
  }

  @Test("Values without a place are none, and what is drawn beyond the last place stays inside")
  func ends() {
    #expect(ValueScale.logarithm.seen(0) == nil && ValueScale.logarithm.seen(-1) == nil)
    #expect(ValueScale.root(shift: 1).seen(-1e-9) == nil && ValueScale.root(shift: 1).seen(0) == 1)
    #expect(ValueScale.root(shift: 1).value(-7) == 0 && ValueScale.root(shift: 1).value(0.999) == 0)
    #expect(ValueScale.logarithm.value(1e6).isFinite && ValueScale.logarithm.value(-1e6) == 0)
    #expect(
      ValueScale.root(of: [0, 4, 2]) == .root(shift: 0.5) && ValueScale.root(of: [0]) == .root(shift: 0.25))
  }

  @Test("Kept as JSON, and refused where no scale has these numbers", arguments: scales)
  func kept(scale: ValueScale) throws {
    let json = try JSONEncoder().encode(scale)
    #expect(try JSONDecoder().decode(ValueScale.self, from: json) == scale)
    for wrong in [#"{"name": "root", "shift": -1}"#, #"{"name": "root"}"#, #"{"name": "cube"}"#, "{}"] {
      #expect(throws: (any Error).self) {
        try JSONDecoder().decode(ValueScale.self, from: Data(wrong.utf8))
      }
    }
  }

  @Test("Values lie near those observed; zeros keep their probability where there are some")
  func ranges() throws {
    let root = ValueScale.root(shift: 1)
    #expect(ValueScale.raw.range(of: [1, 2]) == nil)
    #expect(ValueScale.logarithm.range(of: [1, 3]) == -3...7)
    #expect(root.range(of: [2, 3]) == 1...5)
    let zeros = try #require(root.range(of: [1, 3]))
    #expect(zeros == -3...7 && root.value(zeros.lowerBound) == 0)
  }
}
