import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

/// Memories that coincide with something known, and what they do where numbers are hard.
@Suite struct SpecialCaseTests {
  private static let sizes = AttentionSizes(heads: 2, width: 8)
  private static let linear = MemorySpec(
    features: "unit", function: .linear, loss: .dot, optimiser: .gradient(steps: 1), readOut: .mean)

  private static func reads(_ bench: Bench, _ set: Rows, _ own: Rows, _ asked: Rows) -> [Float] {
    bench.run(context: set, own: own, asked, (0..<asked.count).map { Sight(limit: min($0, own.count)) })
  }

  /// Nadaraya-Watson with the kernel exp(−τ|q − k|²/2) on the sphere (spec 2.2).
  @Test func unitSoftmaxIsGaussianKernelRegression() throws {
    let bench = try Subjects.bench("softmax-unit")
    let set = bench.stored(30, seed: 41)
    let asked = bench.queries(6, seed: 42)
    let got = bench.read(asked, bench.context(set))
    let width = bench.sizes.width
    let wanted = asked.doubles.flatMap { query in
      (0..<2).flatMap { head -> [Double] in
        func unit(_ row: [Double]) -> [Double] {
          let x = row[head * width..<(head + 1) * width]
          let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
          return x.map { $0 / length }
        }
        let q = unit(query)
        let weights = set.doubles.map { row in
          exp(
            -exp(bench.numbers[0][head]) / 2
              * zip(q, unit(row)).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) })
        }
        let total = weights.reduce(0, +)
        return (0..<width).map { j in
          zip(weights, set.doubles).reduce(0) { $0 + $1.0 * $1.1[16 + head * width + j] } / total
        }
      }
    }
    #expect(deviation(got, wanted) < 1e-5)
  }

  @Test func aStiffLocalLinearFitIsSoftmax() throws {
    let local = MemorySpec(
      weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 12))
    let stiff = try Bench(local, sizes: Self.sizes, set: ["ridge": 1e7])
    let softmax = try Subjects.bench("softmax")
    let (set, own) = (stiff.stored(20, seed: 43), stiff.stored(3, seed: 44))
    let asked = stiff.queries(5, seed: 45)
    #expect(deviation(Self.reads(stiff, set, own, asked), Self.reads(softmax, set, own, asked)) < 1e-5)

    // Affine values are found exactly, but for what the least ridge shrinks; keys are far apart, so that is little.
    let loose = try Bench(local, sizes: Self.sizes, set: ["ridge": -40])
    var affine = loose.stored(60, seed: 46, scale: 10)
    func function(_ x: [Float]) -> [Float] {
      var out: [Float] = []
      for head in 0..<2 {
        let own = Array(x[head * 8..<(head + 1) * 8])
        for j in 0..<8 {
          let slope: Float = 0.3 * own[j] - 0.2 * own[(j + 3) % 8]
          out.append(1 + slope + 0.1 * own[7 - j])
        }
      }
      return out
    }
    for row in 0..<60 { affine[row] = Array(affine[row][..<16]) + function(Array(affine[row][..<16])) }
    let near = loose.queries(5, seed: 47, scale: 0.1)
    let wanted = (0..<5).flatMap { function(near[$0]) }
    #expect(deviation(loose.read(near, loose.context(affine)), wanted) < 1e-4)
    #expect(deviation(softmax.read(near, softmax.context(affine)), wanted) > 1e-2)
  }

  /// Where nothing is told of the keys' sizes, A is 0 and steps are M(0) = 1.5^(r/(1 + r)) as long in every column, r = log 10⁶ − 0.2.
  @Test func preconditionedStepsWithoutCurvatureAreAllAsLong() throws {
    let r = log(1e6) - 0.2
    let longer = pow(1.5, r / (1 + r))
    let rate = 0.4
    let own = try Bench(
      MemoryRegistry.named("preconditioned-delta").context, sizes: Self.sizes,
      set: ["keep": 0.7, "rate": log(rate / (1 - rate)), "curve.keep": 0.2, "curve.rate": -60])
    let plain = try Bench(
      MemoryRegistry.named("gated-delta").context, sizes: Self.sizes,
      set: ["keep": 0.7, "rate": log(rate * longer / (1 - rate * longer))])
    func told(_ bench: Bench) -> Rows {
      // Keys and values, a gate, and zeros for the rate and the curvature.
      let rows = plain.stored(70, seed: 51)
      return Rows(
        bench.shape.stored,
        (0..<70).flatMap { Array(rows[$0][..<34]) + [Float](repeating: 0, count: bench.shape.stored - 34) })
    }
    let asked = plain.queries(5, seed: 52)
    let (mine, theirs) = (told(own), told(plain))
    let wanted = Self.reads(plain, theirs[0..<40], theirs[40..<70], asked)
    #expect(deviation(Self.reads(own, mine[0..<40], mine[40..<70], asked), wanted) < 1e-5)
    // With curvature they are not.
    let curved = try Bench(
      MemoryRegistry.named("preconditioned-delta").context, sizes: Self.sizes,
      set: ["keep": 0.7, "rate": log(rate / (1 - rate)), "curve.keep": 0.2, "curve.rate": 2])
    #expect(deviation(Self.reads(curved, mine[0..<40], mine[40..<70], asked), wanted) > 1e-2)
  }

  @Test func oneGradientStepIsLinearAttentionDividedByTheRows() throws {
    let one = try Bench(
      MemorySpec(features: "unit", function: .linear, optimiser: .gradient(steps: 1)), sizes: Self.sizes,
      set: ["rate": log(exp(1.0) - 1)])
    let linear = try Bench(Self.linear, sizes: Self.sizes, set: [:])
    let (set, own) = (one.stored(20, seed: 48), one.stored(4, seed: 49))
    let asked = one.queries(5, seed: 50)
    #expect(deviation(Self.reads(one, set, own, asked), Self.reads(linear, set, own, asked)) < 1e-6)
  }

  @Test func manyStepsAreRidgeRegression() throws {
    let numbers = ["ridge": 5.0, "rate": log(exp(1.0) - 1)]
    let exact = try Bench(MemorySpec(features: "unit", function: .linear), sizes: Self.sizes, set: numbers)
    let (set, own) = (exact.stored(20, seed: 51), exact.stored(4, seed: 52))
    let asked = exact.queries(5, seed: 53)
    let wanted = Self.reads(exact, set, own, asked)
    for optimiser in [MemorySpec.Optimiser.gradient(steps: 256), .conjugateGradient(steps: 8)] {
      let spec = MemorySpec(features: "unit", function: .linear, optimiser: optimiser)
      let bench = try Bench(spec, sizes: Self.sizes, set: numbers)
      #expect(deviation(Self.reads(bench, set, own, asked), wanted) < 2e-6, "\(optimiser.text)")
    }
    let few = try Bench(
      MemorySpec(features: "unit", function: .linear, optimiser: .gradient(steps: 1)), sizes: Self.sizes,
      set: numbers)
    #expect(deviation(Self.reads(few, set, own, asked), wanted) > 1e-2)
  }

  @Test func innerTrainingAtRateZeroStaysAtItsStart() throws {
    let spec = MemorySpec(function: .normalisedLinear, optimiser: .gradient(steps: 1))
    let still = try Bench(LayerMemory(spec), sizes: Self.sizes, set: ["rate": -60])
    let asked = still.queries(5, seed: 54)
    let read = Self.reads(still, still.stored(20, seed: 55), still.stored(3, seed: 56), asked)
    let wanted = Self.reads(still, Rows(32), Rows(32), asked)
    #expect(deviation(read, wanted) < 1e-6)
    let moved = try Bench(LayerMemory(spec), sizes: Self.sizes)
    let other = Self.reads(moved, still.stored(20, seed: 55), still.stored(3, seed: 56), asked)
    #expect(deviation(other, Self.reads(moved, Rows(32), Rows(32), asked)) > 1e-2)
  }

  /// With noise variance s² and weights N(0, s²/λ) the posterior of the function has the mean that ridge reads and s²
  /// times the leverage as its variance. In its other form, over rows: k(q, K)(k(K, K) + s²)⁻¹v with k = φ·φ s²/λ.
  @Test(arguments: ["ridge", "ridge with learned weights"])
  func ridgeIsTheBayesianLinearModel(name: String) throws {
    let bench = try Subjects.bench(name)
    let (set, own) = (bench.stored(6, seed: 57), bench.stored(3, seed: 58))
    let asked = bench.queries(4, seed: 59)
    let got = Self.reads(bench, set, own, asked)
    let (d, noise) = (bench.sizes.columns, 0.37)
    for row in 0..<4 {
      let rows = set.doubles + own.doubles.prefix(min(row, 3))
      for head in 0..<2 {
        let form = bench.form(head: head)
        func features(_ x: [Double]) -> [Double] { form.features(Array(x[head * 8..<(head + 1) * 8])) }
        let learned = bench.layer.context.weights == .learned
        let prior = noise / (log1p(exp(bench.numbers[learned ? 1 : 0][head])) + 1e-3)
        func covariance(_ a: [Double], _ b: [Double]) -> Double {
          prior * zip(features(a), features(b)).reduce(0) { $0 + $1.0 * $1.1 }
        }
        var system = Square(rows.count)
        for i in rows.indices {
          for j in rows.indices { system[i, j] = covariance(rows[i], rows[j]) }
          let weight = learned ? log1p(exp(rows[i][2 * d + head] + bench.numbers[0][head])) : 1
          system[i, i] += noise / weight
        }
        let query = asked.doubles[row]
        let cross = rows.map { covariance(query, $0) }
        let solved = system.solve(rows.map { Array($0[d + head * 8..<d + (head + 1) * 8]) })
        let place = row * bench.shape.read
        for j in 0..<8 {
          let mean = zip(cross, solved).reduce(0) { $0 + $1.0 * $1.1[j] }
          #expect(abs(Double(got[place + head * 8 + j]) - mean) < 1e-5)
        }
        let explained = zip(cross, system.solve(cross.map { [$0] })).reduce(0) { $0 + $1.0 * $1.1[0] }
        let variance = covariance(query, query) - explained
        #expect(abs(noise * Double(got[place + d + head]) - variance) < 1e-5)
      }
    }
  }

  // MARK: Hard numbers

  /// Keys that are nearly one, and keys of all lengths: nothing turns into NaN, and float32 stays within 1e-4, or within
  /// ten times its precision times the condition of what is solved or exponentiated.
  @Test(arguments: Subjects.all)
  func hardNumbers(name: String) throws {
    let bench = try Subjects.bench(name, sizes: AttentionSizes(heads: 1, width: 8))
    let kernel = bench.layer.context.function == .kernel
    let cases: [(correlation: Double, scale: Double, rows: Int)] = [
      (0, 1, 4096), (0.9, 1, 64), (0.999, 1, 512), (0.999999, 1, 64), (0.999999, 1, 4096), (1, 1, 200),
      (0, 1e-3, 64), (0, 1e3, 64), (0.9, 30, 300), (0.999999, 1e3, 64), (0.999999, 1e-3, 64),
    ]
    for (correlation, scale, all) in cases {
      let count = kernel ? min(all, 120) : all
      var stream = RandomStream(seed: 60)
      let common = stream.normals(8)
      func keyed(_ rows: Rows) -> Rows {
        var rows = rows
        for row in 0..<rows.count {
          var values = rows[row]
          for i in 0..<8 {
            let own = Double(values[i])
            values[i] = Float(
              scale * (correlation.squareRoot() * common[i] + (1 - correlation).squareRoot() * own))
          }
          rows[row] = values
        }
        return rows
      }
      let (set, own) = (keyed(bench.stored(count, seed: 61)), keyed(bench.stored(5, seed: 62)))
      let asked = keyed(bench.queries(4, seed: 63))
      let sights = [0, 5, 2, 1].map { Sight(limit: $0) }
      let got = bench.run(context: set, own: own, asked, sights)
      #expect(got.allSatisfy { $0.isFinite }, "\(name): \(correlation), \(scale), \(count)")
      let wanted = bench.expected(context: set, own: own, asked, sights)
      let worst = deviation(got, wanted)
      let bound = max(1e-4, 10 * Self.condition(bench, set + own, asked) * Double(Float.ulpOfOne))
      if ProcessInfo.processInfo.environment["CHORUS_SHOW"] != nil {
        print("hard \(name) rho \(correlation) scale \(scale) rows \(count): \(worst) of \(bound)")
      }
      #expect(worst < bound, "\(name): \(correlation), \(scale), \(count)")
    }
  }

  /// How much an error of one in the numbers grows: of what is solved trace/λ, of exponents their size.
  private static func condition(_ bench: Bench, _ rows: Rows, _ asked: Rows) -> Double {
    [bench.layer.context, bench.layer.buffer].compactMap { $0 }.map { spec -> Double in
      let form = ReferenceHead(spec: spec, sizes: bench.sizes, head: 0, rows: [], numbers: bench.numbers)
      func squares(_ row: [Double]) -> Double { form.features(Array(row[..<8])).reduce(0) { $0 + $1 * $1 } }
      let keys = rows.doubles.map(squares)
      let longest = max(keys.max() ?? 0, asked.doubles.map(squares).max() ?? 0)
      switch spec.function {
      case .localConstant: return 1 + longest
      case .localLinear: return (1 + longest) * (1 + longest)
      // The ridge fades with the rows.
      case .linear where spec.optimiser == .recursive:
        return (1 + keys.reduce(0, +)) / pow(1 - exp2(-5), Double(keys.count))
      case .linear where spec.loss == .squared && spec.optimiser != .online:
        return 1 + keys.reduce(0, +)
      // A network that is trained carries the rounding of one chunk into the next: what is asked of it is that it stays finite.
      case .perceptron: return 1e30
      case .linear, .normalisedLinear, .slots: return 1 + longest
      case .kernel: return (1 + Double(rows.count)) * (1 + longest)
      }
    }.max() ?? 1
  }

  /// A row many times over: the sums are singular but for the ridge.
  @Test(arguments: Subjects.all)
  func repeatedRows(name: String) throws {
    let bench = try Subjects.bench(name)
    let row = bench.stored(1, seed: 64)
    let set = row[[Int](repeating: 0, count: 65)]
    let asked = bench.queries(3, seed: 65)
    let sights = [0, 4, 2].map { Sight(limit: $0) }
    let own = row[[0, 0, 0, 0]]
    let got = bench.run(context: set, own: own, asked, sights)
    let wanted = bench.expected(context: set, own: own, asked, sights)
    #expect(deviation(got, wanted) < 1e-4, "\(name)")
    let trained = bench.trained(
      context: set, own: own, bench.queries(69, seed: 66) + asked, limits: sights.map(\.limit))
    #expect(deviation(Array(trained.suffix(got.count)), wanted) < 1e-4, "\(name)")
  }

  /// Keys so long that the learned ridge is lost in the rounding of their sums.
  @Test func aSingularSolveIsFiniteAndTellsItsRidge() throws {
    let sizes = AttentionSizes(heads: 1, width: 8)
    let compiled = try CompiledMemory(LayerMemory(MemorySpec(function: .linear)), sizes)
    var table = ParameterTable()
    let handle = table.declare("ridge", 1, 1)
    let memory = compiled.memory(Weights(table), [handle])
    func context(_ scale: Double) -> any AnyObject & Sendable {
      var stream = RandomStream(seed: 71, 1)
      let key = stream.normals(8)
      var rows: [Float] = []
      for row in 0..<40 {
        let factor = scale * (1 + 1e-7 * Double(row))
        rows += key.map { Float(factor * $0) }
        rows += stream.normals(8).map { Float($0) }
      }
      let (draft, scratch) = (memory.anyDraft(rows: 40), Arena())
      memory.write(rows, rows: 0..<40, toAny: draft, scratch: scratch)
      return memory.finish(any: draft)
    }
    #expect(memory.raised(any: context(1)) == 0)
    let hard = context(1e12)
    #expect(memory.raised(any: hard) > 0)
    // A context that was kept in a file still tells.
    let kept = memory.anyContext(rows: 40, values: memory.values(ofAny: hard))
    #expect(kept.map { memory.raised(any: $0) > 0 } == true)
    let soft = memory.anyContext(rows: 40, values: memory.values(ofAny: context(1)))
    #expect(soft.map { memory.raised(any: $0) } == 0)
    var read = [Float](repeating: 0, count: 8)
    memory.read([1, 2, 3, 4, 5, 6, 7, 8], rows: 1, anyContext: hard, into: &read, scratch: Arena())
    #expect(read.allSatisfy { $0.isFinite })
  }
}
