import ChorusTensors
import Foundation

// What the processes of a run do together. The first has the folder; the others follow.

extension TrainingConfiguration {
  /// The parts that a step's tasks are divided into where several processes train and nothing else was asked for.
  public static let usualLeaves = 8

  /// Whether the loss on tasks that are never trained on is taken after a step.
  func validates(at step: Int) -> Bool { step % validateEvery == 0 || step == steps }

  /// The first process's configuration, for all of them; the others give nil.
  ///
  /// - Throws: `TrainingError` where the instruction sets differ: the processes' weights would drift apart.
  public static func shared(_ own: TrainingConfiguration?, over exchange: any Exchange) throws
    -> TrainingConfiguration
  {
    let set = try exchange.share(Machine.instructionSet)
    guard set == Machine.instructionSet else {
      throw TrainingError.rank(
        "rank \(exchange.rank) computes with \(Machine.instructionSet) and rank 0 with \(set), whose sums differ in their last bits;"
          + " set CHORUS_KERNELS to one that all machines have")
    }
    let json = try exchange.share(
      try own.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) } ?? "")
    let configuration = try own ?? JSONDecoder().decode(TrainingConfiguration.self, from: Data(json.utf8))
    guard configuration.precision == .bf16 else { return configuration }
    // By pairs and by float32 products of bf16 have the same bytes; by AMX they have others.
    func bytes(_ path: String) -> String { path == Precision.BFloat16Path.amx.rawValue ? path : "float32" }
    let mine = Precision.bfloat16Path.rawValue
    let first = try exchange.share(mine)
    guard bytes(first) == bytes(mine) else {
      throw TrainingError.rank(
        "rank \(exchange.rank) computes bf16 by \(mine) and rank 0 by \(first), whose sums differ in their last bits;"
          + " set CHORUS_KERNELS to an instruction set that all machines have")
    }
    return configuration
  }
}

extension Trainer {
  /// How many of a step's parts are this rank's.
  static func parts(_ configuration: TrainingConfiguration, among exchange: any Exchange) throws -> Int {
    let ranks = exchange.ranks
    guard ranks > 1 else { return configuration.leaves > 0 ? configuration.leaves : 8 }
    guard ranks & (ranks - 1) == 0 else {
      throw TrainingError.configuration("\(ranks) processes train together; start a power of two of them")
    }
    guard configuration.leaves > 0 else {
      throw TrainingError.configuration(
        "gradients of this run are added one after another, by one process; several need leaves, as --leaves \(max(ranks, TrainingConfiguration.usualLeaves))"
      )
    }
    guard configuration.leaves % ranks == 0 else {
      throw TrainingError.configuration(
        "\(configuration.leaves) leaves are too few for \(ranks) processes; train with --leaves \(ranks), or start fewer"
      )
    }
    return configuration.leaves / ranks
  }

  /// What items come to, in their order; each rank does its share of them. `body` gets an item and its place in the share.
  ///
  /// - Throws: what an item of this rank fails with, or `TrainingError.rank` where one of another rank has.
  func together(
    _ count: Int, _ body: @escaping @Sendable (_ item: Int, _ place: Int) throws -> LossSums
  ) throws -> [LossSums] {
    let share = exchange.share(of: count)
    let own = Result { try pool.map(share.count) { try body(share.lowerBound + $0, $0) } }
    guard exchange.ranks > 1 else { return try own.get() }
    // As long on every rank: whether it has failed, then its items.
    let most = (count + exchange.ranks - 1) / exchange.ranks
    let items = (try? own.get()) ?? []
    var message = [items.count == share.count ? 0 : 1.0] + items.flatMap(\.numbers)
    message += [Double](repeating: 0, count: 1 + most * LossSums.width - message.count)
    let all = try exchange.gather(message)
    _ = try own.get()
    if let failed = all.firstIndex(where: { $0[0] != 0 }) {
      throw TrainingError.rank("rank \(failed) has failed, and tells why; the run ends")
    }
    return all.enumerated().flatMap { rank, numbers in
      (0..<exchange.share(of: count, rank).count).map { item in
        LossSums(numbers[1 + item * LossSums.width..<1 + (item + 1) * LossSums.width])
      }
    }
  }

  /// Whether any rank wants to stop.
  func agree(_ stop: Bool) throws -> Bool {
    try exchange.ranks == 1 ? stop : exchange.gather([stop ? 1 : 0]).contains([1])
  }

  /// Gives all ranks the state of the first.
  func share() throws {
    guard exchange.ranks > 1 else { return }
    try exclusively {
      for (_, buffer) in arrays { try exchange.share(buffer.bytes) }
      var steps = [Int64(step)]
      try steps.withUnsafeMutableBytes { try exchange.share($0) }
      progress.withLock { [step = Int(steps[0])] in $0 = step }
      weights.pack(on: pool)
      compose()
    }
  }

  /// Takes the steps of a run whose folder another process has, until that ends or a process wants to stop.
  public func follow(stop: () -> Bool) throws {
    try share()
    while step < configuration.steps, try !agree(stop()) {
      let step = try advance().step
      if configuration.validates(at: step) { _ = try validate() }
    }
  }
}
