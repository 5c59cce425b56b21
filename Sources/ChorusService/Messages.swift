import ChorusFiles

/// A request as the service sees it, whatever carries it.
package struct ServiceRequest: Sendable {
  package var method: String
  /// Without the query, as it was sent.
  package var path: String
  /// What follows the question mark, as it was sent.
  package var query: String
  /// By lower-case names; several of one name joined by commas.
  package var headers: [String: String]
  package var body: [UInt8]

  package init(
    _ method: String, _ path: String, query: String = "", headers: [String: String] = [:], body: [UInt8] = []
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.headers = headers
    self.body = body
  }

  /// The media type of the body, in lower case and without parameters.
  var contentType: String? { headers["content-type"].map(MediaType.name) }
}

/// An answer to a request.
package struct ServiceResponse: Sendable {
  package var status: Int
  package var headers: [(name: String, value: String)]
  package var body: [UInt8]

  package init(_ status: Int, _ type: String? = nil, _ body: [UInt8] = []) {
    self.status = status
    headers = type.map { [("content-type", $0)] } ?? []
    self.body = body
  }

  package init(_ status: Int, _ json: JSON, type: String = MediaType.json) {
    self.init(status, type, Array((json.text + "\n").utf8))
  }
}

/// Why a request was refused or failed: a problem as RFC 9457 has it.
package struct ServiceError: Error, Sendable {
  package let status: Int
  package let detail: String
  package var retryAfter: Int?
  package var headers: [(name: String, value: String)] = []

  package init(_ status: Int, _ detail: String, retryAfter: Int? = nil) {
    (self.status, self.detail, self.retryAfter) = (status, detail, retryAfter)
  }

  /// The words of the status.
  static func title(_ status: Int) -> String {
    switch status {
    case 400: "Bad request"
    case 401: "Key needed"
    case 403: "Forbidden"
    case 404: "Not found"
    case 405: "Method not allowed"
    case 406: "No such form of answer"
    case 408: "Request too slow"
    case 409: "Conflict"
    case 413: "Too large"
    case 415: "No such form of rows"
    case 422: "Cannot be answered"
    case 429: "Too busy"
    case 503: "Going down"
    case 504: "Too late"
    case 507: "No room"
    default: "Failed"
    }
  }

  /// How it is told, which clients of another protocol look for in their own way.
  enum Form: Sendable {
    /// RFC 9457.
    case problem
    /// The Open Inference Protocol's: one text.
    case inference
    /// That of KServe's time series.
    case forecast

    init(path: String) {
      self = path.hasPrefix("/v2") ? .inference : path.hasPrefix("/v1/timeseries") ? .forecast : .problem
    }

    var mediaType: String { self == .problem ? "application/problem+json" : MediaType.json }
  }

  /// - Parameter path: of the request that it answers.
  package func response(to path: String) -> ServiceResponse {
    let form = Form(path: path)
    let title = JSON.string(Self.title(status))
    let json: JSON =
      switch form {
      case .problem:
        .members([
          "type": .string("about:blank"), "title": title, "status": .integer(status),
          "detail": .string(detail),
        ])
      case .inference: .members(["error": .string(detail)])
      case .forecast:
        .members([
          "error": .members(["code": .string(String(status)), "message": .string(detail), "type": title])
        ])
      }
    var response = ServiceResponse(status, json, type: form.mediaType)
    if let retryAfter { response.headers.append(("retry-after", String(retryAfter))) }
    response.headers += headers
    return response
  }
}

/// Media types that are read and written.
package enum MediaType {
  package static let json = "application/json"
  static let csv = "text/csv"
  static let jsonLines = "application/jsonl"
  static let npy = "application/x-npy"
  static let plain = "text/plain"
  static let html = "text/html"

  /// In lower case and without parameters.
  static func name(_ text: String) -> String {
    (text.split(separator: ";", omittingEmptySubsequences: false).first.map(String.init) ?? text)
      .trimmedSpaces.lowercased()
  }

  /// The value of a parameter, without its quotes.
  static func parameter(_ name: String, of text: String) -> String? {
    for part in text.split(separator: ";").dropFirst() {
      let sides = part.split(separator: "=", maxSplits: 1).map { String($0).trimmedSpaces }
      guard sides.count == 2, sides[0].lowercased() == name else { continue }
      let value = sides[1]
      return value.count >= 2 && value.hasPrefix("\"") && value.hasSuffix("\"")
        ? String(value.dropFirst().dropLast()) : value
    }
    return nil
  }
}

/// The forms of answers.
enum AnswerForm: String, CaseIterable {
  case json, csv, jsonl, npy

  var mediaType: String {
    switch self {
    case .json: MediaType.json
    case .csv: MediaType.csv + "; charset=utf-8"
    case .jsonl: MediaType.jsonLines
    case .npy: MediaType.npy
    }
  }

  private init?(mediaType: String) {
    switch mediaType {
    case "*/*", "application/*", MediaType.json: self = .json
    case MediaType.csv, "text/*": self = .csv
    case MediaType.jsonLines, "application/x-ndjson", "application/x-jsonlines": self = .jsonl
    case MediaType.npy, "application/octet-stream": self = .npy
    default: return nil
    }
  }

  /// The form that an Accept header likes most among `allowed`; JSON without a header.
  ///
  /// - Throws: `ServiceError` (406).
  static func accepted(_ header: String?, among allowed: [AnswerForm]) throws(ServiceError) -> AnswerForm {
    guard let header, !header.trimmedSpaces.isEmpty else { return allowed[0] }
    var best: (form: AnswerForm, weight: Double)?
    for part in header.split(separator: ",").map(String.init) {
      let name = MediaType.name(part)
      let weight = MediaType.parameter("q", of: part).flatMap(Double.init) ?? 1
      let form = name == "*/*" ? allowed[0] : AnswerForm(mediaType: name)
      guard let form, allowed.contains(form), weight > 0, weight > best?.weight ?? 0 else { continue }
      best = (form, weight)
    }
    guard let best else {
      throw ServiceError(
        406, "this answer comes as \(allowed.map { MediaType.name($0.mediaType) }.joined(separator: ", "))")
    }
    return best.form
  }
}

extension String {
  var trimmedSpaces: String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    var rest = self[...].drop(while: isSpace)
    while let last = rest.last, isSpace(last) { rest = rest.dropLast() }
    return String(rest)
  }
}
