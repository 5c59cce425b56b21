import Foundation

/// Says so where the system has no memory left, as under `ulimit -v`.
enum OutOfMemory {
  /// The runtime ends the process by `abort` where an allocation fails, after a line for programmers. This adds one for whoever
  /// ran the command, and an exit code in place of a signal.
  static func tell() {
    signal(SIGABRT) { _ in
      // Only system calls from here on. Anything else that aborts finds memory to be had.
      let probe = mmap(nil, 1 << 28, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard probe == MAP_FAILED else { return }
      let words: StaticString =
        "error: the system gives no more memory; ask for fewer paths, targets or threads, or raise the limit (ulimit -v)\n"
      _ = Foundation.write(STDERR_FILENO, words.utf8Start, words.utf8CodeUnitCount)
      _exit(Exit.internal)
    }
  }
}
