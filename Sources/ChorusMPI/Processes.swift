#if MPI
  import CMPI
  import ChorusTraining
  import Foundation

  /// The processes that `mpirun` has started.
  public struct Processes: Exchange {
    public let rank: Int
    public let ranks: Int
    /// Whether the process has been asked to end, as `mpirun` does where another one has died.
    private let isEnding: @Sendable () -> Bool
    private let say: @Sendable (String) -> Void

    /// Joins the others.
    public init(isEnding: @escaping @Sendable () -> Bool, say: @escaping @Sendable (String) -> Void) throws {
      var (rank, ranks): (Int32, Int32) = (0, 1)
      guard cmpi_begin(&rank, &ranks) != 0 else {
        throw TrainingError.rank(
          "MPI does not start; is this run by mpirun of the MPI that it was built with?")
      }
      (self.rank, self.ranks) = (Int(rank), Int(ranks))
      (self.isEnding, self.say) = (isEnding, say)
    }

    /// Leaves in good order, once all others do too.
    public func end() { cmpi_end() }

    public func swap(
      _ outgoing: UnsafeRawBufferPointer, _ incoming: UnsafeMutableRawBufferPointer, with other: Int
    ) throws {
      guard let sent = Int32(exactly: outgoing.count), let taken = Int32(exactly: incoming.count) else {
        throw TrainingError.rank("MPI passes at most 2 GiB at once, and the model has more")
      }
      var swap = cmpi_swap()
      var state: Int32 =
        cmpi_start(&swap, outgoing.baseAddress, sent, incoming.baseAddress, taken, Int32(other)) == 0 ? -1 : 0
      var patience = Patience()
      while state == 0 {
        state = cmpi_done(&swap)
        if state == 0 { try wait(&patience, for: other) }
      }
      if state < 0 { throw TrainingError.rank("rank \(other) cannot be reached from rank \(rank)") }
    }

    private struct Patience {
      var turns = 0
      var ending: Date?
      var hasSpoken = false
    }

    /// Lets other threads have the processor: first between two looks, then for longer.
    ///
    /// A process that has died sends nothing, and its partner learns of it by being asked to end. A step may yet come to its
    /// end where all were asked, so that it is waited for some time more.
    private func wait(_ patience: inout Patience, for other: Int) throws {
      patience.turns += 1
      if patience.turns < 1000 { sched_yield() } else { usleep(patience.turns < 20_000 ? 50 : 1000) }
      guard patience.turns % 64 == 0, isEnding() else { return }
      let waited = -(patience.ending ?? Date()).timeIntervalSinceNow
      if patience.ending == nil { patience.ending = Date() }
      if waited > 0.4, !patience.hasSpoken {
        say("rank \(other) does not answer rank \(rank), and the run is ending: \(Self.advice)")
        patience.hasSpoken = true
      }
      if waited > 30 {
        throw TrainingError.rank("rank \(other) does not answer rank \(rank); \(Self.advice)")
      }
    }

    private static let advice = "--resume goes on from the newest checkpoint"
  }
#endif
