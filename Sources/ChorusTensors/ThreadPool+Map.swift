extension ThreadPool {
  /// The results of `body` for `0..<count`, in that order, worked out side by side.
  ///
  /// A body must not use this pool, which is busy with it; where there are fewer bodies than threads they run one after
  /// another instead, and each gets the pool to work on.
  /// - Throws: the error of the first index that has one, whichever came first in time.
  public func map<T: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int, ThreadPool?) throws -> T
  ) throws -> [T] {
    guard count >= threads, count > 1 else { return try (0..<max(count, 0)).map { try body($0, self) } }
    let results = Lock([Result<T, any Error>?](repeating: nil, count: count))
    run(count) { index in
      let result = Result { try body(index, nil) }
      results.withLock { $0[index] = result }
    }
    return try results.withLock { try $0.compactMap { try $0?.get() } }
  }
}
