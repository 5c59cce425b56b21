extension Table {
  /// Reads the file at `path`, or standard input where `path` is `-`.
  ///
  /// Its first bytes tell what it is: gzip (of any of the others), NumPy's `.npy` or `.npz`, JSON lines (it starts
  /// with `{`), else CSV or TSV. A name that ends in `.tsv` or `.tab` means tabs. Text is read in one pass, and
  /// memory is what is kept of the columns.
  ///
  /// - Throws: `TableError`: a file that is not there or can not be read; text that is not UTF-8 (`encoding`);
  ///   damaged compression or a file that expands too far (`compressed`); (`malformed`) no rows, equal column names,
  ///   rows with more or fewer cells than the header, misplaced or open quotes, or a row past the limits; an array
  ///   that is no table of numbers (`array`); a column of the options that is not there.
  public static func read(path: String, options: TableOptions = TableOptions()) throws(TableError) -> Table {
    let file = try FileSource(path: path)
    return try read(file, name: file.name, file: file, options)
  }

  /// Reads a table from bytes that a file of any of these formats would have.
  ///
  /// - Throws: `TableError` as ``read(path:options:)``.
  public init(bytes: [UInt8], source: String, options: TableOptions = TableOptions()) throws(TableError) {
    self = try Self.read(MemorySource(bytes), name: source, file: nil, options)
  }

  private static func read(
    _ raw: any ByteSource, name: String, file: FileSource?, _ options: TableOptions
  ) throws(TableError) -> Table {
    var (source, head) = try looked(raw)
    var ending = name.lowercased()
    if FileFormat(head) == .gzip {
      let expanded = GzipSource(source, name: name, limit: options.expansionLimit)
      (source, head) = try looked(expanded)
      if ending.hasSuffix(".gz") { ending.removeLast(3) }
      // An archive needs places in the file, and the file is what was compressed.
      if FileFormat(head) == .zip { return try npz(ZipArchive(all: source, name: name), name, options) }
    }
    switch FileFormat(head) {
    case .gzip: throw TableError(.compressed, name, "is compressed twice; expand it once (gunzip).")
    case .zip:
      if let file, let archive = try ZipArchive(file: file) { return try npz(archive, name, options) }
      return try npz(ZipArchive(all: source, name: name), name, options)
    case .npy: return try npy(source, name, options)
    case .refused(let words): throw TableError(.malformed, name, words)
    case .text(let start):
      let first = start.first
      let isNamedCSV = [".csv", ".tsv", ".tab", ".txt"].contains { ending.hasSuffix($0) }
      if [".jsonl", ".ndjson"].contains(where: ending.hasSuffix) || first == UInt8(ascii: "{") && !isNamedCSV
      {
        return try jsonLines(source, name: name, options: options)
      }
      if ending.hasSuffix(".json") || start == Array("[{".utf8) && !isNamedCSV {
        throw TableError(
          .malformed, name,
          "is JSON, but not one object a line; make it so (jq -c '.[]' for an array of objects).")
      }
      let tabs = ending.hasSuffix(".tsv") || ending.hasSuffix(".tab")
      return try csv(source, name: name, options: options, tabs: tabs)
    }
  }

  /// The source with its first bytes still to come, and those bytes.
  private static func looked(_ source: any ByteSource) throws(TableError) -> (any ByteSource, [UInt8]) {
    let head = try source.take(512)
    return (JoinedSource(head, source), head)
  }
}

/// What a file is, by its first bytes.
enum FileFormat: Equatable {
  case gzip
  case zip
  case npy
  /// A format that is not read, and what to do.
  case refused(String)
  /// Text, and its first two bytes that are no space.
  case text(start: [UInt8])

  init(_ head: [UInt8]) {
    func starts(_ bytes: [UInt8]) -> Bool { head.starts(with: bytes) }
    let save = "; save it as CSV."
    if starts([0x1F, 0x8B]) {
      self = .gzip
    } else if starts([0x50, 0x4B, 3, 4]) || starts([0x50, 0x4B, 5, 6]) {
      self = .zip
    } else if starts([0x93] + Array("NUMPY".utf8)) {
      self = .npy
    } else if starts(Array("PAR1".utf8)) {
      self = .refused("is a Parquet file, which is not read" + save)
    } else if starts(Array("ARROW1".utf8)) {
      self = .refused("is an Arrow file, which is not read" + save)
    } else if starts([0x89, 0x48, 0x44, 0x46]) {
      self = .refused("is an HDF5 file, which is not read" + save)
    } else if starts([0xD0, 0xCF, 0x11, 0xE0]) {
      self = .refused("is an old spreadsheet, which is not read" + save)
    } else if starts([0x28, 0xB5, 0x2F, 0xFD]) || starts([0xFD, 0x37, 0x7A, 0x58])
      || starts(Array("BZh91AY".utf8))
    {
      self = .refused(
        "is compressed in another way than gzip; expand it first, as in: zstd -dc FILE | chorus … -")
    } else {
      let text = starts([0xEF, 0xBB, 0xBF]) ? head.dropFirst(3) : head[...]
      self = .text(start: Array(text.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }.prefix(2)))
    }
  }
}
