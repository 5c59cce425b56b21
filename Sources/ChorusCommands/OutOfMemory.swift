import CChorusSignals
import ChorusTensors
import Foundation

/// Says so where the system has no memory left, as under `ulimit -v`.
///
/// Swift's arrays and objects have no way to fail: where an allocation does, the runtime ends the process after a line for programmers, and
/// code in C that was given none reads from nowhere. What is asked for is bounded before (``InferenceError/tooLarge(bytes:limit:merging:)``);
/// this is for a system that has less. It adds a line for whoever ran the command, and an exit code in place of a signal.
enum OutOfMemory {
  /// How a process ends that was refused memory: `abort` by the runtime, a read from nowhere.
  private static let ends = [SIGABRT, SIGSEGV]
  /// What was done about those signals before, in the same order; whoever asks for the runtime's backtraces has handlers there.
  nonisolated(unsafe) private static let before = UnsafeMutablePointer<sigaction>.allocate(
    capacity: ends.count)

  /// Where a signal comes from.
  private typealias Origin = UnsafeMutablePointer<siginfo_t>

  /// What is known of a signal when it arrives.
  struct Evidence {
    /// Whether it came from another process, as by `kill`.
    var isSent = false
    /// Whether Swift's runtime gave up in the middle of an allocation.
    var isAllocating = false
    /// Whether an address close to nothing was read or written.
    var isAtNothing = false
    /// The error number of the thread. An allocation that fails sets it and nothing that works clears it, so it may be old: `malloc` leaves
    /// it where it was refused one way and found memory in another.
    var error: Int32 = 0
    /// Whether a large block can be had now.
    var hasRoom = true

    /// Whether memory that was refused is what ends the process: by where it ended, and by a sign of refusal.
    var isRefusal: Bool { !isSent && (isAllocating || isAtNothing) && (error == ENOMEM || !hasRoom) }
  }

  static func tell() {
    Machine.boundMemory()
    for (index, end) in ends.enumerated() {
      var action = sigaction()
      action.sa_flags = Int32(SA_SIGINFO)
      let handler: @convention(c) (Int32, Origin?, UnsafeMutableRawPointer?) -> Void = {
        end, origin, _ in OutOfMemory.end(end, origin, errno)
      }
      #if canImport(Darwin)
        action.__sigaction_u.__sa_sigaction = handler
      #else
        action.__sigaction_handler.sa_sigaction = handler
      #endif
      sigemptyset(&action.sa_mask)
      sigaction(end, &action, before + index)
    }
  }

  private static func end(_ signal: Int32, _ origin: Origin?, _ error: Int32) {
    // Only system calls and a walk of the stack from here on.
    var evidence = Evidence(error: error, hasRoom: hasRoom())
    if let origin {
      evidence.isSent = cs_is_sent(origin) != 0
      evidence.isAtNothing = cs_is_at_nothing(origin) != 0
    }
    evidence.isAllocating = signal == SIGABRT && !evidence.isSent && cs_is_allocating() != 0
    guard evidence.isRefusal else {
      for index in 0..<ends.count where ends[index] == signal { sigaction(signal, before + index, nil) }
      // What the processor found happens again as soon as this returns, and ends as it would have.
      if signal == SIGABRT || evidence.isSent { raise(signal) }
      return
    }
    let words: StaticString =
      "error: the system gives no more memory; ask for fewer paths, targets or threads, or raise the limit (ulimit -v)\n"
    _ = Foundation.write(STDERR_FILENO, words.utf8Start, words.utf8CodeUnitCount)
    _exit(Exit.memory)
  }

  private static func hasRoom() -> Bool {
    let size = 1 << 28
    let probe = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard probe != MAP_FAILED else { return false }
    munmap(probe, size)
    return true
  }
}
