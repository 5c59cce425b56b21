import Foundation

// SHA-256 comes from the platform, or from swift-crypto where the platform has none. Measured on a 2-core
// x86-64 machine: the first release build of swift-crypto takes 77 s alone (2 min of CPU time; 171 s beside
// other builds); hashing runs at 1.4 GB/s (hardware SHA).
#if canImport(CryptoKit)
  import CryptoKit
#else
  import Crypto
#endif

/// The checksum that makes a flipped bit anywhere in a file show: in the data, in the tensor table, or in the
/// metadata.
///
/// It is the SHA-256, in hexadecimal, of these bytes (lengths and numbers as 8 bytes, little endian):
///
/// 1. for each metadata pair but `hash` and `sha256`, in order of the key's UTF-8 bytes: length and bytes of
///    the key, length and bytes of the value; before them, how many pairs there are;
/// 2. the number of tensors; for each, in order of its place in the data, then of its name: length and bytes of
///    the name, of the element type's name, the number of sizes, the sizes, the begin and the end offset;
/// 3. the data section.
///
/// A file that has it says so with the metadata pair `hash` = ``scheme``, so that damage to either key's name
/// can not pass for a file without a checksum.
enum Checksum {
  static let scheme = "sha256 of metadata, table, data"
  static let schemeKey = "hash"
  static let valueKey = "sha256"

  static func hexadecimal(metadata: [String: String], entries: [TensorEntry], data: Data) -> String {
    var head: [UInt8] = []
    func add(_ number: Int) {
      withUnsafeBytes(of: UInt64(truncatingIfNeeded: number).littleEndian) { head.append(contentsOf: $0) }
    }
    func add(_ text: String) {
      add(text.utf8.count)
      head.append(contentsOf: text.utf8)
    }
    let pairs = metadata.filter { $0.key != schemeKey && $0.key != valueKey }
    add(pairs.count)
    for (key, value) in pairs.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      add(key)
      add(value)
    }
    add(entries.count)
    for entry in entries {
      add(entry.name)
      add(entry.type.rawValue)
      add(entry.shape.count)
      for size in entry.shape { add(size) }
      add(entry.range.lowerBound)
      add(entry.range.upperBound)
    }
    var hash = SHA256()
    hash.update(data: head)
    hash.update(data: data)
    return hexadecimal(hash.finalize())
  }

  static func hexadecimal(of data: Data) -> String { hexadecimal(SHA256.hash(data: data)) }

  private static func hexadecimal(_ digest: SHA256.Digest) -> String {
    let digits = Array("0123456789abcdef")
    return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}
