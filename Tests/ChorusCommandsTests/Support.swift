import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation

/// The built program, beside the test bundle.
let executable: URL? = {
  var places = [Bundle.main.executableURL, Bundle.main.bundleURL].compactMap { $0 }
  places += CommandLine.arguments.filter { $0.contains(".xctest") }.map { URL(fileURLWithPath: $0) }
  places += Bundle.allBundles.map(\.bundleURL)
  for place in places {
    var folder = place.deletingLastPathComponent()
    for _ in 0..<4 {
      let candidate = folder.appendingPathComponent("chorus")
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isFolder), !isFolder.boolValue,
        FileManager.default.isExecutableFile(atPath: candidate.path)
      {
        return candidate
      }
      folder.deleteLastPathComponent()
    }
  }
  return nil
}()

let skipped = "the executable 'chorus' is not beside the test bundle; build the whole package"

/// What a run of the program gave.
struct Outcome {
  let code: Int32
  let signalled: Bool
  let output: String
  let errors: String

  var rows: [[String]] { output.split(separator: "\n").map { $0.components(separatedBy: ",") } }
}

/// A folder that is removed with its last reference; files of the tests and the place where the program runs.
final class Folder {
  let path = FileManager.default.temporaryDirectory.path + "/chorus-commands-\(UUID().uuidString)"

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }

  func write(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: url(name)) }
  func read(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }
  func bytes(_ name: String) throws -> Data { try Data(contentsOf: url(name)) }
  func url(_ name: String) -> URL { URL(fileURLWithPath: path + "/" + name) }

  /// Starts the program here; its output goes to files, so that no pipe can fill up. The path of a file's name in
  /// `arguments` is relative to this folder.
  func start(
    _ arguments: [String], input: String? = nil, output: Any? = nil, program: URL? = executable
  ) throws -> (Process, () throws -> Outcome) {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: path)
    process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "CHORUS_WEIGHTS" }
    process.environment?["CHORUS"] = executable?.path
    let names = (FileManager.default.temporaryDirectory.path + "/chorus-\(UUID().uuidString)")
    func handle(_ suffix: String, _ text: String = "") throws -> FileHandle {
      try Data(text.utf8).write(to: URL(fileURLWithPath: names + suffix))
      return try FileHandle(forUpdating: URL(fileURLWithPath: names + suffix))
    }
    process.standardInput = try handle(".in", input ?? "")
    process.standardOutput = try output ?? handle(".out")
    process.standardError = try handle(".err")
    // Threads of a dispatch queue block every signal, and a child inherits that.
    var none = sigset_t()
    var blocked = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &blocked)
    defer { pthread_sigmask(SIG_SETMASK, &blocked, nil) }
    try process.run()
    return (
      process,
      {
        process.waitUntilExit()
        func text(_ suffix: String) -> String {
          let url = URL(fileURLWithPath: names + suffix)
          defer { try? FileManager.default.removeItem(at: url) }
          return String(decoding: (try? Data(contentsOf: url)) ?? Data(), as: UTF8.self)
        }
        _ = text(".in")
        return Outcome(
          code: process.terminationStatus, signalled: process.terminationReason == .uncaughtSignal,
          output: text(".out"), errors: text(".err"))
      }
    )
  }

  func chorus(_ arguments: String..., input: String? = nil) throws -> Outcome {
    try start(arguments, input: input).1()
  }

  func chorus(_ arguments: [String]) throws -> Outcome { try start(arguments).1() }

  /// Runs a line of the shell here, which finds the program as `"$CHORUS"`.
  func shell(_ line: String) throws -> Outcome {
    try start(["-c", line], program: URL(fileURLWithPath: "/bin/sh")).1()
  }

  /// Writes a small network with random weights.
  func writeModel(_ name: String = "m.safetensors", _ change: (inout Blueprint) -> Void = { _ in }) throws {
    var blueprint = Blueprint()
    blueprint.width = 16
    blueprint.layers = 1
    blueprint.heads = 2
    blueprint.feedForward = 16
    blueprint.embedderHidden = 16
    blueprint.headHidden = 16
    blueprint.head = .mixture(components: 3)
    blueprint.scaling = .standardise
    change(&blueprint)
    let declared = try Declaration(blueprint)
    let weights = Weights(declared.table)
    declared.initialise(weights, seed: 1)
    let model = Model(
      network: try declared.network(weights), card: ["prior": "none", "licence": "test, \"only\""])
    try model.write(to: path + "/" + name)
  }

  /// Twelve observed rows and two without a value.
  func writeTable(_ name: String = "t.csv") throws {
    let rows = (0..<12).map { "\($0),\(Double($0 % 5) / 4)" }
    try write(name, "t,level\n" + rows.joined(separator: "\n") + "\n12,\n13,NA\n")
  }
}

let tinyConfiguration = """
  {"prior": "gp", "steps": 12, "batch": 4, "context": [4, 8], "buffers": [4], "targets": 4, "seed": 5,
   "validationTasks": 4, "validateEvery": 4, "checkpointEvery": 6,
   "blueprint": {"width": 16, "layers": 1, "heads": 2, "feedForward": 16, "embedderHidden": 16, "headHidden": 16,
                 "components": 3}}
  """
