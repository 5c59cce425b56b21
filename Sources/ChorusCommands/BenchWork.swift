import ChorusModels
import ChorusPlans

/// Floating-point operations that the code multiplies out, a multiplication and an addition counted as two.
///
/// Counted are the matrix products as they are called (2·m·k·n, without those that the last layer leaves out), and what memories
/// take: of softmax 4·d for every query-key pair that is visible; padding and masked pairs are not. Norms, activations, exponentials,
/// packing, draws and the optimiser are not counted either, so a share of the peak can never be flattered by them.
struct ExecutedWork {
  let rates: WorkRates
  /// Sums over all layers, and over all but the last, which leaves out what nobody reads.
  private let all: WorkRates.Layer
  private let inner: WorkRates.Layer
  private let last: WorkRates.Layer

  init(_ rates: WorkRates) {
    func sum(_ layers: some Collection<WorkRates.Layer>) -> WorkRates.Layer {
      layers.reduce(WorkRates.Layer(stored: 0, asked: 0, read: 0)) {
        WorkRates.Layer(
          stored: $0.stored + $1.stored, asked: $0.asked + $1.asked, memory: $0.memory + $1.memory)
      }
    }
    self.rates = rates
    (all, inner) = (sum(rates.layers), sum(rates.layers.dropLast()))
    last = sum(rates.layers.suffix(1))
  }

  /// Encoding a context: the last layer needs keys and values alone.
  func encode(_ rows: Int) -> Double {
    let n = Double(max(rows, 1))
    let embedding = rows == 0 ? 0 : n * (rates.input.total + rates.value.total)
    return embedding + n * all.stored + n * inner.asked + all.memory.states(1, rows: n)
      + inner.memory.reads(n, context: n * n, own: 0)
  }

  /// Drawing paths under a plan from an encoded context; of a plan that verifies drafts, the most it can take.
  func sample(_ plan: Plan, paths: Int) -> Double {
    var each = 0.0
    for instruction in plan.instructions {
      let known = plan.contextRows + instruction.context.size
      if instruction.encodes, !instruction.context.isEmpty { each += encode(known) }
      each += commit(instruction.commit, known: known)
      switch instruction {
      case .call(let call): each += query(call.predict, known: known)
      case .verify(let range): each += verify(range, known: known)
      case .trust(let trust): each += draw(trust, known: known)
      }
    }
    return Double(plan.targets) * rates.input.total + Double(paths) * each
  }

  /// A context for every value, and the buffer asked before each.
  private func draw(_ trust: Plan.Trust, known: Int) -> Double {
    trust.positions.indices.reduce(0) { sum, place in
      let seen = Double(known + place)
      guard place > 0 else { return query(1, context: seen, own: 0) }
      return sum + commit(1, context: seen, own: 0) + query(1, context: seen, own: 0)
        + encode(known + place) + query(1, context: seen, own: 0)
    }
  }

  /// Rounds in which every second draft is refused; the first round's pending rows are counted apart.
  private func verify(_ range: Plan.Verification, known: Int) -> Double {
    var sum = 0.0
    var drawn = 0
    while drawn < range.positions.count {
      let (seen, own) = (Double(known), Double(range.buffered + drawn))
      let count = min(range.draft, range.positions.count - drawn)
      let rest = Double(count - 1)
      if drawn > 0 { sum += commit(1, context: seen, own: own) }
      sum += query(count, context: Double(count) * seen, own: Double(count) * own)
      let between = rest * own + Double((count - 1) * count / 2)
      sum += commit(count - 1, context: rest * seen, own: between)
      sum += query(count - 1, context: rest * seen, own: between)
      drawn += min(2, count)
    }
    return sum
  }

  /// Scoring given values under a plan from an encoded context.
  func density(_ plan: Plan, orders: Int) -> Double {
    var each = 0.0
    for pass in plan.densityPasses {
      let known = plan.contextRows + pass.context.size
      if !pass.context.isEmpty { each += encode(known) }
      each += commit(pass.buffered, known: known) + query(pass.queries, known: known)
    }
    return Double(plan.targets) * rates.input.total + Double(orders) * each
  }

  private func commit(_ rows: [Plan.Row], known: Int) -> Double {
    commit(rows.count, context: Double(rows.count) * Double(known), own: own(rows))
  }

