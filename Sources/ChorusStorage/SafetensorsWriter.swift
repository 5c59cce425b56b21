/// Collects tensors and writes them as one safetensors file: the same tensors give the same bytes, whatever the
/// order in which they were added.
public struct SafetensorsWriter: Sendable {
  /// The element type that ``add(_:shape:floats:as:)`` stores.
  public enum FloatFormat: Sendable {
    case f32
    /// Rounds to nearest even; a finite value that would become infinite is refused.
    case f16
  }

  private var metadata: [String: String]
  private var tensors: [String: (type: ElementType, shape: [Int], bytes: [UInt8])] = [:]

  /// Starts a file with the given `__metadata__`. The keys `hash` and `sha256` are the writer's own and are
  /// replaced.
  public init(metadata: [String: String] = [:]) { self.metadata = metadata }

  /// Adds a tensor of floats.
  ///
  /// - Throws: `StorageError` (`unwritable`): the name is taken or reserved, the shape is not that of the
  ///   values, or a finite value leaves the range of F16.
  public mutating func add(
    _ name: String, shape: [Int], floats: [Float], as format: FloatFormat = .f32
  ) throws(StorageError) {
    switch format {
    case .f32:
      try add(name, .f32, shape, count: floats.count, Self.bytes(floats) { $0.bitPattern.littleEndian })
    case .f16:
      let limit: Float = 65520  // rounds to infinity from here on
      if let index = floats.firstIndex(where: { $0.isFinite && $0.magnitude >= limit }) {
        throw unwritable(
          "tensor '\(name)' has \(floats[index]) at \(index), beyond the range of F16. Write it as F32.")
      }
      try add(
        name, .f16, shape, count: floats.count,
        Self.bytes(floats) { HalfPrecision.binary16(from: $0).littleEndian })
    }
  }

  /// Adds a tensor of doubles (F64).
  ///
  /// - Throws: `StorageError` (`unwritable`): the name is taken or reserved, or the shape is not that of the
  ///   values.
  public mutating func add(_ name: String, shape: [Int], doubles: [Double]) throws(StorageError) {
    try add(name, .f64, shape, count: doubles.count, Self.bytes(doubles) { $0.bitPattern.littleEndian })
  }

  /// Adds a tensor of integers (I64).
  ///
  /// - Throws: `StorageError` as ``add(_:shape:doubles:)``.
  public mutating func add(_ name: String, shape: [Int], integers: [Int64]) throws(StorageError) {
    try add(name, .i64, shape, count: integers.count, Self.bytes(integers) { $0.littleEndian })
  }

  /// Adds a tensor of 32-bit integers (I32).
  ///
  /// - Throws: `StorageError` as ``add(_:shape:doubles:)``.
  public mutating func add(_ name: String, shape: [Int], integers: [Int32]) throws(StorageError) {
    try add(name, .i32, shape, count: integers.count, Self.bytes(integers) { $0.littleEndian })
  }

  /// Adds a tensor of bytes (U8).
  ///
  /// - Throws: `StorageError` as ``add(_:shape:doubles:)``.
  public mutating func add(_ name: String, shape: [Int], bytes: [UInt8]) throws(StorageError) {
    try add(name, .u8, shape, count: bytes.count, bytes)
  }

  /// The tensors as the file lays them out: the table, and the data section.
  private func layout() -> (entries: [TensorEntry], data: [UInt8]) {
    // Wider elements first, so that each tensor starts at a multiple of its element's width.
    let ordered = tensors.sorted {
      if $0.value.type.width != $1.value.type.width { return $0.value.type.width > $1.value.type.width }
      return $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
    }
    var data: [UInt8] = []
    data.reserveCapacity(ordered.reduce(0) { $0 + $1.value.bytes.count })
    var entries: [TensorEntry] = []
    for (name, tensor) in ordered {
      let begin = data.count
      data += tensor.bytes
      entries.append(
        TensorEntry(name: name, type: tensor.type, shape: tensor.shape, range: begin..<data.count))
    }
    // The reader's order: by place, then by name (tensors without elements share a place with their neighbour).
    entries.sort {
      ($0.range.lowerBound, $0.range.upperBound) != ($1.range.lowerBound, $1.range.upperBound)
        ? ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
    }
    return (entries, data)
  }

  /// The checksum that the file will carry: a SHA-256 of metadata, table and data, in hexadecimal.
  public var sha256: String {
    let (entries, data) = layout()
    return Checksum.hexadecimal(metadata: metadata, entries: entries, data: data)
  }

  /// The whole file: length, header padded to a multiple of 8 bytes, data.
  public func encoded() -> [UInt8] {
    let (entries, data) = layout()
    var pairs = metadata
    pairs[Checksum.schemeKey] = Checksum.scheme
    pairs[Checksum.valueKey] = Checksum.hexadecimal(metadata: metadata, entries: entries, data: data)

    var members: [String] = []
    let words = pairs.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      .map { "\(Self.quoted($0.key)):\(Self.quoted($0.value))" }
    members.append("\"__metadata__\":{\(words.joined(separator: ","))}")
    for entry in entries {
      let shape = entry.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(Self.quoted(entry.name)):{\"dtype\":\"\(entry.type.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(entry.range.lowerBound),\(entry.range.upperBound)]}")
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    header += [UInt8](repeating: 0x20, count: (8 - header.count % 8) % 8)
    var file: [UInt8] = []
    file.reserveCapacity(8 + header.count + data.count)
    withUnsafeBytes(of: UInt64(header.count).littleEndian) { file.append(contentsOf: $0) }
    file += header
    file += data
    return file
  }

  /// Writes the file at `path`; a reader sees the old file or the whole new one, never a part.
  ///
  /// - Throws: `StorageError` (`system`): the folder is missing or not writable, or the disk is full.
  public func write(to path: String) throws(StorageError) {
    try AtomicFile.write(encoded(), to: path)
  }

  private mutating func add(
    _ name: String, _ type: ElementType, _ shape: [Int], count: Int, _ bytes: [UInt8]
  ) throws(StorageError) {
    guard name != "__metadata__" else {
      throw unwritable("no tensor can be called '__metadata__'. Rename it.")
    }
    guard tensors[name] == nil else { throw unwritable("tensor '\(name)' is added twice. Rename one.") }
    guard TensorEntry.count(of: shape) == count else {
      throw unwritable("tensor '\(name)' has \(count) values, which is not the shape \(shape).")
    }
    tensors[name] = (type, shape, bytes)
  }

  private func unwritable(_ detail: String) -> StorageError {
    StorageError(.unwritable, file: "(safetensors to be written)", detail)
  }

  private static func bytes<Element, Stored: BitwiseCopyable>(
    _ elements: [Element], _ stored: (Element) -> Stored
  ) -> [UInt8] {
    elements.map(stored).withUnsafeBytes { Array($0) }
  }

  /// `text` as a JSON string.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
