import ChorusTensors

/// The committed rows of some paths, for the splines through those near to an input, and what these said last. Belongs to
/// one thread at a time.
///
/// An input is asked for before its value is committed, and often again when there is more to read. So the rows near it are
/// kept, and only those that have come since are shown; and where they are the same as the last time, which they always
/// are for a value committed right after it was drawn, what the splines said is kept too.
package final class NearPaths {
  /// What a row of a network call reads: the first `limit` slots of its path, or those of `mask`, but for its own.
  package struct Row {
    let path: Int
    let input: Int
    /// -1 where it has none.
    let slot: Int
    let limit: Int
    let mask: UnsafePointer<UInt64>?

    package init(path: Int, input: Int, slot: Int, limit: Int, mask: UnsafePointer<UInt64>?) {
      (self.path, self.input, self.slot, self.limit, self.mask) = (path, input, slot, limit, mask)
    }

    /// How many slots it reads, where they are the first ones.
    var prefix: Int? {
      let count = slot >= 0 && slot == limit - 1 ? slot : limit
      return mask == nil && (slot < 0 || slot >= count) ? count : nil
    }

    /// The slots it reads but for its own, from `first` on and before `end`, in order.
    func forEachSlot(from first: Int, to end: Int = .max, _ body: (Int) -> Void) {
      let end = min(limit, end)
      guard first < end else { return }
      guard let mask else {
        for other in first..<end where other != slot { body(other) }
        return
      }
      for word in first / 64...(end - 1) / 64 {
        // Bits are taken from the lowest on: most rows read few of many slots.
        var bits = mask[word]
        if word == first / 64 { bits &= ~0 << UInt64(first % 64) }
        while bits != 0 {
          let other = word * 64 + bits.trailingZeroBitCount
          guard other < end else { return }
          bits &= bits - 1
          if other != slot { body(other) }
        }
      }
    }
  }

  /// What was said last, in one context.
  private final class Known {
    struct Entry {
      var input = -1
      /// The rows kept are the nearest of the first `prefix` slots, as they were at this turn; nil for those of others.
      var prefix: Int?
      var turn = 0
      var told = LocalSpline.Told()
    }

    let context: NearRows
    let inputs: NearInputs
    let spline: LocalSpline
    /// For each path one in turn.
    let size: Int
    var entries: [Entry]
    var kept: LocalSpline.Kept

    init(_ context: NearRows, _ inputs: NearInputs, paths: Int, capacity: Int) {
      (self.context, self.inputs) = (context, inputs)
      spline = LocalSpline(most: context.neighbours, dimensions: context.dimensions)
      // Inputs that share a place push each other out: with fewer places than inputs a path keeps what it asked last.
      size = capacity == 0 ? 0 : min(inputs.count, max(capacity, 64))
      entries = [Entry](repeating: Entry(), count: paths * size)
      kept = LocalSpline.Kept(points: paths * size, most: context.neighbours, dimensions: context.dimensions)
    }
  }

  private let paths: Int
  private let capacity: Int
  /// `[paths, capacity, pitch]`, each row with its value after its inputs.
  private let rows: FloatBuffer
  private let pitch: Int
  /// For each path one more than the highest slot ever written, and how often one below it was written again.
  private var written: [Int]
  private var turns: [Int]
  private var known: Known?

  package init(paths: Int, capacity: Int, inputDimensions: Int) {
    (self.paths, self.capacity) = (paths, capacity)
    pitch = inputDimensions + 1
    rows = FloatBuffer(count: paths * capacity * pitch)
    written = [Int](repeating: 0, count: paths)
    turns = [Int](repeating: 0, count: paths)
  }

  /// Splines fitted for these paths, for tests of what is done twice.
  package var fitted: Int { known?.spline.fitted ?? 0 }

  /// Keeps a committed row.
  package func keep(_ x: UnsafePointer<Float>, _ y: Float, path: Int, slot: Int, dimensions: Int) {
    let place = rows.pointer + (path * capacity + slot) * pitch
    place.update(from: x, count: dimensions)
    place[dimensions] = y
    if slot < written[path] { turns[path] += 1 }
    written[path] = max(written[path], slot + 1)
  }

  /// What the rows near an input say of it: those of the context, and those committed to the path that `row` reads.
  package func tell(_ row: Row, _ context: NearRows, _ inputs: NearInputs) -> LocalSpline.Told {
    let known = known(context, inputs)
    let spline = known.spline
    let shared = inputs.context === context ? inputs : nil
    inputs.x.withUnsafeBufferPointer { x in
      if let x = x.baseAddress { spline.move(to: x + row.input * context.dimensions) }
    }
    guard row.prefix != 0 else {
      if let shared { return shared.tell(row.input, spline) }
      context.show(to: spline)
      return spline.tell(context.law)
    }
    let place = row.path * known.size + row.input % known.size
    let last = known.entries[place]
    let again = last.input == row.input
    var shown = 0
    if again, last.turn == turns[row.path], let before = last.prefix, let prefix = row.prefix,
      before <= prefix
    {
      if before == prefix { return last.told }
      known.kept.give(place, to: spline)
      shown = before
    } else if let shared {
      shared.show(row.input, to: spline)
    } else {
      context.show(to: spline)
    }
    show(row, from: shown, to: spline)
    let told =
      if again, known.kept.holds(spline, at: place) {
        last.told
      } else if let shared, shared.holds(spline, at: row.input) {
        shared.tell(row.input, spline)
      } else {
        spline.tell(context.law)
      }
    known.kept.keep(spline, at: place)
    known.entries[place] = Known.Entry(
      input: row.input, prefix: row.prefix, turn: turns[row.path], told: told)
    return told
  }

  private func known(_ context: NearRows, _ inputs: NearInputs) -> Known {
    if let known, known.context === context, known.inputs === inputs { return known }
    let new = Known(context, inputs, paths: paths, capacity: capacity)
    known = new
    return new
  }

  /// Shows the slots that a row reads, from one on.
  private func show(_ row: Row, from first: Int, to spline: LocalSpline) {
    let own = rows.pointer + row.path * capacity * pitch
    row.forEachSlot(from: first) { spline.show(own + $0 * pitch) }
  }
}
