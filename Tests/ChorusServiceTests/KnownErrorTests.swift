import ChorusData
import ChorusModels
import Foundation
import Testing

@testable import ChorusInference
@testable import ChorusService

/// Rows with known errors, sent over HTTP.
@Suite struct KnownErrorTests {
  private static let functions = Result { try Model(named: "functions") }

  private struct Row {
    let x: Double
    let y: Double
    let error: Double

    init(_ row: Int) {
      let isRough = row % 5 == 2
      x = Double(row)
      y = sin(x / 3) + (isRough ? 0.8 : 0)
      error = isRough ? 1 : 0.05
    }
  }
  private static let rows = (0..<24).map(Row.init)

  private static func csv(_ rows: some Collection<Row>) -> String {
    rows.reduce("x,y,e\n") { $0 + "\($1.x),\($1.y),\($1.error)\n" }
  }

  private static func service(folder: String? = nil) throws -> Service {
    var settings = ServiceSettings()
    settings.deadline = 600
    let models = ["functions": try functions.get(), "tables": try tables.get()]
    return try Service(models: models, settings: settings, tenants: Tenants(), folder: folder)
  }

  private static func means(_ service: Service, _ id: String) async throws -> [Double] {
    let answer = await service.post(
      "/v1/contexts/\(id)/sample",
      #"{"points": [7.5, 24, 25], "samples": 40, "seed": 3, "plan": "sequential"}"#)
    guard let means = try answer.json["series"]?.array?.first?["means"]?.array else {
      throw Unexpected(text: answer.text)
    }
    return means.compactMap { Double($0.text) }
  }

  @Test("The answer is that of the library, survives the process, and rows that stay keep their errors")
  func asTheLibrary() async throws {
    let folder = Folder()
    let data = try Dataset(
      x: Self.rows.map { [$0.x] }, y: Self.rows.map(\.y), errors: Self.rows.map(\.error))
    let expected = try Self.functions.get().condition(on: data).sample(
      40, at: Inputs([7.5, 24, 25]), seed: 3)
    let (id, found): (String, [Double])
    do {
      // One process has a folder at a time.
      let service = try Self.service(folder: folder.path)
      id = try await service.keep(Self.csv(Self.rows), query: "input=x&target=y&error=e")
      found = try await Self.means(service, id)
      #expect(found == expected.means)
      let plain = try await service.keep(Self.csv(Self.rows), query: "input=x&target=y")
      #expect(try await Self.means(service, plain) != found)
    }

    let again = try Self.service(folder: folder.path)
    #expect(try await Self.means(again, id) == found)
    let answer = await again.respond(
      ServiceRequest("DELETE", "/v1/contexts/\(id)/rows", query: "oldest=4")
    ).response
    #expect(answer.status == 200, "\(answer.text)")
    let fresh = try await again.keep(Self.csv(Self.rows.dropFirst(4)), query: "input=x&target=y&error=e")
    #expect(try await Self.means(again, id) == Self.means(again, fresh))
  }

  @Test("A table is read with them; rows to score that have some are refused")
  func table() async throws {
    let service = try Self.service()
    let id = try await service.keep(Self.csv(Self.rows), query: "model=tables&target=y&error=e")
    let plain = try await service.keep(Self.csv(Self.rows), query: "model=tables&target=y&input=x")
    func answer(_ id: String) async -> String {
      await service.post("/v1/contexts/\(id)/sample", #"{"points": [{"x": 7.5}], "samples": 9}"#).text
    }
    let (with, without) = (await answer(id), await answer(plain))
    #expect(with != without && with.contains("\"y\""), "\(with)")
    let scored = await service.post("/v1/contexts/\(id)/score", "x,y,e\n30,1,0.5\n", type: "text/csv")
    #expect(scored.status == 422 && scored.detail.contains("'e' is not 0"), "\(scored.text)")
    let exact = await service.post("/v1/contexts/\(id)/score", "x,y,e\n30,1,0\n", type: "text/csv")
    #expect(exact.status == 200, "\(exact.text)")
  }

  @Test func refuses() async throws {
    let service = try Self.service()
    for (query, words) in [
      ("model=tables&target=x,y&error=e", "'error' is of one target"),
      ("model=tables&target=y&error=z", "has no column 'z'"),
      ("input=x&target=y&error=none", "no column 'none'"),
    ] {
      let answer = await service.post("/v1/contexts", Self.csv(Self.rows), type: "text/csv", query: query)
      #expect(answer.status == 422 && answer.detail.contains(words), "\(query): \(answer.text)")
    }
    let id = try await service.keep(Self.csv(Self.rows), query: "input=x&target=y&error=e")
    let more = await service.post("/v1/contexts/\(id)/rows", "x,y\n30,1\n", type: "text/csv")
    #expect(more.status == 422 && more.detail.contains("condition on all rows anew"), "\(more.text)")
  }
}
