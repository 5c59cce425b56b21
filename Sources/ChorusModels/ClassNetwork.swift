import ChorusData
import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusPlans
import ChorusTensors

/// A network that reads the rows of a table whose value is a level of a category, and answers targets beside a causal buffer: one
/// `TableNetwork` for all levels, asked once for each, in which a row's value is whether it has the level (`ToldClasses`). A softmax over
/// the passes makes one law of what they say (`LevelsHead`).
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
    Context(
      passes: (0..<ToldClasses.passes(width: rows.dimensions)).map {
        one.encode(Self.rows(rows, pass: $0), fits, on: pool)
      })
  }

  public func observing(_ context: Context, _ rows: NetworkRows, removing: Bool) -> Context? {
    var passes: [TableNetwork<LevelsHead>.Context] = []
    for (number, pass) in context.passes.enumerated() {
      guard let more = one.observing(pass, Self.rows(rows, pass: number), removing: removing) else {
        return nil
      }
      passes.append(more)
    }
    return Context(passes: passes)
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
    // How many passes there are a context tells.
    while paths.passes.count < count {
      paths.passes.append(one.branch(paths: paths.count, capacity: paths.capacity))
    }
    let (columns, units) = (head.map.outputs, 2 * ToldRow.level.units)
    var raw = [Float](repeating: 0, count: rows.queries * count * columns)
    var around = [Double](repeating: 0, count: rows.queries * count * units)
    let committed = rows.slots.indices.filter { rows.slots[$0] >= 0 }.map { Int(rows.inputs[$0]) }
    for pass in 0..<count {
      let told = committed.flatMap {
        questions.told[pass][$0 * ToldRow.level.width..<($0 + 1) * ToldRow.level.width]
      }
      let own = rows.replacing(values: Self.values(rows.values, pass: pass, told))
      var query = 0
      one.ask(paths.passes[pass], context.passes[pass], questions.passes[pass], own) { said in
        let place = query * count + pass
        for i in 0..<columns { raw[place * columns + i] = said.numbers[i] }
        if let own = said.units { for i in 0..<units { around[place * units + i] = own[i] } }
        query += 1
      }
    }
    let asked = rows.slots.indices.filter { rows.slots[$0] < 0 }
    raw.withUnsafeBufferPointer { raw in
      around.withUnsafeBufferPointer { around in
        guard let raw = raw.baseAddress, let around = around.baseAddress else { return }
        for (query, row) in asked.enumerated() {
          body(
            head.law(
              raw + query * count * columns, around + query * count * units, levels: count,
              unseen: questions.unseen[Int(rows.inputs[row])]))
        }
      }
    }
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
