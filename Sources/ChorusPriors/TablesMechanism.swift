import ChorusTensors
import Foundation

/// One column of a table: a value per row.
typealias Column = [Double]

/// How the columns of a table follow from others: the functions of a random causal graph.
enum Mechanism: CaseIterable {
  case linear, network, trees, waves, product

  static func draw(from stream: inout RandomStream) -> Mechanism {
    allCases[stream.choice(weights: [0.2, 0.3, 0.25, 0.17, 0.08])]
  }

  /// `count` columns that follow from `parents`, which are standardised and at least one.
  static func draw(_ count: Int, of parents: [Column], from stream: inout RandomStream) -> [Column] {
    let mechanism = draw(from: &stream)
    let used = min(parents.count, 2 + stream.geometric(0.35))
    switch mechanism {
    case .linear:
      return (0..<count).map { _ in sum(of: parents, about: used, &stream) }
    case .network:
      return network(count, of: parents, about: used, &stream)
    case .trees, .waves, .product:
      return (0..<count).map { _ in
        let chosen = stream.sample(used, of: parents.count).map { parents[$0] }
        switch mechanism {
        case .trees: return trees(of: chosen, &stream)
        case .waves: return waves(of: chosen, &stream)
        default: return product(chosen[0], chosen[chosen.count - 1])
        }
      }
    }
  }

  /// One standardised column that follows from `parents`.
  static func one(of parents: [Column], from stream: inout RandomStream) -> Column {
    var column = draw(1, of: parents, from: &stream)[0]
    column.standardise()
    return column
  }

  /// A sum with normal weights of about `used` of the columns, and of one at least.
  static func sum(of parents: [Column], about used: Int, _ stream: inout RandomStream) -> Column {
    var sum = Column(repeating: 0, count: parents[0].count)
    let share = max(Double(used) / Double(parents.count), 0.15)
    var empty = true
    for parent in parents where stream.uniform() < share {
      sum.add(parent, times: stream.normal())
      empty = false
    }
    if empty { sum.add(parents[stream.below(parents.count)], times: stream.normal()) }
    return sum
  }

  /// A network with one hidden layer, whose units have one of two activations.
  private static func network(
    _ count: Int, of parents: [Column], about used: Int, _ stream: inout RandomStream
  ) -> [Column] {
    var outputs = [Column](repeating: Column(repeating: 0, count: parents[0].count), count: count)
    let gain = exp(0.5 * stream.normal())
    let activations = (Activation.draw(from: &stream), Activation.draw(from: &stream))
    for unit in 0..<Int(stream.logUniform(in: 3...33)) {
      var hidden = sum(of: parents, about: used, &stream)
      hidden.standardise()
      hidden.scale(by: gain, plus: 0.7 * stream.normal())
      (unit % 2 == 0 ? activations.0 : activations.1).apply(to: &hidden)
      let size = stream.exponential()
      for output in outputs.indices { outputs[output].add(hidden, times: size * stream.normal()) }
    }
    return outputs
  }

  /// A sum of oblivious trees: every node of a level asks the same question.
  private static func trees(of parents: [Column], _ stream: inout RandomStream) -> Column {
    let rows = parents[0].count
    var sum = Column(repeating: 0, count: rows)
    var leaf = [Int](repeating: 0, count: rows)
    for _ in 0..<Int(stream.logUniform(in: 1...21)) {
      let depth = stream.integer(in: 1...5)
      leaf.withUnsafeMutableBufferPointer { leaf in
        leaf.update(repeating: 0)
        for level in 0..<depth {
          let asked = parents[stream.below(parents.count)]
          let cut = asked[stream.below(rows)]
          asked.withUnsafeBufferPointer { asked in
            for row in 0..<rows { leaf[row] |= asked[row] > cut ? 1 << level : 0 }
          }
        }
      }
      let values = stream.normals(1 << depth)
      for row in 0..<rows { sum[row] += values[leaf[row]] }
    }
    return sum
  }

