import CChorusKernels
import Foundation
import Testing

/// Products with weights in the blocks of GGUF files, against plain sums of what the blocks hold.
@Suite struct KernelTestsQuantised {
  static let types = [CK_F32, CK_F16, CK_BF16, CK_Q8_0, CK_Q4_0, CK_Q4_1, CK_Q4_K, CK_Q5_K, CK_Q6_K].map {
    Int32($0)
  }

  /// `count` values of a format whose scales are small halves and whose other bytes are anything.
  private func blocks(_ type: Int32, _ count: Int, _ memory: Memory) -> UnsafeMutablePointer<UInt8> {
    let (values, size) = (Int(ck_block_values(type)), Int(ck_block_bytes(type)))
    let bytes = UnsafeMutableRawPointer(memory.floats((count / values * size + 3) / 4))
      .bindMemory(to: UInt8.self, capacity: count / values * size)
    for i in 0..<count / values * size { bytes[i] = UInt8(truncatingIfNeeded: memory.numbers.bits()) }
    // Where halves lie: everywhere in F16, at the front of a block elsewhere, at the end of Q6_K. Exponents near 1.
    for block in 0..<count / values {
      let own = bytes + block * size
      switch Int(type) {
      case CK_F32: for i in 0..<8 { own[4 * i + 3] = 0x3E | own[4 * i + 3] & 0x80 }
      case CK_F16: for i in 0..<8 { own[2 * i + 1] = 0x38 | own[2 * i + 1] & 0x83 }
      case CK_BF16: for i in 0..<8 { own[2 * i + 1] = 0x3E | own[2 * i + 1] & 0x80 }
      case CK_Q6_K: own[209] = 0x18 | own[209] & 0x83
      default:
        own[1] = 0x18 | own[1] & 0x83
        if Int(type) != CK_Q8_0 && Int(type) != CK_Q4_0 { own[3] = 0x18 | own[3] & 0x83 }
      }
    }
    return bytes
  }

  @Test(arguments: instances, types)
  func expandedBlocksAreTheFormats(isa: Int32, type: Int32) {
    withMemory(seed: Int(type)) { memory in
      let values = Int(ck_block_values(type))
      let (count, size) = (3 * values, Int(ck_block_bytes(type)))
      let bytes = blocks(type, count, memory)
      let out = memory.floats(count)
      kernels(isa).expand(type, count, bytes, out)
      var deviation = Deviation()
      for i in 0..<count {
        let wanted = GGUFReference.value(type, UnsafePointer(bytes) + i / values * size, i % values)
        deviation.note(out[i], wanted, allowed: 1e-6 * (1 + abs(wanted)), "value \(i)")
      }
      deviation.expectSmall("format \(type)")
    }
  }

  @Test(arguments: instances, types)
  func productsAreSumsOfTheValues(isa: Int32, type: Int32) {
    let table = kernels(isa)
    for (m, n) in [(1, 1), (1, 7), (2, 24), (3, 25), (5, 50), (41, 4)] {
      withMemory(seed: 100 * m + n) { memory in
        let k = 2 * max(Int(ck_block_values(type)), 32)
        let rowBytes = k / Int(ck_block_values(type)) * Int(ck_block_bytes(type))
        let bytes = blocks(type, k * n, memory)
        let (lda, ldc, ldres) = (k + 3, n + 2, n + 1)
        let a = memory.matrix(m, k, stride: lda)
        let c = memory.matrix(m, n, stride: ldc)
        let residual = m % 2 == 0 ? memory.matrix(m, n, stride: ldres) : nil
        let scratch = memory.floats(ck_products_scratch(Int32(m), Int32(k)))
        func run(_ rows: Range<Int>, _ outputs: Range<Int>, into c: UnsafeMutablePointer<Float>) {
          var args = ck_products_args()
          (args.m, args.k, args.n) = (Int32(rows.count), Int32(k), Int32(outputs.count))
          args.type = type
          args.weights = UnsafeRawPointer(bytes + outputs.lowerBound * rowBytes)
          args.row_bytes = rowBytes
          (args.a, args.lda) = (UnsafePointer(a + rows.lowerBound * lda), Int32(lda))
          (args.c, args.ldc) = (c + rows.lowerBound * ldc + outputs.lowerBound, Int32(ldc))
          if let residual {
            args.residual = UnsafePointer(residual + rows.lowerBound * ldres + outputs.lowerBound)
          }
          args.ldres = Int32(ldres)
          args.scratch = scratch
          table.products(&args)
        }
        run(0..<m, 0..<n, into: c)
        let values = memory.floats(k * n)
        table.expand(type, k * n, bytes, values)
        var deviation = Deviation()
        for i in 0..<m {
          for j in 0..<n {
            var (sum, size) = (Double(residual?[i * ldres + j] ?? 0), 1.0)
            for p in 0..<k {
              let term = Double(a[i * lda + p]) * Double(values[j * k + p])
              sum += term
              size += abs(term)
            }
            deviation.note(c[i * ldc + j], sum, allowed: 1e-6 * size, "\(i), \(j) of \(m)x\(n)")
          }
        }
        deviation.expectSmall("products of format \(type)")
        // A row alone, and outputs in parts, have the same bytes.
        let parts = memory.floats(m * ldc)
        let cut = n / 2
        for i in 0..<m {
          run(i..<i + 1, 0..<cut, into: parts)
          run(i..<i + 1, cut..<n, into: parts)
          #expect(sameBytes(c + i * ldc, parts + i * ldc, n), "row \(i) of \(m)x\(n), format \(type)")
        }
      }
    }
  }

