import ChorusData
import Testing

/// Units in whatever unit and with whatever offset numbers come.
@Suite struct MomentsTests {
  private let parts = [0.0, 0.25, 1, -0.5, 0.75, 0.125]

  private func scaled(_ values: [Double]) throws -> [Double] {
    let scaling = try Scaling.standardising(x: values, y: values, dimensions: 1)
    return values.map { scaling.scaled(input: $0, column: 0) }
  }

  @Test func aUnitIsNothing() throws {
    let plain = try scaled(parts)
    for exponent in stride(from: -300, through: 300, by: 20) {
      let unit = Double(sign: .plus, exponent: exponent * 10 / 3, significand: 1)
      for (a, b) in zip(try scaled(parts.map { $0 * unit }), plain) {
        #expect(abs(a - b) < 1e-12, "unit \(unit)")
      }
    }
  }

  /// A clock in milliseconds since 1970 counts half a second as what it is.
  @Test func anOffsetIsNothing() throws {
    let plain = try scaled(parts)
    for offset in [1e3, 1.7e9, 1.7e12, -1e13] {
      for (a, b) in zip(try scaled(parts.map { $0 * 1024 + offset }), plain) {
        // What the numbers themselves are rounded to.
        #expect(abs(a - b) < 1e-12 + abs(offset) * 1e-18, "offset \(offset)")
      }
    }
    // Neighbours of 10¹⁵: an eighth is all there is between them.
    let far = try scaled([1e15, 1e15 + 1, 1e15 + 2, 1e15 + 3])
    #expect(zip(far, [-1.3416, -0.4472, 0.4472, 1.3416]).allSatisfy { abs($0 - $1) < 0.06 })
  }

  /// A constant is what does not change, however large it is, and an answer is near it in any unit.
  @Test func constants() throws {
    for value in [0, 0.1, 1e-6, 1e-300, -7, 1e12, 1e300] {
      let scaling = try Scaling.standardising(
        x: [value, value, value], y: [value, value, value], dimensions: 1)
      #expect(scaling.inputCentres == [value] && scaling.inputScales == [1])
      #expect(scaling.outputCentre == value)
      #expect(abs(scaling.outputScale - (value == 0 ? 0.01 : abs(value) / 100)) <= 1e-15 * abs(value))
    }
    let nearly = try Scaling.standardising(x: [1e9, 1e9 + 1e-6], y: [0, 1], dimensions: 1)
    #expect(nearly.inputScales[0] < 1e-6)
    let extremes = try Scaling.standardising(
      x: [-1.7e308, 1.7e308], y: [.leastNonzeroMagnitude, 0], dimensions: 1)
    #expect(extremes.inputScales[0].isFinite && extremes.outputScale > 0)
  }
}
