#if Service
  import ChorusFiles
  import ChorusService
  import Foundation
  import Logging

  /// Log lines as JSON objects on standard error.
  struct LineLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      var members: [(String, JSON?)] = [
        ("time", .string(Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))),
        ("level", .string(event.level.rawValue)), ("event", .string(event.message.description)),
      ]
      let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
      for (key, value) in all.sorted(by: { $0.key < $1.key }) {
        let text = value.description
        members.append((key, Double(text) != nil ? .number(text) : .string(text)))
      }
      StandardStreams.say(JSON.members(members).text + "\n")
    }
  }
#endif
