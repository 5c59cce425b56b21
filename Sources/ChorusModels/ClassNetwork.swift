import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors
import Foundation

/// A network that reads the rows of a table whose value is a level of a category, and answers targets beside a causal buffer: one
/// `TableNetwork` for all levels, asked once for each, in which a row's value is whether it has the level (`ToldClasses`). A softmax over
/// the passes makes one law of what they say (`LevelsHead`).
///
/// How much is believed of what was learned, beyond what the pool of estimators says, a context tells by its own rows (`belief`).
///
/// It takes any number of levels; renumbering them renumbers the law. A level that is drawn on a path joins the buffer of every pass.
/// Values are numbers of passes; the number behind the last is a level that the context does not have.
public final class ClassNetwork: Architecture {
  private let one: TableNetwork<LevelsHead>
  public var blueprint: Blueprint { one.blueprint }
  public var weights: Weights { one.weights }

  init(_ layers: TableLayers<LevelsHead>, _ weights: Weights) { one = TableNetwork(layers, weights) }

  public var memoryCapability: Capability { one.memoryCapability }
  /// Of one pass.
  public var rates: WorkRates { one.rates }

  public struct Context: Sendable {
    let passes: [TableNetwork<LevelsHead>.Context]
    /// λ of `LevelsHead`.
    var belief: Double
    public var rows: Int { passes.first?.rows ?? 0 }
  }

  public struct Questions: Sendable {
    let passes: [TableNetwork<LevelsHead>.Questions]
    /// Of each row the probability of a level that the context does not have.
    let unseen: [Double]
    /// As told, pass by pass.
    let told: [[Float]]
  }

  public func fits(of context: Context) -> HintFits { HintFits() }
  public func raised(_ context: Context) -> Double { context.passes.map(one.raised).max() ?? 0 }

  /// What is told of rows in one pass, `[rows, width of a told row]`.
  private static func pass(_ pass: Int, of x: [Float], dimensions: Int) -> [Float] {
    let width = ToldRow.level.width
    guard dimensions > 0 else { return [] }
    return stride(from: pass * width, to: x.count, by: dimensions).flatMap { x[$0..<$0 + width] }
  }

  /// Rows as a pass knows them: whether each has the level.
  private static func rows(_ rows: NetworkRows, pass number: Int) -> NetworkRows {
    let x = pass(number, of: rows.x, dimensions: rows.dimensions)
    return NetworkRows(x: x, y: values(rows.y, pass: number, x), dimensions: ToldRow.level.width)
  }

  private static func values(_ y: [Float], pass: Int, _ told: [Float]) -> [Float] {
    told.withUnsafeBufferPointer { told in
      guard let told = told.baseAddress else { return [] }
      return y.indices.map { ToldClasses.value(y[$0] == Float(pass), told + $0 * ToldRow.level.width) }
    }
  }

  public func encode(_ rows: NetworkRows, _ fits: HintFits, on pool: ThreadPool?) -> Context {
    Context(passes: read(rows, on: pool), belief: belief(rows, on: pool))
  }

  private func read(_ rows: NetworkRows, on pool: ThreadPool?) -> [TableNetwork<LevelsHead>.Context] {
    (0..<ToldClasses.passes(width: rows.dimensions)).map {
      one.encode(Self.rows(rows, pass: $0), HintFits(), on: pool)
    }
  }

  public func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context? {
    var passes: [TableNetwork<LevelsHead>.Context] = []
    for (number, pass) in context.passes.enumerated() {
      guard let more = one.observing(pass, Self.rows(rows, pass: number), removing: removing) else {
        return nil
      }
      passes.append(more)
    }
    return Context(passes: passes, belief: context.belief)
  }

  public func embed(_ x: [Float], dimensions: Int, for context: Context) -> Questions {
    let told = context.passes.indices.map { Self.pass($0, of: x, dimensions: dimensions) }
    return Questions(
      passes: zip(context.passes, told).map {
        one.embed($1, dimensions: ToldRow.level.width, for: $0)
      },
      unseen: stride(from: dimensions - 1, to: x.count, by: max(dimensions, 1)).map { Double(x[$0]) },
      told: told)
  }

