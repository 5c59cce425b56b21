import Synchronization

/// A request to stop that any thread may make: for callers that run no task, as those of a C function.
///
/// ```swift
/// let cancellation = Cancellation()
/// // …on another thread: cancellation.cancel()
/// let paths = try cancellation.watching { try posterior.sample(1_000, at: days) }  // or InferenceError.cancelled
/// ```
public final class Cancellation: Sendable {
  @TaskLocal private static var current: Cancellation?
  private let flag = Atomic<Bool>(false)

  public init() {}

  public func cancel() { flag.store(true, ordering: .relaxed) }

  /// Runs `body`, whose requests stop with `InferenceError.cancelled` once this is cancelled.
  public func watching<Value>(_ body: () throws -> Value) rethrows -> Value {
    try Self.$current.withValue(self, operation: body)
  }

  /// Whether what the calling thread does is to stop: by a cancellation or as the task that it runs.
  static var isWanted: Bool {
    Task.isCancelled || current?.flag.load(ordering: .relaxed) == true
  }
}
