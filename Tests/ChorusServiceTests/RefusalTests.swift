import Foundation
import Testing

@testable import ChorusService

@Suite struct RefusalTests {
  @Test func unknownPlacesAndMethods() async throws {
    let service = try makeService()
    #expect(await service.get("/nowhere").status == 404)
    #expect(await service.get("/v1/contexts/../../etc/passwd").status == 404)
    let wrong = await service.get("/v1/explain")
    #expect(wrong.status == 405 && wrong.header("allow") == "POST")
    #expect(wrong.header("content-type") == "application/problem+json")
  }

  @Test("What can not be answered is refused with words that name the field or the line")
  func wordsOfRefusals() async throws {
    let service = try makeService()
    let id = try await service.keep()
    let place = "/v1/contexts/\(id)/sample"
    let refusals: [(String, String, Int, String)] = [
      (place, "{", 400, "not JSON"), (place, "[1,2", 400, "not JSON"), (place, "7", 400, "no object"),
      (place, "{}", 422, "'at', 'points' or 'horizon'"), (place, #"{"at":"0..1"}"#, 422, "'at'"),
      (place, #"{"at":"0..1/0.1","plan":"best"}"#, 422, "best"),
      (place, #"{"at":"0..1/0.1","samples":0}"#, 422, "'samples'"),
      (place, #"{"at":"0..1/0.1","quantile":[1]}"#, 422, "no field 'quantile'"),
      (place, #"{"at":"0..1/0.1","horizon":3}"#, 422, "one of 'at', 'points' and 'horizon'"),
      (place, #"{"at":"0..1/0.1","given":["sum=3"]}"#, 422, "'given'"),
      (place, #"{"points":[{"z":1}]}"#, 422, "'x'"), (place, #"{"points":[["x"]]}"#, 422, "'points'"),
      (place, #"{"points":[{"x":"no"}]}"#, 422, "points.jsonl:1"),
      (place, #"{"at":"0..1/0.1","series":"a"}"#, 422, "'series'"),
      ("/v1/contexts", "", 422, "no rows"), ("/v1/contexts", #"{"rows":[]}"#, 422, "rows.jsonl"),
      ("/v1/contexts", #"{"rows":[{"x":1,"y":2}],"model":"../gp"}"#, 422, "no model"),
      ("/v1/contexts", #"{"rows":[{"x":1,"y":2}],"input":"x","target":"y"}"#, 422, "at least 2"),
      ("/v1/explain", #"{"context":5}"#, 422, "'targets'"),
    ]
    for (path, body, status, words) in refusals {
      let answer = await service.post(path, body)
      #expect(
        answer.status == status && answer.detail.contains(words), "\(body): \(answer.status) \(answer.detail)"
      )
      #expect(!answer.detail.contains("--"))
    }
    let cell = await service.post(
      "/v1/contexts", "x,y\n1,2\n2,abc\n", type: "text/csv", query: "input=x&target=y")
    #expect(cell.status == 422 && cell.detail.contains("body.csv:3:3"), "\(cell.detail)")
    #expect(await service.post("/v1/contexts", "x", type: "image/png").status == 415)
    #expect(await service.post(place, #"{"at":"0..1/1"}"#, accept: "image/png").status == 406)
    #expect(await service.post("/v1/contexts", "--", type: "multipart/form-data; boundary=x").status == 400)
  }

  @Test("What is too much is refused before it is done, and the words say how much there may be")
  func limitsOfWork() async throws {
    let service = try makeService {
      $0.requestFlops = 1e9
      $0.requestValues = 1_000
      $0.requestPoints = 100
      $0.bodyBytes = 2_000
    }
    let id = try await service.keep()
    let place = "/v1/contexts/\(id)/sample"
    let values = await service.post(place, #"{"at":"0..1/0.1","samples":1000}"#)
    #expect(values.status == 422 && values.detail.contains("may draw 1000"))
    #expect(await service.post(place, #"{"at":"0..1/0.001","samples":1}"#).status == 422)
    let flops = await service.post(place, #"{"at":"0..1/0.01","samples":9,"plan":"reencode"}"#)
    #expect(flops.status == 422, "\(flops.text)")
    let told = await service.post(
      "/v1/contexts/\(id)/explain", #"{"at":"0..0.9/0.01","samples":10,"plan":"reencode"}"#)
    #expect(try told.json["is_within_limits"] == .bool(false), "\(told.text)")
    #expect(throws: ServiceError.self) {
      try service.admit(ServiceRequest("POST", "/v1/contexts"), length: 2_001)
    }
  }

  @Test("Bodies that are being received have room, and no more")
  func limitsOfUploads() throws {
    let service = try makeService {
      $0.bodyBytes = 100
      $0.uploadBytes = 250
    }
    let request = ServiceRequest("POST", "/v1/contexts")
    let first = try service.admit(request, length: 100)
    // Nobody knows how long it will be.
    _ = try service.admit(request, length: nil)
    do {
      _ = try service.admit(request, length: 60)
      Issue.record("there is no room")
    } catch { #expect(error.status == 429 && error.retryAfter == 1) }
    service.finish(first)
    _ = try service.admit(request, length: 60)
  }

  @Test("While it goes down it says so")
  func drains() async throws {
    let service = try makeService()
    let id = try await service.keep()
    #expect(await service.get("/readyz").status == 200)
    service.drain()
    let answer = await service.post("/v1/contexts/\(id)/sample", #"{"at":"0..1/1"}"#)
    #expect(answer.status == 503 && answer.header("retry-after") != nil)
    #expect(await service.get("/readyz").status == 503)
    #expect(await service.get("/healthz").status == 200)
  }

  @Test("A cancelled request is not worked on")
  func cancels() async throws {
    let service = try makeService()
    let id = try await service.keep(wave(200))
    let start = ContinuousClock.now
    let work = Task {
      await service.post("/v1/contexts/\(id)/sample", #"{"at":"0..1/0.005","samples":800}"#)
    }
    try await Task.sleep(for: .milliseconds(50))
    work.cancel()
    #expect(await work.value.status == 503)
    #expect(ContinuousClock.now - start < .seconds(5))
    #expect(service.queue.load.running == 0)
  }

  @Test("What takes longer than its time is ended")
  func endsInTime() async throws {
    let service = try makeService()
    let id = try await service.keep(wave(200))
    let start = ContinuousClock.now
    let answer = await service.post(
      "/v1/contexts/\(id)/sample", #"{"at":"0..1/0.005","samples":800,"deadline":0.05}"#)
    #expect(answer.status == 504, "\(answer.text)")
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  @Test("Tenants do not see each other, and no key is no answer")
  func separatesTenants() async throws {
    let (one, two, other) = ("0123456789abcdef", "fedcba9876543210", "aaaaaaaaaaaaaaaa")
    let tenants = try Tenants(parsing: "# keys\none \(one)\n\ntwo \(two)\none \(other)\n", file: "keys")
    let service = try makeService(tenants: tenants)
    let id = try await service.keep(key: one)
    let (place, question) = ("/v1/contexts/\(id)/sample", #"{"at":"0..1/1","samples":1}"#)
    #expect(await service.post(place, question, key: one).status == 200)
    #expect(await service.post(place, question, key: other).status == 200)
    #expect(await service.post(place, question, key: two).status == 404)
    #expect(await service.post(place, question, key: "0123456789abcdeF").status == 401)
    let none = await service.post(place, question)
    #expect(none.status == 401 && none.header("www-authenticate") == "Bearer")
    #expect(
      try await service.get("/v1/contexts", ["authorization": "bearer \(two)"]).json.text
        == #"{"contexts":[]}"#)
    #expect(await service.get("/metrics").status == 401)
    #expect(await service.get("/healthz").status == 200)
    for text in ["", "one\n", "one short\n", "o/e 0123456789abcdef\n"] {
      #expect(throws: (any Error).self) { try Tenants(parsing: text, file: "keys") }
    }
  }

  @Test("Without keys a page from elsewhere is not heard")
  func refusesOtherOrigins() throws {
    let service = try makeService { $0.hosts = ["127.0.0.1", "localhost", "::1"] }
    func admits(_ headers: [String: String]) -> Bool {
      (try? service.admit(ServiceRequest("GET", "/v1/contexts", headers: headers), length: 0)) != nil
    }
    #expect(admits([:]))
    #expect(admits(["host": "localhost:8080"]))
    #expect(admits(["host": "[::1]:8080", "origin": "http://127.0.0.1:8080"]))
    #expect(!admits(["host": "example.org:8080"]))
    #expect(!admits(["host": "localhost:8080", "origin": "https://example.org"]))
    #expect(!admits(["host": "localhost:8080", "origin": "null"]))
  }

  @Test("Whatever bytes come as a body are answered, and never by 500", arguments: 0..<4)
  func takesAnyBytes(_ part: Int) async throws {
    let service = try makeService()
    let id = try await service.keep()
    var generator = SplitMix(state: UInt64(part))
    let seeds: [(String, String?, [UInt8])] = [
      (
        "/v1/contexts", "application/json",
        Array(#"{"rows":[{"x":1,"y":2},{"x":2,"y":1}],"target":"y"}"#.utf8)
      ),
      ("/v1/contexts", nil, Array("x,y\n1,2\n2,3\n".utf8)),
      ("/v1/contexts", "application/octet-stream", Npy.bytes([[1, 2], [3, 4]])),
      (
        "/v1/contexts/\(id)/sample", "application/json",
        Array(#"{"at":"0..1/1","samples":1,"given":["0>1"]}"#.utf8)
      ),
      (
        "/v1/contexts/\(id)/marginals", "application/json",
        Array(#"{"points":[{"x":1},2],"quantiles":[0.5]}"#.utf8)
      ),
      ("/v1/contexts/\(id)/score", "text/csv", Array("x,y\n0.5,1\n".utf8)),
      (
        "/v1/contexts/\(id)/rows", "multipart/form-data; boundary=B",
        Array("--B\r\nContent-Disposition: form-data; name=\"rows\"\r\n\r\nx,y\n1,2\r\n--B--".utf8)
      ),
    ]
    // `BodyFuzzTests` sends as many as it is told to.
    for _ in 0..<150 {
      var (path, type, body) = seeds[Int(generator.next() % UInt64(seeds.count))]
      for _ in 0...(generator.next() % 4) {
        let place = body.isEmpty ? 0 : Int(generator.next() % UInt64(body.count))
        switch generator.next() % 4 {
        case 0 where !body.isEmpty: body[place] = UInt8(truncatingIfNeeded: generator.next())
        case 1 where !body.isEmpty: body.remove(at: place)
        case 2: body.insert(UInt8(truncatingIfNeeded: generator.next()), at: place)
        default: body.insert(contentsOf: Array("-1e999[{\"".utf8), at: place)
        }
      }
      if generator.next() % 8 == 0 { (path, type) = (path, nil) }
      let answer = await service.post(path, body, type: type)
      #expect(answer.status < 500 || answer.status == 507, "\(path) \(body): \(answer.text)")
    }
  }
}

private struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
