import ChorusFiles
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
      for member in beside { bytes += ",\(JSON.quoted(member.key)):\(member.value.text)".utf8 }
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
