extension Plan.Visibility {
  /// No plan has its effective visibility computed for more targets than this, unless it equals the direct one.
  public static let maximumClosure = 4096

  /// What can reach each target through the rows it reads: the closure of V_k over the buffer rows' own reads.
  ///
  /// A network of D layers moves a value over at most D - 1 rows before the target's own row reads it. Only in a plan
  /// whose every read is a read of the context, or of a prefix of a causal buffer, is this the direct visibility.
  ///
  /// - Parameter layers: the number of layers D; nil for any number of hops.
  /// - Returns: nil for more than ``maximumClosure`` targets that see more than they read.
  public func effective(layers: Int? = nil) -> [Visible]? {
    var effective = direct
    for pass in passes {
      let closed = Closure(pass)
      let open = pass.queries.filter { !closed.holds($0) }
      if open.isEmpty { continue }
      guard targets <= Self.maximumClosure else { return nil }
      let naming = Plan.Naming(pass)
      let held = pass.context.elements
      let reach = closed.reach(hops: layers.map { max(0, $0 - 1) })
      for query in open {
        let set = closed.reached(query.reads, reach)
        effective[query.position] = Visible(
          context: pass.context, buffer: naming.positions(set), count: held + set.elements)
      }
    }
    return effective
  }

  /// The effective visibility of one target, in any number of layers.
  public func effective(of position: Int) -> Visible? {
    guard let all = effective(), all.indices.contains(position) else { return nil }
    return all[position]
  }
}

/// Which rows of a pass reach which. Context rows read each other and every row reads the context, so only the buffer
/// is looked at.
private struct Closure {
  private let rows: [Plan.Row]
  /// The smallest number of first rows that holds all that the first i rows have read.
  private let needed: [Int]
  private let words: Int

  init(_ pass: Plan.Pass) {
    rows = pass.buffered
    words = (rows.count + 63) / 64
    var needed = [0]
    needed.reserveCapacity(rows.count + 1)
    var most = 0
    for row in rows {
      most = max(most, row.limit)
      needed.append(most)
    }
    self.needed = needed
  }

  /// Whether the rows that are read have read no others. Quick, and sure only where it says yes.
  func holds(_ row: Plan.Row) -> Bool {
    if let prefix = row.prefix, needed[prefix] <= prefix { return true }
    // A few rows: look at each.
    guard row.readCount <= 64 else { return false }
    let reads = row.reads
    return reads.integers.allSatisfy { slot in
      rows[slot].reads.ranges.allSatisfy { range in
        reads.ranges.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }
      }
    }
  }

  /// The rows that reach each row in at most `hops` readings of other rows, itself included, as bitsets.
  func reach(hops: Int?) -> [UInt64] {
    var own = [UInt64](repeating: 0, count: rows.count * words)
    for slot in rows.indices { own[slot * words + slot / 64] |= 1 << UInt64(slot % 64) }
    var reach = own
    var hop = 0
    while hop < hops ?? rows.count {
      var next = own
      for slot in rows.indices {
        for read in rows[slot].reads.integers {
          for word in 0..<words { next[slot * words + word] |= reach[read * words + word] }
        }
      }
      if next == reach { break }
      reach = next
      hop += 1
    }
    return reach
  }

  func reached(_ reads: RangeSet<Int>, _ reach: [UInt64]) -> RangeSet<Int> {
    var bits = [UInt64](repeating: 0, count: words)
    for slot in reads.integers {
      for word in 0..<words { bits[word] |= reach[slot * words + word] }
    }
    var set = RangeSet<Int>()
    for word in 0..<words {
      var rest = bits[word]
      while rest != 0 {
        let slot = word * 64 + rest.trailingZeroBitCount
        set.insert(contentsOf: slot..<slot + 1)
        rest &= rest - 1
      }
    }
    return set
  }
}

extension Plan {
  /// A pair of targets whose values depend on each other, if there is one: needed only to name it, once a value is
  /// known to be used before it is drawn.
  static func cycle(in instructions: [Instruction], targets: Int) -> (reader: Int, read: Int)? {
    guard targets <= Visibility.maximumClosure else { return nil }
    let visibility = Visibility(passes: passes(of: instructions), targets: targets)
    guard let seen = visibility.effective() else { return nil }
    let needs = seen.map(\.all)
    func depends(_ start: Int, on wanted: Int) -> Bool {
      var visited = RangeSet<Int>()
      var waiting = [start]
      while let target = waiting.popLast() {
        if needs[target].contains(wanted) { return true }
        guard !visited.contains(target) else { continue }
        visited.insert(contentsOf: target..<target + 1)
        waiting += needs[target].integers
      }
      return false
    }
    for (reader, visible) in visibility.direct.enumerated() {
      for read in visible.all.integers.reversed() where read == reader || depends(read, on: reader) {
        return (reader, read)
      }
    }
    return nil
  }
}
