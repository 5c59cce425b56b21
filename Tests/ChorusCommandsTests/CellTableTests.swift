import Foundation
import Testing

/// Tables asked by a network that reads their cells, as a person calls it.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct CellTableTests {
  /// A network that reads cells: numbers by numbers, categories, dates and gaps, and nothing that it cannot.
  @Test func cellsAsTheyAre() throws {
    let folder = try TableTests.folder()
    try folder.writeModel("c.safetensors") {
      $0.family = .cells
      $0.inputDimensions = 8
      $0.cells.columnHeads = 2
      $0.cells.rowHeads = 1
      $0.cells.summaries = 2
      $0.cells.points = 3
    }
    func chorus(_ words: String...) throws -> Outcome {
      try folder.chorus(words + ["--model", "c.safetensors"])
    }
    let numbers = try chorus(
      "predict", "wood.csv", "--target", "price", "--output", "p.csv", "--samples", "7")
    #expect(numbers.code == 0, "\(numbers.errors)")
    #expect(numbers.rows.map { $0[0] } == ["row", "37", "38", "39", "40"])
    #expect(!numbers.errors.contains("alone explain"))
    #expect(try folder.read("p.csv").split(separator: "\n").count == 1 + 7 * 4)
    let scored = try chorus("score", "wood.csv", "--target", "price", "--folds", "3", "--samples", "10")
    #expect(scored.code == 0, "\(scored.errors)")
    for name in ["independent", "buffer", "crps", "ridge_crps", "stack_crps"] {
      let place = try #require(scored.rows[0].firstIndex(of: name), "\(name)")
      #expect(Double(scored.rows[1][place]) != nil, "\(name)")
    }
    for (words, reason) in [
      (["predict", "wood.csv", "--target", "kind"], "model 'c' predicts numbers"),
      (["score", "wood.csv", "--target", "kind"], "model 'c' predicts numbers"),
      (["fill", "wood.csv"], "model 'c' predicts numbers"),
      (["predict", "wood.csv", "--target", "price", "--error", "size"], "model 'c' takes no known errors"),
      (["predict", "wood.csv", "--target", "price", "--horizon", "3"], "goes with a series"),
    ] {
      let refused = try folder.chorus(words + ["--model", "c.safetensors"])
      #expect(refused.code != 0 && refused.errors.contains(reason), "\(words): \(refused.errors)")
    }
    try folder.writeModel("narrow.safetensors") {
      $0.family = .cells
      $0.inputDimensions = 3
      $0.cells.columnHeads = 2
      $0.cells.rowHeads = 1
      $0.cells.summaries = 2
    }
    let wide = try folder.chorus("predict", "wood.csv", "--target", "price", "--model", "narrow.safetensors")
    #expect(wide.code == 65 && wide.errors.contains("reads up to 3"), "\(wide.errors)")
    let named = ["--input", "kind,size", "--model", "narrow.safetensors"]
    #expect(try folder.chorus(["predict", "wood.csv", "--target", "price"] + named).code == 0)
  }
}
