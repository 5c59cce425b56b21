import Chorus
import Foundation
import Testing

/// The library example of the README, compiled and run: what follows `import Chorus` there stands in `example`.
@Suite struct ReadmeTests {
  private func example(_ weights: String) throws -> (
    paths: Posterior.Samples, bands: [[Double]], score: Double
  ) {
    let levels = try Dataset(x: [0, 1, 2, 4, 5], y: [3.1, 2.9, 3.4, 4.0, 4.2])
    let model = try Model(named: weights)
    let posterior = try model.condition(on: levels)  // encoded once
    let days = try Inputs.grid(0...7, count: 15)
    let paths = try posterior.sample(100, at: days, seed: 7)  // 100 coherent paths
    let bands = paths.quantiles([0.05, 0.5, 0.95])
    let score = try posterior.logDensity(of: [3.7, 4.1], at: Inputs([3, 6])).value
    return (paths, bands, score)
  }

  @Test func libraryExample() throws {
    let path = FileManager.default.temporaryDirectory.path + "/chorus-readme-\(UUID().uuidString).safetensors"
    defer { try? FileManager.default.removeItem(atPath: path) }
    var configuration = TrainingConfiguration()
    configuration.blueprint.width = 16
    configuration.blueprint.layers = 1
    configuration.blueprint.heads = 2
    configuration.blueprint.feedForward = 16
    configuration.blueprint.embedderHidden = 16
    configuration.blueprint.headHidden = 16
    configuration.blueprint.head = .mixture(components: 3)
    configuration.blueprint.scaling = .standardise
    configuration.batch = 2
    configuration.context = [4, 8]
    configuration.buffers = [4]
    configuration.targets = 4
    let trainer = try Trainer(configuration, prior: Priors.named("gp"), on: ThreadPool(threads: 2))
    for _ in 0..<3 { _ = try trainer.advance() }
    try trainer.model(card: ["prior": "gp"]).write(to: path)

    let (paths, bands, score) = try example(path)
    #expect(
      paths.paths.count == 100 && paths.paths.allSatisfy { $0.count == 15 && $0.allSatisfy(\.isFinite) })
    #expect(bands.count == 15 && bands.allSatisfy { $0.count == 3 && $0[0] <= $0[1] && $0[1] <= $0[2] })
    #expect(score.isFinite)
    #expect(paths.plan.explanation.contains("sequential"))
    #expect(try example(path).paths.paths == paths.paths)
  }

  /// The README shows the lines that were compiled above.
  @Test func readmeShowsTheExample() throws {
    let here = URL(fileURLWithPath: #filePath)
    let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    let source = try String(contentsOf: here, encoding: .utf8).split(separator: "\n").map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    let first = try #require(source.firstIndex { $0.hasPrefix("let levels = ") })
    let last = try #require(source.firstIndex { $0.hasPrefix("let score = ") })
    for line in source[first...last] where !line.hasPrefix("let model") {
      #expect(readme.contains(line), "README.md lacks: \(line)")
    }
  }
}
