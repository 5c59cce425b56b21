import ArgumentParser
import ChorusFiles
import ChorusModels
import ChorusPlayground
import ChorusStorage
import Foundation

struct Playground: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "playground",
    abstract: "Write a page on which one draws points and sees joint uncertainty: one HTML file.",
    discussion: """
      The page works from the file, without a server or a network: the models and the network's forward pass are \
      inside. Draw points or drop a CSV file on it, drag a point and see the paths follow, pin a future value, compare a \
      number made of whole paths with what independent values would claim, see what the plan reads.

      It has gp for rows that are exact and gp-noisy for noisy ones; the same seed gives the paths of chorus predict \
      with that model. For real series chorus predict has functions, which the page cannot run.
      """)

  @Option(help: ArgumentHelp("The page to write, whole or not at all.", valueName: "page.html"))
  var output: String

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A model of one input to put into the page: gp, gp-noisy, sawtooth or a path; as often as wanted. (default: gp and gp-noisy)",
      valueName: "model"))
  var model: [String] = []

  @Flag(name: .shortAndLong, help: "Say nothing on stderr but errors.")
  var quiet = false

  private var models: [String] { model.isEmpty ? PlaygroundPage.models : model }

  func validate() throws {
    guard output.lowercased().hasSuffix(".html") else {
      throw ValidationError("--output: '\(output)' must end in .html")
    }
    _ = try outputs()
  }

  private func outputs() throws -> Outputs {
    var outputs = Outputs(reading: [:], model: models.first)
    try outputs.add("--output", output)
    return outputs
  }

  func run() throws {
    try reporting {
      try outputs().checkPlaces()
      let page = try PlaygroundPage(models: models)
      try AtomicFile.write(page.html, to: output)
      let size = (Double(page.html.count) / 1e5).rounded() / 10
      let words = "\(output): \(size) MB with \(models.joined(separator: ", ")); open it in a browser"
      if !quiet { StandardStreams.say(words.escapingControls() + "\n") }
    }
  }
}
