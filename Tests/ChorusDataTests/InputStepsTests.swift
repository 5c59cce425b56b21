import Foundation
import Testing

@testable import ChorusData

@Suite("Inputs that are whole steps apart")
struct InputStepsTests {
  /// Milliseconds after a start, by chance.
  private static func times(_ seed: UInt64, _ count: Int = 60) -> [Int] {
    var state = seed &* 2_654_435_769
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % 100_000
    }
  }

  @Test("A clock's readings are the same numbers in every unit", arguments: [UInt64(1), 2, 3, 4])
  func clocks(seed: UInt64) throws {
    let times = Self.times(seed)
    let start = 1_700_000_000_000
    let clocks: [[Double]] = [
      times.map { Double(start + $0) }, times.map { Double(start + $0) / 1000 },
      times.map { Double(start + $0) / 86_400_000 }, times.map { 1000 * Double(start + $0) },
      times.map { Double(start + $0 - 900_000_000_000) },
    ]
    let scaled = try clocks.map { clock -> [Double] in
      let scaling = try Scaling.standardising(x: clock, y: clock.indices.map(Double.init), dimensions: 1)
      #expect(scaling.inputSteps.count == 1)
      return clock.map { scaling.scaled(input: $0, column: 0) }
    }
    for other in scaled.dropFirst() { #expect(other == scaled[0]) }
    // And they are the readings: as a clock from 0 shows them but for rounding.
    let plain = try Scaling.standardising(
      x: times.map(Double.init), y: times.map(Double.init), dimensions: 1)
    for (a, b) in zip(scaled[0], times) {
      #expect(abs(a - plain.scaled(input: Double(b), column: 0)) < 1e-12)
    }
    #expect(plain.inputSteps.isEmpty)
  }

  @Test("Numbers near to 0, no whole steps apart, or finer than their rounding are taken as ever")
  func others() throws {
    let noise = (0..<50).map { sin(7 * Double($0 * $0)) }
    let all: [[Double]] = [
      noise, noise.map { 1e9 + $0 }, noise.map { 1e15 + $0 }, (0..<50).map { 20_000 + Double($0) },
      (0..<50).map { Double($0) / 7 }, [5, 5, 5], [1e300, -1e300], [1e17, 1e17 + 16, 1e17 + 48],
    ]
    for values in all {
      let scaling = try Scaling.standardising(x: values, y: values.indices.map(Double.init), dimensions: 1)
      #expect(scaling.inputSteps.isEmpty, "\(values.prefix(3))")
    }
  }

  @Test("A scale comes back from a file, and there are units both ways")
  func kept() throws {
    let x = Self.times(5).map { Double(1_700_000_000_000 + $0) }
    let scaling = try Scaling.standardising(x: x, y: x.indices.map(Double.init), dimensions: 1)
    func written(_ scaling: Scaling) throws -> String {
      String(decoding: try JSONEncoder().encode(scaling), as: UTF8.self)
    }
    func read(_ text: String) throws -> Scaling {
      try JSONDecoder().decode(Scaling.self, from: Data(text.utf8))
    }
    let text = try written(scaling)
    #expect(try read(text) == scaling && text.contains("inputSteps"))
    let inputs = try Inputs(x + [1_700_000_500_000.5])
    let back = try scaling.invert(scaling.apply(inputs))
    for (a, b) in zip(back.values, inputs.values) { #expect(abs(a - b) < 0.001) }
    for bad in ["\"step\":0", "\"step\":-1", "\"step\":\"a\""] {
      let broken = text.replacing(/"step":[0-9.e-]+/, with: bad)
      #expect(broken != text)
      #expect(throws: (any Error).self) { try read(broken) }
    }
    let plain = try Scaling.standardising(x: [1, 2, 4], y: [0, 1, 2], dimensions: 1)
    #expect(try !written(plain).contains("inputSteps"))
  }
}