  /// A sum of waves of random directions: about a Gaussian process, with an RBF kernel or a rougher one.
  private static func waves(of parents: [Column], _ stream: inout RandomStream) -> Column {
    let rows = parents[0].count
    let length = stream.logUniform(in: 0.5...4) * Double(parents.count).squareRoot()
    var weights = parents.map { _ in stream.exponential() }
    let largest = max(weights.max() ?? 1, 1e-9)
    for index in weights.indices { weights[index] /= largest * length * 2 * Double.pi }
    let rough = stream.uniform() < 0.5
    var sum = Column(repeating: 0, count: rows)
    var turns = sum
    for _ in 0..<32 {
      turns.fill(stream.uniform())
      let factor = rough ? 1 / (stream.gamma(1.5) / 1.5 + 1e-3).squareRoot() : 1
      for (parent, weight) in zip(parents, weights) {
        turns.add(parent, times: factor * weight * stream.normal())
      }
      sum.addWave(turns, times: stream.normal())
    }
    return sum
  }

  private static func product(_ a: Column, _ b: Column) -> Column {
    var product = a
    product.withUnsafeMutableBufferPointer { product in
      b.withUnsafeBufferPointer { b in
        for row in product.indices { product[row] *= b[row] }
      }
    }
    return product
  }
}

/// A function of one number, as in the nodes of a network.
enum Activation: CaseIterable {
  case tanh, positive, identity, sine, absolute, bent, bell, sign, logarithm, step, logistic

  static func draw(from stream: inout RandomStream) -> Activation {
    allCases[stream.below(allCases.count)]
  }

  func apply(to column: inout Column) {
    switch self {
    case .tanh: column.transform { Foundation.tanh($0) }
    case .positive: column.transform { max($0, 0) }
    case .identity: break
    case .sine: column.transform { sin($0) }
    case .absolute: column.transform { abs($0) }
    case .bent: column.transform { $0 * $0 / (1 + abs($0)) }
    case .bell: column.transform { exp(-$0 * $0) }
    case .sign: column.transform { $0 < 0 ? -1 : 1 }
    case .logarithm: column.transform { log1p(abs($0)) }
    case .step: column.transform { $0 > 0.3 ? 1 : 0 }
    case .logistic: column.transform { 1 / (1 + exp(-3 * $0)) }
    }
  }
}

/// Noise of mean 0 and variance 1.
enum NoiseLaw {
  case normal
  case student(degrees: Double)
  case gamma(shape: Double, sign: Double)
  case laplace

  static func draw(from stream: inout RandomStream) -> NoiseLaw {
    switch stream.choice(weights: [0.55, 0.2, 0.15, 0.1]) {
    case 0: return .normal
    case 1: return .student(degrees: stream.uniform(in: 2.5...8))
    case 2: return .gamma(shape: stream.uniform(in: 0.8...6), sign: stream.uniform() < 0.5 ? -1 : 1)
    default: return .laplace
    }
  }

  func values(_ count: Int, from stream: inout RandomStream) -> Column {
    switch self {
    case .normal: return stream.normals(count)
    case .student(let degrees):
      let unit = ((degrees - 2) / 2).squareRoot()
      return (0..<count).map { _ in
        unit * stream.normal() / max(stream.gamma(degrees / 2), 1e-12).squareRoot()
      }
    case .gamma(let shape, let sign):
      let unit = sign / shape.squareRoot()
      return (0..<count).map { _ in unit * (stream.gamma(shape) - shape) }
    case .laplace:
      return (0..<count).map { _ in
        (stream.uniform() < 0.5 ? -1 : 1) * stream.exponential() / 2.0.squareRoot()
      }
    }
  }
}

extension Column {
  /// The same function of every value.
  @inline(__always)
  mutating func transform(_ function: (Double) -> Double) {
    withUnsafeMutableBufferPointer { values in
      for row in values.indices { values[row] = function(values[row]) }
    }
  }

