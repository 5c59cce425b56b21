// What implements a function of a C header has its name.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CChorus
import ChorusData
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusStorage
import ChorusTables
import ChorusTensors
import Foundation

/// What ends a call: a code and words.
struct CallError: Error, CustomStringConvertible {
  let code: Int32
  let text: String
  /// Whether the words name a context already: one that could not be read tells so at every later call.
  private var namesContext = false
  var description: String { text }

  static func usage(_ text: String) -> CallError { CallError(code: CHORUS_USAGE, text) }

  init(code: chorus_code, _ text: String) {
    self.code = Int32(code.rawValue)
    self.text = text
  }

  /// Any error, by the kinds that the exit codes of the program tell apart.
  init(_ error: any Error) {
    if let error = error as? CallError {
      self = error
      return
    }
    let code =
      switch error {
      case ModelError.missing: CHORUS_MISSING
      case is ModelError, is DataError: CHORUS_DATA
      case is PlanTextError, is PlanError: CHORUS_USAGE
      case let error as InferenceError:
        switch error {
        case .tooExpensive, .tooLarge: CHORUS_USAGE
        case .cancelled: CHORUS_CANCELLED
        case .input, .scale: CHORUS_DATA
        }
      case let error as TableError: error.reason == .grid ? CHORUS_USAGE : CHORUS_DATA
      case let error as StorageError:
        switch error.reason {
        case .missing: CHORUS_MISSING
        case .system, .unwritable, .busy: CHORUS_IO
        default: CHORUS_DATA
        }
      default: CHORUS_INTERNAL
      }
    self.init(code: code, "\(error)")
  }

  /// The same, said of one context of many.
  func of(context: Int, among count: Int) -> CallError {
    guard count > 1, !namesContext else { return self }
    var error = CallError(code: chorus_code(UInt32(code)), "context \(context): \(text)")
    error.namesContext = true
    return error
  }
}

/// What the last call of a thread has to say.
private final class Record {
  private(set) var error: UnsafeMutablePointer<CChar>?
  private var notes: [UnsafeMutablePointer<CChar>?] = []

  deinit { clear() }

  func clear() {
    free(error)
    error = nil
    for note in notes { free(note) }
    notes = []
  }

  func fail(_ text: String) { error = strdup(text) }
  func note(_ texts: [String]) { notes = texts.map { $0.isEmpty ? nil : strdup($0) } }
  func note(of context: Int) -> UnsafeMutablePointer<CChar>? {
    notes.indices.contains(context) ? notes[context] : nil
  }

  private static let key = {
    var key = pthread_key_t()
    pthread_key_create(&key) { record in
      let record: UnsafeMutableRawPointer? = record
      if let record { Unmanaged<Record>.fromOpaque(record).release() }
    }
    return key
  }()

  static var ofThread: Record {
    if let record = pthread_getspecific(key) {
      return Unmanaged<Record>.fromOpaque(record).takeUnretainedValue()
    }
    let record = Record()
    pthread_setspecific(key, Unmanaged.passRetained(record).toOpaque())
    return record
  }
}

/// Runs the body of a C function: what it throws becomes a code, with words for `chorus_last_error`.
///
/// - Parameter body: what it returns are notes, context by context.
func answering(_ body: () throws -> [String]) -> Int32 {
  let record = Record.ofThread
  record.clear()
  do {
    record.note(try body())
    return 0
  } catch {
    let error = CallError(error)
    record.fail(error.text)
    return error.code
  }
}

/// The same for a function whose answer needs no notes.
func doing(_ body: () throws -> Void) -> Int32 {
  answering {
    try body()
    return []
  }
}

// Written once, never changed, never freed.
nonisolated(unsafe) private let empty = strdup("")
nonisolated(unsafe) private let versionText = strdup(
  "\(CHORUS_VERSION_MAJOR).\(CHORUS_VERSION_MINOR).\(CHORUS_VERSION_PATCH)")

@c @implementation public func chorus_version() -> UnsafePointer<CChar>? { UnsafePointer(versionText) }

@c @implementation public func chorus_last_error() -> UnsafePointer<CChar>? {
  UnsafePointer(Record.ofThread.error ?? empty)
}

@c @implementation public func chorus_notes(_ context: Int64) -> UnsafePointer<CChar>? {
  UnsafePointer(Record.ofThread.note(of: Int(context)) ?? empty)
}

/// A value that one thread at a time may change.
final class Locked<Value>: @unchecked Sendable {
  private let mutex = Lock(())
  private var value: Value
  init(_ value: Value) { self.value = value }
  func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
    try mutex.withLock { _ in try body(&value) }
  }
}
