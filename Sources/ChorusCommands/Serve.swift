import ArgumentParser

#if Service
  import ChorusFiles
  import ChorusHTTP
  import ChorusModels
  import ChorusService
  import ChorusStorage
  import ChorusTensors
  import Foundation

  struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "serve",
      abstract: "Answer questions about kept contexts over HTTP.",
      discussion: """
        Rows are sent once (POST /v1/contexts), read once, and asked as often as wanted; /openapi.json tells what there \
        is, docs/service.md how it behaves. The same question gives the numbers of chorus predict. / is the page of \
        chorus playground, to draw points on.

        It listens on this machine alone unless --host names another address, which needs --keys. SIGTERM and Ctrl-C \
        end it when all requests that were taken are answered.

        With --data kept contexts are files in a folder and outlive the process. They reveal the rows: guard the \
        folder as you would guard the data.
        """)

    @Option(help: ArgumentHelp("The address to listen on.", valueName: "address"))
    var host = "127.0.0.1"

    @Option(help: ArgumentHelp("The port; 0 for any that is free.", valueName: "port"))
    var port = 8080

    @Option(
      help: ArgumentHelp(
        "A folder for kept contexts. (default: memory alone)", valueName: "folder"))
    var data: String?

    @Option(
      help: ArgumentHelp(
        "A file with a tenant and a key on each line. Who has a key sees what was made with keys of its tenant.",
        valueName: "file"))
    var keys: String?

    @Option(
      parsing: .unconditionalSingleValue,
      help: ArgumentHelp(
        "A model to serve, by its name or path; as often as wanted. (default: those that come with Chorus)",
        valueName: "model"))
    var model: [String] = []

    @Option(
      help: ArgumentHelp(
        "Requests worked on at once, each on one thread. (default: all cores)", valueName: "n"))
    var threads: Int?

    @Option(help: ArgumentHelp("Requests that wait; more are refused (429).", valueName: "n"))
    var waiting = ServiceSettings().waiting

    @Option(help: ArgumentHelp("Seconds that a request may take.", valueName: "seconds"))
    var deadline = ServiceSettings().deadline

    @Option(help: ArgumentHelp("The most arithmetic of a request.", valueName: "flop"))
    var flopLimit = ServiceSettings().requestFlops

    @Option(help: ArgumentHelp("The most MiB of a request's body.", valueName: "MiB"))
    var bodyLimit = ServiceSettings().bodyBytes >> 20

    @Option(help: ArgumentHelp("MiB of contexts in memory.", valueName: "MiB"))
    var memory = ServiceSettings().memoryBytes >> 20

    @Option(help: ArgumentHelp("The most contexts that are kept.", valueName: "n"))
    var mostContexts = ServiceSettings().mostContexts

    @Option(
      help: ArgumentHelp(
        "Seconds that a context is kept where its maker does not say. (default: until it is deleted)",
        valueName: "seconds"))
    var ttl: Double?

    @Flag(help: "Open the page at / in the browser: points to draw, and paths that follow them.")
    var open = false

    @Flag(name: .shortAndLong, help: "Log errors alone.")
    var quiet = false

    private static let loopback: Set<String> = ["127.0.0.1", "localhost", "::1"]

    func validate() throws {
      func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
        guard range.contains(value) else {
          throw ValidationError("--\(name) must be within \(range.lowerBound)...\(range.upperBound)")
        }
      }
      try check("port", port, 0...65_535)
      try check("threads", threads ?? 1, 1...1024)
      try check("waiting", waiting, 0...100_000)
      try check("body-limit", bodyLimit, 1...4_096)
      try check("memory", memory, 1...1 << 24)
      try check("most-contexts", mostContexts, 1...1_000_000)
      guard deadline > 0, deadline <= 86_400 else {
        throw ValidationError("--deadline must be above 0 and at most 86400")
      }
      guard flopLimit > 0 else { throw ValidationError("--flop-limit must be positive") }
      if let ttl, !(ttl >= 1 && ttl <= 1e9) { throw ValidationError("--ttl must be within 1...1e9") }
      guard keys != nil || Self.loopback.contains(host) else {
        throw ValidationError(
          "--host \(host) can be reached from other machines; give --keys FILE, so that not everybody is answered"
        )
      }
    }

    func run() throws {
      try reporting {
        var settings = ServiceSettings()
        settings.workers = threads ?? ProcessInfo.processInfo.activeProcessorCount
        settings.waiting = waiting
        settings.deadline = deadline
        settings.requestFlops = flopLimit
        settings.bodyBytes = bodyLimit << 20
        settings.uploadBytes = max(settings.uploadBytes, 2 * settings.bodyBytes)
        settings.memoryBytes = memory << 20
        settings.mostContexts = mostContexts
        settings.ttl = ttl
        settings.hosts = keys == nil ? Self.loopback : nil
        let service = try ChorusService.Service(
          models: models(), settings: settings, tenants: tenants(), folder: data)
        let (host, isQuiet, opens) = (host, quiet, open)
        let server = Server(service, host: host, port: port, isQuiet: isQuiet)
        try Self.waiting {
          try await server.run { port in
            let address = "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
            if !isQuiet { StandardStreams.say("listening on \(address) (Ctrl-C ends it)\n") }
            if opens, !Browser.open(address + "/") {
              StandardStreams.say("note: no browser could be started; open \(address)/ yourself\n")
            }
          }
        }
      }
    }

    /// What the system opens addresses with.
    private enum Browser {
      /// Whether there was something to start.
      static func open(_ address: String) -> Bool {
        #if os(macOS)
          let name = "open"
        #else
          let name = "xdg-open"
        #endif
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        guard
          let path = folders.map({ "\($0)/\(name)" }).first(where: {
            FileManager.default.isExecutableFile(atPath: $0)
          })
        else { return false }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = [address]
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        // It ends at once where it is a launcher, and with the browser where it is one: nobody waits for it.
        return (try? process.run()) != nil
      }
    }

    private func models() throws -> [String: Model] {
      let names = model.isEmpty ? ModelLocation.shipped : model
      var models: [String: Model] = [:]
      for name in names {
        let model = try Model(named: name)
        guard models.updateValue(model, forKey: model.name) == nil else {
          throw ValidationError("--model: two models are called '\(model.name)'; rename a file")
        }
      }
      return models
    }

    private func tenants() throws -> Tenants {
      guard let keys else { return Tenants() }
      let bytes = try RegularFile.read(keys, limit: 1 << 20)
      return try Tenants(parsing: String(decoding: bytes, as: UTF8.self), file: keys)
    }

    /// Runs what is asynchronous from a command that is not.
    private static func waiting(_ body: @escaping @Sendable () async throws -> Void) throws {
      let done = DispatchSemaphore(value: 0)
      let failure = Lock<(any Error)?>(nil)
      Task.detached {
        do { try await body() } catch { failure.withLock { $0 = error } }
        done.signal()
      }
      done.wait()
      if let error = failure.withLock({ $0 }) { throw error }
    }
  }
#else
  /// What stands for the command in a program that was built without it.
  struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "serve",
      abstract: "Answer questions about kept contexts over HTTP, in a program built with --traits Service.")

    @Argument(parsing: .captureForPassthrough) var options: [String] = []

    func run() throws {
      throw ValidationError(
        "this program was built without its HTTP server; build one with it: swift run -c release --traits Service chorus serve"
      )
    }
  }
#endif
