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
    try floats.withUnsafeBufferPointer { values throws(StorageError) in
      try add(name, shape: shape, floats: values, as: format)
    }
  }

  /// Adds a tensor of floats, which are copied.
  ///
  /// - Throws: `StorageError` as ``add(_:shape:floats:as:)-[Float]``.
  package mutating func add(
    _ name: String, shape: [Int], floats: UnsafeBufferPointer<Float>, as format: FloatFormat
  ) throws(StorageError) {
    switch format {
    case .f32: try add(name, .f32, shape, count: floats.count, Self.bytes(floats, Self.stored))
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

  /// The table of tensors as a file lays them out, and for each of its rows which of them it is.
  private static func layout(
    _ tensors: [(name: String, type: ElementType, shape: [Int], size: Int)]
  ) -> [(entry: TensorEntry, place: Int)] {
    // Wider elements first, so that each tensor starts at a multiple of its element's width.
    let ordered = tensors.indices.sorted {
      let (one, other) = (tensors[$0], tensors[$1])
      if one.type.width != other.type.width { return one.type.width > other.type.width }
      return one.name.utf8.lexicographicallyPrecedes(other.name.utf8)
    }
    var end = 0
    let table = ordered.map { place in
      let (tensor, begin) = (tensors[place], end)
      end += tensor.size
      return (
        entry: TensorEntry(name: tensor.name, type: tensor.type, shape: tensor.shape, range: begin..<end),
        place: place
      )
    }
    // The reader's order: by place, then by name (tensors without elements share a place with their neighbour).
    return table.sorted {
      let (one, other) = ($0.entry.range, $1.entry.range)
      return (one.lowerBound, one.upperBound) != (other.lowerBound, other.upperBound)
        ? (one.lowerBound, one.upperBound) < (other.lowerBound, other.upperBound)
        : $0.entry.name.utf8.lexicographicallyPrecedes($1.entry.name.utf8)
    }
  }

  /// The tensors as the file lays them out: the table, and the bytes of each.
  private func layout() -> (entries: [TensorEntry], parts: [[UInt8]]) {
    let all = Array(tensors)
    let table = Self.layout(all.map { ($0.key, $0.value.type, $0.value.shape, $0.value.bytes.count) })
    return (table.map(\.entry), table.map { all[$0.place].value.bytes })
  }

  /// The checksum that the file will carry: a SHA-256 of metadata, table and data, in hexadecimal.
  public var sha256: String {
    let (entries, parts) = layout()
    return checksum(entries, parts)
  }

  private func checksum(_ entries: [TensorEntry], _ parts: [[UInt8]]) -> String {
    Checksum.hexadecimal(metadata: metadata, entries: entries) { sum in
      for part in parts { sum.update(part) }
    }
  }

  /// The checksum that a file of these F32 tensors would carry, which is not made for it: names come once each, and shapes are those of
  /// the values.
  package static func sha256(
    metadata: [String: String], floats: [(name: String, shape: [Int], values: UnsafeBufferPointer<Float>)]
  ) -> String {
    let table = layout(floats.map { ($0.name, .f32, $0.shape, $0.values.count * ElementType.f32.width) })
    return Checksum.hexadecimal(metadata: metadata, entries: table.map(\.entry)) { sum in
      for (_, place) in table {
        let values = floats[place].values
        // What a file holds, where the machine has its bytes in that order.
        if UInt32(1).littleEndian == 1 {
          sum.update(UnsafeRawBufferPointer(values))
        } else {
          sum.update(bytes(values, stored))
        }
      }
    }
  }

  /// The whole file: length, header padded to a multiple of 8 bytes, data.
  public func encoded() -> [UInt8] {
    let (entries, parts) = layout()
    var pairs = metadata
    pairs[Checksum.schemeKey] = Checksum.scheme
    pairs[Checksum.valueKey] = checksum(entries, parts)

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
    file.reserveCapacity(8 + header.count + parts.reduce(0) { $0 + $1.count })
    withUnsafeBytes(of: UInt64(header.count).littleEndian) { file.append(contentsOf: $0) }
    file += header
    for part in parts { file += part }
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

  private static func stored(_ value: Float) -> UInt32 { value.bitPattern.littleEndian }

  private static func bytes<Element, Stored: BitwiseCopyable>(
    _ elements: [Element], _ stored: (Element) -> Stored
  ) -> [UInt8] { elements.withUnsafeBufferPointer { bytes($0, stored) } }

  private static func bytes<Element, Stored: BitwiseCopyable>(
    _ elements: UnsafeBufferPointer<Element>, _ stored: (Element) -> Stored
  ) -> [UInt8] {
    let width = MemoryLayout<Stored>.stride
    return [UInt8](unsafeUninitializedCapacity: elements.count * width) { buffer, filled in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for index in elements.indices {
        raw.storeBytes(of: stored(elements[index]), toByteOffset: index * width, as: Stored.self)
      }
      filled = elements.count * width
    }
  }

  /// `text` as a JSON string.
  private static func quoted(_ text: String) -> String {
    var result: [UInt8] = [UInt8(ascii: "\"")]
    result.reserveCapacity(text.utf8.count + text.utf8.count / 8 + 2)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        result.append(UInt8(ascii: "\\"))
        result.append(byte)
      case 0..<0x20:
        result += Array((byte < 0x10 ? "\\u000" : "\\u00").utf8) + Array(String(byte, radix: 16).utf8)
      default: result.append(byte)
      }
    }
    result.append(UInt8(ascii: "\""))
    return String(decoding: result, as: UTF8.self)
  }
}
