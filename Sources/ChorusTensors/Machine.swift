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

  /// Processors that are switched on; at least one.
  public static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// Main memory in bytes.
  public static let memory = max(0, sysconf(Int32(_SC_PHYS_PAGES))) * max(0, sysconf(Int32(_SC_PAGESIZE)))

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
