import ChorusTensors
import Foundation

/// Where a function is seen and asked about, on [-√3, √3] in every dimension.
///
/// In `gap` (mostly) and `future` the partition follows the geometry: the context lies outside the gap or in the
/// past, buffer and targets in random order in the gap or the future. In all others it is random.
public enum InputLayout: String, Sendable, Hashable, CaseIterable {
  /// Independent uniform points.
  case uniform
  /// Equally spaced points; beyond one dimension a random part of a lattice.
  case grid
  /// Normal clouds around two to six centres.
  case clusters
  /// A gap of 0.1 to 0.5 of one dimension. In 0.3 of the tasks nothing at all lies in it.
  case gap
  /// The last 0.05 to 0.5 of one dimension is asked about. Spaced equally in half of the tasks.
  case future

  /// Half the width of the domain.
  static let half = 3.0.squareRoot()

  static func draw(from stream: inout RandomStream) -> InputLayout {
    allCases[stream.choice(weights: [0.3, 0.2, 0.15, 0.15, 0.2])]
  }

  /// Inputs of a task, row-major, in the order context, buffer, targets.
  func points(_ shape: TaskShape, from stream: inout RandomStream) -> [Double] {
    let d = shape.dimensions
    let (context, asked) = (shape.context, shape.buffer + shape.targets)
    switch self {
    case .uniform:
      return Region(d).points(shape.rows, spaced: false, from: &stream)
    case .grid:
      return Region(d).points(shape.rows, spaced: true, from: &stream)
    case .clusters:
      return clusters(shape.rows, d, from: &stream)
    case .gap:
      let axis = stream.below(d)
      let width = stream.uniform(in: 0.1...0.5)
      let start = stream.uniform(in: 0.05...(0.95 - width))
      let spaced = stream.uniform() < 0.5
      let outside = Region(d, axis: axis, parts: [0...start, (start + width)...1])
      if stream.uniform() < 0.3 { return outside.points(shape.rows, spaced: spaced, from: &stream) }
      let inside = Region(d, axis: axis, parts: [start...(start + width)])
      return outside.points(context, spaced: spaced, from: &stream)
        + inside.points(asked, spaced: spaced, from: &stream)
    case .future:
      let axis = stream.below(d)
      let now = stream.uniform(in: 0.5...0.95)
      let spaced = stream.uniform() < 0.5
      return Region(d, axis: axis, parts: [0...now]).points(context, spaced: spaced, from: &stream)
        + Region(d, axis: axis, parts: [now...1]).points(asked, spaced: spaced, from: &stream)
    }
  }

  private func clusters(_ count: Int, _ d: Int, from stream: inout RandomStream) -> [Double] {
    let number = stream.integer(in: 2...6)
    var centres = [[Double]]()
    var widths = [Double]()
    var weights = [Double]()
    for _ in 0..<number {
      centres.append((0..<d).map { _ in stream.uniform(in: -Self.half...Self.half) })
      widths.append(stream.logUniform(in: 0.02...0.4))
      weights.append(stream.uniform(in: 0.2...1))
    }
    var x = [Double]()
    for _ in 0..<count {
      let cluster = stream.choice(weights: weights)
      for k in 0..<d { x.append(centres[cluster][k] + widths[cluster] * stream.normal()) }
    }
    return x
  }
}

/// A part of the domain: along one axis some intervals of [0, 1], along the others everything.
private struct Region {
  let dimensions: Int
  let axis: Int
  let parts: [ClosedRange<Double>]

  init(_ dimensions: Int, axis: Int = 0, parts: [ClosedRange<Double>] = [0...1]) {
    self.dimensions = dimensions
    self.axis = axis
    self.parts = parts
  }

  /// `count` points in random order, uniform, or a random part of the smallest lattice that holds them.
  func points(_ count: Int, spaced: Bool, from stream: inout RandomStream) -> [Double] {
    var x = [Double]()
    x.reserveCapacity(count * dimensions)
    guard spaced else {
      for _ in 0..<count {
        for k in 0..<dimensions { x.append(place(stream.uniform(), k)) }
      }
      return x
    }
    var side = 1
    while power(side) < count { side += 1 }
    for var cell in stream.sample(count, of: power(side)) {
      for k in 0..<dimensions {
        x.append(place((Double(cell % side) + 0.5) / Double(side), k))
        cell /= side
      }
    }
    return x
  }

  private func power(_ side: Int) -> Int {
    (0..<dimensions).reduce(1) { product, _ in product * side }
  }

  /// The coordinate at fraction `t` of the region's extent along dimension `k`.
  private func place(_ t: Double, _ k: Int) -> Double {
    var fraction = t
    if k == axis {
      var rest = t * parts.reduce(0) { $0 + $1.upperBound - $1.lowerBound }
      fraction = parts.last?.upperBound ?? t
      for part in parts {
        let width = part.upperBound - part.lowerBound
        if rest < width {
          fraction = part.lowerBound + rest
          break
        }
        rest -= width
      }
    }
    return InputLayout.half * (2 * fraction - 1)
  }
}
