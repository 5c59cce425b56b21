import Foundation
import Testing

@Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct PlaygroundCommandTests {
  private let folder: Folder

  init() throws { folder = try Folder() }

  private func run(_ options: String...) throws -> Outcome {
    try folder.start(["playground"] + options).1()
  }

  @Test func writesOnePage() throws {
    let outcome = try run("--output", "page.html")
    #expect(outcome.code == 0 && outcome.output.isEmpty, "\(outcome.errors)")
    #expect(outcome.errors.contains("open it in a browser"))
    #expect(try folder.read("page.html").hasPrefix("<!DOCTYPE html>"))
    #expect(folder.names == ["page.html"])
    #expect(try run("--output", "quiet.html", "--quiet", "--model", "gp").errors.isEmpty)
    #expect(try folder.bytes("quiet.html").count < folder.bytes("page.html").count)
  }

  @Test func refusesWithWords() throws {
    let ending = try run("--output", "page.htm")
    #expect(ending.code == 64 && ending.errors.contains("must end in .html"))
    let model = try run("--output", "page.html", "--model", "tables")
    #expect(model.code == 65 && model.errors.contains("cannot run the model 'tables'"))
    #expect(try run("--output", "page.html", "--model", "no-such").code == 66)
    #expect(folder.names.isEmpty)
  }
}
