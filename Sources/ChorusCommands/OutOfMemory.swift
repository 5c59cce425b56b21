import ChorusTensors
import Foundation

/// Says so where the system has no memory left, as under `ulimit -v`.
///
/// Swift's arrays and objects have no way to fail: where an allocation does, the runtime ends the process after a line for programmers, and
/// code in C that was given none reads from nowhere. What is asked for is bounded before (``InferenceError/tooLarge(bytes:limit:merging:)``);
/// this is for a system that has less. It adds a line for whoever ran the command, and an exit code in place of a signal.
enum OutOfMemory {
  /// How a process ends that was refused memory: `abort` by the runtime, traps of what unwraps, reads from nowhere.
  private static let ends = [SIGABRT, SIGILL, SIGTRAP, SIGSEGV, SIGBUS]
  /// What was done about those signals before, in the same order; whoever asks for the runtime's backtraces has handlers there.
  nonisolated(unsafe) private static let before = UnsafeMutablePointer<sigaction>.allocate(
    capacity: ends.count)

  static func tell() {
    Machine.boundMemory()
    for (index, end) in ends.enumerated() {
      var action = sigaction()
      let handler: @convention(c) (Int32) -> Void = { end in OutOfMemory.end(end, errno) }
      #if canImport(Darwin)
        action.__sigaction_u.__sa_handler = handler
      #else
        action.__sigaction_handler.sa_handler = handler
      #endif
      sigemptyset(&action.sa_mask)
      sigaction(end, &action, before + index)
    }
  }

  /// - Parameter error: the error number of the thread, which an allocation that fails sets and nothing that works clears.
  private static func end(_ signal: Int32, _ error: Int32) {
    // Only system calls from here on.
    guard error == ENOMEM || !hasRoom() else {
      // Something else: it happens again as soon as this returns, and ends as it would have.
      for index in 0..<ends.count where ends[index] == signal { sigaction(signal, before + index, nil) }
      if signal == SIGABRT { raise(signal) }
      return
    }
    let words: StaticString =
      "error: the system gives no more memory; ask for fewer paths, targets or threads, or raise the limit (ulimit -v)\n"
    _ = Foundation.write(STDERR_FILENO, words.utf8Start, words.utf8CodeUnitCount)
    _exit(Exit.memory)
  }

  private static func hasRoom() -> Bool {
    let probe = mmap(nil, 1 << 28, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    return probe != MAP_FAILED
  }
}
