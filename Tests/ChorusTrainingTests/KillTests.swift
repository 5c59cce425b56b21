import Foundation
import Testing

@testable import ChorusTraining

/// A real process, killed without warning while it trains, then resumed.
@Suite struct KillTests {
  /// The `chorus` executable of the same build, beside the test bundle; nil, with a word on why, when it is absent.
  static let executable: URL? = {
    let folders = [
      Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent(),
      Bundle.main.bundleURL.deletingLastPathComponent(),
      Bundle(for: Trainer.self).bundleURL.deletingLastPathComponent(),
    ].compactMap { $0 }
    for folder in folders {
      let candidate = folder.appendingPathComponent("chorus")
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    print("skipping the test that kills a process: no executable 'chorus' beside the tests")
    return nil
  }()

  private static func start(_ executable: URL, _ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// Elsewhere the test below is skipped where the program is missing; here that would hide a fault.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["CI"] != nil, "asked where CI is set"))
  func theProgramIsThere() { #expect(Self.executable != nil) }

  @Test(.enabled(if: executable != nil, "no executable 'chorus' beside the tests"), .timeLimit(.minutes(2)))
  func aKilledRunEndsWithTheSameBytes() throws {
    let executable = try #require(Self.executable)
    let folder = try ScratchFolder()
    var configuration = tinyConfiguration {
      $0.prior = "sawtooth"
      $0.steps = 900
      $0.checkpointEvery = 30
      $0.validateEvery = 300
    }
    configuration.blueprint.layers = 2
    let file = folder.path + "/configuration.json"
    try JSONEncoder().encode(configuration).write(to: URL(fileURLWithPath: file))
    let (whole, broken) = (folder.path + "/whole", folder.path + "/broken")
    func arguments(_ out: String) -> [String] { ["train", file, "--out", out, "--threads", "1", "--quiet"] }

    let straight = try Self.start(executable, arguments(whole))
    straight.waitUntilExit()
    try #require(straight.terminationStatus == 0)

    var killed = 0
    for attempt in 0..<3 {
      let process = try Self.start(executable, arguments(broken) + (attempt > 0 ? ["--resume"] : []))
      // Not before something can be resumed, and a moment later each time.
      let marker = broken + "/checkpoints/newest"
      let held = try? bytes(marker)
      // Sleeps that hold the thread: a suspended test may wait for others until the child has ended.
      while process.isRunning, (try? bytes(marker)) == held { usleep(2_000) }
      usleep(UInt32(3_000 + 7_000 * attempt))
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      if process.terminationReason == .uncaughtSignal { killed += 1 }
    }
    #expect(killed > 0, "every run ended before it could be killed")

    let last = try Self.start(executable, arguments(broken) + ["--resume"])
    last.waitUntilExit()
    #expect(last.terminationStatus == 0)
    for name in ["/model.safetensors", "/checkpoints/step-00000900.safetensors"] {
      #expect(try bytes(broken + name) == bytes(whole + name), "\(name)")
    }
    // Nothing half written is left behind.
    for place in [broken, broken + "/checkpoints"] {
      let names = try FileManager.default.contentsOfDirectory(atPath: place)
      #expect(names.filter { $0.hasPrefix(".step-") }.isEmpty, "\(names)")
    }
  }
}
