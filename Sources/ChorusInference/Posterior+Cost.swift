import ChorusModels

extension Posterior {
  /// The arithmetic of reading `rows` rows, of which those beyond what is read at once are left out.
  package static func flops(toRead rows: Int, dimensions: Int, by model: Model) -> Double {
    let limit = contextLimit(model.blueprint, dimensions: dimensions)
    return model.network.rates.encoding(Double(max(min(rows, limit), 1)))
  }

  /// Bytes of the rows that were read and of what the network made of them.
  package var contextBytes: Int {
    let rows = conditioned.rows
    return model.network.contextBytes(rows: rows.count) + 4 * (rows.x.count + rows.y.count)
  }
}
