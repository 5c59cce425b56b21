import ChorusTensors
import Foundation

/// How much of a number of equal pieces of work is done, and about how long the rest takes, on a terminal only.
final class Progress: Sendable {
  private let count: Int
  private let what: String
  private let common: CommonOptions
  private let start = ContinuousClock.now
  private let done = Lock(0)

  init(of count: Int, _ what: String, _ common: CommonOptions) {
    (self.count, self.what, self.common) = (count, what, common)
    show(0)
  }

  /// One piece more is done, on any thread.
  func advance() {
    done.withLock {
      $0 += 1
      show($0)
    }
  }

  /// Leaves the line empty for what is said next.
  func clear() { common.progress("") }

  private func show(_ done: Int) {
    common.progress(Self.text(done, of: count, what, after: start.duration(to: .now)))
  }

  /// "3 of 10 repetitions, 12 s left"; nothing is left to tell before the first and after the last.
  static func text(_ done: Int, of count: Int, _ what: String, after time: Duration) -> String {
    let line = "\(done) of \(count) \(what)"
    guard done > 0, done < count else { return line }
    let seconds = time / .seconds(1) * Double(count - done) / Double(done)
    return line + ", \(left(seconds)) left"
  }

  private static func left(_ seconds: Double) -> String {
    switch seconds {
    case ..<90: "\(Int(seconds.rounded(.up))) s"
    case ..<5400: "\(Int((seconds / 60).rounded(.up))) min"
    default: String(format: "%.1f h", seconds / 3600)
    }
  }
}
