import ChorusData
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Rows added to a long context: what that loses against reading all rows. What it saves is in docs/performance.md.
@Suite("Rows observed later")
struct ObservingTests {
  /// A level that wanders, a season and noise.
  private static func series(_ count: Int, _ seed: UInt64) throws -> Dataset {
    var stream = RandomStream(seed: seed, .paths, 31)
    var level = 0.0
    let y = (0..<count).map { (t: Int) -> Double in
      level += 0.1 * stream.normal()
      let wave: Double = sin(2 * Double.pi * Double(t) / 24)
      return level + wave + 0.3 * stream.normal()
    }
    return try Dataset(x: (0..<count).map(Double.init), y: y)
  }

  /// Measured: 0.018, 0.019 and 0.045; the bounds keep that from growing.
  @Test("Rows more lose hundredths of a nat a value", arguments: [(1, 0.03), (4, 0.03), (8, 0.06)])
  func loss(rows: Int, most: Double) throws {
    let model = try Model(named: "functions")
    var lost: [Double] = []
    for seed in 1...8 {
      let all = try Self.series(1024 + 8, UInt64(seed))
      let context = all.rows(Array(0..<1024))
      let next = all.rows(Array(1024..<1032))
      let whole = try model.condition(on: context)
      let later = try model.condition(on: context.rows(Array(0..<1024 - rows)))
        .observing(more: context.rows(Array(1024 - rows..<1024)))
      func density(_ posterior: Posterior) throws -> Double {
        try posterior.logDensity(of: next.y, at: next.inputs, plan: .sequential, orders: 4, seed: 1).value
      }
      lost.append((try density(whole) - density(later)) / 8)
    }
    let mean = lost.reduce(0, +) / Double(lost.count)
    #expect(mean < most, "\(rows) rows more: \(mean), each \(lost)")
  }

  @Test("What joins a context one by one or together is kept and read back to the bit")
  func kept() throws {
    let model = try Model(named: "functions")
    let all = try Self.series(70, 3)
    var one = try model.condition(on: all.rows(Array(0..<50)))
    for row in 50..<70 { one = try one.observing(more: all.rows([row])) }
    let file = FileManager.default.temporaryDirectory.path + "/observing-\(UUID().uuidString).safetensors"
    defer { try? FileManager.default.removeItem(atPath: file) }
    try one.write(to: file)
    let read = try Posterior(contentsOf: file, model: model)
    let at = try Inputs([70, 71.5, 20.5])
    #expect(try read.sample(4, at: at, seed: 3).paths == one.sample(4, at: at, seed: 3).paths)
    #expect(try read.observed == one.observed)
  }
}