  mutating func fill(_ value: Double) {
    withUnsafeMutableBufferPointer { $0.update(repeating: value) }
  }

  mutating func scale(by factor: Double, plus constant: Double = 0) {
    transform { factor * $0 + constant }
  }

  /// Adds `factor` times a column of the same length.
  mutating func add(_ column: Column, times factor: Double) {
    withUnsafeMutableBufferPointer { values in
      column.withUnsafeBufferPointer { column in
        for row in values.indices { values[row] += factor * column[row] }
      }
    }
  }

  /// Adds `factor` times the cosine of a number of turns, to about 1e-4.
  ///
  /// A polynomial: the library's cosine takes half of the time of a table.
  mutating func addWave(_ turns: Column, times factor: Double) {
    withUnsafeMutableBufferPointer { values in
      turns.withUnsafeBufferPointer { turns in
        for row in values.indices {
          // Adding and taking away 1.5 · 2^52 rounds to a whole number.
          let turn = turns[row]
          let part = turn - ((turn + 0x1.8p52) - 0x1.8p52)
          let square = 39.478_417_604_357_43 * part * part
          let cosine =
            1 - square
            * (1.0 / 2
              - square
              * (1.0 / 24 - square
                * (1.0 / 720 - square * (1.0 / 40320 - square * (1.0 / 3_628_800 - square / 479_001_600)))))
          values[row] += factor * cosine
        }
      }
    }
  }

  /// Mean and standard deviation; zeros when there are no rows.
  var moments: (mean: Double, deviation: Double) {
    guard !isEmpty else { return (0, 0) }
    return withUnsafeBufferPointer { values in
      // Four sums, so that additions need not wait for each other.
      var sums = SIMD4<Double>()
      let whole = values.count / 4 * 4
      for row in stride(from: 0, to: whole, by: 4) {
        sums += SIMD4(values[row], values[row + 1], values[row + 2], values[row + 3])
      }
      var total = sums.sum()
      for row in whole..<values.count { total += values[row] }
      let mean = total / Double(values.count)
      var squares = SIMD4<Double>()
      for row in stride(from: 0, to: whole, by: 4) {
        let off = SIMD4(values[row], values[row + 1], values[row + 2], values[row + 3]) - mean
        squares += off * off
      }
      var square = squares.sum()
      for row in whole..<values.count { square += (values[row] - mean) * (values[row] - mean) }
      return (mean, (square / Double(values.count)).squareRoot())
    }
  }

  /// To mean 0 and deviation 1; a constant column to 0.
  mutating func standardise() {
    let (mean, deviation) = moments
    let factor = 1 / (deviation + 1e-6)
    transform { ($0 - mean) * factor }
  }

  var standardised: Column {
    var column = self
    column.standardise()
    return column
  }

  /// The value below which `share` of the values lie, by rank.
  func quantile(_ share: Double) -> Double {
    let order = sorted()
    guard let last = order.indices.last else { return 0 }
    return order[Swift.min(Int(share * Double(last)), last)]
  }
}

extension RandomStream {
  /// An exponential number of mean 1.
  mutating func exponential() -> Double { -log1p(-uniform()) }

  /// The number of failures before a success of probability `success`, at most 64.
  mutating func geometric(_ success: Double) -> Int {
    Int(min(log1p(-uniform()) / log1p(-success), 64))
  }

  /// A gamma number of scale 1.
  ///
  /// Source: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM Transactions on Mathematical
  /// Software 26 (2000) 363-372; shapes below 1 by their section 6.
  mutating func gamma(_ shape: Double) -> Double {
    guard shape >= 1 else { return gamma(shape + 1) * pow(1 - uniform(), 1 / shape) }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal()
      let root = 1 + c * x
      guard root > 0 else { continue }
      let v = root * root * root
      if log(1 - uniform()) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
    }
  }
}
