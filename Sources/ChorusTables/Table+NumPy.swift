extension Table {
  /// Reads a NumPy array of one or two dimensions; its columns are called `0`, `1`, ….
  static func npy(
    _ source: any ByteSource, _ name: String, _ options: TableOptions
  ) throws(TableError) -> Table {
    let header = try NpyHeader(source, name: name)
    let columns = (0..<header.columns).map(String.init)
    var (stores, _) = try options.stores(for: columns, name)
    try header.read(source, name, into: &stores)
    return try table(name, columns, header.rows, stores)
  }

  /// Reads the arrays of an archive. An array of one dimension is a column of its name, one of two dimensions the
  /// columns `name.0`, `name.1`, ….
  static func npz(
    _ archive: ZipArchive, _ name: String, _ options: TableOptions
  ) throws(TableError) -> Table {
    let arrays = archive.members.filter { $0.name.hasSuffix(".npy") }
    guard !arrays.isEmpty else {
      throw TableError(
        .array, name, "is a zip file without NumPy arrays; if it is a spreadsheet, save it as CSV.")
    }
    var columns: [String] = []
    /// The columns of each array; nil with the reason where it is no table.
    var parts: [(array: ZipArchive.Member, columns: Range<Int>, header: NpyHeader)] = []
    var refused: [String: TableError] = [:]
    for array in arrays {
      let title = String(array.name.dropLast(4))
      let header: NpyHeader
      do {
        header = try NpyHeader(
          archive.open(array, limit: options.expansionLimit), name: "\(name) (\(array.name))")
      } catch {
        guard options.numbers != nil, error.reason == .array else { throw error }
        refused[title] = error
        continue
      }
      let first = columns.count
      columns += header.columns == 1 ? [title] : (0..<header.columns).map { "\(title).\($0)" }
      guard columns.count <= CSVReader.columnLimit else {
        throw TableError(.array, name, "has more than \(CSVReader.columnLimit) columns.")
      }
      parts.append((array, first..<columns.count, header))
    }
    var seen: Set<String> = []
    if let twice = columns.first(where: { !seen.insert($0).inserted }) {
      throw TableError(.array, name, "has two columns called '\(twice)'; rename an array.")
    }
    if let wanted = ((options.numbers ?? []) + options.texts).first(where: { refused[$0] != nil }),
      let reason = refused[wanted]
    {
      throw reason
    }
    var (stores, _) = try options.stores(for: columns, name)
    var rows: (count: Int, name: String)?
    for part in parts {
      var own = Array(stores[part.columns])
      guard own.contains(where: { $0.numbers != nil || $0.texts != nil }) else { continue }
      if let rows, rows.count != part.header.rows {
        throw TableError(
          .array, name,
          "'\(rows.name)' has \(rows.count) rows and '\(part.array.name)' \(part.header.rows); a table needs as many in each."
        )
      }
      rows = (part.header.rows, part.array.name)
      let label = "\(name) (\(part.array.name))"
      let source = try archive.open(part.array, limit: options.expansionLimit)
      _ = try NpyHeader(source, name: label)
      try part.header.read(source, label, into: &own)
      stores.replaceSubrange(part.columns, with: own)
    }
    return try table(name, columns, rows?.count ?? 0, stores)
  }

  private static func table(
    _ name: String, _ columns: [String], _ rows: Int, _ stores: [Store]
  ) throws(TableError) -> Table {
    guard rows > 0 else { throw TableError(.array, name, "has no rows.") }
    return Table(source: name, columns: columns, rowCount: rows, stores: stores, lines: LineNumbers())
  }
}

extension NpyHeader {
  /// Bytes that are turned into numbers at a time; a multiple of every element's.
  private static let block = 1 << 16

  /// Reads the values behind the header into the columns that are kept.
  func read(_ source: any ByteSource, _ name: String, into stores: inout [Table.Store]) throws(TableError) {
    let total = rows * columns
    var done = 0
    while done < total {
      let wanted = min((total - done) * element.bytes, Self.block)
      let bytes = try source.take(wanted)
      guard bytes.count == wanted else {
        throw TableError(
          .array, name,
          "ends after \(done + bytes.count / element.bytes) of \(total) values; is the file cut off?")
      }
      for value in values(bytes) {
        let column = isColumnMajor ? done / rows : done % columns
        done += 1
        stores[column].numbers?.append(value, element.kind)
        stores[column].texts?.append(value, element.kind)
      }
    }
    guard try source.take(1).isEmpty else {
      throw TableError(.array, name, "goes on behind its \(total) values; is it one array a file?")
    }
  }

  private func values(_ bytes: [UInt8]) -> [Double] {
    func numbers<Number>(_ type: Number.Type, _ value: (Number) -> Double) -> [Double] {
      bytes.withUnsafeBytes { raw in
        stride(from: 0, to: raw.count, by: MemoryLayout<Number>.size).map {
          value(raw.loadUnaligned(fromByteOffset: $0, as: type))
        }
      }
    }
    func whole<Number: FixedWidthInteger>(_ type: Number.Type) -> [Double] {
      numbers(type) { Double(Number(littleEndian: $0)) }
    }
    switch element {
    case .float(2): return numbers(UInt16.self) { Self.half(UInt16(littleEndian: $0)) }
    case .float(4): return numbers(UInt32.self) { Double(Float(bitPattern: UInt32(littleEndian: $0))) }
    case .float: return numbers(UInt64.self) { Double(bitPattern: UInt64(littleEndian: $0)) }
    case .signed(1): return whole(Int8.self)
    case .signed(2): return whole(Int16.self)
    case .signed(4): return whole(Int32.self)
    case .signed: return whole(Int64.self)
    case .unsigned(1): return whole(UInt8.self)
    case .unsigned(2): return whole(UInt16.self)
    case .unsigned(4): return whole(UInt32.self)
    case .unsigned: return whole(UInt64.self)
    case .date(let perDay, _):
      return numbers(Int64.self) {
        let units = Int64(littleEndian: $0)
        return units == .min ? .nan : Double(units) / perDay
      }
    }
  }

  /// IEEE 754 binary16; `Float16` is not on every platform.
  private static func half(_ bits: UInt16) -> Double {
    let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 1023))
    let magnitude: Double =
      switch exponent {
      case 0: fraction * 0x1p-24
      case 31: fraction == 0 ? .infinity : .nan
      default: (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
      }
    return bits >> 15 == 1 ? -magnitude : magnitude
  }
}

extension TextColumn {
  /// A value of an array as it would be written.
  fileprivate mutating func append(_ value: Double, _ kind: ColumnKind) {
    let text = value.isNaN ? "" : RowEncoder.written(value, kind)
    Array(text.utf8).withUnsafeBufferPointer { append($0) }
  }
}
