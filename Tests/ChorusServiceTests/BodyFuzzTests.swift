import Foundation
import Testing

@testable import ChorusService

/// Bodies that are nearly right, sent to every resource that reads one: none ends the process, fails inside, or is answered in a way that
/// the document does not have.
///
/// `CHORUS_BODIES` tells how many; a thousand without.
@Suite struct BodyFuzzTests {
  private struct Seed {
    let path: String
    let query: String
    let type: String
    let body: [UInt8]

    init(_ path: String, query: String = "", _ type: String, _ body: String) {
      (self.path, self.query, self.type, self.body) = (path, query, type, Array(body.utf8))
    }
  }

  private static func seeds(_ series: String, _ table: String) -> [Seed] {
    let (csv, json, lines) = ("text/csv", "application/json", "application/jsonl")
    let rows = (0..<12).reduce("x,y\n") { $0 + "\($1).5,\($1 * 7 % 5)\n" }
    let wood = (0..<12).reduce("kind,size,price\n") { $0 + "\(["ash", "elm"][$1 % 2]),\($1 % 5),\($1 % 7)\n" }
    let form =
      "--B\r\nContent-Disposition: form-data; name=\"target\"\r\n\r\ny\r\n--B\r\nContent-Disposition: form-data; "
      + "name=\"rows\"; filename=\"a.csv\"\r\n\r\n\(rows)\r\n--B--\r\n"
    let question =
      #"{"at":"3..5/0.5","samples":3,"seed":1,"plan":"buffered","given":["3>1"],"quantiles":[0.1,0.9]}"#
    let tensors = ["x", "y", "points"].map {
      #"{"name":"\#($0)","shape":[4],"datatype":"FP64","data":[1,2,3,5]}"#
    }.joined(separator: ",")
    let of = ["/v1/contexts/\(series)", "/v1/contexts/\(table)"]
    return [
      Seed("/v1/contexts", csv, rows), Seed("/v1/contexts", query: "group=kind&target=price", csv, wood),
      Seed("/v1/contexts", "multipart/form-data; boundary=B", form),
      Seed("/v1/contexts", lines, (0..<6).reduce("") { $0 + "{\"x\":\($1),\"y\":\($1 % 3)}\n" }),
      Seed("/v1/contexts", json, #"{"rows":[{"x":1,"y":2},{"x":2,"y":"2024-01-01"}],"ttl":5,"min":0}"#),
      Seed("/v1/contexts", query: "model=tables&target=price&as=size=skip", csv, wood),
      Seed(of[0] + "/sample", json, question), Seed(of[0] + "/marginals", csv, "x\n1\n2\n"),
      Seed(of[0] + "/functionals", json, #"{"at":"3..5/1","functional":["sum","argmax"],"samples":3}"#),
      Seed(of[0] + "/logdensity", csv, "x,y\n1,2\n2,2\n"), Seed(of[0] + "/rows", csv, "x,y\n1,2\n"),
      Seed(of[0] + "/score", query: "samples=3", csv, "x,y\n1,2\n"), Seed(of[0] + "/explain", json, question),
      Seed(of[1] + "/sample", query: "samples=2", csv, "size\n3\n5\n"),
      Seed(of[1] + "/marginals", json, #"{"points":[{"size":3},{"size":null}],"given":"1.price>1"}"#),
      Seed(of[1] + "/logdensity", csv, "kind,size,price\nash,3,2\n"),
      Seed("/v1/explain", json, #"{"context":9,"targets":3,"plan":"blocks(of: 2)"}"#),
      Seed("/v2/models/gp/infer", json, #"{"inputs":[\#(tensors)],"parameters":{"samples":2}}"#),
      Seed(
        "/v1/timeseries/forecast", json,
        #"{"model":"gp","options":{"horizon":2},"inputs":[{"name":"a","series":[1,2,null,4],"frequency":"D","start_timestamp":"2024-01-01"}]}"#
      ),
    ]
  }

  private static let words = [
    "", "nan", "1e999", "-1", String(repeating: "9", count: 400), "\0", "\"", "{", "[[[[", ",,,,",
    "\r\n--B--", "null",
    "9223372036854775808", "0..1e9/1e-9", "2024-02-30", "--", "%", "\u{1F3BC}", "sum>1e300", "1.kind=ash",
    "\u{FEFF}",
  ].map { Array($0.utf8) }

  private static func mutated(
    _ body: [UInt8], _ others: [Seed], _ next: (Int) -> Int
  ) -> [UInt8] {
    var body = body
    for _ in 0..<[1, 1, 2, 4, 8][next(5)] {
      let start = next(body.count + 1)
      let range = start..<min(body.count, start + [1, 2, 8, 40][next(4)])
      switch next(6) {
      case 0: body.removeSubrange(range)
      case 1:
        let again = Array(repeating: Array(body[range]), count: [1, 2, 50][next(3)])
        body.insert(contentsOf: again.joined(), at: start)
      case 2: body.replaceSubrange(range, with: words[next(words.count)])
      case 3: if start < body.count { body[start] ^= 1 << UInt8(next(8)) }
      case 4:
        let other = others[next(others.count)].body
        let from = next(other.count + 1)
        body.replaceSubrange(range, with: other[from..<min(other.count, from + [4, 30, 200][next(3)])])
      default: body.insert(UInt8(next(256)), at: start)
      }
    }
    return body
  }

  @Test("Bodies that are nearly right are answered as the document says")
  func bodies() async throws {
    let count = ProcessInfo.processInfo.environment["CHORUS_BODIES"].flatMap { Int($0) } ?? 1_000
    // What is read is of interest here, and not what is drawn.
    let service = try makeService(readsTables: true) {
      $0.requestFlops = 2e9
      $0.mostContexts = 50
    }
    let series = try await service.keep(wave(12), query: "ttl=1000000")
    let table = try await service.keep(TableTests.wood(0..<12), query: "model=tables&target=kind,price")
    let seeds = Self.seeds(series, table)
    let document = try await service.get("/openapi.json").json
    var (random, answered) = (UInt64(count), [Int: Int]())
    for number in 0..<count {
      func next(_ below: Int) -> Int {
        // Of Numerical Recipes; the high bits are the good ones.
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((random >> 33) % UInt64(below))
      }
      let seed = seeds[next(seeds.count)]
      let body = Self.mutated(seed.body, seeds, next)
      let type = next(10) > 0 ? seed.type : seeds[next(seeds.count)].type
      let answer = await service.post(seed.path, body, type: type, query: seed.query)
      answered[answer.status, default: 0] += 1
      let route = try Route.find("POST", seed.path).route
      let isTold = document["paths"]?[route.path]?["post"]?["responses"]?[String(answer.status)] != nil
      guard answer.status != 500, isTold, answer.status == 200 || (try? answer.json) != nil else {
        Issue.record(
          "\(number): \(answer.status) of \(route.name), \(type): \(String(decoding: body.prefix(300), as: UTF8.self))"
        )
        return
      }
      // What was made makes room.
      if answer.status == 201, let id = try answer.json["id"]?.string {
        _ = await service.respond(ServiceRequest("DELETE", "/v1/contexts/\(id)", headers: [:]))
      }
    }
    #expect(answered[200] ?? 0 > count / 50 && answered[422] ?? 0 > count / 20, "\(answered)")
    print("bodies: \(answered.sorted { $0.key < $1.key })")
  }
}
