import ChorusData
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusQuestions
import ChorusStorage
import ChorusTables
import ChorusTensors
import Foundation

/// Answers requests about contexts, whatever carries them.
package final class Service: Sendable {
  package let settings: ServiceSettings
  let models: [String: Model]
  let store: ContextStore
  let queue: WorkQueue
  let metrics = Metrics()
  let sharing = Sharing()
  /// The page at `/`, once somebody has asked for it.
  let page = Lock<[UInt8]?>(nil)
  private let tenants: Tenants
  private let uploads = Lock(0)

  /// - Parameters:
  ///   - models: by the names that requests have for them.
  ///   - folder: for contexts that are to outlive the process.
  package init(
    models: [String: Model], settings: ServiceSettings = ServiceSettings(), tenants: Tenants = Tenants(),
    folder: String? = nil
  ) throws {
    (self.models, self.settings, self.tenants) = (models, settings, tenants)
    queue = WorkQueue(workers: settings.workers, waiting: settings.waiting)
    store = try ContextStore(folder: folder, models: models, settings: settings, metrics: metrics)
  }

  /// Takes no more work; what was taken is finished. Later requests are answered by 503.
  package func drain() { queue.drain() }

  /// Forgets contexts that are past their time.
  package func sweep() { store.sweep() }

  /// What is told of an answered request: no data, and no path that a client made up.
  package struct Record: Sendable {
    package let route: String
    package let tenant: String
    package let status: Int
    package let seconds: Double
    /// What failed inside, where something did.
    package let fault: String?
  }

  /// What is known of a request before its body is read.
  package struct Admission: Sendable {
    fileprivate let bytes: Int
  }

  /// Looks at a request before its body is read, and keeps room for that.
  ///
  /// - Parameter length: as the request says; nil where it does not.
  /// - Throws: `ServiceError` (401, 404, 405, 413, 429).
  package func admit(_ request: ServiceRequest, length: Int?) throws(ServiceError) -> Admission {
    try checkOrigin(request)
    let (route, _) = try Route.find(request.method, request.path)
    if route.access == .tenant { _ = try tenant(request) }
    guard length ?? 0 <= settings.bodyBytes else {
      throw ServiceError(413, "a body has at most \(settings.bodyBytes) bytes")
    }
    let bytes = length ?? settings.bodyBytes
    let isRoom = uploads.withLock { held in
      guard held + bytes <= settings.uploadBytes else { return false }
      held += bytes
      return true
    }
    guard isRoom else {
      throw ServiceError(429, "other requests' bodies take all the room there is", retryAfter: 1)
    }
    return Admission(bytes: bytes)
  }

  /// Counts a request that was refused before it was read.
  package func refused(_ request: ServiceRequest, _ error: ServiceError) -> Record {
    let name = (try? Route.find(request.method, request.path).route.name) ?? "none"
    metrics.answered(route: name, status: error.status, seconds: 0)
    return Record(route: name, tenant: "", status: error.status, seconds: 0, fault: nil)
  }

  /// Gives back the room of an admitted request.
  package func finish(_ admission: Admission) { uploads.withLock { $0 -= admission.bytes } }

  /// Answers a request. A cancelled task stops the work.
  package func respond(_ request: ServiceRequest) async -> (response: ServiceResponse, record: Record) {
    let arrival = ContinuousClock.now
    var (name, tenant, fault) = ("none", "", String?.none)
    let response: ServiceResponse
    do {
      let (route, id) = try Route.find(request.method, request.path)
      name = route.name
      if route.access == .tenant { tenant = try self.tenant(request) }
      let call = Call(request: request, tenant: tenant, id: id, arrival: arrival)
      response = try await route.answer(self, call)
    } catch {
      let problem = ServiceError(answering: error)
      if problem.status == 500 { fault = "\(error)" }
      if Task.isCancelled { metrics.count(.cancelled) }
      response = problem.response(to: request.path)
    }
    let spent = ContinuousClock.now - arrival
    let seconds = Double(spent.components.seconds) + Double(spent.components.attoseconds) * 1e-18
    metrics.answered(route: name, status: response.status, seconds: seconds)
    return (
      response,
      Record(route: name, tenant: tenant, status: response.status, seconds: seconds, fault: fault)
    )
  }

  /// Where nobody needs a key, only who speaks to this machine by its own name is heard: a page from elsewhere, in a browser on this
  /// machine, is not.
  private func checkOrigin(_ request: ServiceRequest) throws(ServiceError) {
    guard tenants.isOpen, let hosts = settings.hosts else { return }
    for (header, value) in [("host", request.headers["host"]), ("origin", request.headers["origin"])] {
      guard let value else { continue }
      let authority =
        value.split(separator: "/", omittingEmptySubsequences: true).last.map(String.init) ?? value
      // Without the port; an address of IPv6 is in brackets.
      let name =
        authority.hasPrefix("[")
        ? String(authority.prefix { $0 != "]" }.dropFirst()) : String(authority.prefix { $0 != ":" })
      guard hosts.contains(name.lowercased()) else {
        throw ServiceError(403, "the \(header) is not this machine; without keys nobody else is heard")
      }
    }
  }

  private func tenant(_ request: ServiceRequest) throws(ServiceError) -> String {
    if let tenant = tenants.tenant(authorization: request.headers["authorization"]) { return tenant }
    var error = ServiceError(401, "a key is needed: Authorization: Bearer KEY")
    error.headers = [("www-authenticate", "Bearer")]
    throw error
  }

  // MARK: Work

  /// Does work in its turn and within the request's time.
  ///
  /// - Parameter isTypical: whether how long it takes says how long others will.
  func work<Value: Sendable>(
    _ call: Call, cost: Double, deadline: Double?, isTypical: Bool = false,
    _ body: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    guard cost <= settings.requestFlops else {
      throw ServiceError(
        422,
        "this needs about \(Self.tera(cost)) TFLOP and a request may take \(Self.tera(settings.requestFlops)); a cheaper plan, fewer points or fewer samples would do"
      )
    }
    let limit = min(deadline ?? settings.deadline, settings.deadline)
    let left = limit - Self.seconds(since: call.arrival)
    guard left > 0 else { throw Self.late(limit) }
    let value = try await withThrowingTaskGroup(of: Value?.self) { group in
      group.addTask { [queue] in try await queue.run(cost: cost, within: left, isTypical: isTypical, body) }
      group.addTask {
        try await Task.sleep(for: .seconds(left))
        return nil
      }
      defer { group.cancelAll() }
      // The first of both: the value, or that the time is over.
      return try await group.next() ?? nil
    }
    guard let value else { throw Self.late(limit) }
    metrics.count(.flops, cost)
    return value
  }

  private static func late(_ limit: Double) -> ServiceError {
    ServiceError(504, "no answer within \(JSON.double(limit).text) seconds")
  }

  private static func tera(_ flops: Double) -> String {
    let scaled = flops / 1e12
    return scaled >= 10 ? String(Int(min(scaled, 1e15))) : String((scaled * 100).rounded(.up) / 100)
  }

  static func seconds(since start: ContinuousClock.Instant) -> Double {
    let spent = ContinuousClock.now - start
    return Double(spent.components.seconds) + Double(spent.components.attoseconds) * 1e-18
  }
}

