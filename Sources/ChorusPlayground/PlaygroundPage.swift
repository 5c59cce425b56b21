import CChorusPage
import ChorusHints
import ChorusLayers
import ChorusModels
import ChorusStorage
import Foundation

/// One HTML page on which one draws points and sees paths: with models inside, and the network's forward pass as WebAssembly.
///
/// It needs no server and no network. `playground/` holds what it is made of.
public struct PlaygroundPage: Sendable {
  /// The page in UTF-8.
  public let html: Data

  /// The models that the page has unless others are named: for rows that are exact, and for noisy ones.
  public static let models = ["gp", "gp-noisy"]

  /// The largest file of a model that a page should carry.
  private static let modelLimit = 8 << 20

  /// What the page is told of a model beside its file.
  private struct Entry: Encodable {
    let name: String
    let prior: String
    let blueprint: Blueprint
    /// The largest magnitude of an input in training.
    let reach: Double
    /// The safetensors file in base64.
    let file: Data
  }

  /// Where the models go.
  private static let place = Data(#"<script type="application/json" id="models">[]"#.utf8)

  /// - Parameter names: shipped models by name, or paths.
  /// - Throws: as `Model(named:)`; `ModelError.input` for a model that the page cannot run.
  public init(models names: [String] = Self.models) throws {
    let entries = try names.map { name in
      let model = try Model(named: name)
      if let reason = Self.refusal(model.blueprint) {
        throw ModelError.input("the page cannot run the model '\(model.name)': \(reason)")
      }
      return Entry(
        name: model.name, prior: model.card["prior"] ?? model.name, blueprint: model.blueprint,
        reach: model.inputReach ?? 2,
        file: Data(try RegularFile.read(model.source, limit: Self.modelLimit)))
    }
    for (place, entry) in entries.enumerated()
    where entries[..<place].contains(where: { $0.name == entry.name }) {
      throw ModelError.input(
        "two models of the page are called '\(entry.name)'; leave one out, or rename a file")
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Whatever a file is called, it ends no element of the page.
    let json = String(decoding: try encoder.encode(entries), as: UTF8.self)
      .replacingOccurrences(of: "<", with: "\\u003c")
    var page = Self.template
    guard let place = page.range(of: Self.place) else {
      throw ModelError.input(
        "the page in this program has no place for models; build it anew by tools/playground")
    }
    page.replaceSubrange(place.upperBound - 2..<place.upperBound, with: Data(json.utf8))
    html = page
  }

  static var template: Data {
    var count = 0
    guard let bytes = chorus_page(&count) else { return Data() }
    return Data(bytes: bytes, count: count)
  }

  /// Why the page cannot run a model: whatever its blueprint has beside what `playground/engine` computes. Nil if it can.
  static func refusal(_ blueprint: Blueprint) -> String? {
    guard blueprint.family == .set, blueprint.inputDimensions == 1 else {
      return "it is not a model of rows with one input, which the page draws"
    }
    guard blueprint.scaling == .none, blueprint.hints.hints.isEmpty else {
      return "it is told of series and units that the page does not know; chorus predict runs it"
    }
    guard let head = blueprint.head.specification as? MixtureHead.Specification else {
      return "its head is not a mixture of Gaussians"
    }
    guard blueprint.hints.rows.allSatisfy({ $0 is LocalSplines }) else {
      return "it is told of rows by hints that the page does not know"
    }
    guard !blueprint.hints.rows.isEmpty || head.around == 0 else { return "its head predicts around nothing" }
    // Sizes are free; all else has to be as it is by default.
    var plain = Blueprint()
    (plain.width, plain.layers, plain.heads) = (blueprint.width, blueprint.layers, blueprint.heads)
    (plain.feedForward, plain.embedderHidden) = (blueprint.feedForward, blueprint.embedderHidden)
    (plain.headHidden, plain.frequencies) = (blueprint.headHidden, blueprint.frequencies)
    (plain.hints, plain.head) = (blueprint.hints, blueprint.head)
    (plain.trainedContext, plain.trainedBuffer) = (blueprint.trainedContext, blueprint.trainedBuffer)
    guard plain == blueprint else { return "its blocks or memories are of kinds that the page does not know" }
    return nil
  }
}
