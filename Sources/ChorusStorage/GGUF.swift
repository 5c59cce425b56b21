import ChorusTensors

/// A GGUF file (versions 2 and 3, little-endian), the format of ggml: metadata by key, tensors by name.
///
/// The head is checked whole before anything is handed out; tensors stay in the mapped file, in the blocks they are kept in.
///
/// ```swift
/// let file = try GGUF(path: "model.gguf")
/// let layers = try file.integer("llama.block_count", in: 1...128)
/// let tokens = try file.matrix("token_embd.weight", inputs: 576, outputs: 49152)
/// ```
public struct GGUF: Sendable {
  public enum Value: Sendable, Hashable {
    case integer(Int)
    case number(Double)
    case flag(Bool)
    case text(String)
    case list([Value])
  }

  /// A tensor of the table.
  public struct Tensor: Sendable, Hashable {
    public let name: String
    public let format: BlockFormat
    /// Sizes, that of a row first: ggml's order.
    public let shape: [Int]
    /// Its bytes in the file.
    public let range: Range<Int>
  }

  /// The path as the caller gave it; errors start with it.
  public let file: String
  public let metadata: [String: Value]
  private let table: [String: Tensor]
  private let region: ByteRegion

  public static let sizeLimit = 64 << 30
  /// Tensors and entries of metadata that are read.
  static let countLimit = 1 << 20

  /// Maps and checks the file at `path`.
  public init(path: String) throws(StorageError) {
    try self.init(ByteRegion(mapping: path, limit: Self.sizeLimit), file: path)
  }

  /// Checks `bytes` as the content of a file called `file`.
  public init(bytes: some Collection<UInt8>, file: String) throws(StorageError) {
    try self.init(ByteRegion(bytes), file: file)
  }

  private init(_ region: ByteRegion, file: String) throws(StorageError) {
    self.file = file
    self.region = region
    do { (metadata, table) = try Self.head(region.bytes) } catch {
      throw StorageError(
        .malformed, file: file,
        "not a GGUF file, or a damaged one: \(error.detail). Take a fresh copy, or name another file.")
    }
  }

  private typealias Head = (metadata: [String: Value], tensors: [String: Tensor])

  private static func head(_ bytes: UnsafeRawBufferPointer) throws(HeaderError) -> Head {
    var scanner = GGUFScanner(bytes)
    guard bytes.count >= 4, bytes.prefix(4).elementsEqual("GGUF".utf8) else {
      throw HeaderError("it does not begin with the four letters GGUF")
    }
    _ = try scanner.take(4, "its first letters")
    let version = try scanner.integer(UInt32.self, "the version")
    guard (2...3).contains(version) else {
      throw HeaderError("it is of version \(version); versions 2 and 3 are read")
    }
    let tensors = try count(&scanner, "tensors")
    let pairs = try count(&scanner, "entries of metadata")
    var metadata: [String: Value] = [:]
    for index in 0..<pairs {
      let key = try scanner.string("key \(index)")
      let kind = try scanner.kind("the type of '\(key)'")
      let value = try scanner.value(kind, "'\(key)'")
      guard metadata.updateValue(value, forKey: key) == nil else {
        throw HeaderError("'\(key)' stands twice")
      }
    }
    var alignment = 32
    if case .integer(let own)? = metadata["general.alignment"] { alignment = own }
    guard (8...1 << 16).contains(alignment), alignment & (alignment - 1) == 0 else {
      throw HeaderError("general.alignment is \(alignment); it must be a power of two, 8 to 65536")
    }
    var rows: [(name: String, format: BlockFormat, shape: [Int], size: Int, offset: Int)] = []
    for index in 0..<tensors {
      let row = try tensor(&scanner, index)
      guard row.offset.isMultiple(of: alignment) else {
        throw HeaderError("tensor '\(row.name)' begins at \(row.offset), no multiple of \(alignment)")
      }
      rows.append(row)
    }
    let first = (scanner.position + alignment - 1) / alignment * alignment
    var table: [String: Tensor] = [:]
    for row in rows {
      let (begin, overflow) = first.addingReportingOverflow(row.offset)
      guard !overflow, begin <= bytes.count, row.size <= bytes.count - begin else {
        throw HeaderError(
          "tensor '\(row.name)' has \(row.size) bytes at \(row.offset), beyond the end of the file")
      }
      let tensor = Tensor(
        name: row.name, format: row.format, shape: row.shape, range: begin..<begin + row.size)
      guard table.updateValue(tensor, forKey: row.name) == nil else {
        throw HeaderError("tensor '\(row.name)' stands twice")
      }
    }
    return (metadata, table)
  }

  private static func count(_ scanner: inout GGUFScanner, _ what: String) throws(HeaderError) -> Int {
    let count = try scanner.integer(UInt64.self, "the number of \(what)")
    guard count <= UInt64(countLimit) else {
      throw HeaderError("it claims \(count) \(what); at most \(countLimit) are read")
    }
    return Int(count)
  }

