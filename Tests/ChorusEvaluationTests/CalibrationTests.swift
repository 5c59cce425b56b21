import Testing

@testable import ChorusEvaluation

@Suite struct CalibrationTests {
  @Test func coverageAndCounts() {
    let calibration = Calibration(levels: [0.02, 0.1, 0.3, 0.5, 0.6, 0.9, 0.97, 1, .nan, -1])
    #expect(calibration.levels.count == 8)
    let coverage = calibration.coverage([0.5, 0.9])
    #expect(coverage.map(\.observed) == [0.375, 0.625])
    #expect(calibration.counts(bins: 4) == [2, 1, 2, 3])
    #expect(Calibration(levels: []).coverage([0.5])[0].observed == 0)
  }

  @Test func binomialRanges() {
    // n = 10, p = 1/2: P(0)+P(1) = 0.0107, + P(2) = 0.0547.
    #expect(Calibration.binomialRange(10, 0.5, inside: 0.95) == 2...8)
    #expect(Calibration.binomialRange(10, 0.5, inside: 0.88) == 3...7)
    #expect(Calibration.binomialRange(0, 0.5, inside: 0.9) == 0...0)
    #expect(
      Calibration.binomialRange(5, 1, inside: 0.9) == 5...5
        && Calibration.binomialRange(5, 0, inside: 0.9) == 0...0)
    let large = Calibration.binomialRange(10_000, 0.1, inside: 0.95)
    #expect(abs(large.lowerBound - 941) <= 2 && abs(large.upperBound - 1059) <= 2)
  }

  @Test func correlations() {
    let matrix = Correlation.matrix([[1, 2, 5, 0], [2, 4, 5, 1], [3, 6, 5, -1]])
    #expect(abs(matrix[0][1] - 1) < 1e-12 && abs(matrix[0][3] + 0.5) < 1e-12 && matrix[3][0] == matrix[0][3])
    #expect(matrix[2][0].isNaN && Correlation.matrix([]).isEmpty)
  }
}
