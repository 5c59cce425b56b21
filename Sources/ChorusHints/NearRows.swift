import ChorusTensors

/// The rows of a context as they were observed, for the splines through those nearest to a point, with what all these
/// splines share. Made once for a context and shared by whoever asks it.
package final class NearRows: Sendable {
  let dimensions: Int
  let neighbours: Int
  package let law: LocalSpline.Law
  private let index: RowIndex
  package var count: Int { index.count }

  /// Rows `x` `[rows, dimensions]` and `y` in the network's units.
  package init(x: [Float], y: [Float], dimensions: Int, neighbours: Int) {
    (self.dimensions, self.neighbours) = (dimensions, neighbours)
    let width = dimensions + 1
    let rows = FloatBuffer(uninitialised: y.count * width)
    for row in y.indices {
      for column in 0..<dimensions { rows.pointer[row * width + column] = x[row * dimensions + column] }
      rows.pointer[row * width + dimensions] = y[row]
    }
    let sorted = (0..<Int32(y.count)).sorted {
      LocalSpline.precedes(rows.pointer + Int($0) * width, rows.pointer + Int($1) * width, dimensions)
    }
    index = RowIndex(rows, dimensions: dimensions, sorted: sorted)
    law = LocalSpline(most: neighbours, dimensions: dimensions).law(index, sorted: sorted)
  }

  /// With further rows, or (`removing`) without rows like these, one for each.
  package func changed(x more: [Float], y values: [Float], removing: Bool) -> NearRows {
    let width = dimensions + 1
    var kept = Array(0..<count)
    if removing {
      for row in values.indices {
        let place = kept.firstIndex { own in
          index[own][dimensions] == values[row]
            && (0..<dimensions).allSatisfy { index[own][$0] == more[row * dimensions + $0] }
        }
        if let place { kept.remove(at: place) }
      }
    }
    var (x, y) = ([Float](), [Float]())
    x.reserveCapacity(kept.count * dimensions + more.count)
    y.reserveCapacity(kept.count + values.count)
    for own in kept {
      let row = UnsafeBufferPointer(start: index[own], count: width)
      x.append(contentsOf: row.dropLast())
      y.append(row[dimensions])
    }
    if !removing {
      x += more
      y += values
    }
    return NearRows(x: x, y: y, dimensions: dimensions, neighbours: neighbours)
  }

  /// Shows the rows that may be near, but for one of them.
  package func show(to spline: LocalSpline, except own: Int = -1) { index.show(to: spline, except: own) }

  /// What the other rows say of those in `range`, `[range, width]`: `LocalSpline.rowFeatures` numbers, and zeros.
  package func judge(_ range: Range<Int>, into features: UnsafeMutablePointer<Float>, width: Int) {
    let spline = LocalSpline(most: neighbours, dimensions: dimensions)
    for (place, row) in range.enumerated() {
      spline.move(to: index[row])
      show(to: spline, except: row)
      spline.tell(law).judge(index[row][dimensions], into: features + place * width, width: width)
    }
  }
}

/// The rows of a context near each input of a request: found once for all paths, orders and steps.
package final class NearInputs: Sendable {
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
