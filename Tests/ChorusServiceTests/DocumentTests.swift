import ChorusFiles
import Testing

@testable import ChorusService

@Suite struct DocumentTests {
  @Test("The page to draw on is at /, and the same each time")
  func page() async throws {
    let service = try makeService()
    let answer = await service.get("/")
    #expect(answer.status == 200 && answer.header("content-type") == "text/html; charset=utf-8")
    #expect(String(decoding: answer.body.prefix(15), as: UTF8.self) == "<!DOCTYPE html>")
    #expect(await service.get("/").body == answer.body)
  }

  @Test("The document has every route, and every reference in it is there")
  func describesItself() async throws {
    let document = try await makeService().get("/openapi.json").json
    #expect(document["openapi"]?.string == "3.1.0")
    var names: Set<String> = []
    for route in Route.all {
      let operation = try #require(document["paths"]?[route.path]?[route.method.lowercased()])
      #expect(names.insert(try #require(operation["operationId"]?.string)).inserted)
      #expect(operation["responses"]?[String(route.success)] != nil)
      let named = (operation["parameters"]?.array ?? []).compactMap { $0["name"]?.string }
      #expect(Set(named).count == named.count)
      for part in route.path.split(separator: "/") where part.hasPrefix("{") {
        #expect(named.contains(String(part.dropFirst().dropLast())))
      }
    }
    for reference in references(document) {
      let place = reference.split(separator: "/").dropFirst().reduce(JSON?.some(document)) {
        $0?[String($1)]
      }
      #expect(place != nil, "\(reference)")
    }
  }

  private func references(_ json: JSON) -> [String] {
    switch json {
    case .array(let values): values.flatMap(references)
    case .object(let members):
      members.flatMap { $0.key == "$ref" ? [$0.value.string ?? ""] : references($0.value) }
    default: []
    }
  }

  @Test("Counts and times are told as Prometheus reads them")
  func countsRequests() async throws {
    let service = try makeService()
    let id = try await service.keep()
    _ = await service.post("/v1/contexts/\(id)/sample", #"{"at":"0..1/1","samples":7}"#)
    _ = await service.post("/v1/contexts/\(id)/sample", "{")
    let text = await service.get("/metrics").text
    for line in [
      "chorus_paths_drawn_total 7", "chorus_contexts 1", "chorus_context_hits_total 1",
      #"chorus_requests_total{route="sample",status="200"} 1"#,
      #"chorus_requests_total{route="sample",status="400"} 1"#,
      #"chorus_request_seconds_bucket{route="sample",le="+Inf"} 2"#,
    ] {
      #expect(text.split(separator: "\n").contains { $0 == line }, "\(line)")
    }
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      #expect(line.wholeMatch(of: #/[a-z_]+(\{[^}]*\})? [-+0-9.e]+/#) != nil, "\(line)")
    }
  }
}
