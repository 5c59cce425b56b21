import ChorusStorage
import ChorusTensors
import Foundation

/// Writes small GGUF files for tests.
package struct GGUFWriter {
  package var metadata: [(key: String, value: GGUF.Value)] = []
  /// Tensors with the bytes of their data; `shape` as ggml orders it, that of a row first.
  package var tensors: [(name: String, shape: [Int], format: BlockFormat, bytes: [UInt8])] = []
  package var version: UInt32 = 3

  package init() {}

  package mutating func set(_ key: String, _ value: GGUF.Value?) {
    metadata.removeAll { $0.key == key }
    if let value { metadata.append((key, value)) }
  }

  package mutating func add(_ name: String, _ shape: [Int], _ values: [Float]) {
    tensors.append((name, shape, .f32, values.flatMap { Self.bytes($0.bitPattern) }))
  }

  package static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  private static func string(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }

  private static func kind(_ value: GGUF.Value) -> UInt32 {
    switch value {
    case .integer: 11
    case .number: 6
    case .flag: 7
    case .text: 8
    case .list: 9
    }
  }

  private static func payload(_ value: GGUF.Value) -> [UInt8] {
    switch value {
    case .integer(let value): bytes(Int64(value))
    case .number(let value): bytes(Float(value).bitPattern)
    case .flag(let value): [value ? 1 : 0]
    case .text(let text): string(text)
    case .list(let list):
      bytes(list.first.map(kind) ?? 8) + bytes(UInt64(list.count)) + list.flatMap(payload)
    }
  }

  package func encoded() -> Data {
    var out = Array("GGUF".utf8) + Self.bytes(version)
    out += Self.bytes(UInt64(tensors.count)) + Self.bytes(UInt64(metadata.count))
    for (key, value) in metadata {
      out += Self.string(key) + Self.bytes(Self.kind(value)) + Self.payload(value)
    }
    var offset = 0
    for tensor in tensors {
      out += Self.string(tensor.name) + Self.bytes(UInt32(tensor.shape.count))
      for side in tensor.shape { out += Self.bytes(UInt64(side)) }
      out += Self.bytes(UInt32(tensor.format.rawValue)) + Self.bytes(UInt64(offset))
      offset += (tensor.bytes.count + 31) / 32 * 32
    }
    out += [UInt8](repeating: 0, count: (32 - out.count % 32) % 32)
    for tensor in tensors {
      out += tensor.bytes + [UInt8](repeating: 0, count: (32 - tensor.bytes.count % 32) % 32)
    }
    return Data(out)
  }
}
