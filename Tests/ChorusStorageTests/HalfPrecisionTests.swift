import Testing

@testable import ChorusStorage

@Suite struct HalfPrecisionTests {
  @Test func knownValuesAndEdges() {
    let pairs: [(Float, UInt16)] = [
      (0, 0), (-0.0, 0x8000), (1, 0x3C00), (-2, 0xC000), (65504, 0x7BFF), (65519.996, 0x7BFF),
      (65520, 0x7C00),
      (.infinity, 0x7C00), (-.infinity, 0xFC00), (0x1p-14, 0x0400), (0x1p-24, 0x0001), (0x1p-25, 0),
      (0x1.000002p-25, 1), (0x1.8p-24, 2), (0x1.ffep-15, 0x0400), (1 + 0x1p-11, 0x3C00),
      (1 + 0x1.8p-10, 0x3C02),
      (.leastNonzeroMagnitude, 0), (.greatestFiniteMagnitude, 0x7C00),
    ]
    for (value, bits) in pairs { #expect(HalfPrecision.binary16(from: value) == bits, "\(value)") }
    #expect(HalfPrecision.float(fromBinary16: HalfPrecision.binary16(from: .nan)).isNaN)
    #expect(HalfPrecision.binary16(from: Float(bitPattern: 0x7F80_0001)) == 0x7E00)
  }

  @Test func everyPatternRoundTrips() {
    var wrong = 0
    for half in UInt16.min...UInt16.max {
      let value = HalfPrecision.float(fromBinary16: half)
      if value.isNaN {
        if half & 0x7C00 != 0x7C00 || half & 0x3FF == 0 { wrong += 1 }
      } else if HalfPrecision.binary16(from: value) != half {
        wrong += 1
      }
    }
    #expect(wrong == 0)
  }

  #if !(os(macOS) && arch(x86_64))
    @Test func agreesWithFloat16() {
      var wrong = 0
      // A stride that is odd visits every pattern of the low bits, ties among them.
      for bits in stride(from: UInt32(0), to: UInt32.max - 40_000, by: 32_749) {
        for bits in [bits, bits & 0xFFFF_F000, bits & 0xFFFF_F000 | 1] {
          let value = Float(bitPattern: bits)
          if value.isNaN { continue }
          if HalfPrecision.binary16(from: value) != Float16(value).bitPattern { wrong += 1 }
        }
      }
      for half in UInt16.min...UInt16.max where !Float16(bitPattern: half).isNaN {
        if HalfPrecision.float(fromBinary16: half) != Float(Float16(bitPattern: half)) { wrong += 1 }
      }
      #expect(wrong == 0)
    }
  #endif

  @Test func brainFloatsWiden() {
    #expect(HalfPrecision.float(fromBFloat16: 0x3F80) == 1)
    #expect(HalfPrecision.float(fromBFloat16: 0xC049) == -3.140625)
    #expect(HalfPrecision.float(fromBFloat16: 0x7F80) == .infinity)
  }
}
