import ChorusData
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Requests that nobody means to make: each is refused or answered, none ends the process.
@Suite struct ExtremeTests {
  @Test(.timeLimit(.minutes(1)), arguments: [1, 3])
  func thePosteriorAnswersInsideItsOwnProgress(threads: Int) throws {
    let posterior = try smallModel().condition(on: wave(6), pool: ThreadPool(threads: threads))
    let at = try places(4)
    let expected = try posterior.sample(5, at: at, seed: 3).paths
    let inner = Lock<[[[Double]]]>([])
    let outer = try posterior.sample(40, at: at, seed: 9) { _ in
      guard let paths = try? posterior.sample(5, at: at, seed: 3).paths,
        let marginals = try? posterior.marginals(at: at), marginals.count == 4
      else { return }
      inner.withLock { $0.append(paths) }
    }
    #expect(outer.paths.count == 40)
    #expect(inner.withLock { !$0.isEmpty && $0.allSatisfy { $0 == expected } })
  }

  @Test func aLimitThatIsNoNumberLetsNothingThrough() throws {
    let posterior = try smallModel().condition(on: wave(5))
    let at = try places(3)
    for limit in [Double.nan, -Double.infinity, -1, 0] {
      let requests: [() throws -> Void] = [
        { _ = try posterior.sample(2, at: at, flopLimit: limit) },
        { _ = try posterior.logDensity(of: at.values, at: at, flopLimit: limit) },
        { _ = try posterior.marginals(at: at, flopLimit: limit) },
      ]
      for request in requests {
        guard case InferenceError.tooExpensive? = refusal(request) as? InferenceError else {
          Issue.record("a limit of \(limit) was passed")
          continue
        }
      }
    }
  }

  @Test func countsBeyondAllMemoryAreRefused() throws {
    let posterior = try smallModel().condition(on: wave(5))
    for at in [try Inputs([Double]()), try places(2)] {
      for count in [Int.max, Int.max / 2, 1 << 40, -1] {
        #expect(refusal { _ = try posterior.sample(count, at: at, flopLimit: .infinity) } != nil)
        #expect(
          refusal {
            _ = try posterior.sample(count, at: at, plan: .independent, latent: true, flopLimit: .infinity)
          } != nil)
      }
    }
    #expect(refusal { _ = try posterior.logDensity(of: [0], at: Inputs([0]), orders: .max) } != nil)
  }

  /// Weights that are finite and whose sums are not, wherever in the network they stand.
  @Test func anAnswerThatIsNoNumberIsAnError() throws {
    let plain = try smallModel()
    let declared = try Declaration(plain.blueprint)
    let at = try places(3)
    var refused = 0
    for parameter in declared.table.all where parameter.isWeight {
      let weights = Weights(declared.table)
      declared.initialise(weights, seed: 1)
      for index in 0..<parameter.count { weights[parameter][index] = index % 2 == 0 ? 3e38 : -3e38 }
      weights.pack()
      let model = Model(network: try declared.network(weights))
      // Norms may take the size out again; then there is an answer, of numbers.
      do {
        let posterior = try model.condition(on: wave(5))
        #expect(try posterior.sample(3, at: at).paths.joined().allSatisfy(\.isFinite), "\(parameter.path)")
        #expect(try posterior.logDensity(of: at.values, at: at).value.isFinite, "\(parameter.path)")
        #expect(try posterior.marginals(at: at).allSatisfy { $0.mean.isFinite }, "\(parameter.path)")
      } catch {
        #expect("\(error)".contains("not finite"), "\(parameter.path): \(error)")
        refused += 1
      }
    }
    #expect(refused > 0)
  }

  @Test func everyRequestHeedsCancellation() async throws {
    let model = try smallModel()
    let posterior = try model.condition(on: wave(5), pool: ThreadPool(threads: 2))
    let (data, at) = (try wave(5), try places(500))
    let requests: [@Sendable () throws -> Void] = [
      { _ = try model.condition(on: data) },
      { _ = try posterior.marginals(at: at) },
      { _ = try posterior.sample(10, at: at) },
      { _ = try posterior.logDensity(of: at.values, at: at, flopLimit: .infinity) },
    ]
    for request in requests {
      let task = Task.detached {
        withUnsafeCurrentTask { $0?.cancel() }
        try request()
      }
      await #expect(throws: InferenceError.cancelled) { try await task.value }
    }
  }
}
