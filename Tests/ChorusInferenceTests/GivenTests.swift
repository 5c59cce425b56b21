import ChorusData
import ChorusHints
import ChorusModels
import ChorusPriors
import Testing

@testable import ChorusInference

/// What is known of values that are not observed.
@Suite("Given values and bounds")
struct GivenTests {
  private static func posterior() throws -> Posterior {
    try smallModel { $0.scaling = .standardise }.condition(on: wave(20))
  }

  @Test("A value that is given is a row more")
  func pins() throws {
    let (posterior, data, at) = (try Self.posterior(), try wave(20), try places(5))
    let pinned = try posterior.given(Dataset(x: [1.2, -3], y: [4, -4]))
    let all = try posterior.model.condition(on: Dataset(x: data.x + [1.2, -3], y: data.y + [4, -4]))
    #expect(pinned.rows == 22)
    let (paths, others) = (try pinned.sample(4, at: at).paths, try all.sample(4, at: at).paths)
    for (a, b) in zip(paths.joined(), others.joined()) { #expect(abs(a - b) < 1e-3) }
    #expect(throws: InferenceError.self) {
      _ = try posterior.given(Dataset(inputs: Inputs([1, 2], dimensions: 2), y: [3]))
    }
  }

  /// The exact law of a Gaussian process with known kernel and noise is what a pin should lead to. What is told by four pins among the
  /// targets moves the joint density of the others by nats a value, and has to move it by as much as it does exactly.
  @Test(
    "Pins move densities as exact conditioning of a Gaussian process does, to 0.05 nats a value",
    arguments: [(GPPrior.gp, 16), (.noisy, 16)])
  func exact(prior: GPPrior, rows: Int) throws {
    let model = try Model(named: prior.name)
    let (tasks, pins, targets) = (24, 4, 8)
    let generator = TaskGenerator(prior, seed: 7, domain: .evaluation)
    var (moved, exactly, behind) = (0.0, 0.0, 0.0)
    for index in 0..<tasks {
      let task = try generator.task(
        index, step: rows, shape: TaskShape(context: rows, targets: pins + targets))
      let oracle = try #require(task.oracle)
      let (known, pinned, asked) = (0..<rows, rows..<rows + pins, rows + pins..<rows + pins + targets)
      func data(_ rows: Range<Int>) throws -> Dataset {
        try Dataset(x: Array(task.x[rows]), y: Array(task.y[rows]))
      }
      let (plain, values) = (try model.condition(on: data(known)), Array(task.y[asked]))
      func density(_ posterior: Posterior) throws -> Double {
        try posterior.logDensity(of: values, at: Inputs(Array(task.x[asked])), plan: .reencode, seed: 3).value
      }
      func exact(_ context: Range<Int>) throws -> Double {
        try oracle.density(of: Array(asked), given: Array(context)).joint
      }
      let (before, after) = (try density(plain), try density(plain.given(data(pinned))))
      let (low, high) = (try exact(known), try exact(0..<rows + pins))
      moved += after - before
      exactly += high - low
      behind += high - after
    }
    let count = Double(tasks * targets)
    #expect(exactly / count > 0.01, "pins that tell nothing check nothing: \(exactly / count)")
    #expect(abs(moved - exactly) / count < 0.05, "moved by \(moved / count), exactly \(exactly / count)")
    // What is left is how far the network is from its oracle (docs/models.md).
    #expect(behind / count < 0.25, "\(behind / count) nats a value behind the exact law")
  }

  @Test("Paths kept are those of the plain draws that meet the conditions, in their order")
  func bounds() throws {
    let (posterior, at) = (try Self.posterior(), try places(5))
    let plain = try posterior.sample(4000, at: at, seed: 3).paths
    let middle = plain.map { $0[2] }.sorted()[2000]
    let conditions: [PathEvent] = [
      .row(Array(at[2]), in: middle ... .infinity),
      .path(in: -.infinity...plain[0].reduce(0, +)) { $0.reduce(0, +) },
    ]
    let given = try posterior.sample(100, at: at, given: conditions, seed: 3)
    #expect(given.paths.count == 100)
    #expect(given.paths.allSatisfy { $0[2] >= middle && $0.reduce(0, +) <= plain[0].reduce(0, +) })
    // The first draws are those that a request without conditions makes.
    let first = plain.prefix(100).filter { $0[2] >= middle && $0.reduce(0, +) <= plain[0].reduce(0, +) }
    #expect(Array(given.paths.prefix(first.count)) == first)
    guard case .conditioned(let kept, let found, let drawn)? = given.notes.last else {
      Issue.record("no note says how many were drawn")
      return
    }
    #expect(kept == 100 && found >= 100 && drawn >= found)
    #expect(given.outside.count == 5 && given.means.count == 5)
    #expect(try posterior.sample(100, at: at, given: conditions, seed: 3).paths == given.paths)
  }

  @Test("A bound of a value that is not asked for is drawn along and left out of the answer")
  func elsewhere() throws {
    let (posterior, at) = (try Self.posterior(), try places(3))
    let both = try Inputs(at.values + [0.123])
    let level = try posterior.sample(400, at: both, seed: 1).quantiles([0.7])[3][0]
    let given = try posterior.sample(50, at: at, given: [.row([0.123], in: level ... .infinity)], seed: 1)
    #expect(given.paths.allSatisfy { $0.count == 3 })
    let plain = try posterior.sample(64, at: both, seed: 1).paths.filter { $0[3] >= level }.map {
      Array($0.prefix(3))
    }
    #expect(Array(given.paths.prefix(plain.count)) == plain)
  }

  @Test("Conditions that hardly any path meets are refused with how many did")
  func refusal() throws {
    let (posterior, at) = (try Self.posterior(), try places(3))
    #expect(throws: InferenceError.self) {
      _ = try posterior.sample(30, at: at, given: [.row(Array(at[0]), in: 1e6...1e7)])
    }
    do {
      _ = try posterior.sample(30, at: at, given: [.row(Array(at[0]), in: 1e6...1e7)])
    } catch { #expect("\(error)".contains("0 of 10000")) }
    #expect(throws: InferenceError.self) {
      _ = try posterior.sample(30, at: at, given: [.row([1, 2], in: 0...1)])
    }
    #expect(try posterior.sample(3, at: at, given: []).paths == posterior.sample(3, at: at).paths)
  }
}
