import ChorusData
import ChorusTensors
import Foundation

/// What the rows nearest to a point say of the value there: splines through them, each with the standard deviation of its
/// error.
///
/// A polyharmonic spline (Duchon 1977) is the best linear prediction of an intrinsic random function with the generalised
/// covariance −c·|h|, c·|h|³ or −c·|h|⁵, which may have any constant, line or parabola besides (Matheron 1973), seen with
/// noise of variance c·ν. It knows no length-scale. With n rows and q monomials, B the block of rows in the inverse of the
/// spline's matrix A, restricted likelihood (Patterson and Thompson 1971) has c = yᵀBy/(n − q) at every point, and ν
/// (`Law`, the same at all points) has the weights |A|^−½ (yᵀBy)^−½(n − q).
/// Far from any row the error grows as the spline's own does.
///
/// Only the nearest rows count, so a point costs O(rows) to find them and a fixed sum to go through them. An object is the
/// room for one point after the other and belongs to one thread.
final class LocalSpline {
  /// A generalised covariance sign·|h|^power and the degree of what a function may have besides.
  struct Form {
    let power: Int
    let sign: Double
    let degree: Int
  }

  static let forms = [
    Form(power: 1, sign: -1, degree: 0), Form(power: 3, sign: 1, degree: 1),
    Form(power: 5, sign: -1, degree: 2),
  ]
  /// The form that a head predicts around.
  static let centre = 1
  /// What a network is told of a point: the value of the spline at the centre; half the logarithms of the units; a quarter of the
  /// distances of the other splines from it, in its unit; half the logarithm of its noise.
  static let features = 2 * forms.count + 1
  /// The same of a row and its own value, by the other rows: besides, a quarter of its distance from the centre, in the unit, and
  /// half the logarithm of that distance.
  static let rowFeatures = features + 2
  /// In the network's units: the error of a spline that meets every row it was not shown.
  static let leastUnit = 0.001
  /// The same of one that knows nothing, and the largest value it is believed to foretell.
  static let mostUnit = 8.0
  static let mostValue = 4.0
  /// Added to every ν, in units of the covariance between the point and its farthest row: rows at one place may differ.
  private static let nugget = 1e-8
  /// How loosely the monomials are held to, so that rows on a line, or at one place, have an answer too.
  private static let slack = 1e-9

  private let most: Int
  let dimensions: Int
  private var count = 0
  // The nearest rows, nearest first: |h|², the row `[dimensions]` and its value.
  private let squares: UnsafeMutablePointer<Float>
  private let rows: UnsafeMutablePointer<Float>
  private let values: UnsafeMutablePointer<Float>
  private let point: UnsafeMutablePointer<Float>
  /// Rows less the point, `[count, dimensions]`, in units of the farthest one's distance.
  private let steps: UnsafeMutablePointer<Double>
  /// Squares of the distances between rows, and to the point as one row more, in those units, and their roots:
  /// `[count + 1, most + 1]`, below the diagonal.
  private let between: UnsafeMutablePointer<Double>
  private let lengths: UnsafeMutablePointer<Double>
  /// The matrix bordered by what two right sides are multiplied with: `[size + 2, pitch(size)]`.
  private let system: UnsafeMutablePointer<Double>
  /// Its memory, which begins at a line of the cache: registers that straddle two lines halve the speed.
  private let memory: UnsafeMutableRawPointer

  /// - Parameter most: rows that a spline goes through, the nearest ones.
  init(most: Int, dimensions: Int) {
    self.most = most
    self.dimensions = dimensions
    let size = most + Self.monomials(degree: 2, dimensions)
    squares = .allocate(capacity: most)
    values = .allocate(capacity: most)
    rows = .allocate(capacity: most * dimensions)
    point = .allocate(capacity: dimensions)
    steps = .allocate(capacity: (most + 1) * dimensions)
    between = .allocate(capacity: (most + 1) * (most + 1))
    lengths = .allocate(capacity: (most + 1) * (most + 1))
    let numbers = (size + 2) * Self.pitch(size)
    memory = .allocate(byteCount: numbers * MemoryLayout<Double>.stride, alignment: 64)
    system = memory.bindMemory(to: Double.self, capacity: numbers)
  }

