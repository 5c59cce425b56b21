import Synchronization
import Testing

@testable import ChorusTensors

@Suite struct ThreadPoolTests {
  /// How often each index was called.
  private final class Tally: Sendable {
    let counts: Lock<[Int]>
    init(_ count: Int) { counts = Lock(Array(repeating: 0, count: count)) }
    func note(_ index: Int) { counts.withLock { $0[index] += 1 } }
    var all: [Int] { counts.withLock { $0 } }
  }

  @Test(arguments: [1, 2, 3, 8], [0, 1, 2, 3, 7, 8, 9, 100, 1000])
  func everyIndexIsCalledOnce(threads: Int, count: Int) {
    let pool = ThreadPool(threads: threads)
    #expect(pool.threads == threads)
    let tally = Tally(count)
    pool.run(count) { tally.note($0) }
    #expect(tally.all == Array(repeating: 1, count: count))
  }

  /// Also through another pool, and on the threads that help.
  @Test(.timeLimit(.minutes(1))) func aLoopInsideALoopIsRun() {
    let (pool, other) = (ThreadPool(threads: 3), ThreadPool(threads: 2))
    let tally = Tally(4 * 3 * 5)
    pool.run(4) { outer in
      other.run(3) { middle in
        pool.run(5) { inner in tally.note((outer * 3 + middle) * 5 + inner) }
      }
    }
    #expect(tally.all == Array(repeating: 1, count: 60))
    let sums = try? pool.map(6) { index, _ in
      try pool.map(7) { inner, _ in index * inner }.reduce(0, +)
    }
    #expect(sums == (0..<6).map { $0 * 21 })
  }

  @Test func numbersThatMakeNoSenseAreTakenAsTheLeastOnes() {
    let pool = ThreadPool(threads: 0)
    #expect(pool.threads == 1)
    ThreadPool(threads: 2).run(-3) { _ in Issue.record("there is nothing to call") }
    #expect(ThreadPool().threads >= 1)
  }

  @Test func resultsDoNotDependOnTheNumberOfThreads() {
    func sums(_ pool: ThreadPool) -> [Float] {
      let out = FloatBuffer(count: 257)
      pool.run(257) { item in
        var stream = RandomStream(seed: 3, UInt64(item))
        for _ in 0..<50 { out.pointer[item] += Float(stream.normal()) }
      }
      return out.array
    }
    let alone = sums(ThreadPool(threads: 1))
    for threads in [2, 3, 5] { #expect(sums(ThreadPool(threads: threads)) == alone) }
  }

  @Test func writesAreSeenByTheCaller() {
    let pool = ThreadPool(threads: 4)
    let out = FloatBuffer(count: 64)
    for round in 0..<500 {
      pool.run(64) { out.pointer[$0] = Float(round) }
      #expect(out.array.allSatisfy { $0 == Float(round) })
    }
  }

  @Test func manyShortJobsInARow() {
    let pool = ThreadPool(threads: 2)
    let calls = Counter()
    for _ in 0..<10_000 { pool.run(3) { _ in calls.value.wrappingAdd(1, ordering: .relaxed) } }
    #expect(calls.value.load(ordering: .relaxed) == 30_000)
  }

  private final class Counter: Sendable { let value = Atomic<Int>(0) }

  /// A loop of no or one item inside a loop runs where it stands.
  @Test func loopsOfAtMostOneItemMayBeNested() {
    let pool = ThreadPool(threads: 3)
    let tally = Tally(20)
    pool.run(20) { outer in
      pool.run(0) { _ in tally.note(outer) }
      pool.run(1) { _ in tally.note(outer) }
    }
    #expect(tally.all == Array(repeating: 1, count: 20))
  }

  @Test func callersFromSeveralTasksTakeTurns() async {
    let pool = ThreadPool(threads: 2)
    await withTaskGroup(of: Bool.self) { group in
      for caller in 0..<8 {
        group.addTask {
          var good = true
          for round in 0..<50 {
            let tally = Tally(17 + caller)
            pool.run(17 + caller) { tally.note($0) }
            good = good && tally.all.allSatisfy { $0 == 1 } && round < 50
          }
          return good
        }
      }
      for await good in group { #expect(good) }
    }
  }

  @Test func unevenItemsAreAllDone() {
    let pool = ThreadPool(threads: 3)
    let out = FloatBuffer(count: 40)
    pool.run(40) { item in
      var value: Float = 0
      // The first lane has nearly all of the work; the others must take it over or wait for it.
      for step in 0..<(item < 10 ? 20_000 : 10) { value += Float(step & 1) }
      out.pointer[item] = value
    }
    #expect(out.array == (0..<40).map { $0 < 10 ? 10_000 : 5 })
  }

  @Test func poolsComeAndGo() {
    for _ in 0..<100 {
      let pool = ThreadPool(threads: 2)
      let tally = Tally(4)
      pool.run(4) { tally.note($0) }
      #expect(tally.all == [1, 1, 1, 1])
    }
  }
}
