import ChorusMemories
import ChorusTensors
import Foundation
import Testing

/// The examples of docs/memories/from-ridge-to-titans.md, compiled and run: lines between `// article` and `// end` are the
/// article's Swift blocks, one after another.
@Suite struct RidgeToTitansTests {
  @Test func theExamplesHold() throws {
    // article

    var stream = RandomStream(seed: 1)
    let (width, count) = (4, 64)
    let map = (0..<width).map { _ in stream.normals(width) }
    func apply(_ map: [[Double]], _ key: [Double]) -> [Double] {
      (0..<width).map { j in (0..<width).reduce(0) { $0 + key[$1] * map[$1][j] } }
    }
    func unit(_ x: [Double]) -> [Double] {
      let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return x.map { $0 / length }
    }
    let keys = (0..<count).map { _ in unit(stream.normals(width)) }
    let values = keys.map { apply(map, $0) }
    let query = unit(stream.normals(width))
    func error(_ read: [Double], _ wanted: [Double]) -> Double {
      let (off, all) = zip(read, wanted).reduce((0.0, 0.0)) { sums, pair in
        (sums.0 + (pair.0 - pair.1) * (pair.0 - pair.1), sums.1 + pair.1 * pair.1)
      }
      return off / all
    }

    // Solved exactly.
    let ridge = try MemoryTrial(
      MemorySpec(features: "unit", function: .linear), width: width, numbers: ["ridge": -20])
    let solved = ridge.read(keys: keys, values: values, at: [query])[0]
    let ridgeError = error(solved, apply(map, query))  // below 1e-4

    // One gradient step from zero.
    let linear = try MemoryTrial(
      MemorySpec(features: "unit", function: .linear, loss: .dot, optimiser: .gradient(steps: 1)),
      width: width)
    let summed = linear.read(keys: keys, values: values, at: [query])[0].map {
      $0 * Double(width) / Double(count)
    }
    let linearError = error(summed, apply(map, query))  // a few per cent: the keys are not orthogonal

    // Steps of conjugate gradients between the two.
    let stepwise = try (1...4).map { steps in
      try MemoryTrial(
        MemorySpec(features: "unit", function: .linear, optimiser: .conjugateGradient(steps: steps)),
        width: width, numbers: ["ridge": -20])
    }
    let stepErrors = stepwise.map {
      error($0.read(keys: keys, values: values, at: [query])[0], apply(map, query))
    }

    // The map changes in the middle.
    let other = (0..<width).map { _ in stream.normals(width) }
    let changed = keys.enumerated().map { apply($0.offset < count / 2 ? map : other, $0.element) }
    func last(_ memory: MemoryTrial) -> Double {
      let read = memory.read(keys: keys, values: changed, at: [query], limits: [count])[0]
      return error(read, apply(other, query))
    }
    let remembering = last(ridge)  // reads a mean of the two maps

    // Forgetting: the exact fit to rows that fade.
    let fading = try MemoryTrial(
      MemorySpec(weights: .scalarGate, features: "unit", function: .linear), width: width,
      numbers: ["keep": -3.0, "rate": 20, "ridge": -20])
    let forgetting = last(fading)

    // Correcting: a step a row on that row's error.
    let delta = try MemoryTrial(
      MemorySpec(weights: .learned, features: "unit", function: .linear, optimiser: .online), width: width,
      numbers: ["rate": 20])
    let correcting = last(delta)

    // The same rule: a chunk of one row on a linear map that nothing fades.
    let frozen = try MemoryTrial(
      MemorySpec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .frozen(chunk: 1)),
      width: width, numbers: ["keep": 20, "rate": 20])
    let alike = error(
      frozen.read(keys: keys, values: changed, at: [query], limits: [count])[0],
      delta.read(keys: keys, values: changed, at: [query], limits: [count])[0])

    // Gradients at the beginning of sixteen rows: another memory.
    let chunks = try MemoryTrial(
      MemorySpec(weights: .scalarGate, features: "unit", function: .linear, optimiser: .frozen(chunk: 16)),
      width: width, numbers: ["keep": 20, "rate": 0])
    let frozenError = last(chunks)

    // Titans: a network, momentum and decay; Moneta, Yaad and Memora change its loss and its retention.
    func titans(
      _ loss: MemorySpec.Loss, _ retention: MemorySpec.Retention = .quadratic, momentum: Bool = false
    ) -> MemorySpec {
      MemorySpec(
        weights: .scalarGate, features: "unit", function: .perceptron, loss: loss,
        optimiser: momentum ? .frozenMomentum(chunk: 16) : .frozen(chunk: 16), retention: retention)
    }
    let family = [
      titans(.squared, momentum: true), titans(.power(3), .norm(4)), titans(.huber),
      titans(.squared, .simplex),
    ].map { MemoryRegistry.name(of: LayerMemory($0)) ?? "" }  // titans, moneta, yaad, memora

    // A choice without a form is refused with the reason.
    let refusal: String
    do {
      _ = try MemoryTrial(MemorySpec(function: .linear, loss: .huber), width: width)
      refusal = ""
    } catch {
      refusal = error.description
    }
    // end
    #expect(ridgeError < 1e-4 && linearError > 10 * ridgeError && linearError < 0.5)
    #expect(stepErrors[3] < 1e-4 && stepErrors[0] > 1e-3)
    #expect(zip(stepErrors, stepErrors.dropFirst()).allSatisfy { $0 > $1 })
    #expect(remembering > 0.1 && forgetting < remembering / 2 && correcting < remembering / 5)
    #expect(alike < 1e-8 && frozenError.isFinite && frozenError > correcting)
    #expect(family == ["titans", "moneta", "yaad", "memora"])
    #expect(refusal.contains("frozen"))
  }

  /// The article shows the lines that were compiled above, and no others.
  @Test func theArticleShowsTheExamples() throws {
    let here = URL(fileURLWithPath: #filePath)
    let root = (0..<3).reduce(here) { url, _ in url.deletingLastPathComponent() }
    let page = try String(
      contentsOf: root.appendingPathComponent("docs/memories/from-ridge-to-titans.md"), encoding: .utf8)
    func own(_ text: String, from begin: String, to end: String) -> [String] {
      var (lines, inside): ([String], Bool) = ([], false)
      for line in text.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
        if line == end { inside = false }
        if inside, !line.isEmpty, !line.hasPrefix("import ") { lines.append(line) }
        if line == begin { inside = true }
      }
      return lines
    }
    let compiled = own(try String(contentsOf: here, encoding: .utf8), from: "// article", to: "// end")
    let shown = own(page, from: "```swift", to: "```")
    #expect(compiled.count > 40 && compiled == shown)
  }
}
