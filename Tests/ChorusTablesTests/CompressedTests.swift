import Foundation
import Testing

@testable import ChorusTables

/// Bytes of a file that Fixtures/make.py made.
func fixture(_ name: String) throws -> [UInt8] {
  let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
  return try [UInt8](Data(contentsOf: folder.appendingPathComponent(name)))
}

/// A source that hands out a byte at a time, as a slow pipe may.
final class Trickle: ByteSource {
  private let all: MemorySource

  init(_ bytes: [UInt8]) { all = MemorySource(bytes) }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    buffer.isEmpty ? 0 : all.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<1]))
  }
}

/// The stored blocks of a gzip member with `bytes`.
func storedGzip(_ bytes: [UInt8]) -> [UInt8] {
  var sum = Checksum32()
  bytes.withUnsafeBytes { sum.add($0) }
  var result: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]
  var rest = bytes[...]
  repeat {
    let block = rest.prefix(65_535)
    rest = rest.dropFirst(65_535)
    let (low, high) = (UInt8(block.count & 255), UInt8(block.count >> 8))
    result += [rest.isEmpty ? 1 : 0, low, high, ~low, ~high] + block
  } while !rest.isEmpty
  func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
  return result + word(sum.value) + word(UInt32(bytes.count))
}

@Suite struct CompressedTests {
  func expand(_ bytes: [UInt8], limit: Int = 100) throws(TableError) -> [UInt8] {
    try GzipSource(MemorySource(bytes), name: "t.gz", limit: limit).take(.max)
  }