  deinit {
    for pointer in [squares, rows, values, point] { pointer.deallocate() }
    for pointer in [steps, between, lengths] { pointer.deallocate() }
    memory.deallocate()
  }

  static func monomials(degree: Int, _ dimensions: Int) -> Int {
    switch degree {
    case 0: 1
    case 1: 1 + dimensions
    default: 1 + dimensions + dimensions * (dimensions + 1) / 2
    }
  }

  // MARK: The nearest rows

  /// Goes to another point, with no rows yet.
  func move(to x: UnsafePointer<Float>) {
    for column in 0..<dimensions { point[column] = x[column] }
    count = 0
  }

  /// Shows a row `[dimensions]` with its value; it is kept while it is among the nearest. Rows that are as near are told apart by
  /// their numbers, so that nothing depends on their order.
  func show(_ row: UnsafePointer<Float>, _ value: Float) {
    var square: Float = 0
    for column in 0..<dimensions {
      let difference = row[column] - point[column]
      square += difference * difference
    }
    if count == most, square > squares[most - 1] { return }
    insert(row, value, square)
  }

  private func insert(_ row: UnsafePointer<Float>, _ value: Float, _ square: Float) {
    var place = count
    while place > 0, precedes(row, value, square, place - 1) { place -= 1 }
    guard place < most else { return }
    if count < most { count += 1 }
    for index in stride(from: count - 1, to: place, by: -1) {
      squares[index] = squares[index - 1]
      values[index] = values[index - 1]
      for column in 0..<dimensions {
        rows[index * dimensions + column] = rows[(index - 1) * dimensions + column]
      }
    }
    squares[place] = square
    values[place] = value
    for column in 0..<dimensions { rows[place * dimensions + column] = row[column] }
  }

  private func precedes(_ row: UnsafePointer<Float>, _ value: Float, _ square: Float, _ index: Int) -> Bool {
    if square != squares[index] { return square < squares[index] }
    for column in 0..<dimensions where row[column] != rows[index * dimensions + column] {
      return row[column] < rows[index * dimensions + column]
    }
    return value < values[index]
  }

  // MARK: Splines

  /// What the rows shown say of the point.
  ///
  /// - Parameter features: gets `LocalSpline.features` numbers for a network.
  /// - Returns: the unit to predict it in.
  func tell(_ law: Law, into features: UnsafeMutablePointer<Float>) -> Scaling.Unit {
    let reach = step()
    func unit(_ index: Int) -> (unit: Scaling.Unit, noise: Double) {
      let form = Self.forms[index]
      return spline(form, noise: law.noise[index] / Self.raise(reach * reach, form.power))
    }
    func halfLog(_ value: Double) -> Float { Float(log(value) / 2) }
    let (middle, noise) = unit(Self.centre)
    features[0] = Float(middle.origin)
    var other = features + 1 + Self.forms.count
    for index in Self.forms.indices {
      let own = index == Self.centre ? middle : unit(index).unit
      features[1 + index] = halfLog(own.scale)
      if index == Self.centre { continue }
      let distance = (own.origin - middle.origin) / middle.scale
      other[0] = Float(min(max(distance, -Self.mostUnit), Self.mostUnit) / 4)
      other += 1
    }
    other[0] = halfLog(noise)
    return middle
  }

  /// What the rows shown say of the point, and how well it met their expectation.
  ///
  /// - Parameter features: gets `LocalSpline.rowFeatures` numbers for a network.
  func judge(_ value: Float, _ law: Law, into features: UnsafeMutablePointer<Float>) {
    let unit = tell(law, into: features)
    let distance = min(max(unit.scaled(Double(value)), -Self.mostUnit), Self.mostUnit)
    features[Self.features] = Float(distance / 4)
    features[Self.features + 1] = Float(log(abs(distance) + 0.05) / 2)
  }

