#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Bytes that come one block after another: a file, standard input, an array, or what another source expands to.
///
/// Sources are classes: each is a place in a stream that no two readers can share.
protocol ByteSource: AnyObject {
  /// Fills the front of `buffer` and returns how many bytes it wrote; 0 at the end, and only there.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int
}

extension ByteSource {
  /// Fills all of `buffer`, or less of it at the end.
  func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int {
    var count = 0
    while count < buffer.count {
      let more = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
      guard more > 0 else { break }
      count += more
    }
    return count
  }

  /// The next `count` bytes, or fewer at the end. Memory grows with what is there, not with what is asked for.
  func take(_ count: Int) throws(TableError) -> [UInt8] {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: min(max(count, 0), 1 << 18))
    while bytes.count < count {
      let wanted = min(count - bytes.count, block.count)
      let got = try withBytes(&block) { buffer throws(TableError) in
        try fill(UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
      }
      guard got > 0 else { break }
      bytes += block[..<got]
    }
    return bytes
  }
}

/// The bytes of an array, to be written to.
func withBytes<Result>(
  _ bytes: inout [UInt8], _ body: (UnsafeMutableRawBufferPointer) throws(TableError) -> Result
) throws(TableError) -> Result {
  try bytes.withUnsafeMutableBufferPointer { buffer throws(TableError) in
    try body(UnsafeMutableRawBufferPointer(buffer))
  }
}

/// An array as a source.
final class MemorySource: ByteSource {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, bytes.count - position)
    let part = position..<position + count
    bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[part])) }
    position += count
    return count
  }
}

/// Some bytes, then another source: what was read to find out the format is read again.
final class JoinedSource: ByteSource {
  private let first: MemorySource
  private let rest: any ByteSource

  init(_ first: [UInt8], _ rest: any ByteSource) {
    self.first = MemorySource(first)
    self.rest = rest
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int {
    let count = first.read(into: buffer)
    return count > 0 || buffer.isEmpty ? count : try rest.read(into: buffer)
  }
}

/// A file or standard input. A class, because it owns an open file.
final class FileSource: ByteSource {
  let name: String
  private let descriptor: Int32
  /// Bytes of a plain file; nil for pipes, devices and standard input.
  let size: Int?

  /// Opens the file at `path`, or standard input where `path` is `-`.
  init(path: String) throws(TableError) {
    guard path != "-" else {
      (name, descriptor, size) = ("standard input", STDIN_FILENO, nil)
      return
    }
    name = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { throw TableError(.missing, path, "no such file. Check the path.") }
      throw TableError(.system, path, "can not be read: \(String(cString: strerror(errno))).")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
      close(descriptor)
      throw TableError(.system, path, "is a folder. Name a file in it.")
    }
    size = status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
  }

  deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int {
    try checked { systemRead(descriptor, buffer) }
  }

  /// Reads from a place in a plain file; the place where ``read(into:)`` goes on stays.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(TableError) -> Int {
    try checked { pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)) }
  }

  private func checked(_ call: () -> Int) throws(TableError) -> Int {
    while true {
      let count = call()
      if count >= 0 { return count }
      guard errno == EINTR else {
        throw TableError(.system, name, "can not be read: \(String(cString: strerror(errno))).")
      }
    }
  }
}

private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
  read(descriptor, buffer.baseAddress, buffer.count)
}
