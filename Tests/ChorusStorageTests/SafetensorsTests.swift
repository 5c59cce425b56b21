import Foundation
import Testing

@testable import ChorusStorage

/// A folder that goes when the test ends.
final class ScratchFolder {
  let path: String
  init() throws {
    path = NSTemporaryDirectory() + "chorus-storage-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A file made by hand: header text as given, then `data`.
func handmade(_ header: String, data: [UInt8] = []) -> Data {
  var bytes = Data()
  withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
  bytes.append(Data(header.utf8))
  bytes.append(Data(data))
  return bytes
}

func small() throws -> SafetensorsWriter {
  var writer = SafetensorsWriter(metadata: ["format": "1", "blueprint": "{\"d\":8,\n\"é\":\"\u{1}\\\"}"])
  try writer.add("b.weight", shape: [2, 2], floats: [1, -2.5, .infinity, 0.1])
  try writer.add("a/half", shape: [3], floats: [1, 65504, 0x1p-24], as: .f16)
  try writer.add("step", shape: [], integers: [Int64.min])
  try writer.add("few", shape: [2], integers: [Int32.max, -1])
  try writer.add("mask \"q\"", shape: [3], bytes: [0, 1, 255])
  try writer.add("moments", shape: [1], doubles: [0.1])
  try writer.add("none", shape: [0, 4], floats: [])
  return writer
}

@Suite struct SafetensorsTests {
  @Test func roundTripsEveryType() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/w.safetensors"
    try small().write(to: path)
    let file = try Safetensors(path: path)
    #expect(file.metadata == ["format": "1", "blueprint": "{\"d\":8,\n\"é\":\"\u{1}\\\"}"])
    guard case .verified(let hash) = file.verification else { throw StorageError(.checksum, file: path, "") }
    #expect(hash.count == 64)
    #expect(try file.floats("b.weight", shape: [2, 2]) == [1, -2.5, .infinity, 0.1])
    #expect(try file.floats("a/half", shape: [3]) == [1, 65504, 0x1p-24])
    #expect(try file.integers("step", shape: []) == [Int64.min])
    #expect(try file.integers("few", shape: [2]) == [2_147_483_647, -1])
    #expect(try file.integers("mask \"q\"", shape: [3]) == [0, 1, 255])
    #expect(try file.doubles("moments", shape: [1]) == [0.1])
    #expect(try file.doubles("a/half", shape: [3]) == [1, 65504, 0x1p-24])
    #expect(try file.floats("none", shape: [0, 4]) == [])
    #expect(
      file.tensors.map(\.name) == ["a/half", "b.weight", "few", "mask \"q\"", "moments", "none", "step"])
    #expect(file.unused(after: ["b.weight", "few", "none", "step"]) == ["a/half", "mask \"q\"", "moments"])
    for entry in file.tensors { #expect(entry.range.lowerBound % entry.type.width == 0) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["w.safetensors"])
  }

  @Test func orderOfAddingDoesNotShowAndTheHeaderIsAligned() throws {
    var one = SafetensorsWriter()
    try one.add("x", shape: [1], floats: [1])
    try one.add("a", shape: [1], floats: [2], as: .f16)
    var other = SafetensorsWriter()
    try other.add("a", shape: [1], floats: [2], as: .f16)
    try other.add("x", shape: [1], floats: [1])
    #expect(one.encoded() == other.encoded())
    #expect(Int(one.encoded()[0]) % 8 == 0)
  }

  @Test func aWrongRequestFailsWithTheName() throws {
    let file = try Safetensors(bytes: small().encoded(), file: "w.safetensors")
    func reason(_ body: () throws(StorageError) -> Void) -> StorageError? {
      do throws(StorageError) { try body() } catch { return error }
      return nil
    }
    let absent = reason { () throws(StorageError) in _ = try file.floats("c", shape: [1]) }
    #expect(absent?.reason == .absentTensor)
    #expect(absent?.description.hasPrefix("w.safetensors: has no tensor 'c'") == true)
    let shape = reason { () throws(StorageError) in _ = try file.floats("b.weight", shape: [4]) }
    #expect(shape?.reason == .shape)
    #expect(shape?.description.contains("has shape [2, 2], expected [4]") == true)
    #expect(
      reason { () throws(StorageError) in _ = try file.floats("few", shape: [2]) }?.reason == .elementType)
    #expect(
      reason { () throws(StorageError) in _ = try file.floats("moments", shape: [1]) }?.reason == .elementType
    )
    #expect(
      reason { () throws(StorageError) in _ = try file.integers("a/half", shape: [3]) }?.reason
        == .elementType)
  }

  @Test func theWriterRefuses() throws {
    var writer = SafetensorsWriter()
    try writer.add("x", shape: [1], floats: [1])
    #expect(throws: StorageError.self) { try writer.add("x", shape: [1], floats: [1]) }
    #expect(throws: StorageError.self) { try writer.add("y", shape: [2], floats: [1]) }
    #expect(throws: StorageError.self) { try writer.add("y", shape: [-1, -1], floats: [1]) }
    #expect(throws: StorageError.self) { try writer.add("__metadata__", shape: [1], floats: [1]) }
    #expect(throws: StorageError.self) { try writer.add("y", shape: [1], floats: [65520], as: .f16) }
    try writer.add("y", shape: [2], floats: [65519, .infinity], as: .f16)
    #expect(throws: StorageError.self) { try writer.write(to: "/no/such/folder/x") }
  }

  @Test func aFileOfAnotherProgramLoadsUnverified() throws {
    let header = #"""
      {"__metadata__":{"format":"pt"}, "\u0077é\ud83d\ude00":{"data_offsets":[0,4],"dtype":"BF16","shape":[2]}
       }
      """#
    let file = try Safetensors(bytes: handmade(header, data: [0x80, 0x3F, 0x49, 0xC0]), file: "t")
    #expect(file.verification == .unverified)
    #expect(try file.floats("wé😀", shape: [2]) == [1, -3.140625])
    #expect(file["wé😀"]?.type == .bf16)
  }

  @Test(arguments: [
    ("", "lacks"), ("[]", "must start with"), ("{", "lacks"), ("{}x", "goes on"), (#"{"a"}"#, "lacks ':'"),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
      "twice"
    ),
    (#"{"__metadata__":{"a":"1","a":"2"}}"#, "twice"), (#"{"__metadata__":{},"__metadata__":{}}"#, "twice"),
    (#"{"__metadata__":{"a":1}}"#, "lacks"), (#"{"__metadata__":null}"#, "lacks"),
    (#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, "known are"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, "needs 8 bytes"),
    (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, "whole number"),
    (#"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#, "leading zero"),
    (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, "lacks"),
    (#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}"#, "too large"),
    (#"{"a":{"dtype":"F32","shape":[3037000500,3037000500],"data_offsets":[0,4]}}"#, "too large"),
    (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, "too large"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, "truncated"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, "lies at"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}"#, "gap"),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, "belong to none"),
    (
      #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
      "overlaps"
    ),
    (
      #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
      "overlaps"
    ),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#, "unknown"),
    (#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "repeated"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, "two data_offsets"),
    (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, "lacks"), (#"{"a\x":{}}"#, "escape"),
    (#"{"\ud800":{}}"#, "surrogate"), (#"{"\ud800\u0041":{}}"#, "surrogate"), (#"{"a"#, "ends inside"),
  ])
  func malformedHeadersAreRefused(_ header: String, _ words: String) {
    let error = #expect(throws: StorageError.self) {
      try Safetensors(bytes: handmade(header, data: [0, 0, 0, 0]), file: "w.safetensors")
    }
    #expect(error?.reason == .malformed || words == "")
    #expect(error?.description.hasPrefix("w.safetensors: ") == true)
    #expect(
      error?.detail.contains(words) == true || header.isEmpty, "\(error?.detail ?? "no error") for \(header)")
  }

  @Test func deepNestingIsRefused() {
    let header = String(repeating: "{\"a\":", count: 50_000)
    #expect(throws: StorageError.self) { try Safetensors(bytes: handmade(header), file: "w") }
  }

  @Test func badLengthsAreRefused() throws {
    for bytes in [
      Data(), Data([1, 2, 3]), Data(repeating: 0xFF, count: 8), Data([9, 0, 0, 0, 0, 0, 0, 0, 0x7B]),
      Data([0, 0, 0, 0, 0, 0, 0, 0x80]), Data([1, 0xE1, 0xF5, 5, 0, 0, 0, 0]), Data(count: 8),
    ] {
      #expect(throws: StorageError.self) { try Safetensors(bytes: bytes, file: "w") }
    }
    #expect(throws: StorageError.self) { try Safetensors(path: "no/such/file") }
    #expect(throws: StorageError.self) { try Safetensors(path: NSTemporaryDirectory()) }
  }

  /// Every bit of every byte flipped, and every length: an error, or what was written.
  @Test func damageIsFoundAndNeverTraps() throws {
    let bytes = try small().encoded()
    let whole = try Safetensors(bytes: bytes, file: "w")
    func same(_ file: Safetensors) throws -> Bool {
      try file.verification == whole.verification && file.metadata == whole.metadata
        && file.tensors == whole.tensors
        && file.floats("b.weight", shape: [2, 2]) == whole.floats("b.weight", shape: [2, 2])
        && file.floats("a/half", shape: [3]) == whole.floats("a/half", shape: [3])
        && file.integers("step", shape: []) == whole.integers("step", shape: [])
    }
    var wrong: [Int] = []
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << bit
        if let file = try? Safetensors(bytes: damaged, file: "w"), try !same(file) { wrong.append(index) }
      }
      if (try? Safetensors(bytes: bytes.prefix(index), file: "w")) != nil { wrong.append(-index) }
    }
    #expect(wrong.isEmpty)
    #expect((try? Safetensors(bytes: bytes + [0], file: "w")) == nil)
    // A slice that does not start at index 0 reads alike.
    #expect(try same(Safetensors(bytes: ([7] + bytes).dropFirst(), file: "w")))
  }

  /// The same without a checksum, where only the checks of the table stand guard.
  @Test func damagedTablesNeverTrap() throws {
    let header =
      #"{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}}"#
    let bytes = handmade(header, data: Array(0..<16))
    for index in bytes.indices {
      for value in UInt8.min...UInt8.max {
        var damaged = bytes
        damaged[index] = value
        guard let file = try? Safetensors(bytes: damaged, file: "w") else { continue }
        for entry in file.tensors {
          _ = try? file.doubles(entry.name, shape: entry.shape)
          _ = try? file.integers(entry.name, shape: entry.shape)
        }
      }
    }
  }
}
