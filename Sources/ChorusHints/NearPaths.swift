import ChorusData
import ChorusTensors

/// The committed rows of some paths, for the splines through those near to an input, and what these said last. Belongs to
/// one thread at a time.
///
/// An input is asked for before its value is committed, and often again when there is more to read. So the rows near it are
/// kept, and only those that have come since are shown; and where they are the same as the last time, which they always
/// are for a value committed right after it was drawn, what the splines said is kept too.
package final class NearPaths: RowTellerPaths {
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

  private let rows: PathRows
  /// For each path one more than the highest slot ever written, and how often one below it was written again.
  private var written: [Int]
  private var turns: [Int]
  private var known: Known?

  package init(_ rows: PathRows) {
    self.rows = rows
    written = [Int](repeating: 0, count: rows.paths)
    turns = [Int](repeating: 0, count: rows.paths)
  }

  /// Splines fitted for these paths, for tests of what is done twice.
  package var fitted: Int { known?.spline.fitted ?? 0 }

  package func keep(input: Int, _ value: Float, path: Int, slot: Int) {
    if slot < written[path] { turns[path] += 1 }
    written[path] = max(written[path], slot + 1)
  }

  package func tell(
    _ row: RowRead, _ context: any RowTellerContext, _ inputs: any RowTellerInputs,
    into features: UnsafeMutablePointer<Float>
  ) -> Scaling.Unit? {
    guard let known = known(context, inputs) else { return nil }
    let told = tell(row, known)
    told.write(to: features)
    return told.unit
  }

  /// What the rows near an input say of it: those of the context, and those committed to the path that `row` reads.
  private func tell(_ row: RowRead, _ known: Known) -> LocalSpline.Told {
    let (context, inputs, spline) = (known.context, known.inputs, known.spline)
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

  /// What is known in a context; nil for one of another teller.
  private func known(_ context: any RowTellerContext, _ inputs: any RowTellerInputs) -> Known? {
    if let known, known.context === context, known.inputs === inputs { return known }
    guard let context = context as? NearRows, let inputs = inputs as? NearInputs else { return nil }
    known = Known(context, inputs, paths: rows.paths, capacity: rows.capacity)
    return known
  }

  /// Shows the slots that a row reads, from one on.
  private func show(_ row: RowRead, from first: Int, to spline: LocalSpline) {
    row.forEachSlot(from: first) { spline.show(rows[row.path, $0]) }
  }
}
