#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Bytes that stay where they are for as long as somebody holds the region: a mapped file, or a copy in memory.
public final class ByteRegion: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer
  private let release: (UnsafeRawBufferPointer) -> Void

  /// The whole content of a regular file, mapped: pages are read when they are needed, and processes share them.
  ///
  /// A mapped file must not be cut short by another program while it is read. Model files of gigabytes are worth that;
  /// whatever else is read into memory (``RegularFile/read(_:)``).
  public init(mapping path: String, limit: Int) throws(StorageError) {
    let file = try RegularFile(path, limit: limit)
    guard file.size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      release = { _ in }
      return
    }
    let address = mmap(nil, file.size, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    guard let address, address != MAP_FAILED else {
      throw StorageError(
        .system, file: path, "can not be mapped into memory: \(String(cString: strerror(errno))).")
    }
    bytes = UnsafeRawBufferPointer(start: address, count: file.size)
    release = { munmap(UnsafeMutableRawPointer(mutating: $0.baseAddress), $0.count) }
  }

  /// A copy of `content`.
  public init(_ content: some Collection<UInt8>) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 64)
    copy.copyBytes(from: content)
    bytes = UnsafeRawBufferPointer(copy)
    release = { $0.deallocate() }
  }

  deinit { release(bytes) }
}
