/// The whole text of a file of tasks, and where its parts lie.
struct SourceText: Sendable {
  let name: String
  /// Valid UTF-8 without a byte order mark.
  let bytes: [UInt8]

  /// The longest line in bytes.
  static let lineLimit = TextBuffer.recordLimit

  init(_ bytes: [UInt8], name: String) throws(TableError) {
    var buffer = try TextBuffer(MemorySource(bytes), name: name, block: max(bytes.count, 1))
    try buffer.check(to: buffer.end)
    self.name = name
    self.bytes = Array(buffer.bytes[buffer.start..<buffer.end])
  }
}
