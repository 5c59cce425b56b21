import ChorusTensors

/// The head's raw numbers for inputs that read a context alone: the same for every path that has drawn nothing yet, so they
/// are made once for all of them.
final class ContextAnswers: Sendable {
  /// Raw numbers of a row asked for, and the units that hints have for it, origin and scale of each.
  typealias Raw = (numbers: UnsafePointer<Float>, units: UnsafePointer<Double>?)

  /// The state that is read: contexts that a path has made of its own have others.
  private let state: any AnyObject & Sendable
  private let outputs: Int
  private let units: Int
  private let numbers: FloatBuffer
  /// Room for Doubles.
  private let unitNumbers: FloatBuffer
  /// The inputs that something is known of: that is written before they are in here, and never again.
  private let known = Lock<Set<Int32>>([])

  /// - Parameters:
  ///   - state: of the first layer of the context.
  ///   - outputs: numbers of a row.
  ///   - units: units of a row.
  init(_ state: any AnyObject & Sendable, inputs: Int, outputs: Int, units: Int) {
    (self.state, self.outputs, self.units) = (state, outputs, units)
    numbers = FloatBuffer(uninitialised: inputs * outputs)
    unitNumbers = FloatBuffer(uninitialised: 4 * inputs * units)
  }

  /// Whether all of these rows ask, and read the context of this state alone.
  func serves(_ rows: RowBatch, _ state: any AnyObject) -> Bool {
    rows.commits == 0 && state === self.state && rows.limits.allSatisfy { $0 == 0 }
  }

  /// The numbers of the rows, in their order.
  ///
  /// - Parameter predict: asks the network for the rows of a batch.
  func answer(_ rows: RowBatch, predict: (RowBatch) -> Raw, _ body: (Raw) -> Void) {
    let missing = known.withLock { known in Set(rows.inputs).subtracting(known).sorted() }
    if !missing.isEmpty {
      var batch = RowBatch()
      batch.begin()
      for input in missing { batch.query(input: input, reads: .none) }
      while batch.paths < rows.paths { batch.begin() }
      keep(missing, predict(batch))
    }
    for input in rows.inputs { body(raw(input)) }
  }

  private func keep(_ inputs: [Int32], _ found: Raw) {
    known.withLock { known in
      for (row, input) in inputs.enumerated() where known.insert(input).inserted {
        numbers(input).update(from: found.numbers + row * outputs, count: outputs)
        if let own = found.units { units(input).update(from: own + 2 * row * units, count: 2 * units) }
      }
    }
  }

  private func raw(_ input: Int32) -> Raw {
    (UnsafePointer(numbers(input)), units == 0 ? nil : UnsafePointer(units(input)))
  }

  private func numbers(_ input: Int32) -> UnsafeMutablePointer<Float> {
    numbers.pointer + Int(input) * outputs
  }

  private func units(_ input: Int32) -> UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(unitNumbers.pointer + 4 * Int(input) * units)
      .bindMemory(to: Double.self, capacity: 2 * units)
  }
}
