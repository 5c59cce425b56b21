import ChorusFiles

/// A folder of checkpoints, `step-XXXXXXXX.safetensors`, of which the newest that verifies is the one to resume
/// from.
///
/// Each checkpoint appears whole or not at all and carries its checksum. The file `newest` holds the name of the
/// last one written; it is written after it and is a help for people and scripts: loading trusts checksums.
public struct Checkpoints: Sendable {
  /// A checkpoint that verified.
  public struct Found: Sendable {
    public let step: Int
    public let path: String
    public let file: Safetensors
  }

  /// The largest step that a file name holds.
  public static let lastStep = 99_999_999

  public let folder: String
  /// How many checkpoints stay; at least one.
  public let keep: Int

  /// Opens the folder, making it if it is not there. One process writes in it at a time: see ``FolderLock``.
  ///
  /// - Throws: `StorageError` (`system`): the folder can not be made.
  public init(folder: String, keep: Int = 3) throws(StorageError) {
    self.folder = folder
    self.keep = max(1, keep)
    do throws(FileError) { try Folders.make(folder) } catch {
      throw StorageError(.system, file: error.path, error.detail)
    }
  }

  /// The steps that have a file, ascending, verified or not.
  ///
  /// - Throws: `StorageError` (`system`): the folder can not be read.
  public func steps() throws(StorageError) -> [Int] {
    try Disk.names(in: folder).compactMap(Self.step).sorted()
  }

  /// Writes the checkpoint of `step`, then the file `newest`, then removes all but the newest ``keep``.
  ///
  /// A later step that verifies is never passed over in silence: this write would be invisible to the next
  /// resume. Later steps that do not verify are set aside with the suffix `.broken`.
  ///
  /// - Throws: `StorageError`: `unwritable` for a step that no name holds, `laterCheckpoint`, or `system`.
  /// - Returns: The path of the checkpoint.
  @discardableResult
  public func write(_ checkpoint: SafetensorsWriter, step: Int) throws(StorageError) -> String {
    guard (0...Self.lastStep).contains(step) else {
      throw StorageError(
        .unwritable, file: folder, "step \(step) is not one of 0 to \(Self.lastStep). Count in larger steps.")
    }
    for later in try steps() where later > step {
      let path = path(later)
      if try Self.check(path) == nil {
        throw StorageError(
          .laterCheckpoint, file: folder,
          "holds step \(later), later than step \(step) to be written. Resume from it, or name another folder."
        )
      }
      guard Disk.rename(path, to: path + ".broken") == 0 else { throw Disk.failure("set aside", path) }
    }
    let path = path(step)
    try checkpoint.write(to: path)
    try settle(at: step)
    return path
  }

  /// Brings the rest of the folder in line with a checkpoint that is there: the file `newest`, and no more than ``keep``.
  ///
  /// - Throws: `StorageError` (`system`).
  public func settle(at step: Int) throws(StorageError) {
    let name = Array((Self.name(step) + "\n").utf8)
    if (try? RegularFile.read(marker, limit: 4096)) != name { try AtomicFile.write(name, to: marker) }
    for old in try steps().filter({ $0 < step }).dropLast(keep - 1) { remove(Self.name(old)) }
  }

  private var marker: String { folder + "/newest" }

  /// The newest checkpoint that verifies, and why each newer one was passed over; `found` is nil where none
  /// verifies.
  ///
  /// - Throws: `StorageError` (`system`): the folder, or a file in it, can not be read. A file that cannot be read now may be
  ///   whole: it is not passed over.
  public func newest() throws(StorageError) -> (found: Found?, skipped: [StorageError]) {
    var skipped: [StorageError] = []
    let steps = try steps()
    if let bytes = try? RegularFile.read(marker, limit: 4096),
      let named = String(validating: bytes, as: UTF8.self)?.split(whereSeparator: \.isWhitespace).first.map(
        String.init),
      let step = Self.step(named), !steps.contains(step)
    {
      skipped.append(
        StorageError(.missing, file: path(step), "the file 'newest' names it, and it is not there."))
    }
    for step in steps.reversed() {
      do throws(StorageError) {
        let path = path(step)
        return (Found(step: step, path: path, file: try Self.verified(path)), skipped)
      } catch {
        guard error.reason != .system else { throw error }
        skipped.append(error)
      }
    }
    return (nil, skipped)
  }

  /// The path of the checkpoint of `step`, whether it is there or not.
  public func path(_ step: Int) -> String { folder + "/" + Self.name(step) }

  /// What is wrong with a checkpoint, or nil.
  private static func check(_ path: String) throws(StorageError) -> StorageError? {
    do throws(StorageError) { _ = try verified(path) } catch {
      guard error.reason != .system else { throw error }
      return error
    }
    return nil
  }

  private static func verified(_ path: String) throws(StorageError) -> Safetensors {
    let file = try Safetensors(path: path)
    guard case .verified = file.verification else {
      throw StorageError(.checksum, file: path, "carries no checksum, which every checkpoint has. Remove it.")
    }
    return file
  }

  private static func name(_ step: Int) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".safetensors"
  }

  private static func step(_ name: String) -> Int? {
    guard name.hasPrefix("step-"), name.hasSuffix(".safetensors") else { return nil }
    let digits = name.dropFirst(5).dropLast(12)
    guard digits.utf8.count == 8, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(digits)
  }

  private func remove(_ name: String) { Disk.remove(folder + "/" + name) }
}
