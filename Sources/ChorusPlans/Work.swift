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
    /// What its memory takes.
    public var memory: Memory

    public init(stored: Double, asked: Double, memory: Memory) {
      (self.stored, self.asked, self.memory) = (stored, asked, memory)
    }

    /// A layer that keeps every row, and reads them all alike.
    public init(stored: Double, asked: Double, read: Double, exponentials: Double = 0) {
      self.init(
        stored: stored, asked: asked,
        memory: Memory(contextRow: read, ownRow: read, exponentials: exponentials))
    }
  }

  /// What reading and writing takes beside the maps of rows. A memory that keeps rows takes it for each row that it reads; one with a
  /// fixed state takes the same whatever it has read.
  public struct Memory: Sendable, Hashable {
    /// Writing a row of a context, and making the state of the rows that are written.
    public var write: Double
    public var finish: Double
    /// A row's read, and for each row of the context and of its own path that it sees.
    public var read: Double
    public var contextRow: Double
    public var ownRow: Double
    /// Committing a row to a path, and for each row that is there before it.
    public var append: Double
    public var appendRow: Double
    /// Exponentials of a read of one other row, which are not in the operations.
    public var exponentials: Double

    public init(
      write: Double = 0, finish: Double = 0, read: Double = 0, contextRow: Double = 0, ownRow: Double = 0,
      append: Double = 0, appendRow: Double = 0, exponentials: Double = 0
    ) {
      (self.write, self.finish, self.read, self.append) = (write, finish, read, append)
      (self.contextRow, self.ownRow, self.appendRow) = (contextRow, ownRow, appendRow)
      self.exponentials = exponentials
    }

    /// Two layers' together.
    public static func + (a: Memory, b: Memory) -> Memory {
      Memory(
        write: a.write + b.write, finish: a.finish + b.finish, read: a.read + b.read,
        contextRow: a.contextRow + b.contextRow, ownRow: a.ownRow + b.ownRow, append: a.append + b.append,
        appendRow: a.appendRow + b.appendRow, exponentials: a.exponentials + b.exponentials)
    }

    /// Making a context's state of `rows` rows.
    public func states(_ count: Double, rows: Double) -> Double { count * finish + rows * write }
    /// The reads of some rows, which see so many rows of contexts and of their own paths together.
    public func reads(_ rows: Double, context: Double, own: Double) -> Double {
      rows * read + context * contextRow + own * ownRow
    }
    /// Committing some rows, which together have so many of their paths before them, themselves included.
    public func commits(_ rows: Double, own: Double) -> Double {
      rows * append + max(own - rows, 0) * appendRow
    }
  }

  /// Numbers that states hold.
  public struct Held: Sendable, Hashable {
    /// Of a context whatever its rows are, and of each of its rows.
    public var context: Int
    public var contextRow: Int
    /// The same of a path.
    public var path: Int
    public var ownRow: Int

    public init(context: Int = 0, contextRow: Int, path: Int = 0, ownRow: Int) {
      (self.context, self.contextRow, self.path, self.ownRow) = (context, contextRow, path, ownRow)
    }

    /// Every row is kept, of contexts and of paths alike.
    public init(row: Int) { self.init(contextRow: row, ownRow: row) }

    public static func + (a: Held, b: Held) -> Held {
      Held(
        context: a.context + b.context, contextRow: a.contextRow + b.contextRow, path: a.path + b.path,
        ownRow: a.ownRow + b.ownRow)
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
  /// What the states of all layers hold.
  public var held: Held

  public init(layers: [Layer], input: Embedding, value: Embedding, head: Double, held: Held) {
    self.layers = layers
    self.input = input
    self.value = value
    self.head = head
    self.held = held
  }

  /// A row through the maps of all layers.
  public var row: Double { layers.reduce(0) { $0 + $1.stored + $1.asked } }
  /// The memories of all layers.
  public var memory: Memory { layers.reduce(Memory()) { $0 + $1.memory } }

  /// Rows through the embedders and all layers, where they are read as one context.
  public func encoding(_ rows: Double) -> Double {
    let memory = memory
    return rows * (input.total + value.total + row) + memory.states(1, rows: rows)
      + memory.reads(rows, context: rows * rows, own: 0)
  }

  /// Rows through all layers that are committed to paths without a context, and have so many of their paths before them together,
  /// themselves included.
  public func committing(_ rows: Double, own: Double) -> Double {
    let memory = memory
    return rows * row + memory.commits(rows, own: own) + memory.reads(rows, context: 0, own: own)
  }
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
    let memory = rates.memory
    let layers =
      Double(encodes) * rates.row + memory.states(Double(contexts), rows: Double(contextRows))
      + memory.reads(Double(encodes), context: Double(contextReads), own: Double(reads - contextReads))
      + memory.commits(Double(encodes - queries - contextRows), own: Double(commitReads))
    return NominalWork(
      layers: layers,
      embedders: Double(encodes) * rates.input.total + Double(encodes - queries) * rates.value.total,
      heads: Double(queries) * rates.head, exponentials: Double(reads) * memory.exponentials)
  }

  /// The bytes of context states and buffers where the most rows are held.
  public func bytes(_ rates: WorkRates, bytesPerNumber: Int = 4) throws(PlanError) -> Int {
    let (held, bytes) = (rates.held, Count("the number of bytes"))
    var numbers = Count("the number of bytes")
    try numbers.add(bytes.product(peakContexts, held.context))
    try numbers.add(bytes.product(peakContextRows, held.contextRow))
    try numbers.add(bytes.product(paths, held.path))
    try numbers.add(bytes.product(peakRows - peakContextRows, held.ownRow))
    return try bytes.product(numbers.value, bytesPerNumber)
  }
}