  /// Rows less the point, in units of the farthest one's distance, which it returns, and all distances.
  private func step() -> Double {
    let far = Double(count > 0 ? squares[count - 1] : 0).squareRoot()
    let reach = far > 0 ? far : 1
    for index in 0..<count * dimensions {
      steps[index] = (Double(rows[index]) - Double(point[index % dimensions])) / reach
    }
    for column in 0..<dimensions { steps[count * dimensions + column] = 0 }
    for i in 0...count {
      for j in 0..<i {
        var square = 0.0
        for column in 0..<dimensions {
          let difference = steps[i * dimensions + column] - steps[j * dimensions + column]
          square += difference * difference
        }
        between[i * (most + 1) + j] = square
        lengths[i * (most + 1) + j] = square.squareRoot()
      }
    }
    return reach
  }

  /// The value that one form foretells with the standard deviation of its error, and that of the noise in it.
  ///
  /// - Parameter noise: ν for distances in units of the farthest row's.
  private func spline(_ form: Form, noise: Double) -> (unit: Scaling.Unit, noise: Double) {
    let q = Self.monomials(degree: form.degree, dimensions)
    guard count > q, let schur = eliminate(form, q, noise) else {
      return (Scaling.Unit(origin: 0, scale: 1), 1.0)
    }
    let factor = max(-schur.values, 0) / Double(count - q)
    let least = Self.leastUnit * Self.leastUnit
    let scale = (factor * (max(schur.point, 0) + noise) + least).squareRoot()
    return (
      Scaling.Unit(
        origin: min(max(-schur.both, -Self.mostValue), Self.mostValue), scale: min(scale, Self.mostUnit)),
      min((factor * noise + least).squareRoot(), Self.mostUnit)
    )
  }

  /// |h|^power from |h|².
  private static func raise(_ square: Double, _ power: Int) -> Double {
    raise(square, square.squareRoot(), power)
  }

  private static func raise(_ square: Double, _ length: Double, _ power: Int) -> Double {
    switch power {
    case 1: length
    case 3: square * length
    default: square * square * length
    }
  }

  private static func pitch(_ size: Int) -> Int { (size + 5) / 4 * 4 }

  /// What is left of a zero block beside A after eliminating A, with k̃ = [k; p] of the point and ỹ = [y; 0]:
  /// −k̃ᵀA⁻¹k̃, which is the variance of the error, −k̃ᵀA⁻¹ỹ, which is less the value, and −ỹᵀA⁻¹ỹ = −yᵀBy, in units of c.
  /// nil for a matrix without an inverse.
  private func eliminate(_ form: Form, _ q: Int, _ noise: Double) -> (
    point: Double, both: Double, values: Double
  )? {
    let size = count + q
    fill(form, q, size, noise)
    let width = Self.pitch(size)
    guard DoubleKernels.schur(size, rows: size + 2, system, width) == size else { return nil }
    let (point, values) = (size, size + 1)
    return (
      system[point * width + point], system[point * width + values], system[values * width + values]
    )
  }

  /// A = [K + νI, P; Pᵀ, −εI], bordered on both sides by k̃ and ỹ.
  private func fill(_ form: Form, _ q: Int, _ size: Int, _ noise: Double) {
    let width = Self.pitch(size)
    for index in 0..<(size + 2) * width { system[index] = 0 }
    func set(_ i: Int, _ j: Int, _ value: Double) {
      system[i * width + j] = value
      system[j * width + i] = value
    }
    for i in 0...count {
      let first = i * (most + 1)
      let row = i == count ? size : i
      for j in 0..<i {
        set(row, j, form.sign * Self.raise(between[first + j], lengths[first + j], form.power))
      }
    }
    for i in 0..<count {
      system[i * width + i] = noise + Self.nugget
      for m in 0..<q { set(i, count + m, monomial(m, row: i)) }
      set(i, size + 1, Double(values[i]))
    }
    for m in 0..<q { system[(count + m) * width + count + m] = -Self.slack }
    set(size, count, 1)  // of all monomials at the point only the constant is not 0
  }

