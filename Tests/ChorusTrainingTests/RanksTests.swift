import ChorusTensors
import Foundation
import Synchronization
import Testing

@testable import ChorusModels
@testable import ChorusTraining

/// The processes of a run as threads of a test.
private final class Ranks: @unchecked Sendable {
  struct Member: Exchange {
    let rank: Int
    let ranks: Int
    let all: Ranks

    func swap(_ outgoing: UnsafeRawBufferPointer, _ incoming: UnsafeMutableRawBufferPointer, with other: Int)
      throws
    {
      if !outgoing.isEmpty { all.put(Array(outgoing), from: rank, to: other) }
      if !incoming.isEmpty { incoming.copyBytes(from: try all.take(incoming.count, from: other, to: rank)) }
    }
  }

  private let count: Int
  private let condition = NSCondition()
  private var letters: [[Int]: [[UInt8]]] = [:]
  private var gone: Set<Int> = []

  init(_ count: Int) { self.count = count }

  private func put(_ bytes: [UInt8], from: Int, to: Int) {
    condition.lock()
    letters[[from, to], default: []].append(bytes)
    condition.broadcast()
    condition.unlock()
  }

  private func take(_ count: Int, from: Int, to: Int) throws -> [UInt8] {
    condition.lock()
    defer { condition.unlock() }
    let end = Date(timeIntervalSinceNow: 30)
    while letters[[from, to], default: []].isEmpty {
      guard !gone.contains(from), condition.wait(until: end) else {
        throw TrainingError.rank("rank \(from) does not answer")
      }
    }
    let bytes = letters[[from, to], default: []].removeFirst()
    guard bytes.count == count else {
      throw TrainingError.rank("rank \(from) sent \(bytes.count) bytes in place of \(count)")
    }
    return bytes
  }

  private func leave(_ rank: Int) {
    condition.lock()
    gone.insert(rank)
    condition.broadcast()
    condition.unlock()
  }

  /// What each rank comes to, in their order.
  static func run<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Member) throws -> Value
  ) -> [Result<Value, any Error>] {
    let all = Ranks(count)
    let results = Lock([Result<Value, any Error>?](repeating: nil, count: count))
    let group = DispatchGroup()
    for rank in 0..<count {
      group.enter()
      Thread {
        let result = Result { try body(Member(rank: rank, ranks: count, all: all)) }
        all.leave(rank)
        results.withLock { $0[rank] = result }
        group.leave()
      }.start()
    }
    group.wait()
    return results.withLock { $0.compactMap { $0 } }
  }
}

@Suite struct RanksTests {
  /// Sums of halves, as the tree has them.
  private static func tree(_ values: ArraySlice<Float>) -> Float {
    guard values.count > 1 else { return values.first ?? 0 }
    let middle = values.startIndex + values.count / 2
    return tree(values[..<middle]) + tree(values[middle...])
  }

