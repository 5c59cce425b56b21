import CChorusKernels
import Foundation
import Testing

@testable import ChorusStorage

/// The example vectors of NIST's CAVP for byte-oriented messages and of FIPS 180-4's appendix.
@Suite struct SHA256Tests {
  static let vectors: [(message: [UInt8], digest: String)] = [
    ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ([0xD3], "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"),
    (Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      [UInt8](repeating: 0x61, count: 1_000_000),
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    ),
  ]

  @Test(arguments: vectors.indices)
  func givesTheDigestsOfTheStandard(_ index: Int) {
    let (message, digest) = Self.vectors[index]
    var hash = SHA256()
    hash.update(message)
    #expect(hash.hexadecimal() == digest)
  }

  /// However a message is cut, and around every length at which padding takes another block.
  @Test func doesNotDependOnTheParts() {
    let bytes = (0..<400).map { UInt8(truncatingIfNeeded: $0 * 131 >> 3) }
    for length in [0, 1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 128, 400] {
      var whole = SHA256()
      whole.update(Array(bytes[..<length]))
      let expected = whole.hexadecimal()
      for part in [1, 3, 63, 64, 65] {
        var hash = SHA256()
        for start in stride(from: 0, to: length, by: part) {
          hash.update(Array(bytes[start..<min(start + part, length)]))
        }
        #expect(hash.hexadecimal() == expected, "length \(length) in parts of \(part)")
      }
    }
  }

  /// The form by the machine's own instructions, where it has them, and the portable one.
  @Test func portableFormAgrees() {
    let bytes = (0..<64 * 5).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 5) }
    var hash = ck_sha256()
    ck_sha256_init(&hash)
    var state = hash
    ck_sha256_update(&hash, bytes, bytes.count)
    withUnsafeMutableBytes(of: &state.state) {
      ck_sha256_blocks_portable($0.assumingMemoryBound(to: UInt32.self).baseAddress, bytes, 5)
    }
    let (used, portable) = (hash.state, state.state)
    #expect(withUnsafeBytes(of: used, Array.init) == withUnsafeBytes(of: portable, Array.init))
  }
}
