/// The parts of a form (RFC 7578).
enum Multipart {
  struct Part: Equatable {
    let name: String
    /// The name of the file as it was sent; empty for a plain field.
    let file: String
    let isFile: Bool
    let bytes: [UInt8]
  }

  private static let mostParts = 64

  /// Nil for what is no form with this boundary.
  static func parts(_ body: [UInt8], boundary: String) -> [Part]? {
    guard (1...70).contains(boundary.utf8.count) else { return nil }
    let mark = Array("--\(boundary)".utf8)
    guard var place = find(mark, in: body, from: 0) else { return nil }
    var parts: [Part] = []
    while true {
      place += mark.count
      // The last mark has two dashes behind it.
      if body[place...].starts(with: Array("--".utf8)) { return parts }
      guard parts.count < mostParts, let start = end(ofLine: place, in: body),
        let next = find(Array("\r\n".utf8) + mark, in: body, from: start - 2),
        let part = part(body, start, max(next, start))
      else { return nil }
      parts.append(part)
      place = next + 2
    }
  }

  private static func part(_ body: [UInt8], _ start: Int, _ end: Int) -> Part? {
    var (line, name, file) = (start, String?.none, String?.none)
    while line < end, let next = Self.end(ofLine: line, in: body), next <= end {
      if next == line + 2 {
        return name.map {
          Part(name: $0, file: file ?? "", isFile: file != nil, bytes: Array(body[next..<end]))
        }
      }
      let header = String(decoding: body[line..<next - 2], as: UTF8.self)
      if header.lowercased().hasPrefix("content-disposition:") {
        name = MediaType.parameter("name", of: header)
        file = MediaType.parameter("filename", of: header)
      }
      line = next
    }
    return nil
  }

  /// The place behind the next line end.
  private static func end(ofLine start: Int, in body: [UInt8]) -> Int? {
    find(Array("\r\n".utf8), in: body, from: start).map { $0 + 2 }
  }

  private static func find(_ mark: [UInt8], in body: [UInt8], from start: Int) -> Int? {
    guard let first = mark.first, start >= 0, start <= body.count else { return nil }
    var place = start
    while place + mark.count <= body.count {
      guard let next = body[place...(body.count - mark.count)].firstIndex(of: first) else { return nil }
      if body[next..<next + mark.count].elementsEqual(mark) { return next }
      place = next + 1
    }
    return nil
  }
}
