import ChorusTensors

/// A safetensors file, read once into memory and checked whole before anything is handed out.
///
/// Tensors are pulled by name with the shape the caller expects, so a wrong file fails with a name.
public struct Safetensors: Sendable {
  /// Whether the content is known to be what was written.
  public enum Verification: Equatable, Sendable {
    /// The file's checksum is that of its content.
    case verified(sha256: String)
    /// The file carries no checksum (another program wrote it).
    case unverified
  }

  /// The longest header that is read, in bytes: the format's own limit.
  public static let headerLimit = 100_000_000

  /// The path as the caller gave it; errors start with it.
  public let file: String
  /// The `__metadata__` strings, without the two that hold the checksum.
  public let metadata: [String: String]
  public let verification: Verification
  private let entries: [String: TensorEntry]
  private let data: [UInt8]

  /// The largest file that is read, in bytes: a checkpoint of the largest network, as far as half of the machine's memory
  /// holds it.
  public static let sizeLimit = min(16 << 30, Machine.memory / 2)

  /// Reads and checks the file at `path`, its table before its data: what is no safetensors file takes no memory.
  ///
  /// - Throws: `StorageError`: missing or unreadable file, one that is no regular file or too large, malformed header,
  ///   tensors that overlap, leave gaps or leave the file, or a checksum that is not that of the content.
  public init(path: String) throws(StorageError) {
    let content = try RegularFile(path, limit: Self.sizeLimit)
    let length = try Self.headerLength(content.read(8), of: content.size, file: path)
    let header = try Self.header(content.read(length), data: content.size - 8 - length, file: path)
    try self.init(header, data: content.read(content.size - 8 - length), file: path)
  }

  /// Checks `bytes` as the content of a file called `file`.
  ///
  /// - Throws: `StorageError` as ``init(path:)``.
  public init(bytes: some Collection<UInt8>, file: String) throws(StorageError) {
    let length = try Self.headerLength(Array(bytes.prefix(8)), of: bytes.count, file: file)
    let rest = bytes.dropFirst(8)
    let header = try Self.header(Array(rest.prefix(length)), data: bytes.count - 8 - length, file: file)
    try self.init(header, data: Array(rest.dropFirst(length)), file: file)
  }

  private static func malformed(_ file: String, _ detail: String) -> StorageError {
    StorageError(
      .malformed, file: file,
      "not a safetensors file, or a damaged one: \(detail). Take a fresh copy, or name another file.")
  }

  /// The length of the header. An error tells nothing of the eight bytes: they may be those of any file.
  private static func headerLength(
    _ first: [UInt8], of size: Int, file: String
  ) throws(StorageError) -> Int {
    guard first.count == 8 else {
      throw malformed(file, "it has \(first.count) bytes, fewer than the 8 of a length")
    }
    let length = first.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    guard length <= UInt64(headerLimit) else {
      throw malformed(file, "its header claims more than the \(headerLimit) bytes that are read")
    }
    guard length <= UInt64(max(0, size - 8)) else {
      throw malformed(
        file, "its header claims more than the \(max(0, size - 8)) bytes that follow its length")
    }
    return Int(length)
  }

  private typealias Header = (entries: [TensorEntry], pairs: [String: String])

  private static func header(_ bytes: [UInt8], data: Int, file: String) throws(StorageError) -> Header {
    var parser = HeaderParser(bytes)
    do {
      let header = try parser.parse()
      return (try check(header.tensors, length: data), header.metadata)
    } catch { throw malformed(file, error.detail) }
  }

