import ChorusHints
import ChorusTensors
import Foundation
import Testing

/// `predict`, `fill` and `score` of tables, as a person calls them.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct TableTests {
  static func folder() throws -> Folder {
    let folder = try Folder()
    try folder.writeModel("t.safetensors") {
      $0.family = .table
      $0.parts.coordinates = TableExperts.coordinates
      $0.width = 32
      $0.inputDimensions = TableExperts.width
      $0.head = .mixture(components: 10, around: 8, units: TableExperts.count)
    }
    var stream = RandomStream(seed: 15)
    var lines = ["id,kind,when,size,\"unit, net\",price"]
    for row in 0..<40 {
      let kind = ["oak", "ash", "elm"][stream.below(3)]
      let size = stream.uniform(in: 1...9)
      let price = row >= 36 ? "" : "$\(Int(100 * size + 50 * Double(kind == "oak" ? 3 : 0)))"
      let shown = row % 9 == 4 ? "NA" : row % 11 == 7 ? "?" : kind
      lines.append(
        "\(row + 1),\(shown),2024-0\(1 + row % 9)-11,\(String(format: "%.2f", size)),\(row % 4 == 0 ? "" : "2"),\(price)"
      )
    }
    try folder.write("wood.csv", lines.joined(separator: "\n") + "\n")
    return folder
  }

  @Test func numbersAndCategories() throws {
    let folder = try Self.folder()
    let numbers = try folder.chorus("predict", "wood.csv", "--target", "price", "--model", "t.safetensors")
    #expect(numbers.code == 0, "\(numbers.errors)")
    #expect(numbers.rows[0] == ["row", "q0.5", "q0.05", "q0.95", "mean", "note"])
    #expect(numbers.rows.dropFirst().map { $0[0] } == ["37", "38", "39", "40"])
    #expect(numbers.errors.contains("'price' (number) by 4 columns: kind, when, size, unit, net"))
    #expect(numbers.errors.contains("'id': it counts the rows"))
    #expect(
      numbers.errors.contains("alone explain most of 'price'") && numbers.errors.contains(": size 0."))
    let kinds = try folder.chorus(
      "predict", "wood.csv", "--target", "kind", "--model", "t.safetensors", "--digits", "all")
    #expect(kinds.rows[0] == ["row", "kind", "probability", "p(ash)", "p(elm)", "p(oak)", "note"])
    for row in kinds.rows.dropFirst() {
      let law = row[3..<6].compactMap { Double($0) }
      #expect(law.count == 3 && abs(law.reduce(0, +) - 1) < 1e-9 && ["ash", "elm", "oak"].contains(row[1]))
    }
  }

  @Test func targetsTogetherAndPaths() throws {
    let folder = try Self.folder()
    let arguments = [
      "predict", "wood.csv", "--target", "kind,price", "--model", "t.safetensors", "--samples", "5",
      "--output", "p.csv",
    ]
    let (_, result) = try folder.start(arguments)
    let outcome = try result()
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(outcome.rows[0].prefix(4) == ["row", "target", "expected", "probability"])
    let paths = try folder.read("p.csv").split(separator: "\n").map { $0.components(separatedBy: ",") }
    #expect(paths[0] == ["path", "row", "kind", "price"])
    let rows = Set(paths.dropFirst().map { $0[1] })
    #expect(rows.contains("37") && paths.count == 1 + 5 * rows.count)
    #expect(paths.dropFirst().allSatisfy { ["ash", "elm", "oak"].contains($0[2]) && Double($0[3]) != nil })
    // A cell that was there is as it was.
    let price = paths.first { $0[1] == "5" }?[3]
    #expect(price != nil && paths.filter { $0[1] == "5" }.allSatisfy { $0[3] == price })
    let again = try folder.start(Array(arguments.dropLast(2)) + ["--threads", "1"]).1()
    #expect(again.output == outcome.output)
  }

  @Test func rowsOfAnotherFileAndSums() throws {
    let folder = try Self.folder()
    try folder.write("new.csv", "size,kind\n3.5,oak\n8,ebony\n,ash\n")
    let asked = try folder.chorus(
      "predict", "wood.csv", "--target", "price", "--model", "t.safetensors", "--at-file", "new.csv", "--min",
      "0")
    #expect(asked.code == 0, "\(asked.errors)")
    #expect(asked.rows.dropFirst().map { $0[0] } == ["1", "2", "3"])
    #expect(asked.rows.dropFirst().allSatisfy { (Double($0[2]) ?? -1) >= 0 })
    let sums = try folder.chorus(
      "predict", "wood.csv", "--target", "price", "--model", "t.safetensors", "--at-file", "new.csv",
      "--functional",
      "sum,max", "--samples", "20")
    #expect(
      sums.code == 0
        && sums.rows.dropFirst().map { $0[0] + $0[1] } == [
          "sumjoint", "sumindependent", "maxjoint", "maxindependent",
        ])
  }

  @Test func whatCannotBeIsSaid() throws {
    let folder = try Self.folder()
    func refused(_ words: String, _ code: Int32, _ arguments: String...) throws {
      let (_, result) = try folder.start(arguments + ["--model", "t.safetensors"])
      let outcome = try result()
      #expect(
        outcome.code == code && outcome.errors.contains(words) && outcome.output.isEmpty, "\(outcome.errors)")
    }
    try refused("has no column 'prise'", 65, "predict", "wood.csv", "--target", "prise")
    try refused(
      "is a target and an input", 65, "predict", "wood.csv", "--target", "price", "--input", "price,size")
    try refused("is a date, which cannot be predicted", 65, "predict", "wood.csv", "--target", "when")
    try refused("goes with a series", 64, "predict", "wood.csv", "--target", "price", "--horizon", "3")
    try refused(
      "--shard goes with a series", 64, "predict", "wood.csv", "--target", "price", "--shard", "1/2")
    try refused(
      "--units goes with a series", 64, "predict", "wood.csv", "--target", "price", "--units", "size=m")
    try refused("--scale goes with a series", 64, "score", "wood.csv", "--target", "price", "--scale", "log")
    try refused("no row lacks a value of 'size'", 65, "predict", "wood.csv", "--target", "size")
    try refused("is not like column=", 64, "predict", "wood.csv", "--target", "price", "--as", "kind=word")
    try folder.write("mixed.csv", "a,b,y\n1,x,2\n2,x,3\nlots,z,4\n3,x,\n")
    try refused("--as COLUMN=category", 65, "predict", "mixed.csv", "--target", "y")
    let told = try folder.chorus(
      "predict", "mixed.csv", "--target", "y", "--as", "a=category", "--model", "t.safetensors")
    #expect(told.code == 0, "\(told.errors)")
    try folder.write("one.csv", "a,b,y\n1,x,2\n2,x,\n3,x,\n")
    try refused("at least 2 are needed", 65, "predict", "one.csv", "--target", "y")
    let wide = (0..<1001).map { "c\($0)" }.joined(separator: ",")
    try folder.write("wide.csv", wide + "\n" + (0..<1001).map { "\($0)" }.joined(separator: ",") + "\n")
    try refused("at most 1000 are read", 65, "predict", "wide.csv", "--target", "c0")
  }

  @Test func missingCellsAreFilled() throws {
    let folder = try Self.folder()
    let filled = try folder.chorus(
      "fill", "wood.csv", "--model", "t.safetensors", "--samples", "8", "--output", "all.csv", "--report",
      "r.csv")
    #expect(filled.code == 0, "\(filled.errors)")
    let before = try folder.read("wood.csv").split(separator: "\n").map(String.init)
    let after = filled.output.split(separator: "\n").map(String.init)
    #expect(after.count == before.count && after[0] == before[0])
    let gaps = Set(["NA", "?", ""])
    for (old, new) in zip(before, after).dropFirst() {
      for (a, b) in zip(old.components(separatedBy: ","), new.components(separatedBy: ",")) {
        #expect(gaps.contains(a) ? !gaps.contains(b) : a == b, "\(old) became \(new)")
      }
    }
    let report = try folder.read("r.csv").split(separator: "\n")
    let missing = before.dropFirst().reduce(0) {
      $0 + $1.components(separatedBy: ",").count { gaps.contains($0) }
    }
    #expect(report.count == missing + 1 && filled.errors.contains("filled \(missing) cells"))
    #expect(try folder.read("all.csv").split(separator: "\n").count == 1 + 8 * 40)
    let json = try folder.chorus(
      "fill", "wood.csv", "--model", "t.safetensors", "--samples", "3", "--format", "jsonl")
    #expect(json.output.split(separator: "\n").first?.contains("\"size\":\"") == false, "numbers are numbers")
    try folder.write("whole.csv", "a,b\n1,2\n2,3\n")
    let whole = try folder.chorus("fill", "whole.csv", "--model", "t.safetensors")
    #expect(whole.code == 65 && whole.errors.contains("no cell that could be filled is missing"))
    // Nothing is left to be told by: one column alone, or beside one that names the rows.
    for text in ["level\n1\n2\nNA\n3\n", "id,level\na1,1\nb2,2\nc3,NA\nd4,3\ne5,1\nf6,2\ng7,4\nh8,2\ni9,3\n"]
    {
      try folder.write("alone.csv", text)
      let alone = try folder.chorus("fill", "alone.csv", "--model", "t.safetensors")
      #expect(
        alone.code == 65 && alone.errors.contains("no other column tells of 'level'"), "\(alone.errors)")
    }
  }

  @Test func scoresStandBesideEstimators() throws {
    let folder = try Self.folder()
    let scores = try folder.chorus(
      "score", "wood.csv", "--target", "price", "--model", "t.safetensors", "--folds", "3", "--samples", "10",
      "--orders", "2", "--output", "v.csv")
    #expect(scores.code == 0, "\(scores.errors)")
    #expect(scores.rows[0].contains("stack_rmse") && scores.rows[0].contains("crps_minus_forest"))
    #expect(!scores.rows[0].contains("naive_rmse") && scores.rows.count == 1 + 2 * 4)
    #expect(scores.errors.contains("verdict:") && scores.errors.contains("ridge regression"))
    #expect(try folder.read("v.csv").split(separator: "\n").count == 37)
    let classes = try folder.chorus(
      "score", "wood.csv", "--target", "kind", "--model", "t.safetensors", "--group-folds", "unit, net")
    #expect(classes.code == 0, "\(classes.errors)")
    #expect(classes.rows[0].starts(with: ["repetition", "context", "held_out", "accuracy", "log_loss"]))
    #expect(classes.errors.contains("shares alone"))
  }

  @Test func cellsThatAreGiven() throws {
    let folder = try Self.folder()
    try folder.write("new.csv", "size,kind\n3.5,\n8,oak\n,ash\n")
    func ask(_ file: String, _ more: String...) throws -> Outcome {
      try folder.chorus(
        [
          "predict", "wood.csv", "--target", "kind,price", "--model", "t.safetensors", "--at-file", file,
          "--samples", "20", "--output", "p.csv",
        ] + more)
    }
    // A pinned cell of an input or of a target is that of a file that has it.
    try folder.write("said.csv", "size,kind\n3.5,elm\n8,oak\n4.5,ash\n")
    let pinned = try ask("new.csv", "--given", "1.kind=elm", "--given", "3.size=4.5")
    #expect(pinned.code == 0, "\(pinned.errors)")
    #expect(try pinned.output == ask("said.csv").output)
    let bound = try ask("new.csv", "--given", "2.price>500", "--given", "sum>900")
    #expect(bound.code == 0 && bound.errors.contains("the conditions hold for"), "\(bound.errors)")
    let paths = try folder.read("p.csv").split(separator: "\n").map { $0.components(separatedBy: ",") }
    #expect(paths.filter { $0[1] == "2" }.allSatisfy { (Double($0[3]) ?? 0) > 500 })
    for (given, words) in [
      ("kind=elm", "names no cell; write ROW.COLUMN=VALUE"), ("9.kind=elm", "no row 9 is asked for"),
      ("1.kin=elm", "has no column 'kin'"), ("2.kind=elm", "row 2 has a value of 'kind'"),
      ("1.kind=fig", "'fig' is no level of 'kind'; it has: ash, elm, oak"), ("1.kind>2", "has no order"),
      ("1.price=lots", "is not a number"), ("3.size>2", "'size' is no target"),
      ("difference>2", "goes along an input"), ("1.when=2024-01-01", "is a date"),
    ] {
      let refused = try ask("new.csv", "--given", given)
      #expect(
        (refused.code == 64 || refused.code == 65) && refused.errors.contains(words)
          && refused.output.isEmpty, "\(given): \(refused.errors)")
    }
  }

  @Test func groupsAreTablesOfTheirOwn() throws {
    let folder = try Self.folder()
    let lines = try folder.read("wood.csv").split(separator: "\n").map(String.init)
    func with(_ shop: (Int) -> String, _ rows: [String]) -> [String] {
      rows.enumerated().map { "\(shop($0)),\($1)" }
    }
    let shops = with({ $0 % 2 == 0 ? "a" : "b" }, Array(lines.dropFirst())) + ["c,90,oak,2024-01-11,3,2,"]
    try folder.write("shops.csv", (["shop," + lines[0]] + shops).joined(separator: "\n") + "\n")
    let arguments = ["--target", "price", "--samples", "9", "--model", "t.safetensors"]
    let all = try folder.chorus(["predict", "shops.csv", "--group", "shop", "--output", "p.csv"] + arguments)
    #expect(all.code == 0, "\(all.errors)")
    #expect(all.rows[0] == ["shop", "row", "q0.5", "q0.05", "q0.95", "mean", "note"])
    #expect(all.rows.dropFirst().map { $0[0] + $0[1] } == ["a37", "a39", "b38", "b40", "c41"])
    #expect(all.rows[5][2].isEmpty && all.rows[5][6].contains("not predicted: column 'price' has 0 values"))
    #expect(try folder.read("p.csv").hasPrefix("shop,path,row,price\na,0,37,"))
    // The numbers of a group are those of a file that holds it alone.
    let own = shops.filter { $0.hasPrefix("a,") }.map { String($0.dropFirst(2)) }
    try folder.write("a.csv", ([lines[0]] + own).joined(separator: "\n") + "\n")
    let alone = try folder.chorus(["predict", "a.csv"] + arguments)
    #expect(alone.rows.dropFirst().map { $0[1...4] } == all.rows[1...2].map { $0[2...5] })
    // Rows of another file belong to their group; parts of the groups are the whole.
    try folder.write("next.csv", "shop,size\nb,3\na,4\nb,5\n")
    let next = try folder.chorus(
      ["predict", "shops.csv", "--group", "shop", "--at-file", "next.csv"] + arguments)
    #expect(next.rows.dropFirst().map { $0[0] + $0[1] } == ["a2", "b1", "b3"], "\(next.errors)")
    let parts = try (1...2).map {
      try folder.chorus(
        ["predict", "shops.csv", "--group", "shop", "--at-file", "next.csv", "--shard", "\($0)/2"]
          + arguments)
    }
    #expect(parts[0].rows + parts[1].rows.dropFirst() == next.rows)
    try folder.write("lost.csv", "shop,size\nz,3\n")
    for (words, more) in [
      ("group 'z' has no row", ["--at-file", "lost.csv"]), ("--plot and --show draw one table", ["--show"]),
    ] {
      let refused = try folder.chorus(["predict", "shops.csv", "--group", "shop"] + arguments + more)
      #expect(refused.code != 0 && refused.errors.contains(words), "\(refused.errors)")
    }
    // Kept, each group answers as its rows in the file.
    let priced = ["--target", "price", "--model", "t.safetensors"]
    let kept = try folder.chorus(
      ["condition", "shops.csv", "--group", "shop", "--output", "g.safetensors"] + priced)
    #expect(kept.code == 0 && kept.errors.contains("each 'shop' by itself"), "\(kept.errors)")
    let asked = ["--model", "t.safetensors", "--at-file", "next.csv", "--samples", "9", "--seed", "3"]
    let direct = try folder.chorus(["predict", "shops.csv", "--group", "shop", "--target", "price"] + asked)
    let later = try folder.chorus(["predict", "--context", "g.safetensors"] + asked)
    #expect(direct.code == 0 && direct.output == later.output, "\(later.errors)")
    try folder.write("wave.csv", "shop,x,y\n" + (0..<20).map { "a,\($0),\($0 % 5)\n" }.joined())
    let series = try folder.chorus(
      [
        "condition", "wave.csv", "--group", "shop", "--input", "x", "--target", "y", "--output",
        "w.safetensors",
      ])
    #expect(series.code == 0 && series.errors.contains("20 rows of 1 series kept"), "\(series.errors)")
    let both = try folder.chorus(
      ["predict", "shops.csv", "--group", "kind", "--target", "kind", "--model", "t.safetensors"])
    #expect(both.code == 65 && both.errors.contains("can be neither target nor input"))
  }

  @Test func aKeptTableAnswersAsItsFile() throws {
    let folder = try Self.folder()
    try folder.write("new.csv", "size,kind,when\n3.5,,2024-02-03\n8,ebony,\n,ash,\n")
    let target = ["--target", "kind,price", "--min", "0", "--model", "t.safetensors"]
    let asked = ["--at-file", "new.csv", "--samples", "9", "--seed", "3"]
    let kept = try folder.chorus(["condition", "wood.csv", "--output", "c.safetensors"] + target)
    #expect(kept.code == 0 && kept.errors.contains("40 rows kept in c.safetensors"), "\(kept.errors)")
    let direct = try folder.chorus(["predict", "wood.csv", "--output", "a.csv"] + target + asked)
    func ask(_ more: String...) throws -> Outcome {
      try folder.chorus(
        ["predict", "--context", "c.safetensors", "--model", "t.safetensors"] + asked + more)
    }
    let later = try ask("--output", "b.csv")
    #expect(direct.code == 0 && later.output == direct.output, "\(later.errors)")
    #expect(try folder.bytes("a.csv") == folder.bytes("b.csv"))
    let pinned = try ask("--given", "1.kind=elm")
    #expect(pinned.code == 0 && pinned.output != later.output, "\(pinned.errors)")
    // Rows that join are rows that were there.
    let lines = try folder.read("wood.csv").split(separator: "\n").map(String.init)
    try folder.write("old.csv", lines[...20].joined(separator: "\n") + "\n")
    try folder.write("more.csv", ([lines[0]] + lines[21...]).joined(separator: "\n") + "\n")
    _ = try folder.chorus(["condition", "old.csv", "--output", "o.safetensors"] + target)
    let joined = try folder.chorus([
      "condition", "more.csv", "--append", "o.safetensors", "--output", "c.safetensors", "--model",
      "t.safetensors",
    ])
    #expect(joined.code == 0, "\(joined.errors)")
    #expect(try ask().output == direct.output)
    for (words, arguments) in [
      ("has no rows to predict", []),
      ("--horizon goes with a series", ["--horizon", "3"]),
      ("leave out --as", asked + ["--as", "kind=skip"]),
    ] {
      let refused = try folder.chorus(
        ["predict", "--context", "c.safetensors", "--model", "t.safetensors"] + arguments)
      #expect(refused.code == 64 && refused.errors.contains(words), "\(refused.errors)")
    }
    let stranger = try folder.chorus(["predict", "--context", "c.safetensors"] + asked)
    #expect(stranger.code == 66 && stranger.errors.contains("give the model's file with --model"))
    let other = try folder.chorus(["predict", "--context", "c.safetensors", "--model", "tables"] + asked)
    #expect(other.code == 65 && other.errors.contains("is another one"), "\(other.errors)")
    // One byte that is not as it was written.
    var bytes = try folder.bytes("c.safetensors")
    bytes[bytes.count - 3] ^= 1
    try bytes.write(to: folder.url("c.safetensors"))
    #expect(try ask().code == 65)
  }

  @Test(
    "Columns of the file keep their names; the output's own give way",
    arguments: ["probability", "note", "row"])
  func namesOfColumns(name: String) throws {
    let folder = try Self.folder()
    let text = try folder.read("wood.csv").split(separator: "\n", maxSplits: 1)
    let header = text[0].split(separator: ",").map { $0 == "kind" ? Substring(name) : $0 }
    try folder.write("named.csv", header.joined(separator: ",") + "\n" + text[1])
    let outcome = try folder.chorus(
      "predict", "named.csv", "--target", name, "--model", "t.safetensors", "--output", "p.csv", "--samples",
      "4")
    #expect(outcome.code == 0, "\(outcome.errors)")
    let names = outcome.rows[0]
    #expect(Set(names).count == names.count && names.contains(name) && names.contains("_\(name)"))
    #expect(outcome.errors.contains("'\(name)' is called '_\(name)'"))
    let paths = try folder.read("p.csv").split(separator: "\n")[0].components(separatedBy: ",")
    #expect(Set(paths).count == 3 && paths[2] == name)
  }

  /// A kept table of every version that has landed answers as it did: `chorus condition rows.csv --target y` of the frozen `tables-1`,
  /// asked for five paths through the rows of `new.csv`.
  @Test(arguments: ["table-context-1"]) func frozenTablesAnswerAsTheyDid(version: String) throws {
    let frozen = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("ChorusTests/Frozen")
    let folder = try Folder()
    let kept = frozen.appendingPathComponent(version)
    let outcome = try folder.chorus([
      "predict", "--context", kept.appendingPathComponent("context.safetensors").path, "--model",
      frozen.appendingPathComponent("tables-1/model.safetensors").path, "--at-file",
      kept.appendingPathComponent("new.csv").path, "--samples", "5", "--output", "p.csv",
    ])
    #expect(outcome.code == 0, "\(outcome.errors)")
    func values(_ text: String) -> [Double] {
      text.split(separator: "\n").dropFirst().compactMap {
        $0.split(separator: ",").last.flatMap { Double($0) }
      }
    }
    let expected = try values(
      String(contentsOf: kept.appendingPathComponent("paths.csv"), encoding: .utf8))
    let found = try values(folder.read("p.csv"))
    #expect(found.count == 20 && expected.count == 20)
    // Written by one instruction set, perhaps read by another.
    for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-3 * max(1, abs(b))) }
  }
}
