import CChorus
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusTensors

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What a caller holds by an opaque pointer.
class Handle: @unchecked Sendable {
  /// Threads and locks of a process are not those of its children.
  private let process = getpid()
  /// As `chorus_describe` gives it: made when it is first asked for, gone with the handle.
  private let text = Locked<UnsafeMutablePointer<CChar>?>(nil)

  deinit { text.withLock { free($0) } }

  /// What the handle is, as JSON.
  func describe() throws -> String { "{}" }

  final func described() throws -> UnsafePointer<CChar>? {
    try text.withLock { text in
      if text == nil { text = strdup(try describe()) }
      return UnsafePointer(text)
    }
  }

  /// A pointer to a new handle, which `chorus_free` lets go of.
  final func opaque() -> OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  /// The handle behind a pointer.
  static func of<Kind: Handle>(_ pointer: OpaquePointer?, as what: String) throws(CallError) -> Kind {
    guard let pointer else { throw .usage("no \(what) is given: the handle is NULL") }
    let handle = Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
    guard let handle = handle as? Kind else { throw .usage("the handle given is not one of a \(what)") }
    guard handle.process == getpid() else {
      throw .usage("the \(what) was made before the process was forked; a child makes its own")
    }
    return handle
  }
}

final class ModelHandle: Handle, @unchecked Sendable {
  let model: Model
  let pool: ThreadPool

  init(_ model: Model, threads: Int?) {
    self.model = model
    pool = ThreadPool(threads: threads)
  }

  static func of(_ pointer: OpaquePointer?) throws(CallError) -> ModelHandle { try of(pointer, as: "model") }

  private struct Description: Encodable {
    struct Inputs: Encodable {
      /// Absent: any number.
      let most: Int?
      let kinds: [String]
      let missing: Bool
    }
    let name: String
    let source: String
    let fingerprint: String
    let parameters: Int
    let threads: Int
    let inputs: Inputs
    let target: String
    let targets: [String]
    let trainedContext: Int
    let trainedBuffer: Int
    let fewestRows: Int
    let card: [String: String]
    enum CodingKeys: String, CodingKey {
      case name, source, fingerprint, parameters, threads, inputs, target, targets, card
      case trainedContext = "trained_context"
      case trainedBuffer = "trained_buffer"
      case fewestRows = "fewest_rows"
    }
  }

  override func describe() throws -> String {
    let blueprint = model.blueprint
    let reads = blueprint.readsTables
    return try JSON.encode(
      Description(
        name: model.name, source: model.source, fingerprint: model.fingerprint,
        parameters: model.parameterCount, threads: pool.threads,
        inputs: .init(
          most: blueprint.isTold ? nil : blueprint.inputDimensions,
          kinds: reads ? ["number", "date", "category"] : ["number", "date"], missing: reads),
        target: "number",
        targets: blueprint.family == .classes
          ? ["category"] : blueprint.isTold ? ["number", "category"] : ["number"],
        trainedContext: blueprint.trainedContext, trainedBuffer: blueprint.trainedBuffer,
        fewestRows: blueprint.scaling == .none && !reads ? 1 : 2, card: model.card), .allButSlashes)
  }
}

final class PosteriorHandle: Handle, @unchecked Sendable {
  let model: ModelHandle
  /// Context by context; a failure where one could not be read and the caller has asked to go on.
  let members: [Result<Member, CallError>]

  init(_ members: [Result<Member, CallError>], _ model: ModelHandle) {
    self.members = members
    self.model = model
  }

  static func of(_ pointer: OpaquePointer?) throws(CallError) -> PosteriorHandle {
    try of(pointer, as: "posterior")
  }

  private struct Context: Encodable {
    struct Input: Encodable {
      let name: String
      let kind: String
    }
    struct Period: Encodable {
      let column: Int
      let length: Double
      let share: Double
      let clear: Bool
    }
    var rows = 0
    var columns = 0
    /// Of rows that are no table.
    var inputs: [Input]?
    var target: String?
    /// Of a target that is a category.
    var levels: Int?
    var scale = ""
    var periods: [Period] = []
    var notes: [String] = []
    var code: Int32 = 0
    var error: String?

    init(_ member: Result<Member, CallError>) {
      switch member {
      case .success(let member):
        columns = member.columns
        if let classes = member.classes { (rows, levels) = (classes.rows, classes.levels) }
        if let posterior = member.numbers {
          rows = member.count ?? posterior.rows
          if let columns = member.inputColumns {
            inputs = columns.map { Input(name: $0.name, kind: $0.isDate ? "date" : "number") }
            target = posterior.outputColumn.name
          }
          scale =
            switch member.values {
            case .raw, nil: "raw"
            case .logarithm: "log"
            case .root: "root"
            }
          periods = posterior.periods.filter { !$0.varies }.map {
            Period(column: $0.column, length: $0.length, share: $0.share, clear: $0.isClear)
          }
        }
        notes = member.notes
      case .failure(let failure):
        code = failure.code
        error = failure.text
      }
    }
  }

  private struct Description: Encodable {
    let model: String
    let contexts: [Context]
  }

  override func describe() throws -> String {
    try JSON.encode(
      Description(model: model.model.name, contexts: members.map(Context.init)), .allButSlashes)
  }
}

final class TokenHandle: Handle, @unchecked Sendable {
  let cancellation = Cancellation()

  static func of(_ pointer: OpaquePointer?) throws(CallError) -> TokenHandle { try of(pointer, as: "token") }
}
