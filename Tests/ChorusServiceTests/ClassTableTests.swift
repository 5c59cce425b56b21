import ChorusFiles
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusService

/// Tables whose categories a network of classes is asked of, over HTTP.
@Suite struct ClassTableTests {
  private static func both() throws -> Model { try tables.get().with(ofCategories: classes.get()) }

  @Test("Where no model is named categories are asked of the network", arguments: ["kind", "price,kind"])
  func sameBytes(target: String) async throws {
    let service = try makeService(readsTables: true, classes: classes.get())
    let targets = target.split(separator: ",").map(String.init)
    let id = try await service.keep(TableTests.wood(), query: "target=\(target)&min=0")
    let context = try await service.get("/v1/contexts/\(id)").json
    #expect(context["model"]?.string == "tables" && context["classes"]?.string == "classes")
    let told = try TableTests.told(targets, 3, by: Self.both())
    #expect(await TableTests.csv(service, id, "marginals") == told.csv)
    #expect(await TableTests.csv(service, id, "sample") == told.paths)
    let cost = try await service.post(
      "/v1/contexts/\(id)/explain", #"{"points":[{"size":3.5}],"samples":4}"#
    ).json
    #expect(cost["plans"]?.array?.count == targets.count)
    // A model that is named is asked alone.
    let alone = try await service.keep(TableTests.wood(), query: "model=tables&target=\(target)&min=0")
    let pool = try TableTests.told(targets, 3)
    #expect(pool.csv != told.csv)
    #expect(await TableTests.csv(service, alone, "marginals") == pool.csv)
    #expect(try await service.get("/v1/contexts/\(alone)").json["classes"] == nil)
    if target == "kind" {
      let named = try await service.keep(TableTests.wood(), query: "model=classes&target=kind")
      #expect(await TableTests.csv(service, named, "marginals") == told.csv)
    }
  }

  @Test("Rows score together, and a number needs no network of classes")
  func scores() async throws {
    let service = try makeService(readsTables: true, classes: classes.get())
    let id = try await service.keep(TableTests.wood(), query: "target=kind")
    let rows = "kind,size,when\noak,4,2024-02-10\nash,5,2024-02-11\nelm,3,2024-02-12\n"
    let score = try await service.post(
      "/v1/contexts/\(id)/score", rows, type: "text/csv", query: "samples=20"
    ).json["rows"]?.array?.first
    let numbers = ["log_density", "log_loss"].compactMap { score?[$0]?.text }.compactMap { Double($0) }
    #expect(numbers.count == 2 && numbers.allSatisfy(\.isFinite))
    #expect(abs(numbers[1] + numbers[0] / 3) > 1e-7)
    let number = try await service.keep(TableTests.wood(), query: "target=price&as=kind=category")
    #expect(try await service.get("/v1/contexts/\(number)").json["classes"] == nil)
  }

  @Test("Without one served the estimators answer, and the context says so")
  func withoutOne() async throws {
    let service = try makeService(readsTables: true)
    let id = try await service.keep(TableTests.wood(), query: "target=kind")
    let notes = try await service.get("/v1/contexts/\(id)").json["notes"]?.text ?? ""
    #expect(notes.contains("'classes' is not at hand"), "\(notes)")
    #expect(await TableTests.csv(service, id, "marginals") == (try TableTests.told(["kind"], 3)).csv)
    let named = try await service.keep(TableTests.wood(), query: "target=kind&model=tables")
    #expect(try await service.get("/v1/contexts/\(named)").json["notes"]?.text.contains("at hand") == false)
  }

  @Test("A kept table comes back with its network, and without it is refused by name")
  func survives() async throws {
    let folder = Folder()
    let id: String
    do {
      let service = try makeService(folder: folder.path, readsTables: true, classes: classes.get())
      id = try await service.keep(TableTests.wood(0..<30), query: "target=kind&min=0")
      let more = TableTests.wood(30..<40)
      let added = await service.post("/v1/contexts/\(id)/rows", more, type: "text/csv")
      #expect(try added.json["version"] == .number("2"), "\(added.text)")
    }
    let told = try TableTests.told(["kind"], 3, by: Self.both())
    do {
      let again = try makeService(folder: folder.path, readsTables: true, classes: classes.get())
      #expect(await TableTests.csv(again, id, "sample") == told.paths)
    }
    do {
      let without = try makeService(folder: folder.path, readsTables: true)
      let refused = await TableTests.csv(without, id, "marginals")
      #expect(refused.contains("needs model 'classes', which is not served any more"), "\(refused)")
    }
    // Another network of the name.
    let network = try classes.get()
    let declared = try Declaration(network.blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 4)
    weights.pack()
    let other = Model(network: try declared.network(weights), source: "classes.safetensors")
    let stranger = try makeService(folder: folder.path, readsTables: true, classes: other)
    let refused = await TableTests.csv(stranger, id, "marginals")
    #expect(refused.contains("kept for model 'classes'") && refused.contains("another"), "\(refused)")
  }
}