  private static func tensor(
    _ scanner: inout GGUFScanner, _ index: Int
  ) throws(HeaderError) -> (name: String, format: BlockFormat, shape: [Int], size: Int, offset: Int) {
    let name = try scanner.string("the name of tensor \(index)")
    let dimensions = try scanner.integer(UInt32.self, "the dimensions of '\(name)'")
    guard (1...4).contains(dimensions) else {
      throw HeaderError("tensor '\(name)' has \(dimensions) dimensions; 1 to 4 are read")
    }
    var shape: [Int] = []
    for _ in 0..<dimensions {
      let size = try scanner.integer(UInt64.self, "the shape of '\(name)'")
      guard (1...UInt64(Int32.max)).contains(size) else {
        throw HeaderError("tensor '\(name)' has a side of \(size)")
      }
      shape.append(Int(size))
    }
    let type = try scanner.integer(UInt32.self, "the type of '\(name)'")
    guard let format = Int32(exactly: type).flatMap(BlockFormat.init) else {
      throw HeaderError(
        "tensor '\(name)' is of type \(type); known are "
          + BlockFormat.allCases.map { "\($0.rawValue) (\($0.name))" }.joined(separator: ", "))
    }
    guard let count = TensorEntry.count(of: shape), let size = bytes(shape, format, count) else {
      throw HeaderError("tensor '\(name)' has a shape \(shape) that \(format.name) cannot hold")
    }
    guard let offset = Int(exactly: try scanner.integer(UInt64.self, "the place of '\(name)'")) else {
      throw HeaderError("tensor '\(name)' lies beyond any file")
    }
    return (name, format, shape, size, offset)
  }

  /// Bytes of `count` numbers in rows: whole blocks, but for numbers that are kept as they are.
  private static func bytes(_ shape: [Int], _ format: BlockFormat, _ count: Int) -> Int? {
    guard [.f32, .f16, .bf16].contains(format) else {
      return shape[0].isMultiple(of: format.values) ? format.bytes(of: count) : nil
    }
    let (size, overflow) = count.multipliedReportingOverflow(by: format.bytes / format.values)
    return overflow ? nil : size
  }

  // MARK: Metadata

  private func absent(_ key: String, _ wanted: String) -> StorageError {
    StorageError(
      .absentField, file: file,
      "has no '\(key)' that is \(wanted). It is the file of another kind of model; name another.")
  }

  /// The keys that are there, with these first letters.
  public func keys(startingWith start: String) -> [String] {
    metadata.keys.filter { $0.hasPrefix(start) }.sorted()
  }

  public func text(_ key: String) throws(StorageError) -> String {
    guard case .text(let text)? = metadata[key] else { throw absent(key, "a text") }
    return text
  }

  /// - Parameter default: what an absent key stands for; nil where it must be there.
  public func integer(
    _ key: String, in range: ClosedRange<Int>, default other: Int? = nil
  ) throws(StorageError) -> Int {
    if metadata[key] == nil, let other { return other }
    guard case .integer(let value)? = metadata[key], range.contains(value) else {
      throw absent(key, "a whole number within \(range.lowerBound)...\(range.upperBound)")
    }
    return value
  }

  public func number(_ key: String, default other: Double? = nil) throws(StorageError) -> Double {
    if metadata[key] == nil, let other { return other }
    guard case .number(let value)? = metadata[key], value.isFinite else { throw absent(key, "a number") }
    return value
  }

  public func flag(_ key: String, default other: Bool) throws(StorageError) -> Bool {
    guard let value = metadata[key] else { return other }
    guard case .flag(let flag) = value else { throw absent(key, "true or false") }
    return flag
  }

  public func texts(_ key: String) throws(StorageError) -> [String] {
    guard case .list(let list)? = metadata[key] else { throw absent(key, "a list of texts") }
    var texts: [String] = []
    texts.reserveCapacity(list.count)
    for value in list {
      guard case .text(let text) = value else { throw absent(key, "a list of texts") }
      texts.append(text)
    }
    return texts
  }

  public func integers(_ key: String) throws(StorageError) -> [Int] {
    guard case .list(let list)? = metadata[key] else { throw absent(key, "a list of whole numbers") }
    var integers: [Int] = []
    integers.reserveCapacity(list.count)
    for value in list {
      guard case .integer(let integer) = value else { throw absent(key, "a list of whole numbers") }
      integers.append(integer)
    }
    return integers
  }

  // MARK: Tensors

  /// All tensors, sorted by name.
  public var tensors: [Tensor] { table.values.sorted { $0.name < $1.name } }

  public subscript(name: String) -> Tensor? { table[name] }

  private func tensor(_ name: String, _ shape: [Int]) throws(StorageError) -> Tensor {
    guard let tensor = table[name] else {
      throw StorageError(
        .absentTensor, file: file,
        "has no tensor '\(name)' (it holds \(table.count)). It is the file of another kind of model; name another."
      )
    }
    guard tensor.shape == shape else {
      throw StorageError(
        .shape, file: file,
        "tensor '\(name)' has shape \(tensor.shape), expected \(shape). Take a fresh copy.")
    }
    return tensor
  }

  /// A matrix `[outputs, inputs]` in the blocks that the file keeps it in.
  public func matrix(_ name: String, inputs: Int, outputs: Int) throws(StorageError) -> BlockMatrix {
    let tensor = try tensor(name, [inputs, outputs])
    guard let start = region.bytes.baseAddress,
      let matrix = BlockMatrix(
        tensor.format, inputs: inputs, outputs: outputs, bytes: start + tensor.range.lowerBound,
        owner: region)
    else {
      throw StorageError(
        .shape, file: file,
        "tensor '\(name)' has rows of \(inputs), no multiple of \(tensor.format.values). Convert the file.")
    }
    return matrix
  }

  /// The numbers of a vector.
  public func vector(_ name: String, count: Int) throws(StorageError) -> [Float] {
    let tensor = try tensor(name, [count])
    let whole = (count + tensor.format.values - 1) / tensor.format.values * tensor.format.values
    // A last block that is not full is completed with zeros: nothing behind the tensor is read.
    var bytes = [UInt8](region.bytes[tensor.range])
    bytes += [UInt8](repeating: 0, count: (tensor.format.bytes(of: whole) ?? 0) - bytes.count)
    let values = FloatBuffer(uninitialised: whole)
    bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      BlockMatrix(tensor.format, inputs: whole, outputs: 1, bytes: start, owner: region)?
        .expand(0, into: values.pointer)
    }
    return Array(values.array.prefix(count))
  }
}
