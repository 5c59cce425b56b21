import Synchronization
import Testing

@testable import ChorusService

/// Equal questions at once are one work.
@Suite struct SharingTests {
  private static let key = Sharing.Key(
    context: "c", version: 1, path: "/sample", query: "", contentType: nil, form: .json, body: [1])

  /// Works that wait until they are let go.
  private final class Works: Sendable {
    let begun = Atomic<Int>(0)
    let cancelled = Atomic<Int>(0)
    private let isOpen = Atomic<Bool>(false)

    func open() { isOpen.store(true, ordering: .relaxed) }

    /// - Returns: the number of this work, from 1 on.
    func wait() async throws -> Int {
      let number = begun.wrappingAdd(1, ordering: .relaxed).newValue
      do {
        while !isOpen.load(ordering: .relaxed) { try await Task.sleep(for: .milliseconds(1)) }
      } catch {
        cancelled.wrappingAdd(1, ordering: .relaxed)
        throw error
      }
      return number
    }

    func areBegun(_ count: Int) async {
      while begun.load(ordering: .relaxed) < count { try? await Task.sleep(for: .milliseconds(1)) }
    }
  }

  private func response(_ number: Int) -> ServiceResponse { ServiceResponse(200, .number("\(number)")) }

  /// Waits until so many requests wait for the work.
  private func isWaited(_ sharing: Sharing, _ count: Int) async {
    while sharing.waiting(Self.key) < count { try? await Task.sleep(for: .milliseconds(1)) }
  }

  @Test("Equal questions are answered by one work, one of them as its own")
  func sharesOneWork() async throws {
    let (sharing, works) = (Sharing(), Works())
    let answers = try await withThrowingTaskGroup(of: (ServiceResponse, Bool).self) { group in
      for _ in 0..<8 {
        group.addTask { try await sharing.answer(Self.key) { response(try await works.wait()) } }
      }
      await isWaited(sharing, 8)
      works.open()
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(works.begun.load(ordering: .relaxed) == 1)
    #expect(answers.count { !$0.1 } == 1 && Set(answers.map(\.0.text)) == ["1\n"])
    // What comes later begins anew.
    let later = try await sharing.answer(Self.key) { response(try await works.wait()) }
    #expect(!later.isShared && later.response.text == "2\n")
  }

  @Test("Who joins has a time of its own: where the other's is over, work begins anew")
  func joinsWithOwnTime() async throws {
    let (sharing, works) = (Sharing(), Works())
    let first = Task {
      try await sharing.answer(Self.key) {
        _ = try await works.wait()
        throw ServiceError(504, "no answer within 1 second")
      }
    }
    await works.areBegun(1)
    let second = Task { try await sharing.answer(Self.key) { response(try await works.wait()) } }
    await isWaited(sharing, 2)
    works.open()
    let late = await #expect(throws: ServiceError.self) { try await first.value }
    #expect(late?.status == 504)
    let answer = try await second.value
    #expect(answer.response.text == "2\n" && !answer.isShared)
  }

  @Test("Another failure is everyone's")
  func sharesFailures() async throws {
    let (sharing, works) = (Sharing(), Works())
    let tasks = (0..<2).map { _ in
      Task {
        try await sharing.answer(Self.key) {
          _ = try await works.wait()
          throw ServiceError(422, "no")
        }
      }
    }
    await isWaited(sharing, 2)
    works.open()
    for task in tasks {
      let failure = await #expect(throws: ServiceError.self) { try await task.value }
      #expect(failure?.status == 422)
    }
    #expect(works.begun.load(ordering: .relaxed) == 1)
  }

  @Test("Work goes on as long as one waits for it, and ends with the last")
  func endsWithTheLast() async throws {
    let (sharing, works) = (Sharing(), Works())
    let tasks = (0..<2).map { _ in
      Task { try await sharing.answer(Self.key) { response(try await works.wait()) } }
    }
    await isWaited(sharing, 2)
    tasks[0].cancel()
    while sharing.waiting(Self.key) > 1 { try await Task.sleep(for: .milliseconds(1)) }
    #expect(works.cancelled.load(ordering: .relaxed) == 0)
    tasks[1].cancel()
    await #expect(throws: CancellationError.self) { try await tasks[1].value }
    #expect(works.cancelled.load(ordering: .relaxed) == 1)
  }
}
