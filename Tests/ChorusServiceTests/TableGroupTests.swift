import ChorusInference
import ChorusPlans
import ChorusQuestions
import ChorusTables
import Foundation
import Testing

@testable import ChorusService

/// Groups of tables over HTTP: the bytes of `chorus predict TABLE --group`, which asks by `TableJobs` and fits anew each time.
@Suite struct TableGroupTests {
  /// Planks of two shops, and some of none: `shop,kind,size,price`. Shop c has a single price.
  static func planks(_ rows: Range<Int> = 0..<48) -> String {
    rows.reduce("shop,kind,size,price\n") { text, row in
      let shop = row % 16 == 5 ? "" : row == 7 ? "c" : ["a", "b"][row % 2]
      let kind = ["ash", "elm", "oak"][row * 7 % 3]
      let size = 2 + Double(row * 13 % 17) / 4
      let price = size * (shop == "a" ? 3 : 2) + Double(row * 5 % 7) / 5
      return text + "\(shop),\(row % 11 == 3 ? "" : kind),\(size),\(row % 9 == 4 ? "" : "\(price)")\n"
    }
  }

  private static let new = "shop,kind,size\nb,ash,3.5\na,oak,4\nb,,5\nc,elm,6\n"
  private static let of = "target=price&model=tables&group=shop"

  /// What the command says: header and rows, and paths.
  private static func told(
    _ kept: String = planks(), at new: String = new, targets: [String] = ["price"],
    functional: String? = nil
  ) throws -> (csv: String, paths: String) {
    let jobs = try TableJobs(
      RowsSource(bytes: Array(kept.utf8), name: "planks").table(),
      at: RowsSource(bytes: Array(new.utf8), name: "new").table(), targets: targets, inputs: nil, as: [:],
      group: "shop")
    let asker = TableAsker(
      model: try tables.get(), template: .sequential, samples: 9, seed: 3, levels: [0.05, 0.5, 0.95],
      functionals: try FunctionalTable.functionals(functional), flopLimit: 1e13, limits: nil, whole: false,
      known: [])
    let answers = try asker.asked(jobs).map { try asker.answer($0, on: nil) }
    let first = answers[0].answer
    let names =
      functional == nil ? first.names(groupColumn: "shop") : first.functionalNames(groupColumn: "shop")
    var paths: [[Cell]] = []
    for (answer, _) in answers { answer.forEachPathRow { paths.append($0) } }
    func text(_ columns: [String], _ rows: [[Cell]]) throws -> String {
      let encoder = RowEncoder(columns: columns, format: .csv)
      return try rows.reduce(encoder.header) { try $0 + encoder.row($1) }
    }
    return (
      try text(names.header, answers.flatMap(\.rows)),
      try text(first.pathNames(groupColumn: "shop").header, paths)
    )
  }

  private static func csv(
    _ service: Service, _ id: String, _ what: String, _ rows: String = new, _ query: String = ""
  ) async -> String {
    await service.post(
      "/v1/contexts/\(id)/\(what)", rows, type: "text/csv", query: "samples=9&seed=3" + query,
      accept: "text/csv"
    ).text
  }

  @Test("A table for each group answers with the bytes of the command")
  func sameBytes() async throws {
    let service = try makeService(readsTables: true)
    let id = try await service.keep(Self.planks(), query: Self.of)
    let context = try await service.get("/v1/contexts/\(id)").json
    #expect(context["group"]?.string == "shop" && context["series"] == .number("3"))
    #expect(context["rows"] == .number("45") && context["sent"] == .number("48"))
    let notes = context["notes"]?.text ?? ""
    #expect(notes.contains("each 'shop' by itself") && notes.contains("3 rows have no value of 'shop'"))
    #expect(notes.contains("1 groups have too few values"))
    let told = try Self.told()
    #expect(told.csv.contains("not predicted") && told.csv.contains("\nb,1,"))
    #expect(await Self.csv(service, id, "marginals") == told.csv)
    #expect(await Self.csv(service, id, "sample") == told.paths)
    let sum = try Self.told(functional: "sum")
    #expect(await Self.csv(service, id, "functionals", Self.new, "&functional=sum") == sum.csv)
    // Rows that name no group are asked of every one.
    let shared = "kind,size\nash,4\n"
    #expect(await Self.csv(service, id, "marginals", shared) == (try Self.told(at: shared)).csv)
    let several = try await service.keep(
      Self.planks(), query: "target=kind,price&group=shop&model=tables")
    #expect(await Self.csv(service, several, "sample") == (try Self.told(targets: ["kind", "price"])).paths)
  }

