import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels
@testable import ChorusStorage
@testable import ChorusTraining

/// Runs whose n-th call to the disk fails, or is the last one before the process is killed, for every n.
@Suite struct FaultTests {
  private static func open(_ folder: String, resume: Bool) throws -> Run {
    let configuration = tinyConfiguration {
      $0.steps = 6
      $0.checkpointEvery = 2
      $0.validateEvery = 2
      ($0.batch, $0.validationTasks) = (1, 1)
    }
    return try Run(
      configuration, prior: LinePrior(), folder: folder, resume: resume, on: ThreadPool(threads: 1))
  }

  private static func train(_ folder: String, resume: Bool) throws {
    try open(folder, resume: resume).train(card: ["prior": "lines"], stop: { false }, report: { _ in })
  }

  /// What has to be the same in the end: bytes of files, and the log without its times.
  private static func result(_ folder: String) throws -> [String: Data] {
    var result: [String: Data] = [:]
    for name in [
      "model.safetensors", "configuration.json", "checkpoints/newest",
      "checkpoints/step-00000004.safetensors",
      "checkpoints/step-00000006.safetensors",
    ] {
      result[name] = try bytes(folder + "/" + name)
    }
    let lines = try String(contentsOfFile: folder + "/log.jsonl", encoding: .utf8).split(separator: "\n")
    let entries = try lines.map { try JSONDecoder().decode(Run.Entry.self, from: Data($0.utf8)) }
    result["log"] = Data("\(entries.map { "\($0.step) \($0.validation ?? .nan)" })".utf8)
    return result
  }

  private static func names(_ folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
  }

  /// - Parameter killed: no later call has an effect either.
  @Test(arguments: [true, false]) func everyCallMayBeTheLastOrFail(killed: Bool) throws {
    let straight = try ScratchFolder()
    let calls = Lock<[Disk.Call]>([])
    let listen: Disk.Fault = { call in
      calls.withLock { $0.append(call) }
      return nil
    }
    try Disk.withFault(in: straight.path, listen) { try Self.train(straight.path, resume: false) }
    let whole = try Self.result(straight.path)
    let all = calls.withLock { $0 }
    #expect(Set(all) == Set([.create, .write, .sync, .remove]) && all.count > 30, "\(all)")

    for last in 0..<all.count {
      let broken = try ScratchFolder()
      let count = Lock(0)
      var stopped = false
      let fail: Disk.Fault = { _ in
        let index = count.withLock { number in
          defer { number += 1 }
          return number
        }
        return index == last || killed && index > last ? EIO : nil
      }
      do {
        try Disk.withFault(in: broken.path, fail) { try Self.train(broken.path, resume: false) }
      } catch let error as StorageError {
        stopped = true
        #expect(error.reason == .system && error.detail.contains("Input/output error"), "\(last): \(error)")
      }
      // Only words in the lock, and files that are no longer needed, may fail without an end to the run.
      #expect(stopped || all[last] == .remove || last == 1, "call \(last), \(all[last])")
      try Self.train(broken.path, resume: true)
      #expect(try Self.result(broken.path) == whole, "stopped at call \(last), \(all[last])")
      if all[last] != .remove {
        #expect(
          try Self.names(broken.path) == Self.names(straight.path), "stopped at call \(last), \(all[last])")
      }
    }
  }

  /// Damage is set aside by a rename; where that fails, the damaged file stays and the run says so.
  @Test func aDamagedCheckpointThatCannotBeSetAside() throws {
    let scratch = try ScratchFolder()
    let checkpoints = try Checkpoints(folder: scratch.path)
    var writer = SafetensorsWriter()
    try writer.add("w", shape: [1], floats: [1])
    try checkpoints.write(writer, step: 2)
    try Data("broken".utf8).write(to: URL(fileURLWithPath: checkpoints.path(4)))
    let other = writer
    let fail: Disk.Fault = { $0 == .rename ? EACCES : nil }
    Disk.withFault(in: scratch.path, fail) {
      let error = #expect(throws: StorageError.self) { try checkpoints.write(other, step: 3) }
      #expect(error?.reason == .system)
    }
    #expect(try checkpoints.newest().found?.step == 2)
    try checkpoints.write(other, step: 3)
    #expect(try checkpoints.newest().found?.step == 3 && checkpoints.steps() == [2, 3])
  }
}
