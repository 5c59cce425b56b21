import ChorusTensors

/// Rows with their values, in an order that finds those nearest to a point without looking at most of them: a k-d tree
/// (Friedman, Bentley and Finkel 1977), which along one dimension is the sorted rows.
///
/// A node is half of its parent's rows, parted along the side on which those are widest, with the box around them. Its
/// distance from a point is rounded the way a row's is, term by term, so it never exceeds that of a row inside.
struct RowIndex: Sendable {
  /// Rows that are looked through one by one.
  private static let leaf = 8

  let count: Int
  let dimensions: Int
  /// Rows as they were observed, each with its value: `[count, dimensions + 1]`.
  private let rows: FloatBuffer
  /// The rows from leaf to leaf.
  private let order: [Int32]
  /// Least and largest inputs of a node, `[nodes, 2, dimensions]`; those of its halves are at 2i + 1 and 2i + 2.
  private let boxes: [Float]

  /// - Parameters:
  ///   - rows: `[rows, dimensions + 1]`.
  ///   - sorted: the rows by their inputs.
  init(_ rows: FloatBuffer, dimensions: Int, sorted: [Int32]) {
    (self.rows, self.dimensions, count) = (rows, dimensions, sorted.count)
    var nodes = 1
    while nodes * Self.leaf < count { nodes *= 2 }
    var order = sorted
    var boxes = [Float](repeating: 0, count: (2 * nodes - 1) * 2 * dimensions)
    Self.divide(
      rows.pointer, dimensions, &order, 0..<count, node: 0, last: 2 * nodes - 2, boxes: &boxes)
    (self.order, self.boxes) = (order, boxes)
  }

  /// A row with its value, `[dimensions + 1]`.
  subscript(row: Int) -> UnsafePointer<Float> { UnsafePointer(rows.pointer + row * (dimensions + 1)) }

  // MARK: Building

  private static func divide(
    _ rows: UnsafePointer<Float>, _ dimensions: Int, _ order: inout [Int32], _ range: Range<Int>, node: Int,
    last: Int, boxes: inout [Float]
  ) {
    guard let first = range.first else { return }
    let width = dimensions + 1
    var (widest, extent): (Int, Float) = (0, -1)
    for column in 0..<dimensions {
      var least = rows[Int(order[first]) * width + column]
      var most = least
      for place in range {
        let x = rows[Int(order[place]) * width + column]
        (least, most) = (min(least, x), max(most, x))
      }
      boxes[2 * node * dimensions + column] = least
      boxes[(2 * node + 1) * dimensions + column] = most
      if most - least > extent { (widest, extent) = (column, most - least) }
    }
    guard 2 * node + 2 <= last else { return }
    let middle = (range.lowerBound + range.upperBound) / 2
    if dimensions > 1 { part(&order, range, at: middle) { rows[Int($0) * width + widest] } }
    divide(rows, dimensions, &order, range.lowerBound..<middle, node: 2 * node + 1, last: last, boxes: &boxes)
    divide(rows, dimensions, &order, middle..<range.upperBound, node: 2 * node + 2, last: last, boxes: &boxes)
  }

  /// Orders a part so that nothing before `middle` exceeds what is there, and nothing after is less (Hoare 1961).
  private static func part(
    _ order: inout [Int32], _ range: Range<Int>, at middle: Int, by key: (Int32) -> Float
  ) {
    var (low, high) = (range.lowerBound, range.upperBound - 1)
    while low < high {
      let pivot = key(order[middle])
      var (i, j) = (low, high)
      repeat {
        while key(order[i]) < pivot { i += 1 }
        while pivot < key(order[j]) { j -= 1 }
        if i <= j {
          order.swapAt(i, j)
          (i, j) = (i + 1, j - 1)
        }
      } while i <= j
      if j < middle { low = i }
      if middle < i { high = j }
    }
  }

  // MARK: Searching

  /// Shows a spline all rows that may be among those nearest to its point, but for one.
  func show(to spline: LocalSpline, except own: Int = -1) {
    order.withUnsafeBufferPointer { order in
      boxes.withUnsafeBufferPointer { boxes in
        guard let order = order.baseAddress, let boxes = boxes.baseAddress else { return }
        Search(
          index: self, order: order, boxes: boxes, last: self.boxes.count / (2 * dimensions) - 1, own: own
        )
        .visit(0, 0, count, spline)
      }
    }
  }

  private struct Search {
    let rows: UnsafePointer<Float>
    let dimensions: Int
    let order: UnsafePointer<Int32>
    let boxes: UnsafePointer<Float>
    let last: Int
    let own: Int

    init(
      index: RowIndex, order: UnsafePointer<Int32>, boxes: UnsafePointer<Float>, last: Int, own: Int
    ) {
      (rows, dimensions) = (UnsafePointer(index.rows.pointer), index.dimensions)
      (self.order, self.boxes, self.last, self.own) = (order, boxes, last, own)
    }

    func visit(_ node: Int, _ low: Int, _ high: Int, _ spline: LocalSpline) {
      guard 2 * node + 2 <= last else {
        for place in low..<high where Int(order[place]) != own {
          spline.show(rows + Int(order[place]) * (dimensions + 1))
        }
        return
      }
      let middle = (low + high) / 2
      let left = spline.square(to: boxes + (2 * node + 1) * 2 * dimensions)
      let right = spline.square(to: boxes + (2 * node + 2) * 2 * dimensions)
      // The nearer half first, so that the other one is more often too far away.
      if left <= right {
        if left <= spline.reach { visit(2 * node + 1, low, middle, spline) }
        if right <= spline.reach { visit(2 * node + 2, middle, high, spline) }
      } else {
        if right <= spline.reach { visit(2 * node + 2, middle, high, spline) }
        if left <= spline.reach { visit(2 * node + 1, low, middle, spline) }
      }
    }
  }
}
