/// What a service may use.
package struct ServiceSettings: Sendable {
  /// Requests worked on at once, each on a thread of its own.
  package var workers = 1
  /// Requests that wait for a worker; more are refused.
  package var waiting = 256
  /// Bytes of a request's body.
  package var bodyBytes = 32 << 20
  /// Bytes of all bodies that are being received or worked on.
  package var uploadBytes = 256 << 20
  /// Arithmetic of one request.
  package var requestFlops = 2e12
  /// Points of one request.
  package var requestPoints = 20_000
  /// Drawn values of one request.
  package var requestValues = 1_000_000
  /// Seconds from a request's arrival to its answer.
  package var deadline = 30.0
  /// Bytes of contexts in memory.
  package var memoryBytes = 1 << 30
  /// Contexts in all.
  package var mostContexts = 10_000
  /// Seconds that a context is kept where its maker says nothing; nil for good.
  package var ttl: Double?

  /// The names of this machine that requests without a key may have; nil for any.
  package var hosts: Set<String>?

  package init() {}
}
