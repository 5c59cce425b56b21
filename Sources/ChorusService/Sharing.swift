import ChorusTensors

/// Equal questions that come while one of them is worked on are answered by its work: the same question has the same bytes.
final class Sharing: Sendable {
  /// All that an answer depends on.
  struct Key: Hashable, Sendable {
    let context: String
    let version: Int
    let path: String
    let query: String
    let contentType: String?
    let form: AnswerForm
    let body: [UInt8]
  }

  private struct Work {
    let number: Int
    let task: Task<ServiceResponse, any Error>
    /// Requests that wait for it.
    var waiting = 1
  }

  private struct State {
    var works: [Key: Work] = [:]
    var number = 0
  }

  private let state = Lock(State())

  /// The answer of `body`, or of the same for another request that has begun. Work that nobody waits for any more is cancelled.
  ///
  /// A request that joins another's work has a time of its own: where the other's is over, the work begins anew.
  ///
  /// - Returns: the answer, and whether it is another request's.
  func answer(
    _ key: Key, _ body: @escaping @Sendable () async throws -> ServiceResponse
  ) async throws -> (response: ServiceResponse, isShared: Bool) {
    while true {
      do {
        return try await joined(key, body)
      } catch let other as OthersTime {
        if Task.isCancelled { throw other.error }
      }
    }
  }

  /// The time of the request that began the work is over, and not that of one that joined it.
  private struct OthersTime: Error { let error: ServiceError }

  private func joined(
    _ key: Key, _ body: @escaping @Sendable () async throws -> ServiceResponse
  ) async throws -> (response: ServiceResponse, isShared: Bool) {
    let (work, isShared) = state.withLock { state in
      if let work = state.works[key] {
        state.works[key]?.waiting += 1
        return (work, true)
      }
      state.number += 1
      let work = Work(number: state.number, task: Task { try await body() })
      state.works[key] = work
      return (work, false)
    }
    defer { leave(key, work.number, isDone: true) }
    do {
      let response = try await withTaskCancellationHandler {
        try await work.task.value
      } onCancel: {
        leave(key, work.number, isDone: false)
      }
      return (response, isShared)
    } catch let error as ServiceError where isShared && error.status == 504 {
      throw OthersTime(error: error)
    }
  }

  /// How many requests wait for a work.
  func waiting(_ key: Key) -> Int { state.withLock { $0.works[key]?.waiting ?? 0 } }

  private func leave(_ key: Key, _ number: Int, isDone: Bool) {
    let unwanted = state.withLock { state -> Task<ServiceResponse, any Error>? in
      guard let work = state.works[key], work.number == number else { return nil }
      if isDone {
        state.works[key] = nil
        return nil
      }
      state.works[key]?.waiting -= 1
      guard work.waiting <= 1 else { return nil }
      state.works[key] = nil
      return work.task
    }
    unwanted?.cancel()
  }
}
