import Chorus
import Foundation
import Testing

/// The examples of the articles, compiled and run. A function's lines between `// article` and `// end` are the article's
/// Swift blocks, one after another; where a file's or a model's name differs, the line begins with `let file` or
/// `let model =`.
@Suite struct ArticleTests {
  let folder: String
  let weights: String

  init() throws {
    folder = FileManager.default.temporaryDirectory.path + "/chorus-articles-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    weights = folder + "/functions.safetensors"
    let trainer = try Trainer(
      Self.small(buffers: 4), prior: Priors.named("gp"), on: ThreadPool(threads: 2))
    for _ in 0..<3 { _ = try trainer.advance() }
    try trainer.model(card: ["prior": "gp"]).write(to: weights)
  }

  private static func small(buffers: Int) -> TrainingConfiguration {
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
    configuration.buffers = [buffers]
    configuration.targets = 4
    return configuration
  }

  @Test func gettingStarted() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // article GettingStarted
    let levels = try Dataset(
      inputs: Inputs([0, 1, 2, 4, 5, 6]), y: [3.1, 2.9, 3.4, 4.0, 4.2, 3.9],
      inputColumns: [Column("day", unit: "d")], outputColumn: Column("level", unit: "m"))

    let model = try Model(named: weights)
    let posterior = try model.condition(on: levels)

    let days = try Inputs.grid(0...9, count: 19)
    let drawn = try posterior.sample(200, at: days, seed: 7)
    let bands = drawn.quantiles([0.05, 0.5, 0.95])  // [target][level]
    let peaks = drawn.paths.map { $0.max() ?? 0 }.sorted()
    print("highest level: \(peaks[100]), in 5 % of the paths above \(peaks[190])")

    for note in drawn.notes { print("note: \(note)") }
    for (day, outside) in zip(days.values, drawn.outside) where !outside.isEmpty {
      print("day \(day): outside training: \(outside)")
    }

    let score = try posterior.logDensity(of: [3.7, 4.1], at: Inputs([3, 4.5])).value
    let single = try posterior.marginals(at: Inputs([3]))[0]
    print(score, single.mean, single.quantile(0.9), 1 - single.cdf(4))

