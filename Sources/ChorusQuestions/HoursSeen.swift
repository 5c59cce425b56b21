import ChorusData
import ChorusTables
import Foundation

/// The part of the day that the rows of a series lie in, where they leave out the rest of it: working hours.
///
/// Of times outside of it the rows tell nothing, though they go on before and after.
package struct HoursSeen {
  /// Times of day, in days. The hours may go over midnight.
  private let first: Double
  private let last: Double

  /// Fewer rows and days may leave hours out by chance.
  private static let (fewestRows, fewestDays) = (20, 4)
  /// Hours without a row that are worth a word, in days, and how much longer they are than any others between two rows of a day.
  private static let (least, longer) = (4.0 / 24, 2.0)
  /// Half a minute: how exactly a kept context knows its rows.
  private static let slack = 0.5 / 1440

  /// nil where the column holds no times of day, or rows lie all around it.
  package init?(_ times: [Double], kind: ColumnKind) {
    guard kind.notation != nil, times.count >= Self.fewestRows,
      Set(times.map { $0.rounded(.down) }).count >= Self.fewestDays
    else { return nil }
    let sorted = times.map { $0 - $0.rounded(.down) }.sorted()
    // From each time to the next, from the last to the first over midnight.
    let gaps = sorted.indices.map { place in
      place + 1 < sorted.count ? sorted[place + 1] - sorted[place] : sorted[0] + 1 - sorted[place]
    }
    guard let widest = gaps.indices.max(by: { gaps[$0] < gaps[$1] }) else { return nil }
    let others = gaps.indices.filter { $0 != widest }.map { gaps[$0] }.max() ?? 0
    // Rows at one time of the day are no hours.
    guard others > Self.slack, gaps[widest] >= Self.least, gaps[widest] >= Self.longer * others else {
      return nil
    }
    (first, last) = (sorted[(widest + 1) % sorted.count], sorted[widest])
  }

  private func contains(_ time: Double) -> Bool {
    let part = time - time.rounded(.down)
    let after = (part - first + 1 + Self.slack).truncatingRemainder(dividingBy: 1)
    let length = (last - first + 1).truncatingRemainder(dividingBy: 1)
    return after <= length + 2 * Self.slack
  }

  /// A word on points outside of the hours; nil where all lie within.
  package func words(on points: [Double], of column: String) -> String? {
    let count = points.count { !contains($0) }
    guard count > 0 else { return nil }
    return
      "\(count) point\(count == 1 ? " lies" : "s lie") outside the hours seen in '\(column)' (\(Self.text(first)) to \(Self.text(last))), of which the rows tell nothing"
  }

  private static func text(_ part: Double) -> String {
    let minutes = Int((part * 1440).rounded()) % 1440
    func padded(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
    return "\(padded(minutes / 60)):\(padded(minutes % 60))"
  }
}

extension Question {
  /// What is worth a word of the points beside the rows.
  var pointWords: [String] {
    guard selection.dimensions - selection.covariates == 1, let kind = selection.kinds.first else {
      return []
    }
    func times(_ inputs: [Double]) -> [Double] {
      stride(from: 0, to: inputs.count, by: selection.dimensions).map { inputs[$0] }
    }
    let hours = HoursSeen(times(selection.observed.inputs), kind: kind)
    return [hours?.words(on: times(points.values), of: selection.inputs[0])].compactMap { $0 }
  }
}
