import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusTensors

/// Paths that go through a plan in lock step: every path that is not done has its rows in every network call.
///
/// Paths share the observed context until one encodes a context of its own. A path that is done early, or that needs
/// another kind of call than its neighbours, keeps nobody waiting: a call holds whatever rows each path needs next.
struct Tile<C: Conditioner> {
  private struct Group {
    let paths: C.Paths
    let context: C.Context
    /// The lane of each of `paths`; nil once it has gone on with a context of its own.
    var lanes: [Int?]
  }

  private let conditioner: C
  private let capacity: Int
  private(set) var lanes: [Lane<C.Answer.Law>]
  private var groups: [Group]
  private var batch = RowBatch()

  init(_ conditioner: C, lanes: [Lane<C.Answer.Law>], capacity: Int) {
    self.conditioner = conditioner
    self.capacity = capacity
    self.lanes = lanes
    groups = [
      Group(
        paths: conditioner.branch(paths: lanes.count, capacity: capacity), context: conditioner.observed,
        lanes: Array(lanes.indices))
    ]
  }

  /// Runs the program to its end; false when `stopped` says so between two calls.
  mutating func run(_ program: Program, stopped: () -> Bool) -> Bool {
    while true {
      if stopped() { return false }
      var live = false
      for lane in lanes.indices {
        guard let encodes = lanes[lane].prepare(program) else { continue }
        live = true
        if encodes { encode(lane, with: lanes[lane].context) }
      }
      guard live else { return true }
      call()
    }
  }

  /// Scores the lanes' values: one masked pass for each context that the plan encodes (Hassan et al. 2026, Alg. 2).
  mutating func score(_ passes: [Program.Pass]) {
    for (index, pass) in passes.enumerated() {
      for lane in lanes.indices {
        if index > 0 || !pass.context.isEmpty { encode(lane, with: pass.context) }
        lanes[lane].take(.score, commit: pass.buffered[...], query: pass.queries[...])
      }
      call()
    }
  }

  /// Replaces drawn values by the mean of one more marginal pass that has read all of them.
  ///
  /// - Parameter anew: commit every value to an empty buffer over the observed rows, for plans that do not end with a
  ///   prefix of the positions; else only those that the context and the buffer do not hold yet.
  mutating func smooth(targets: Int, anew: Bool) {
    if anew { self = Tile(conditioner, lanes: lanes, capacity: capacity) }
    for lane in lanes.indices {
      let merged = anew ? 0 : lanes[lane].merged
      let first = merged + (anew ? 0 : lanes[lane].held)
      let commit = (first..<max(first, targets)).map {
        PlannedRow(position: $0, slot: $0 - merged, prefix: $0 - merged + 1)
      }
      let query = (0..<targets).map { PlannedRow(position: $0, prefix: targets - merged) }
      lanes[lane].take(.smooth, commit: commit[...], query: query[...])
    }
    call()
  }

  /// Gives a lane a context of its own, with the values at `positions` besides the observed rows, and empties its buffer.
  private mutating func encode(_ lane: Int, with positions: RangeSet<Int>) {
    let own = lanes[lane]
    var rows: [(target: Int, value: Float)] = []
    for range in positions.ranges {
      for position in range {
        let target = own.order[position]
        rows.append((target, own.values[target]))
      }
    }
    for group in groups.indices {
      for path in groups[group].lanes.indices where groups[group].lanes[path] == lane {
        groups[group].lanes[path] = nil
      }
    }
    groups.removeAll { $0.lanes.allSatisfy { $0 == nil } }
    groups.append(
      Group(
        paths: conditioner.branch(paths: 1, capacity: capacity),
        context: rows.isEmpty ? conditioner.observed : conditioner.encode(with: rows), lanes: [lane]))
  }

  // MARK: One network call

  /// Rows that go through the network in one piece, so that a call with many targets takes bounded memory. Fixed, and
  /// no result depends on it.
  static var piece: Int { 4096 }

  /// One network call for all lanes.
  private mutating func call() {
    for group in groups.indices { call(group) }
    for group in groups {
      for (path, lane) in group.lanes.enumerated() {
        if let lane, let count = lanes[lane].finish() {
          conditioner.rewind(group.paths, path: path, to: count)
        }
      }
    }
  }

  private mutating func call(_ group: Int) {
    let members = groups[group].lanes.compactMap { $0 }
    let commits = members.reduce(0) { max($0, lanes[$1].commit.count) }
    let queries = members.reduce(0) { max($0, lanes[$1].query.count) }
    guard commits + queries > 0 else { return }
    var size = max(1, Self.piece / max(members.count, 1))
    if members.contains(where: { lanes[$0].readsAhead }) { size = max(size, commits) }
    var (first, start) = (0, 0)
    while commits - first > size {
      send(group, commits: first..<first + size, queries: 0..<0)
      first += size
    }
    repeat {
      send(group, commits: first..<commits, queries: start..<start + size)
      first = commits
      start += size
    } while start < queries
  }

  /// Some of each lane's rows of the call; a lane that has fewer rows has fewer in it.
  private mutating func send(_ group: Int, commits: Range<Int>, queries: Range<Int>) {
    batch.clear()
    for lane in groups[group].lanes {
      batch.begin()
      guard let lane else { continue }
      let own = lanes[lane]
      for row in own.commit.dropFirst(commits.lowerBound).prefix(commits.count) {
        let target = own.order[row.position]
        batch.commit(
          input: Int32(target), y: own.values[target], slot: Int32(row.slot), reads: row.reads)
      }
      for row in own.query.dropFirst(queries.lowerBound).prefix(queries.count) {
        batch.query(input: Int32(own.order[row.position]), reads: row.reads)
      }
    }
    let members = groups[group].lanes
    var (member, index) = (0, queries.lowerBound)
    conditioner.advance(groups[group].paths, groups[group].context, batch) { answer in
      // The answers come path by path: on to the path whose turn it is.
      while member < members.count {
        if let lane = members[member], index < min(queries.upperBound, lanes[lane].query.count) {
          lanes[lane].receive(answer, to: index)
          index += 1
          return
        }
        (member, index) = (member + 1, queries.lowerBound)
      }
    }
  }
}
