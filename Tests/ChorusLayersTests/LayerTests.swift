import ChorusData
import ChorusTensors
import Foundation
import Testing

@testable import ChorusLayers

/// Every layer in its two forms beside its formula in float64.
@Suite struct LayerTests {
  private func gelu(_ x: Double) -> Double { 0.5 * x * (1 + erf(x / 2.0.squareRoot())) }

  private func feed(_ n: LayerCheck.Numbers, _ path: String, _ x: [Double]) -> [Double] {
    n.linear(path + "down", n.linear(path + "up", x).map(gelu))
  }

  @Test(arguments: [Activation.identity, .gelu, .relu]) func projection(_ activation: Activation) {
    var scope = ParameterScope()
    let layer = Projection("map", 7, 18, activation: activation, &scope)
    LayerCheck(scope).layer(layer) { n, x in
      n.linear("map", x).map { activation == .gelu ? gelu($0) : activation == .relu ? max($0, 0) : $0 }
    }
  }

  @Test func projectionWithoutABias() {
    var scope = ParameterScope()
    let layer = Projection.unbiased("map", 5, 4, &scope)
    #expect(scope.table.all.map(\.path) == ["map.weight"])
    LayerCheck(scope).layer(layer) { n, x in n.linear("map", x) }
  }

  @Test(arguments: [6, 16, 21]) func norm(_ width: Int) {
    var scope = ParameterScope()
    let layer = Norm("norm", width, &scope)
    LayerCheck(scope).layer(layer) { n, x in
      let mean = x.reduce(0, +) / Double(width)
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      let (gain, bias) = (n.vector("norm.gain"), n.vector("norm.bias"))
      return x.indices.map { (x[$0] - mean) / (variance + 1e-5).squareRoot() * gain[$0] + bias[$0] }
    }
  }

  @Test func normLeavesPlacesAsTheyAre() {
    var scope = ParameterScope()
    let layer = Norm("norm", 10, places: 4, &scope)
    #expect(layer.inputs == 10 && layer.outputs == 10 && scope.table.all.map(\.count) == [6, 6])
    LayerCheck(scope).layer(layer) { n, x in
      let own = x[..<6]
      let mean = own.reduce(0, +) / 6
      let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 6
      let (gain, bias) = (n.vector("norm.gain"), n.vector("norm.bias"))
      return own.indices.map { (x[$0] - mean) / (variance + 1e-5).squareRoot() * gain[$0] + bias[$0] }
        + x[6...]
    }
  }

