#if Service
  import ChorusFiles
  import ChorusService
  import Foundation
  import Hummingbird
  import HummingbirdCore
  import Logging
  import NIOCore
  import ServiceLifecycle

  /// A service on a port.
  package struct Server: Sendable {
    private let service: ChorusService.Service
    private let host: String
    private let port: Int
    private let isQuiet: Bool

    /// Connections that are open at once; further ones wait.
    private static let connections = 1_024
    /// Seconds that a connection may say nothing.
    private static let idleSeconds = 60
    /// Seconds that a body may take to arrive.
    private static let bodySeconds = 30.0
    /// Seconds between looks for contexts that are past their time.
    private static let sweepSeconds = 10

    package init(_ service: ChorusService.Service, host: String, port: Int, isQuiet: Bool) {
      (self.service, self.host, self.port, self.isQuiet) = (service, host, port, isQuiet)
    }

    /// Answers requests until the process is told to end; then those that were taken are finished.
    ///
    /// - Parameter onRunning: is told the port.
    /// - Throws: `FileError` where the address can not be listened on.
    package func run(onRunning: @escaping @Sendable (Int) async -> Void) async throws {
      let isQuiet = isQuiet
      let logger = Logger(label: "chorus") { _ in
        var log = LineLog()
        log.logLevel = isQuiet ? .error : .info
        return log
      }
      // What the server has to say of itself is for those who work on it.
      var inner = logger
      inner.logLevel = .error
      let departures = Departures()
      let application = Application(
        responder: Carrier(
          service: service, departures: departures, bodySeconds: Self.bodySeconds, logger: logger),
        server: .http1(
          configuration: HTTP1Channel.Configuration(
            additionalChannelHandlers: [departures.handler()],
            idleTimeout: .seconds(Int64(Self.idleSeconds)),
            httpDecoderConfiguration: .init(
              maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
        configuration: ApplicationConfiguration(
          address: .hostname(host, port: port), serverName: "chorus",
          availableConnectionsDelegate: MaximumAvailableConnections(Self.connections)),
        onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? 0) },
        logger: inner)
      var configuration = ServiceGroupConfiguration(
        services: [
          .init(service: application), .init(service: Sweeper(service: service, seconds: Self.sweepSeconds)),
          // Told first of all: nothing more is taken.
          .init(service: Drain(service: service), successTerminationBehavior: .ignore),
        ],
        gracefulShutdownSignals: [.sigterm, .sigint], logger: inner)
      configuration.maximumGracefulShutdownDuration = .seconds(service.settings.deadline + 10)
      do { try await ServiceGroup(configuration: configuration).run() } catch let error as IOError {
        let words = String(cString: strerror(error.errnoCode))
        throw FileError(
          "\(host):\(port)", code: error.errnoCode,
          "can not be listened on: \(words). Name another --port or --host.")
      }
    }
  }

  private struct Drain: ServiceLifecycle.Service {
    let service: ChorusService.Service

    func run() async throws {
      try? await gracefulShutdown()
      service.drain()
    }
  }

  private struct Sweeper: ServiceLifecycle.Service {
    let service: ChorusService.Service
    let seconds: Int

    func run() async throws {
      await cancelWhenGracefulShutdown {
        while !Task.isCancelled {
          try? await Task.sleep(for: .seconds(seconds))
          service.sweep()
        }
      }
    }
  }
#endif
