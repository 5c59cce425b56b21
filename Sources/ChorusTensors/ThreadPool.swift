import Foundation
import Synchronization

/// A small pool that runs the items of a loop on a fixed number of threads.
///
/// Item `i` is offered to the same thread every time (its rows are then still in that core's cache), and a
/// thread that has finished its own items takes others'. The caller can do every item itself and waits only for
/// workers that have begun one, so a busy neighbour on the machine costs no more than its share. Which thread
/// runs an item never changes a result: items write disjoint memory.
public final class ThreadPool: @unchecked Sendable {
  /// Threads that work on a loop, the caller's included.
  public let threads: Int

  private final class Lane: Sendable {
    let next: Atomic<Int>
    let end: Int
    init(_ range: Range<Int>) {
      next = Atomic(range.lowerBound)
      end = range.upperBound
    }
  }

  private final class Job: Sendable {
    let lanes: [Lane]
    let count: Int
    let done = Atomic<Int>(0)
    let body: @Sendable (Int) -> Void
    /// The pools that are busy until this job is done: its own, and those of the jobs it was started from.
    let busy: [ObjectIdentifier]

    init(count: Int, threads: Int, busy: [ObjectIdentifier], body: @escaping @Sendable (Int) -> Void) {
      self.count = count
      self.busy = busy
      self.body = body
      lanes = (0..<threads).map { Lane(count * $0 / threads..<count * ($0 + 1) / threads) }
    }

    /// The job that the calling thread works on.
    static var current: Job? {
      pthread_getspecific(key).map { Unmanaged<Job>.fromOpaque($0).takeUnretainedValue() }
    }

    private static let key = {
      var key = pthread_key_t()
      pthread_key_create(&key, nil)
      return key
    }()

    /// Works off the lane of `thread`, then those after it.
    func work(as thread: Int) {
      let before = pthread_getspecific(Job.key)
      pthread_setspecific(Job.key, Unmanaged.passUnretained(self).toOpaque())
      defer { pthread_setspecific(Job.key, before) }
      for offset in 0..<lanes.count {
        let lane = lanes[(thread + offset) % lanes.count]
        while lane.next.load(ordering: .relaxed) < lane.end {
          let item = lane.next.wrappingAdd(1, ordering: .relaxed).oldValue
          guard item < lane.end else { break }
          body(item)
          done.wrappingAdd(1, ordering: .acquiringAndReleasing)
        }
      }
    }
  }

  private final class Shared: @unchecked Sendable {
    let epoch = Atomic<Int>(0)
    let condition = WaitCondition()
    var job: Job?
    var stopped = false
    var sleeping = 0
  }

  private let shared = Shared()
  private let running = Lock(())
  private static let spins = 4_000

  /// - Parameter threads: at least 1; nil takes the number of active processors.
  public init(threads: Int? = nil) {
    self.threads = max(1, threads ?? Machine.processors)
    for index in 1..<max(self.threads, 1) where index < self.threads {
      let shared = shared
      // Where the system has no more threads to give, the others do the work.
      WorkerThread.start { Self.serve(shared, as: index) }
    }
  }

  deinit {
    shared.condition.lock()
    shared.stopped = true
    shared.epoch.wrappingAdd(1, ordering: .releasing)
    shared.condition.broadcast()
    shared.condition.unlock()
  }

  private static func serve(_ shared: Shared, as index: Int) {
    var seen = 0
    while true {
      var spin = 0
      while shared.epoch.load(ordering: .acquiring) == seen && spin < spins { spin += 1 }
      shared.condition.lock()
      while shared.epoch.load(ordering: .acquiring) == seen {
        shared.sleeping += 1
        shared.condition.wait()
        shared.sleeping -= 1
      }
      seen = shared.epoch.load(ordering: .acquiring)
      let job = shared.job
      let stopped = shared.stopped
      shared.condition.unlock()
      if stopped { return }
      job?.work(as: index)
    }
  }

  /// Calls `body` once for every index in `0..<count` and returns when all calls have returned.
  ///
  /// Calls from several threads run one after another. A call from inside `body` does all its items on the thread that
  /// makes it, because the others are busy with the loop around it.
  public func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let busy = Job.current?.busy ?? []
    let own = ObjectIdentifier(self)
    guard count > 1, threads > 1, !busy.contains(own) else {
      for index in 0..<max(count, 0) { body(index) }
      return
    }
    running.withLock { _ in
      let job = Job(count: count, threads: threads, busy: busy + [own], body: body)
      shared.condition.lock()
      shared.job = job
      shared.epoch.wrappingAdd(1, ordering: .releasing)
      if shared.sleeping > 0 { shared.condition.broadcast() }
      shared.condition.unlock()
      job.work(as: 0)
      while job.done.load(ordering: .acquiring) < count { sched_yield() }
      shared.condition.lock()
      shared.job = nil
      shared.condition.unlock()
    }
  }

  /// What each item gives, in the order of the items. All items run; where some fail, the first of them in that order tells.
  public func map<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> Value
  ) throws -> [Value] {
    let results = Lock([Result<Value, any Error>?](repeating: nil, count: max(count, 0)))
    run(count) { index in
      let result = Result { try body(index) }
      results.withLock { $0[index] = result }
    }
    return try results.withLock { try $0.compactMap { try $0?.get() } }
  }
}
