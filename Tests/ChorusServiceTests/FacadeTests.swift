import ChorusFiles
import Foundation
import Testing

@testable import ChorusService

@Suite struct FacadeTests {
  private static let rows = wave().split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
  private static let tensors = """
    {"name":"x","shape":[24],"datatype":"FP64","data":[\(rows.map { String($0[0]) }.joined(separator: ","))]},
    {"name":"y","shape":[24],"datatype":"FP64","data":[\(rows.map { String($0[1]) }.joined(separator: ","))]},
    {"name":"points","shape":[3,1],"datatype":"FP64","data":[[0],[0.5],[1]]}
    """

  @Test("Tensors in, tensors out, with the numbers of a kept context")
  func infers() async throws {
    let service = try makeService()
    let answer = await service.post(
      "/v2/models/gp/infer",
      "{\"id\":\"a\",\"inputs\":[\(Self.tensors)],\"parameters\":{\"samples\":4,\"seed\":2,\"binary_data_output\":false}}"
    )
    #expect(answer.status == 200, "\(answer.text)")
    let outputs = try answer.json["outputs"]?.array ?? []
    #expect(outputs.map { $0["shape"]?.text } == ["[4,3]", "[3]", "[3,3]"])
    #expect(try answer.json["id"]?.string == "a")
    let id = try await service.keep()
    let kept = await service.post("/v1/contexts/\(id)/sample", #"{"points":[0,0.5,1],"samples":4,"seed":2}"#)
    let paths = try kept.json["series"]?.array?.first?["paths"]?.array ?? []
    #expect(outputs.first?["data"] == .array(paths.flatMap { $0.array ?? [] }))
    let one = await service.post(
      "/v2/models/gp/infer", "{\"inputs\":[\(Self.tensors)],\"outputs\":[{\"name\":\"mean\"}]}")
    #expect(try one.json["outputs"]?.array?.count == 1)
  }

  @Test("Tensors as bytes behind the JSON, as clients send them by default, say the same as in it")
  func readsBytes() async throws {
    let service = try makeService()
    let x = Self.rows.compactMap { Double($0[0]) }
    let y = Self.rows.compactMap { Double($0[1]) }
    func bytes<Number: FixedWidthInteger>(_ words: [Number]) -> [UInt8] {
      words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
    }
    func ask(
      _ x: [UInt8], _ points: [UInt8], _ type: String = "INT32", more: [UInt8] = [], length: Int? = nil
    ) async
      -> ServiceResponse
    {
      let tensors = [
        ("x", 24, "FP64", x.count), ("y", 24, "FP64", 24 * 8), ("points", 3, type, points.count),
      ].map {
        #"{"name":"\#($0.0)","shape":[\#($0.1)],"datatype":"\#($0.2)","parameters":{"binary_data_size":\#($0.3)}}"#
      }
      let json = Array(
        #"{"inputs":[\#(tensors.joined(separator: ","))],"parameters":{"samples":4,"binary_data_output":true}}"#
          .utf8)
      let body = json + x + bytes(y.map(\.bitPattern)) + points + more
      return await service.respond(
        ServiceRequest(
          "POST", "/v2/models/gp/infer",
          headers: ["inference-header-content-length": String(length ?? json.count)], body: body)
      ).response
    }
    let doubles = bytes(x.map(\.bitPattern))
    let answer = await ask(doubles, bytes([0, 1, -1] as [Int32]))
    let tensors = Self.tensors.replacingOccurrences(of: "[3,1]", with: "[3]")
      .replacingOccurrences(of: "[[0],[0.5],[1]]", with: "[0,1,-1]")
    let told = await service.post(
      "/v2/models/gp/infer", "{\"inputs\":[\(tensors)],\"parameters\":{\"samples\":4}}")
    #expect(answer.status == 200 && answer.text == told.text, "\(answer.text)")
    let floats = await ask(doubles, bytes([0, 1, -1].map { Float($0).bitPattern }), "FP32")
    #expect(floats.text == told.text)
    for (refused, words) in [
      (await ask(doubles, bytes([0, 1] as [Int32])), "no numbers in a shape"),
      (await ask(doubles, [1, 2, 3]), "are no numbers of type"),
      (await ask(doubles, bytes([0, 1, 2] as [Int32]), "BYTES"), "are no numbers of type"),
      (
        await ask(bytes(x.map { _ in Double.nan.bitPattern }), bytes([0, 1, 2] as [Int32])), "are no numbers"
      ),
      (await ask(doubles, bytes([0, 1, 2] as [Int32]), more: [0]), "of no tensor"),
    ] {
      #expect(refused.status == 422 && refused.text.contains(words), "\(refused.text)")
    }
    #expect(await ask(doubles, [], length: 1 << 40).status == 400)
    #expect(await ask(doubles, [], length: 3).status == 400)
  }

  @Test func refusesOtherTensors() async throws {
    let service = try makeService()
    for (body, status) in [
      (#"{"inputs":[]}"#, 422), ("[]", 400), ("{", 400),
      (#"{"inputs":[{"name":"x","shape":[2],"datatype":"FP64","data":[1]}]}"#, 422),
      (#"{"inputs":[{"name":"x","shape":[9223372036854775807,2],"datatype":"FP64","data":[1]}]}"#, 422),
      (#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["a"]}]}"#, 422),
      ("{\"inputs\":[\(Self.tensors)],\"parameters\":{\"sample\":3}}", 422),
    ] {
      let answer = await service.post("/v2/models/gp/infer", body)
      #expect(answer.status == status, "\(body): \(answer.text)")
      // As clients of the protocol look for it.
      #expect(
        try answer.json["error"]?.string?.isEmpty == false
          && answer.header("content-type") == "application/json")
    }
    #expect(await service.post("/v2/models/other/infer", "{}").status == 404)
    #expect(await service.get("/v2/models/gp/ready").status == 200)
    #expect(await service.get("/v2/models/gp").status == 200)
    #expect(await service.get("/v2").status == 200)
    #expect(await service.get("/v2/health/live").status == 200)
  }

  @Test("Series are foretold from their end on, by the calendar")
  func forecasts() async throws {
    let service = try makeService()
    let values = (0..<36).map { String(sin(Double($0) / 2)) }.joined(separator: ",")
    let answer = await service.post(
      "/v1/timeseries/forecast",
      """
      {"model":"gp","inputs":[{"type":"univariate_time_series","name":"a","series":[\(values)],"frequency":"M",
      "start_timestamp":"2020-01-01T00:00:00"},{"type":"univariate_time_series","name":"b","series":[1,null,2,3],
      "frequency":"day"}],"options":{"horizon":4,"quantiles":[0.1,0.9]}}
      """)
    #expect(answer.status == 200, "\(answer.text)")
    #expect(try answer.json["status"]?.string == "completed")
    let content = try answer.json["outputs"]?.array?.first?["content"]?.array ?? []
    #expect(content.map { $0["name"]?.string } == ["a", "b"])
    #expect(content.first?["start_timestamp"]?.string?.hasPrefix("2023-01-01") == true)
    #expect(content.last?["start_timestamp"]?.string?.hasPrefix("1970-01-05") == true)
    for series in content {
      #expect(series["mean_forecast"]?.array?.count == 4)
      #expect(series["quantiles"]?["0.1"]?.array?.count == 4)
    }
    for body in [
      #"{"model":"gp","inputs":[],"options":{"horizon":1}}"#,
      #"{"model":"gp","inputs":[{"name":"a","series":[1,2],"frequency":"fortnight"}],"options":{"horizon":1}}"#,
      #"{"model":"gp","inputs":[{"name":"a","series":[1,null],"frequency":"D"}],"options":{"horizon":1}}"#,
      #"{"model":"gp","inputs":[{"name":"a","series":[1,2],"frequency":"D"}],"options":{}}"#,
      #"{"model":"gp","inputs":[{"name":"a","series":[1,2],"frequency":"Y","start_timestamp":"9999-01-01"}],"options":{"horizon":9}}"#,
    ] {
      let refusal = await service.post("/v1/timeseries/forecast", body)
      #expect(refusal.status == 422, "\(refusal.text)")
      let error = try refusal.json["error"]
      #expect(error?["code"]?.string == "422" && error?["message"]?.string?.isEmpty == false)
    }
  }
}
