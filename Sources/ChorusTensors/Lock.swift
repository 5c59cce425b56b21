import Synchronization

#if CHORUS_TSAN
  import Foundation

  /// A value that one thread at a time may read or change.
  ///
  /// The form for ThreadSanitizer (`.ci/tsan`): it watches POSIX's mutexes, and does not see those of `Synchronization`, so that whatever
  /// they guard would look like a race.
  package struct Lock<Value: ~Copyable>: ~Copyable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let value: UnsafeMutablePointer<Value>

    package init(_ initial: consuming sending Value) {
      mutex = .allocate(capacity: 1)
      pthread_mutex_init(mutex, nil)
      value = .allocate(capacity: 1)
      value.initialize(to: initial)
    }

    deinit {
      value.deinitialize(count: 1)
      value.deallocate()
      pthread_mutex_destroy(mutex)
      mutex.deallocate()
    }

    /// Calls `body` with the value while no other thread has it.
    package borrowing func withLock<Result: ~Copyable, Failure: Error>(
      _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      return try body(&value.pointee)
    }
  }

  extension Lock: @unchecked Sendable where Value: ~Copyable {}
#else
  /// A value that one thread at a time may read or change. All locks of the package are of this type.
  package typealias Lock<Value: ~Copyable> = Mutex<Value>
#endif
