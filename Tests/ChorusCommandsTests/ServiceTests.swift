import ChorusFiles
import ChorusModels
import ChorusService
import Foundation
import Testing

@testable import ChorusCommands

/// What a kept context says over HTTP is what the command line says of the same rows.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ServiceTests {
  private static let rows =
    "day,level\n"
    + (0..<60).map { day in
      let date = Date(timeIntervalSince1970: Double(day) * 86_400 + 1.7e9).formatted(
        .iso8601.year().month().day())
      return "\(date),\(3 + sin(Double(day) / 5) + 0.1 * sin(37 * Double(day)))\n"
    }.joined()

  /// With all the time there is: tests beside this one keep the threads that tasks have.
  private static func service() throws -> Service {
    var settings = ServiceSettings()
    settings.deadline = 600
    return try Service(models: ["functions": Model(named: "functions")], settings: settings)
  }

  @Test(
    "The same question has the same bytes",
    arguments: [
      (["--horizon", "5"], "marginals", #"{"horizon":5"#),
      (
        ["--horizon", "4", "--plan", "blocks(of:2)", "--quantiles", "0.1,0.9"], "marginals",
        #"{"horizon":4,"plan":"blocks(of:2)","quantiles":[0.1,0.9]"#
      ),
      (["--horizon", "4", "--given", "sum>12"], "marginals", #"{"horizon":4,"given":["sum>12"]"#),
      (
        ["--horizon", "4", "--functional", "sum,max"], "functionals",
        #"{"horizon":4,"functional":["sum","max"]"#
      ),
    ])
  func answersAsTheProgram(_ options: [String], _ resource: String, _ question: String) async throws {
    let folder = try Folder()
    try folder.write("levels.csv", Self.rows)
    let told = try folder.start(
      ["predict", "levels.csv", "--samples", "30", "--seed", "5", "--digits", "all", "-q"] + options
    ).1()
    #expect(told.code == 0, "\(told.errors)")
    let service = try Self.service()
    let made = await service.respond(
      ServiceRequest(
        "POST", "/v1/contexts", headers: ["content-type": "text/csv"], body: Array(Self.rows.utf8)))
    let id = try #require(try JSON(parsing: made.response.body)["id"]?.string)
    let asked = await service.respond(
      ServiceRequest(
        "POST", "/v1/contexts/\(id)/\(resource)", headers: ["accept": "text/csv"],
        body: Array((question + #","samples":30,"seed":5}"#).utf8)))
    #expect(String(decoding: asked.response.body, as: UTF8.self) == told.output)
  }

  @Test("The paths are those that the program writes")
  func drawsAsTheProgram() async throws {
    let folder = try Folder()
    try folder.write("levels.csv", Self.rows)
    let told = try folder.start([
      "predict", "levels.csv", "--samples", "6", "--horizon", "3", "--output", "paths.csv", "-q",
    ]).1()
    #expect(told.code == 0, "\(told.errors)")
    let service = try Self.service()
    let made = await service.respond(
      ServiceRequest(
        "POST", "/v1/contexts", headers: ["content-type": "text/csv"], body: Array(Self.rows.utf8)))
    let id = try #require(try JSON(parsing: made.response.body)["id"]?.string)
    let asked = await service.respond(
      ServiceRequest(
        "POST", "/v1/contexts/\(id)/sample", query: "horizon=3&samples=6", headers: ["accept": "text/csv"]))
    #expect(try String(decoding: asked.response.body, as: UTF8.self) == folder.read("paths.csv"))
  }
}
