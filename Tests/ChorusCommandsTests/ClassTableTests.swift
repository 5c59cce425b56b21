import Foundation
import Testing

/// Categories of tables as a person asks for them: by the network that is shipped, by estimators alone where that is said, or where
/// the network is not at hand.
@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct ClassTableTests {
  private static let asked = ["predict", "wood.csv", "--samples", "8", "--seed", "2"]

  @Test func theNetworkIsAskedUnlessAModelIsNamed() throws {
    let folder = try TableTests.folder()
    func ask(_ more: String...) throws -> Outcome { try folder.chorus(Self.asked + more) }
    let (both, pool, network) = (
      try ask("--target", "kind"), try ask("--target", "kind", "--model", "tables"),
      try ask("--target", "kind", "--model", "classes")
    )
    #expect(both.code == 0 && pool.code == 0 && !both.errors.contains("at hand"), "\(both.errors)")
    #expect(both.output == network.output && both.output != pool.output)
    // No draw changes what is said of rows, and drawn levels are the same whoever else is asked for.
    let paths = try ask("--target", "kind", "--output", "p.csv")
    #expect(paths.rows.map { $0.prefix(6) } == both.rows.map { $0.prefix(6) })
    #expect(try folder.read("p.csv").split(separator: "\n").count == 1 + 8 * (both.rows.count - 1))
    let together = try ask("--target", "kind,price", "--output", "t.csv", "--threads", "1")
    let again = try ask("--target", "kind,price", "--output", "u.csv", "--threads", "2")
    #expect(together.code == 0 && together.output == again.output, "\(together.errors)")
    #expect(try folder.bytes("t.csv") == folder.bytes("u.csv"))
    #expect(try ask("--target", "kind,price", "--model", "tables").output != together.output)
    let number = try ask("--target", "kind,price", "--model", "classes")
    #expect(number.code == 65 && number.errors.contains("predicts categories"), "\(number.errors)")
  }

  @Test func everyCommandAsksIt() throws {
    let folder = try TableTests.folder()
    func differ(_ arguments: String...) throws -> (both: Outcome, pool: Outcome) {
      let (both, pool) = (
        try folder.chorus(arguments), try folder.chorus(arguments + ["--model", "tables"])
      )
      #expect(both.code == 0 && pool.code == 0, "\(both.errors)")
      return (both, pool)
    }
    let score = try differ("score", "wood.csv", "--target", "kind", "--folds", "3")
    #expect(score.both.output != score.pool.output)
    // What it is compared with stays.
    let place = try #require(score.both.rows[0].firstIndex(of: "logistic_log_loss"))
    #expect(score.both.rows.map { $0[place] } == score.pool.rows.map { $0[place] })
    let filled = try differ("fill", "wood.csv", "--target", "kind", "--samples", "4", "--report", "r.csv")
    #expect(filled.both.errors.contains("of 'kind'"))
    let report = ["report", "wood.csv", "--target", "kind", "--samples", "9", "--output"]
    for (name, more) in [("a.html", [String]()), ("b.html", ["--model", "tables"])] {
      let outcome = try folder.chorus(report + [name] + more)
      #expect(outcome.code == 0, "\(outcome.errors)")
    }
    let (page, pool) = (try folder.read("a.html"), try folder.read("b.html"))
    #expect(page.contains("model classes, after") && !page.contains("no network's"))
    #expect(pool.contains("estimators fitted to the rows, after") && pool.contains("no network's"))
    let losses = [page, pool].map { $0.components(separatedBy: "log-loss").dropFirst().joined() }
    #expect(losses[0] != losses[1])
    _ = try folder.chorus(report + ["c.html", "--threads", "1"])
    #expect(try folder.read("c.html") == page)
    let info = try folder.chorus("info", "classes")
    #expect(info.output.contains("prior,classes") && info.output.contains("levels"), "\(info.output)")
  }

  @Test func severalCategoriesAreScoredTogether() throws {
    let folder = try Folder()
    let rows = (0..<60).map { row -> String in
      let (a, b) = (row * 7 % 11, row * 5 % 13)
      let first = ["low", "middle", "high"][(a + row % 3) / 5]
      return "\(a),\(b),\(first),\(b > 6 ? first : "flat"),\(a * b)"
    }
    try folder.write("t.csv", "a,b,first,second,number\n" + rows.joined(separator: "\n") + "\n")
    func score(_ target: String, _ more: String...) throws -> [[String: String]] {
      let outcome = try folder.chorus(
        ["score", "t.csv", "--target", target, "--input", "a,b", "--folds", "3"] + more)
      #expect(outcome.code == 0 && outcome.errors.contains("verdict:"), "\(outcome.errors)")
      return outcome.rows.dropFirst().map {
        Dictionary(zip(outcome.rows[0], $0), uniquingKeysWith: { one, _ in one })
      }
    }
    let together = try score("first,second")
    let targets = (0..<4).flatMap { _ in ["first", "second", "first+second"] }
    #expect(together.compactMap { $0["target"] } == targets)
    func loss(_ row: [String: String], _ name: String = "log_loss") -> Double {
      Double(row[name] ?? "") ?? .nan
    }
    let (first, second) = (try score("first"), try score("second"))
    for repetition in 0..<4 {
      let own = Array(together[3 * repetition..<3 * repetition + 3])
      #expect(abs(loss(own[2]) - loss(own[0]) - loss(own[1])) < 1e-9)
      #expect(loss(own[0]) == loss(first[repetition]))
      let apart = loss(first[repetition]) + loss(second[repetition])
      #expect(abs(loss(own[2], "log_loss_apart") - apart) < 1e-9)
      #expect(
        abs(
          loss(own[2], "forest_log_loss") - loss(own[0], "forest_log_loss")
            - loss(own[1], "forest_log_loss")) < 1e-9)
      #expect(own[2]["accuracy"] == "" && own[0]["log_loss_apart"] == "")
      for name in ["independent_log_loss", "joint_log_loss"] {
        #expect(abs(loss(own[2], name) - loss(own[0], name) - loss(own[1], name)) < 1e-9)
        #expect(loss(own[0], name) == loss(first[repetition], name))
      }
      // Fewer rows are held out than are looked at together, so that all are.
      #expect(abs(loss(own[0], "independent_log_loss") - loss(own[0])) < 1e-9)
      #expect(loss(own[0], "joint_log_loss") != loss(own[0]))
    }
    // What the first is tells of the second.
    #expect(loss(together[11]) < loss(together[11], "log_loss_apart"))
    let mixed = try folder.chorus("score", "t.csv", "--target", "first,number", "--folds", "3")
    #expect(mixed.code == 65 && mixed.errors.contains("where all are categories"), "\(mixed.errors)")
  }

  /// A program with the weights of tables beside it, and no others.
  @Test func withoutItsWeightsThatIsSaid() throws {
    let folder = try TableTests.folder()
    let program = try #require(executable)
    let weights = program.deletingLastPathComponent().appendingPathComponent(
      "chorus_ChorusModels.resources/tables.safetensors")
    guard FileManager.default.fileExists(atPath: weights.path) else { return }
    let own = folder.url("chorus")
    // A link is the same file under another name, in another folder.
    do { try FileManager.default.linkItem(at: program, to: own) } catch {
      try FileManager.default.copyItem(at: program, to: own)
    }
    try FileManager.default.createDirectory(at: folder.url("weights"), withIntermediateDirectories: false)
    try FileManager.default.copyItem(at: weights, to: folder.url("weights/tables.safetensors"))
    func alone(_ arguments: [String]) throws -> Outcome {
      try folder.start(arguments, program: own).1()
    }
    let words = "'classes' is not at hand"
    for arguments in [
      Self.asked + ["--target", "kind"], Self.asked + ["--target", "kind,price"],
      ["fill", "wood.csv", "--samples", "4"], ["score", "wood.csv", "--target", "kind", "--folds", "2"],
    ] {
      let (found, pool) = (try alone(arguments), try folder.chorus(arguments + ["--model", "tables"]))
      #expect(found.code == 0 && found.errors.contains(words), "\(found.errors)")
      #expect(found.output == pool.output && !pool.errors.contains(words))
    }
    let number = try alone(Self.asked + ["--target", "price", "--as", "kind=category"])
    #expect(number.code == 0 && !number.errors.contains(words), "\(number.errors)")
    // A table that was kept with it is not answered without it.
    let kept = try folder.chorus("condition", "wood.csv", "--target", "kind", "--output", "c.safetensors")
    #expect(kept.code == 0, "\(kept.errors)")
    try folder.write("new.csv", "size\n3\n")
    let refused = try alone(["predict", "--context", "c.safetensors", "--at-file", "new.csv"])
    #expect(refused.code == 66 && refused.errors.contains("classes"), "\(refused.errors)")
  }

  @Test func aKeptTableRemembersBothModels() throws {
    let folder = try TableTests.folder()
    try folder.write("new.csv", "size,kind,when\n3.5,,2024-02-03\n8,,\n,ash,\n")
    let asked = ["--at-file", "new.csv", "--samples", "6", "--seed", "3"]
    func keep(_ name: String, _ target: String, _ more: String...) throws {
      let kept = try folder.chorus(["condition", "wood.csv", "--target", target, "--output", name] + more)
      #expect(kept.code == 0, "\(kept.errors)")
    }
    func ask(_ name: String, _ more: String...) throws -> Outcome {
      try folder.chorus(["predict", "--context", name] + asked + more)
    }
    try keep("both.safetensors", "kind,price")
    try keep("pool.safetensors", "kind,price", "--model", "tables")
    let direct = try folder.chorus(["predict", "wood.csv", "--target", "kind,price"] + asked)
    let pool = try folder.chorus(
      ["predict", "wood.csv", "--target", "kind,price", "--model", "tables"] + asked)
    #expect(direct.code == 0 && direct.output != pool.output)
    // Either of its models may be named.
    for more in [[], ["--model", "tables"], ["--model", "classes"]] {
      let later = try folder.chorus(["predict", "--context", "both.safetensors"] + asked + more)
      #expect(later.output == direct.output, "\(later.errors)")
    }
    #expect(try ask("pool.safetensors").output == pool.output)
    let stranger = try ask("pool.safetensors", "--model", "classes")
    #expect(stranger.code == 65 && stranger.errors.contains("'classes' is another one"), "\(stranger.errors)")
    // Rows that join belong to both as well.
    let lines = try folder.read("wood.csv").split(separator: "\n").map(String.init)
    try folder.write("old.csv", lines[...20].joined(separator: "\n") + "\n")
    try folder.write("more.csv", ([lines[0]] + lines[21...]).joined(separator: "\n") + "\n")
    _ = try folder.chorus("condition", "old.csv", "--target", "kind,price", "--output", "o.safetensors")
    let joined = try folder.chorus(
      "condition", "more.csv", "--append", "o.safetensors", "--output", "joined.safetensors")
    #expect(joined.code == 0, "\(joined.errors)")
    #expect(try ask("joined.safetensors").output == direct.output)
    // A number needs no network of classes, and its file is that of an earlier version.
    try keep("number.safetensors", "price", "--as", "kind=category")
    #expect(try folder.bytes("number.safetensors").range(of: Data("chorus-table-1".utf8)) != nil)
    #expect(try folder.bytes("both.safetensors").range(of: Data("chorus-table-2".utf8)) != nil)
    // Another network of classes is refused by name.
    try folder.write("tiny.json", Self.tiny)
    let trained = try folder.chorus("train", "tiny.json", "--out", "run")
    #expect(trained.code == 0, "\(trained.errors)")
    let other = try ask("both.safetensors", "--model", "run/model.safetensors")
    #expect(
      other.code == 65 && other.errors.contains("kept for model 'classes'")
        && other.errors.contains("'model' is another one"), "\(other.errors)")
    // One that was trained here is kept with and asked like the shipped one.
    try keep("own.safetensors", "kind", "--model", "run/model.safetensors")
    let own = try ask("own.safetensors", "--model", "run/model.safetensors")
    let read = try folder.chorus(
      ["predict", "wood.csv", "--target", "kind", "--model", "run/model.safetensors"] + asked)
    #expect(own.code == 0 && own.output == read.output, "\(own.errors)")
  }

  /// Kept tables of every version whose target is a category, asked for the rows of `new.csv`: `answer.csv` is what was said.
  ///
  /// `table-category-1` is of a version without a network of classes, by the model of `tables-1`; `table-category-2` has both models beside
  /// it.
  @Test(arguments: ["table-category-1", "table-category-2"])
  func frozenTablesAnswerAsTheyDid(version: String) throws {
    let frozen = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("ChorusTests/Frozen")
    let kept = frozen.appendingPathComponent(version).path
    let models =
      version.hasSuffix("1")
      ? (weights: "", named: "--model '\(frozen.path)/tables-1/model.safetensors'")
      : (weights: "CHORUS_WEIGHTS='\(kept)/weights' ", named: "")
    let folder = try Folder()
    func ask(_ weights: String, _ named: String) throws -> Outcome {
      try folder.shell(
        "\(weights)\"$CHORUS\" predict --context '\(kept)/context.safetensors' --at-file '\(kept)/new.csv' \(named)"
      )
    }
    let outcome = try ask(models.weights, models.named)
    #expect(outcome.code == 0, "\(outcome.errors)")
    let expected = try String(contentsOfFile: kept + "/answer.csv", encoding: .utf8)
      .split(separator: "\n").map { $0.components(separatedBy: ",") }
    #expect(outcome.rows.count == 5 && expected.count == 5 && outcome.rows[0] == expected[0])
    for (found, row) in zip(outcome.rows, expected).dropFirst() {
      #expect(found[0] == row[0] && found[1] == row[1])
      // Written by one instruction set, perhaps read by another.
      for (a, b) in zip(found[2..<6], row[2..<6]) {
        #expect(abs((Double(a) ?? -1) - (Double(b) ?? -2)) < 1e-4, "\(found)")
      }
    }
    // The models that are shipped now are others.
    let other = try ask("", version.hasSuffix("1") ? "--model tables" : "")
    #expect(other.code == 65 && other.errors.contains("is another one"), "\(other.errors)")
  }

  /// A network of classes that is trained in a moment.
  static let tiny = """
    {"prior": "classes", "steps": 2, "batch": 2, "context": [8, 24], "buffers": [4], "targets": 4, "seed": 3,
     "validationTasks": 2, "validateEvery": 2, "checkpointEvery": 2, "dimensions": [1, 2, 3],
     "blueprint": {"version": 2, "family": "classes", "width": 32, "layers": 1, "heads": 2, "feedForward": 16,
                   "embedderHidden": 16, "headHidden": 16, "inputDimensions": 505, "scaling": "none", "norm": "pre",
                   "frequencies": 0, "bufferPositions": 0, "hints": [], "memories": [],
                   "trainedContext": 32, "trainedBuffer": 8,
                   "parts": {"biases": true, "coordinates": 12, "epsilon": 1e-05, "feed": "gelu", "norm": "layer"},
                   "head": {"name": "levels", "around": 5, "trusted": 3}}}
    """
}
