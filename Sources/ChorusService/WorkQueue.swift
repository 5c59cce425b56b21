import ChorusTensors
import Foundation

/// Where requests wait for their turn to compute: so many work at once, so many wait, more are refused.
///
/// Work runs inside the task that asks for it, on threads of the queue's own: a cancelled task stops its work, and the threads that
/// read requests never compute.
final class WorkQueue: Sendable {
  enum Refusal: Error, Equatable {
    /// Nothing is taken any more.
    case draining
    /// More waits already than there is room for; seconds after which there may be.
    case busy(seconds: Double)
  }

  private struct Waiter {
    let id: Int
    let cost: Double
    let turn: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var running = 0
    var runningCost = 0.0
    var waiting: [Waiter] = []
    var waitingCost = 0.0
    var isDraining = false
    var nextID = 0
    /// Cost worked off in a second by one worker, as it was of late.
    var rate: Double
  }

  let workers: Int
  private let most: Int
  private let executor: WorkExecutor
  private let state: Lock<State>

  /// - Parameters:
  ///   - waiting: the most that wait.
  ///   - rate: arithmetic in a second of one worker, until it is known.
  init(workers: Int, waiting: Int, rate: Double = 1e10) {
    self.workers = max(1, workers)
    most = waiting
    executor = WorkExecutor(threads: self.workers)
    state = Lock(State(rate: rate))
  }

  var load: (running: Int, waiting: Int, rate: Double) {
    state.withLock { ($0.running, $0.waiting.count, $0.rate) }
  }

  /// Takes nothing more; what was taken goes on.
  func drain() { state.withLock { $0.isDraining = true } }

  var isDraining: Bool { state.withLock { $0.isDraining } }

  /// Does work when its turn comes.
  ///
  /// - Parameters:
  ///   - cost: its arithmetic.
  ///   - seconds: until nobody wants it any more; refused where what waits takes longer.
  ///   - isTypical: whether how long it takes says how long others will.
  /// - Throws: `Refusal`, `CancellationError`, or what `body` throws.
  func run<Value: Sendable>(
    cost: Double, within seconds: Double, isTypical: Bool = true,
    _ body: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    try await enter(cost, seconds)
    defer { leave(cost) }
    try Task.checkCancellation()
    let start = ContinuousClock.now
    let value = try await withTaskExecutorPreference(executor) { try await Self.call(body) }
    let spent = ContinuousClock.now - start
    let time = Double(spent.components.seconds) + Double(spent.components.attoseconds) * 1e-18
    // What is too short to measure says little.
    if isTypical, cost > 1e6, time > 1e-4 { state.withLock { $0.rate += 0.1 * (cost / time - $0.rate) } }
    return value
  }

  /// A function that is isolated to nothing, so that it runs where its task prefers.
  @concurrent private static func call<Value: Sendable>(
    _ body: @Sendable () throws -> Value
  ) async throws -> Value { try body() }

  private func enter(_ cost: Double, _ seconds: Double) async throws {
    let id: Int? = try state.withLock { state in
      guard !state.isDraining else { throw Refusal.draining }
      if state.running < workers {
        state.running += 1
        state.runningCost += cost
        return nil
      }
      let before = (state.runningCost + state.waitingCost) / state.rate / Double(workers)
      guard state.waiting.count < most, before < seconds else { throw Refusal.busy(seconds: before) }
      state.nextID += 1
      return state.nextID
    }
    guard let id else { return }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { turn in
        // A worker may have become free, or the task been cancelled, since it was looked at.
        let now: Result<Void, any Error>? = state.withLock { state in
          if Task.isCancelled { return .failure(CancellationError()) }
          if state.running < workers {
            state.running += 1
            state.runningCost += cost
            return .success(())
          }
          state.waiting.append(Waiter(id: id, cost: cost, turn: turn))
          state.waitingCost += cost
          return nil
        }
        if let now { turn.resume(with: now) }
      }
    } onCancel: {
      let waiter: Waiter? = state.withLock { state in
        guard let place = state.waiting.firstIndex(where: { $0.id == id }) else { return nil }
        state.waitingCost -= state.waiting[place].cost
        return state.waiting.remove(at: place)
      }
      waiter?.turn.resume(throwing: CancellationError())
    }
  }

  private func leave(_ cost: Double) {
    let next: Waiter? = state.withLock { state in
      state.running -= 1
      state.runningCost -= cost
      guard !state.waiting.isEmpty else {
        state.waitingCost = 0
        return nil
      }
      let next = state.waiting.removeFirst()
      state.waitingCost -= next.cost
      state.running += 1
      state.runningCost += next.cost
      return next
    }
    next?.turn.resume()
  }
}

/// Threads that compute and do nothing else. Those that tasks have by themselves are few, and would leave none for the requests.
private final class WorkExecutor: TaskExecutor {
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    /// Each with the executor that it runs on, which lives as long.
    var jobs: [(job: UnownedJob, executor: WorkExecutor)] = []
    var isStopped = false

    /// The next job; nil at the end.
    func next() -> (job: UnownedJob, executor: WorkExecutor)? {
      condition.lock()
      defer { condition.unlock() }
      while jobs.isEmpty, !isStopped { condition.wait() }
      return jobs.isEmpty ? nil : jobs.removeFirst()
    }
  }

  private let shared = Shared()

  init(threads: Int) {
    for index in 0..<threads {
      let shared = shared
      let thread = Thread {
        while let (job, executor) = shared.next() {
          job.runSynchronously(on: executor.asUnownedTaskExecutor())
        }
      }
      thread.name = "chorus-work-\(index)"
      thread.stackSize = 8 << 20
      thread.start()
    }
  }

  deinit {
    shared.condition.lock()
    shared.isStopped = true
    shared.condition.broadcast()
    shared.condition.unlock()
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    shared.condition.lock()
    shared.jobs.append((job, self))
    shared.condition.signal()
    shared.condition.unlock()
  }
}
