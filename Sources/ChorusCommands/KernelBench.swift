import ArgumentParser
import ChorusTables
import ChorusTensors
import Foundation

/// Measures single kernels on one thread over `KernelShapes`, the table that their tests run over too.
enum KernelBench {
  static let columns = [
    "op", "shape", "instructions", "ns_min", "ns_median", "ns_max", "gflop_per_s", "peak_one_thread", "share",
    "share_min", "share_max", "ns_per_number", "gb_per_s",
  ]

  /// One kernel at one shape.
  struct Case {
    let shape: String
    /// Floating-point operations of matrix products; 0 where the kernel has none, and shares mean nothing.
    var flops = 0.0
    /// Numbers that an elementwise kernel gives; 0 for others.
    var numbers = 0
    /// Bytes read and written once.
    var bytes = 0
    let body: () -> Void
  }

  /// The operations that a list names.
  static func operations(_ text: String) throws -> [KernelOperation] {
    if text == "all" || text == "list" { return KernelOperation.allCases }
    return try text.split(separator: ",").map { name in
      guard let operation = KernelOperation(rawValue: String(name)) else {
        throw ValidationError("--op: '\(name)' is no kernel; --op list names them")
      }
      return operation
    }
  }

  static func run(_ text: String, repetitions: Int, format: TableFormat, _ common: CommonOptions) throws {
    let operations = try operations(text)
    guard text != "list" else {
      let writer = try RowWriter(columns: ["op", "shapes"], format: format, to: .standardOutput)
      for operation in operations {
        let shapes = operation.cases().map(\.shape).joined(separator: " ")
        try writer.write([.text(operation.rawValue), .text(shapes)])
      }
      return try writer.finish()
    }
    let clock = BenchClock(pool: ThreadPool(threads: 1), repetitions: repetitions, leastSeconds: 0.02)
    common.say("one thread, \(Machine.instructionSet); quote shares, absolute figures move")
    let writer = try RowWriter(columns: columns, format: format, to: .standardOutput)
    for operation in operations {
      for item in operation.cases() {
        try writer.write(cells(operation, item, clock.measure { item.body() }))
        try writer.flush()
      }
    }
    try writer.finish()
  }

  private static func cells(
    _ operation: KernelOperation, _ item: Case, _ repetitions: [BenchClock.Repetition]
  ) -> [Cell] {
    let times = repetitions.map { $0.seconds * 1e9 }
    let shares = repetitions.map { item.flops / $0.seconds / $0.single }
    let middle = median(times)
    var cells: [Cell] = [.text(operation.rawValue), .text(item.shape), .text(Machine.instructionSet)]
    cells += [times.min() ?? .nan, middle, times.max() ?? .nan].map { .rounded($0, 1) }
    let counts = item.flops > 0
    cells += [
      counts ? .rounded(item.flops / middle, 2) : .missing,
      .rounded(median(repetitions.map(\.single)) / 1e9, 2),
    ]
    cells += [median(shares), shares.min() ?? .nan, shares.max() ?? .nan].map {
      counts ? .rounded($0, 4) : .missing
    }
    cells += [
      item.numbers > 0 ? .rounded(middle / Double(item.numbers), 4) : .missing,
      item.bytes > 0 ? .rounded(Double(item.bytes) / middle, 2) : .missing,
    ]
    return cells
  }
}
