import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusTables
import Foundation
import Testing

@testable import ChorusService

/// Tables over HTTP: the bytes of `chorus predict`, which asks by a `TableAsker` as well and fits anew each time.
@Suite struct TableTests {
  /// Planks of three woods: `kind,size,when,price`, some cells empty.
  static func wood(_ rows: Range<Int> = 0..<40) -> String {
    rows.reduce("kind,size,when,price\n") { text, row in
      let kind = ["ash", "elm", "oak"][row * 7 % 3]
      let size = 2 + Double(row * 13 % 17) / 4
      let price = size * (kind == "oak" ? 3 : 2) + Double(row * 5 % 7) / 5
      let day = 1 + row % 28
      return text
        + "\(row % 11 == 3 ? "" : kind),\(size),2024-02-\(day < 10 ? "0" : "")\(day),\(row % 9 == 4 ? "" : "\(price)")\n"
    }
  }

  static let new = "size,when,kind\n3.5,2024-02-03,ash\n5,,\n,2024-02-20,oak\n"

  /// What the command says of a file and of rows that are asked for: header and rows.
  static func told(
    _ targets: [String], _ seed: UInt64, given: [String] = [], functional: String? = nil,
    by model: Model? = nil
  ) throws -> (csv: String, paths: String) {
    let job = try TableJob(
      RowsSource(bytes: Array(wood().utf8), name: "wood").table(),
      at: RowsSource(bytes: Array(new.utf8), name: "new").table(), targets: targets, inputs: nil)
    let asker = TableAsker(
      model: try model ?? tables.get(), template: .sequential, samples: 9, seed: seed,
      levels: [0.05, 0.5, 0.95],
      functionals: try FunctionalTable.functionals(functional), flopLimit: 1e13, limits: 0...Double.infinity,
      whole: false, known: try given.map(KnownStatement.init))
    let (answer, rows) = try asker.answer((nil, job), on: nil)
    let names = functional == nil ? answer.names(groupColumn: nil) : answer.functionalNames(groupColumn: nil)
    var paths: [[Cell]] = []
    answer.forEachPathRow { paths.append($0) }
    func text(_ columns: [String], _ rows: [[Cell]]) throws -> String {
      let encoder = RowEncoder(columns: columns, format: .csv)
      return try rows.reduce(encoder.header) { try $0 + encoder.row($1) }
    }
    return (try text(names.header, rows), try text(answer.pathNames(groupColumn: nil).header, paths))
  }

  static func csv(
    _ service: Service, _ id: String, _ what: String, _ query: String = ""
  ) async -> String {
    await service.post(
      "/v1/contexts/\(id)/\(what)", new, type: "text/csv", query: "samples=9&seed=3" + query,
      accept: "text/csv"
    ).text
  }

  @Test("A table answers with the bytes of the command", arguments: ["kind", "price", "kind,price"])
  func sameBytes(target: String) async throws {
    let service = try makeService(readsTables: true)
    let id = try await service.keep(Self.wood(), query: "model=tables&target=\(target)&min=0")
    let context = try await service.get("/v1/contexts/\(id)").json
    #expect(context["kind"]?.string == "table" && context["model"]?.string == "tables")
    #expect(context["rows"] == .number("40"))
    let told = try Self.told(target.split(separator: ",").map(String.init), 3)
    #expect(await Self.csv(service, id, "marginals") == told.csv)
    #expect(await Self.csv(service, id, "sample") == told.paths)
    // Estimators that were fitted before serve only where they would be fitted to the same rows.
    if target == "kind,price" {
      let pinned = try Self.told(["kind", "price"], 3, given: ["2.kind=elm", "3.price>12"])
      #expect(pinned.csv != told.csv)
      #expect(await Self.csv(service, id, "marginals", "&given=2.kind=elm,3.price%3E12") == pinned.csv)
    }
    if target == "price" {
      let sum = try Self.told(["price"], 3, functional: "sum")
      #expect(await Self.csv(service, id, "functionals", "&functional=sum") == sum.csv)
    }
  }

  @Test("Answers come as JSON and arrays too, with levels by their names")
  func forms() async throws {
    let service = try makeService(readsTables: true)
    let id = try await service.keep(Self.wood(), query: "target=kind,price")
    let question = #"{"points":[{"size":3.5},{"size":5,"kind":"elm"}],"samples":4}"#
    let json = try await service.post("/v1/contexts/\(id)/sample", question).json
    let targets = try #require(json["targets"]?.array)
    #expect(targets.map { $0["target"]?.string } == ["kind", "price"])
    #expect(targets.map { $0["rows"]?.text } == ["[1]", "[1,2]"])
    let kinds = targets[0]["paths"]?.array?.compactMap { $0.array?.first?.string } ?? []
    #expect(kinds.count == 4 && Set(kinds).isSubset(of: ["ash", "elm", "oak"]))
    let alone = try await service.keep(Self.wood(), query: "model=tables&target=price")
    let array = await service.post(
      "/v1/contexts/\(alone)/marginals", question, accept: "application/x-npy")
    #expect(array.body.count == 128 + 2 * 4 * 8)
    let several = await service.post("/v1/contexts/\(id)/sample", question, accept: "application/x-npy")
    #expect(several.status == 406)
    let cost = try await service.post("/v1/contexts/\(id)/explain", question).json
    #expect(cost["is_within_limits"] == .bool(true) && cost["plans"]?.array?.count == 1)
  }

