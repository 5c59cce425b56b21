import ChorusMemories
import ChorusTensors

extension Blueprint {
  /// Bytes of what all layers' memories keep of `rows` rows, as a file would hold it: what a next row is told of all before it. The
  /// rows that a short convolution takes in are among them. Memories whose contexts can be merged keep sums in double precision
  /// beside what is read.
  public func stateBytes(rows: Int) throws(MemoryError) -> Int {
    var numbers = 0
    for layer in 0..<layers {
      let compiled = try CompiledMemory(memory(layer: layer), attention, set: family != .sequence)
      var table = ParameterTable()
      let handles = compiled.shape.parameters.map { table.declare($0.name, 1, $0.count) }
      let memory = compiled.memory(Weights(table), handles)
      numbers += memory.stateArrays(rows: rows).reduce(0) { $0 + $1.count }
      let layout = compiled.shape.layout
      numbers +=
        min(rows, (parts.convolution ?? 1) - 1) * layout.keyHeads * (layout.keyWidth + layout.valueWidth)
    }
    return 4 * numbers
  }
}