extension ServiceError {
  /// The problem that an error of any kind is to a client.
  init(answering error: any Error) {
    switch error {
    case let error as ServiceError: self = error
    case WorkQueue.Refusal.draining: self.init(503, "the service goes down", retryAfter: 5)
    case WorkQueue.Refusal.busy(let seconds):
      let wait = max(1, Int(min(seconds, 3_600).rounded(.up)))
      self.init(429, "others are before this request; try again in \(wait) s", retryAfter: wait)
    case is CancellationError, InferenceError.cancelled:
      self.init(503, "the request was cancelled")
    case let error as TableError where error.reason == .system: self.init(500, "the rows can not be read")
    case is QuestionError, is TableError, is DataError, is PlanTextError, is PlanError, is ModelError,
      is SeriesError, is InferenceError:
      self.init(422, Self.words("\(error)"))
    default: self.init(500, "an internal error; the log has it")
    }
  }

  /// Words of the command line as those of a request: an option has a field of its name.
  static func words(_ text: String) -> String {
    text.replacingOccurrences(of: " (--flop-limit)", with: "")
      .replacingOccurrences(of: "--at-file FILE", with: "'points'")
      .replacingOccurrences(of: "--at FIRST..LAST/STEP", with: "'at' as FIRST..LAST/STEP")
      .replacingOccurrences(of: "--horizon STEPS", with: "'horizon'")
      .replacingOccurrences(of: "--at-file", with: "'points'")
      .replacing(#/--([a-z]+)(?:-([a-z]+))?/#) { match in
        "'\(match.output.1)\(match.output.2.map { "_\($0)" } ?? "")'"
      }
  }
}