  @Test func checksums() {
    for count in [0, 1, 7, 8, 9, 1000] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
      // A bit at a time, as RFC 1952 defines it.
      var expected = UInt32.max
      for byte in bytes {
        expected ^= UInt32(byte)
        for _ in 0..<8 { expected = expected & 1 == 1 ? 0xEDB8_8320 ^ (expected >> 1) : expected >> 1 }
      }
      var sum = Checksum32()
      bytes.withUnsafeBytes { sum.add($0) }
      #expect(sum.value == ~expected)
    }
  }

  @Test(arguments: [
    ("dynamic.csv.gz", 3000), ("members.csv.gz", 3000), ("fixed.csv.gz", 346), ("huffman.csv.gz", 178),
  ])
  func expandsWhatPythonCompressed(_ name: String, _ rows: Int) throws {
    let bytes = try fixture(name)
    let table = try Table(bytes: bytes, source: name)
    #expect(try table.numbers("x") == (0..<rows).map { Double($0) })
    let thousandths = (0..<rows).map { row in row * row % 977 * 1000 + row * 7919 % 1000 }
    #expect(try table.numbers("y") == thousandths.map { Double($0) / 1000 })
    let slowly = try GzipSource(Trickle(bytes), name: "t", limit: 100).take(.max)
    #expect(try slowly == expand(bytes))
  }

  @Test func expandsStoredBlocks() throws {
    for count in [0, 1, 65_535, 65_536, 400_000] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
      #expect(try expand(storedGzip(bytes)) == bytes)
    }
  }

  @Test func everyCutIsTold() throws {
    let bytes = try fixture("fixed.csv.gz")
    for count in 2..<bytes.count {
      let error = refusal { _ = try expand(Array(bytes[..<count])) }
      #expect(error?.reason == .compressed && error?.detail.contains("ends early") == true, "\(count)")
    }
    let archive = try fixture("types.npz")
    for count in stride(from: 4, to: archive.count, by: 7) {
      let error = refusal { _ = try Table(bytes: Array(archive[..<count]), source: "t.npz") }
      #expect(
        error?.description == "t.npz: the archive is damaged: it has no directory; is the file cut off?")
    }
  }

  @Test func everyFlippedBitIsTold() throws {
    let bytes = try fixture("huffman.csv.gz")
    let expected = try expand(bytes)
    // Of the head, time, level and system carry nothing.
    for place in [0, 1, 2] + Array(10..<bytes.count) {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[place] ^= 1 << bit
        if let other = try? expand(damaged) { #expect(other == expected, "\(place) \(bit)") }
      }
    }
  }

  @Test func tellsOfDamage() throws {
    let good = storedGzip(Array("a,b\n1,2\n".utf8))
    func refused(_ change: (inout [UInt8]) -> Void) -> String {
      var bytes = good
      change(&bytes)
      return refusal { _ = try Table(bytes: bytes, source: "t.csv.gz") }?.description ?? "no error"
    }
    #expect(refused { $0[$0.count - 8] ^= 1 }.hasSuffix("the checksum is another."))
    #expect(refused { $0[$0.count - 1] ^= 1 }.hasSuffix("the length is another."))
    #expect(refused { $0[2] = 7 }.hasSuffix("not packed by deflate."))
    #expect(refused { $0[11] ^= 1 }.hasSuffix("a stored block whose length is damaged."))
    #expect(refused { $0[10] = 7 }.hasSuffix("a block of an unknown kind."))
    #expect(refused { $0 += Array("more".utf8) }.hasSuffix("what follows is not gzip."))
    #expect(
      refused { $0.removeLast(9) }
        == "t.csv.gz: the compressed data ends early, after 22 bytes; is the file cut off?")
    #expect(refused { $0 = storedGzip($0) } == "t.csv.gz: is compressed twice; expand it once (gunzip).")
  }

  /// A block of one symbol repeated: about a thousand bytes out for a byte in.
  static func bomb(copies: Int) -> [UInt8] {
    var bits = 0
    var count = 0
    var body: [UInt8] = []
    func put(_ value: Int, _ width: Int) {
      bits |= value << count
      count += width
      while count >= 8 {
        body.append(UInt8(bits & 255))
        bits >>= 8
        count -= 8
      }
    }
    // A dynamic block: literals "\n" (2 bits), end (2 bits), length 258 (1 bit); distance 1 (1 bit).
    put(1, 1)
    put(2, 2)
    put(29, 5)  // 286 literals and lengths
    put(0, 5)
    put(15, 4)  // all 19 lengths of lengths, in their order; 0, 1, 2 and 18 have two bits
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
      put([0, 1, 2, 18].contains(symbol) ? 2 : 0, 3)
    }
    func length(_ symbol: Int) { put([0: 0, 1: 2, 2: 1, 18: 3][symbol] ?? 0, 2) }
    func zeros(_ number: Int) {
      length(18)
      put(number - 11, 7)
    }
    for _ in 0..<10 { length(0) }
    length(2)  // of symbol 10
    zeros(138)
    zeros(107)
    length(2)  // of symbol 256
    zeros(28)
    length(1)  // of symbol 285
    length(1)  // of distance 0
    put(0b01, 2)  // 10
    for _ in 0..<copies { put(0, 2) }
    put(0b11, 2)
    put(0, 7)
    return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255] + body
  }

  @Test func aBombIsRefusedEarly() throws {
    let bomb = Self.bomb(copies: 4 << 20)  // a megabyte, to a gigabyte
    #expect(bomb.count < 1_050_000)
    let error = refusal { _ = try Table(bytes: bomb, source: "bomb.csv.gz") }
    let words = try #require(error?.description)
    #expect(words.hasPrefix("bomb.csv.gz: expands to more than 100 times its size ("), "\(words)")
    #expect(words.hasSuffix("raise the limit with --max-expansion."), "\(words)")
    // Past the limit by a block at most.
    let sizes = words.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
    #expect(sizes.count == 3 && sizes[2] < 110 << 20, "\(words)")
    // Small ones may be of one number throughout.
    var raised = TableOptions()
    raised.expansionLimit = 1100
    #expect(
      refusal { _ = try Table(bytes: Self.bomb(copies: 1 << 18), source: "t", options: raised) }?.reason
        == .compressed)  // its checksum is left out
    #expect(refusal { _ = try expand(Self.bomb(copies: 1000)) }?.detail.contains("ends early") == true)
  }
}