  /// The buffers of some paths, pass by pass.
  public final class Paths {
    let count: Int
    let capacity: Int
    fileprivate var passes: [SetPaths] = []

    init(count: Int, capacity: Int) { (self.count, self.capacity) = (count, capacity) }
  }

  public func branch(paths count: Int, capacity: Int) -> Paths { Paths(count: count, capacity: capacity) }

  public func rewind(_ paths: Paths, path: Int, to count: Int) {
    for pass in paths.passes { one.rewind(pass, path: path, to: count) }
  }

  public func advance(
    _ paths: Paths, _ context: Context, _ questions: Questions, _ rows: RowBatch,
    _ body: (LevelsHead.Answer) -> Void
  ) {
    let (head, count) = (one.layers.head, context.passes.count)
    let (columns, units) = (head.map.outputs, 2 * ToldRow.level.units)
    let said = ask(paths, context.passes, questions, rows)
    let asked = rows.slots.indices.filter { rows.slots[$0] < 0 }
    said.raw.withUnsafeBufferPointer { raw in
      said.around.withUnsafeBufferPointer { around in
        guard let raw = raw.baseAddress, let around = around.baseAddress else { return }
        for (query, row) in asked.enumerated() {
          body(
            head.law(
              raw + query * count * columns, around + query * count * units, levels: count,
              unseen: questions.unseen[Int(rows.inputs[row])], belief: context.belief))
        }
      }
    }
  }

  /// Of each query and pass the head's raw numbers and the units of the estimators.
  private func ask(
    _ paths: Paths, _ passes: [TableNetwork<LevelsHead>.Context], _ questions: Questions, _ rows: RowBatch
  ) -> (raw: [Float], around: [Double]) {
    let count = passes.count
    // How many passes there are a context tells.
    while paths.passes.count < count {
      paths.passes.append(one.branch(paths: paths.count, capacity: paths.capacity))
    }
    let (columns, units) = (one.layers.head.map.outputs, 2 * ToldRow.level.units)
    var raw = [Float](repeating: 0, count: rows.queries * count * columns)
    var around = [Double](repeating: 0, count: rows.queries * count * units)
    let committed = rows.slots.indices.filter { rows.slots[$0] >= 0 }.map { Int(rows.inputs[$0]) }
    for pass in 0..<count {
      let told = committed.flatMap {
        questions.told[pass][$0 * ToldRow.level.width..<($0 + 1) * ToldRow.level.width]
      }
      let own = rows.replacing(values: Self.values(rows.values, pass: pass, told))
      var query = 0
      one.ask(paths.passes[pass], passes[pass], questions.passes[pass], own) { said in
        let place = query * count + pass
        for i in 0..<columns { raw[place * columns + i] = said.numbers[i] }
        if let own = said.units { for i in 0..<units { around[place * units + i] = own[i] } }
        query += 1
      }
    }
    return (raw, around)
  }

  // MARK: How much is believed

  /// Parts of a context that are left out in turn.
  static let folds = 4
  /// How many times a context is read in all, and asked.
  package static let readings = Double(folds + 1)

