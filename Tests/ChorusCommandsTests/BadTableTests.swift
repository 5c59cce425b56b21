import Foundation
import Testing

/// Tables as they come: columns that tell nothing, levels that nobody has seen, cells of two kinds. Each is read, left out with a word, or
/// refused by name, and nothing is drawn of what is not there.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct BadTableTests {
  /// Thirty rows of two numbers, a category that follows the first, and what `more` adds; the last two lack the category and `y`.
  private static func folder(
    _ header: String = "", _ more: (Int) -> String = { _ in "" }
  ) throws -> Folder {
    let folder = try Folder()
    let lines = (0..<30).map { row -> String in
      let (a, isAsked) = (row * 7 % 11, row >= 28)
      let level = isAsked ? "" : ["low", "middle", "high"][a / 4]
      return "\(a),\(row % 5),\(level),\(isAsked ? "" : "\(a * 3 + row % 2)")\(more(row))"
    }
    try folder.write("t.csv", "a,b,level,y\(header)\n" + lines.joined(separator: "\n") + "\n")
    return folder
  }

  private static func said(_ folder: Folder, _ target: String, _ more: String...) throws -> Outcome {
    try folder.chorus(["predict", "t.csv", "--target", target, "--samples", "6"] + more)
  }

  private static func isRefused(_ outcome: Outcome, _ words: String) -> Bool {
    outcome.code == 65 && outcome.output.isEmpty && outcome.errors.contains(words)
  }

  @Test func columnsOfMissingCells() throws {
    let folder = try Self.folder(",gone,na") { _ in ",,NA" }
    let whole = try Self.folder()
    for target in ["level", "y"] {
      let outcome = try Self.said(folder, target)
      #expect(outcome.errors.contains("'gone': all cells are missing"), "\(outcome.errors)")
      #expect(outcome.errors.contains("'na': all cells are missing"), "\(outcome.errors)")
      #expect(try outcome.code == 0 && outcome.output == Self.said(whole, target).output)
    }
    for target in ["gone", "level,gone"] {
      let refused = try Self.said(folder, target)
      #expect(
        Self.isRefused(refused, "'gone' cannot be predicted: all cells are missing"), "\(refused.errors)")
    }
  }

  @Test func levelsThatNobodyHasSeen() throws {
    let folder = try Self.folder()
    try folder.write("new.csv", "a,b,level\n3,1,\n9,2,immense\n")
    // As a target: the row that has it counts as observed, so that another may have it too.
    let outcome = try Self.said(folder, "level", "--at-file", "new.csv", "--digits", "all")
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(
      outcome.rows[0] == [
        "row", "level", "probability", "p(high)", "p(low)", "p(middle)", "p(immense)", "note",
      ])
    #expect(outcome.rows.count == 2)
    let law = outcome.rows[1][3..<7].compactMap { Double($0) }
    #expect(law.count == 4 && abs(law.reduce(0, +) - 1) < 1e-9 && law.allSatisfy { $0 > 0 }, "\(law)")
    // As an input: what else is known tells of the row.
    let number = try Self.said(folder, "y", "--at-file", "new.csv")
    #expect(number.code == 0 && number.rows.count == 3, "\(number.errors)")
    #expect(number.rows.dropFirst().allSatisfy { Double($0[1])?.isFinite ?? false })
  }

  @Test func targetsOfOneValue() throws {
    let folder = try Self.folder(",only,same") { $0 < 28 ? ",red,4.5" : ",," }
    let level = try Self.said(folder, "only")
    #expect(level.code == 0 && level.rows[0] == ["row", "only", "probability", "p(red)", "note"])
    #expect(level.rows.dropFirst().map { $0[1..<4] } == [["red", "1", "1"], ["red", "1", "1"]])
    let number = try Self.said(folder, "same")
    #expect(
      number.code == 0 && number.rows.dropFirst().allSatisfy { $0[1..<5] == ["4.5", "4.5", "4.5", "4.5"] })
    let both = try Self.said(folder, "level,only")
    #expect(both.code == 0 && both.rows.count == 5, "\(both.errors)")
    // One row with a value is nothing to learn from.
    let one = try Self.folder(",once") { $0 == 3 ? ",red" : "," }
    #expect(
      try Self.isRefused(Self.said(one, "once"), "column 'once' has 1 values; at least 2 are needed"))
  }

  /// The least value of a column is where its bound is, whatever its unit makes of it.
  @Test func aColumnIsFilledDownToItsLeastValue() throws {
    let folder = try Self.folder()
    let filled = try folder.chorus("fill", "t.csv", "--samples", "4")
    #expect(filled.code == 0 && filled.rows.count == 31, "\(filled.errors)")
    #expect(filled.rows.dropFirst().allSatisfy { (Double($0[3]) ?? -1) >= 0 })
  }

  @Test func cellsOfTwoKinds() throws {
    let folder = try Self.folder(",mixed") { $0 % 9 == 4 ? ",many" : ",\($0)" }
    for target in ["level", "y", "mixed"] {
      let refused = try Self.said(folder, target)
      #expect(Self.isRefused(refused, "column 'mixed'"), "\(refused.errors)")
      #expect(refused.errors.contains("--missing"), "\(refused.errors)")
      // Numbers of numbers are no table yet where that cell is met.
      #expect(target == "y" || refused.errors.contains("--as COLUMN=category"), "\(refused.errors)")
    }
    let told = try Self.said(folder, "level", "--missing", "many")
    #expect(told.code == 0, "\(told.errors)")
    let skipped = try Self.said(folder, "level", "--as", "mixed=skip")
    #expect(try skipped.code == 0 && skipped.output == Self.said(Self.folder(), "level").output)
  }

  @Test func moreColumnsThanAreRead() throws {
    let folder = try Folder()
    let names = (0..<99_999).map { "c\($0)" }.joined(separator: ",")
    let row = [String](repeating: "1", count: 99_999).joined(separator: ",")
    try folder.write("t.csv", names + ",level\n\(row),x\n\(row),y\n\(row),\n")
    let refused = try Self.said(folder, "level")
    #expect(Self.isRefused(refused, "has 100000 columns and at most 1000 are read"), "\(refused.errors)")
    for arguments in [
      ["fill", "t.csv"], ["condition", "t.csv", "--target", "level", "--output", "c.safetensors"],
    ] {
      let outcome = try folder.chorus(arguments)
      #expect(Self.isRefused(outcome, "at most 1000 are read"), "\(outcome.errors)")
    }
    #expect(folder.names == ["t.csv"])
  }

  @Test func columnsThatNameTheRows() throws {
    let folder = try Self.folder(",key") { ",k\($0 * 7919 % 1000)-\($0)" }
    let whole = try Self.folder()
    for target in ["level", "y"] {
      let outcome = try Self.said(folder, target)
      #expect(
        outcome.errors.contains("'key': 30 different texts in 30 rows tell nothing of each other"),
        "\(outcome.errors)")
      #expect(try outcome.code == 0 && outcome.output == Self.said(whole, target).output)
    }
    #expect(
      try Self.isRefused(Self.said(folder, "key"), "'key' cannot be predicted: 30 different texts"))
  }

  @Test func datesOfTwoKinds() throws {
    let folder = try Self.folder(",when") {
      $0 % 2 == 0 ? ",2024-03-\(10 + $0 % 18)" : ",\(13 + $0 % 15)/04/2024"
    }
    for target in ["level", "y"] {
      let refused = try Self.said(folder, target)
      #expect(Self.isRefused(refused, "column 'when'"), "\(refused.errors)")
    }
    let skipped = try Self.said(folder, "level", "--as", "when=skip")
    #expect(try skipped.code == 0 && skipped.output == Self.said(Self.folder(), "level").output)
  }

  @Test func targetsAmongTheInputs() throws {
    let folder = try Self.folder()
    for (target, input) in [("level", "a,level"), ("level,y", "a,y"), ("y", "level,y")] {
      let refused = try Self.said(folder, target, "--input", input)
      #expect(Self.isRefused(refused, "is a target and an input; it can be one of them"), "\(refused.errors)")
    }
    #expect(
      try Self.isRefused(Self.said(folder, "level,level"), "column 'level' is asked for twice"))
  }
}
