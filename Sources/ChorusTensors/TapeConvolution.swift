/// A causal convolution of every column by itself: out[r] = Σ_i taps[i] ⊙ x[r − i], of rows one after another.
public enum ShortConvolution {
  /// out = Σ_i taps[i] ⊙ rows[i], where row 0 is the newest and rows before the first of a sequence are left out.
  ///
  /// - Parameters:
  ///   - columns: of `taps`, `[rows.count or more, columns]`, and of every row.
  ///   - out: none of the rows.
  public static func apply(
    _ columns: Int, taps: UnsafePointer<Float>, newest count: Int, into out: UnsafeMutablePointer<Float>,
    row: (Int) -> UnsafePointer<Float>
  ) {
    out.update(repeating: 0, count: columns)
    for index in 0..<count { add(columns, taps + index * columns, row(index), to: out) }
  }

  /// out += a ⊙ b.
  @inline(__always)
  static func add(
    _ count: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<count { out[i] += a[i] * b[i] }
  }
}

extension Tape {
  /// Rows of one sequence whose first columns, as many as `taps` has, take in the rows before them; the other columns stay as
  /// they are. `taps` is `[rows taken in, columns]`, the first for the row itself.
  public func convolve(_ x: Node, taps: Parameter) -> Node {
    let out = arena.floats(x.rows * x.columns)
    let from = values(x)
    for row in 0..<x.rows {
      let own = out + row * x.columns
      own.update(from: from + row * x.columns, count: x.columns)
      ShortConvolution.apply(
        taps.columns, taps: weights[taps], newest: min(taps.rows, row + 1), into: own
      ) { UnsafePointer(from + (row - $0) * x.columns) }
    }
    return append(.convolve(x: x, taps: taps), out, x.rows, x.columns, reads: [x])
  }

  func backwardConvolve(
    _ dy: UnsafeMutablePointer<Float>, _ x: Node, _ taps: Parameter, _ gradients: UnsafeMutablePointer<Float>
  ) {
    let (columns, width, from) = (taps.columns, x.columns, values(x))
    let dx = gradient(x)
    for row in 0..<x.rows {
      let slope = dy + row * width
      for index in 0..<min(taps.rows, row + 1) {
        let before = (row - index) * width
        ShortConvolution.add(
          columns, slope, from + before, to: gradients + taps.offset + index * columns)
        if let dx { ShortConvolution.add(columns, slope, weights[taps] + index * columns, to: dx + before) }
      }
      if let dx { for column in columns..<width { dx[row * width + column] += slope[column] } }
    }
  }
}