  @Test(arguments: [1, 2, 4, 8])
  func sumsAlongTheTree(ranks: Int) throws {
    for size in [0, 1, 2, 7, 1000] {
      @Sendable func value(_ rank: Int, _ place: Int) -> Float {
        Float(sin(Double(rank * 1009 + place)) * pow(10, Double((rank + place) % 7)))
      }
      let expected = (0..<size).map { place in Self.tree((0..<ranks).map { value($0, place) }[...]) }
      let sums = Ranks.run(ranks) { member in
        let buffer = FloatBuffer((0..<size).map { value(member.rank, $0) })
        try member.sum(buffer)
        return buffer.array
      }
      for sum in sums { #expect(try sum.get() == expected) }
      if ranks == 8, size == 1000 {
        let chain = (0..<size).map { place in (0..<ranks).reduce(Float(0)) { $0 + value($1, place) } }
        #expect(chain != expected, "the order shows")
      }
    }
  }

  @Test(arguments: [1, 2, 8])
  func numbersAndTextsReachEveryRank(ranks: Int) throws {
    let found = Ranks.run(ranks) { member in
      (
        try member.gather([Double(member.rank), 7]), try member.share(member.rank == 0 ? "Bäume" : ""),
        try member.share("")
      )
    }
    for one in found {
      let (numbers, text, none) = try one.get()
      #expect(numbers == (0..<ranks).map { [Double($0), 7] })
      #expect(text == "Bäume" && none == "")
    }
  }

  private static func configuration(_ change: (inout TrainingConfiguration) -> Void = { _ in })
    -> TrainingConfiguration
  {
    tinyConfiguration {
      $0.leaves = 8
      $0.batch = 19
      $0.validationTasks = 7
      change(&$0)
    }
  }

  /// The state, losses and validation after some steps.
  private static func steps(
    _ configuration: TrainingConfiguration, base: Model? = nil, threads: Int = 1,
    with exchange: any Exchange = Alone()
  ) throws -> (state: [[UInt32]], losses: [LossSums], validation: LossSums) {
    let trainer = try Trainer(
      configuration, prior: LinePrior(), base: base, on: ThreadPool(threads: threads), with: exchange)
    let losses = try (0..<4).map { _ in try trainer.advance().loss }
    return (trainer.state, losses, try trainer.validate())
  }

  @Test func theNumberOfRanksDoesNotChangeABit() throws {
    let configuration = Self.configuration()
    let one = try Self.steps(configuration, threads: 2)
    for ranks in [2, 4, 8] {
      for found in Ranks.run(ranks, { try Self.steps(configuration, with: $0) }) {
        let found = try found.get()
        #expect(found.state == one.state)
        #expect(found.losses == one.losses)
        #expect(found.validation == one.validation)
      }
    }
    // Another number of leaves is another sum, and so is one after another.
    for leaves in [0, 2] {
      let other = try Self.steps(Self.configuration { $0.leaves = leaves })
      #expect(other.state != one.state)
      #expect(abs(other.validation.mean - one.validation.mean) < 1e-4)
    }
  }

  @Test func norOfAnAdapter() throws {
    let base = try Trainer(tinyConfiguration(), prior: LinePrior(), on: ThreadPool(threads: 1)).model(
      card: [:])
    let configuration = Self.configuration {
      $0.blueprint = base.blueprint
      $0.adapterRank = 2
      $0.leaves = 4
    }
    let one = try Self.steps(configuration, base: base)
    for found in Ranks.run(2, { try Self.steps(configuration, base: base, with: $0) }) {
      #expect(try found.get().state == one.state)
    }
  }

  /// Trains in a folder; rank `stopping` wants to stop at a step.
  private static func train(
    _ configuration: TrainingConfiguration, in folder: String, ranks: Int, resume: Bool = false,
    stopping: Int? = nil, at step: Int = .max
  ) -> [Result<Int, any Error>] {
    Ranks.run(ranks) { member in
      let pool = ThreadPool(threads: 1)
      let own = try TrainingConfiguration.shared(member.rank == 0 ? configuration : nil, over: member)
      let reached = Atomic<Int>(0)
      func stop() -> Bool {
        member.rank == stopping && reached.wrappingAdd(1, ordering: .relaxed).newValue > step
      }
      guard member.rank == 0 else {
        let trainer = try Trainer(own, prior: LinePrior(), on: pool, with: member)
        try trainer.follow(stop: stop)
        return trainer.step
      }
      let run = try Run(
        own, prior: LinePrior(), folder: folder, resume: resume, on: pool, with: member)
      try run.train(card: [:], stop: stop, report: { _ in })
      return run.trainer.step
    }
  }

  /// A run's checkpoint and model; its log but for times.
  private static func content(_ folder: String) throws -> [Data] {
    let checkpoints = try FileManager.default.contentsOfDirectory(atPath: folder + "/checkpoints").sorted()
    let paths = checkpoints.map { folder + "/checkpoints/" + $0 } + [folder + "/model.safetensors"]
    let lines = try String(contentsOfFile: folder + "/log.jsonl", encoding: .utf8).split(separator: "\n")
    let log = try lines.map { line in
      let entry = try JSONDecoder().decode(Run.Entry.self, from: Data(line.utf8))
      return "\(entry.step) \(entry.loss) \(entry.validation ?? 0) \(entry.gradientNorm)"
    }
    return try paths.map(bytes) + [Data(log.joined(separator: "\n").utf8)]
  }

  @Test func foldersAreTheSame() throws {
    let folder = try ScratchFolder()
    let configuration = Self.configuration()
    for (name, ranks) in [("one", 1), ("two", 2), ("four", 4)] {
      for step in Self.train(configuration, in: folder.path + "/" + name, ranks: ranks) {
        #expect(try step.get() == 12)
      }
    }
    let one = try Self.content(folder.path + "/one")
    #expect(one.count > 2, "checkpoints, the model and the log")
    #expect(try Self.content(folder.path + "/two") == one)
    #expect(try Self.content(folder.path + "/four") == one)
    // As an ordinary run with as many leaves.
    let run = try Run(
      configuration, prior: LinePrior(), folder: folder.path + "/own", resume: false,
      on: ThreadPool(threads: 2))
    try run.train(card: [:], stop: { false }, report: { _ in })
    #expect(try Self.content(folder.path + "/own") == one)
  }

  /// Whichever rank is asked to stop, all do after the same step, and another number of them goes on.
  @Test func aStoppedRunGoesOnWithOtherRanks() throws {
    let folder = try ScratchFolder()
    let configuration = Self.configuration()
    _ = Self.train(configuration, in: folder.path + "/one", ranks: 1)
    for step in Self.train(configuration, in: folder.path + "/broken", ranks: 4, stopping: 3, at: 5) {
      #expect(try step.get() == 5)
    }
    for step in Self.train(configuration, in: folder.path + "/broken", ranks: 2, resume: true) {
      #expect(try step.get() == 12)
    }
    // But for the log, whose losses are means since the run was last begun.
    let (broken, one) = (try Self.content(folder.path + "/broken"), try Self.content(folder.path + "/one"))
    #expect(broken.dropLast() == one.dropLast())
  }

  /// Where a task of one rank fails, all ranks end, and nobody waits.
  @Test func aRankThatFailsEndsTheRun() throws {
    let found = Ranks.run(4) { member in
      let trainer = try Trainer(
        Self.configuration { $0.batch = 8 }, prior: LinePrior(fails: member.rank == 2),
        on: ThreadPool(threads: 1), with: member)
      for _ in 0..<40 { _ = try trainer.advance() }
    }
    for (rank, result) in found.enumerated() {
      let words = try #require(throws: (any Error).self) { try result.get() }
      #expect("\(words)".contains(rank == 2 ? "no task this time" : "rank 2 has failed"), "\(words)")
    }
  }

  @Test func aRankThatIsGoneIsNamed() throws {
    let found = Ranks.run(2) { member in
      let trainer = try Trainer(
        Self.configuration(), prior: LinePrior(), on: ThreadPool(threads: 1), with: member)
      if member.rank == 0 { _ = try trainer.advance() }
    }
    #expect(throws: TrainingError.rank("rank 1 does not answer")) { try found[0].get() }
  }

  @Test func whatCannotBeSharedIsRefused() throws {
    for (ranks, leaves, word) in [(3, 8, "power of two"), (2, 0, "--leaves 8"), (4, 2, "--leaves 4")] {
      for result in Ranks.run(
        ranks,
        { member in
          _ = try Trainer(
            Self.configuration { $0.leaves = leaves }, prior: LinePrior(), on: ThreadPool(threads: 1),
            with: member)
        })
      {
        let error = try #require(throws: TrainingError.self) { try result.get() }
        #expect("\(error)".contains(word), "\(error)")
      }
    }
    for leaves in [-1, 3, 12, 8192] {
      #expect(throws: TrainingError.self) { try Self.configuration { $0.leaves = leaves }.validate() }
    }
  }
}
