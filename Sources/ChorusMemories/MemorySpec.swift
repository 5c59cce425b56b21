import ChorusTensors

/// A layer's memory as a regression from keys to values that is solved inside the forward pass, by its choices (Wang,
/// Shi & Fox 2025, "Test-time regression", sec. 1; the axes of loss and optimiser as in Miras, Behrouz et al. 2025).
///
/// A specification is data: Codable, without tensors. `compile` makes a memory of it, or refuses and says why.
///
/// ```swift
/// let softmax = MemorySpec(weights: .similarity, function: .localConstant, readOut: .normalised)
/// let ridge = MemorySpec(features: "elu", function: .linear, readOut: .leverage)  // the read says how uncertain it is
/// ```
public struct MemorySpec: Sendable, Hashable {
  /// γ: how much a stored row counts.
  public enum Weights: String, Sendable, Codable, CaseIterable {
    case uniform
    /// softplus(x·w + b), learned from the row.
    case learned
    /// exp(q·k·scale): a row counts by how alike it is to the query.
    case similarity
    /// A power of a number below 1 that is fixed for each head: a row counts the less the farther behind it is.
    case decay
    /// The product of what every later row keeps of a head's state, a number in (0, 1) that is learned from the row.
    case scalarGate
    /// As the scalar gate, with a step size that tells at once how much a row forgets and how much it counts.
    case stepGate
    /// The product of what every later row keeps of each key column.
    case channelGate
    /// As the channel gate, where a key column takes in what it forgets: the gate is the key.
    case tiedGate
    /// As the scalar gate, where a row counts by an exponential of its own.
    case exponentialGate
    /// As the channel gate, where a row is faded from the second row behind it on, and the newest one counts by a bonus.
    case bonusGate
    /// As similarity, times what every later row keeps by a gate in (0, 1) that is learned from it.
    case fadingSimilarity

    /// Whether a row counts by how alike it is to the query.
    var similar: Bool { self == .similarity || self == .fadingSimilarity }

    /// Whether a row counts the less the more rows come behind it.
    var fade: Bool {
      switch self {
      case .uniform, .learned, .similarity, .fadingSimilarity: false
      case .decay, .scalarGate, .stepGate, .channelGate, .tiedGate, .exponentialGate, .bonusGate: true
      }
    }
  }

  /// What is fitted.
  public enum FunctionClass: String, Sendable, Codable, CaseIterable {
    /// One value around each query.
    case localConstant
    /// An affine function around each query.
    case localLinear
    /// v = φ(k)·W.
    case linear
    /// v = k + LN(k·W + b), the inner model of TTT-Linear (Sun et al. 2024).
    case normalisedLinear
    /// v = k + LN(gelu(k·W₁ + b₁)·W₂ + b₂) with four hidden units a column, the inner model of TTT-MLP, Titans and Miras.
    case perceptron
    /// A function of the reproducing kernel space of a Gaussian kernel.
    case kernel
    /// Σ s v / Σ s over as many slots as a head has columns, each a mean of keys and of values.
    case slots
  }

  /// What is summed over the rows, of the fit's error e at a row.
  public enum Loss: Sendable, Hashable {
    /// −v·f(k).
    case dot
    /// ‖e‖²/2.
    case squared
    /// Σ |e|^p / p, smooth at 0.
    case power(Double)
    /// ‖e‖²/2 as far as a threshold that is learned from the row, from there on as steep as there.
    case huber
  }

  /// How the map W is made of what gradient steps add up, A: what a step keeps of the map before it (Miras, Behrouz et al.
  /// 2025).
  public enum Retention: Sendable, Hashable {
    /// W = A.
    case quadratic
    /// W = sign(A) |A|^(q−1) / ‖A‖^(q−2), the norm that of q, of each matrix: what minimises ⟨A₋, W⟩ with a squared norm of the
    /// dual exponent.
    case norm(Double)
    /// W = A / ‖A‖^(q−2), as it is printed for Moneta.
    case printedNorm(Double)
    /// Column by column, W = c · softmax(A), with c learned.
    case simplex
    /// Column by column, W = c · sinh(A) / Σ cosh(A): the softmax of A and −A, whose difference has both signs.
    case signedSimplex
  }

  /// How the fit is found.
  public enum Optimiser: Sendable, Hashable {
    case exact
    /// Full-batch gradient steps from zero (or from a learned start).
    case gradient(steps: Int)
    case conjugateGradient(steps: Int)
    /// Chebyshev's iteration, with a ridge that goes with the size of what is solved.
    case chebyshev(steps: Int)
    /// One step a row, in the rows' order.
    case online
    /// One implicit step a row: what minimises the distance to the state before plus the row's weighed error.
    case implicit
    /// Several steps a row, each with a key, a value and a rate up to 2 of its own.
    case product(steps: Int)
    /// Two moves a row: what is read at one key is removed, and the value is written at another.
    case replace
    /// As online, with a gate for every key column of what is erased and for every value column of what is written.
    case eraseWrite
    /// As online, corrected by a part of what is known.
    case feedback
    /// As online, with longer steps in key columns where keys have been small.
    case preconditioned
    /// One step a row with momentum and weight decay.
    case momentum
    /// One step a row, all gradients of a chunk of so many rows taken where it begins. Chunks are counted from the sequence's
    /// first row.
    case frozen(chunk: Int)
    /// The same with momentum.
    case frozenMomentum(chunk: Int)
    /// Exactly, with a ridge that fades with the rows: recursive least squares.
    case recursive
  }

