import Foundation
import Testing

@testable import ChorusStorage

func contents(_ path: String) throws -> [UInt8] { try RegularFile.read(path, limit: 1 << 20) }

@Suite struct AtomicFileTests {
  @Test func replacesWholeFilesAndLeavesNothingBehind() throws {
    let folder = try ScratchFolder()
    let path = folder.path + "/a.txt"
    try AtomicFile.write(Data("one".utf8), to: path)
    try AtomicFile.write(Data("two".utf8), to: path)
    #expect(try contents(path) == Array("two".utf8))
    try AtomicFile.write(Data(), to: path)
    #expect(try contents(path).isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.txt"])
    let error = #expect(throws: StorageError.self) { try AtomicFile.write(Data(), to: folder.path + "/no/a") }
    #expect(error?.reason == .system)
    #expect(throws: StorageError.self) { try AtomicFile.write(Data(), to: folder.path) }
    #expect(throws: StorageError.self) { try contents(folder.path + "/b") }
  }

  @Test func writesToADeviceWithoutReplacingIt() throws {
    try AtomicFile.write(Data("gone".utf8), to: "/dev/null")
    var status = stat()
    #expect(stat("/dev/null", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
  }
}

@Suite struct CheckpointsTests {
  func checkpoint(_ value: Float) throws -> SafetensorsWriter {
    var writer = SafetensorsWriter()
    try writer.add("w", shape: [1], floats: [value])
    return writer
  }

  @Test func keepsTheLastAndFindsTheNewestThatVerifies() throws {
    let scratch = try ScratchFolder()
    let folder = scratch.path + "/run"
    let checkpoints = try Checkpoints(folder: folder, keep: 2)
    #expect(try checkpoints.newest().found == nil)
    for step in [10, 20, 30] { try checkpoints.write(checkpoint(Float(step)), step: step) }
    #expect(try checkpoints.steps() == [20, 30])
    #expect(try checkpoints.newest().found?.file.floats("w", shape: [1]) == [30])
    #expect(
      try String(decoding: contents(folder + "/newest"), as: UTF8.self)
        == "step-00000030.safetensors\n")

    var bytes = try contents(checkpoints.path(30))
    bytes[bytes.count - 1] ^= 1
    try AtomicFile.write(bytes, to: checkpoints.path(30))
    let (found, skipped) = try checkpoints.newest()
    #expect(found?.step == 20)
    #expect(skipped.map(\.reason) == [.checksum])
    #expect(skipped.first?.file == checkpoints.path(30))

    // The resumed run goes on from 20: the broken 30 is set aside and can not push out what is written.
    try checkpoints.write(checkpoint(25), step: 25)
    #expect(try checkpoints.steps() == [20, 25])
    #expect(FileManager.default.fileExists(atPath: checkpoints.path(30) + ".broken"))
  }

  @Test func tellsOfAMissingNewestAndIgnoresOtherFiles() throws {
    let scratch = try ScratchFolder()
    let checkpoints = try Checkpoints(folder: scratch.path, keep: 3)
    try checkpoints.write(checkpoint(1), step: 1)
    try checkpoints.write(checkpoint(2), step: 2)
    try FileManager.default.removeItem(atPath: checkpoints.path(2))
    for name in [
      "step-1.safetensors", "step-0000000x.safetensors", ".step-00000009.safetensors.\(UUID()).tmp",
      ".newest.\(UUID()).tmp", ".mine.tmp",
    ] {
      try AtomicFile.write(Data("x".utf8), to: scratch.path + "/" + name)
    }
    // A checkpoint of another program, without a checksum, is not resumed from.
    let plain = handmade(#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, data: [1])
    try AtomicFile.write(plain, to: checkpoints.path(3))
    Remains.remove(in: scratch.path)
    let (found, skipped) = try Checkpoints(folder: scratch.path).newest()
    #expect(found?.step == 1)
    #expect(skipped.map(\.reason) == [.missing, .checksum])
    let hidden = try FileManager.default.contentsOfDirectory(atPath: scratch.path).filter {
      $0.hasPrefix(".")
    }
    #expect(hidden == [".mine.tmp"])
  }

  @Test func refusesToWriteBehindALaterStep() throws {
    let scratch = try ScratchFolder()
    let checkpoints = try Checkpoints(folder: scratch.path)
    try checkpoints.write(checkpoint(5), step: 5)
    let error = #expect(throws: StorageError.self) { try checkpoints.write(checkpoint(4), step: 4) }
    #expect(error?.reason == .laterCheckpoint)
    try checkpoints.write(checkpoint(6), step: 5)
    #expect(throws: StorageError.self) { try checkpoints.write(checkpoint(1), step: -1) }
    #expect(throws: StorageError.self) { try checkpoints.write(checkpoint(1), step: 100_000_000) }
  }
}
