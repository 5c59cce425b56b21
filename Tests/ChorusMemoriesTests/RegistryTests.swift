import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

@Suite struct RegistryTests {
  /// Whether an entry may hold a set is its capability, told before there are weights and by the memory itself.
  @Test func everyEntryCompilesAndHoldsASetWhereItsCapabilityTells() throws {
    let sizes = AttentionSizes(heads: 2, width: 8)
    for name in Subjects.all {
      let bench = try Subjects.bench(name)
      #expect(bench.compiled.capability == bench.capability, "\(name)")
      guard !bench.capability.holdsSet else {
        _ = try CompiledMemory(bench.layer, sizes, set: bench.capability.prefixReads == .any)
        continue
      }
      let refusal = #expect(throws: MemoryError.self) { try CompiledMemory(bench.layer, sizes) }
      let told = (refusal?.description ?? "").components(separatedBy: "these can: ")
      let sets = MemoryRegistry.all.filter { (try? CompiledMemory($0.layer, sizes)) != nil }.map(\.name)
      #expect(told.last?.components(separatedBy: ", ") == sets, "\(name)")
    }
    #expect(Set(MemoryRegistry.all.map(\.name)).count == MemoryRegistry.all.count)
  }

  /// What docs/memories.md tells of every entry is what the registry tells.
  @Test func theManualShowsTheRules() throws {
    let root = (0..<3).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
    let manual = try String(contentsOf: root.appendingPathComponent("docs/memories.md"), encoding: .utf8)
    #expect(manual.contains(try MemoryRegistry.rules()), "chorus memories list --format rules makes it")
  }

  @Test func writtenAsANameOrAsItsAxes() throws {
    let entries = MemoryRegistry.all.map(\.layer)
    let named = try JSONEncoder().encode(entries)
    #expect(String(decoding: named, as: UTF8.self).contains("\"ridge-cg\""))
    #expect(try JSONDecoder().decode([LayerMemory].self, from: named) == entries)
    let own = LayerMemory(MemorySpec(features: "elu", function: .linear))
    #expect(try JSONDecoder().decode(LayerMemory.self, from: JSONEncoder().encode(own)) == own)
    let specs = entries.map(\.context)
    let axes = try JSONEncoder().encode(specs)
    #expect(!String(decoding: axes, as: UTF8.self).contains("\"ridge-cg\""))
    #expect(try JSONDecoder().decode([MemorySpec].self, from: axes) == specs)
    #expect(throws: MemoryError.self) {
      try JSONDecoder().decode(LayerMemory.self, from: Data("\"rigde\"".utf8))
    }
  }

  @Test func absentFieldsTakeTheirDefaultsAndUnknownOnesAreRefusedByName() throws {
    func read(_ json: String) throws -> LayerMemory {
      try JSONDecoder().decode(LayerMemory.self, from: Data(json.utf8))
    }
    #expect(
      try read(#"{"context": {"function": "linear"}}"#) == LayerMemory(MemorySpec(function: .linear)))
    let refused = [
      #"{"contxt": {"function": "linear"}}"#: "unknown field 'contxt'; did you mean 'context'?",
      #"{"context": {"function": "linear", "readout": "raw"}}"#:
        "context: unknown field 'readout'; did you mean 'readOut'?",
      #"{"context": {"function": "linear", "optimiser": {"onlin": {}}}}"#:
        "context.optimiser: unknown field 'onlin'; did you mean 'online'?",
      #"{"context": {"function": "linear", "optimiser": {"gradient": {"step": 3}}}}"#:
        "context.optimiser.gradient: unknown field 'step'; did you mean 'steps'?",
    ]
    for (json, words) in refused {
      let refusal = #expect(throws: UnknownField.self) { try read(json) }
      #expect(refusal?.description == words)
    }
    for optimiser in [
      #"{"gradient": {}}"#, #"{"exact": {"steps": 2}}"#, "{}", #"{"exact": {}, "online": {}}"#,
      #"{"product": {}}"#, #"{"momentum": {"steps": 2}}"#,
    ] {
      #expect(throws: MemoryError.self, "\(optimiser)") {
        try read(#"{"context": {"function": "linear", "optimiser": \#(optimiser)}}"#)
      }
    }
  }

  @Test func featuresThatWouldTakeAllMemoryAreRefused() throws {
    let layer = try MemoryRegistry.named("linear-taylor")
    _ = try CompiledMemory(layer, AttentionSizes(heads: 1, width: 64))
    let refusal = #expect(throws: MemoryError.self) {
      try CompiledMemory(layer, AttentionSizes(heads: 1, width: 4096))
    }
    #expect(refusal?.description.contains("at most 4096") == true)
    let titans = try MemoryRegistry.named("titans")
    _ = try CompiledMemory(titans, AttentionSizes(heads: 1, width: 512), set: false)
    let network = #expect(throws: MemoryError.self) {
      try CompiledMemory(titans, AttentionSizes(heads: 1, width: 1024), set: false)
    }
    #expect(network?.description.contains("at most 4194304") == true)
  }
}
