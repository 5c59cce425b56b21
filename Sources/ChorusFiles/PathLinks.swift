#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What the file system knows of a path.
extension String {
  /// Whether there is something at the path, behind symbolic links.
  package var isThere: Bool {
    var status = stat()
    return stat(self, &status) == 0
  }

  /// What the symbolic link at the path says; nil where there is none.
  package var linkedPath: String? {
    // As long as Linux takes paths.
    var bytes = [CChar](repeating: 0, count: 4096)
    let count = readlink(self, &bytes, bytes.count)
    guard count > 0 else { return nil }
    return String(decoding: bytes[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// The path from the root, without symbolic links, as far as it is there.
  package var withoutLinks: String {
    if let real = realpath(self, nil) {
      defer { free(real) }
      return String(cString: real)
    }
    let (folder, name) = (folderOfPath, nameOfPath)
    // A root, or a working folder that is gone.
    guard folder != self else { return self }
    let above = folder.withoutLinks
    switch name {
    case ".": return above
    case "..": return above.folderOfPath
    default: return above == "/" ? "/" + name : above + "/" + name
    }
  }
}

/// Names that nothing else has.
package enum UniqueName {
  /// A random number of 128 bits in the form of a UUID of version 4 (RFC 9562).
  package static func make() -> String {
    var (high, low) = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
    high = high & ~0xF000 | 0x4000
    low = low & ~(3 << 62) | 2 << 62
    func digits(_ value: UInt64) -> String {
      let text = String(value, radix: 16, uppercase: true)
      return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
    let all = Array((digits(high) + digits(low)).utf8)
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(decoding: all[$0], as: UTF8.self) }
      .joined(separator: "-")
  }

  /// Whether a text has the form of ``make()``'s.
  package static func isOne(_ text: some StringProtocol) -> Bool {
    let parts = text.split(separator: "-" as Character, omittingEmptySubsequences: false)
    return parts.map(\.utf8.count) == [8, 4, 4, 4, 12]
      && parts.allSatisfy { part in
        part.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0 | 0x20) }
      }
  }
}
