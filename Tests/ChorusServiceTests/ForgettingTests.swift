import Foundation
import Testing

@testable import ChorusService

/// Rows that are forgotten leave nothing behind: the files of what stays have the bytes of a context that never had the others.
@Suite struct ForgettingTests {
  private static let days = (0..<30).map { day in
    "2024-01-\(day < 9 ? "0" : "")\(day + 1),\(day % 7 == 3 ? "" : "\(sin(Double(day)))"),\(2 * day % 9),\(day % 2 == 0 ? "a" : "b")"
  }
  private static let header = "day,level,flow,shop"

  private static func csv(_ rows: some Collection<String>) -> String {
    header + "\n" + rows.joined(separator: "\n") + "\n"
  }

  private static func files(_ folder: Folder, _ id: String, of version: Int, _ count: Int) throws -> [Data] {
    try (0..<count).map {
      try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(id)/\(version)-\($0).safetensors"))
    }
  }

  private static func delete(_ service: Service, _ id: String, _ query: String) async -> ServiceResponse {
    await service.respond(ServiceRequest("DELETE", "/v1/contexts/\(id)/rows", query: query)).response
  }

  @Test(
    "What stays is read as if it had come alone",
    arguments: [
      ("input=day&target=level,flow", "from=4&to=12", 2, Array(0..<3) + Array(12..<30)),
      ("input=day&target=level,flow&scale=raw&min=-1&max=9", "oldest=11", 2, Array(11..<30)),
      ("input=day&target=level&group=shop", "from=1&to=6", 2, Array(6..<30)),
      (
        "input=day&target=flow&group=shop&integer=true&min=0", "oldest=4&series=b", 2,
        [0, 2, 4, 6] + Array(8..<30)
      ),
      ("model=tables&target=level&input=day,flow,shop", "from=3&to=10", 1, Array(0..<2) + Array(10..<30)),
    ])
  func sameFiles(query: String, which: String, count: Int, rest: [Int]) async throws {
    let folder = Folder()
    var id = ""
    do {
      let service = try makeService(folder: folder.path, readsTables: true)
      id = try await service.keep(Self.csv(Self.days.prefix(20)), query: query)
      // Rows that came later have the numbers after these.
      let added = await service.post(
        "/v1/contexts/\(id)/rows", Self.csv(Self.days.dropFirst(20)), type: "text/csv")
      #expect(try added.json["sent"] == .number("30"), "\(added.text)")
    }
    // Rows to the bit outlive the process.
    let service = try makeService(folder: folder.path, readsTables: true)
    let answer = await Self.delete(service, id, which)
    #expect(answer.status == 200, "\(answer.text)")
    #expect(try answer.json["version"] == .number("3") && answer.json["sent"] == .number("30"))
    let fresh = try await service.keep(Self.csv(rest.map { Self.days[$0] }), query: query)
    let told = try await service.get("/v1/contexts/\(fresh)").json
    #expect(try answer.json["rows"] == told["rows"])
    let (kept, expected) = (
      try Self.files(folder, id, of: 3, count), try Self.files(folder, fresh, of: 1, count)
    )
    #expect(kept.count == count)
    if query.contains("series=") || which.contains("series=") {
      // Of series a nothing was forgotten, so that its added rows are not read anew.
      #expect(kept[1] == expected[1])
    } else {
      #expect(zip(kept, expected).allSatisfy { $0 == $1 })
    }
    // Numbers stay what they were.
    #expect(await Self.delete(service, id, which.contains("from") ? which : "from=2").status == 422)
    #expect(await Self.delete(service, id, "from=29&to=30").status == 200)
  }

  @Test func refuses() async throws {
    let service = try makeService()
    let id = try await service.keep(query: "input=x&target=y")
    for (query, words) in [
      ("", "say which rows"), ("oldest=2&from=1", "say which rows"), ("to=3", "say which rows"),
      ("from=3&to=2", "must not be above"), ("from=25", "no row that is kept"),
      ("oldest=23", "delete the context"),
      ("oldest=1&series=b", "no series 'b'"), ("oldest=0", "whole number"), ("newest=1", "no field 'newest'"),
    ] {
      let answer = await Self.delete(service, id, query)
      #expect(answer.status == 422 && answer.detail.contains(words), "\(query): \(answer.text)")
    }
    let none = String(repeating: "0", count: 32)
    #expect(await Self.delete(service, none, "oldest=1").status == 404)
    #expect(try await service.get("/v1/contexts/\(id)").json["version"] == .number("1"))
  }
}