  /// q·k/√width differs between two keys as −β times their squared distances from the query do.
  @Test func scoresBeginToFallWithDistance() throws {
    let (places, sizes, width) = (RowPlaces(coordinates: 3), AttentionSizes(heads: 3, width: 8), 24)
    #expect(places.columns == 8)
    let starts = try #require(places.starts(width, sizes))
    var scope = ParameterScope()
    let query = Projection.unbiased("q", width, 24, start: starts.query, &scope)
    let stored = Projection.unbiased("kv", width, 48, start: starts.stored, &scope)
    let weights = Weights(scope.table)
    // The numbers added alone: with the random part taken off.
    weights.values.fill(0)
    for (p, start) in [(query.weight, starts.query), (stored.weight, starts.stored)] {
      guard case .adding(_, let known) = start else { continue }
      for (place, value) in known { weights[p][place] = value }
    }
    weights.pack()
    let run = Workspace(weights, Arena())
    var rows = [Float](repeating: 0, count: 3 * width)
    let at: [[Float]] = [[0.3, -1, 0.5], [1, 1, 0], [-0.4, 0.2, 2]]
    rows.withUnsafeMutableBufferPointer { rows in
      for row in 0..<3 { places.write(at[row], into: rows.baseAddress! + row * width + 16) }
    }
    var (q, kv) = ([Float](repeating: 0, count: 3 * 24), [Float](repeating: 0, count: 3 * 48))
    query.apply(rows, rows: 3, residual: nil, into: &q, run)
    stored.apply(rows, rows: 3, residual: nil, into: &kv, run)
    func score(_ head: Int, _ key: Int) -> Double {
      (0..<8).reduce(0.0) { $0 + Double(q[head * 8 + $1]) * Double(kv[key * 48 + head * 8 + $1]) }
        / 8.0.squareRoot()
    }
    func distance(_ key: Int) -> Double {
      (0..<3).reduce(0.0) { $0 + pow(Double(at[0][$1] - at[key][$1]), 2) }
    }
    for (head, beta) in [0, 0.5, 2].enumerated() {
      #expect(
        abs(score(head, 1) - score(head, 2) + beta * (distance(1) - distance(2))) < 1e-4, "head \(head)")
    }
  }

  @Test func feedForward() {
    var scope = ParameterScope()
    let layer = FeedForward(6, hidden: 20, 9, &scope)
    LayerCheck(scope).layer(layer) { n, x in feed(n, "", x) }
  }

  @Test(arguments: [6, 16, 21]) func rmsNorm(_ width: Int) {
    var scope = ParameterScope()
    let layer = RMSNorm("norm", width, epsilon: 1e-3, &scope)
    LayerCheck(scope).layer(layer) { n, x in
      let square = x.reduce(0) { $0 + $1 * $1 } / Double(width)
      return zip(x, n.vector("norm.gain")).map { $0 / (square + 1e-3).squareRoot() * $1 }
    }
  }

  @Test func gatedFeedForward() {
    var scope = ParameterScope()
    let layer = GatedFeedForward(6, hidden: 19, 9, &scope)
    #expect(scope.table.all.map(\.path) == ["gate.weight", "up.weight", "down.weight"])
    LayerCheck(scope).layer(layer) { n, x in
      let gates = n.linear("gate", x).map { $0 / (1 + exp(-$0)) }
      return n.linear("down", zip(gates, n.linear("up", x)).map { $0 * $1 })
    }
  }

  /// Reads of which the row's own numbers are an example.
  private struct OwnRead: Layer {
    let read: GatedRead
    let columns: Int
    var inputs: Int { columns }
    var outputs: Int { columns }
    var work: Double { read.work }

    func apply(
      _ x: UnsafePointer<Float>, rows: Int, residual: UnsafePointer<Float>?,
      into out: UnsafeMutablePointer<Float>, _ run: Workspace
    ) {
      let found = run.arena.floats(rows * columns)
      found.update(from: x, count: rows * columns)
      read.apply(found, x, rows: rows, run)
      for i in 0..<rows * columns { out[i] = found[i] + (residual?[i] ?? 0) }
    }
    func record(_ x: Node, residual: Node?, on tape: Tape) -> Node {
      let found = read.record(x, x, on: tape)
      return residual.map { tape.add(found, $0) } ?? found
    }
  }

  @Test func gatedRead() {
    var scope = ParameterScope()
    let sizes = AttentionSizes(heads: 3, width: 4)
    let layer = OwnRead(read: GatedRead(12, sizes, epsilon: 1e-3, &scope), columns: 12)
    #expect(scope.table.all.map(\.path) == ["readnorm.gain", "readgate.weight"])
    LayerCheck(scope).layer(layer) { n, x in
      let (gain, gates) = (n.vector("readnorm.gain"), n.linear("readgate", x))
      return x.indices.map { i in
        let head = x[i / 4 * 4..<i / 4 * 4 + 4]
        let scale = (head.reduce(0) { $0 + $1 * $1 } / 4 + 1e-3).squareRoot()
        return x[i] / scale * gain[i % 4] * gates[i] / (1 + exp(-gates[i]))
      }
    }
  }

  @Test func embedder() {
    var scope = ParameterScope()
    let layer = scope.nested("x") { Embedder(5, hidden: 12, 8, &$0) }
    LayerCheck(scope).layer(layer) { n, x in
      let t = n.linear("x.in", x)
      return zip(t, feed(n, "x.", t)).map { $0 + $1 }
    }
  }

  // MARK: Heads

  @Test(arguments: [1, 5, 8, 20], [0, 1, 4]) func mixture(components: Int, around: Int) {
    var scope = ParameterScope()
    let around = min(around, components)
    let head = MixtureHead(4, hidden: 6, components: components, around: around, floor: 0.0625, &scope)
    var stream = RandomStream(seed: 8)
    let raw = stream.normals(6 * 3 * components).map { Float($0) }
    let targets = Targets(
      values: [0.3, -1.5, 2, 0, 4, -0.25], weights: [0.5, 0.25, 0, 1, 2, 0.125],
      units: around == 0
        ? nil
        : zip([0.2, -1, 0, 1, -2, 0.75], [0.5, 2, 1, 0.25, 3, 1.5]).map {
          Scaling.Unit(origin: $0, scale: $1)
        })
    LayerCheck(scope).loss(head, targets, raw: raw) { raw, row in
      let norm = log((0..<components).reduce(0) { $0 + exp(raw[$1]) })
      let density = (0..<components).reduce(0.0) { sum, c in
        let unit = c < around ? targets.units?[row] : nil
        let scale = unit?.scale ?? 1
        let mean = (unit?.origin ?? 0) + scale * raw[components + c]
        let deviation = scale * (log(1 + exp(raw[2 * components + c])) + 0.0625)
        let z = (Double(targets.values[row]) - mean) / deviation
        return sum + exp(raw[c] - norm - z * z / 2) / (deviation * (2 * Double.pi).squareRoot())
      }
      return log(density)
    }
  }

  /// Components around three hints, two around each, and two in the network's units.
  @Test func mixtureAroundSeveralHints() {
    var scope = ParameterScope()
    let head = MixtureHead(4, hidden: 6, components: 8, around: 6, units: 3, floor: 0.0625, &scope)
    var stream = RandomStream(seed: 8)
    let raw = stream.normals(4 * 24).map { Float($0) }
    let units = (0..<12).map { _ in
      Scaling.Unit(origin: stream.normal(), scale: stream.uniform(in: 0.3...2))
    }
    let targets = Targets(values: [0.3, -1.5, 2, 0], weights: [0.5, 0.25, 1, 2], units: units)
    func density(_ raw: [Double], _ row: Int, _ y: Double) -> Double {
      let norm = log((0..<8).reduce(0) { $0 + exp(raw[$1]) })
      return (0..<8).reduce(0.0) { sum, c in
        let unit = c < 6 ? units[3 * row + c / 2] : Scaling.Unit(origin: 0, scale: 1)
        let deviation = unit.scale * (log(1 + exp(raw[16 + c])) + 0.0625)
        let z = (y - unit.raw(raw[8 + c])) / deviation
        return sum + exp(raw[c] - norm - z * z / 2) / (deviation * (2 * Double.pi).squareRoot())
      }
    }
    LayerCheck(scope).loss(head, targets, raw: raw) { raw, row in
      log(density(raw, row, Double(targets.values[row])))
    }
    for row in 0..<4 {
      let pairs = (0..<3).flatMap { [units[3 * row + $0].origin, units[3 * row + $0].scale] }
      raw.withUnsafeBufferPointer { raw in
        let answer = head.answer(raw.baseAddress! + row * 24, units: pairs)
        let law = answer.law
        let own = (0..<24).map { Double(raw[row * 24 + $0]) }
        for y in [-2, 0.1, 1.7] { #expect(abs(law.logDensity(y) - log(density(own, row, y))) < 1e-6) }
        var (first, second) = (RandomStream(seed: 5), RandomStream(seed: 5))
        let drawn = answer.drawn(from: &first)
        #expect(drawn.value == law.draw(from: &second) && abs(drawn.mean - law.mean) < 1e-9)
      }
    }
  }

  @Test func aDensityFarFromEveryComponentIsStillANumber() {
    var scope = ParameterScope()
    let head = MixtureHead(4, hidden: 6, components: 2, around: 0, floor: 1e-3, &scope)
    let tape = Tape(Weights(ParameterTable()))
    let raw = tape.constant([0, 0, -1, 1, -20, -20, 80, -80, 1e4, -1e4, -80, 40], rows: 2, columns: 6)
    let (loss, logDensities) = head.loss(raw, Targets(values: [1e3, 1e4], weights: [1, 1]), on: tape)
    #expect(logDensities.allSatisfy { $0.isFinite })
    #expect(tape.values(loss)[0].isFinite)
  }

  @Test(arguments: [2, 3, 11]) func categorical(levels: Int) {
    var scope = ParameterScope()
    let head = CategoricalHead(4, hidden: 6, levels: levels, &scope)
    var stream = RandomStream(seed: 8)
    let raw = stream.normals(4 * levels).map { Float(2 * $0) }
    let targets = Targets(
      values: [0, Float(levels - 1), 1, 0], weights: [0.5, 0.25, 0, 1])
    LayerCheck(scope).loss(head, targets, raw: raw) { raw, row in
      raw[Int(targets.values[row])] - log(raw.reduce(0) { $0 + exp($1) })
    }
  }

  @Test(arguments: [1, 2, 7]) func levelsAroundEstimators(levels: Int) {
    var scope = ParameterScope()
    let (around, columns) = (3, 4)
    let head = LevelsHead(4, hidden: 6, around: around, trusted: 1, &scope)
    var stream = RandomStream(seed: 8)
    let raw = stream.normals(4 * levels * columns).map { Float($0) }
    let units = (0..<4 * levels * around).map { _ in
      Scaling.Unit(origin: log(stream.uniform(in: 0.01...0.9)), scale: 1)
    }
    // The last row has none of the levels: nothing is learned of it.
    let targets = Targets(
      values: [0, Float(levels - 1), Float(levels / 2), Float(levels)], weights: [0.5, 0.25, 1, 2],
      units: units)
    func logDensity(_ raw: [Double], _ row: Int, _ level: Int) -> Double {
      let logits = (0..<levels).map { c in
        let logs = (0..<around).map { units[(row * levels + c) * around + $0].origin }
        let weights = (0..<around).map { raw[c * columns + $0] }
        return logs[1] * (1 + weights[1]) + weights[0] * (logs[0] - logs[1])
          + weights[2] * (logs[2] - logs[1]) + raw[c * columns + around]
      }
      return logits[level] - log(logits.reduce(0) { $0 + exp($1) })
    }
    LayerCheck(scope).loss(head, targets, raw: raw) { raw, row in
      Int(targets.values[row]) < levels ? logDensity(raw, row, Int(targets.values[row])) : 0
    }
    // What is asked for has the law that is learned, and a level of which nothing is known the rest.
    let pairs = units.flatMap { [$0.origin, $0.scale] }
    raw.withUnsafeBufferPointer { raw in
      pairs.withUnsafeBufferPointer { pairs in
        for row in 0..<4 {
          let own = (0..<levels * columns).map { Double(raw[row * levels * columns + $0]) }
          let (numbers, around) = (
            raw.baseAddress! + row * levels * columns, pairs.baseAddress! + row * levels * around * 2
          )
          let law = head.law(numbers, around, levels: levels, unseen: 0.125).law
          #expect(abs(law.probabilities[levels] - 0.125) < 1e-12)
          for level in 0..<levels {
            #expect(abs(law.logProbabilities[level] - log(0.875) - logDensity(own, row, level)) < 1e-9)
          }
          #expect(head.law(numbers, around, levels: levels, unseen: 0).law.probabilities.count == levels)
          // Where nothing that was learned is believed, the trusted estimator speaks.
          let trusted = (0..<levels).map { exp(units[(row * levels + $0) * 3 + 1].origin) }
          let plain = head.law(numbers, around, levels: levels, unseen: 0, belief: 0).law.probabilities
          for level in 0..<levels {
            #expect(abs(plain[level] - trusted[level] / trusted.reduce(0, +)) < 1e-12)
          }
        }
      }
    }
  }

  @Test func starts() {
    var scope = ParameterScope()
    _ = Projection("gated", 6, 4, start: .gated(bound: 0.5, rows: 2), bias: .ones, &scope)
    _ = scope.parameter("values", 1, 3, .values([1, 2, 3]))
    let weights = Weights(scope.table)
    weights.values.fill(.nan)
    scope.start(weights, seed: 2)
    let all = scope.table.all.map { p in (0..<p.count).map { weights[p][$0] } }
    #expect(all[0][16...].allSatisfy { $0 == 0 } && all[0][..<16].allSatisfy { $0 != 0 && abs($0) <= 0.5 })
    #expect(all[1] == [1, 1, 1, 1] && all[2] == [1, 2, 3])
    var more = ParameterScope()
    let narrow = more.parameter("narrow", 3, 4, .narrow(bound: 0.5, columns: 2))
    let adding = more.parameter("adding", 2, 2, .adding(bound: 0.1, [1: 5, 9: 1]))
    let own = Weights(more.table)
    more.start(own, seed: 2)
    for row in 0..<3 {
      #expect(own[narrow][row * 4] != 0 && own[narrow][row * 4 + 2] == 0 && own[narrow][row * 4 + 3] == 0)
    }
    #expect(abs(own[adding][1] - 5) <= 0.1 && abs(own[adding][0]) <= 0.1)
  }
}

