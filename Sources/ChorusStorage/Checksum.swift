import CChorusKernels

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

  /// - Parameter data: gives the data section's bytes to the sum, from the first to the last.
  static func hexadecimal(
    metadata: [String: String], entries: [TensorEntry], data: (inout SHA256) -> Void
  ) -> String {
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
    hash.update(head)
    data(&hash)
    return hash.hexadecimal()
  }
}

/// SHA-256 of bytes that come in parts (FIPS 180-4).
package struct SHA256 {
  private var state = ck_sha256()

  init() { ck_sha256_init(&state) }

  mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    ck_sha256_update(&state, bytes.baseAddress, bytes.count)
  }

  /// The digest of bytes, 32 of them.
  package static func digest(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes)
    return hash.digest()
  }

  /// Ends the sum.
  private mutating func digest() -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    ck_sha256_final(&state, &digest)
    return digest
  }

  /// The digest in lower-case hexadecimal; ends the sum.
  mutating func hexadecimal() -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: digest().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
