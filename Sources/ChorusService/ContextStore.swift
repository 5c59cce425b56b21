import ChorusFiles
import ChorusModels
import ChorusStorage
import ChorusTensors
import Foundation

/// The contexts that are kept: those used last in memory, all of them in files where there is a folder.
package final class ContextStore: Sendable {
  private struct Entry {
    var description: ContextDescription
    var loaded: LoadedContext?
    var lastUse: UInt64
  }

  private struct State {
    var entries: [String: Entry] = [:]
    var bytes = 0
    var clock: UInt64 = 0
    /// Contexts whose further version is being written.
    var changing: Set<String> = []
  }

  private let state = Lock(State())
  private let folder: ContextFolder?
  private let lock: FolderLock?
  private let models: [String: Model]
  private let settings: ServiceSettings
  private let metrics: Metrics

  /// - Parameter path: of the folder for contexts that are to outlive the process; nil for none.
  /// - Throws: where the folder can not be made, or another process has it.
  init(folder path: String?, models: [String: Model], settings: ServiceSettings, metrics: Metrics) throws {
    (self.models, self.settings, self.metrics) = (models, settings, metrics)
    guard let path else {
      (folder, lock) = (nil, nil)
      return
    }
    try Folders.make(path)
    lock = try FolderLock(folder: path)
    let folder = ContextFolder(path: path)
    self.folder = folder
    state.withLock { state in
      for description in folder.descriptions() {
        state.entries[description.id] = Entry(description: description, lastUse: 0)
      }
    }
  }

  var sizes: (contexts: Int, loaded: Int, bytes: Int) {
    state.withLock { ($0.entries.count, $0.entries.count { $0.value.loaded != nil }, $0.bytes) }
  }

  /// Takes in a new context, or one with another version of its rows.
  ///
  /// - Throws: `ServiceError`: 409 where rows were added meanwhile, or it is there no more; 507 where there is no room.
  func put(_ context: LoadedContext) throws {
    let description = context.description
    guard description.bytes <= settings.memoryBytes else {
      throw ServiceError(
        507, "the context takes \(description.bytes) bytes and there is room for \(settings.memoryBytes)")
    }
    let isNew = description.version == 1
    if !isNew { try claim(description) }
    defer { state.withLock { _ = $0.changing.remove(description.id) } }
    guard !isNew || state.withLock({ $0.entries.count < settings.mostContexts }) else {
      throw ServiceError(
        507, "\(settings.mostContexts) contexts are kept, which is all there is room for; delete some")
    }
    // Files first: what is answered for is kept.
    try folder?.write(context)
    let isThere = state.withLock { state in
      guard isNew || state.entries[description.id] != nil else { return false }
      state.clock += 1
      if let before = state.entries[description.id]?.loaded { state.bytes -= before.description.bytes }
      state.entries[description.id] = Entry(
        description: description, loaded: context, lastUse: state.clock)
      state.bytes += description.bytes
      evict(&state, besides: description.id)
      return true
    }
    guard isThere else {
      folder?.remove(description.id)
      throw Self.missing(description.id)
    }
  }

  /// One request at a time writes a further version.
  private func claim(_ description: ContextDescription) throws {
    let isFirst = state.withLock { state in
      guard let held = state.entries[description.id]?.description.version, held + 1 == description.version
      else { return false }
      return state.changing.insert(description.id).inserted
    }
    guard isFirst else {
      throw ServiceError(409, "the context was changed by another request; ask again")
    }
  }

  /// Lets go of what was used longest ago until the rest fits. Without a folder such contexts are gone.
  private func evict(_ state: inout State, besides id: String) {
    while state.bytes > settings.memoryBytes {
      let loaded = state.entries.filter { $0.value.loaded != nil && $0.key != id }
      guard let oldest = loaded.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return }
      state.bytes -= oldest.value.description.bytes
      metrics.count(.evictions)
      if folder == nil {
        state.entries[oldest.key] = nil
      } else {
        state.entries[oldest.key]?.loaded = nil
      }
    }
  }

  private static func missing(_ id: String) -> ServiceError {
    ServiceError(404, "there is no context '\(id.prefix(40))'")
  }

  /// A tenant's context; one of another tenant is not there.
  func description(_ id: String, tenant: String) throws(ServiceError) -> ContextDescription {
    let found = state.withLock { $0.entries[id]?.description }
    guard let found, found.tenant == tenant, !isPast(found) else { throw Self.missing(id) }
    return found
  }

  /// A tenant's context, read from its files where it is not in memory.
  func context(_ id: String, tenant: String) throws -> LoadedContext {
    let description = try description(id, tenant: tenant)
    let loaded = state.withLock { state in
      state.clock += 1
      state.entries[id]?.lastUse = state.clock
      return state.entries[id]?.loaded
    }
    if let loaded {
      metrics.count(.hits)
      return loaded
    }
    guard let folder else { throw Self.missing(id) }
    var model = try served(description.model)
    if let classes = description.classes { model = try model.with(ofCategories: served(classes)) }
    metrics.count(.misses)
    let read = try folder.read(description, model)
    state.withLock { state in
      // Another request may have read it, added rows or deleted it meanwhile.
      guard let entry = state.entries[id], entry.loaded == nil, entry.description == description else {
        return
      }
      state.entries[id]?.loaded = read
      state.bytes += description.bytes
      evict(&state, besides: id)
    }
    return read
  }

  private func served(_ name: String) throws(ServiceError) -> Model {
    guard let model = models[name] else {
      throw ServiceError(409, "the context needs model '\(name)', which is not served any more")
    }
    return model
  }

  func descriptions(tenant: String) -> [ContextDescription] {
    state.withLock { Array($0.entries.values) }.map(\.description)
      .filter { $0.tenant == tenant && !isPast($0) }.sorted { ($0.created, $0.id) < ($1.created, $1.id) }
  }

  func remove(_ id: String, tenant: String) throws {
    _ = try description(id, tenant: tenant)
    remove(id)
  }

  private func remove(_ id: String) {
    let gone = state.withLock { state in
      let entry = state.entries.removeValue(forKey: id)
      if let loaded = entry?.loaded { state.bytes -= loaded.description.bytes }
      return entry
    }
    if gone != nil { folder?.remove(id) }
  }

  private func isPast(_ description: ContextDescription) -> Bool {
    description.expires.map { $0 <= Date().timeIntervalSince1970 } ?? false
  }

  /// Forgets what is past its time.
  package func sweep() {
    let past = state.withLock { Array($0.entries.values) }.map(\.description).filter(isPast)
    for description in past { remove(description.id) }
  }
}
