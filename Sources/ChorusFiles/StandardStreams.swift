#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The streams that a program starts with.
public enum StandardStreams {
  /// Makes every failed write an error of that write, and of nothing else. To be called once, before any file is opened.
  ///
  /// By default a pipe that nobody reads and a file beyond the size limit end the process. A stream that is closed (`2>&-`)
  /// leaves its number to the next file that is opened, into which words would then go; such a number is taken here.
  public static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
      guard fcntl(descriptor, F_GETFD) < 0, errno == EBADF else { continue }
      // The lowest free number is taken, which is this one. Reading or writing it fails as if it were closed.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  /// Writes words to standard error. Where they can not be written they are lost: work is not given up for them.
  public static func say(_ text: String) {
    var text = text
    _ = text.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
  }

  /// Writes data to standard output.
  public static func write(_ bytes: some Sequence<UInt8>) throws(FileError) {
    let code = writeAll(bytes, to: STDOUT_FILENO)
    guard code == 0 else { throw FileError("standard output", "written", code) }
  }

  /// Ends the process as a pipe that nobody reads does, silently and by its signal, which is what shells expect.
  public static func endForLackOfReader() -> Never {
    signal(SIGPIPE, SIG_DFL)
    raise(SIGPIPE)
    // Only where the signal is blocked.
    exit(128 + SIGPIPE)
  }
}

/// Writes all bytes: 0, or the system's number for what went wrong. Those that lie side by side are not copied.
func writeAll(_ bytes: some Sequence<UInt8>, to descriptor: Int32) -> Int32 {
  bytes.withContiguousStorageIfAvailable { writeAll(UnsafeRawBufferPointer($0), to: descriptor) }
    ?? Array(bytes).withUnsafeBytes { writeAll($0, to: descriptor) }
}

/// Writes all bytes: 0, or the system's number for what went wrong.
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
  var rest = bytes[...]
  while let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
    let count = write(descriptor, start, rest.count)
    if count >= 0 {
      rest = rest.dropFirst(count)
      continue
    }
    switch errno {
    case EINTR: continue
    case EAGAIN:
      // A pipe or terminal that another process has made non-blocking.
      var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      _ = poll(&waiting, 1, -1)
    default: return errno
    }
  }
  return 0
}
