import Foundation
import Testing

@testable import ChorusService

@Suite struct ContextTests {
  @Test("The same rows in any form give the same answer")
  func readsEveryForm() async throws {
    let service = try makeService()
    let rows = wave().split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
    let objects = rows.map { "{\"x\":\($0[0]),\"y\":\($0[1])}" }
    let multipart =
      "--B\r\nContent-Disposition: form-data; name=\"target\"\r\n\r\ny\r\n--B\r\nContent-Disposition: form-data;"
      + " name=\"rows\"; filename=\"a.csv\"\r\n\r\n\(wave())\r\n--B--\r\n"
    let forms: [(String?, String, String)] = [
      ("text/csv", wave(), ""), (nil, wave(), "target=y"), ("application/x-www-form-urlencoded", wave(), ""),
      ("application/jsonl", objects.joined(separator: "\n"), ""), (nil, objects.joined(separator: "\n"), ""),
      ("application/json", "[\(objects.joined(separator: ","))]", "target=y&input=x"),
      (
        "application/json",
        "{\"rows\":[\(objects.joined(separator: ","))],\"input\":\"x\",\"target\":[\"y\"]}", ""
      ),
      ("text/tab-separated-values", wave().replacingOccurrences(of: ",", with: "\t"), ""),
      ("multipart/form-data; boundary=B", multipart, ""),
    ]
    var answers: Set<String> = []
    for (type, body, query) in forms {
      let made = await service.post("/v1/contexts", body, type: type, query: query)
      #expect(made.status == 201, "\(type ?? "no type"): \(made.text)")
      let id = try #require(try made.json["id"]?.string)
      #expect(made.header("location") == "/v1/contexts/\(id)")
      let answer = await service.post(
        "/v1/contexts/\(id)/sample", #"{"at":"0..1/0.25","samples":5,"seed":3}"#)
      #expect(answer.status == 200, "\(answer.text)")
      answers.insert(answer.text)
    }
    #expect(answers.count == 1)
  }

  @Test func readsArrays() async throws {
    let service = try makeService()
    let rows = wave().split(separator: "\n").dropFirst().map {
      $0.split(separator: ",").compactMap { Double($0) }
    }
    let made = await service.post(
      "/v1/contexts", Npy.bytes(rows), type: "application/octet-stream", query: "input=0&target=1")
    #expect(made.status == 201, "\(made.text)")
    let id = try #require(try made.json["id"]?.string)
    let named = try await service.keep()
    let answers = [
      await service.post(
        "/v1/contexts/\(id)/sample", #"{"points":[{"0":0.1},{"0":0.2}],"samples":3}"#,
        accept: "application/x-npy"),
      await service.post(
        "/v1/contexts/\(named)/sample", #"{"points":[0.1,0.2],"samples":3}"#, accept: "application/x-npy"),
    ]
    #expect(answers.map(\.status) == [200, 200])
    #expect(answers[0].body == answers[1].body)
  }

  @Test("A context is listed, told of, and forgotten")
  func livesAndEnds() async throws {
    let service = try makeService()
    let id = try await service.keep(query: "name=waves&ttl=3600")
    let told = await service.get("/v1/contexts/\(id)")
    #expect(try told.json["rows"] == .number("24"))
    #expect(try told.json["name"]?.string == "waves")
    #expect(try told.json["expires"]?.string != nil)
    let list = await service.get("/v1/contexts")
    #expect(try list.json["contexts"]?.array?.count == 1)
    let gone = await service.respond(ServiceRequest("DELETE", "/v1/contexts/\(id)")).response
    #expect(gone.status == 204)
    #expect(await service.get("/v1/contexts/\(id)").status == 404)
    #expect(await service.post("/v1/contexts/\(id)/sample", #"{"at":"0..1/1"}"#).status == 404)
  }

  @Test("What is past its time is there no more, and is swept")
  func expires() async throws {
    let folder = Folder()
    let service = try makeService(folder: folder.path)
    let id = try await service.keep(query: "ttl=1")
    try await Task.sleep(for: .seconds(1.1))
    #expect(await service.get("/v1/contexts/\(id)").status == 404)
    #expect(service.store.sizes.contexts == 1)
    service.sweep()
    #expect(service.store.sizes.contexts == 0)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/\(id)"))
  }

  @Test("Rows that are added are read, and a context that changes has a version")
  func takesMoreRows() async throws {
    let service = try makeService()
    let id = try await service.keep()
    let before = await service.post("/v1/contexts/\(id)/marginals", #"{"at":"0..1/0.5"}"#)
    let added = await service.post("/v1/contexts/\(id)/rows", "x,y\n0.5,3\n0.6,3\n", type: "text/csv")
    #expect(added.status == 200, "\(added.text)")
    #expect(try added.json["rows"] == .number("26"))
    #expect(try added.json["version"] == .number("2"))
    let after = await service.post("/v1/contexts/\(id)/marginals", #"{"at":"0..1/0.5"}"#)
    #expect(before.text != after.text)
    #expect(await service.post("/v1/contexts/\(id)/rows", "a,b\n1,2\n", type: "text/csv").status == 422)
  }

  @Test("Contexts leave memory for their files and answer with the same bytes, also after a restart")
  func spillsAndSurvives() async throws {
    let folder = Folder()
    let question = #"{"at":"0..1/0.25","samples":4}"#
    var (ids, answers) = ([String](), [String]())
    do {
      let first = try makeService(folder: folder.path)
      let bytes = try await first.store.description(first.keep(), tenant: "").bytes
      // Room for two.
      let service = try makeService(folder: folder.path + "-small") {
        $0.memoryBytes = bytes * 5 / 2
      }
      for count in 24..<28 { ids.append(try await service.keep(wave(count))) }
      #expect(service.store.sizes.loaded == 2)
      for id in ids { answers.append(await service.post("/v1/contexts/\(id)/sample", question).text) }
      _ = await service.post("/v1/contexts/\(ids[0])/rows", "x,y\n0.5,3\n", type: "text/csv")
      answers[0] = await service.post("/v1/contexts/\(ids[0])/sample", question).text
      #expect(service.store.sizes.loaded == 2)
    }
    defer { try? FileManager.default.removeItem(atPath: folder.path + "-small") }
    // What a killed process leaves: a context without its description.
    let half = folder.path + "-small/" + String(repeating: "a", count: 32)
    try FileManager.default.createDirectory(atPath: half, withIntermediateDirectories: true)
    let again = try makeService(folder: folder.path + "-small")
    #expect(!FileManager.default.fileExists(atPath: half))
    for (id, answer) in zip(ids, answers) {
      #expect(await again.post("/v1/contexts/\(id)/sample", question).text == answer)
    }
    #expect(Set(answers).count == 4)
  }

  @Test("Without a folder what was used longest ago is forgotten")
  func forgets() async throws {
    let bytes = try await {
      let one = try makeService()
      return try await one.store.description(one.keep(), tenant: "").bytes
    }()
    let service = try makeService { $0.memoryBytes = bytes * 5 / 2 }
    let first = try await service.keep()
    let second = try await service.keep()
    _ = await service.post("/v1/contexts/\(first)/sample", #"{"at":"0..1/1","samples":1}"#)
    _ = try await service.keep()
    #expect(await service.get("/v1/contexts/\(first)").status == 200)
    #expect(await service.get("/v1/contexts/\(second)").status == 404)
    #expect(await service.post("/v1/contexts", wave(2_000), type: "text/csv").status == 507)
  }

  @Test("One folder has one process; a damaged file of a context is an error of that one")
  func guardsItsFolder() async throws {
    let folder = Folder()
    var service: Service? = try makeService(folder: folder.path)
    #expect(throws: (any Error).self) { try makeService(folder: folder.path) }
    let (damaged, whole) = (try await service?.keep() ?? "", try await service?.keep() ?? "")
    service = nil
    try Data("nothing".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(damaged)/1-0.safetensors"))
    let again = try makeService(folder: folder.path)
    let question = #"{"at":"0..1/1","samples":1}"#
    #expect(await again.post("/v1/contexts/\(damaged)/sample", question).status == 500)
    #expect(await again.post("/v1/contexts/\(whole)/sample", question).status == 200)
  }

  @Test("Series of a file are asked together or one at a time")
  func asksSeries() async throws {
    let service = try makeService()
    let rows = wave().split(separator: "\n").dropFirst()
    let csv =
      "shop,x,y\n" + rows.map { "a,\($0)\n" }.joined() + rows.map { "b,\($0)1\n" }.joined() + "c,1,1\n"
    let made = await service.post("/v1/contexts", csv, type: "text/csv", query: "group=shop&input=x&target=y")
    #expect(made.status == 201, "\(made.text)")
    #expect(try made.json["series"] == .number("2"))
    #expect(made.text.contains("1 of 3 series have too few rows"))
    let id = try #require(try made.json["id"]?.string)
    let all = await service.post("/v1/contexts/\(id)/marginals", #"{"at":"0..1/1"}"#, accept: "text/csv")
    #expect(all.text.split(separator: "\n").map { $0.prefix(2) } == ["sh", "a,", "a,", "b,", "b,"])
    let one = await service.post(
      "/v1/contexts/\(id)/marginals", #"{"at":"0..1/1","series":"b"}"#, accept: "text/csv")
    #expect(one.text.split(separator: "\n").dropFirst() == all.text.split(separator: "\n").suffix(2))
    let own = await service.post(
      "/v1/contexts/\(id)/marginals", "shop,x\nb,0\nb,1\n", type: "text/csv", accept: "text/csv")
    #expect(own.text.split(separator: "\n").dropFirst() == all.text.split(separator: "\n").suffix(2))
    let more = await service.post("/v1/contexts/\(id)/rows", "shop,x,y\nb,3,0.5\n", type: "text/csv")
    #expect(try more.json["rows"] == .number("49"), "\(more.text)")
    #expect(
      await service.post("/v1/contexts/\(id)/rows", "shop,x,y\nz,3,0.5\n", type: "text/csv").status == 422)
  }
}
