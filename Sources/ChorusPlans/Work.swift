/// What rows, reads and states of a network cost, in floating-point operations and bytes: all that a plan knows of it.
///
/// A multiplication and an addition count as two. Norms, activations and softmax are not counted; neither are padding and
/// masked work, which only a measurement of the executed operations can show.
public struct WorkRates: Sendable, Hashable {
  /// One layer of blocks.
  public struct Layer: Sendable, Hashable {
    /// The map of a row to what is stored of it.
    public var stored: Double
    /// The other maps of a row.
    public var asked: Double
    /// A row's read of one other row.
    public var read: Double
    /// Exponentials of such a read, which are not in the operations.
    public var exponentials: Double

    public init(stored: Double, asked: Double, read: Double, exponentials: Double = 0) {
      self.stored = stored
      self.asked = asked
      self.read = read
      self.exponentials = exponentials
    }
  }

  /// Making a row's representation of what is given: the first map, whose input needs no gradient, and the rest.
  public struct Embedding: Sendable, Hashable {
    public var first: Double
    public var rest: Double
    public var total: Double { first + rest }

    public init(first: Double, rest: Double) {
      self.first = first
      self.rest = rest
    }
  }

  public var layers: [Layer]
  /// Of an input, and of an observed value.
  public var input: Embedding
  public var value: Embedding
  /// Predicting from a row.
  public var head: Double
  /// Numbers that a row leaves in the states of all layers.
  public var stateNumbers: Int

  public init(layers: [Layer], input: Embedding, value: Embedding, head: Double, stateNumbers: Int) {
    self.layers = layers
    self.input = input
    self.value = value
    self.head = head
    self.stateNumbers = stateNumbers
  }

  /// A row through the maps of all layers.
  public var row: Double { layers.reduce(0) { $0 + $1.stored + $1.asked } }
  /// A row's read of one other row, in all layers.
  public var read: Double { layers.reduce(0) { $0 + $1.read } }
  public var exponentials: Double { layers.reduce(0) { $0 + $1.exponentials } }
}

/// Nominal floating-point operations. Exact up to 2^53.
public struct NominalWork: Sendable, Hashable {
  /// The layers.
  public let layers: Double
  /// The embedder of each row's inputs, and that of the value of each row that brings one.
  public let embedders: Double
  /// The head, for each row that asks.
  public let heads: Double
  /// Exponentials of the softmax. Not in the total.
  public let exponentials: Double

  public var total: Double { layers + embedders + heads }
}

extension Plan.Cost {
  /// The nominal floating-point operations at these rates.
  public func work(_ rates: WorkRates) -> NominalWork {
    NominalWork(
      layers: Double(encodes) * rates.row + Double(reads) * rates.read,
      embedders: Double(encodes) * rates.input.total + Double(encodes - queries) * rates.value.total,
      heads: Double(queries) * rates.head, exponentials: Double(reads) * rates.exponentials)
  }

  /// The bytes of the context state and the buffers at their peak.
  ///
  /// For memories that keep every row; one of fixed size holds less.
  public func bytes(_ rates: WorkRates, bytesPerNumber: Int = 4) throws(PlanError) -> Int {
    let count = Count("the number of bytes")
    return try count.product(count.product(peakRows, rates.stateNumbers), bytesPerNumber)
  }
}
