import ChorusTensors
import Foundation
import Testing

@testable import ChorusMemories

@Suite struct RegistryTests {
  @Test func everyEntryCompilesAndOnlyTheDeltaRuleIsRefusedAsASet() throws {
    let sizes = AttentionSizes(heads: 2, width: 8)
    for entry in MemoryRegistry.all {
      _ = try CompiledMemory(entry.layer, sizes, set: false)
      if entry.name == "delta" {
        let refusal = #expect(throws: MemoryError.self) { try CompiledMemory(entry.layer, sizes) }
        #expect(refusal?.description.contains("ridge") == true)
      } else {
        _ = try CompiledMemory(entry.layer, sizes)
      }
    }
    #expect(Set(MemoryRegistry.all.map(\.name)).count == MemoryRegistry.all.count)
  }

  @Test func writtenAsANameOrAsItsAxes() throws {
    let entries = MemoryRegistry.all.map(\.layer)
    let named = try JSONEncoder().encode(entries)
    #expect(String(decoding: named, as: UTF8.self).contains("\"ridge-cg\""))
    #expect(try JSONDecoder().decode([LayerMemory].self, from: named) == entries)
    let own = LayerMemory(MemorySpec(features: "elu", function: .linear))
    #expect(try JSONDecoder().decode(LayerMemory.self, from: JSONEncoder().encode(own)) == own)
    #expect(throws: MemoryError.self) {
      try JSONDecoder().decode(LayerMemory.self, from: Data("\"rigde\"".utf8))
    }
  }

  @Test func featuresThatWouldTakeAllMemoryAreRefused() throws {
    let layer = try MemoryRegistry.named("linear-taylor")
    _ = try CompiledMemory(layer, AttentionSizes(heads: 1, width: 64))
    let refusal = #expect(throws: MemoryError.self) {
      try CompiledMemory(layer, AttentionSizes(heads: 1, width: 4096))
    }
    #expect(refusal?.description.contains("at most 4096") == true)
  }
}
