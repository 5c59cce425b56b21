import ArgumentParser
import ChorusFiles
import ChorusMemories
import ChorusStorage
import ChorusTables
import ChorusTensors
import Foundation

struct BenchMemories: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "How fast memories of sequences read and learn, against tokens and the length of a chunk.",
    discussion: """
      A row for each memory, number of tokens, chunk and pass: forward reads every prefix of all sequences, both walks \
      back as well, step lets every sequence of the batch go on by one token. share is what the pass's matrix products \
      are of the machine's fused multiply-adds, probed beside it; state_bytes is what one sequence keeps. A chunk is the \
      most rows that one product takes in training, for memories whose answer does not depend on it.
      """)

  @OptionGroup var common: CommonOptions

  @Argument(help: "Memories, comma-separated; `chorus memories list` names all.")
  var names = "softmax,linear-elu,retention,mamba-2,gla,gated-delta,kimi-delta,mesa,ttt-linear-batches"

  @Option(help: "Tokens of a sequence, a comma-separated list.")
  var tokens = "128,512,2048"

  @Option(help: "Most rows of a chunk, a comma-separated list.")
  var chunk = "64"

  @Option(help: "Sequences of a batch.")
  var batch = 8

  @Option(help: "Heads.")
  var heads = 4

  @Option(help: "Columns of a head.")
  var width = 64

  @Option(help: "Times each pass is timed.")
  var repetitions = 5

  @Option(help: "csv or jsonl.")
  var format = TableFormat.csv

  @Option(
    help: "Instead of timing, write the numbers that go in and come out of the first memory to this file.")
  var write: String?

  @Flag(help: "Instead of a table, time one pass a line of standard input: forward, both or step.")
  var requests = false

  static let columns = [
    "memory", "tokens", "chunk", "pass", "ms_median", "ms_min", "ms_max", "share", "share_min", "share_max",
    "state_bytes", "batch", "threads",
  ]

  /// Numbers of one kind, as all queries, that a bench holds: a gigabyte.
  private static let mostNumbers = 1 << 28

  private func numbers(_ text: String, _ option: String) throws -> [Int] {
    let numbers = text.split(separator: ",").map { Int($0) ?? 0 }
    guard !numbers.isEmpty, numbers.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw ValidationError("--\(option) is a list of numbers from 1 to \(1 << 20)")
    }
    return numbers
  }

  func validate() throws {
    _ = try numbers(tokens, "tokens")
    _ = try numbers(chunk, "chunk")
    guard batch > 0, batch <= 4096 else { throw ValidationError("--batch must be from 1 to 4096") }
    guard heads > 0, heads <= 256, width > 0, width <= 1024 else {
      throw ValidationError("--heads must be from 1 to 256 and --width from 1 to 1024")
    }
    guard (1...1000).contains(repetitions) else {
      throw ValidationError("--repetitions must be within 1...1000")
    }
    let longest = try numbers(tokens, "tokens").max() ?? 0
    guard longest * batch * heads * width <= Self.mostNumbers else {
      throw ValidationError(
        "\(longest) tokens of \(batch) sequences, \(heads) heads and \(width) columns are more than fit here; take fewer"
      )
    }
    guard !names.split(separator: ",").isEmpty else { throw ValidationError("name a memory to time") }
  }

  func run() throws {
    try reporting {
      let pool = ThreadPool(threads: common.threads)
      let layers = try names.split(separator: ",").map {
        (name: String($0), layer: try MemoryRegistry.named(String($0)))
      }
      let (lengths, chunks) = (try numbers(tokens, "tokens"), try numbers(chunk, "chunk"))
      func bench(_ layer: LayerMemory, _ tokens: Int, _ chunk: Int) throws -> MemoryBench {
        try MemoryBench(
          layer, AttentionSizes(heads: heads, width: width), tokens: tokens, batch: batch, chunk: chunk,
          seed: common.seed)
      }
      if let first = layers.first, write != nil || requests {
        let made = try bench(first.layer, lengths[0], chunks[0])
        if let write { try Self.write(made, to: write) }
        return requests ? try answer(made, on: pool) : ()
      }
      let writer = try RowWriter(columns: Self.columns, format: format, to: .standardOutput)
      let clock = BenchClock(pool: pool, repetitions: repetitions)
      for (name, layer) in layers {
        for tokens in lengths {
          for chunk in chunks {
            try measure(bench(layer, tokens, chunk), pool, clock) { pass, repetitions, work in
              let times = repetitions.map { $0.seconds * 1e3 }
              let shares = repetitions.map { work / $0.seconds / $0.peak }
              var cells: [Cell] = [.text(name), .integer(tokens), .integer(chunk), .text(pass)]
              cells += Self.spread(times)
              cells += work > 0 ? Self.spread(shares) : [.missing, .missing, .missing]
              let bytes = try bench(layer, tokens, chunk).stateBytes
              cells += [.integer(bytes), .integer(batch), .integer(pool.threads)]
              try writer.write(cells)
              try writer.flush()
            }
          }
        }
      }
      try writer.finish()
    }
  }

  /// Median, least and largest.
  private static func spread(_ numbers: [Double]) -> [Cell] {
    [median(numbers), numbers.min() ?? .nan, numbers.max() ?? .nan].map { .rounded($0, 4) }
  }

  /// Calls `report` with every pass, its times and the floating-point operations of its products, 0 where they are not known.
  private func measure(
    _ bench: MemoryBench, _ pool: ThreadPool, _ clock: BenchClock,
    _ report: (String, [BenchClock.Repetition], Double) throws -> Void
  ) throws {
    let workers = bench.workers(min(pool.threads, bench.batch))
    for (name, learning) in [("forward", false), ("both", true)] {
      func done() -> Double { workers.reduce(0) { $0 + $1.work } }
      let before = done()
      bench.pass(workers, on: pool, learning: learning)
      let work = done() - before
      try report(name, try clock.measure { bench.pass(workers, on: pool, learning: learning) }, work)
    }
    let steps = bench.steps()
    try report("step", try clock.measure { steps.advance() }, 0)
  }

  private static func write(_ bench: MemoryBench, to path: String) throws {
    var file = SafetensorsWriter()
    for (name, shape, values) in bench.values() { try file.add(name, shape: shape, floats: values) }
    try file.write(to: path)
  }

  /// One line of JSON for each line that names a pass.
  private func answer(_ bench: MemoryBench, on pool: ThreadPool) throws {
    let workers = bench.workers(min(pool.threads, bench.batch))
    let steps = bench.steps()
    while let line = readLine() {
      let words = line.split(separator: " ")
      let times = words.count > 1 ? Int(words[1]) ?? 0 : 1
      guard times > 0 else { throw ValidationError("'\(line)': say how often by a number above 0") }
      let spent: (wall: Double, processor: Double)
      switch words.first {
      case "forward": spent = BenchClock.time { bench.pass(workers, on: pool, learning: false) }
      case "both": spent = BenchClock.time { bench.pass(workers, on: pool, learning: true) }
      case "step": spent = BenchClock.time { for _ in 0..<times { steps.advance() } }
      default: throw ValidationError("a line names a pass: forward, both, or step and how often")
      }
      try StandardStreams.write(
        "{\"seconds\":\(spent.wall),\"processor\":\(spent.processor)}\n".utf8)
    }
  }
}
