import Chorus
import Foundation
import Testing

/// Straight lines seen with noise.
private struct Lines: Prior {
  let name = "lines"
  let dimensions = 1...1

  func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    let (level, slope) = (stream.normal(), stream.normal())
    let x = (0..<shape.rows).map { _ in stream.uniform(in: -2...2) }
    return PriorTask(
      shape: shape, x: x, y: x.map { level + slope * $0 + 0.1 * stream.normal() }, component: name)
  }
}

/// The examples in the comments of the central types, compiled and run.
@Suite struct ExampleTests {
  @Test func aModelAPosteriorAndItsPaths() throws {
    let model = try Model(named: "gp")
    print(model.blueprint.trainedContext, model.card["prior"] ?? "unknown")
    #expect(model.card["prior"] == "gp")
    let posterior = try model.condition(on: Dataset(x: [0, 1, 2, 4], y: [3.1, 2.9, 3.4, 4.0]))
    let days = try Inputs.grid(5...7, count: 3)
    let paths = try posterior.sample(1_000, at: days, seed: 7).paths
    let largest = paths.map { $0.max() ?? 0 }.sorted()
    let joint = try posterior.logDensity(of: [4.1, 4.2, 4.2], at: days).value
    #expect(paths.count == 1_000 && paths.allSatisfy { $0.count == 3 })
    #expect(joint.isFinite)
    // The largest of three is not below any one of them.
    let last = paths.map { $0[2] }.sorted()
    #expect(zip(largest, last).allSatisfy { $0 >= $1 })
  }

  @Test func plans() throws {
    let pairs = PlanTemplate.blocks(of: 2)
    let same = try PlanTemplate(parsing: pairs.description)
    let inOrder = PlanTemplate.sequential.ordered(.leftToRight)
    #expect(same == pairs && inOrder != .sequential)
  }

  @Test func aPlan() throws {
    let model = try Model(named: "gp")
    let plan = try PlanTemplate.blocks(of: 2).resolve(context: 4, targets: 6)
    let cost = try plan.cost(paths: 100)
    print(cost.calls, plan.exactness)
    let seen = plan.visibility.direct
    let work = cost.work(model.network.rates).total
    #expect(cost.calls == 3 && seen.map(\.count) == [0, 0, 2, 2, 4, 4] && work > 0)
  }

  @Test func observedRows() throws {
    let levels = try Dataset(x: [0, 1, 2.5], y: [3.1, 2.9, 3.4])
    #expect(levels.count == 3 && levels.x == [0, 1, 2.5])
  }

  /// What the comments show is what stands here: line by line, but for spaces and remarks.
  @Test(arguments: [
    "ChorusModels/Model", "ChorusInference/Posterior", "ChorusPlans/Plan", "ChorusPlans/PlanTemplate",
    "ChorusData/Dataset", "ChorusPriors/Prior", "ChorusMemories/MemorySpec",
  ]) func theCommentsShowTheseLines(file: String) throws {
    let tests = URL(filePath: #filePath)
    func bare(_ line: some StringProtocol) -> String {
      (line.components(separatedBy: "//").first ?? "").filter { !$0.isWhitespace }
    }
    func read(_ file: URL) throws -> [Substring] {
      try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    }
    let all = try read(tests).map(bare).joined()
    let root = tests.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    var (lines, isInside) = (0, false)
    for line in try read(root.appending(path: "Sources/\(file).swift")) where line.hasPrefix("/// ") {
      let text = line.dropFirst(4)
      if text.hasPrefix("```") { isInside = text == "```swift" }
      guard isInside, !text.hasPrefix("```") else { continue }
      lines += 1
      #expect(all.contains(bare(text)), "\(text)")
    }
    #expect(lines > 0)
  }

  @Test func memories() throws {
    let softmax = MemorySpec(weights: .similarity, function: .localConstant, readOut: .normalised)
    let ridge = MemorySpec(features: "elu", function: .linear, readOut: .leverage)
    #expect(softmax == .softmax)
    let json = try JSONEncoder().encode(ridge)
    #expect(try JSONDecoder().decode(MemorySpec.self, from: json) == ridge)
  }

  @Test func aPrior() throws {
    var stream = RandomStream(seed: 1, .tasks, 0)
    let task = try Lines().draw(TaskShape(context: 5, buffer: 2, targets: 3), from: &stream)
    var again = RandomStream(seed: 1, .tasks, 0)
    #expect(try Lines().draw(TaskShape(context: 5, buffer: 2, targets: 3), from: &again).y == task.y)
    #expect(task.x.count == 10)
  }
}