  /// A sum of `Double`s: integers would overflow for contexts that nobody has, and costs are asked for before
  /// anything is there.
  private func own(_ rows: [Plan.Row]) -> Double { rows.reduce(0) { $0 + Double($1.readCount) } }

  private func commit(_ rows: Int, context: Double, own: Double) -> Double {
    let n = Double(rows)
    return n * (rates.value.total + all.stored + inner.asked) + all.memory.commits(n, own: own)
      + inner.memory.reads(n, context: context, own: own)
  }

  private func query(_ rows: [Plan.Row], known: Int) -> Double {
    query(rows.count, context: Double(rows.count) * Double(known), own: own(rows))
  }

  private func query(_ rows: Int, context: Double, own: Double) -> Double {
    let n = Double(rows)
    return n * (all.asked + rates.head) + all.memory.reads(n, context: context, own: own)
  }

  /// Forward and backward pass of one task. A linear map costs three products, two where its input is data; a
  /// read costs 3.5 times the forward one, since the scores are computed anew, and so do other memories as they are read.
  func train(context: Int, buffer: Int, targets: Int) -> Double {
    let memory = memories(context: context, buffer: buffer, targets: targets)
    let m = Double(targets)
    let stored = Double(max(context, 1) + buffer)
    let observed = Double(context + buffer)
    let rows = stored + m
    let embedders =
      2 * ((observed + m) * rates.input.first + observed * rates.value.first)
      + 3 * ((observed + m) * rates.input.rest + observed * rates.value.rest)
    let maps = stored * all.stored + rows * inner.asked + m * last.asked + m * rates.head
    return embedders + 3 * maps + 3.5 * (memory.inner + memory.last)
  }

  /// Three times the nominal forward pass of all rows through all layers.
  func nominalTrain(context: Int, buffer: Int, targets: Int) -> Double {
    let rows = Double(max(context, 1) + buffer + targets)
    let observed = Double(context + buffer)
    let memory = memories(context: context, buffer: buffer, targets: targets)
    let embedders =
      (observed + Double(targets)) * rates.input.total + observed * rates.value.total
    return 3 * (rows * rates.row + memory.whole + embedders + Double(targets) * rates.head)
  }

  /// What memories take in a training task: all but the last layer, the last one's for its targets alone, and all layers for all rows.
  /// Half of the targets see no buffer, the others (C+1)/2 rows of it in the mean.
  private func memories(
    context: Int, buffer: Int, targets: Int
  ) -> (inner: Double, last: Double, whole: Double) {
    let (n, c, m) = (Double(max(context, 1)), Double(buffer), Double(targets))
    let seen = Double(targets / 2) * (c + 1) / 2
    func written(_ memory: WorkRates.Memory) -> Double {
      memory.states(1, rows: n) + memory.commits(c, own: c * (c + 1) / 2)
    }
    func all(_ memory: WorkRates.Memory) -> Double {
      written(memory)
        + memory.reads(n + c + m, context: n * n + c * n + m * n, own: c * (c + 1) / 2 + seen)
    }
    let asked = written(last.memory) + last.memory.reads(m, context: m * n, own: seen)
    return (all(inner.memory), asked, all(rates.memory))
  }

  /// Bytes of one context state and of all paths' buffers, as a plan reserves them.
  func stateBytes(_ network: any Architecture, _ plan: Plan, paths: Int) -> Int {
    // A plan that merges gives each path a context of its own.
    let merged = plan.instructions.reduce(0) { max($0, $1.context.size) }
    return network.contextBytes(rows: plan.contextRows)
      + paths * network.bufferBytes(capacity: plan.peakBufferRows)
      + (merged > 0 ? paths * network.contextBytes(rows: plan.contextRows + merged) : 0)
  }

  /// What the plan's cost says of the same request, all layers of all rows; without the first encoding.
  func nominal(_ plan: Plan, paths: Int) throws -> Double {
    try plan.cost(paths: paths).work(rates).total - nominalEncode(plan.contextRows)
  }

  func nominalEncode(_ rows: Int) -> Double {
    let n = Double(max(rows, 1))
    return rates.encoding(n)
  }
}

extension RangeSet<Int> {
  /// How many integers are in the set.
  fileprivate var size: Int { ranges.reduce(0) { $0 + $1.count } }
}
