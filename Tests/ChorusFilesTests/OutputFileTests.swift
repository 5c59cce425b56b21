import Foundation
import Testing

@testable import ChorusFiles

/// A folder that is removed with its last reference.
final class Scratch {
  let path = FileManager.default.temporaryDirectory.path + "/chorus-files-\(UUID().uuidString)"

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }
  func read(_ name: String) -> String? { try? String(contentsOfFile: path + "/" + name, encoding: .utf8) }
  func permissions(_ name: String) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: path + "/" + name))?[.posixPermissions] as? Int
  }
}

@Suite struct OutputFileTests {
  let scratch: Scratch
  var path: String { scratch.path + "/a.txt" }

  init() throws { scratch = try Scratch() }

  private func write(_ text: String, to path: String) throws {
    let file = try OutputFile(path)
    for byte in text.utf8 { try file.write([byte]) }
    try file.commit()
    try file.commit()
    #expect(throws: FileError.self) { try file.write([0]) }
  }

  @Test func aFileAppearsWholeOrNotAtAll() throws {
    for before in [[], ["a.txt"]] {
      do {
        let file = try OutputFile(path)
        try file.write(Data("part".utf8))
        #if os(Linux)
          #expect(scratch.names == before, "the file has no name yet")
        #endif
      }
      #expect(scratch.names == before)
      try write("whole", to: path)
      #expect(scratch.names == ["a.txt"] && scratch.read("a.txt") == "whole")
    }
  }

  @Test func aFileThatIsReplacedKeepsItsPermissions() throws {
    for mode in [0o600, 0o640, 0o666] {
      try write("old", to: path)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
      try write("new", to: path)
      #expect(scratch.permissions("a.txt") == mode && scratch.read("a.txt") == "new")
    }
  }

  @Test func aNewFileHasThePermissionsThatAreUsual() throws {
    try write("", to: path)
    try Data().write(to: URL(fileURLWithPath: scratch.path + "/other"))
    #expect(scratch.permissions("a.txt") == scratch.permissions("other"))
  }

  @Test func aLinkStaysALink() throws {
    for (link, target) in [("there", "b.txt"), ("nothing", "c.txt")] {
      if link == "there" { try write("old", to: scratch.path + "/b.txt") }
      let from = scratch.path + "/" + link
      try FileManager.default.createSymbolicLink(atPath: from, withDestinationPath: target)
      try write("new", to: from)
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: from) == target)
      #expect(scratch.read(target) == "new")
    }
    try FileManager.default.createSymbolicLink(
      atPath: scratch.path + "/loop", withDestinationPath: "loop")
    #expect(throws: FileError.self) { try write("", to: scratch.path + "/loop") }
  }

  @Test func aLongNameIsWritten() throws {
    let name = String(repeating: "é", count: 125) + ".csv"
    try write("a", to: scratch.path + "/" + name)
    try write("b", to: scratch.path + "/" + name)
    #expect(scratch.names == [name] && scratch.read(name) == "b")
  }

  @Test(arguments: ["", "/", ".", "no/such/a", "a.txt/b", "inner", "inner/", "new/"])
  func refuses(_ name: String) throws {
    try write("kept", to: path)
    try FileManager.default.createDirectory(
      atPath: scratch.path + "/inner", withIntermediateDirectories: true)
    let error = #expect(throws: FileError.self) {
      _ = try OutputFile(name.isEmpty ? "" : scratch.path + "/" + name)
    }
    #expect(error?.description.isEmpty == false)
    #expect(scratch.names == ["a.txt", "inner"] && scratch.read("a.txt") == "kept")
  }

  @Test func devicesAndPipesAreWrittenToAndStay() throws {
    try write("gone", to: "/dev/null")
    #expect(FileManager.default.fileExists(atPath: "/dev/null"))
    #if os(Linux)
      let full = try OutputFile("/dev/full")
      for _ in 0..<2 {
        let error = #expect(throws: FileError.self) { try full.write(Data("a".utf8)) }
        #expect(error?.code == ENOSPC && error?.isReaderGone == false)
        #expect(throws: FileError.self) { try full.commit() }
      }
    #endif
  }

  #if os(Linux)
    /// The whole of a write that fails at its end: the size limit ends it after the first block.
    @Test func aFileOfWhichAPartIsLostIsNeverPutInItsPlace() throws {
      try write("old", to: path)
      let pipe = scratch.path + "/pipe"
      mkfifo(pipe, 0o600)
      // Opened for reading too, so that nothing waits; full after 64 KiB, and nobody empties it but by closing.
      let reader = open(pipe, O_RDONLY | O_NONBLOCK)
      let file = try OutputFile(pipe)
      close(reader)
      StandardStreams.prepare()
      let error = #expect(throws: FileError.self) { try file.write(Data("a".utf8)) }
      #expect(error?.isReaderGone == true)
      #expect(scratch.read("a.txt") == "old")
    }
  #endif
}

@Suite struct FileIdentityTests {
  @Test func onePathIsAsGoodAsAnother() throws {
    let scratch = try Scratch()
    let name = scratch.path.nameOfPath
    for file in ["a", "absent"] {
      if file == "a" { try Data("x".utf8).write(to: URL(fileURLWithPath: scratch.path + "/a")) }
      let one = try #require(FileIdentity(scratch.path + "/" + file))
      try FileManager.default.createSymbolicLink(
        atPath: scratch.path + "/link-" + file, withDestinationPath: file)
      for other in ["/./\(file)", "/../\(name)/\(file)", "//\(file)", "/link-\(file)"] {
        #expect(FileIdentity(scratch.path + other) == one, "\(other)")
      }
      #expect(FileIdentity(scratch.path + "/other") != one)
    }
    #expect(FileIdentity("/dev/null") == nil && FileIdentity(scratch.path) == nil)
  }
}

@Suite struct PathTextTests {
  @Test(arguments: [
    ("p", ".", "p", ""), ("/", "/", "", ""), ("a/p", "a", "p", ""), ("/p", "/", "p", ""), ("", ".", "", ""),
    ("a//b.CSV", "a", "b.CSV", "csv"), ("./x.tar.gz/", ".", "x.tar.gz", "gz"), (".csv", ".", ".csv", ""),
    ("é/é.é", "é", "é.é", "é"), ("a.b/c", "a.b", "c", ""), ("c.", ".", "c.", ""),
    ("/\u{301}x", "/", "\u{301}x", ""), (".", ".", ".", ""),
  ])
  func parts(_ path: String, _ folder: String, _ name: String, _ ending: String) {
    #expect(path.folderOfPath == folder && path.nameOfPath == name && path.endingOfPath == ending)
  }
}

@Suite struct FoldersTests {
  @Test func makesWhatIsNotThere() throws {
    let scratch = try Scratch()
    for _ in 0..<2 { try Folders.make(scratch.path + "/a/b/c") }
    try Folders.make(scratch.path + "/a/b/c/")
    #expect(scratch.names == ["a"])
    try Data().write(to: URL(fileURLWithPath: scratch.path + "/file"))
    for wrong in ["", scratch.path + "/file", scratch.path + "/file/inner"] {
      #expect(throws: FileError.self) { try Folders.make(wrong) }
    }
  }
}
