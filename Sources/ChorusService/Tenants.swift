import ChorusStorage

/// Who may ask: tenants by their keys. Without keys everybody is the one tenant without a name.
package struct Tenants: Sendable {
  /// Tenants with the checksum of a key. One tenant may have several, so that keys can be exchanged.
  private var keys: [(tenant: String, digest: [UInt8])] = []

  package static let shortestKey = 16

  package var isOpen: Bool { keys.isEmpty }

  /// Nobody needs a key.
  package init() {}

  /// - Parameter text: a tenant and a key on each line; empty lines and those that begin with `#` say nothing.
  package init(parsing text: String, file: String) throws(StorageError) {
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" }).map(String.init)
      guard let first = words.first, !first.hasPrefix("#") else { continue }
      func fault(_ what: String) -> StorageError {
        StorageError(.malformed, file: "\(file):\(number + 1)", what + ".")
      }
      guard words.count == 2 else { throw fault("a line has a tenant and a key") }
      guard first.count <= 64,
        first.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
      else { throw fault("a tenant is named by up to 64 letters, digits, '-' and '_'") }
      guard words[1].utf8.count >= Self.shortestKey else {
        throw fault("a key has at least \(Self.shortestKey) characters; make one with: openssl rand -hex 32")
      }
      keys.append((first, Self.digest(words[1])))
    }
    guard !keys.isEmpty else {
      throw StorageError(.malformed, file: file, "holds no key; write a tenant and a key on a line.")
    }
  }

  private static func digest(_ text: String) -> [UInt8] { SHA256.digest(Array(text.utf8)) }

  /// The tenant whose key an Authorization header has; nil for none.
  ///
  /// Checksums of equal length are compared to their ends, those of all tenants: how long it takes tells nothing of a key.
  func tenant(authorization: String?) -> String? {
    guard !isOpen else { return "" }
    guard let authorization else { return nil }
    let parts = authorization.split(separator: " ", maxSplits: 1).map(String.init)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    let given = Self.digest(parts[1].trimmedSpaces)
    var found: String?
    for (tenant, digest) in keys {
      var difference: UInt8 = 0
      for (a, b) in zip(digest, given) { difference |= a ^ b }
      if difference == 0 { found = tenant }
    }
    return found
  }
}
