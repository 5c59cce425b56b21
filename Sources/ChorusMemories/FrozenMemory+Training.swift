import ChorusTensors
import Foundation

/// The chunk form with derivatives, through the inner gradients too: they are operations like any other.
extension FrozenMemory {
  typealias Matrix = HeadPass.Matrix

  func record(_ head: inout HeadPass) {
    let m = head.matrices
    let keys = m.stack(map.record(head.keys, on: m), map.record(head.ownKeys, on: m))
    let pass = RecordedFrozen(self, &head)
    let queries = head.parts.map { map.record($0.queries, on: m) }
    let ends = head.parts.map { $0.limits.map { head.keys.rows + Int($0) } }
    var state = pass.start(&head)
    for (part, queries) in zip(head.parts.indices, queries) {
      for run in Self.runs(ends[part], in: 0..<1) {
        head.emit(
          pass.read(m.rows(queries, run), pass.mapped(state.map(\.sum))),
          row: head.parts[part].row + run.lowerBound)
      }
    }
    for first in stride(from: 0, to: keys.rows, by: settings.chunk) {
      let rows = first..<min(keys.rows, first + settings.chunk)
      let chunk = RecordedFrozenChunk(pass, keys: m.rows(keys, rows), rows: rows, state)
      for (part, queries) in zip(head.parts.indices, queries) {
        for run in Self.runs(ends[part], in: first + 1..<rows.upperBound + 1) {
          let counts = ends[part][run].map { $0 - first }
          head.emit(
            chunk.read(m.rows(queries, run), counts: counts), row: head.parts[part].row + run.lowerBound)
        }
      }
      if rows.upperBound < keys.rows { state = chunk.end }
    }
  }

  /// Queries beside each other that see a number of rows within `counts`.
  private static func runs(_ ends: [Int], in counts: Range<Int>) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for (query, end) in ends.enumerated() where counts.contains(end) {
      if let last = runs.last, last.upperBound == query {
        runs[runs.count - 1] = last.lowerBound..<query + 1
      } else {
        runs.append(query..<query + 1)
      }
    }
    return runs
  }
}

/// What all chunks of a head share.
struct RecordedFrozen {
  typealias Matrix = HeadPass.Matrix
  /// A matrix before the map is made of it, and its momentum.
  struct State {
    var sum: Matrix
    var momentum: Matrix?
  }

  let m: MatrixTape
  let settings: FrozenSettings
  let values: Matrix
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

  init(_ memory: FrozenMemory, _ head: inout HeadPass) {
    let (settings, m) = (memory.settings, head.matrices)
    (self.settings, self.m) = (settings, m)
    values = head.allValues
    func gate(_ name: String, _ there: Bool) -> Matrix? {
      guard there else { return nil }
      return m.addRow(head.gate(settings.gate(name)), head.parameter(settings.parameter(name)))
    }
    keeps = gate("keep", !settings.paced).map { m.sigmoid($0) }
    momenta = gate("momentum", settings.momentum).map { m.sigmoid($0) }
    thresholds = gate("threshold", settings.loss.thresholded).map { m.softplus($0) }
    rates = m.scaled(m.sigmoid(gate("rate", true) ?? values), by: settings.rateShare)
    if settings.paced {
      let learned = m.transpose(head.parameters(settings.parameter("pace"), count: settings.chunk))
      let places = m.input(settings.chunk, 1, learns: false) { values in
        for i in 0..<settings.chunk { values[i] = 1 / Double(i + 1) }
      }
      paces = m.hadamard(m.map(learned) { x in x > -1 ? (1 + x, 1) : (0, 0) }, places)
    } else {
      paces = nil
    }
    let width = memory.sizes.width
    let normalised = settings.network.normalised
    gain = normalised ? head.parameters(settings.parameter("gain"), count: width) : nil
    bias = normalised ? head.parameters(settings.parameter("bias"), count: width) : nil
    scale = settings.retention.scaled ? m.softplus(head.parameter(settings.parameter("scale"))) : nil
  }

  func start(_ head: inout HeadPass) -> [State] {
    settings.network.layers.enumerated().map { index, layer in
      let sum =
        settings.network.normalised
        ? m.reshape(
          head.parameters(settings.parameter("start.\(index)"), count: layer.count), rows: layer.rows)
        : m.constant(0, layer.rows, layer.columns)
      return State(
        sum: sum, momentum: settings.momentum ? m.constant(0, layer.rows, layer.columns) : nil)
    }
  }

  func mapped(_ sums: [Matrix]) -> [Matrix] {
    sums.map { settings.retention.record($0, scale: scale, m) }
  }

  /// What φ of queries reads of some matrices.
  func read(_ asked: Matrix, _ matrices: [Matrix]) -> Matrix {
    var remaining = matrices[...]
    return settings.network.record(asked, gain: gain, bias: bias, m) { _, inputs in
      m.multiply(inputs, remaining.removeFirst())
    }.fit
  }

  /// A number times a matrix.
  func times(_ number: Matrix, _ matrix: Matrix) -> Matrix {
    m.scaleRows(matrix, by: m.multiply(m.constant(1, matrix.rows, 1), number))
  }
}

/// A chunk's gradients, and what its rows' numbers make of them.
struct RecordedFrozenChunk {
  typealias Matrix = HeadPass.Matrix
  typealias State = RecordedFrozen.State

