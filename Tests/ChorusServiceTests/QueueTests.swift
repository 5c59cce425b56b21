import Foundation
import Synchronization
import Testing

@testable import ChorusService

@Suite struct QueueTests {
  private final class Sum: Sendable {
    let value = Atomic<Int>(0)
  }

  /// Work that goes on until it is told to end, or its task is cancelled.
  private final class Gate: Sendable {
    let isOpen = Atomic<Bool>(false)
    let begun = Atomic<Int>(0)
    let cancelled = Atomic<Int>(0)

    func pass() throws {
      begun.wrappingAdd(1, ordering: .relaxed)
      while !isOpen.load(ordering: .relaxed) {
        if Task.isCancelled {
          cancelled.wrappingAdd(1, ordering: .relaxed)
          throw CancellationError()
        }
        usleep(500)
      }
    }

    func isBegun(_ count: Int) async {
      while begun.load(ordering: .relaxed) < count { try? await Task.sleep(for: .milliseconds(1)) }
    }
  }

  private func waits(_ queue: WorkQueue, _ count: Int) async {
    while queue.load.waiting < count { try? await Task.sleep(for: .milliseconds(1)) }
  }

  @Test("As many work and wait as may; the next is told when to come again")
  func refusesWhatDoesNotFit() async throws {
    let queue = WorkQueue(workers: 1, waiting: 1, rate: 1e6)
    let gate = Gate()
    async let first: Void = queue.run(cost: 2e6, within: 60) { try gate.pass() }
    await gate.isBegun(1)
    async let second: Void = queue.run(cost: 1, within: 60) { try gate.pass() }
    await waits(queue, 1)
    await #expect(throws: WorkQueue.Refusal.busy(seconds: 2.000001)) {
      try await queue.run(cost: 1, within: 60) {}
    }
    gate.isOpen.store(true, ordering: .relaxed)
    try await first
    try await second
    try await queue.run(cost: 1, within: 60) {}
    #expect(queue.load.running == 0)
  }

  @Test("What would come too late is refused at once")
  func refusesWhatComesTooLate() async throws {
    let queue = WorkQueue(workers: 1, waiting: 10, rate: 1e6)
    let gate = Gate()
    async let first: Void = queue.run(cost: 5e6, within: 60) { try gate.pass() }
    await gate.isBegun(1)
    await #expect(throws: WorkQueue.Refusal.busy(seconds: 5)) { try await queue.run(cost: 1, within: 4) {} }
    gate.isOpen.store(true, ordering: .relaxed)
    try await first
  }

  @Test("A cancelled task stops its work, or leaves the queue")
  func cancels() async throws {
    let queue = WorkQueue(workers: 1, waiting: 10)
    let gate = Gate()
    let working = Task { try await queue.run(cost: 1, within: 60) { try gate.pass() } }
    await gate.isBegun(1)
    let waiting = Task { try await queue.run(cost: 1, within: 60) { try gate.pass() } }
    await waits(queue, 1)
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    #expect(queue.load.waiting == 0)
    working.cancel()
    await #expect(throws: CancellationError.self) { try await working.value }
    #expect(gate.cancelled.load(ordering: .relaxed) == 1)
    try await queue.run(cost: 1, within: 60) {}
  }

  @Test("While it drains what was taken is finished and nothing is taken")
  func drains() async throws {
    let queue = WorkQueue(workers: 1, waiting: 10)
    let gate = Gate()
    async let working: Void = queue.run(cost: 1, within: 60) { try gate.pass() }
    await gate.isBegun(1)
    async let waiting: Int = queue.run(cost: 1, within: 60) { 7 }
    await waits(queue, 1)
    queue.drain()
    await #expect(throws: WorkQueue.Refusal.draining) { try await queue.run(cost: 1, within: 60) {} }
    gate.isOpen.store(true, ordering: .relaxed)
    try await working
    #expect(try await waiting == 7)
  }

  @Test("Many at once are all done, each once")
  func doesAll() async throws {
    let queue = WorkQueue(workers: 3, waiting: 1_000)
    let sum = Sum()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...500 {
        group.addTask {
          try await queue.run(cost: 1, within: 60) { _ = sum.value.wrappingAdd(number, ordering: .relaxed) }
        }
      }
      try await group.waitForAll()
    }
    #expect(sum.value.load(ordering: .relaxed) == 500 * 501 / 2)
    #expect(queue.load.running == 0)
  }
}