    let file = folder + "/levels.safetensors"
    try posterior.write(to: file)
    let later = try Posterior(contentsOf: file, model: model)
    // end
    #expect(bands.count == 19 && bands.allSatisfy { $0[0] <= $0[1] && $0[1] <= $0[2] })
    #expect(score.isFinite && single.variance > 0 && drawn.outside.count == 19)
    #expect(try later.sample(200, at: days, seed: 7).paths == drawn.paths)
  }

  @Test func howJointPredictionWorks() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let model = try Model(named: weights)
    // article HowJointPredictionWorks
    let seen = (0..<12).map { Double($0) / 2 }
    let posterior = try model.condition(on: Dataset(x: seen, y: seen.map { sin($0) }))
    let ahead = try Inputs.grid(6...9, count: 16)

    let joint = try posterior.sample(400, at: ahead, seed: 1)
    let alone = try posterior.sample(400, at: ahead, plan: .independent, seed: 1)

    func spread(_ samples: Posterior.Samples) -> Double {
      let sums = samples.paths.map { $0.reduce(0, +) }
      let mean = sums.reduce(0, +) / Double(sums.count)
      return (sums.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(sums.count - 1)).squareRoot()
    }
    let (jointly, singly) = (spread(joint), spread(alone))
    print("standard deviation of the sum: \(jointly), and \(singly) by single values")

    let values = joint.paths[0]
    let together = try posterior.logDensity(of: values, at: ahead, orders: 16)
    let apart = try posterior.logDensity(of: values, at: ahead, plan: .independent, orders: 1)
    print((together.value - apart.value) / 16, "nats a value between them")
    // end
    #expect(spread(joint) > 0 && spread(alone) > 0 && together.orders.count == 16)
    #expect(together.value.isFinite && apart.value.isFinite)
  }

  // article BringingYourOwnPrior
  /// Straight lines seen with noise.
  struct Lines: Prior {
    let name = "lines"
    let dimensions = 1...1

    func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
      let (level, slope) = (stream.normal(), stream.normal())
      let x = (0..<shape.rows).map { _ in stream.uniform(in: -2...2) }
      let y = x.map { level + slope * $0 + 0.1 * stream.normal() }
      return PriorTask(shape: shape, x: x, y: y, component: name)
    }
  }
  // end

  @Test func bringingYourOwnPrior() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = Self.small(buffers: 4)
    configuration.steps = 40
    // article BringingYourOwnPrior
    let trainer = try Trainer(configuration, prior: Lines(), on: ThreadPool())
    for _ in 0..<configuration.steps {
      let report = try trainer.advance()
      if report.step % 500 == 0 { print(report.step, report.loss.mean) }
    }
    let trained = try trainer.model(card: ["prior": "lines", "input_reach": "2"])
    let file = folder + "/lines.safetensors"
    try trained.write(to: file)

    let line = try Model(path: file).condition(on: Dataset(x: [-1, 0, 1, 2], y: [0.9, 0, -1.1, -2]))
    let drawn = try line.sample(100, at: Inputs([-2, 1.5]), seed: 1)
    print(drawn.means)
    // end
    #expect(drawn.paths.count == 100 && drawn.paths.allSatisfy { $0.allSatisfy(\.isFinite) })
    #expect(try Model(path: file).inputReach == 2)
  }

  @Test func choosingAMemory() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // Before the article: a network with ridge memories to load.
    var blueprint = Blueprint()
    blueprint.width = 32
    blueprint.layers = 1
    blueprint.memories = [try MemoryRegistry.named("ridge")]
    let declared = try Declaration(blueprint)
    let start = Weights(declared.table)
    declared.initialise(start, seed: 3)
    let file = folder + "/ridge.safetensors"
    try Model(network: try declared.network(start)).write(to: file)
    // article ChoosingAMemory
    // A local constant fit around each query: softmax attention, which keeps every row.
    let softmax = LayerMemory(.softmax)
    // One linear function, one gradient step: linear attention with positive features.
    let linear = LayerMemory(
      MemorySpec(
        features: "elu", function: .linear, loss: .dot, optimiser: .gradient(steps: 1), readOut: .normalised))
    // The same function class solved exactly: ridge regression, with its uncertainty at the query.
    let ridge = LayerMemory(MemorySpec(features: "elu", function: .linear, readOut: .leverage))
    // Solved in eight steps instead.
    let stepwise = LayerMemory(
      MemorySpec(features: "unit", function: .linear, optimiser: .conjugateGradient(steps: 8)))
    // A smooth function of the keys: kernel ridge, a Gaussian process inside the layer.
    let kernel = LayerMemory(MemorySpec(function: .kernel, readOut: .leverage))
    // An affine fit around each query.
    let local = LayerMemory(
      MemorySpec(weights: .similarity, function: .localLinear, optimiser: .conjugateGradient(steps: 12)))
    // A small network trained for one step on the rows.
    let inner = LayerMemory(MemorySpec(function: .normalisedLinear, optimiser: .gradient(steps: 1)))
    // A ridge context that does not grow, a softmax buffer for the rows drawn on it.
    let hybrid = LayerMemory(context: ridge.context, buffer: .softmax)

    for memory in [softmax, linear, ridge, stepwise, kernel, local, inner, hybrid] {
      var blueprint = Blueprint()
      blueprint.width = 32
      blueprint.layers = 2
      blueprint.memories = [memory]
      let declared = try Declaration(blueprint)
      let weights = Weights(declared.table)
      declared.initialise(weights, seed: 1)
      let fresh = Model(network: try declared.network(weights))
      let posterior = try fresh.condition(on: Dataset(x: [0, 1, 2, 4], y: [0.1, 0.8, 0.9, -0.7]))
      let drawn = try posterior.sample(10, at: Inputs([3]), seed: 1)
      print(MemoryRegistry.name(of: memory) ?? "?", fresh.network.contextBytes(rows: 8192), drawn.means)
    }

    let ridgeModel = try Model(path: file)
    let posterior = try ridgeModel.condition(on: Dataset(x: [0, 1, 2, 4], y: [0.1, 0.8, 0.9, -0.7]))
    let later = try posterior.observing(more: Dataset(x: [5, 6], y: [-0.9, -0.3]))
    let without = try later.forgetting([0])
    print(try without.marginals(at: Inputs([3]))[0].mean)
    // end
    let anew = try ridgeModel.condition(on: Dataset(x: [1, 2, 4, 5, 6], y: [0.8, 0.9, -0.7, -0.9, -0.3]))
    let one = try anew.marginals(at: Inputs([3]))[0].mean
    let other = try without.marginals(at: Inputs([3]))[0].mean
    #expect(abs(one - other) < 1e-4)
    #expect(throws: ModelError.self) { try later.forgetting([9]) }
    #expect(throws: ModelError.self) { try later.forgetting([0, 1, 2, 3, 4, 5]) }
  }

  /// Each article shows the lines that were compiled above, and no others.
  @Test(arguments: ["GettingStarted", "HowJointPredictionWorks", "ChoosingAMemory", "BringingYourOwnPrior"])
  func articlesShowTheExamples(article: String) throws {
    let here = URL(fileURLWithPath: #filePath)
    let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("Sources/Chorus/Chorus.docc/\(article).md"), encoding: .utf8)
    func own(_ text: some Sequence<Substring>, from begin: String, to end: String) -> [String] {
      var (lines, inside): ([String], Bool) = ([], false)
      for line in text.map({ $0.trimmingCharacters(in: .whitespaces) }) {
        if line == end { inside = false }
        if inside, !line.isEmpty, line != "import Chorus" { lines.append(line) }
        if line == begin { inside = true }
      }
      return lines
    }
    let source = try String(contentsOf: here, encoding: .utf8)
    let compiled = own(source.split(separator: "\n"), from: "// article \(article)", to: "// end")
    // Setting up a training is not repeated in the test, which takes a smaller one.
    let shown = own(page.split(separator: "\n"), from: "```swift", to: "```").filter {
      !$0.hasPrefix("configuration.") && !$0.hasPrefix("var configuration")
    }
    #expect(compiled.count > 8 && compiled.count == shown.count)
    for (one, other) in zip(compiled, shown) where one != other {
      #expect(
        ["let file = ", "let model = "].contains { one.hasPrefix($0) && other.hasPrefix($0) },
        "\(article): '\(one)' is shown as '\(other)'")
    }
  }
}
