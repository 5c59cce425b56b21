import ChorusInference
import ChorusQuestions
import ChorusTables

/// An answer in one of its forms.
struct AnswerBody: Sendable {
  /// A table, from which every form can be made.
  let columns: [String]
  let rows: [[Cell]]
  /// What stands beside the rows in JSON.
  var beside: [JSON.Member] = []
  /// What `.npy` holds, row by row; nil where there is no matrix of it.
  var matrix: [[Double]]?

  func response(_ form: AnswerForm) throws -> ServiceResponse {
    switch form {
    case .csv, .jsonl:
      let encoder = RowEncoder(columns: columns, format: form == .csv ? .csv : .jsonl)
      var bytes = Array(encoder.header.utf8)
      for row in rows { bytes += try encoder.row(row).utf8 }
      return ServiceResponse(200, form.mediaType, bytes)
    case .json:
      let encoder = RowEncoder(columns: columns, format: .jsonl)
      var bytes = Array("{\"rows\":[".utf8)
      for (index, row) in rows.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        // A row of JSON lines without its line end.
        bytes += try encoder.row(row).utf8.dropLast()
      }
      bytes.append(UInt8(ascii: "]"))
      for member in beside { bytes += ",\(RowEncoder.json(member.key)):\(member.value.text)".utf8 }
      bytes += "}\n".utf8
      return ServiceResponse(200, form.mediaType, bytes)
    case .npy:
      guard let matrix else {
        throw ServiceError(
          406, "several series or texts are no array; take text/csv, application/jsonl or application/json")
      }
      return ServiceResponse(200, form.mediaType, Npy.bytes(matrix))
    }
  }
}

/// NumPy's array files.
enum Npy {
  /// A matrix of 64-bit floats, format 1.0.
  static func bytes(_ rows: [[Double]]) -> [UInt8] {
    var header =
      "{'descr': '<f8', 'fortran_order': False, 'shape': (\(rows.count), \(rows.first?.count ?? 0)), }"
    // The values start at a multiple of 64.
    header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
    bytes += [UInt8(header.utf8.count & 255), UInt8(header.utf8.count >> 8)]
    bytes += header.utf8
    for row in rows {
      for value in row { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
    }
    return bytes
  }
}

extension Ask {
  private func beside(_ answers: [Answer]) -> [JSON.Member] {
    var tally = NoteTally()
    for answer in answers { tally.add(answer) }
    return [
      JSON.Member(key: "plan", value: .string(template.description)),
      JSON.Member(key: "samples", value: .integer(samples)),
      JSON.Member(key: "seed", value: .number(String(seed))),
      JSON.Member(key: "notes", value: .array(tally.notes.map(JSON.string))),
    ]
  }

  /// The paths themselves. In JSON a path is a list, with the points once.
  func paths(_ answers: [Answer], _ form: AnswerForm) throws -> ServiceResponse {
    let table = try table()
    switch form {
    case .json:
      return ServiceResponse(
        200, .object([JSON.Member(key: "series", value: .array(answers.map(Self.json)))] + beside(answers)))
    case .npy:
      let matrix = answers.count == 1 ? answers[0].samples?.paths : nil
      return try AnswerBody(columns: [], rows: [], matrix: matrix).response(form)
    case .csv, .jsonl:
      var rows: [[Cell]] = []
      for answer in answers { table.forEachPathRow(answer) { (cells) throws(Never) in rows.append(cells) } }
      return try AnswerBody(columns: table.pathColumns, rows: rows).response(form)
    }
  }

  private static func json(_ answer: Answer) -> JSON {
    let question = answer.question
    let selection = question.selection
    let points = selection.inputs.indices.map { column in
      JSON.Member(
        key: selection.inputs[column],
        value: .array((0..<question.points.count).map { JSON(question.inputCells($0)[column]) }))
    }
    let samples = answer.samples
    return .members([
      "group": question.observations.group.map(JSON.string), "target": .string(selection.target),
      "points": .object(points),
      "paths": .array((samples?.paths ?? []).map { .array($0.map(JSON.double)) }),
      "means": .array((samples?.means ?? []).map(JSON.double)),
      "outside": .array((samples?.outside ?? []).map { .string($0.description) }),
    ])
  }

  /// Quantiles of the paths, point by point, or functionals where some are asked for.
  func summary(_ answers: [Answer], _ form: AnswerForm) throws -> ServiceResponse {
    let table = try table()
    var body = AnswerBody(columns: table.columns, rows: answers.flatMap(table.rows), beside: beside(answers))
    if answers.count == 1, functionals.isEmpty, let samples = answers[0].samples {
      body.matrix = zip(samples.means, samples.quantiles(levels)).map { [$0] + $1 }
    }
    return try body.response(form)
  }
}

extension JSON {
  /// A cell as JSON lines have it.
  init(_ cell: Cell) {
    switch cell {
    case .missing: self = .null
    case .text(let text): self = .string(text)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .double(value)
    case .float(let value): self = value.isFinite ? .number(value.description) : .null
    case .value(let value, let kind):
      self = kind == .number ? .double(value) : value.isFinite ? .string(kind.text(value)) : .null
    }
  }
}
