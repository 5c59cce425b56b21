import ChorusFiles
import ChorusQuestions
import ChorusTables

/// The rows and the fields of a request, whatever form they came in.
struct Incoming: Sendable {
  let fields: Fields
  /// The bytes of a table, where there are some.
  let table: [UInt8]?
  /// How they end as the name of a file, where the media type tells a format that the first bytes do not.
  private let ending: String

  /// A JSON text is read as a tree, many times its size.
  static let jsonLimit = 4 << 20

  private static let tables: [String: String] = [
    MediaType.csv: ".csv", "text/tab-separated-values": ".tsv", "text/plain": ".csv",
    MediaType.jsonLines: ".jsonl", "application/x-ndjson": ".jsonl", "application/x-jsonlines": ".jsonl",
    MediaType.npy: "", "application/octet-stream": "", "application/gzip": "", "application/zip": "",
  ]

  /// - Parameters:
  ///   - specs: the fields that there can be.
  ///   - rows: the JSON field that can stand for a table.
  init(_ request: ServiceRequest, _ specs: [FieldSpec], rows: String?) throws(ServiceError) {
    let type = request.contentType
    let start = request.body.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    let isBare = type == nil || type == "application/x-www-form-urlencoded"
    if start == nil {
      self.init(try Fields(specs, query: request.query, json: nil))
      return
    }
    if let type, type == "multipart/form-data" {
      try self.init(parts: request, specs)
      return
    }
    // What curl sends without a word about its type is looked at.
    if type == MediaType.json || isBare && (start == UInt8(ascii: "{") && !Self.isLines(request.body)) {
      guard request.body.count <= Self.jsonLimit else {
        throw ServiceError(
          413, "JSON of more than \(Self.jsonLimit >> 20) MiB; send rows as CSV, JSON lines or .npy")
      }
      let json: JSON
      do throws(JSONFault) { json = try JSON(parsing: request.body) } catch {
        throw ServiceError(400, error.description)
      }
      // A list of objects is a table.
      var object = json
      if let rows, json.array != nil { object = .object([JSON.Member(key: rows, value: json)]) }
      self.init(try Fields(specs, query: request.query, json: object))
      return
    }
    guard isBare || type.map({ Self.tables[$0] != nil }) ?? false else {
      throw ServiceError(
        415,
        "rows come as text/csv, text/tab-separated-values, application/jsonl, application/json, multipart/form-data, or "
          + "application/octet-stream for .npy, .npz and .gz")
    }
    self.init(
      try Fields(specs, query: request.query, json: nil), table: request.body,
      ending: type.flatMap { Self.tables[$0] } ?? "")
  }

  private init(_ fields: Fields, table: [UInt8]? = nil, ending: String = "") {
    (self.fields, self.table, self.ending) = (fields, table, ending)
  }

  /// A form: fields, and one part with a file.
  private init(parts request: ServiceRequest, _ specs: [FieldSpec]) throws(ServiceError) {
    guard
      let boundary = request.headers["content-type"].flatMap({ MediaType.parameter("boundary", of: $0) }),
      let parts = Multipart.parts(request.body, boundary: boundary)
    else {
      throw ServiceError(400, "the body is no multipart/form-data with the boundary that its type names")
    }
    var fields = try Fields(specs, query: request.query, json: nil)
    var table: [UInt8]?
    var ending = ""
    for part in parts {
      guard part.isFile || part.name == "rows" else {
        guard let text = String(validating: part.bytes, as: UTF8.self) else {
          throw ServiceError(400, "the part '\(part.name.prefix(60))' is not UTF-8")
        }
        try fields.add(part.name, .string(text), isText: true)
        continue
      }
      guard table == nil else { throw ServiceError(422, "the form has more than one file; send one") }
      table = part.bytes
      // Of a file's name its ending counts, and nothing else of it is used.
      ending =
        [".tsv", ".tab", ".jsonl", ".ndjson", ".csv"].first { part.file.lowercased().hasSuffix($0) } ?? ""
    }
    self.init(fields, table: table, ending: ending)
  }

  /// Whether text that begins with an object goes on with another, a line each.
  private static func isLines(_ body: [UInt8]) -> Bool {
    guard let end = body.firstIndex(of: UInt8(ascii: "\n")),
      let next = body[end...].first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) })
    else { return false }
    return next == UInt8(ascii: "{")
  }

  /// The table of the body, or of a JSON field with a list of rows; nil where there is neither.
  ///
  /// - Parameter input: the column of plain values.
  func source(
    _ field: String, options: TableOptions = TableOptions(), input: String? = nil
  ) throws(ServiceError) -> RowsSource? {
    if let table {
      guard fields.list(field) == nil else {
        throw ServiceError(422, "'\(field)' is in a field and in the body; send it once")
      }
      return RowsSource(bytes: table, name: "body" + ending, options: options)
    }
    guard let rows = fields.list(field) else { return nil }
    var text = ""
    for row in rows {
      switch row {
      case .object: text += row.text + "\n"
      case .number, .string:
        guard let input else {
          throw ServiceError(422, "'\(field)': there are several inputs; write each point as an object")
        }
        text += JSON.object([JSON.Member(key: input, value: row)]).text + "\n"
      default: throw ServiceError(422, "'\(field)' must be a list of objects, one a row")
      }
    }
    return RowsSource(bytes: Array(text.utf8), name: "\(field).jsonl", options: options)
  }
}

extension TableOptions {
  /// The fields that say how a table is read, as the options of the command line.
  static let fields = [
    FieldSpec("decimal", .choice(DecimalMark.allCases.map { "\($0)" }), "The decimal mark of numbers."),
    FieldSpec(
      "delimiter", .choice(Delimiter.allCases.map { "\($0)" }), "What separates cells; found out without."),
    FieldSpec("date_format", .text, "How dates are written, as %d/%m/%Y."),
    FieldSpec("missing", .texts, "What stands for a missing value, beside the usual words."),
  ]

  init(_ fields: Fields) throws(ServiceError) {
    self.init()
    decimal = fields.text("decimal").flatMap { name in DecimalMark.allCases.first { "\($0)" == name } }
    delimiter = fields.text("delimiter").flatMap { name in Delimiter.allCases.first { "\($0)" == name } }
    if decimal == .comma, delimiter == .comma {
      throw ServiceError(422, "'decimal' and 'delimiter': a comma can not be both")
    }
    if let pattern = fields.text("date_format") {
      guard let notation = DateNotation(pattern: pattern) else {
        throw ServiceError(422, "'date_format' must be a pattern like %d/%m/%Y")
      }
      dateNotation = notation
    }
    missing = fields.texts("missing") ?? []
  }
}
