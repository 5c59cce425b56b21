import CChorusKernels

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What the machine under the kernels can do, for benchmarks.
public enum Machine {
  /// The instruction set of the kernels in use.
  public static var instructionSet: String { String(cString: ck_isa_name(ck_isa())) }

  /// How many times as fast a product of bfloat16 is here as the same one of 32-bit floats: 24 rows of 128 numbers through
  /// a map to 128, the least time of each out of eleven by turns.
  public static func bfloat16Rate() -> Double {
    let (rows, side) = (Int32(24), Int32(128))
    let (x, weights) = (FloatBuffer(count: Int(rows * side)), FloatBuffer(count: Int(side * side)))
    let (single, half) = (
      FloatBuffer(count: ck_packed_count(side, side)), FloatBuffer(count: ck_packed_count(side, side))
    )
    let out = FloatBuffer(count: Int(rows * side))
    ck_pack(side, side, weights.pointer, side, 0, single.pointer)
    ck_pack_bf16(side, side, weights.pointer, side, 0, half.pointer)
    var arguments = ck_matmul_args()
    (arguments.m, arguments.k, arguments.n) = (rows, side, side)
    (arguments.a, arguments.lda) = (UnsafePointer(x.pointer), side)
    (arguments.c, arguments.ldc) = (out.pointer, side)
    var least = (single: Duration.seconds(1), half: Duration.seconds(1))
    let clock = ContinuousClock()
    for _ in 0..<11 {
      arguments.packed = UnsafePointer(single.pointer)
      least.single = min(least.single, clock.measure { for _ in 0..<20 { ck_matmul(&arguments) } })
      arguments.packed = UnsafePointer(half.pointer)
      least.half = min(least.half, clock.measure { for _ in 0..<20 { ck_matmul_bf16(&arguments) } })
    }
    return least.single / least.half
  }

  /// Processors that are switched on; at least one.
  public static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// Main memory in bytes that this process may have: the machine's, or less where a limit or its container says so.
  public static let memory = min(installed, containerMemory ?? .max, limit(space), limit(data))

  /// Main memory in bytes.
  private static let installed = max(0, sysconf(Int32(_SC_PHYS_PAGES))) * max(0, sysconf(Int32(_SC_PAGESIZE)))

  #if canImport(Glibc)
    private static let (space, data) = (Int32(RLIMIT_AS.rawValue), Int32(RLIMIT_DATA.rawValue))
  #else
    private static let (space, data) = (RLIMIT_AS, RLIMIT_DATA)
  #endif

  private static func limit(_ resource: Int32) -> Int {
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return .max }
    return Int(clamping: limit.rlim_cur)
  }

  /// What the control group of a container allows; nil where there is none, or no limit.
  private static var containerMemory: Int? {
    number(in: "/sys/fs/cgroup/memory.max") ?? number(in: "/sys/fs/cgroup/memory/memory.limit_in_bytes")
  }

  /// The number after `name` in the first line that begins with it; nil where there is none.
  private static func number(in path: String, after name: String = "") -> Int? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix(name) else { continue }
      return Int(String(text.dropFirst(name.count).drop { $0 == " " }.prefix { $0.isNumber }))
    }
    return nil
  }

  /// Keeps this process from taking more memory than there is, swap included: an allocation fails, where the system would end
  /// the process, or another one, without a word.
  package static func boundMemory() {
    #if os(Linux)
      let swap = number(in: "/proc/meminfo", after: "SwapTotal:") ?? 0
      let all = min(installed + swap * 1024, containerMemory ?? .max)
      var limit = rlimit()
      guard installed > 0, getrlimit(data, &limit) == 0 else { return }
      limit.rlim_cur = min(limit.rlim_cur, rlim_t(all))
      setrlimit(data, &limit)
    #endif
  }

  /// Fused multiply-adds in registers on every thread of `pool` for about `seconds`: the flops done.
  ///
  /// The work is handed out in items of about a tenth of a millisecond, so that a busy neighbour takes no more than
  /// its share, as it does from a real loop.
  public static func multiplyAdds(on pool: ThreadPool, seconds: Double) -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    let items = 16 * pool.threads
    let rounds = 2_500
    let perRound = ck_probe_fma(1, nil)
    var done = 0.0
    repeat {
      pool.run(items) { _ in
        var sink: Float = 0
        _ = ck_probe_fma(rounds, &sink)
      }
      done += Double(items * rounds) * perRound
    } while start.duration(to: clock.now) < .seconds(seconds)
    return done
  }
}
