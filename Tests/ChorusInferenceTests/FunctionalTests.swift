import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

@Suite struct FunctionalTests {
  @Test func valuesOfPaths() throws {
    let paths = [[3.0, 1, 4], [-1, -5, 2]]
    let inputs = [2.0, 0, 1]
    func values(_ name: String) throws -> [Double] {
      try #require(Functional(parsing: name)).values(of: paths, at: inputs)
    }
    #expect(try values("sum") == [8, -4])
    #expect(try values("mean") == [8.0 / 3, -4.0 / 3])
    #expect(try values("max") == [4, 2] && values("min") == [1, -5])
    // By the input: 1, 4, 3 and -5, 2, -1.
    #expect(try values("difference") == [2, 4])
    #expect(try values("first-above:2.5") == [1, .infinity])
    #expect(try values("first-above:-2") == [0, 1])
    #expect(try values("first-below:2") == [0, 0] && values("first-below:-2") == [.infinity, 0])
    #expect(try values("first-below:1") == [.infinity, 0])
    // The value at 2 less that at 0, whatever their order.
    #expect(try values("difference:0..2") == [2, 4] && values("difference:2..1") == [1, 3])
    #expect(try values("difference:1..7").allSatisfy(\.isNaN))
    #expect(Functional(parsing: "difference:1..7")?.missing(from: inputs)?.text == "7")
    #expect(Functional(parsing: "difference:1..2")?.missing(from: inputs) == nil)
    for name in Functional.forms where !name.contains(":") {
      #expect(Functional(parsing: name)?.description == name)
    }
    for name in ["difference:-1.5..2e3", "first-above:1.5", "first-below:-2.0"] {
      #expect(Functional(parsing: name)?.description == name)
    }
    // Dates are read by whoever knows the column.
    #expect(Functional(written: "difference:2020-01-01..2020-02-01")?.isBetween == true)
    for text in [
      "first-below", "first-below:x", "difference:", "difference:1", "difference:..", "difference:1..",
      "difference:1..2..3", "difference:2020-01-01..2020-02-01", "difference:1..nan",
    ] {
      #expect(Functional(parsing: text) == nil, "\(text)")
    }
    for text in ["", "Sum", "first-above", "first-above:", "first-above:x", "first-above:nan", "max:1"] {
      #expect(Functional(parsing: text) == nil, "\(text)")
    }
  }

  @Test func summaryOfKnownDraws() {
    let summary = FunctionalSummary([4, 1, 3, 2, .infinity], levels: [0, 0.25, 0.5, 0.75, 1])
    #expect(summary.count == 5 && summary.share.value == 0.8)
    #expect(abs(summary.share.error - (0.16 / 5).squareRoot()) < 1e-15)
    #expect(summary.mean.value == 2.5 && abs(summary.deviation.value - (5.0 / 3).squareRoot()) < 1e-15)
    #expect(summary.quantiles.map(\.value) == [1, 2, 3, 4, .infinity])
    #expect(summary.quantiles[0].error.isNaN && summary.quantiles[4].error.isNaN)
    let never = FunctionalSummary([.infinity, .infinity], levels: [0.5])
    #expect(never.share.value == 0 && never.mean.value.isNaN && never.quantiles[0].value == .infinity)
    let one = FunctionalSummary([7], levels: [0.5])
    #expect(one.mean.value == 7 && one.deviation.value.isNaN && one.quantiles[0].value == 7)
    let constant = FunctionalSummary([2, 2, 2], levels: [0.5])
    #expect(
      constant.deviation.value == 0 && constant.deviation.error == 0 && constant.quantiles[0].error == 0)
  }

  /// The errors are those of repetitions: over many sets of draws, the numbers scatter as each set says.
  @Test func errorsAreThoseOfRepetition() {
    let levels = [0.1, 0.5, 0.9]
    let sets = (0..<400).map { set -> FunctionalSummary in
      var stream = RandomStream(seed: 5, .paths, UInt64(set))
      return FunctionalSummary((0..<200).map { _ in exp(0.5 * stream.normal()) }, levels: levels)
    }
    func check(_ name: String, _ pick: (FunctionalSummary) -> FunctionalSummary.Estimate) {
      let values = sets.map { pick($0).value }
      let mean = values.reduce(0, +) / 400
      let spread = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 399).squareRoot()
      let claimed = (sets.reduce(0) { $0 + pow(pick($1).error, 2) } / 400).squareRoot()
      // Quantiles' errors are rough ones, and spreads of 400 sets are known to some 4 %.
      #expect(abs(claimed / spread - 1) < 0.2, "\(name): \(claimed) for \(spread)")
    }
    check("mean") { $0.mean }
    check("sd") { $0.deviation }
    for index in levels.indices { check("q\(levels[index])") { $0.quantiles[index] } }
  }
}
