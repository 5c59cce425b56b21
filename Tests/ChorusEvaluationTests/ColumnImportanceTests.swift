import ChorusData
import ChorusTensors
import Testing

@testable import ChorusEvaluation

@Suite struct ColumnImportanceTests {
  /// Exchanged cells of independent rows are fresh draws: a score −½(y − w·x)² with y = w·x loses w_c² of variance one.
  @Test func lossesAreThoseOfExchangedCells() throws {
    let (n, weights) = (4000, [2.0, 0.5, 0])
    var stream = RandomStream(seed: 3, 77)
    let cells = try Cells((0..<3 * n).map { _ in stream.normal() }, categories: [false, false, false])
    func value(_ row: ArraySlice<Double>) -> Double { zip(row, weights).reduce(0) { $0 + $1.0 * $1.1 } }
    let y = (0..<n).map { value(cells[$0]) }
    let losses = try ColumnImportance.losses(of: [[0], [1], [2], [0, 1]], rows: cells, seed: 1) { rows in
      (0..<n).map { row in
        let error = y[row] - value(rows[row])
        return -0.5 * error * error
      }
    }
    for (found, expected) in zip(losses, [4, 0.25, 0, 4.25]) {
      #expect(abs(found.loss - expected) <= 4 * found.error + 1e-12, "\(found)")
      #expect(found.error < 0.05 * max(expected, 1))
    }
    #expect(losses[2].loss == 0)
    let again = try ColumnImportance.losses(of: [[0]], rows: cells, seed: 1) { rows in
      (0..<n).map { row in -0.5 * (y[row] - value(rows[row])) * (y[row] - value(rows[row])) }
    }
    #expect(again[0] == losses[0])
  }

  /// Bins of likeliest levels: how sure, and how often right.
  @Test func binsOfClassScores() {
    let scores = ClassScores([[0.9, 0.1], [0.88, 0.12], [0.45, 0.55]], [0, 1, 1])
    #expect(scores.bins[9].count == 1 && scores.bins[8].count == 1 && scores.bins[5].count == 1)
    #expect(scores.bins[8].claimed == 0.88 && scores.bins[8].observed == 0 && scores.bins[9].observed == 1)
    #expect(abs(scores.calibrationError - (0.1 + 0.88 + 0.45) / 3) < 1e-12)
  }
}
