import ChorusFiles

/// A file of `chorus condition`: what is in it is known by its format, is as it was written, and is described by a line of JSON in its
/// metadata.
package struct KeptFile: Sendable {
  package let content: Safetensors
  package let format: String
  /// The description; nil where it is absent or no JSON.
  package let description: JSON?
  private let what: String

  /// Opens what was read of a file; nil where it is one of another format.
  ///
  /// - Parameters:
  ///   - key: what the description is called in the metadata.
  ///   - what: whose description errors call it, and where it stands.
  /// - Throws: `StorageError` where the file is not known to be as it was written.
  package init?(
    _ content: Safetensors, formats: [String], description key: String, of what: String
  ) throws(StorageError) {
    guard let format = content.metadata["format"], formats.contains(format) else { return nil }
    guard case .verified = content.verification else {
      throw StorageError(
        .checksum, file: content.file,
        "carries no checksum, so it was not written as it is. \(Self.advice)")
    }
    (self.content, self.format, self.what) = (content, format, what)
    description = content.metadata[key].flatMap { try? JSON(decoding: Array($0.utf8)) }
  }

  /// The description.
  ///
  /// - Throws: `StorageError` where it is absent, or is none of this type.
  package func header<Header: Decodable>(_ type: Header.Type) throws(StorageError) -> Header {
    guard let description, let header = try? JSON.decode(type, from: description) else {
      throw malformed("the description of \(what) cannot be read")
    }
    return header
  }

  /// The error of a file that holds what none of its format does.
  package func malformed(_ detail: String) -> StorageError {
    StorageError(.malformed, file: content.file, "\(detail). \(Self.advice)")
  }

  private static let advice = "Make it anew with chorus condition."
}