  private let all: RecordedFrozen
  private let m: MatrixTape
  private let state: [State]
  private let lefts: [Matrix]
  private let rights: [Matrix]
  /// Row t: what the map behind t + 1 rows has of each gradient, of the beginning, and of the momentum there.
  private let weights: Matrix
  private let start: Matrix?
  private let carried: Matrix?
  /// The same of the momentum.
  private let steps: Matrix
  private let left: Matrix?
  private let count: Int

  init(_ all: RecordedFrozen, keys: Matrix, rows: Range<Int>, _ state: [State]) {
    let (m, count) = (all.m, rows.count)
    (self.all, self.m, self.state, self.count) = (all, m, state, count)
    let matrices = all.mapped(state.map(\.sum))
    var remaining = matrices[...]
    let pass = all.settings.network.record(keys, gain: all.gain, bias: all.bias, m) { _, inputs in
      m.multiply(inputs, remaining.removeFirst())
    }
    let values = m.rows(all.values, rows)
    let slopes = all.settings.loss.record(
      m.add(pass.fit, values, scale: -1), values: values, threshold: all.thresholds.map { m.rows($0, rows) },
      m)
    lefts = pass.inputs
    rights = all.settings.network.record(slopes: slopes, pass, gain: all.gain, matrices: matrices, m)

    let rates = m.rows(all.rates, rows)
    guard let keeps = all.keeps.map({ m.rows($0, rows) }) else {
      let paced = all.paces.map { m.multiply(m.rows($0, 0..<count), rates, .right) } ?? rates
      weights = m.visible(paced, limits: (1...count).map { Int32($0) })
      (start, carried, steps, left) = (nil, nil, weights, nil)
      return
    }
    // x_t = g_t x_{t−1} + y_t of all rows at once: (I − the g below the diagonal) x = y.
    func recurrence(_ gates: Matrix) -> Matrix {
      let below = m.input(count, count, learns: false) { values in
        values.update(repeating: 0, count: count * count)
        for t in 1..<max(1, count) { values[t * count + t - 1] = -1 }
      }
      return m.addDiagonal(m.scaleRows(below, by: gates), m.constant(1, 1, 1))
    }
    let unit = m.addDiagonal(m.constant(0, count, count), m.constant(1, 1, 1))
    let first = m.input(count, 1, learns: false) { values in
      for t in 0..<count { values[t] = t == 0 ? 1 : 0 }
    }
    let system = recurrence(keeps)
    start = m.solve(system, m.hadamard(keeps, first))
    let own = m.scaleRows(unit, by: rates)
    guard let momenta = all.momenta.map({ m.rows($0, rows) }) else {
      steps = own
      (weights, carried, left) = (m.solve(system, own), nil, nil)
      return
    }
    let second = recurrence(momenta)
    steps = m.solve(second, own)
    let kept = m.solve(second, m.hadamard(momenta, first))
    (weights, carried, left) = (m.solve(system, steps), m.solve(system, kept), kept)
  }

  /// What φ of queries reads behind the first rows, as many as their counts tell.
  func read(_ asked: Matrix, counts: [Int]) -> Matrix {
    guard all.settings.retention == .quadratic else { return readMapped(asked, counts: counts) }
    let which = m.input(counts.count, count, learns: false) { values in
      values.update(repeating: 0, count: counts.count * count)
      for (query, count) in counts.enumerated() { values[query * self.count + count - 1] = 1 }
    }
    let shares = m.multiply(which, weights)
    var index = 0
    return all.settings.network.record(asked, gain: all.gain, bias: all.bias, m) { _, inputs in
      defer { index += 1 }
      var out = m.multiply(inputs, state[index].sum)
      if let start { out = m.scaleRows(out, by: m.multiply(which, start)) }
      if let carried, let momentum = state[index].momentum {
        out = m.add(out, m.scaleRows(m.multiply(inputs, momentum), by: m.multiply(which, carried)))
      }
      let scores = m.hadamard(m.multiply(inputs, lefts[index], .right), shares)
      return m.add(out, m.multiply(scores, rights[index]), scale: -1)
    }.fit
  }

  /// The same where a map has to be made for every number of rows.
  private func readMapped(_ asked: Matrix, counts: [Int]) -> Matrix {
    var (out, query) = (Matrix?.none, 0)
    while query < counts.count {
      let same = counts[query...].prefix { $0 == counts[query] }
      let read = all.read(m.rows(asked, same.indices), all.mapped(sums(counts[query])))
      out = out.map { m.stack($0, read) } ?? read
      query = same.endIndex
    }
    return out ?? asked
  }

  /// A of every layer behind the first rows.
  private func sums(_ count: Int) -> [Matrix] {
    let row = count - 1..<count
    return state.indices.map { index in
      combined(
        state[index].sum, start.map { m.rows($0, row) }, m.rows(weights, row), index,
        carried: carried.map { m.rows($0, row) })
    }
  }

  /// The state behind all rows.
  var end: [State] {
    let last = count - 1..<count
    let sums = sums(count)
    return state.indices.map { index in
      State(
        sum: sums[index],
        momentum: state[index].momentum.map {
          combined($0, left.map { m.rows($0, last) }, m.rows(steps, last), index, carried: nil)
        })
    }
  }

  private func combined(
    _ beginning: Matrix, _ share: Matrix?, _ weights: Matrix, _ index: Int, carried: Matrix?
  ) -> Matrix {
    var out = share.map { all.times($0, beginning) } ?? beginning
    if let carried, let momentum = state[index].momentum { out = m.add(out, all.times(carried, momentum)) }
    let left = m.scaleRows(lefts[index], by: m.transpose(weights))
    return m.add(out, m.multiply(left, rights[index], .left), scale: -1)
  }
}
