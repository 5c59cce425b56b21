import ChorusStorage
import ChorusTensors
import Foundation
import Testing

@testable import ChorusModels

/// The Swift network against an independent one in PyTorch (tools/train_torch.py fixture), which wrote the weights
/// and, in float64, the outputs.
@Suite struct TorchParityTests {
  static func fixture(_ name: String) throws -> String {
    try #require(Bundle.module.path(forResource: name, ofType: "safetensors", inDirectory: "Fixtures"))
  }

  @Test(arguments: ["pre", "post"])
  func outputsAgree(norm: String) throws {
    let model = try Model(path: Self.fixture("torch-\(norm)"))
    let file = try Safetensors(path: Self.fixture("torch-\(norm)-outputs"))
    func count(_ key: String) throws -> Int { try #require(file.metadata[key].flatMap(Int.init)) }
    let (tasks, n, c, m) = try (count("tasks"), count("contexts"), count("buffers"), count("targets"))
    let rows = n + c + m
    let x = try file.floats("x", shape: [tasks, rows, 2])
    let y = try file.floats("y", shape: [tasks, rows])
    let limits = try file.integers("limits", shape: [m]).map(Int32.init)
    let width = 3 * model.blueprint.components
    let expected = try file.floats("outputs", shape: file["outputs"]?.shape ?? [])
    #expect(expected.count == tasks * m * width)
    for task in 0..<tasks {
      let (tx, ty) = (
        Array(x[task * rows * 2..<(task + 1) * rows * 2]), Array(y[task * rows..<(task + 1) * rows])
      )
      let state = model.trunk.encode(x: Array(tx[..<(2 * n)]), y: Array(ty[..<n]), dimensions: 2)
      let inputs = model.trunk.embed(Array(tx[(2 * n)...]), count: c + m, dimensions: 2)
      let paths = model.trunk.branch(paths: 1, capacity: c)
      let outputs = model.trunk.advance(
        paths, state, inputs: inputs, commit: (0..<c).map(Int32.init), y: Array(ty[n..<n + c]),
        query: (c..<c + m).map(Int32.init), limits: limits)
      for index in 0..<m * width {
        #expect(abs(outputs[index] - expected[task * m * width + index]) < 1e-4)
      }
    }
  }
}
