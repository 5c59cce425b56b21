import ChorusLayers
import ChorusPlans
import ChorusTensors
import Foundation

/// Points at equal distances along one input, which rows are spread on and targets read from. A function of the rows alone, so
/// that what is said of a target does not depend on the others.
struct LineGrid: Equatable {
  /// The first point, and points to a unit of the input; point i is at (first + i)/density.
  private(set) var first: Double
  private(set) var density: Double
  private(set) var count: Int

  /// Points at most; a longer line has fewer of them to a unit.
  static let most = 4096
  /// How far the grid goes beyond the rows.
  static let margin = 1.0
  /// What is spread of a row on the points near it: that it is there, its value, and how far from the point it is.
  static let channels = 3
  /// A row reaches the points within so many steps.
  private static let reach = 4.0

  init(_ x: [Float], density: Double) {
    let known = x.lazy.map(Double.init).filter(\.isFinite)
    let (low, high) = ((known.min() ?? 0) - Self.margin, (known.max() ?? 0) + Self.margin)
    var density = density
    while (high - low) * density > Double(Self.most - 2) { density /= 2 }
    self.density = density
    first = (low * density).rounded(.down)
    count = min(Int((high * density).rounded(.up) - first) + 1, Self.most)
  }

  /// Where an input is, counted in points from the first; beyond the ends, at the end.
  private func place(_ x: Float) -> Double {
    let place = Double(x) * density - first
    return place.isFinite ? min(max(place, 0), Double(count - 1)) : 0
  }

  /// Calls `body` with the points near a place, and what a row there weighs at each: exp(−d²/2), d in steps.
  private func near(_ place: Double, _ body: (Int, Double) -> Void) {
    let points = max(Int((place - Self.reach).rounded(.up)), 0)...min(Int(place + Self.reach), count - 1)
    for point in points {
      let distance = Double(point) - place
      body(point, exp(-distance * distance / 2))
    }
  }

  /// What the rows say at every point, `[count, channels]` (SetConv, Gordon et al. 2020, eq. 4): log(1 + Σψ), Σψy/Σψ, and
  /// Σψd/Σψ with d the way from the point to the row in steps.
  func spread(x: [Float], y: [Float]) -> [Float] {
    var (weights, values, ways) = (
      [Double](repeating: 0, count: count), [Double](repeating: 0, count: count),
      [Double](repeating: 0, count: count)
    )
    for (x, y) in zip(x, y) {
      let place = place(x)
      near(place) { point, weight in
        weights[point] += weight
        values[point] += weight * Double(y)
        ways[point] += weight * (place - Double(point))
      }
    }
    return (0..<count).flatMap { point -> [Float] in
      let weight = weights[point]
      return weight > 0
        ? [Float(log1p(weight)), Float(values[point] / weight), Float(ways[point] / weight)] : [0, 0, 0]
    }
  }

  /// How much of each point an input reads; the sum is 1.
  func reads(_ x: Float) -> [(point: Int, weight: Double)] {
    var reads: [(point: Int, weight: Double)] = []
    near(place(x)) { reads.append(($0, $1)) }
    let sum = reads.reduce(0) { $0 + $1.weight }
    return reads.map { ($0.point, $0.weight / sum) }
  }
}

/// The parameters of a convolutional network on a grid (ConvCNP, Gordon et al. 2020), as handles that both forms of its passes
/// share.
///
/// Rows are spread on a grid, every point becomes a representation, blocks of a norm and a perceptron of five points take it
/// on, each with the points farther apart, and a target reads the points near it.
struct GridLayers<H: Head>: Sendable {
  let blueprint: Blueprint
  let inputs: FeedForward
  let blocks: [(norm: Norm, feed: FeedForward)]
  let last: Norm
  let head: H

  /// Points that a block reads for one, by their distance in units of the block's.
  static var taps: [Int] { [-2, -1, 0, 1, 2] }
  /// How far apart the points are that a block reads.
  static func step(_ block: Int) -> Int { 1 << (block % 6) }

  /// - Parameter head: makes the head of rows that wide with a hidden layer.
  init(
    _ blueprint: Blueprint, head: (_ width: Int, _ hidden: Int, inout ParameterScope) -> H,
    _ scope: inout ParameterScope
  ) {
    self.blueprint = blueprint
    let d = blueprint.width
    inputs = scope.nested("embed") {
      FeedForward(LineGrid.channels, hidden: blueprint.embedderHidden, d, &$0)
    }
    let shrink = 1 / Double(blueprint.layers).squareRoot()
    blocks = (0..<blueprint.layers).map { index in
      scope.nested("block.\(index)") { scope in
        (
          Norm("norm", d, &scope),
          FeedForward(Self.taps.count * d, hidden: blueprint.feedForward, d, shrink: shrink, &scope)
        )
      }
    }
    last = Norm("final.norm", d, &scope)
    self.head = scope.nested("head") { head(d, blueprint.headHidden, &$0) }
  }

  /// A row counts as a point of the grid, which has more of them than there are rows as a rule.
  var rates: WorkRates {
    WorkRates(
      layers: blocks.map { WorkRates.Layer(stored: 0, asked: $0.feed.work, read: 0) },
      input: WorkRates.Embedding(first: 0, rest: inputs.work), value: WorkRates.Embedding(first: 0, rest: 0),
      head: head.map.work, held: WorkRates.Held(row: blueprint.width))
  }

  /// The representations that inputs read of rows, `[reading.count, width]`.
  func record(x: [Float], y: [Float], reading: [Float], on tape: Tape) -> Node {
    let grid = LineGrid(x, density: Double(blueprint.gridDensity))
    var h = inputs.record(
      tape.constant(grid.spread(x: x, y: y), rows: grid.count, columns: LineGrid.channels), on: tape)
    for (index, block) in blocks.enumerated() {
      let normed = block.norm.record(h, on: tape)
      let taps = Self.taps.map { tap in
        let away = tap * Self.step(index)
        let places = (0..<grid.count).map { (0..<grid.count).contains($0 + away) ? Int32($0 + away) : -1 }
        return tape.gather([.node(normed, places)], rows: grid.count, columns: blueprint.width)
      }
      h = block.feed.record(tape.beside(taps), residual: h, on: tape)
    }
    h = last.record(h, on: tape)
    return tape.matrices(rows: reading.count, columns: blueprint.width, reads: [h]) { pass in
      let m = pass.matrices
      let weights = m.input(reading.count, grid.count, learns: false) { values in
        values.update(repeating: 0, count: reading.count * grid.count)
        for (row, x) in reading.enumerated() {
          for read in grid.reads(x) { values[row * grid.count + read.point] = read.weight }
        }
      }
      let points = pass.input(h, rows: 0..<grid.count, columns: 0..<blueprint.width)
      pass.emit(m.multiply(weights, points), row: 0, column: 0)
    }
  }
}
