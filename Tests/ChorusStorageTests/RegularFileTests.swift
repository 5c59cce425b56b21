import Foundation
import Testing

@testable import ChorusStorage

/// What is no regular file of bounded size is refused before a byte of it is read.
@Suite struct RegularFileTests {
  private func refusal(_ path: String, limit: Int = 1 << 20) -> StorageError? {
    do throws(StorageError) { _ = try RegularFile.read(path, limit: limit) } catch { return error }
    return nil
  }

  @Test(.timeLimit(.minutes(1))) func pipesDevicesAndFoldersAreRefused() throws {
    let scratch = try ScratchFolder()
    let pipe = scratch.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    let link = scratch.path + "/link"
    #expect(symlink("/dev/zero", link) == 0)
    for (path, words) in [
      (pipe, "is a pipe"), ("/dev/zero", "is a device"), (link, "is a device"), (scratch.path, "is a folder"),
    ] {
      let error = refusal(path)
      #expect(error?.reason == .system && error?.detail.contains(words) == true, "\(path): \(error as Any)")
      #expect(throws: StorageError.self) { _ = try Safetensors(path: path) }
    }
    #expect(refusal(scratch.path + "/nosuch")?.reason == .missing)
    #expect(refusal(scratch.path + "/pipe/x")?.reason == .system)
  }

  @Test func sizesAreBounded() throws {
    let scratch = try ScratchFolder()
    let path = scratch.path + "/sparse"
    try Data("0123456789".utf8).write(to: URL(fileURLWithPath: path))
    #expect(try RegularFile.read(path, limit: 10) == Array("0123456789".utf8))
    #expect(refusal(path, limit: 9)?.reason == .tooLarge)
    let file = try RegularFile(path, limit: 10)
    #expect(try file.read(4) == Array("0123".utf8))
    #expect(try file.read(40) == Array("456789".utf8))
    // A file with a hole of any size takes no memory before its table is read.
    #expect(truncate(path, off_t(Safetensors.sizeLimit)) == 0)
    let error = #expect(throws: StorageError.self) { _ = try Safetensors(path: path) }
    #expect(error?.reason == .malformed)
    #expect(truncate(path, off_t(Safetensors.sizeLimit) + 1) == 0)
    let large = #expect(throws: StorageError.self) { _ = try Safetensors(path: path) }
    #expect(large?.reason == .tooLarge)
  }

  /// A model's path may be that of any file; what an error says of it must not be a way to read it.
  @Test func errorsHoldNothingOfTheFile() throws {
    let scratch = try ScratchFolder()
    let path = scratch.path + "/secret"
    let secret = "hunter2!hunter2!"
    let first = Array(secret.utf8.prefix(8)).enumerated().reduce(UInt64(0)) {
      $0 | UInt64($1.element) << (8 * UInt64($1.offset))
    }
    for content in [secret, "hunter2", "hunter2!", String(repeating: secret, count: 100)] {
      try Data(content.utf8).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: StorageError.self) { _ = try Safetensors(path: path) }
      let words = error?.description ?? ""
      #expect(!words.contains("hunter") && !words.contains(String(first)), "\(words)")
    }
  }
}

