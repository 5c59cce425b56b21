/// What stands before the values of a NumPy array (format 1.0 to 3.0): its element type, order and shape.
struct NpyHeader: Equatable {
  /// Types of elements that are numbers or dates.
  enum Element: Equatable {
    case float(bytes: Int)
    case signed(bytes: Int)
    case unsigned(bytes: Int)
    /// `datetime64`; so many of its units are a day.
    case date(perDay: Double, kind: ColumnKind)

    var bytes: Int {
      switch self {
      case .float(let bytes), .signed(let bytes), .unsigned(let bytes): bytes
      case .date: 8
      }
    }

    var kind: ColumnKind { if case .date(_, let kind) = self { kind } else { .number } }
  }

  let element: Element
  let isColumnMajor: Bool
  let shape: [Int]

  private static let sizeLimit = 1 << 16

  var rows: Int { shape[0] }
  var columns: Int { shape.count == 2 ? shape[1] : 1 }

  /// Reads the header at the front of `source`.
  ///
  /// - Throws: `TableError` (`array`): damaged, or no array of one or two dimensions of numbers.
  init(_ source: any ByteSource, name: String) throws(TableError) {
    func failure(_ words: String) -> TableError { TableError(.array, name, words) }
    let start = LittleEndian(try source.take(8))
    guard let magic = start.bytes(0, 6), magic.elementsEqual([0x93] + Array("NUMPY".utf8)),
      let version = start.bytes(6, 1)?.first
    else { throw failure("is no NumPy array.") }
    guard (1...3).contains(version) else {
      throw failure("has format version \(version), which is not known.")
    }
    let size = LittleEndian(try source.take(version == 1 ? 2 : 4))
    guard let count = version == 1 ? size.u16(0).map(Int.init) : size.u32(0).map(Int.init),
      count <= Self.sizeLimit,
      case let bytes = try source.take(count), bytes.count == count
    else { throw failure("has a header that is cut off or too long.") }
    var parser = PythonLiteral(bytes)
    guard case .dictionary(let entries)? = parser.read(),
      case let values = Dictionary(entries, uniquingKeysWith: { $1 }),
      let descr = values["descr"], case .bool(let order)? = values["fortran_order"],
      case .list(let sizes)? = values["shape"]
    else { throw failure("has a header that is no dictionary of descr, fortran_order and shape.") }
    guard case .string(let type) = descr else {
      throw failure(
        "has records of several fields, which are no table of one type; save each field as an array of its own "
          + "(np.savez(path, **{name: a[name] for name in a.dtype.names})).")
    }
    element = try Self.element(type, failure)
    isColumnMajor = order
    let shape = sizes.compactMap { value in if case .integer(let size) = value { size } else { nil } }
    guard shape.count == sizes.count, shape.allSatisfy({ $0 >= 0 }) else {
      throw failure("has a shape that is none.")
    }
    guard (1...2).contains(shape.count) else {
      throw failure("has \(shape.count) dimensions; a table has one or two (reshape it).")
    }
    self.shape = shape
    let cells = shape.reduce((Int(element.bytes), false)) { total, size in
      let (product, overflow) = total.0.multipliedReportingOverflow(by: size)
      return (product, total.1 || overflow)
    }
    guard !cells.1 else { throw failure("has the shape \(shape), which is too large.") }
    guard (1...CSVReader.columnLimit).contains(columns) else {
      throw failure("has \(columns) columns; a table has 1 to \(CSVReader.columnLimit).")
    }
  }

  private static let units: [String: (perDay: Double, kind: ColumnKind)] = [
    "W": (1.0 / 7, .date), "D": (1, .date), "h": (24, .dateTime(utc: false)),
    "m": (1440, .dateTime(utc: false)),
    "s": (86_400, .dateTime(utc: false)), "ms": (86_400e3, .dateTime(utc: false)),
    "us": (86_400e6, .dateTime(utc: false)), "ns": (86_400e9, .dateTime(utc: false)),
  ]

