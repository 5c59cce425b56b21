import ChorusData
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Series with more rows than are read: which are read, and that what else is asked does not change an answer.
@Suite("Series longer than the model reads")
struct LongSeriesTests {
  private static func series(_ count: Int) throws -> Dataset {
    var noise = RandomStream(seed: 3, .paths, UInt64(count))
    let x = (0..<count).map(Double.init)
    let y = x.map { (t: Double) -> Double in
      let wave: Double = sin(2 * Double.pi * t / 24)
      return wave + 0.1 * noise.normal()
    }
    return try Dataset(x: x, y: y)
  }

  private func values(_ posterior: Posterior, _ at: [Double]) throws -> [[Double]] {
    try posterior.sample(3, at: Inputs(at), plan: .independent, seed: 5).paths
  }

  @Test("After the last row the latest rows are read, whatever is asked")
  func forecasts() throws {
    let (model, data) = (try Model(named: "functions"), try Self.series(1300))
    let limit = Posterior.contextLimit(model.blueprint, dimensions: 1)
    #expect(limit < data.count)
    for asked in [[1300.0], [1300, 1301, 1302], [1310, 1300, 5000], [1299.5, 1400]] {
      let rows = try #require(Posterior.nearestRows(times: data.x, y: data.y, to: limit, asked))
      #expect(rows == Array(data.count - limit..<data.count), "\(asked)")
    }
    // Without targets, as a context is kept: the same.
    let latest = try Posterior(model, data)
    let one = try Posterior(model, data, asked: Inputs([1300]))
    let many = try Posterior(model, data, asked: Inputs([1300, 1320, 2000]))
    let alone = try values(one, [1300])
    #expect(try values(latest, [1300]) == alone)
    #expect(try values(many, [1300, 1320, 2000]).map { [$0[0]] } == alone)
    #expect(latest.notes.contains(.contextNearest(from: 1300, to: limit)))
  }

  @Test("Rows are chosen when a context is made, by the targets that are said then, and by no request")
  func declared() throws {
    let (model, data) = (try Model(named: "functions"), try Self.series(1300))
    let posterior = try Posterior(model, data, asked: Inputs([100.5, 700.5]))
    let alone = try values(posterior, [100.5])
    for others in [[700.5], [700.5, 1250.5], [2000]] {
      #expect(try values(posterior, [100.5] + others).map { [$0[0]] } == alone, "\(others)")
    }
    // Order and repetition of the targets say nothing.
    let again = try Posterior(model, data, asked: Inputs([700.5, 100.5, 100.5]))
    #expect(try values(again, [100.5]) == alone)
    // The rows around a gap are read, though they are not the latest.
    let limit = Posterior.contextLimit(model.blueprint, dimensions: 1)
    let rows = try #require(Posterior.nearestRows(times: data.x, y: data.y, to: limit, [100.5]))
    #expect(rows.first == 0 && rows.contains(100) && rows.contains(101) && rows.count == limit)
  }
}
