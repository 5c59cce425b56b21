import Foundation
import Testing

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct TrainTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.write("c.json", tinyConfiguration)
    try folder.writeTable()
  }

  @Test func trainThenUse() throws {
    let trained = try folder.chorus("train", "c.json", "--out", "run")
    #expect(trained.code == 0 && trained.output.isEmpty, "\(trained.errors)")
    #expect(trained.errors.contains("step 12/12") && trained.errors.contains("model: run/model.safetensors"))
    let log = try folder.read("run/log.jsonl").split(separator: "\n")
    let steps = try log.map {
      try (JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])?["step"] as? Int
    }
    #expect(steps == [4, 8, 12])
    // The seed of the configuration, unless the command line has one.
    #expect(try folder.read("run/configuration.json").contains("\"seed\" : 5"))
    let info = try folder.chorus("info", "run/model.safetensors")
    #expect(info.code == 0)
    let properties = Dictionary(info.rows.map { ($0[0], $0[1...].joined(separator: ",")) }) { $1 }
    #expect(properties["property"] == "value" && properties["file"] == "model.safetensors")
    #expect(properties["tasks"] == "48" && properties["steps"] == "12" && properties["seed"] == "5")
    #expect(properties["width"] == "16" && properties["prior"] == "gp")

    let arguments = [
      "evaluate", "--model", "run/model.safetensors", "--prior", "gp", "--context", "4,8", "--functions",
      "3", "--orders", "2", "--targets", "3",
    ]
    let evaluated = try folder.start(arguments + ["--threads", "1"]).1()
    #expect(
      evaluated.code == 0 && evaluated.errors == "model trained on 48 tasks of gp\n", "\(evaluated.errors)")
    #expect(evaluated.rows.map { $0[0] } == ["context", "4", "8", "all"])
    #expect(evaluated.rows[0][14] == "reencode_minus_buffer" && evaluated.rows.allSatisfy { $0.count == 21 })
    #expect(try folder.start(arguments + ["--threads", "2"]).1().output == evaluated.output)
    // The columns of those who know the prior alone come last and change no other.
    let more = try folder.start(arguments + ["--attainable"]).1()
    #expect(
      more.rows.map { Array($0.prefix(21)) } == evaluated.rows && more.rows.allSatisfy { $0.count == 25 })
    #expect(more.rows[0][21] == "attainable_joint")
    for row in more.rows.dropFirst() {
      // attainable_joint − reencode is what is told as attainable_minus_reencode.
      let numbers = row.dropFirst().map { Double($0) ?? .nan }
      #expect(abs(numbers[20] - numbers[11] - numbers[22]) < 1e-9)
    }
    let none = try folder.start(
      ["evaluate", "--model", "run/model.safetensors", "--prior", "functions", "--attainable"]
    ).1()
    #expect(none.code == 64 && none.errors.contains("ask for gp, gp-noisy or sawtooth"), "\(none.errors)")
    let drawn = try folder.start(arguments + ["--calibration", "c.svg"]).1()
    let picture = try folder.read("c.svg")
    #expect(drawn.output == evaluated.output && picture.contains("Calibration of model on tasks of gp"))
    #expect(["N = 4", "N = 8", "all N", "6 tasks"].allSatisfy { picture.contains($0) })
    let lines = try folder.start(arguments + ["--format", "jsonl", "--quiet"]).1()
    #expect(lines.errors.isEmpty)
    for line in lines.output.split(separator: "\n") {
      #expect(try JSONSerialization.jsonObject(with: Data(line.utf8)) is [String: Any])
    }
    let predicted = try folder.chorus(
      "predict", "t.csv", "--input", "t", "--target", "level", "--model", "run/model.safetensors")
    #expect(predicted.code == 0 && predicted.rows.count == 3)
    // The folder's name with a slash is a path, and so is a bare file name that no shipped model has.
    try FileManager.default.copyItem(at: folder.url("run/model.safetensors"), to: folder.url("mine"))
    #expect(try folder.chorus("info", "mine").code == 0)
  }

  @Test func sameBytesForAnyThreadsAndAnotherSeed() throws {
    for (name, threads) in [("a", "1"), ("b", "2")] {
      #expect(try folder.chorus("train", "c.json", "--out", name, "--threads", threads, "--quiet").code == 0)
    }
    #expect(try folder.bytes("a/model.safetensors") == folder.bytes("b/model.safetensors"))
    let other = try folder.chorus("train", "c.json", "--out", "d", "--seed", "6", "--quiet")
    #expect(other.code == 0 && other.errors.isEmpty && other.output.isEmpty)
    #expect(try folder.bytes("a/model.safetensors") != folder.bytes("d/model.safetensors"))
    let again = try folder.chorus("train", "c.json", "--out", "a")
    #expect(again.code == 65 && again.errors.contains("a holds a run at step 12; pass --resume"))
    #expect(again.errors.hasPrefix("error: ") && again.errors.split(separator: "\n").count == 1)
    let done = try folder.chorus("train", "c.json", "--out", "a", "--resume")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try folder.bytes("a/model.safetensors") == folder.bytes("b/model.safetensors"))
    // A finished run goes on under a longer schedule, and under nothing else.
    let longer = try folder.chorus("train", "c.json", "--out", "a", "--resume", "--steps", "13")
    #expect(longer.code == 0 && longer.errors.contains("going on from step 12 of 13"), "\(longer.errors)")
    #expect(try folder.bytes("a/model.safetensors") != folder.bytes("b/model.safetensors"))
    for (more, words) in [
      (["--batch", "5"], "batch 4, and --batch says 5"), (["--seed", "6"], "seed 5, and --seed says 6"),
      (["--memory", "ridge"], "and --memory says [\"ridge\"]"),
      (["--tasks", "nosuch.jsonl"], "and --tasks says \"tasks\""),
    ] {
      let refused = try folder.start(["train", "c.json", "--out", "a", "--resume"] + more).1()
      #expect(
        refused.code == 64 && refused.errors.contains("a was begun with ") && refused.errors.contains(words),
        "\(refused.errors)")
    }
    let prior = try folder.chorus("train", "sawtooth", "--out", "a", "--resume")
    #expect(
      prior.code == 64 && prior.errors.contains("prior \"gp\", and sawtooth says \"sawtooth\""),
      "\(prior.errors)")
    // What was changed by a flag at the beginning need not be given again where it does not contradict.
    #expect(try folder.chorus("train", "gp", "--out", "a", "--resume", "--seed", "5", "-q").code == 0)
    try folder.write(
      "other.json", tinyConfiguration.replacingOccurrences(of: "\"width\": 16", with: "\"width\": 24"))
    let file = try folder.chorus("train", "other.json", "--out", "a", "--resume")
    #expect(
      file.code == 64 && file.errors.contains("blueprint.width 16, and other.json says 24"), "\(file.errors)")
    try folder.write(
      "longer.json", tinyConfiguration.replacingOccurrences(of: "\"steps\": 12", with: "\"steps\": 20"))
    let same = try folder.chorus("train", "longer.json", "--out", "a", "--resume")
    #expect(
      same.code == 0 && same.errors.contains("steps stays 13, as the run began; longer.json says 20"),
      "\(same.errors)")
    #expect(try folder.read("a/configuration.json").contains("\"batch\" : 4"))
    try folder.write("a/configuration.json", "{\"stepz\": 1}")
    let unknown = try folder.chorus("train", "c.json", "--out", "a", "--resume")
    #expect(unknown.code == 64 && unknown.errors.contains("unknown field 'stepz'"), "\(unknown.errors)")
    try folder.write("a/configuration.json", "{\"steps\"")
    let broken = try folder.chorus("train", "c.json", "--out", "a", "--resume")
    #expect(broken.code == 64 && broken.errors.contains("a/configuration.json cannot be read"))
  }

  @Test func interruptedRunsGoOn() throws {
    let long = tinyConfiguration.replacingOccurrences(of: "\"steps\": 12", with: "\"steps\": 12000")
      .replacingOccurrences(of: "\"validateEvery\": 4", with: "\"validateEvery\": 100")
      .replacingOccurrences(of: "\"checkpointEvery\": 6", with: "\"checkpointEvery\": 100000")
    try folder.write("long.json", long)
    let (process, finish) = try folder.start(["train", "long.json", "--out", "run", "--threads", "1"])
    let limit = Date(timeIntervalSinceNow: 30)
    while !FileManager.default.fileExists(atPath: folder.path + "/run/log.jsonl"), Date() < limit {
      usleep(2000)
    }
    kill(process.processIdentifier, SIGINT)
    let stopped = try finish()
    #expect(stopped.code == 130 && !stopped.signalled)
    #expect(stopped.errors.contains("--resume goes on"), "\(stopped.errors)")
    #expect(try folder.chorus("info", "run/model.safetensors").code == 0)
    let resumed = try folder.chorus("train", "long.json", "--out", "run", "--resume")
    #expect(resumed.code == 0 && resumed.errors.contains("going on from step "), "\(resumed.errors)")
    #expect(try folder.chorus("train", "long.json", "--out", "whole", "--quiet").code == 0)
    #expect(try folder.bytes("run/model.safetensors") == folder.bytes("whole/model.safetensors"))
  }

  /// A second training is told whose folder it is; the first goes on undisturbed.
  @Test func twoTrainingsInOneFolder() throws {
    let long = tinyConfiguration.replacingOccurrences(of: "\"steps\": 12", with: "\"steps\": 3000000")
    try folder.write("long.json", long)
    let (process, finish) = try folder.start([
      "train", "long.json", "--out", "run", "--threads", "1", "--quiet",
    ])
    let limit = Date(timeIntervalSinceNow: 30)
    while !FileManager.default.fileExists(atPath: folder.path + "/run/model.safetensors"), Date() < limit {
      usleep(2000)
    }
    for more in [[], ["--resume"]] {
      let second = try folder.start(["train", "long.json", "--out", "run"] + more).1()
      #expect(second.code == 74, "\(second.errors)")
      #expect(second.errors.contains("run: process \(process.processIdentifier) on "), "\(second.errors)")
      #expect(second.errors.contains("Wait for it or end it, or name another folder"), "\(second.errors)")
    }
    kill(process.processIdentifier, SIGTERM)
    let stopped = try finish()
    #expect(stopped.code == 130 && !stopped.signalled && stopped.errors.isEmpty, "\(stopped.errors)")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path + "/run").sorted() == [
        "checkpoints", "configuration.json", "log.jsonl", "model.safetensors",
      ])
  }

  @Test func tasksOfAFile() throws {
    let tasks = (0..<6).map { task in
      let x = (0..<20).map { "\(Double($0) / 5)" }.joined(separator: ",")
      let y = (0..<20).map { "\(Double(($0 * 7 + task) % 5))" }.joined(separator: ",")
      return "{\"x\": [\(x)], \"y\": [\(y)]}"
    }
    try folder.write("tasks.jsonl", tasks.joined(separator: "\n"))
    let trained = try folder.chorus("train", "c.json", "--out", "run", "--tasks", "tasks.jsonl")
    #expect(trained.code == 0, "\(trained.errors)")
    #expect(try folder.chorus("info", "run/model.safetensors").output.contains("prior,tasks"))
    let alone = try folder.chorus("train", "c.json", "--out", "run", "--resume")
    #expect(alone.code == 64 && alone.errors.contains("pass --tasks FILE.jsonl"))
    #expect(
      try folder.chorus("train", "c.json", "--out", "run", "--resume", "--tasks", "tasks.jsonl").code == 0)
    let bytes = try folder.bytes("run/model.safetensors")
    try folder.write("others.jsonl", tasks.reversed().joined(separator: "\n"))
    let others = try folder.chorus(
      "train", "c.json", "--out", "run", "--resume", "--tasks", "others.jsonl", "--steps", "14")
    #expect(others.code == 65 && others.errors.contains("began with another --tasks"), "\(others.errors)")
    #expect(try folder.bytes("run/model.safetensors") == bytes)
    // Too short for the largest step: told before the first one.
    let short = try folder.chorus("train", "gp", "--out", "no", "--tasks", "tasks.jsonl")
    #expect(short.code == 64 && short.errors.contains("a step takes up to 320 rows"), "\(short.errors)")
    #expect(!folder.names.contains("no"))
    try folder.write("broken.jsonl", tasks[0] + "\n{\"x\": [1], \"y\": [1, 2]}\n")
    let broken = try folder.chorus("train", "c.json", "--out", "no", "--tasks", "broken.jsonl")
    #expect(broken.code == 65 && broken.errors.contains("broken.jsonl:2: x has 1 rows and y has 2 values"))
    #expect(try folder.chorus("train", "c.json", "--out", "no", "--tasks", "nosuch.jsonl").code == 66)
  }

  /// Parts of a step for several processes: kept with the run, and said in how to train it again.
  @Test func leaves() throws {
    let trained = try folder.chorus("train", "c.json", "--leaves", "4", "--out", "run")
    #expect(trained.code == 0, "\(trained.errors)")
    #expect(try folder.read("run/configuration.json").contains("\"leaves\" : 4"))
    let info = try folder.chorus("info", "run/model.safetensors")
    #expect(info.output.contains("--leaves 4"), "\(info.output)")
    let other = try folder.chorus("train", "c.json", "--leaves", "8", "--out", "run", "--resume")
    #expect(other.code == 64 && other.errors.contains("--leaves says 8"), "\(other.errors)")
    let odd = try folder.chorus("train", "c.json", "--leaves", "3", "--out", "odd")
    #expect(odd.code == 64 && odd.errors.contains("a power of two"), "\(odd.errors)")
    #if !MPI
      let ranks = try folder.chorus("train", "c.json", "--ranks", "--out", "other")
      #expect(ranks.code == 64 && ranks.errors.contains("--traits MPI"), "\(ranks.errors)")
    #endif
  }
}