/// One process at a time writes in a folder, and a killed one keeps nobody out.
@Suite struct FolderLockTests {
  @Test func aSecondOwnerIsToldOfTheFirst() throws {
    let scratch = try ScratchFolder()
    var held: FolderLock? = try FolderLock(folder: scratch.path)
    let error = #expect(throws: StorageError.self) { _ = try FolderLock(folder: scratch.path) }
    #expect(error?.reason == .busy)
    #expect(
      error?.detail.contains("process \(getpid()) on ") == true && error?.detail.contains("since 0 s") == true
    )
    #expect(FileManager.default.fileExists(atPath: scratch.path + "/lock"))
    _ = held
    held = nil
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/lock"))
    _ = try FolderLock(folder: scratch.path)
  }

  /// The file of a process that is gone, though another may have its number now.
  @Test func aStaleLockIsTakenOver() throws {
    let scratch = try ScratchFolder()
    try Data("process \(getppid()) on elsewhere\n".utf8).write(
      to: URL(fileURLWithPath: scratch.path + "/lock"))
    let lock = try FolderLock(folder: scratch.path)
    let words = try String(decoding: contents(scratch.path + "/lock"), as: UTF8.self)
    #expect(words.hasPrefix("process \(getpid()) on "))
    withExtendedLifetime(lock) {}
    #expect(throws: StorageError.self) { _ = try FolderLock(folder: scratch.path + "/nosuch") }
  }

  #if os(Linux)
    /// A child that is being started has its parent's descriptors for a moment; where the file could not be removed, that must not
    /// keep the lock.
    @Test func aLockEndsThoughSomebodyElseHasItsDescriptor() throws {
      let scratch = try ScratchFolder()
      var held: FolderLock? = try FolderLock(folder: scratch.path)
      let own = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { name in
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)
        return target?.hasSuffix(scratch.path + "/lock") == true
      }
      let copies = own.compactMap { Int32($0) }.map { dup($0) }
      defer { for copy in copies { close(copy) } }
      #expect(copies.count == 1)
      _ = held
      let fail: Disk.Fault = { $0 == .remove ? EIO : nil }
      Disk.withFault(in: scratch.path, fail) { held = nil }
      #expect(FileManager.default.fileExists(atPath: scratch.path + "/lock"))
      _ = try FolderLock(folder: scratch.path)
    }
  #endif

  /// Whoever waits for a lock never gets one on a file that its owner has just removed.
  @Test func manyOwnersOneAfterAnother() async throws {
    let scratch = try ScratchFolder()
    let path = scratch.path
    let counter = path + "/counter"
    try Data("0".utf8).write(to: URL(fileURLWithPath: counter))
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var done = 0
          while done < 50 {
            guard let lock = try? FolderLock(folder: path) else {
              await Task.yield()
              continue
            }
            let value = try Int(String(decoding: contents(counter), as: UTF8.self)) ?? -1
            try Data(String(value + 1).utf8).write(to: URL(fileURLWithPath: counter))
            withExtendedLifetime(lock) {}
            done += 1
          }
          return done
        }
      }
      let total = try await group.reduce(0, +)
      #expect(total == 200)
    }
    #expect(try contents(counter) == Array("200".utf8))
  }
}

@Suite struct LineLogTests {
  @Test func linesThatNoLongerHoldAreDropped() throws {
    let scratch = try ScratchFolder()
    let log = LineLog(path: scratch.path + "/log")
    try log.keep { _ in true }
    for line in ["1", "2", "", "3"] { try log.append(Data(line.utf8)) }
    #expect(try contents(log.path) == Array("1\n2\n\n3\n".utf8))
    try Data("1\n2\n3\n4".utf8).write(to: URL(fileURLWithPath: log.path))
    try log.keep { _ in true }
    #expect(try contents(log.path) == Array("1\n2\n3\n".utf8))
    try log.keep { !$0.elementsEqual("2".utf8) }
    try log.append(Data("5".utf8))
    #expect(try contents(log.path) == Array("1\n3\n5\n".utf8))
    try FileManager.default.removeItem(atPath: log.path)
    #expect(mkfifo(log.path, 0o600) == 0)
    #expect(throws: StorageError.self) { try log.keep { _ in true } }
  }

  /// Whichever call fails, what was there before is.
  @Test func everyFailedCallIsToldAndLosesNothing() throws {
    for call in [Disk.Call.create, .write, .sync] {
      let scratch = try ScratchFolder()
      let log = LineLog(path: scratch.path + "/log")
      try log.append(Data("1".utf8))
      let fail: Disk.Fault = { $0 == call ? ENOSPC : nil }
      Disk.withFault(in: scratch.path, fail) {
        let error = #expect(throws: StorageError.self) { try log.append(Data("2".utf8)) }
        #expect(error?.description.contains("No space left") == true)
      }
      try log.keep { _ in true }
      #expect(try contents(log.path).starts(with: Data("1\n".utf8)))
    }
  }
}
