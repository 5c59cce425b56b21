import ChorusModels

extension Posterior {
  /// The arithmetic of reading `rows` rows, of which those beyond what is read at once are left out.
  package static func flops(toRead rows: Int, dimensions: Int, by model: Model) -> Double {
    let n = Double(max(min(rows, contextLimit(model.blueprint, dimensions: dimensions)), 1))
    let rates = model.network.rates
    return n * (rates.input.total + rates.value.total + rates.row) + n * n * rates.read
  }

  /// Bytes of the rows that were read and of what the network made of them.
  package var contextBytes: Int {
    let rows = conditioned.rows
    return model.network.contextBytes(rows: rows.count) + 4 * (rows.x.count + rows.y.count)
  }
}
