import Foundation
import Testing

@testable import ChorusService

/// Rows with a column for each series.
@Suite struct WideTests {
  private static let labels = ["shop_1", "shop_2", "shop_3"]

  private static func value(_ shop: Int, _ month: Int) -> Int { 10 * shop + month * 5 % 7 }

  private static func wide(_ months: Range<Int>, _ shops: [Int] = [0, 1, 2]) -> String {
    "t," + shops.map { labels[$0] }.joined(separator: ",") + "\n"
      + months.map { month in
        ([month] + shops.map { value($0, month) }).map(String.init).joined(separator: ",") + "\n"
      }.joined()
  }

  private static func long(_ months: Range<Int>, _ shops: [Int] = [0, 1, 2]) -> String {
    "t,series,value\n"
      + shops.flatMap { shop in months.map { "\($0),\(labels[shop]),\(value(shop, $0))\n" } }.joined()
  }

  private func asked(_ service: Service, _ id: String) async throws -> String {
    let answer = await service.post(
      "/v1/contexts/\(id)/marginals", #"{"at":"30..31/1","samples":9,"seed":2}"#, accept: "text/csv")
    #expect(answer.status == 200, "\(answer.text)")
    return answer.text
  }

  @Test("They are answered, added to and forgotten as rows of one column")
  func asRowsOfOneColumn() async throws {
    let service = try makeService()
    let long = try await service.keep(
      Self.long(0..<24), query: "input=t&target=value&group=series&model=gp")
    let found = try await service.keep(Self.wide(0..<24), query: "model=gp")
    let told = try await service.keep(Self.wide(0..<24), query: "model=gp&wide=true&input=t")
    let some = try await service.keep(
      Self.wide(0..<24), query: "model=gp&wide=true&input=t&target=shop_2,shop_3")
    let expected = try await asked(service, long)
    #expect(expected.split(separator: "\n").count == 7)
    for id in [found, told] { #expect(try await asked(service, id) == expected) }
    #expect(try await asked(service, some).split(separator: "\n").count == 5)
    // A series without new rows stays as it was.
    for (id, rows) in [(long, Self.long(24..<26, [2, 0])), (found, Self.wide(24..<26, [2, 0]))] {
      let added = await service.post("/v1/contexts/\(id)/rows", rows, type: "text/csv")
      #expect(added.status == 200, "\(added.text)")
    }
    let more = try await asked(service, long)
    #expect(try await asked(service, found) == more && more != expected)
    // Rows may name their series in a column, too.
    let named = await service.post("/v1/contexts/\(told)/rows", Self.long(24..<26, [2, 0]), type: "text/csv")
    #expect(named.status == 200, "\(named.text)")
    #expect(try await asked(service, told) == more)
    let other = await service.post("/v1/contexts/\(found)/rows", "t,shop_9\n30,1\n", type: "text/csv")
    #expect(other.status == 422 && other.detail.contains("shop_1"), "\(other.text)")
    let refused = await service.post(
      "/v1/contexts", Self.wide(0..<24), type: "text/csv", query: "model=gp&wide=false")
    #expect(refused.status == 422, "\(refused.text)")
  }
}