  @Test("Rows that fit have more density and better scores than rows that do not")
  func scores() async throws {
    let service = try makeService(readsTables: true)
    let id = try await service.keep(Self.wood(), query: "target=kind,price")
    func score(_ what: String, _ rows: String) async throws -> [[String: JSON]] {
      let answer = await service.post(
        "/v1/contexts/\(id)/\(what)", rows, type: "text/csv", query: what == "score" ? "samples=20" : "")
      #expect(answer.status == 200, "\(answer.text)")
      return try (answer.json["rows"]?.array ?? []).map { row in
        guard case .object(let members) = row else { return [:] }
        return Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0.value) })
      }
    }
    func number(_ row: [String: JSON], _ name: String) -> Double { Double(row[name]?.text ?? "") ?? .nan }
    let header = "kind,size,when,price\n"
    let good = try await score("score", header + "oak,4,2024-02-10,12.4\nash,5,2024-02-11,10.5\n,3,,6\n")
    let bad = try await score("score", header + "oak,4,2024-02-10,2\nash,5,2024-02-11,30\n")
    #expect(
      good.map { $0["target"]?.string } == ["kind", "price"] && good.map { $0["rows"]?.text } == ["2", "2"])
    #expect(number(good[1], "log_density") > number(bad[1], "log_density") + 5)
    #expect(number(good[1], "crps") < number(bad[1], "crps"))
    #expect(abs(number(good[0], "log_loss") + number(good[0], "log_density") / 2) < 1e-9)
    let query = "/v1/contexts/\(id)/logdensity"
    let alone = await service.post(
      query, header + "oak,4,2024-02-10,12.4\nash,5,2024-02-11,10.5\n", type: "text/csv")
    let densities: [String?]? = try alone.json["rows"]?.array?.map { $0["log_density"]?.text }
    #expect(densities?.count == 2)
    #expect(zip(densities ?? [], good).allSatisfy { $0 == $1["log_density"]?.text })
    // A level that no row has is unlikely, not impossible.
    let strange = try await score("logdensity", header + "yew,4,2024-02-10,12.4\n")
    #expect(number(strange[0], "log_density") < -1 && number(strange[0], "log_density").isFinite)
    #expect(await service.post(query, header + ",4,2024-02-10,12.4\n", type: "text/csv").status == 422)
  }

  @Test("Tables leave memory for their files, survive a restart, and take more rows")
  func survives() async throws {
    let folder = Folder()
    var (ids, answers) = ([String](), [String]())
    do {
      let first = try makeService(readsTables: true)
      let bytes = try await first.store.description(
        first.keep(Self.wood(), query: "model=tables&target=kind"), tenant: ""
      ).bytes
      let service = try makeService(folder: folder.path, readsTables: true) { $0.memoryBytes = bytes * 5 / 4 }
      for target in ["price", "kind"] {
        ids.append(try await service.keep(Self.wood(0..<30), query: "model=tables&target=\(target)&min=0"))
      }
      let header = Self.wood(0..<0)
      for id in ids {
        let more = Self.wood(30..<40)
        let added = await service.post("/v1/contexts/\(id)/rows", more, type: "text/csv")
        #expect(try added.json["rows"] == .number("40"), "\(added.text)")
        #expect(try added.json["version"] == .number("2"))
        #expect(await service.post("/v1/contexts/\(id)/rows", header, type: "text/csv").status == 422)
        answers.append(await Self.csv(service, id, "sample"))
      }
      #expect(service.store.sizes.loaded == 1)
    }
    #expect(answers == [try Self.told(["price"], 3).paths, try Self.told(["kind"], 3).paths])
    let again = try makeService(folder: folder.path, readsTables: true)
    for (id, answer) in zip(ids, answers) { #expect(await Self.csv(again, id, "sample") == answer) }
  }

  @Test("What is of series is refused of tables, and the other way round")
  func refuses() async throws {
    let service = try makeService(readsTables: true)
    let id = try await service.keep(Self.wood(), query: "model=tables&target=price")
    for (question, words) in [
      (#"{"at":"0..1/1"}"#, "'at' is of series"), (#"{"horizon":3}"#, "'horizon' is of series"),
      (#"{"points":[{"size":1}],"series":"a"}"#, "has no groups"), ("{}", "nothing to predict"),
      (#"{"points":[{"size":1,"price":3}]}"#, "nothing to predict"),
      (#"{"points":[3]}"#, "write each point as an object"),
      (#"{"points":[{"size":1}],"functional":"range_of"}"#, "'functional'"),
      (#"{"points":[{"size":1}],"given":"7.price>3"}"#, "no row 7"),
    ] {
      let answer = await service.post("/v1/contexts/\(id)/marginals", question)
      let refused =
        question.contains("functional")
        ? await service.post("/v1/contexts/\(id)/functionals", question) : answer
      #expect(refused.status == 422 && refused.detail.contains(words), "\(question): \(refused.text)")
    }
    for (query, words) in [
      ("model=tables", "name the column to predict"), ("model=tables&target=price&units=size=m", "'units'"),
      ("model=tables&target=price&scale=log", "'scale' is of series"),
      ("target=price&as=kind", "is not like column="),
      ("target=price&model=gp&input=size&as=kind=skip", "'as' is of a table"),
      ("target=nothing&model=tables", "no column 'nothing'"),
    ] {
      let made = await service.post("/v1/contexts", Self.wood(), type: "text/csv", query: query)
      #expect(made.status == 422 && made.detail.contains(words), "\(query): \(made.text)")
    }
    let tensor = #"{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1]}]}"#
    #expect(await service.post("/v2/models/tables/infer", tensor).text.contains("reads tables"))
    #expect(await service.get("/v1/timeseries/models").text == "[\"gp\"]\n")
    // Named as one, two columns of numbers are a table as well.
    let small = try await service.keep(wave(), query: "model=tables&target=y")
    #expect(try await service.get("/v1/contexts/\(small)").json["kind"]?.string == "table")
    let series = try await service.keep(wave(), query: "target=y")
    #expect(try await service.get("/v1/contexts/\(series)").json["kind"]?.string == "series")
  }
}
