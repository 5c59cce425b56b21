import ChorusFiles
import Foundation
import Testing

@testable import ChorusService

@Suite struct AnswerTests {
  @Test("Every answer comes in its forms, with the same numbers")
  func answersInEveryForm() async throws {
    let service = try makeService()
    let id = try await service.keep()
    let question = #"{"at":"0..1/0.5","samples":6,"seed":2,"quantiles":[0.5]}"#
    func ask(_ what: String, _ accept: String, _ body: String = question) async -> ServiceResponse {
      await service.post("/v1/contexts/\(id)/\(what)", body, accept: accept)
    }
    let csv = await ask("marginals", "text/csv")
    #expect(csv.text.hasPrefix("x,q0.5,mean,outside,note\n0,"))
    let json = try await ask("marginals", "application/json").json
    let lines = await ask("marginals", "application/jsonl")
    let rows = try lines.text.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
    #expect(json["rows"]?.array == rows)
    #expect(csv.text.split(separator: "\n")[1].split(separator: ",")[2] == rows[0]["mean"]!.text)
    let array = await ask("marginals", "application/x-npy")
    #expect(array.body.count == 128 + 3 * 2 * 8)
    let sampling = #"{"at":"0..1/0.5","samples":6,"seed":2}"#
    let paths = await ask("sample", "text/csv", sampling)
    #expect(paths.text.split(separator: "\n").count == 1 + 18)
    let series = try #require(
      try await ask("sample", "application/json", sampling).json["series"]?.array?.first)
    #expect(series["paths"]?.array?.count == 6)
    #expect(series["points"]?["x"]?.text == "[0,0.5,1]")
    let first = paths.text.split(separator: "\n")[1].split(separator: ",").last.map(String.init)
    #expect(series["paths"]?.array?.first?.array?.first?.text == first)
    #expect(
      await ask("functionals", "application/x-npy", #"{"at":"0..1/1","functional":"sum"}"#).status == 406)
  }

  @Test func functionalsAreJointAndIndependent() async throws {
    let service = try makeService()
    let id = try await service.keep()
    let answer = await service.post(
      "/v1/contexts/\(id)/functionals", #"{"at":"0..1/0.5","functional":["sum","max"],"samples":20}"#,
      accept: "text/csv")
    let rows = answer.text.split(separator: "\n").map {
      $0.split(separator: ",").prefix(2).joined(separator: " ")
    }
    #expect(rows == ["functional draws", "sum joint", "sum independent", "max joint", "max independent"])
    #expect(await service.post("/v1/contexts/\(id)/functionals", #"{"at":"0..1/0.5"}"#).status == 422)
  }

  @Test("What is known changes the answer as it should")
  func takesConditions() async throws {
    let service = try makeService()
    let id = try await service.keep()
    func median(_ given: String) async throws -> [Double] {
      let answer = await service.post(
        "/v1/contexts/\(id)/marginals", #"{"at":"2.5..3/0.5","samples":50,"given":\#(given)}"#)
      #expect(answer.status == 200, "\(answer.text)")
      return try (answer.json["rows"]?.array ?? []).compactMap { Double($0["q0.5"]?.text ?? "") }
    }
    let (free, pinned, bounded) = (
      try await median("[]"), try await median(#"["2.5=1.5"]"#), try await median(#"["3>0.5"]"#)
    )
    #expect(abs(pinned[0] - 1.5) < 0.1 && abs(free[0] - 1.5) > 0.1)
    #expect(bounded[1] > 0.5)
  }

  @Test("A density is one of joint values, and rows that fit score better than rows that do not")
  func scoresRows() async throws {
    let service = try makeService()
    let id = try await service.keep()
    func score(_ rows: String) async throws -> (joint: Double, crps: Double) {
      let density = await service.post("/v1/contexts/\(id)/logdensity", rows, type: "text/csv")
      #expect(density.status == 200, "\(density.text)")
      let scored = await service.post("/v1/contexts/\(id)/score", rows, type: "text/csv")
      let row = try #require(try scored.json["rows"]?.array?.first)
      let joint = try #require(try density.json["rows"]?.array?.first?["log_density"])
      #expect(row["log_density"] == joint)
      return (try #require(Double(joint.text)), try #require(Double(row["crps"]?.text ?? "")))
    }
    let (x, y) = (0.123, sin(3 * 0.123) + 0.2 * 0.123)
    let near = try await score("x,y\n\(x),\(y)\n")
    let far = try await score("x,y\n\(x),\(y + 1)\n")
    #expect(near.joint > far.joint + 1)
    #expect(near.crps < far.crps)
  }

  @Test("What a question costs is told without asking it")
  func explains() async throws {
    let service = try makeService()
    let id = try await service.keep()
    func flop(_ body: String) async throws -> Double {
      let answer = await service.post("/v1/contexts/\(id)/explain", body)
      #expect(answer.status == 200, "\(answer.text)")
      #expect(try answer.json["is_within_limits"] == .bool(true))
      return try #require(Double(try answer.json["flop"]?.text ?? ""))
    }
    let (one, ten) = (
      try await flop(#"{"at":"0..1/0.1","samples":10}"#), try await flop(#"{"at":"0..1/0.1","samples":100}"#)
    )
    #expect(ten > 8 * one && ten < 10 * one)
    let plan = await service.post(
      "/v1/explain", #"{"context":100,"targets":20,"paths":4,"plan":"blocks(of:5)"}"#)
    #expect(try plan.json["plans"]?.array?.first?["calls"] == .number("4"), "\(plan.text)")
  }
}
