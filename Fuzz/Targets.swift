import Foundation

@testable import ChorusStorage
@testable import ChorusTables

/// What is fuzzed, by name. A target reads bytes as a file and everything that can be asked of what it gave; an error
/// is as good as a value, a trap or a broken promise ends the program.
private let targets: [String: @Sendable ([UInt8]) -> Void] = [
  "csv": { read($0, "t.csv") },
  "jsonlines": { read($0, "t.jsonl") },
  "numpy": { bytes in
    // The first byte tells which of the two it is.
    let magic: [UInt8] = bytes.first.map { $0 & 1 == 0 } ?? true ? [0x93] + Array("NUMPY".utf8) : []
    read(magic + bytes.dropFirst(), "t.npy")
  },
  "gzip": { read([0x1F, 0x8B, 8] + $0, "t.csv.gz") },
  "deflate": deflate,
  "numbers": numbers,
  "safetensors": safetensors,
  "gguf": gguf,
  "plans": plans,
  "configuration": configuration,
  "contexts": contexts,
  "tasks": tasks,
]

private let target: @Sendable ([UInt8]) -> Void = {
  let name = ProcessInfo.processInfo.environment["CHORUS_FUZZ"] ?? ""
  guard let target = targets[name] else {
    print("CHORUS_FUZZ must be one of \(targets.keys.sorted().joined(separator: ", "))")
    exit(64)
  }
  return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  target(Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}

private func read(_ bytes: [UInt8], _ name: String) {
  var options = TableOptions()
  // Two bits of the input choose how it is read.
  switch bytes.count % 4 {
  case 1: options.decimal = .comma
  case 2: options.dateNotation = DateNotation(pattern: "%d/%m/%Y")
  case 3: options.missing = ["-999", "gone"]
  default: break
  }
  guard let table = try? Table(bytes: bytes, source: name, options: options) else { return }
  precondition(table.rowCount > 0 && !table.columns.isEmpty)
  for column in table.columns.prefix(50) {
    for missing in [Table.Missing.refused, .allowed, .allowedExceptNaN] {
      guard let values = try? table.values(of: column, missing: missing) else { continue }
      precondition(values.values.count == table.rowCount)
      precondition(values.values.allSatisfy { $0?.isFinite ?? (missing != .refused) })
      for value in values.values.prefix(20) {
        if let value { _ = CalendarText.write(value, as: values.kind) }
      }
      // A series goes on behind its last row.
      let rows = values.values.compactMap { $0 }
      if let last = rows.max(), let spacing = Spacing(of: rows, kind: values.kind) {
        let points = spacing.points(3, after: last)
        precondition(
          points.count <= 3 && points.allSatisfy(\.isFinite) && !spacing.words(after: last).isEmpty)
      }
    }
    let texts = try? table.texts(column)
    precondition(texts?.count == table.rowCount)
    // Kept alone, a column is the same.
    var alone = options
    alone.numbers = [column]
    if let part = try? Table(bytes: bytes, source: name, options: alone) {
      let (one, all) = (
        try? part.values(of: column, missing: .allowed), try? table.values(of: column, missing: .allowed)
      )
      precondition(one == all && part.rowCount == table.rowCount)
    }
  }
  let names = table.columns
  if names.count > 1 { _ = try? table.select(inputs: [names[0]], target: names[1]) }
  for row in [0, table.rowCount / 2, table.rowCount - 1, table.rowCount] { _ = table.line(ofRow: row) }
}

/// Whatever the sizes of the pieces that go in and come out, the bytes are the same.
private let deflate: @Sendable ([UInt8]) -> Void = { bytes in
  func expand(_ source: any ByteSource, _ piece: Int) -> [UInt8]? {
    var inflater = Inflater(source, name: "t")
    var result: [UInt8] = []
    var block = [UInt8](repeating: 0, count: piece)
    while result.count < 1 << 18 {
      guard
        let count = try? withBytes(&block, { buffer throws(TableError) in try inflater.read(into: buffer) })
      else {
        return nil
      }
      if count == 0 { return result }
      result += block[..<count]
    }
    return result
  }
  let whole = expand(MemorySource(bytes), 1 << 16)
  let pieces = expand(Pieces(bytes, 3), 1 << 14)
  precondition((whole?.prefix(1 << 18) ?? []) == (pieces?.prefix(1 << 18) ?? []))
}

private final class Pieces: ByteSource {
  private let all: MemorySource
  private let size: Int

  init(_ bytes: [UInt8], _ size: Int) { (all, self.size) = (MemorySource(bytes), size) }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    all.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(size, buffer.count)]))
  }
}

/// Numbers are those of the standard library, dates are written as they are read.
private let numbers: @Sendable ([UInt8]) -> Void = { bytes in
  let text = ArraySlice(bytes)
  switch NumberText.read(text) {
  case .finite(let value):
    let expected = Double(String(decoding: NumberText.trimmed(text), as: UTF8.self))
    precondition(expected?.bitPattern == value.bitPattern)
  case .infinite, .notANumber, .missing, .other: break
  }
  for mark in DecimalMark.allCases {
    if let amount = text.withUnsafeBufferPointer({ AmountText.read($0, mark: mark) }) {
      precondition(amount.value.isFinite && !(amount.isOpen && amount.isSettled))
    }
  }
  guard let string = String(bytes: bytes, encoding: .utf8) else { return }
  if let date = CalendarText.read(string) {
    let written = CalendarText.write(date.days, as: date.kind)
    precondition(abs((CalendarText.read(written)?.days ?? .infinity) - date.days) < 1e-8)
    // A saved context keeps the pattern.
    precondition(date.kind.notation.flatMap { DateNotation(pattern: $0.pattern) } != nil)
  }
  if let notation = DateNotation(pattern: string) {
    precondition(DateNotation(pattern: notation.pattern) != nil)
  }
  for dimensions in 1...2 {
    guard let grid = try? GridSpecification.parse(string, dimensions: dimensions, limit: 1000)
    else {
      continue
    }
    precondition(grid.points.count == grid.count * dimensions && grid.points.allSatisfy(\.isFinite))
  }
}

private let safetensors: @Sendable ([UInt8]) -> Void = { bytes in
  guard let file = try? Safetensors(bytes: Data(bytes), file: "t") else { return }
  for entry in file.tensors {
    _ = try? file.floats(entry.name, shape: entry.shape)
    _ = try? file.doubles(entry.name, shape: entry.shape)
    _ = try? file.integers(entry.name, shape: entry.shape)
    precondition(file[entry.name] != nil)
  }
}