@Suite struct CategoricalTests {
  let p = Categorical(logits: [0.3, -1, 2, 0.5])
  let q = Categorical(logits: [1.5, 0, 0.2, -0.7])

  @Test func probabilitiesAreASoftmax() {
    #expect(abs(p.probabilities.reduce(0, +) - 1) < 1e-12)
    #expect(abs(p.logProbabilities[2] - p.logProbabilities[1] - 3) < 1e-12)
    #expect(p.logDensity(.level(4)) == -.infinity && p.logDensity(.number(1)) == -.infinity)
    let extreme = Categorical(logits: [1e4, -1e4])
    #expect(extreme.probabilities == [1, 0] && extreme.mean == 0)
  }

  /// Drafts from q, kept or replaced, follow p: the accepted share is Σ min(p, q), and what replaces a refused draft has the
  /// law (p − q)₊.
  @Test func residualsAreExact() {
    let count = 200_000
    var (seen, replaced, accepted) = ([Int](repeating: 0, count: 4), [Int](repeating: 0, count: 4), 0)
    for index in 0..<count {
      var stream = RandomStream(seed: 1, UInt64(index))
      var value = q.draw(from: &stream)
      if log(stream.uniform()) < p.logDensity(value) - q.logDensity(value) {
        accepted += 1
      } else {
        value = p.residual(beyond: q, from: &stream)
        if case .level(let level) = value { replaced[level] += 1 }
      }
      if case .level(let level) = value { seen[level] += 1 }
    }
    let overlap = zip(p.probabilities, q.probabilities).reduce(0) { $0 + min($1.0, $1.1) }
    #expect(abs(Double(accepted) / Double(count) - overlap) < 0.005)
    for level in 0..<4 {
      let share = p.probabilities[level]
      let error = (share * (1 - share) / Double(count)).squareRoot()
      #expect(abs(Double(seen[level]) / Double(count) - share) < 4.5 * error)
      if p.probabilities[level] < q.probabilities[level] { #expect(replaced[level] == 0) }
    }
    var stream = RandomStream(seed: 2)
    #expect(p.logDensity(p.residual(beyond: p, from: &stream)) > -.infinity)
  }
}
