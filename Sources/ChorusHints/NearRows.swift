import ChorusData
import ChorusTensors

/// The rows of a context as they were observed, for the splines through those nearest to a point, with what all these
/// splines share. Made once for a context and shared by whoever asks it.
package final class NearRows: RowTellerContext {
  let dimensions: Int
  let neighbours: Int
  package let law: LocalSpline.Law
  private let index: RowIndex
  package var count: Int { index.count }

  package init(_ rows: NetworkRows, neighbours: Int) {
    let (x, y, dimensions) = (rows.x, rows.y, rows.dimensions)
    (self.dimensions, self.neighbours) = (dimensions, neighbours)
    let width = dimensions + 1
    let held = FloatBuffer(uninitialised: y.count * width)
    for row in y.indices {
      for column in 0..<dimensions { held.pointer[row * width + column] = x[row * dimensions + column] }
      held.pointer[row * width + dimensions] = y[row]
    }
    let sorted = (0..<Int32(y.count)).sorted {
      LocalSpline.precedes(held.pointer + Int($0) * width, held.pointer + Int($1) * width, dimensions)
    }
    index = RowIndex(held, dimensions: dimensions, sorted: sorted)
    law = LocalSpline(most: neighbours, dimensions: dimensions).law(index, sorted: sorted)
  }

  package func changed(to rows: NetworkRows, by some: NetworkRows, removing: Bool) -> any RowTellerContext {
    NearRows(rows, neighbours: neighbours)
  }

  package func asked(_ x: [Float]) -> (any RowTellerInputs)? { NearInputs(self, x: x) }

  /// Shows the rows that may be near, but for one of them.
  package func show(to spline: LocalSpline, except own: Int = -1) { index.show(to: spline, except: own) }

  package func tell(
    _ range: Range<Int>, into features: UnsafeMutablePointer<Float>, pitch: Int
  ) -> [Scaling.Unit?] {
    let spline = LocalSpline(most: neighbours, dimensions: dimensions)
    return range.enumerated().map { place, row in
      spline.move(to: index[row])
      show(to: spline, except: row)
      let told = spline.tell(law)
      told.write(to: features + place * pitch)
      return told.unit
    }
  }
}

/// The rows of a context near each input of a request: found once for all paths, orders and steps.
package final class NearInputs: RowTellerInputs {
  let context: NearRows
  /// The inputs themselves, `[count, dimensions]`.
  let x: [Float]
  let count: Int
  private let kept: LocalSpline.Kept
  /// What the context alone says of an input; nil until somebody asks.
  private let told: Lock<[LocalSpline.Told?]>

  /// - Parameter x: `[inputs, dimensions]`.
  package init(_ context: NearRows, x: [Float]) {
    self.context = context
    self.x = x
    let d = context.dimensions
    let count = x.count / max(d, 1)
    self.count = count
    var kept = LocalSpline.Kept(points: count, most: context.neighbours, dimensions: d)
    let spline = LocalSpline(most: context.neighbours, dimensions: d)
    x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return }
      for input in 0..<count {
        spline.move(to: x + input * d)
        context.show(to: spline)
        kept.keep(spline, at: input)
      }
    }
    self.kept = kept
    told = Lock([LocalSpline.Told?](repeating: nil, count: count))
  }

  /// Shows a spline at an input the rows of the context near it.
  func show(_ input: Int, to spline: LocalSpline) { kept.give(input, to: spline) }

  /// Whether a spline at an input holds rows of the context alone.
  func holds(_ spline: LocalSpline, at input: Int) -> Bool { kept.holds(spline, at: input) }

  /// What the context alone says of an input, where `spline` is.
  func tell(_ input: Int, _ spline: LocalSpline) -> LocalSpline.Told {
    if let known = told.withLock({ $0[input] }) { return known }
    show(input, to: spline)
    let new = spline.tell(context.law)
    told.withLock { $0[input] = new }
    return new
  }
}
