import ChorusData
import ChorusHints
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

@Suite struct PosteriorTests {
  @Test(arguments: everyPlan) func unitsOfTheData(plan: PlanTemplate) throws {
    let model = try smallModel { $0.scaling = .standardise }
    let (data, at) = (try wave(15), try places(8))
    let posterior = try model.condition(on: data)
    let paths = try posterior.sample(4, at: at, plan: plan, seed: 2).paths
    let density = try posterior.logDensity(of: paths[0], at: at, plan: plan, orders: 3).value
    // A power of two changes no digit.
    let exact = try model.condition(on: Dataset(x: data.x.map { $0 / 4 }, y: data.y.map { $0 * 1024 }))
    let near = try Inputs(at.values.map { $0 / 4 })
    #expect(try exact.sample(4, at: near, plan: plan, seed: 2).paths == paths.map { $0.map { $0 * 1024 } })
    let large = try exact.logDensity(of: paths[0].map { $0 * 1024 }, at: near, plan: plan, orders: 3).value
    #expect(abs(large - (density - 8 * log(1024))) < 1e-9)
    // Other units round differently.
    let shifted = try model.condition(
      on: Dataset(x: data.x.map { 3 * $0 + 700 }, y: data.y.map { 0.1 * $0 - 40 }))
    let far = try Inputs(at.values.map { 3 * $0 + 700 })
    let moved = try shifted.sample(4, at: far, plan: plan, seed: 2).paths
    for (a, b) in zip(moved.joined(), paths.joined()) { #expect(abs(a - (0.1 * b - 40)) < 1e-4) }
    let small = try shifted.logDensity(of: paths[0].map { 0.1 * $0 - 40 }, at: far, plan: plan, orders: 3)
      .value
    #expect(abs(small - (density - 8 * log(0.1))) < 1e-3)
  }

  @Test func orderOfContextRows() throws {
    let model = try smallModel()
    let (data, at) = (try wave(21), try places(6))
    let paths = try model.condition(on: data).sample(3, at: at).paths
    let turned = try model.condition(on: data.rows((0..<21).reversed())).sample(3, at: at).paths
    for (a, b) in zip(paths.joined(), turned.joined()) { #expect(abs(a - b) < 1e-4) }
  }

  @Test func notesAboutTheContext() throws {
    let model = try smallModel { $0.trainedContext = 8 }
    #expect(try model.condition(on: wave(8)).notes.isEmpty)
    #expect(try model.condition(on: wave(9)).notes == [.contextBeyondTraining(rows: 9, trained: 8)])
    #expect(try model.condition(on: wave(3)).notes == [.fewRows(3)])
    let data = try wave(100)
    let thinned = try model.condition(on: data)
    #expect(
      thinned.notes == [.contextThinned(from: 100, to: 32), .contextBeyondTraining(rows: 32, trained: 8)])
    #expect(try thinned.sample(1, at: places(2)).notes == thinned.notes)
    let kept = Posterior.thin(data, to: 32)
    #expect(Set(kept.x).count == 32 && Set(kept.x).isSubset(of: Set(data.x)))
    let gaps = zip(kept.x.sorted(), kept.x.sorted().dropFirst()).map { $1 - $0 }
    #expect(gaps.allSatisfy { $0 < 0.3 })
    #expect(
      try model.condition(on: kept).sample(2, at: places(3)).paths == thinned.sample(2, at: places(3)).paths)
    for note in thinned.notes { #expect(note.description.contains("32")) }
    // Equal inputs keep the order given.
    let level = try Dataset(x: [1, 1, 1, 1], y: [0, 1, 2, 3])
    #expect(Posterior.thin(level, to: 2).y == [0, 2])
  }

  /// More history never makes an answer worse in silence: of a long series the rows near to the question are read.
  @Test func ofALongSeriesTheRowsNearToWhatIsAskedAreRead() throws {
    let model = try smallModel {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
      $0.trainedContext = 10
    }
    let x = (0..<100).map(Double.init)
    let data = try Dataset(x: x, y: x.map { sin($0) })
    func read(_ asked: [Double]?) throws -> [Double] {
      let posterior = try model.condition(on: data, asked: asked.map { try Inputs($0) })
      let isAmid = asked?.contains { $0 < 99 } ?? false
      #expect(
        posterior.notes.first
          == (isAmid ? .contextNearest(from: 100, to: 40) : .contextLatest(from: 100, to: 40)))
      #expect(posterior.notes.first?.description.contains("60") ?? false)
      return try posterior.observed.x.map { $0.rounded() }
    }
    #expect(try read(nil) == Array(x[60...]))
    #expect(try read([101, 105]) == Array(x[60...]))
    #expect(try read([30.5]) == Array(x[11...50]))
    let two = try read([10.2, 80.2])
    #expect(two.count == 40 && two.contains(11) && two.contains(80) && !two.contains(50))
    // Leaving the limit changes no answer: what is read is what would have been given alone.
    let alone = try model.condition(on: data.rows(Array(60..<100)))
    let next = try Inputs([101])
    #expect(
      try model.condition(on: data, asked: next).sample(3, at: next).paths == alone.sample(3, at: next).paths)
  }

  @Test func notesAboutTheBuffer() throws {
    let posterior = try smallModel { $0.trainedBuffer = 4 }.condition(on: wave(8))
    let at = try places(6)
    let note = Note.bufferBeyondTraining(rows: 5, trained: 4, merging: true)
    #expect(try posterior.sample(1, at: at).notes == [note])
    #expect(try posterior.logDensity(of: at.values, at: at).notes == [note])
    #expect(try posterior.sample(1, at: at, plan: .sequential(capacity: 4)).notes.isEmpty)
    #expect(try posterior.sample(1, at: at, plan: .independent).notes.isEmpty)
    let sparse = try posterior.sample(1, at: at, plan: .logSparse).notes
    #expect(sparse.contains { $0.description.contains("log-sparse(strict)") })
    // The noiseless curve reads all of the path.
    #expect(
      try posterior.sample(1, at: at, plan: .independent, latent: true).notes
        == [.bufferBeyondTraining(rows: 6, trained: 4, merging: true)])
    #expect(try posterior.sample(1, at: at, plan: .reencode, latent: true).notes.isEmpty)
  }

  @Test func scalesFromFewRows() throws {
    let standardising = try smallModel { $0.scaling = .standardise }
    let at = try places(3)
    for count in 0...1 {
      let error = refusal { _ = try standardising.condition(on: wave(count)) } as? InferenceError
      guard case .scale(let text) = error else {
        Issue.record("\(count) rows gave a scale")
        continue
      }
      #expect(text.contains("found \(count)"))
      let scaling = try Scaling(inputCentres: [0], inputScales: [2], outputCentre: 10, outputScale: 3)
      let posterior = try standardising.condition(on: wave(count), scaling: scaling)
      #expect(try posterior.sample(2, at: at).paths.joined().allSatisfy(\.isFinite))
      #expect(
        try smallModel().condition(on: wave(count)).sample(2, at: at).paths.joined().allSatisfy(\.isFinite))
    }
    // Constant data have no spread to scale by.
    let flat = try standardising.condition(on: Dataset(x: [5, 5, 5], y: [2, 2, 2]))
    #expect(try flat.sample(2, at: at).paths.joined().allSatisfy(\.isFinite))
    let wide = try Scaling(inputCentres: [0, 0], inputScales: [1, 1], outputCentre: 0, outputScale: 1)
    #expect(throws: DataError.self) { try standardising.condition(on: wave(5), scaling: wide) }
  }

  @Test func refusals() throws {
    let model = try smallModel { $0.inputDimensions = 2 }
    let three = try Dataset(x: [[1, 2, 3], [4, 5, 6]], y: [1, 2])
    let error = refusal { _ = try model.condition(on: three) } as? ModelError
    #expect(error?.description == "the data has 3 input columns; this model takes 1 to 2")
    let posterior = try model.condition(on: wave(5))
    let at = try places(4)
    func refused(_ part: String, _ body: () throws -> Void) {
      guard case .input(let text) = refusal(body) as? InferenceError else {
        Issue.record("not refused: \(part)")
        return
      }
      #expect(text.contains(part), "\(text)")
    }
    refused("2 input columns and the context 1") {
      _ = try posterior.sample(1, at: Inputs([1, 2], dimensions: 2))
    }
    refused("must not be negative") { _ = try posterior.sample(-1, at: at) }
    refused("3 values for 4 inputs") { _ = try posterior.logDensity(of: [1, 2, 3], at: at) }
    refused("at least one order") { _ = try posterior.logDensity(of: at.values, at: at, orders: 0) }
    refused("not a finite number") { _ = try posterior.logDensity(of: [1, 2, 3, .nan], at: at) }
    // Beyond what a Float holds, or so far out that sums of it would be.
    for far in [1e300, -1e12] {
      refused("an input of the targets is \(far)") { _ = try posterior.sample(1, at: Inputs([far])) }
      refused("an input of the targets is \(far)") { _ = try posterior.marginals(at: Inputs([far])) }
      refused("a value is \(far)") { _ = try posterior.logDensity(of: [far], at: Inputs([0])) }
      refused("a value of the data is \(far)") {
        _ = try model.condition(on: Dataset(x: [0, 1], y: [0, far]))
      }
      refused("an input of the data is \(far)") {
        _ = try model.condition(on: Dataset(x: [0, far], y: [0, 1]))
      }
    }
    let near = try model.condition(on: Dataset(x: [0, 1e8], y: [-1e9, 1e9]))
    #expect(try near.sample(3, at: Inputs([1e9, -1e9])).paths.joined().allSatisfy(\.isFinite))
    #expect(throws: PlanError.self) { try posterior.sample(1, at: at, plan: .blocks(of: 0)) }
    #expect(throws: PlanError.self) { try posterior.sample(1, at: at, plan: .sequential(capacity: -1)) }
  }

  @Test func tooExpensive() throws {
    let posterior = try smallModel().condition(on: wave(5))
    let at = try places(20)
    let work = try posterior.cost(at: at, plan: .reencode, paths: 7).work.total
    let error = refusal { _ = try posterior.sample(7, at: at, plan: .reencode, flopLimit: work * 0.999) }
    #expect(error as? InferenceError == .tooExpensive(flops: work, limit: work * 0.999))
    #expect(try posterior.sample(7, at: at, plan: .reencode, flopLimit: work).paths.count == 7)
    // The last pass of the noiseless curve counts too.
    #expect(throws: InferenceError.self) {
      try posterior.sample(7, at: at, plan: .reencode, latent: true, flopLimit: work)
    }
    #expect(throws: InferenceError.self) { try posterior.sample(.max / 1_000_000, at: at) }
    #expect(throws: (any Error).self) { try posterior.sample(.max, at: at) }
    #expect(throws: InferenceError.self) { try posterior.logDensity(of: at.values, at: at, flopLimit: 1) }
    #expect(throws: InferenceError.self) { try posterior.marginals(at: at, flopLimit: 1) }
    let limit = InferenceError.tooExpensive(flops: 3.4e13, limit: 2e13).description
    #expect(limit.contains("34 TFLOP") && limit.contains("20"))
  }

  @Test func cancellation() async throws {
    let posterior = try smallModel().condition(on: wave(5))
    let at = try places(30)
    let before = Task.detached {
      withUnsafeCurrentTask { $0?.cancel() }
      return try posterior.sample(1_000_000, at: at, flopLimit: .infinity).paths.count
    }
    await #expect(throws: InferenceError.cancelled) { try await before.value }
    let during = Task.detached {
      try posterior.sample(1_000_000, at: at, flopLimit: .infinity) { _ in
        withUnsafeCurrentTask { $0?.cancel() }
      }.paths.count
    }
    await #expect(throws: InferenceError.cancelled) { try await during.value }
    let density = Task.detached {
      withUnsafeCurrentTask { $0?.cancel() }
      return try posterior.logDensity(of: at.values, at: at, orders: 1_000_000, flopLimit: .infinity).value
    }
    await #expect(throws: InferenceError.cancelled) { try await density.value }
    // From outside, with other threads at work; each is stopped between two calls of one long tile.
    let pooled = try smallModel().condition(on: wave(5), pool: ThreadPool(threads: 2))
    let outside = Task.detached {
      try pooled.sample(32, at: places(3000), plan: .reencode, flopLimit: .infinity).paths.count
    }
    try await Task.sleep(for: .milliseconds(50))
    outside.cancel()
    await #expect(throws: InferenceError.cancelled) { try await outside.value }
    // Without a task: the cancellation of another thread.
    let cancellation = Cancellation()
    let watched = Task.detached {
      try cancellation.watching {
        try pooled.sample(32, at: places(3000), plan: .reencode, flopLimit: .infinity).paths.count
      }
    }
    try await Task.sleep(for: .milliseconds(50))
    cancellation.cancel()
    await #expect(throws: InferenceError.cancelled) { try await watched.value }
    let early = try places(5)
    #expect(throws: InferenceError.cancelled) {
      try cancellation.watching { try pooled.sample(1, at: early) }
    }
    #expect(try pooled.sample(1, at: early).paths.count == 1)
  }

  @Test func nothingAsked() throws {
    let posterior = try smallModel().condition(on: wave(5))
    let none = try Inputs([Double]())
    for plan in everyPlan {
      #expect(try posterior.sample(0, at: places(3), plan: plan).paths.isEmpty)
      #expect(try posterior.sample(3, at: none, plan: plan, latent: true).paths == [[], [], []])
      let density = try posterior.logDensity(of: [], at: none, plan: plan)
      #expect(density.value == 0 && density.orders.isEmpty)
    }
    #expect(try posterior.marginals(at: none).isEmpty)
  }

  @Test func progressCountsEveryPath() throws {
    let posterior = try smallModel().condition(on: wave(5), pool: ThreadPool(threads: 2))
    let seen = Seen()
    _ = try posterior.sample(40, at: places(3)) { seen.add($0) }
    #expect(seen.counts.max() == 40 && seen.counts.count > 1)
  }
}

