import ChorusData
import ChorusTensors
import Foundation

/// A table's rows as numbers of order 1 that linear maps and distances can work with, by what the context has seen.
///
/// A number is the mean of its z-score, bent beyond 3 deviations, and its normal score. A category has a column for each of up to
/// twelve levels, the most frequent ones; a level never seen has zeros. Where cells are missing, a column tells so. Columns are
/// centred, of unit deviation, cut at ±6; those constant in the context are left out.
struct TableDesign: Sendable {
  private struct Number: Sendable {
    let mean, deviation: Double
    let sorted: [Double]

    init(_ values: [Double]) {
      sorted = values.sorted()
      (mean, deviation) = Scaling.moments(sorted)
    }

    func shown(_ x: Double) -> Double {
      guard !sorted.isEmpty else { return 0 }
      var z = 0.0
      if deviation > 1e-12 * max(abs(mean), 1e-300) {
        z = (x - mean) / deviation
        if abs(z) > 3 { z = (z < 0 ? -1 : 1) * (3 + log(max(abs(z) - 2, 1))) }
      }
      // The rank in the middle of equal values.
      let rank = Double(count { $0 < x } + count { $0 <= x }) / 2
      return 0.5 * (z + NormalQuantile.value((rank + 0.5) / Double(sorted.count + 1)))
    }

    /// How many come before the first for which `isBefore` fails.
    private func count(_ isBefore: (Double) -> Bool) -> Int {
      var (low, high) = (0, sorted.count)
      while low < high {
        let middle = (low + high) / 2
        if isBefore(sorted[middle]) { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  private enum Part: Sendable {
    case number(Number)
    case level(Double)
    case missing
  }

  /// What stands in each column of the design: a part, the column of the table, and how it is centred and scaled.
  private struct Place: Sendable {
    let part: Part
    let column: Int
    var centre = 0.0
    var scale = 1.0
  }

  static let mostLevels = 12
  private var places: [Place] = []
  /// Categories with more levels than have columns here, by their columns in the table.
  let crowded: [Int]
  /// Of each column of the table that is a number.
  private let numbers: [Number?]
  /// The table's column behind each column of the design.
  var owners: [Int] { places.map(\.column) }
  var width: Int { places.count }

  init(_ cells: Cells) {
    var all: [Place] = []
    var numbers: [Number?] = []
    var crowded: [Int] = []
    for column in 0..<cells.columns {
      let values = (0..<cells.count).map { cells[$0, column] }
      let present = values.filter { !$0.isNaN }
      if cells.categories[column] {
        var counts: [Double: (count: Int, first: Int)] = [:]
        for (row, value) in values.enumerated() where !value.isNaN {
          counts[value] = counts[value].map { ($0.count + 1, $0.first) } ?? (1, row)
        }
        // By frequency; of equal ones the level that the first row has. Names of levels mean nothing.
        let levels = counts.sorted { a, b in
          a.value.count != b.value.count ? a.value.count > b.value.count : a.value.first < b.value.first
        }
        numbers.append(nil)
        if levels.count > Self.mostLevels { crowded.append(column) }
        all += levels.prefix(Self.mostLevels).map { Place(part: .level($0.key), column: column) }
      } else {
        let number = Number(present)
        numbers.append(number)
        all.append(Place(part: .number(number), column: column))
      }
      if present.count < values.count { all.append(Place(part: .missing, column: column)) }
    }
    (self.numbers, self.crowded) = (numbers, crowded)
    for var place in all {
      let shown = (0..<cells.count).map { Self.raw(cells[$0, place.column], place.part) }
      let (centre, deviation) = Scaling.moments(shown)
      guard deviation > 1e-6 else { continue }
      let isNumber = if case .number = place.part { true } else { false }
      place.centre = centre
      place.scale = (isNumber || !cells.categories[place.column] ? deviation : max(deviation, 0.3)) + 1e-3
      places.append(place)
    }
  }

  private static func raw(_ value: Double, _ part: Part) -> Double {
    switch part {
    case .number(let number): value.isNaN ? 0 : number.shown(value)
    case .level(let level): value == level ? 1 : 0
    case .missing: value.isNaN ? 1 : 0
    }
  }

  /// Cells for cuts by a threshold, `[count, columns]`: numbers by mean and deviation, so that 32 bits tell them apart.
  func cuttable(_ cells: Cells) -> [Float] {
    var out = cells.values.map(Float.init)
    for (column, number) in numbers.enumerated() {
      guard let number, number.deviation > 0 else { continue }
      for row in 0..<cells.count {
        let value = cells[row, column]
        out[row * cells.columns + column] = Float((value - number.mean) / number.deviation)
      }
    }
    return out
  }

  /// Rows in the forms that estimators take.
  func rows(_ cells: Cells) -> TableRows {
    TableRows(cells: cells, cuttable: cuttable(cells), design: shown(cells))
  }

  /// Rows as the design shows them, `[count, width]`.
  func shown(_ cells: Cells) -> [Double] {
    var out: [Double] = []
    out.reserveCapacity(cells.count * width)
    for row in 0..<cells.count {
      for place in places {
        let value = (Self.raw(cells[row, place.column], place.part) - place.centre) / place.scale
        out.append(min(max(value, -6), 6))
      }
    }
    return out
  }
}
