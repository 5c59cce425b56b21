import ArgumentParser
import ChorusLayers
import ChorusModels
import ChorusPlans
import Foundation
import Testing

@testable import ChorusCommands

@Suite struct BenchTests {
  @Test func refusesWhatIsNoMeasurement() throws {
    for bad in [
      ["--what", "dance"], ["--op", "matmull"], ["--op", "exp", "--once"], ["--once", "--requests"],
      ["--sweep", "paths"], ["--scaling", "x", "--sweep", "depth"], ["--paths", "0"], ["--orders", "8,5000"],
      ["--width", "0"], ["--targets", "9223372036854775807"], ["--context", "8,1000000000"],
    ] {
      #expect(throws: (any Error).self, "\(bad)") { try Chorus.parseAsRoot(["bench"] + bad) }
    }
    #expect(try KernelBench.operations("exp,layer-norm") == [.exp, .layerNorm])
    #expect(try KernelBench.operations("all") == KernelOperation.allCases)
  }

  /// The counts of a small network, product by product.
  @Test func executedWorkIsWhatIsMultiplied() throws {
    var blueprint = Blueprint()
    (blueprint.width, blueprint.layers, blueprint.heads, blueprint.feedForward) = (8, 2, 2, 12)
    (blueprint.embedderHidden, blueprint.headHidden, blueprint.head) = (10, 6, .mixture(components: 3))
    let work = ExecutedWork(try Declaration(blueprint).rates)
    let embedX = 2 * 2 * 8 + 2 * 8 * 10 * 2
    let embedY = 2 * 8 + 2 * 8 * 10 * 2
    let keyValue = 2 * 8 * 16
    let block = 2 * 8 * 8 * 2 + 2 * 8 * 12 * 2
    let head = 2 * 8 * 6 + 2 * 6 * 9
    // Five context rows: the second layer stops at keys and values.
    #expect(
      work.encode(5) == Double(5 * (embedX + embedY + 2 * keyValue + block) + 4 * 8 * 5 * 5))
    // Three targets of one path: three queries, two commits, and the pairs each of them sees.
    let plan = try PlanTemplate.sequential.resolve(context: 5, targets: 3)
    let queryPairs = 5 + 6 + 7
    let commitPairs = 6 + 7
    #expect(
      work.sample(plan, paths: 1)
        == Double(
          3 * embedX + 3 * (2 * block + head) + 2 * 4 * 8 * queryPairs
            + 2 * (embedY + 2 * keyValue + block) + 4 * 8 * commitPairs))
    #expect(work.nominalEncode(5) > work.encode(5))
    #expect(try work.nominal(plan, paths: 4) > work.sample(plan, paths: 4))
  }

  @Test func clockCallsShortBodiesOften() throws {
    var calls = 0
    let clock = BenchClock(pool: .init(threads: 1), repetitions: 2, leastSeconds: 0.01)
    let repetitions = try clock.measure { calls += 1 }
    #expect(repetitions.count == 2 && calls > 100)
    #expect(
      repetitions.allSatisfy { $0.seconds > 0 && $0.seconds < 1e-4 && $0.peak > 1e6 && $0.single > 1e6 })
    let bandwidth = clock.bandwidth()
    #expect(bandwidth.single > 1e8 && bandwidth.all > 1e8)
  }

  #if os(Linux)
    /// Memory that was used and freed before counts again when it is used again. 256 MB, since other tests free some meanwhile.
    @Test func residenceThatGrowsIsSeen() throws {
      for _ in 0..<2 {
        let memory = MemoryGrowth()
        var blocks: [[UInt64]] = []
        for value in 1...256 { blocks.append([UInt64](repeating: UInt64(value), count: 1 << 17)) }
        #expect(blocks.count == 256)
        let grown = try #require(memory.bytes)
        #expect(grown > 32 << 20)
      }
    }
  #endif

  /// A law, a range and points for each kind of measurement, all sizes on the axis.
  @Test func picturesHoldEveryMeasurement() throws {
    let repetition = BenchClock.Repetition(
      seconds: 0.002, processorSeconds: 0.002, single: 1e9, peak: 2e9, peakByProcessor: 1e9)
    let rows = [64, 128].map { size in
      BenchRow(
        what: "sample", blueprint: Blueprint(), threads: 1, context: 256, targets: 32, paths: size,
        repetitions: [repetition, repetition], bandwidth: .init(single: 1e9, all: 1e9),
        flops: Double(size) * 1e5,
        nominal: 1, bytes: 1_000_000, measuredBytes: 900_000)
    }
    let figure = ScalingPicture(sweep: .paths, rows: rows).figure
    let svg = figure.svg()
    #expect(svg.contains("paths B") && svg.contains("growth of residence"))
    #expect(svg.contains("context copied for each path") && svg.contains("arithmetic at the best speed"))
  }
}

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct BenchProgramTests {
  private static let small = [
    "--layers", "1", "--feed-forward", "16", "--hidden", "16", "--repetitions", "1", "--quiet",
  ]

  @Test func measuresEveryCombination() throws {
    let folder = try Folder()
    let run = try folder.start(
      ["bench", "--what", "encode,sample,density", "--context", "4,6", "--targets", "2,3", "--paths", "1,2"]
        + ["--orders", "2", "--width", "8,16", "--heads", "2"] + Self.small
    ).1()
    #expect(run.code == 0 && run.errors.isEmpty, "\(run.errors)")
    #expect(run.rows[0] == BenchTable.columns)
    // Two widths, two contexts; then four of sample, one of encode, two of density.
    #expect(run.rows.count == 1 + 2 * 2 * (4 + 1 + 2))
    let share = try #require(run.rows[0].firstIndex(of: "share"))
    for row in run.rows.dropFirst() { #expect((Double(row[share]) ?? 0) > 0) }
    let wrong = try folder.start(["bench", "--width", "8,12", "--heads", "2,5"] + Self.small).1()
    #expect(wrong.code == 65 && wrong.output.isEmpty && wrong.errors.contains("multiple of 4·heads"))
  }

  @Test func measuresKernels() throws {
    let folder = try Folder()
    let list = try folder.chorus("bench", "--op", "list")
    #expect(list.rows.dropFirst().map { $0[0] } == KernelOperation.allCases.map(\.rawValue))
    let run = try folder.chorus(
      "bench", "--op", "exp,cholesky", "--repetitions", "1", "--format", "jsonl", "--quiet")
    #expect(run.code == 0, "\(run.errors)")
    #expect(run.rows.count == 7 && run.output.contains("\"op\":\"cholesky\",\"shape\":\"150\""))
  }

  /// The same request gives the same values whatever came between, and a bad one does not end the program.
  @Test func answersRequests() throws {
    let folder = try Folder()
    let blueprint = """
      {"width":8,"layers":1,"heads":2,"feedForward":8,"embedderHidden":8,"headHidden":8,"components":2}
      """
    let sample = #"{"do":"sample","x":[0,1],"y":[0.5,-0.5],"at":[2,3],"paths":3,"seed":4,"values":true}"#
    let run = try folder.chorus(
      "bench", "--requests",
      input: """
        \(sample)
        {"do":"model","blueprint":\(blueprint),"seed":2,"write":"w.safetensors"}
        \(sample)
        {"do":"density","x":[0,1],"y":[0.5,-0.5],"at":[2,3],"of":[0.1,0.2],"orders":2,"values":true}
        {"do":"tasks","configuration":{"blueprint":\(blueprint),"batch":2,"context":[3,3],"buffers":[2],"targets":2}}
        {"do":"train","configuration":{"blueprint":\(blueprint),"batch":2,"context":[3,3],"buffers":[2],"targets":2}}
        nonsense
        \(sample)

        """)
    #expect(run.code == 0 && run.errors.isEmpty, "\(run.errors)")
    let answers = try run.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(answers.count == 8)
    #expect((answers[0]["error"] as? String)?.contains("no model") == true && answers[6]["error"] != nil)
    let drawn = try #require(answers[2]["values"] as? [[Double]])
    #expect(drawn.count == 3 && drawn.allSatisfy { $0.count == 2 })
    #expect(answers[7]["values"] as? [[Double]] == drawn)
    #expect((answers[3]["values"] as? [[Double]])?.first?.count == 2)
    #expect((answers[4]["values"] as? [[Double]])?.map(\.count) == [14, 14])
    #expect((answers[5]["loss"] as? Double)?.isFinite == true && (answers[5]["gradient"] as? Double ?? 0) > 0)
    #expect((answers[2]["seconds"] as? Double ?? 0) > 0)
    #expect(try Model(path: folder.path + "/w.safetensors").blueprint.width == 8)
  }

  @Test func runsOnceWithoutAClock() throws {
    let run = try Folder().chorus("bench", "--once", "--threads", "1")
    #expect(run.code == 0 && run.output.isEmpty && run.errors.isEmpty)
  }

  @Test func writesATableAndAPictureOfASweep() throws {
    let folder = try Folder()
    let run = try folder.chorus(
      "bench", "--scaling", "out", "--sweep", "threads", "--repetitions", "1", "--quiet")
    #expect(run.code == 0, "\(run.errors)")
    let table = try folder.read("out/scaling-threads.csv")
    #expect(table.split(separator: "\n").count == 1 + 4 * Sweep.threads.sizes.count)
    #expect(try folder.read("out/scaling-threads.svg").contains("the probed peak"))
  }

  @Test func reading() throws {
    let folder = try Folder()
    try folder.write("r.csv", "a,b\n" + String(repeating: "1,2\n", count: 100))
    let all = try folder.chorus("bench", "--read", "r.csv", "--repetitions", "3")
    #expect(all.code == 0 && all.rows.count == 2, "\(all.errors)")
    #expect(all.rows.last?.prefix(3) == ["r.csv", "100", "2"] && Double(all.rows[1][7]) ?? 0 > 0)
    #expect(try folder.chorus("bench", "--read", "r.csv", "--columns", "b").rows[1][2] == "1")
    #expect(try folder.chorus("bench", "--read", "r.csv", "--columns", "c").code == 65)
    #expect(try folder.chorus("bench", "--columns", "b").code == 64)
  }
}
