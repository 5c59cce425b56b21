extension Plan {
  /// Which target stands at each position.
  public enum Order: Sendable, Hashable, Codable {
    /// Each path has its own permutation, from its random stream.
    case random
    /// Position to target, the same for all paths.
    case fixed([Int])

    func check(targets: Int) throws(PlanError) {
      guard case .fixed(let order) = self else { return }
      var named = [Bool](repeating: false, count: targets)
      for target in order {
        guard named.indices.contains(target), !named[target] else { throw .notAnOrder(targets: targets) }
        named[target] = true
      }
      guard order.count == targets else { throw .notAnOrder(targets: targets) }
    }
  }

  /// Where the targets lie, for orders and plans that go by distance.
  public struct Geometry: Sendable, Hashable {
    /// The inputs, `[targets, dimensions]`.
    public let inputs: [Double]
    public let dimensions: Int

    /// - Throws: `PlanError.geometry` for inputs that are no whole number of rows, or not finite.
    public init(inputs: [Double], dimensions: Int) throws(PlanError) {
      guard dimensions >= 1 else { throw .geometry("a target has at least 1 input, not \(dimensions)") }
      guard inputs.count.isMultiple(of: dimensions) else {
        throw .geometry("\(inputs.count) inputs are no whole number of rows of \(dimensions)")
      }
      if let bad = inputs.firstIndex(where: { !$0.isFinite }) {
        throw .geometry("an input of target \(bad / dimensions) is not a finite number")
      }
      self.inputs = inputs
      self.dimensions = dimensions
    }

    /// Targets equally spaced along a line, in the order given.
    static func line(_ targets: Int) throws(PlanError) -> Geometry {
      try Geometry(inputs: (0..<targets).map(Double.init), dimensions: 1)
    }

    public var targets: Int { inputs.count / dimensions }

    /// The targets sorted by their first input, then the second and so on; equal ones as given.
    var leftToRight: [Int] {
      if dimensions == 1 {
        return inputs.indices.sorted { (inputs[$0], $0) < (inputs[$1], $1) }
      }
      return (0..<targets).sorted { a, b in
        for axis in 0..<dimensions {
          let (x, y) = (inputs[a * dimensions + axis], inputs[b * dimensions + axis])
          if x != y { return x < y }
        }
        return a < b
      }
    }

    /// What a step along each axis counts: one over the range of its inputs.
    var scales: [Double] {
      (0..<dimensions).map { axis in
        let column = stride(from: axis, to: inputs.count, by: dimensions).lazy.map { inputs[$0] }
        let range = (column.max() ?? 0) - (column.min() ?? 0)
        return range > 0 && range.isFinite ? 1 / range : 1
      }
    }

    /// The square of the distance between two targets.
    func distance(_ a: Int, _ b: Int, _ scales: [Double]) -> Double {
      var distance = 0.0
      for axis in 0..<dimensions {
        let step = (inputs[a * dimensions + axis] - inputs[b * dimensions + axis]) * scales[axis]
        distance += step * step
      }
      return distance
    }

    /// No more targets than this are ordered by distance in several dimensions, which takes K² steps.
    static let maximumSpread = 1 << 14

    /// The targets so that each is as far as possible from those before it (farthest-point order); the first is the
    /// leftmost. Axes count by the range of their inputs.
    func farthestFirst() throws(PlanError) -> [Int] {
      try ChorusPlans.check(targets, "targets ordered by distance", in: 0...Self.maximumSpread)
      let ranks = leftToRight
      guard var last = ranks.first else { return [] }
      let scales = scales
      var nearest = [Double](repeating: .infinity, count: targets)
      var order = [last]
      nearest[last] = -1
      while order.count < targets {
        var far = -1
        for target in ranks where nearest[target] >= 0 {
          let distance = distance(target, last, scales)
          nearest[target] = min(nearest[target], distance)
          if far < 0 || nearest[target] > nearest[far] { far = target }
        }
        order.append(far)
        nearest[far] = -1
        last = far
      }
      return order
    }
  }
}