  /// 1, then each column, then products of two.
  private func monomial(_ index: Int, row: Int) -> Double {
    let first = row * dimensions
    if index == 0 { return 1 }
    if index <= dimensions { return steps[first + index - 1] }
    var place = index - dimensions - 1
    for i in 0..<dimensions {
      if place < dimensions - i { return steps[first + i] * steps[first + i + place] }
      place -= dimensions - i
    }
    return 0
  }

  // MARK: Noise

  /// What holds at all points: ν of every form, for distances in the network's units.
  struct Law: Sendable, Hashable {
    let noise: [Double]
  }

  /// The choices of ν in units of the covariance at a typical farthest row, from next to none to so much that a spline
  /// becomes a parabola. The logarithm of ν is averaged over them.
  private static let choices = [1e-7, 1e-5, 1e-3, 1e-1, 1e1]
  /// Rows at most around which ν is judged.
  private static let judges = 24

  /// The law of some rows, `x` `[rows, dimensions]`; it does not depend on their order.
  func law(_ x: [Float], _ y: [Float]) -> Law {
    let none = Law(noise: Self.forms.map { _ in Self.choices[1] })
    guard !y.isEmpty else { return none }
    let d = dimensions
    let order = y.indices.sorted { a, b in
      for column in 0..<d where x[a * d + column] != x[b * d + column] {
        return x[a * d + column] < x[b * d + column]
      }
      return y[a] < y[b]
    }
    let count = min(Self.judges, order.count)
    let places = (0..<count).map { order[(2 * $0 + 1) * order.count / (2 * count)] }
    return x.withUnsafeBufferPointer { x in
      guard let x = x.baseAddress else { return none }
      func visit<R>(_ place: Int, _ body: (_ reach: Double) -> R) -> R {
        move(to: x + place * d)
        for row in y.indices { show(x + row * d, y[row]) }
        return body(step())
      }
      let typical = places.map { visit($0) { $0 } }.sorted()[count / 2]
      var merits = Self.forms.map { _ in [Double](repeating: 0, count: Self.choices.count) }
      for place in places {
        visit(place) { reach in
          for (index, form) in Self.forms.enumerated() {
            let ratio = Self.raise(typical * typical / (reach * reach), form.power)
            for (choice, noise) in Self.choices.enumerated() {
              merits[index][choice] += merit(form, noise: noise * ratio)
            }
          }
        }
      }
      // A row counts once, however many of the rows judged have it near.
      let once = min(1, Double(order.count) / Double(max(count * min(most, order.count), 1)))
      return Law(
        noise: zip(Self.forms, merits).map { form, merits in
          let top = merits.max() ?? 0
          let weights = merits.map { exp(once * ($0 - top)) }
          let mean = zip(weights, Self.choices).reduce(0) { $0 + $1.0 * log($1.1) } / weights.reduce(0, +)
          return exp(mean) * Self.raise(typical * typical, form.power)
        })
    }
  }

  /// The restricted log-likelihood of the rows shown, with c at its maximum and up to a constant.
  private func merit(_ form: Form, noise: Double) -> Double {
    let q = Self.monomials(degree: form.degree, dimensions)
    guard count > q, let schur = eliminate(form, q, noise) else { return 0 }
    let width = Self.pitch(count + q)
    var determinant = 0.0
    for row in 0..<count + q { determinant += log(abs(system[row * width + row])) }
    return -0.5 * determinant - 0.5 * Double(count - q) * log(max(-schur.values, 1e-30))
  }
}