private final class Seen: @unchecked Sendable {
  private let lock = NSLock()
  private var values: [Int] = []
  func add(_ value: Int) { lock.withLock { values.append(value) } }
  var counts: [Int] { lock.withLock { values } }
}

@Suite struct QuantileTests {
  private static func samples(_ paths: [[Double]]) throws -> Posterior.Samples {
    let plan = try everyPlan[0].resolve(context: 1, targets: 2)
    return Posterior.Samples(paths: paths, means: [2, 20], plan: plan)
  }

  @Test func quantilesOfDraws() throws {
    let samples = try Self.samples([[1.5, 10.5], [3.5, 30.5], [2.5, 20.5], [4.5, 40.5]])
    #expect(samples.quantiles([0, 0.5, 1, 0.25]) == [[1.5, 3, 4.5, 2.25], [10.5, 25.5, 40.5, 18]])
    #expect(samples.quantiles([-1, 7])[0] == [1.5, 4.5])
    #expect(samples.quantiles([.nan])[0][0].isNaN)
    #expect(try Self.samples([]).quantiles([0.5]).isEmpty)
  }

  /// The least count that the share of draws is no greater than.
  @Test func quantilesOfCountsAreCounts() throws {
    let samples = try Self.samples((1...100).map { [Double($0 / 10), 0] })
    #expect(
      samples.quantiles([0, 0.05, 0.09, 0.1, 0.5, 0.95, 1]) == [
        [0, 0, 0, 1, 5, 9, 10], [0, 0, 0, 0, 0, 0, 0],
      ])
    let one = try Self.samples([[7, -2]])
    #expect(one.quantiles([0.01, 0.99, 3]) == [[7, 7, 7], [-2, -2, -2]])
  }
}