  /// What a read returns of the fit.
  public enum ReadOut: String, Sendable, Codable, CaseIterable {
    case raw
    /// Divided by the weight of the rows read.
    case mean
    /// Divided by the sum of similarities: Σ s v / Σ s.
    case normalised
    /// Raw, and beside it how uncertain the fit is at the query: its leverage q'A⁻¹q.
    case leverage
  }

  public var weights: Weights
  /// The feature map φ of keys and queries, by its name in `FeatureMaps`.
  public var features: String
  public var function: FunctionClass
  public var loss: Loss
  public var optimiser: Optimiser
  public var retention: Retention
  public var readOut: ReadOut

  public init(
    weights: Weights = .uniform, features: String = "identity", function: FunctionClass,
    loss: Loss = .squared,
    optimiser: Optimiser = .exact, retention: Retention = .quadratic, readOut: ReadOut = .raw
  ) {
    self.weights = weights
    self.features = features
    self.function = function
    self.loss = loss
    self.optimiser = optimiser
    self.retention = retention
    self.readOut = readOut
  }

  public static let softmax = MemorySpec(
    weights: .similarity, function: .localConstant, readOut: .normalised)
}

/// Fields that are absent take the defaults of `init`; unknown ones are refused by name.
extension MemorySpec: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case weights, features, function, loss, optimiser, retention, readOut
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.knownFields(CodingKeys.self)
    self.init(function: try fields.decode(FunctionClass.self, forKey: .function))
    func read<T: Decodable>(_ key: CodingKeys, _ path: WritableKeyPath<MemorySpec, T>) throws {
      if let value = try fields.decodeIfPresent(T.self, forKey: key) { self[keyPath: path] = value }
    }
    try read(.weights, \.weights)
    try read(.features, \.features)
    try read(.loss, \.loss)
    try read(.optimiser, \.optimiser)
    try read(.retention, \.retention)
    try read(.readOut, \.readOut)
  }
}

/// The two memories of a layer: what holds the context and what holds a path's own rows.
public struct LayerMemory: Sendable, Hashable {
  public var context: MemorySpec
  /// Nil: the context's memory, which takes a path's rows into the same fit.
  public var buffer: MemorySpec?

  /// One memory for both, joined inside its fit.
  public init(_ spec: MemorySpec) { context = spec }

  /// Two memories whose reads stand side by side. The rows of the layer's output map that take the buffer's read begin at
  /// zero, so that a context model's answers stay what they were until training opens this gate.
  public init(context: MemorySpec, buffer: MemorySpec) {
    self.context = context
    self.buffer = buffer
  }

  public static let softmax = LayerMemory(.softmax)
}

/// Written as the registry's name where there is one, otherwise as its specifications.
extension LayerMemory: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable { case context, buffer }

  public init(from decoder: any Decoder) throws {
    if let name = try? decoder.singleValueContainer().decode(String.self) {
      self = try MemoryRegistry.named(name)
      return
    }
    let fields = try decoder.knownFields(CodingKeys.self)
    context = try fields.decode(MemorySpec.self, forKey: .context)
    buffer = try fields.decodeIfPresent(MemorySpec.self, forKey: .buffer)
  }

  public func encode(to encoder: any Encoder) throws {
    if let name = MemoryRegistry.name(of: self) {
      var value = encoder.singleValueContainer()
      try value.encode(name)
      return
    }
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(context, forKey: .context)
    try fields.encodeIfPresent(buffer, forKey: .buffer)
  }
}

/// Why a specification has no memory.
public enum MemoryError: Error, Sendable, Equatable, CustomStringConvertible {
  /// No closed or parallel form is known here for this choice.
  case refused(String)
  /// No memory, or no feature map, has that name.
  case unknown(String, known: [String])
  /// An order-dependent memory cannot hold a set.
  case notASet(String, instead: [String])
  /// A memory that keeps the newest state of a path's rows cannot serve plans that read any prefix of them.
  case newestOnly(String, instead: [String])

  public var description: String {
    switch self {
    case .refused(let why): "this memory is not available: \(why)"
    case .unknown(let name, let known):
      "no '\(name)'"
        + (Suggestion.nearest(to: name, among: known).map { "; '\($0)' is near" } ?? "")
        + "; there are \(known.joined(separator: ", "))"
    case .notASet(let name, let instead):
      "\(name) depends on the order of its rows and cannot hold a set context; these can: "
        + instead.joined(separator: ", ")
    case .newestOnly(let name, let instead):
      "\(name) reads only the newest of a path's rows, and plans over a set read any of them; these can: "
        + instead.joined(separator: ", ")
    }
  }
}
