/// Arenas waiting for a thread to use them, so that repeated work allocates nothing.
public final class ScratchPool: Sendable {
  private struct Idle: @unchecked Sendable { var arenas: [Arena] = [] }
  private let idle = Lock(Idle())

  public init() {}

  /// Runs `body` with an empty arena of its own.
  public func with<R>(_ body: (Arena) throws -> R) rethrows -> R {
    let arena = idle.withLock { $0.arenas.popLast() } ?? Arena(blockCount: 1 << 16)
    arena.reset()
    defer {
      nonisolated(unsafe) let returned = arena
      idle.withLock { $0.arenas.append(returned) }
    }
    return try body(arena)
  }
}
