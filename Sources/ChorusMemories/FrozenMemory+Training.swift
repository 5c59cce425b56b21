import ChorusTensors

/// The chunk form with derivatives, through the inner gradients too: `FrozenPass`, in Float, of gates that are recorded.
extension FrozenMemory {
  func record(_ head: inout HeadPass) {
    let set = head.keyInputs.set.rows.count
    let rows = FrozenPass.Rows(
      keys: .inputs([head.keyInputs.set, head.keyInputs.own], map),
      values: .inputs([head.valueInputs.set, head.valueInputs.own], IdentityFeatures()), count: head.rows)
    let queries = head.parts.map { part in
      FrozenPass.Queries(
        rows: .inputs([part.input], map), ends: part.limits.map { set + Int($0) }, row: part.row)
    }
    let numbers = FrozenNumbers(self, &head)
    head.pass.fuse(FrozenPass(self, head: head.head, numbers, rows, queries, head.pass))
  }
}

/// What a head's rows tell beside keys and values, and what is learned, as recorded matrices.
struct FrozenNumbers {
  typealias Matrix = HeadPass.Matrix

  /// Of all rows, `[rows, 1]`.
  let rates: Matrix
  let keeps: Matrix?
  let momenta: Matrix?
  let thresholds: Matrix?
  /// Of the readers of a chunk, `[chunk, 1]`.
  let paces: Matrix?
  let gain: Matrix?
  let bias: Matrix?
  let scale: Matrix?
  /// A of every layer before the first row; none where it is 0.
  let starts: [Matrix]

  init(_ memory: FrozenMemory, _ head: inout HeadPass) {
    let (settings, m) = (memory.settings, head.matrices)
    func gate(_ name: String) -> Matrix {
      m.addRow(head.gate(settings.gate(name)), head.parameter(settings.parameter(name)))
    }
    keeps = settings.paced ? nil : m.sigmoid(gate("keep"))
    momenta = settings.momentum ? m.sigmoid(gate("momentum")) : nil
    thresholds = settings.loss.thresholded ? m.softplus(gate("threshold")) : nil
    rates = m.scaled(m.sigmoid(gate("rate")), by: settings.rateShare)
    if settings.paced {
      let learned = m.transpose(head.parameters(settings.parameter("pace"), count: settings.chunk))
      let places = m.input(settings.chunk, 1, learns: false) { values in
        for i in 0..<settings.chunk { values[i] = 1 / Double(i + 1) }
      }
      paces = m.hadamard(m.map(learned) { x in x > -1 ? (1 + x, 1) : (0, 0) }, places)
    } else {
      paces = nil
    }
    let (width, network) = (memory.sizes.width, settings.network)
    gain = network.normalised ? head.parameters(settings.parameter("gain"), count: width) : nil
    bias = network.normalised ? head.parameters(settings.parameter("bias"), count: width) : nil
    scale = settings.retention.scaled ? m.softplus(head.parameter(settings.parameter("scale"))) : nil
    starts =
      network.normalised
      ? network.layers.enumerated().map { index, layer in
        head.parameters(settings.parameter("start.\(index)"), count: layer.count)
      } : []
  }
}
