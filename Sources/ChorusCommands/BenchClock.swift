import ChorusTensors
import Foundation

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Times a body between probes of the machine's peak.
///
/// The clock of a shared machine moves, and so does what neighbours leave of it. The probe runs directly before and
/// after every repetition; what can be compared from day to day is the ratio of the two.
struct BenchClock {
  let pool: ThreadPool
  let repetitions: Int
  private let single = ThreadPool(threads: 1)
  /// A repetition calls its body as often as fills this time.
  private let leastSeconds: Double
  private var probeSeconds: Double { leastSeconds / 2 }

  init(pool: ThreadPool, repetitions: Int, leastSeconds: Double = 0.1) {
    self.pool = pool
    self.repetitions = repetitions
    self.leastSeconds = leastSeconds
  }

  struct Repetition {
    /// Wall seconds of one call of the body.
    let seconds: Double
    /// Processor seconds of one call, over all threads.
    let processorSeconds: Double
    /// Flop/s of the probes beside it: one thread, all threads, and all threads by processor second.
    let single: Double
    let peak: Double
    let peakByProcessor: Double
  }

  func measure(_ body: () throws -> Void) throws -> [Repetition] {
    var warm = try time(body).wall
    // The first call fills caches; a short one is timed again, without that.
    if warm < leastSeconds { warm = try time(body).wall }
    let calls = max(1, Int((leastSeconds / max(warm, 1e-8)).rounded(.up)))
    var repetitions: [Repetition] = []
    var before = probe(pool)
    for _ in 0..<self.repetitions {
      let alone = probe(single)
      let spent = try time { for _ in 0..<calls { try body() } }
      let after = probe(pool)
      repetitions.append(
        Repetition(
          seconds: spent.wall / Double(calls), processorSeconds: spent.processor / Double(calls),
          single: alone.byWall, peak: (before.byWall + after.byWall) / 2,
          peakByProcessor: (before.byProcessor + after.byProcessor) / 2))
      before = after
    }
    return repetitions
  }

  private func probe(_ pool: ThreadPool) -> (byWall: Double, byProcessor: Double) {
    var done = 0.0
    let spent = time { done = Machine.multiplyAdds(on: pool, seconds: probeSeconds) }
    return (done / spent.wall, done / max(spent.processor, 1e-9))
  }

  /// Bytes a second that are read from memory: by one thread, and by all.
  struct Bandwidth {
    let single: Double
    let all: Double
  }

  /// The best of three readings of an array that no cache holds.
  func bandwidth() -> Bandwidth {
    let array = FloatBuffer(count: 1 << 25)
    func best(_ pool: ThreadPool) -> Double {
      (0..<3).map { _ in
        var bytes = 0.0
        let spent = Self.time { bytes = Machine.readMemory(array, on: pool) }
        return bytes / spent.wall
      }.max() ?? 0
    }
    return Bandwidth(single: best(single), all: best(pool))
  }

  private func time(_ body: () throws -> Void) rethrows -> (wall: Double, processor: Double) {
    try Self.time(body)
  }

  /// Wall and processor seconds of `body`.
  static func time(_ body: () throws -> Void) rethrows -> (wall: Double, processor: Double) {
    let clock = ContinuousClock()
    let processor = ProcessorTime.seconds
    let start = clock.now
    try body()
    let wall = start.duration(to: clock.now) / .seconds(1)
    return (wall, ProcessorTime.seconds - processor)
  }
}

/// How much resident memory has grown at the most since the value was made.
struct MemoryGrowth {
  private let before: Int?

  init() {
    ResidentMemory.mark()
    before = ResidentMemory.now
  }

  var bytes: Int? { ResidentMemory.peak.flatMap { peak in before.map { max(0, peak - $0) } } }
}

/// Resident memory of this process, where the system tells it.
enum ResidentMemory {
  /// Bytes resident now.
  static var now: Int? { field("VmRSS:") }

  /// The most bytes resident since `mark()`, or since the process began where the system cannot forget a peak.
  static var peak: Int? {
    #if canImport(Darwin)
      var usage = rusage()
      return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : nil
    #else
      return field("VmHWM:")
    #endif
  }

  /// Begins a new peak, with what was freed before given back to the system, so that using it again counts.
  static func mark() {
    #if canImport(Glibc)
      // Glibc's module leaves malloc.h out.
      if let trim = dlsym(nil, "malloc_trim") {
        _ = unsafeBitCast(trim, to: (@convention(c) (Int) -> Int32).self)(0)
      }
    #endif
    #if !canImport(Darwin)
      if let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") {
        try? file.write(contentsOf: Data("5".utf8))
        try? file.close()
      }
    #endif
  }

  private static func field(_ name: String) -> Int? {
    #if canImport(Darwin)
      return peak
    #else
      guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
      for line in text.split(separator: "\n") where line.hasPrefix(name) {
        let words = line.split(whereSeparator: \.isWhitespace)
        return words.count > 1 ? Int(words[1]).map { $0 * 1024 } : nil
      }
      return nil
    #endif
  }
}
