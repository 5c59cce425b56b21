import ChorusFiles
import ChorusTables
import ChorusTensors

/// What the service counts, as Prometheus reads it.
final class Metrics: Sendable {
  private struct Histogram {
    var buckets = [Int](repeating: 0, count: Metrics.bounds.count)
    var count = 0
    var sum = 0.0
  }

  private struct Outcome: Hashable {
    let route: String
    let status: Int
  }

  private struct State {
    var outcomes: [Outcome: Int] = [:]
    var seconds: [String: Histogram] = [:]
    var counters: [Counter: Double] = [:]
  }

  enum Counter: String, CaseIterable {
    case paths = "chorus_paths_drawn_total"
    case flops = "chorus_work_flop_total"
    case hits = "chorus_context_hits_total"
    case misses = "chorus_context_misses_total"
    case evictions = "chorus_context_evictions_total"
    case cancelled = "chorus_requests_cancelled_total"
    case shared = "chorus_requests_shared_total"

    var words: String {
      switch self {
      case .paths: "Paths drawn."
      case .flops: "Arithmetic of answered requests."
      case .hits: "Contexts that were in memory when they were asked."
      case .misses: "Contexts that were read from their files when they were asked."
      case .evictions: "Contexts that left memory for others."
      case .cancelled: "Requests whose client went before the answer."
      case .shared: "Requests that were answered by the work of an equal one."
      }
    }
  }

  /// Upper ends of the buckets of a latency, in seconds.
  private static let bounds = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
  ]

  private let state = Lock(State())

  func count(_ counter: Counter, _ amount: Double = 1) {
    state.withLock { $0.counters[counter, default: 0] += amount }
  }

  func answered(route: String, status: Int, seconds: Double) {
    state.withLock { state in
      state.outcomes[Outcome(route: route, status: status), default: 0] += 1
      var histogram = state.seconds[route] ?? Histogram()
      histogram.count += 1
      histogram.sum += seconds
      for (index, bound) in Self.bounds.enumerated() where seconds <= bound { histogram.buckets[index] += 1 }
      state.seconds[route] = histogram
    }
  }

  /// - Parameter gauges: what is measured now: name, words, value.
  func text(_ gauges: [(name: String, words: String, value: Double)]) -> String {
    var text = ""
    func head(_ name: String, _ words: String, _ type: String) {
      text += "# HELP \(name) \(words)\n# TYPE \(name) \(type)\n"
    }
    func number(_ value: Double) -> String { JSON.double(value).text }
    for gauge in gauges {
      head(gauge.name, gauge.words, "gauge")
      text += "\(gauge.name) \(number(gauge.value))\n"
    }
    let state = state.withLock { $0 }
    for counter in Counter.allCases {
      head(counter.rawValue, counter.words, "counter")
      text += "\(counter.rawValue) \(number(state.counters[counter] ?? 0))\n"
    }
    head("chorus_requests_total", "Requests answered.", "counter")
    for (outcome, count) in state.outcomes.sorted(by: {
      ($0.key.route, $0.key.status) < ($1.key.route, $1.key.status)
    }) {
      text += "chorus_requests_total{route=\"\(outcome.route)\",status=\"\(outcome.status)\"} \(count)\n"
    }
    head("chorus_request_seconds", "Time from a request's arrival to its answer.", "histogram")
    for (route, histogram) in state.seconds.sorted(by: { $0.key < $1.key }) {
      for (bound, count) in zip(Self.bounds, histogram.buckets) {
        text += "chorus_request_seconds_bucket{route=\"\(route)\",le=\"\(number(bound))\"} \(count)\n"
      }
      text += "chorus_request_seconds_bucket{route=\"\(route)\",le=\"+Inf\"} \(histogram.count)\n"
      text += "chorus_request_seconds_sum{route=\"\(route)\"} \(number(histogram.sum))\n"
      text += "chorus_request_seconds_count{route=\"\(route)\"} \(histogram.count)\n"
    }
    return text
  }
}
