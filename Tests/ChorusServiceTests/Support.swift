import ChorusFiles
import ChorusModels
import Foundation

@testable import ChorusService

let gp = Result { try Model(named: "gp") }
let tables = Result { try Model(named: "tables") }
let classes = Result { try Model(named: "classes") }

/// A service with one small model.
///
/// - Parameters:
///   - readsTables: whether there is one for tables as well.
///   - classes: one for their categories.
func makeService(
  tenants: Tenants = Tenants(), folder: String? = nil, readsTables: Bool = false, classes: Model? = nil,
  _ change: (inout ServiceSettings) -> Void = { _ in }
) throws -> Service {
  var settings = ServiceSettings()
  // The whole suite runs beside these tests, and may keep the machine busy for longer than a client would wait.
  settings.deadline = 600
  change(&settings)
  var models = ["gp": try gp.get()]
  if readsTables { models["tables"] = try tables.get() }
  models["classes"] = classes
  return try Service(models: models, settings: settings, tenants: tenants, folder: folder)
}

/// A folder that is removed with its last reference.
final class Folder: Sendable {
  let path = FileManager.default.temporaryDirectory.path + "/chorus-service-\(UUID().uuidString)"
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A wave in the form of a CSV file, `x,y`.
func wave(_ count: Int = 24) -> String {
  (0..<count).reduce("x,y\n") { text, row in
    let x = -2 + 4 * Double(row) / Double(count)
    return text + "\(x),\(sin(3 * x) + 0.2 * x)\n"
  }
}

extension Service {
  func get(_ path: String, _ headers: [String: String] = [:]) async -> ServiceResponse {
    await respond(ServiceRequest("GET", path, headers: headers)).response
  }

  func post(
    _ path: String, _ body: String, type: String? = "application/json", query: String = "",
    accept: String? = nil, key: String? = nil
  ) async -> ServiceResponse {
    await post(path, Array(body.utf8), type: type, query: query, accept: accept, key: key)
  }

  func post(
    _ path: String, _ body: [UInt8], type: String?, query: String = "", accept: String? = nil,
    key: String? = nil
  ) async -> ServiceResponse {
    var headers: [String: String] = [:]
    headers["content-type"] = type
    headers["accept"] = accept
    headers["authorization"] = key.map { "Bearer \($0)" }
    return await respond(ServiceRequest("POST", path, query: query, headers: headers, body: body)).response
  }

  /// Keeps rows; the id.
  func keep(_ csv: String = wave(), query: String = "", key: String? = nil) async throws -> String {
    let response = await post("/v1/contexts", csv, type: "text/csv", query: query, key: key)
    guard response.status == 201, let id = try response.json["id"]?.string else {
      throw Unexpected(text: "\(response.status): \(response.text)")
    }
    return id
  }
}

struct Unexpected: Error { let text: String }

extension ServiceResponse {
  var text: String { String(decoding: body, as: UTF8.self) }
  var json: JSON { get throws { try JSON(parsing: body) } }
  var detail: String { (try? json["detail"]?.string) ?? "" }
  func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}
