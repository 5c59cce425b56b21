#if Service
  import ChorusService
  import Hummingbird
  import Logging
  import NIOCore

  /// The connection that a request came on.
  struct Connection: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
      coreContext = CoreRequestContextStorage(source: source)
      channel = source.channel
    }
  }

  /// Carries requests to the service and its answers back.
  struct Carrier: HTTPResponder {
    typealias Context = Connection

    let service: ChorusService.Service
    let departures: Departures
    /// Seconds that a body may take to arrive.
    let bodySeconds: Double
    let logger: Logger

    func respond(to request: Request, context: Connection) async throws -> Response {
      var asked = Self.head(of: request)
      let admission: ChorusService.Service.Admission
      do throws(ServiceError) {
        admission = try service.admit(asked, length: try Self.length(of: request))
      } catch {
        return refuse(error, asked, context)
      }
      defer { service.finish(admission) }
      do throws(ServiceError) {
        asked.body = try await body(of: request)
      } catch {
        return refuse(error, asked, context)
      }
      let complete = asked
      let work = Task { await service.respond(complete) }
      departures.watch(context.channel) { work.cancel() }
      let (response, record) = await withTaskCancellationHandler {
        await work.value
      } onCancel: {
        work.cancel()
      }
      departures.unwatch(context.channel)
      log(record)
      return Self.response(response)
    }

    private static func head(of request: Request) -> ServiceRequest {
      var headers: [String: String] = [:]
      for field in request.headers {
        let name = field.name.canonicalName
        headers[name] = headers[name].map { "\($0), \(field.value)" } ?? field.value
      }
      if let authority = request.head.authority { headers["host"] = authority }
      let target = request.head.path ?? "/"
      let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
      return ServiceRequest(
        request.method.rawValue, parts.first.map(String.init) ?? "/",
        query: parts.count > 1 ? String(parts[1]) : "", headers: headers)
    }

    /// The length of the body; nil where it comes in chunks of which nobody knows how many there are.
    private static func length(of request: Request) throws(ServiceError) -> Int? {
      guard let text = request.headers[.contentLength] else {
        return request.headers[.transferEncoding] == nil ? 0 : nil
      }
      guard let length = Int(text), length >= 0 else {
        throw ServiceError(400, "the content-length is no number")
      }
      return length
    }

    private func body(of request: Request) async throws(ServiceError) -> [UInt8] {
      let limit = service.settings.bodyBytes
      let seconds = bodySeconds
      do {
        return try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
          group.addTask {
            let buffer = try await request.body.collect(upTo: limit)
            return Array(buffer.readableBytesView)
          }
          group.addTask {
            try await Task.sleep(for: .seconds(seconds))
            return nil
          }
          defer { group.cancelAll() }
          guard let bytes = try await group.next() ?? nil else {
            throw ServiceError(408, "the body did not arrive within \(Int(seconds)) seconds")
          }
          return bytes
        }
      } catch let error as ServiceError {
        throw error
      } catch is NIOTooManyBytesError {
        throw ServiceError(413, "a body has at most \(limit) bytes")
      } catch {
        throw ServiceError(400, "the body ended before it was whole")
      }
    }

    /// Answers a request whose body is not read, and ends its connection, on which the body would have to be waited for.
    private func refuse(_ error: ServiceError, _ request: ServiceRequest, _ context: Connection) -> Response {
      log(service.refused(request, error))
      var response = Self.response(error.response(to: request.path))
      response.headers[.connection] = "close"
      let channel = context.channel
      channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
      return response
    }

    private static func response(_ response: ServiceResponse) -> Response {
      var headers = HTTPFields()
      for (name, value) in response.headers {
        if let name = HTTPFields.Element.Name(name) { headers[name] = value }
      }
      return Response(
        status: .init(code: response.status), headers: headers,
        body: response.body.isEmpty ? .init() : .init(byteBuffer: ByteBuffer(bytes: response.body)))
    }

    /// One line a request. It has no data, and no path or name that a client made up.
    private func log(_ record: ChorusService.Service.Record) {
      var metadata: Logger.Metadata = [
        "route": "\(record.route)", "status": "\(record.status)",
        "milliseconds": "\((record.seconds * 1e5).rounded() / 100)",
      ]
      if !record.tenant.isEmpty { metadata["tenant"] = "\(record.tenant)" }
      if let fault = record.fault { metadata["fault"] = "\(fault)" }
      logger.log(level: record.fault == nil ? .info : .error, "request", metadata: metadata)
    }
  }
#endif