  @Test("One group is asked by its name, and costs and answers say which they are of")
  func oneGroup() async throws {
    let service = try makeService(readsTables: true) { $0.requestPoints = 5 }
    let id = try await service.keep(Self.planks(), query: Self.of)
    let path = "/v1/contexts/\(id)"
    let question = #"{"points":[{"size":3.5,"kind":"ash"}],"samples":4,"series":"b"}"#
    let json = try await service.post(path + "/sample", question).json
    #expect(json["targets"]?.array?.map { $0["group"]?.string } == ["b"])
    let array = await service.post(path + "/sample", question, accept: "application/x-npy")
    #expect(array.status == 200 && array.body.count == 128 + 4 * 8)
    let all = await service.post(
      path + "/sample", #"{"points":[{"size":3.5}]}"#, accept: "application/x-npy")
    #expect(all.status == 406)
    let cost = try await service.post(path + "/explain", #"{"points":[{"size":3.5}]}"#).json
    #expect(cost["plans"]?.array?.map { $0["series"]?.string } == ["a", "b", "c"])
    for (question, words) in [
      (#"{"points":[{"size":3}],"series":"z"}"#, "no series 'z'"),
      (#"{"points":[{"size":3,"shop":"z"}]}"#, "group 'z' has no row"),
      (#"{"points":[{"size":3},{"size":4}]}"#, "name their group in 'shop'"),
    ] {
      let refused = await service.post(path + "/marginals", question)
      #expect(refused.status == 422 && refused.detail.contains(words), "\(question): \(refused.text)")
    }
    for (query, words) in [
      ("&group=kind&target=kind", "neither target nor input"), ("&group=colour&target=price", "colour"),
    ] {
      let made = await service.post(
        "/v1/contexts", Self.planks(), type: "text/csv", query: "model=tables" + query)
      #expect(made.status == 422 && made.detail.contains(words), "\(query): \(made.text)")
    }
  }

  @Test("Groups survive a restart, take rows, also of new groups, and forget the oldest of each")
  func changes() async throws {
    let folder = Folder()
    let text = Self.planks()
    let lines = text.split(separator: "\n").map(String.init)
    func rows(_ picked: some Sequence<Int>) -> String {
      ([lines[0]] + picked.map { lines[$0 + 1] }).joined(separator: "\n") + "\n"
    }
    var id = ""
    do {
      let service = try makeService(folder: folder.path, readsTables: true)
      // Shop c comes with the rows that are added.
      id = try await service.keep(rows(0..<7), query: Self.of)
      let added = await service.post("/v1/contexts/\(id)/rows", rows(7..<48), type: "text/csv")
      #expect(try added.json["series"] == .number("3"), "\(added.text)")
    }
    let again = try makeService(folder: folder.path, readsTables: true)
    #expect(await Self.csv(again, id, "sample") == (try Self.told()).paths)
    let names = lines.dropFirst().map { $0.prefix { $0 != "," } }
    func forget(_ query: String) async -> ServiceResponse {
      await again.respond(
        ServiceRequest("DELETE", "/v1/contexts/\(id)/rows", query: query, headers: [:], body: [])
      ).response
    }
    // The oldest four of shop a alone, then rows 41 to 48, of any shop and of none.
    let oldest = names.indices.filter { names[$0] == "a" }.prefix(4)
    #expect(await forget("oldest=4&series=a").status == 200)
    #expect(await forget("from=41&to=48").status == 200)
    let stays = (0..<40).filter { !oldest.contains($0) }
    #expect(await Self.csv(again, id, "sample") == (try Self.told(rows(stays))).paths)
    #expect(await forget("from=41").status == 422)
    #expect(await forget("oldest=1&series=z").status == 422)
    // Without its only row a group is no more.
    #expect(try await forget("oldest=1&series=c").json["series"] == .number("2"))
    #expect(await Self.csv(again, id, "sample").contains("group 'c' has no row"))
  }

  @Test("Each group's rows are scored by its own table")
  func scores() async throws {
    let service = try makeService(readsTables: true)
    let id = try await service.keep(Self.planks(), query: Self.of)
    func score(_ rows: String) async -> ServiceResponse {
      await service.post(
        "/v1/contexts/\(id)/logdensity", "shop,kind,size,price\n" + rows, type: "text/csv",
        accept: "text/csv")
    }
    let answer = await score("a,ash,4,12.5\nb,ash,4,8.5\nc,ash,4,9\na,oak,3,\n")
    let table = answer.text.split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    #expect(table.map { $0[0] } == ["shop", "a", "b", "c"], "\(answer.text)")
    #expect(table[3].last?.contains("too few rows") ?? false)
    // What is right in one shop is wrong in the other.
    let other = await score("a,ash,4,8.5\nb,ash,4,12.5\n").text.split(separator: "\n")
      .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    for (right, wrong) in [(1, 1), (2, 2)] {
      let (right, wrong) = (Double(table[right][3]) ?? .nan, Double(other[wrong][3]) ?? .nan)
      #expect(right > wrong + 3, "\(right) \(wrong)")
    }
    #expect(await score("z,ash,4,8\n").status == 422)
    let nameless = await service.post(
      "/v1/contexts/\(id)/score", "kind,size,price\nash,4,8\n", type: "text/csv")
    #expect(nameless.status == 422 && nameless.detail.contains("shop"), "\(nameless.text)")
  }
}
