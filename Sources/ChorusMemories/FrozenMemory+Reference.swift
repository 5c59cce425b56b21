import Foundation

/// The definition, row by row: gradients at the map with which the row's chunk began, then the map is changed.
extension FrozenMemory {
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    let form = FrozenReference(head)
    var (summed, carried) = (form.start, form.start.map { $0.map { _ in 0.0 } })
    var (beginning, frozen, gathered) = (summed, form.mapped(summed), carried)
    for (index, row) in head.rows.enumerated() {
      let local = index % form.settings.chunk
      if local == 0 {
        (beginning, frozen) = (summed, form.mapped(summed))
        gathered = carried.map { $0.map { _ in 0 } }
      }
      let threshold =
        form.settings.loss.thresholded ? head.softplus(form.gate("threshold", row)) : 0
      let gradient = form.gradient(
        head.features(row.key), row.value, threshold: threshold, at: frozen)
      let rate = head.sigmoid(form.gate("rate", row)) * form.settings.rateShare
      if form.settings.paced {
        let pace = form.settings.pace(
          local + 1,
          learned: head.numbers[form.settings.parameter("pace")][head.head * form.settings.chunk + local])
        for (l, part) in gradient.enumerated() {
          for i in part.indices {
            gathered[l][i] += rate * part[i]
            summed[l][i] = beginning[l][i] - pace * gathered[l][i]
          }
        }
        continue
      }
      let keep = head.sigmoid(form.gate("keep", row))
      let momentum = form.settings.momentum ? head.sigmoid(form.gate("momentum", row)) : 0
      for (l, part) in gradient.enumerated() {
        for i in part.indices {
          carried[l][i] = momentum * carried[l][i] - rate * part[i]
          summed[l][i] = keep * summed[l][i] + carried[l][i]
        }
      }
    }
    return ReferenceRead(form.fit(head.features(query), form.mapped(summed)))
  }
}

/// The inner model of one head in Double, its matrices row by row.
struct FrozenReference {
  let settings: FrozenSettings
  private let head: ReferenceHead
  private let gain: [Double]
  private let bias: [Double]

  init(_ head: ReferenceHead) {
    self.head = head
    settings = FrozenSettings(head.spec, head.sizes)
    let width = head.sizes.width
    let normalised = settings.network.normalised
    gain = normalised ? head.part(settings.parameter("gain"), width) : []
    bias = normalised ? head.part(settings.parameter("bias"), width) : []
  }

  func gate(_ name: String, _ row: ReferenceHead.Row) -> Double {
    row.gates[settings.gate(name)][0] + head.numbers[settings.parameter(name)][head.head]
  }

  var start: [[Double]] {
    settings.network.layers.enumerated().map { index, layer in
      settings.network.normalised
        ? head.part(settings.parameter("start.\(index)"), layer.count)
        : [Double](repeating: 0, count: layer.count)
    }
  }

  func mapped(_ a: [[Double]]) -> [[Double]] {
    let scale =
      settings.retention.scaled
      ? head.softplus(head.numbers[settings.parameter("scale")][head.head]) : 1
    return zip(settings.network.layers, a).map { layer, a in
      settings.retention.reference(a, rows: layer.rows, columns: layer.columns, scale: scale)
    }
  }

  /// Products of each layer and what went into it.
  private func layers(_ x: [Double], _ w: [[Double]]) -> [(input: [Double], product: [Double])] {
    var (from, out) = (x, [(input: [Double], product: [Double])]())
    for (layer, w) in zip(settings.network.layers, w) {
      let input = settings.network.normalised ? from + [1] : from
      var product = [Double](repeating: 0, count: layer.columns)
      for i in input.indices {
        for j in product.indices { product[j] += input[i] * w[i * layer.columns + j] }
      }
      out.append((input, product))
      from = product.map { $0 * 0.5 * erfc(-$0 / 2.0.squareRoot()) }
    }
    return out
  }

  private func normalised(_ z: [Double]) -> (hat: [Double], deviation: Double) {
    let n = Double(z.count)
    let mean = z.reduce(0, +) / n
    let variance = z.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
    let deviation = (variance + InnerNetwork.epsilon).squareRoot()
    return (z.map { ($0 - mean) / deviation }, deviation)
  }

  func fit(_ x: [Double], _ w: [[Double]]) -> [Double] {
    let last = layers(x, w)[w.count - 1].product
    guard settings.network.normalised else { return last }
    let hat = normalised(last).hat
    return x.indices.map { x[$0] + gain[$0] * hat[$0] + bias[$0] }
  }

  /// The gradient of a row's loss by every matrix, by the chain rule with the Jacobian of the norm written out.
  func gradient(_ x: [Double], _ value: [Double], threshold: Double, at w: [[Double]]) -> [[Double]] {
    let passed = layers(x, w)
    let error = zip(fit(x, w), value).map { $0 - $1 }
    var slope = settings.loss.slope(error, value: value, threshold: threshold)
    let n = x.count
    if settings.network.normalised {
      let (hat, deviation) = normalised(passed[w.count - 1].product)
      let outer = slope
      slope = (0..<n).map { i in
        (0..<n).reduce(0.0) { sum, j in
          let jacobian = ((i == j ? 1 : 0) - 1 / Double(n) - hat[i] * hat[j] / Double(n)) / deviation
          return sum + outer[j] * gain[j] * jacobian
        }
      }
    }
    var out = [[Double]](repeating: [], count: w.count)
    for index in (0..<w.count).reversed() {
      let columns = settings.network.layers[index].columns
      out[index] = passed[index].input.flatMap { x in slope.map { x * $0 } }
      guard index > 0 else { break }
      slope = passed[index - 1].product.enumerated().map { i, z in
        let back = (0..<columns).reduce(0.0) { $0 + slope[$1] * w[index][i * columns + $1] }
        let density = exp(-z * z / 2) / (2 * Double.pi).squareRoot()
        return back * (0.5 * erfc(-z / 2.0.squareRoot()) + z * density)
      }
    }
    return out
  }
}
