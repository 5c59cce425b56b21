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
/// Only the nearest rows count: `RowIndex` finds them, and a fixed sum goes through them. An object is the room for one point
/// after the other and belongs to one thread.
package final class LocalSpline {
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
  package static let features = 2 * forms.count + 1
  /// In the network's units: the error of a spline that meets every row it was not shown.
  static let leastUnit = 0.001
  /// The same of one that knows nothing, and the largest value it is believed to foretell.
  static let mostUnit = 8.0
  static let mostValue = 4.0
  /// Added to every ν, in units of the covariance between the point and its farthest row: rows at one place may differ.
  private static let nugget = 1e-8
  /// How loosely the monomials are held to, so that rows on a line, or at one place, have an answer too.
  private static let slack = 1e-9

  /// What the rows near a point say of it.
  package struct Told: Sendable, Hashable {
    /// `LocalSpline.features` numbers for a network; the last one is padding.
    var features = SIMD8<Float>()
    /// What to predict the point in.
    package var unit = Scaling.Unit(origin: 0, scale: 1)

    /// Writes `LocalSpline.features` numbers.
    func write(to out: UnsafeMutablePointer<Float>) {
      for index in 0..<LocalSpline.features { out[index] = features[index] }
    }
  }

  let most: Int
  let dimensions: Int
  private(set) var count = 0
  /// Splines fitted so far, for tests of what is done twice.
  private(set) var fitted = 0
  // The nearest rows, nearest first: |h|², and the rows with their values, `[dimensions + 1]` each.
  private let squares: UnsafeMutablePointer<Float>
  private let rows: UnsafeMutablePointer<Float>
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
  package init(most: Int, dimensions: Int) {
    self.most = most
    self.dimensions = dimensions
    let size = most + Self.monomials(degree: 2, dimensions)
    squares = .allocate(capacity: most)
    rows = .allocate(capacity: most * (dimensions + 1))
    point = .allocate(capacity: dimensions)
    steps = .allocate(capacity: (most + 1) * dimensions)
    between = .allocate(capacity: (most + 1) * (most + 1))
    lengths = .allocate(capacity: (most + 1) * (most + 1))
    let numbers = (size + 2) * Self.pitch(size)
    memory = .allocate(byteCount: numbers * MemoryLayout<Double>.stride, alignment: 64)
    system = memory.bindMemory(to: Double.self, capacity: numbers)
  }

  deinit {
    for pointer in [squares, rows, point] { pointer.deallocate() }
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
  package func move(to x: UnsafePointer<Float>) {
    for column in 0..<dimensions { point[column] = x[column] }
    count = 0
  }

  /// The square of the distance that a row must not exceed to be among the nearest.
  var reach: Float { count == most ? squares[most - 1] : .infinity }

  /// Shows a row and its value, `[dimensions + 1]`; it is kept while it is among the nearest. Rows that are as near are told
  /// apart by their numbers, so that nothing depends on their order.
  package func show(_ row: UnsafePointer<Float>) {
    var square: Float = 0
    for column in 0..<dimensions {
      let difference = row[column] - point[column]
      square += difference * difference
    }
    if square <= reach { insert(row, square) }
  }

  /// No more than the square of the point's distance from a row in a box, `[2, dimensions]`.
  func square(to box: UnsafePointer<Float>) -> Float {
    var square: Float = 0
    for column in 0..<dimensions {
      let difference = max(box[column] - point[column], point[column] - box[dimensions + column], 0)
      square += difference * difference
    }
    return square
  }

  private func insert(_ row: UnsafePointer<Float>, _ square: Float) {
    let width = dimensions + 1
    var place = count
    while place > 0, precedes(row, square, place - 1) { place -= 1 }
    guard place < most else { return }
    if count < most { count += 1 }
    for index in stride(from: count - 1, to: place, by: -1) { squares[index] = squares[index - 1] }
    squares[place] = square
    let own = rows + place * width
    (own + width).update(from: own, count: (count - 1 - place) * width)
    own.update(from: row, count: width)
  }

  private func precedes(_ row: UnsafePointer<Float>, _ square: Float, _ index: Int) -> Bool {
    if square != squares[index] { return square < squares[index] }
    return Self.precedes(row, rows + index * (dimensions + 1), dimensions)
  }

  /// Whether a row, or with equal inputs its value, comes before another.
  static func precedes(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ dimensions: Int) -> Bool {
    for column in 0...dimensions where a[column] != b[column] { return a[column] < b[column] }
    return false
  }

  /// The nearest rows of some points, as a spline held them, so that it can go on from there.
  struct Kept: Sendable {
    private let most: Int
    private let width: Int
    private let squares: FloatBuffer
    private let rows: FloatBuffer
    private var counts: [Int32]

    init(points: Int, most: Int, dimensions: Int) {
      (self.most, width) = (most, dimensions + 1)
      squares = FloatBuffer(uninitialised: points * most)
      rows = FloatBuffer(uninitialised: points * most * width)
      counts = [Int32](repeating: 0, count: points)
    }

    /// Keeps the rows that the spline holds.
    mutating func keep(_ spline: LocalSpline, at point: Int) {
      counts[point] = Int32(spline.count)
      (squares.pointer + point * most).update(from: spline.squares, count: spline.count)
      (rows.pointer + point * most * width).update(from: spline.rows, count: spline.count * width)
    }

    /// Gives them to a spline that is at the point.
    func give(_ point: Int, to spline: LocalSpline) {
      spline.count = Int(counts[point])
      spline.squares.update(from: squares.pointer + point * most, count: spline.count)
      spline.rows.update(from: rows.pointer + point * most * width, count: spline.count * width)
    }

    /// Whether the spline holds the same rows, bit by bit.
    func holds(_ spline: LocalSpline, at point: Int) -> Bool {
      Int(counts[point]) == spline.count
        && memcmp(rows.pointer + point * most * width, spline.rows, 4 * spline.count * width) == 0
    }
  }

  // MARK: Splines

  /// What the rows shown say of the point.
  package func tell(_ law: Law) -> Told {
    fitted += 1
    let reach = step()
    func unit(_ index: Int) -> (unit: Scaling.Unit, noise: Double) {
      let form = Self.forms[index]
      return spline(form, noise: law.noise[index] / Self.raise(reach * reach, form.power))
    }
    func halfLog(_ value: Double) -> Float { Float(log(value) / 2) }
    let (middle, noise) = unit(Self.centre)
    var told = Told(unit: middle)
    told.features[0] = Float(middle.origin)
    var other = 1 + Self.forms.count
    for index in Self.forms.indices {
      let own = index == Self.centre ? middle : unit(index).unit
      told.features[1 + index] = halfLog(own.scale)
      if index == Self.centre { continue }
      let distance = (own.origin - middle.origin) / middle.scale
      told.features[other] = Float(min(max(distance, -Self.mostUnit), Self.mostUnit) / 4)
      other += 1
    }
    told.features[other] = halfLog(noise)
    return told
  }

  /// Rows less the point, in units of the farthest one's distance, which it returns, and all distances.
  private func step() -> Double {
    let (count, dimensions, pitch) = (count, dimensions, most + 1)
    let (steps, between, lengths) = (steps, between, lengths)
    let reach = farthest
    for row in 0..<count {
      for column in 0..<dimensions {
        steps[row * dimensions + column] =
          (Double(rows[row * (dimensions + 1) + column]) - Double(point[column])) / reach
      }
    }
    for column in 0..<dimensions { steps[count * dimensions + column] = 0 }
    for i in 0...count {
      let (squares, roots) = (between + i * pitch, lengths + i * pitch)
      for j in 0..<i { squares[j] = 0 }
      for column in 0..<dimensions {
        let own = steps[i * dimensions + column]
        for j in 0..<i {
          let difference = own - steps[j * dimensions + column]
          squares[j] += difference * difference
        }
      }
      for j in 0..<i { roots[j] = squares[j].squareRoot() }
    }
    return reach
  }

  /// The distance of the farthest row shown, or 1.
  private var farthest: Double {
    let far = Double(count > 0 ? squares[count - 1] : 0).squareRoot()
    return far > 0 ? far : 1
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
    let length = square.squareRoot()
    return switch power {
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

  /// A = [K + νI, P; Pᵀ, −εI], bordered on both sides by k̃ and ỹ. Every number is written once: this is most of what a
  /// spline costs beside the elimination.
  private func fill(_ form: Form, _ q: Int, _ size: Int, _ noise: Double) {
    let (count, dimensions, width, system) = (count, dimensions, Self.pitch(size), system)
    for i in 0..<count {
      let row = system + i * width
      row[i] = noise + Self.nugget
      row[size + 1] = Double(rows[i * (dimensions + 1) + dimensions])
      for m in 0..<q {
        let value = monomial(m, row: i)
        row[count + m] = value
        system[(count + m) * width + i] = value
      }
      for column in size + 2..<width { row[column] = 0 }
      system[(size + 1) * width + i] = row[size + 1]
    }
    for i in size..<size + 2 {
      for column in count..<width { system[i * width + column] = 0 }
    }
    for m in 0..<q {
      let row = system + (count + m) * width
      for column in count..<width { row[column] = 0 }
      row[count + m] = -Self.slack
    }
    // Of all monomials at the point only the constant is not 0.
    system[count * width + size] = 1
    system[size * width + count] = 1
    switch form.power {
    case 1: covariances(form.sign, size, width) { $1 }
    case 3: covariances(form.sign, size, width) { $0 * $1 }
    default: covariances(form.sign, size, width) { $0 * $0 * $1 }
    }
  }

  /// K and k̃, by `power` of |h|² and |h|.
  @inline(__always)
  private func covariances(
    _ sign: Double, _ size: Int, _ width: Int, _ power: (_ square: Double, _ length: Double) -> Double
  ) {
    let (count, pitch, system, between, lengths) = (count, most + 1, system, between, lengths)
    for i in 0...count {
      let row = i == count ? size : i
      let (own, squares, roots) = (system + row * width, between + i * pitch, lengths + i * pitch)
      var across = system + row
      for j in 0..<i {
        let value = sign * power(squares[j], roots[j])
        own[j] = value
        across.pointee = value
        across += width
      }
    }
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
  package struct Law: Sendable, Hashable {
    let noise: [Double]
  }

  /// The choices of ν in units of the covariance at a typical farthest row, from next to none to so much that a spline
  /// becomes a parabola. The logarithm of ν is averaged over them.
  private static let choices = [1e-7, 1e-5, 1e-3, 1e-1, 1e1]
  /// Rows at most around which ν is judged.
  private static let judges = 24

  /// The law of some rows, which does not depend on the order they were observed in.
  ///
  /// - Parameter sorted: the rows by their inputs, then their values.
  func law(_ index: RowIndex, sorted: [Int32]) -> Law {
    guard !sorted.isEmpty else { return Law(noise: Self.forms.map { _ in Self.choices[1] }) }
    let count = min(Self.judges, sorted.count)
    let places = (0..<count).map { Int(sorted[(2 * $0 + 1) * sorted.count / (2 * count)]) }
    func visit(_ place: Int) {
      move(to: index[place])
      index.show(to: self)
    }
    let typical = places.map { place in
      visit(place)
      return farthest
    }.sorted()[count / 2]
    var merits = Self.forms.map { _ in [Double](repeating: 0, count: Self.choices.count) }
    for place in places {
      visit(place)
      let reach = step()
      for (index, form) in Self.forms.enumerated() {
        let ratio = Self.raise(typical * typical / (reach * reach), form.power)
        for (choice, noise) in Self.choices.enumerated() {
          merits[index][choice] += merit(form, noise: noise * ratio)
        }
      }
    }
    // A row counts once, however many of the rows judged have it near.
    let once = min(1, Double(sorted.count) / Double(max(count * min(most, sorted.count), 1)))
    return Law(
      noise: zip(Self.forms, merits).map { form, merits in
        let top = merits.max() ?? 0
        let weights = merits.map { exp(once * ($0 - top)) }
        let mean = zip(weights, Self.choices).reduce(0) { $0 + $1.0 * log($1.1) } / weights.reduce(0, +)
        return exp(mean) * Self.raise(typical * typical, form.power)
      })
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