  /// How much a context believes of what was learned: the mean of λ, of which nothing is known before, by the probability that the
  /// levels of its rows have under it,
  ///
  ///     λ̄ = ∫ λ Π_i p_λ(y_i | rows of other folds) dλ / ∫ Π_i p_λ(y_i | rows of other folds) dλ,   0 ≤ λ ≤ 1.
  ///
  /// Every fourth row is left out together; what estimators tell of a row they tell without it. Where few rows tell little it is about a
  /// half, which keeps most of a gain (log p is concave in λ) and halves a loss. It depends on the context alone.
  private func belief(_ rows: NetworkRows, on pool: ThreadPool?) -> Double {
    let (head, count) = (one.layers.head, ToldClasses.passes(width: rows.dimensions))
    let (columns, units) = (head.map.outputs, 2 * ToldRow.level.units)
    guard rows.count >= 2 * Self.folds, count > 1 else { return 0.5 }
    /// Of each row, what each level's logit is without what was learned, and with it; and its level.
    var seen: [(logits: [(base: Double, learned: Double)], level: Int)] = []
    for fold in 0..<Self.folds {
      let held = rows.rows((0..<rows.count).filter { $0 % Self.folds == fold })
      let context = Context(
        passes: read(rows.rows((0..<rows.count).filter { $0 % Self.folds != fold }), on: pool), belief: 1)
      let questions = embed(held.x, dimensions: held.dimensions, for: context)
      var batch = RowBatch()
      batch.begin()
      for row in 0..<held.count { batch.query(input: Int32(row), reads: .none) }
      let said = ask(branch(paths: 1, capacity: 0), context.passes, questions, batch)
      said.raw.withUnsafeBufferPointer { raw in
        guard let raw = raw.baseAddress else { return }
        for (row, y) in held.y.enumerated() where Int(y) < count {
          let logits = (0..<count).map { pass in
            let place = row * count + pass
            return head.logit(raw + place * columns) { said.around[place * units + 2 * $0] }
          }
          seen.append((logits, Int(y)))
        }
      }
    }
    return Self.belief(seen)
  }

  /// The mean of λ by the levels of some rows, at the midpoints of 32 parts of [0, 1].
  static func belief(_ rows: [(logits: [(base: Double, learned: Double)], level: Int)]) -> Double {
    let parts = 32
    let places = (0..<parts).map { (Double($0) + 0.5) / Double(parts) }
    let evidence = places.map { belief in
      rows.reduce(0.0) { sum, row in
        let law = Categorical(logits: row.logits.map { $0.base + belief * $0.learned })
        return sum + law.logProbabilities[row.level]
      }
    }
    let top = evidence.max() ?? 0
    let weights = evidence.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    return places.indices.reduce(0.0) { $0 + places[$1] * weights[$1] } / total
  }

  // MARK: States outside the program

  /// A state is made anew of the rows that are kept with it.
  public func stateArrays(rows: Int) -> [StateArray] { [] }
  public func values(of context: Context) -> [[Float]] { [] }
  public func context(_ rows: NetworkRows, _ fits: HintFits, values: [[Float]]) -> Context? {
    let width = ToldClasses.passes(width: rows.dimensions) * ToldRow.level.width + 1
    guard values.isEmpty, rows.dimensions == width, rows.x.count == rows.count * width else { return nil }
    return encode(rows, fits, on: nil)
  }
  public func contextBytes(rows: Int) -> Int { ToldClasses.mostPasses * one.contextBytes(rows: rows) }
  public func bufferBytes(capacity: Int) -> Int {
    ToldClasses.mostPasses * one.bufferBytes(capacity: capacity)
  }

  // MARK: Training

  public func loss(
    _ batch: TaskBatch, task: Int, prefixes: [Int32], weight: Float, on tape: Tape
  ) -> (loss: Node, logDensities: [Float]) {
    let rows = task * batch.rows..<(task + 1) * batch.rows
    let all = NetworkRows(
      x: Array(batch.x[rows.lowerBound * batch.dimensions..<rows.upperBound * batch.dimensions]),
      y: Array(batch.y[rows]), dimensions: batch.dimensions)
    let count = ToldClasses.passes(width: batch.dimensions)
    let said = (0..<count).map { pass in
      let own = Self.rows(all, pass: pass)
      return one.layers.record(
        batch.replacing(x: own.x, y: own.y, dimensions: own.dimensions), task: 0, prefixes: prefixes, on: tape
      )
    }
    let around = ToldRow.level.units
    let units = (0..<batch.targets).flatMap { target in
      said.flatMap { $0.units[target * around..<(target + 1) * around] }
    }
    let targets = Targets(
      values: Array(all.y[batch.targetRows]), weights: [Float](repeating: weight, count: batch.targets),
      units: units)
    return one.layers.head.loss(tape.beside(said.map(\.raw)), targets, on: tape)
  }
}
