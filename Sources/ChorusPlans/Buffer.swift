/// The rows in a path's buffer while steps are read: which position is in which slot.
struct Buffer {
  /// What is known of a position.
  enum Place: Hashable {
    case nowhere
    case slot(Int)
    case evicted
  }

  /// The slots in use, in the order of the commits. Without evictions it counts 0, 1, 2, ....
  private(set) var slots: [Int] = []
  /// The most slots in use at once since the buffer was emptied.
  private(set) var reserved = 0
  /// Whether slot i holds the i-th row committed.
  private(set) var isContiguous = true

  private var places: [Place]
  private var holders: [Int] = []
  /// Positions with a place, to forget them when the buffer is emptied.
  private var placed: [Int] = []
  /// Slots free for the next commit, the lowest last.
  private var free: [Int] = []
  /// Slots evicted while committed rows wait for their call: those rows may still read them.
  private var freedByCall: [Int] = []
  var prefix = Plan.Prefixes()

  init(targets: Int) {
    places = [Place](repeating: .nowhere, count: targets)
  }

  var count: Int { slots.count }

  func place(of position: Int) -> Place { places[position] }

  mutating func empty() {
    for position in placed { places[position] = .nowhere }
    self.placed.removeAll()
    slots.removeAll()
    holders.removeAll()
    free.removeAll()
    freedByCall.removeAll()
    reserved = 0
    isContiguous = true
  }

  mutating func append(_ position: Int) -> Int {
    let slot = free.popLast() ?? holders.count
    if slot == holders.count { holders.append(position) } else { holders[slot] = position }
    reserved = max(reserved, holders.count)
    slots.append(slot)
    places[position] = .slot(slot)
    placed.append(position)
    return slot
  }

  mutating func evict(_ evicted: RangeSet<Int>, awaitingCall: Bool) {
    isContiguous = false
    slots.removeAll { evicted.contains($0) }
    for slot in evicted.integers {
      places[holders[slot]] = .evicted
      if awaitingCall { freedByCall.append(slot) } else { free.append(slot) }
    }
    free.sort(by: >)
  }

  mutating func called() {
    guard !freedByCall.isEmpty else { return }
    free.append(contentsOf: freedByCall)
    freedByCall.removeAll()
    free.sort(by: >)
  }
}

extension Resolver {
  /// The slots that a selector of `reader`'s step selects.
  mutating func resolve(_ selector: Plan.Selector, reader: Int) throws(PlanError) -> Plan.Reads {
    let count = buffer.count
    switch selector {
    case .none: return .none
    case .all: return slots(0..<count)
    case .first(let number):
      try check(number, "first", in: 0...Int.max)
      return slots(0..<min(number, count))
    case .last(let number):
      try check(number, "last", in: 0...Int.max)
      return slots(max(0, count - min(number, count))..<count)
    case .lags:
      var set = RangeSet<Int>()
      var lag = 1
      while lag <= count {
        let slot = buffer.slots[count - lag]
        set.insert(contentsOf: slot..<slot + 1)
        lag *= 2
      }
      return Plan.Reads(set)
    case .ids(let positions): return Plan.Reads(try slots(of: positions, reader: reader))
    case .union(let parts):
      var set = RangeSet<Int>()
      for part in parts { set.formUnion(try resolve(part, reader: reader).slots) }
      return Plan.Reads(set)
    case .each(let parts):
      throw .selectorCount(step: steps - 1, selectors: parts.count, positions: 1)
    }
  }

  /// The slots of the rows at some places in the order of the commits.
  private mutating func slots(_ rows: Range<Int>) -> Plan.Reads {
    if buffer.isContiguous {
      return rows.lowerBound == 0 ? buffer.prefix(rows.count) : Plan.Reads(RangeSet(rows))
    }
    var set = RangeSet<Int>()
    for slot in buffer.slots[rows] { set.insert(contentsOf: slot..<slot + 1) }
    return Plan.Reads(set)
  }

  private func slots(of positions: RangeSet<Int>, reader: Int) throws(PlanError) -> RangeSet<Int> {
    var set = RangeSet<Int>()
    for range in positions.ranges {
      try known(range)
      for position in range where !context.contains(position) {
        switch buffer.place(of: position) {
        case .slot(let slot): set.insert(contentsOf: slot..<slot + 1)
        case .evicted: throw .readsEvicted(reader: reader, read: position)
        case .nowhere: throw .readsUncommitted(reader: reader, read: position)
        }
      }
    }
    return set
  }
}