  /// Every finite half is the number that it is.
  @Test(arguments: instances) func halves(isa: Int32) {
    withMemory(seed: 1) { memory in
      let bits = (0..<1 << 16).map { UInt16($0) }
      let out = memory.floats(1 << 16)
      bits.withUnsafeBytes { kernels(isa).expand(Int32(CK_F16), 1 << 16, $0.baseAddress, out) }
      for half in bits where half & 0x7C00 != 0x7C00 {
        #expect(Double(out[Int(half)]) == GGUFReference.half(half))
      }
    }
  }

  @Test func formatsThatAreNotKnownHaveNoBlocks() {
    for type in [-1, 4, 5, 6, 7, 9, 10, 11, 15, 29, 31, 1 << 20] as [Int32] {
      #expect(ck_block_values(type) == 0 && ck_block_bytes(type) == 0)
    }
  }
}

/// The values of blocks one by one, in Double, from ggml's description of its formats.
enum GGUFReference {
  static func half(_ bits: UInt16) -> Double {
    let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 1023))
    let magnitude =
      exponent == 0 ? fraction / 1024 * pow(2, -14) : (1 + fraction / 1024) * pow(2, Double(exponent - 15))
    return bits >> 15 == 1 ? -magnitude : magnitude
  }

  static func value(_ type: Int32, _ b: UnsafePointer<UInt8>, _ i: Int) -> Double {
    func half(_ at: Int) -> Double { Self.half(UInt16(b[at]) | UInt16(b[at + 1]) << 8) }
    func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(b[at + $1]) << UInt32(8 * $1) } }
    func nibble(_ at: Int, high: Bool) -> Double { Double(high ? b[at] >> 4 : b[at] & 15) }
    /// Scale and offset of a group of 32 in a block of 256, packed in twelve bytes.
    func group(_ g: Int) -> (Double, Double) {
      let s = b + 4
      if g < 4 { return (Double(s[g] & 63), Double(s[g + 4] & 63)) }
      return (
        Double(s[g + 4] & 15 | (s[g - 4] >> 6) << 4), Double(s[g + 4] >> 4 | (s[g] >> 6) << 4)
      )
    }
    switch Int(type) {
    case CK_F32: return Double(Float(bitPattern: word(4 * i)))
    case CK_F16: return half(2 * i)
    case CK_BF16: return Double(Float(bitPattern: (UInt32(b[2 * i]) | UInt32(b[2 * i + 1]) << 8) << 16))
    case CK_Q8_0: return half(0) * Double(Int8(bitPattern: b[2 + i]))
    case CK_Q4_0: return half(0) * (nibble(2 + i % 16, high: i >= 16) - 8)
    case CK_Q4_1: return half(0) * nibble(4 + i % 16, high: i >= 16) + half(2)
    case CK_Q4_K, CK_Q5_K:
      let (pair, g) = (i / 64, i / 32)
      let (scale, offset) = group(g)
      let first = Int(type) == CK_Q4_K ? 16 : 48
      var q = nibble(first + 32 * pair + i % 32, high: g % 2 == 1)
      if Int(type) == CK_Q5_K, b[16 + i % 32] >> UInt8(g) & 1 == 1 { q += 16 }
      return half(0) * scale * q - half(2) * offset
    case CK_Q6_K:
      let (part, quarter, l) = (i / 128, i % 128 / 32, i % 32)
      let low = nibble(64 * part + 32 * (quarter % 2) + l, high: quarter >= 2)
      let top = Double(b[128 + 32 * part + l] >> UInt8(2 * quarter) & 3)
      let scale = Double(Int8(bitPattern: b[192 + 8 * part + 2 * quarter + l / 16]))
      return half(208) * scale * (low + 16 * top - 32)
    default: return .nan
    }
  }
}