  private static func element(
    _ type: String, _ failure: (String) -> TableError
  ) throws(TableError) -> Element {
    let letter = type.dropFirst().first
    let rest = type.dropFirst(2)
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    let bytes = Int(digits) ?? 0
    if type.first == ">", bytes > 1 {
      throw failure(
        "has elements of type '\(type)', highest byte first; save it with a.astype(a.dtype.newbyteorder('<'))."
      )
    }
    guard let first = type.first, "<|=".contains(first) else {
      throw failure("has the element type '\(type)', which is none.")
    }
    switch (letter, bytes) {
    case ("f", 2), ("f", 4), ("f", 8): return .float(bytes: bytes)
    case ("i", 1), ("i", 2), ("i", 4), ("i", 8): return .signed(bytes: bytes)
    case ("u", 1), ("u", 2), ("u", 4), ("u", 8), ("b", 1): return .unsigned(bytes: bytes)
    case ("M", 8):
      let unit = String(rest.dropFirst(digits.count)).trimmingBrackets
      if let known = units[unit] { return .date(perDay: known.perDay, kind: known.kind) }
      throw failure("has dates in the unit '\(unit)'; save them with a.astype('datetime64[s]').")
    case ("O", _):
      throw failure("has Python objects, which only Python can read; save numbers (a.astype(float)).")
    case ("U", _), ("S", _):
      throw failure("has text ('\(type)'); a table of arrays has numbers (a.astype(float)).")
    case ("V", _):
      throw failure("has records ('\(type)'), which are no numbers; save each field as an array.")
    default:
      throw failure(
        "has elements of type '\(type)'; read are floats, whole numbers and dates (a.astype(float)).")
    }
  }
}

extension String {
  fileprivate var trimmingBrackets: String {
    hasPrefix("[") && hasSuffix("]") ? String(dropFirst().dropLast()) : ""
  }
}

/// The few of Python's literals that a header is written in.
private struct PythonLiteral {
  indirect enum Value {
    case string(String)
    case integer(Int)
    case bool(Bool)
    /// A tuple or a list.
    case list([Value])
    case dictionary([(String, Value)])
  }

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The value of all the text, or nil.
  mutating func read() -> Value? {
    guard let value = value(depth: 0) else { return nil }
    skipSpaces()
    return position == bytes.count ? value : nil
  }

  private mutating func skipSpaces() {
    while position < bytes.count, [0x20, 0x09, 0x0A].contains(bytes[position]) { position += 1 }
  }

  private mutating func take(_ word: String) -> Bool {
    skipSpaces()
    guard bytes[position...].starts(with: word.utf8) else { return false }
    position += word.utf8.count
    return true
  }

  private mutating func value(depth: Int) -> Value? {
    guard depth < 8 else { return nil }
    if take("True") { return .bool(true) }
    if take("False") { return .bool(false) }
    if take("(") { return list(until: ")", depth) }
    if take("[") { return list(until: "]", depth) }
    if take("{") {
      var entries: [(String, Value)] = []
      while !take("}") {
        guard case .string(let key)? = value(depth: depth + 1), take(":"), let entry = value(depth: depth + 1)
        else {
          return nil
        }
        entries.append((key, entry))
        if !take(",") { return take("}") ? .dictionary(entries) : nil }
      }
      return .dictionary(entries)
    }
    for quote in ["'", "\""] where take(quote) {
      let rest = bytes[position...]
      guard let end = rest.firstIndex(of: quote.utf8.first ?? 0) else { return nil }
      defer { position = end + 1 }
      return .string(String(decoding: rest[..<end], as: UTF8.self))
    }
    let digits = bytes[position...].prefix { $0 &- 0x30 <= 9 }
    position += digits.count
    return Int(String(decoding: digits, as: UTF8.self)).map(Value.integer)
  }

  private mutating func list(until close: String, _ depth: Int) -> Value? {
    var values: [Value] = []
    while !take(close) {
      guard let next = value(depth: depth + 1) else { return nil }
      values.append(next)
      if !take(",") { return take(close) ? .list(values) : nil }
    }
    return .list(values)
  }
}