  private init(_ header: Header, data: [UInt8], file: String) throws(StorageError) {
    let (table, pairs) = header
    guard data.count == table.last?.range.upperBound ?? 0 else {
      throw Self.malformed(file, "it became shorter while it was read")
    }
    let scheme = pairs[Checksum.schemeKey]
    let stored = pairs[Checksum.valueKey]
    if scheme == nil && stored == nil {
      verification = .unverified
    } else {
      let actual = Checksum.hexadecimal(metadata: pairs, entries: table) { $0.update(data) }
      guard scheme == Checksum.scheme, stored == actual else {
        throw StorageError(
          .checksum, file: file,
          "the checksum is not that of the content (computed \(actual)): the file "
            + "is damaged or was edited. Take a fresh copy; a program that rewrites the file must drop the "
            + "metadata keys 'hash' and 'sha256'.")
      }
      verification = .verified(sha256: actual)
    }
    self.file = file
    self.data = data
    metadata = pairs.filter { $0.key != Checksum.schemeKey && $0.key != Checksum.valueKey }
    entries = Dictionary(table.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The tensor table in order of the data, after checking types, sizes and offsets against `length` bytes.
  private static func check(
    _ tensors: [HeaderParser.Tensor], length: Int
  ) throws(HeaderError) -> [TensorEntry] {
    let sorted = tensors.sorted {
      if $0.begin != $1.begin { return $0.begin < $1.begin }
      if $0.end != $1.end { return $0.end < $1.end }
      return $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
    }
    var entries: [TensorEntry] = []
    entries.reserveCapacity(sorted.count)
    var position = 0
    for tensor in sorted {
      let name = tensor.name
      guard let type = ElementType(rawValue: tensor.type) else {
        let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
        throw HeaderError("tensor '\(name)' has element type '\(tensor.type)'; known are \(known)")
      }
      guard let size = TensorEntry.count(of: tensor.shape + [type.width]) else {
        throw HeaderError("tensor '\(name)' has a shape \(tensor.shape) too large to be true")
      }
      guard tensor.begin <= tensor.end, tensor.end <= length else {
        throw HeaderError(
          "tensor '\(name)' lies at bytes \(tensor.begin) to \(tensor.end) of \(length): the file is truncated "
            + "or its offsets are wrong")
      }
      guard tensor.begin == position else {
        let what = tensor.begin < position ? "overlaps the tensor before it" : "leaves a gap before it"
        throw HeaderError("tensor '\(name)' \(what) (starts at \(tensor.begin), expected \(position))")
      }
      guard tensor.end - tensor.begin == size else {
        throw HeaderError(
          "tensor '\(name)' of shape \(tensor.shape) needs \(size) bytes and has \(tensor.end - tensor.begin)"
        )
      }
      position = tensor.end
      entries.append(
        TensorEntry(name: name, type: type, shape: tensor.shape, range: tensor.begin..<tensor.end))
    }
    guard position == length else {
      throw HeaderError("\(length - position) bytes after the last tensor belong to none")
    }
    return entries
  }

  /// All tensors, sorted by name.
  public var tensors: [TensorEntry] {
    entries.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// The table's row of `name`, or nil.
  public subscript(name: String) -> TensorEntry? { entries[name] }

  /// The names in the file that `used` does not hold, sorted.
  public func unused(after used: some Sequence<String>) -> [String] {
    let used = Set(used)
    return tensors.map(\.name).filter { !used.contains($0) }
  }

  /// The elements of an F32, F16 or BF16 tensor; the 16-bit types are widened, which is exact.
  ///
  /// - Throws: `StorageError`: no such tensor, another shape, or another element type.
  public func floats(_ name: String, shape: [Int]) throws(StorageError) -> [Float] {
    let entry = try entry(name, shape)
    switch entry.type {
    case .f32: return elements(entry) { Float(bitPattern: UInt32(littleEndian: $0)) }
    case .f16: return elements(entry) { HalfPrecision.float(fromBinary16: UInt16(littleEndian: $0)) }
    case .bf16: return elements(entry) { HalfPrecision.float(fromBFloat16: UInt16(littleEndian: $0)) }
    case .f64, .i64, .i32, .u8: throw unfit(entry, "F32, F16 or BF16")
    }
  }

  /// The elements of an F64 or narrower floating-point tensor, widened exactly.
  ///
  /// - Throws: `StorageError`: no such tensor, another shape, or another element type.
  public func doubles(_ name: String, shape: [Int]) throws(StorageError) -> [Double] {
    let entry = try entry(name, shape)
    switch entry.type {
    case .f64: return elements(entry) { Double(bitPattern: UInt64(littleEndian: $0)) }
    case .f32, .f16, .bf16: return try floats(name, shape: shape).map(Double.init)
    case .i64, .i32, .u8: throw unfit(entry, "F64, F32, F16 or BF16")
    }
  }

  /// The elements of an I64, I32 or U8 tensor.
  ///
  /// - Throws: `StorageError`: no such tensor, another shape, or another element type.
  public func integers(_ name: String, shape: [Int]) throws(StorageError) -> [Int64] {
    let entry = try entry(name, shape)
    switch entry.type {
    case .i64: return elements(entry) { Int64(littleEndian: $0) }
    case .i32: return elements(entry) { Int64(Int32(littleEndian: $0)) }
    case .u8: return elements(entry) { (byte: UInt8) in Int64(byte) }
    case .f64, .f32, .f16, .bf16: throw unfit(entry, "I64, I32 or U8")
    }
  }

  /// The elements of a U8 tensor along one dimension.
  ///
  /// - Throws: `StorageError`: no such tensor, more dimensions, or another element type.
  public func bytes(_ name: String) throws(StorageError) -> [UInt8] {
    let entry = try entry(name, [entries[name]?.shape.first ?? 0])
    guard entry.type == .u8 else { throw unfit(entry, "U8") }
    return Array(data[entry.range])
  }

  private func entry(_ name: String, _ shape: [Int]) throws(StorageError) -> TensorEntry {
    guard let entry = entries[name] else {
      throw StorageError(
        .absentTensor, file: file,
        "has no tensor '\(name)' (it holds \(entries.count)). It is the file of another model; name another.")
    }
    guard entry.shape == shape else {
      throw StorageError(
        .shape, file: file,
        "tensor '\(name)' has shape \(entry.shape), expected \(shape). It is the file of another model; name "
          + "another.")
    }
    return entry
  }

  private func unfit(_ entry: TensorEntry, _ wanted: String) -> StorageError {
    StorageError(
      .elementType, file: file,
      "tensor '\(entry.name)' holds \(entry.type.rawValue) where \(wanted) is expected. Convert the file.")
  }

  /// Every element through `convert`; the ranges were checked when the file was read.
  private func elements<Stored: BitwiseCopyable, Element: BitwiseCopyable>(
    _ entry: TensorEntry, _ convert: (Stored) -> Element
  ) -> [Element] {
    data.withUnsafeBytes { all in
      let bytes = UnsafeRawBufferPointer(rebasing: all[entry.range])
      let count = entry.count
      return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
        for index in 0..<count {
          let stored = bytes.loadUnaligned(
            fromByteOffset: index * MemoryLayout<Stored>.stride, as: Stored.self)
          buffer.initializeElement(at: index, to: convert(stored))
        }
        initialized = count
      }
    }
  }
}
