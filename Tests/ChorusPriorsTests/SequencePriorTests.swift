import ChorusPriors
import ChorusTensors
import Testing

@Suite("Recall of pairs")
struct RecallPriorTests {
  private static let shape = TaskShape(context: 8, targets: 56)

  @Test("What is asked was told", arguments: [RecallPrior.Fillers.zeros, .random])
  func told(fillers: RecallPrior.Fillers) throws {
    let prior = RecallPrior(fillers: fillers)
    var (right, asked) = (0, 0)
    for index in 0..<200 {
      let task = try TaskGenerator(prior, seed: 5).task(index, step: 0, shape: Self.shape)
      #expect(task.y.allSatisfy { (0..<Double(prior.vocabulary)).contains($0) && $0 == $0.rounded() })
      let pairs = Dictionary(
        uniqueKeysWithValues: (0..<4).map { (task.y[2 * $0], task.y[2 * $0 + 1]) })
      #expect(pairs.count == 4 && Set(pairs.values).count == 4)
      #expect(pairs.allSatisfy { $0.key >= 1 && $0.key < 32 && $0.value >= 32 })
      #expect(task.asked.count { $0 } == 4 && task.asked.count == 56)
      for (place, isAsked) in task.asked.enumerated() where isAsked {
        // The pair that was told, and nothing else, is what comes after the key.
        #expect(pairs[task.y[8 + place - 1]] == task.y[8 + place])
        // A reader that takes the newest value behind the key.
        let key = task.y[8 + place - 1]
        let last = (0..<8 + place - 1).last { task.y[$0] == key }
        right += last.map { task.y[$0 + 1] } == task.y[8 + place] ? 1 : 0
        asked += 1
      }
      if fillers == .zeros {
        #expect(task.y.filter { $0 == 0 }.count == 64 - 16)
        #expect(task.ceiling == 0)
      }
    }
    // Without fillers that are keys this reader is always right; with them nearly always.
    #expect(fillers == .zeros ? right == asked : right < asked && Double(right) > 0.7 * Double(asked))
  }

  @Test("Sizes into which no pairs fit are refused")
  func refusals() {
    for shape in [
      TaskShape(context: 7, targets: 56), TaskShape(context: 0, targets: 56),
      TaskShape(context: 8, targets: 7), TaskShape(context: 64, targets: 64),
      TaskShape(context: 8, buffer: 2, targets: 56), TaskShape(context: 8, targets: 56, dimensions: 2),
    ] {
      var stream = RandomStream(seed: 1)
      #expect(throws: PriorError.self) { try RecallPrior().draw(shape, from: &stream) }
    }
  }
}

@Suite("Windows of a text")
struct TextPriorTests {
  @Test("Training never sees the end that it is judged by")
  func split() throws {
    let text = (0..<1000).map { UInt8($0 % 251) }
    let (training, validation) = try TextPrior.split(text, window: 32)
    #expect(training.bytes + validation.bytes == text && validation.bytes.count == 100)
    var stream = RandomStream(seed: 3)
    for _ in 0..<50 {
      let task = try validation.draw(TaskShape(context: 0, targets: 32), from: &stream)
      let window = task.y.map { UInt8($0) }
      #expect(validation.bytes.firstRange(of: window) != nil)
    }
    // A window at the very end, and at the very beginning, is drawn.
    let short = try TextPrior([1, 2, 3], window: 2)
    let firsts = Set(
      try (0..<60).map { _ in try short.draw(TaskShape(context: 1, targets: 1), from: &stream).y[0] })
    #expect(firsts == [1, 2])
  }

  @Test("Texts that are empty or too short are refused with their sizes")
  func refusals() {
    let empty = #expect(throws: PriorError.self) { try TextPrior.split([], window: 8) }
    #expect(empty?.description.contains("empty") == true)
    let short = #expect(throws: PriorError.self) { try TextPrior.split([1, 2, 3], window: 8) }
    #expect(short?.description.contains("3 bytes") == true && short?.description.contains("8") == true)
    let uncut = #expect(throws: PriorError.self) {
      try TextPrior.split([UInt8](repeating: 7, count: 15), window: 8)
    }
    #expect(uncut?.description.contains("15 bytes") == true)
    #expect(throws: Never.self) { try TextPrior.split([UInt8](repeating: 7, count: 16), window: 8) }
  }
}
