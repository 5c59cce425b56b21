#if Service
  import ChorusTensors
  import NIOCore

  /// Tells requests that their client has gone, so that nobody works on for it.
  ///
  /// The server's own way of finding out reads the connection to its end, which no further request could use then.
  final class Departures: Sendable {
    private struct Connection {
      var isGone = false
      var onGone: (@Sendable () -> Void)?
    }

    private let connections = Lock<[ObjectIdentifier: Connection]>([:])

    /// Calls `body` once when the client of a channel goes, or at once where it has gone.
    func watch(_ channel: any Channel, _ body: @escaping @Sendable () -> Void) {
      let isGone = connections.withLock { connections in
        let id = ObjectIdentifier(channel)
        guard connections[id]?.isGone == false else { return true }
        connections[id]?.onGone = body
        return false
      }
      if isGone { body() }
    }

    func unwatch(_ channel: any Channel) {
      connections.withLock { $0[ObjectIdentifier(channel)]?.onGone = nil }
    }

    /// To stand in the pipeline of a connection.
    func handler() -> any RemovableChannelHandler { Handler(self) }

    private func opened(_ channel: any Channel) {
      connections.withLock { $0[ObjectIdentifier(channel)] = Connection() }
    }

    private func gone(_ channel: any Channel) {
      let body = connections.withLock { connections in
        let id = ObjectIdentifier(channel)
        connections[id]?.isGone = true
        let body = connections[id]?.onGone
        connections[id]?.onGone = nil
        return body
      }
      body?()
    }

    private func closed(_ channel: any Channel) {
      gone(channel)
      connections.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    private final class Handler: ChannelInboundHandler, RemovableChannelHandler {
      typealias InboundIn = NIOAny

      private let departures: Departures

      init(_ departures: Departures) { self.departures = departures }

      func handlerAdded(context: ChannelHandlerContext) { departures.opened(context.channel) }

      func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { departures.gone(context.channel) }
        context.fireUserInboundEventTriggered(event)
      }

      func channelInactive(context: ChannelHandlerContext) {
        departures.closed(context.channel)
        context.fireChannelInactive()
      }
    }
  }
#endif
