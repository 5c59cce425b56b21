/// The block function Philox4x32-10: ten rounds of multiply and xor that map a 128-bit counter to 128
/// random bits under a 64-bit key; for one key it is a bijection of counters.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
/// sections 3.3 and 4.2; constants and known answers from the Random123 distribution.
public enum Philox {
  /// The random block of `counter` under `key`, words in the order of the paper (least significant first).
  @inlinable
  public static func block(_ counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var (c0, c1, c2, c3) = (counter[0], counter[1], counter[2], counter[3])
    var (k0, k1) = (key[0], key[1])
    for _ in 0..<10 {
      let p0 = UInt64(0xD251_1F53) &* UInt64(c0)
      let p1 = UInt64(0xCD9E_8D57) &* UInt64(c2)
      (c0, c2) = (
        UInt32(truncatingIfNeeded: p1 >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: p0 >> 32) ^ c3 ^ k1
      )
      (c1, c3) = (UInt32(truncatingIfNeeded: p1), UInt32(truncatingIfNeeded: p0))
      k0 = k0 &+ 0x9E37_79B9
      k1 = k1 &+ 0xBB67_AE85
    }
    return SIMD4(c0, c1, c2, c3)
  }

  /// The same function on 64-bit halves: `low` and `high` are the counter's, the result is (low, high).
  @inlinable
  static func halves(_ low: UInt64, _ high: UInt64, key: UInt64) -> (UInt64, UInt64) {
    let word = block(
      SIMD4(
        UInt32(truncatingIfNeeded: low), UInt32(truncatingIfNeeded: low >> 32),
        UInt32(truncatingIfNeeded: high), UInt32(truncatingIfNeeded: high >> 32)),
      key: SIMD2(UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32)))
    return (UInt64(word[1]) << 32 | UInt64(word[0]), UInt64(word[3]) << 32 | UInt64(word[2]))
  }
}

/// What a random stream is for. Streams of different domains never coincide, so two parts of the program may
/// count tasks, paths or steps from zero under one seed.
public struct StreamDomain: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Tasks drawn from a prior: path (step, task).
  public static let tasks = StreamDomain(rawValue: 1)
  /// Sizes of a training batch: path (step).
  public static let shapes = StreamDomain(rawValue: 2)
  /// Initial parameters: path (index of the parameter).
  public static let parameters = StreamDomain(rawValue: 3)
  /// Values drawn by a posterior: path (path, target).
  public static let paths = StreamDomain(rawValue: 4)
  /// Target orders: path (path).
  public static let orders = StreamDomain(rawValue: 5)
  /// Evaluation sets: path (set, task).
  public static let evaluation = StreamDomain(rawValue: 6)
  /// Acceptances and residual draws of verified drafts: path (path, target).
  public static let verification = StreamDomain(rawValue: 7)
  /// Marginal likelihoods: path (stage, particle).
  public static let evidence = StreamDomain(rawValue: 8)
}

/// A counter-based stream of random numbers, named by a seed and a path of integers.
///
/// Equal names give equal numbers, whatever else was drawn before, elsewhere or in another thread:
/// `RandomStream(seed: 7, .paths, 3, 12)` is the stream of target 12 of path 3 under seed 7. A stream is a
/// value: a copy continues independently from where it was copied.
///
/// The path is folded with Philox itself: a pair (key, salt) of 64 bits each starts at (seed, constant), and a
/// path element p replaces it by the block of counter (p, salt) under a key that draws never use. For one
/// prefix this is a bijection, so siblings cannot collide; other names collide with probability 2^-128.
public struct RandomStream: RandomNumberGenerator, Hashable, Sendable {
  @usableFromInline var key: UInt64
  @usableFromInline var salt: UInt64
  @usableFromInline var position: UInt64 = 0
  @usableFromInline var words = SIMD4<UInt32>()
  @usableFromInline var used = 4

  /// The stream of `seed` and `path`.
  public init(seed: UInt64, _ path: UInt64...) {
    self.init(seed: seed, path: path)
  }

  /// The stream of `seed`, a domain, and a path inside that domain.
  public init(seed: UInt64, _ domain: StreamDomain, _ path: UInt64...) {
    self.init(seed: seed, path: [domain.rawValue] + path)
  }

  /// The stream of `seed` and a path given as a sequence.
  public init(seed: UInt64, path: some Sequence<UInt64>) {
    key = seed
    salt = 0x4368_6F72_7573_2031  // "Chorus 1"
    for element in path { fold(element) }
  }

  /// The stream named by this stream's name followed by `path`; how much was drawn from this one is no matter.
  public func child(_ path: UInt64...) -> RandomStream {
    var stream = self
    stream.position = 0
    stream.used = 4
    stream.words = SIMD4()
    for element in path { stream.fold(element) }
    return stream
  }

  private mutating func fold(_ element: UInt64) {
    (key, salt) = Philox.halves(element, salt, key: ~key)
  }

  // MARK: - Integers

  /// 32 random bits.
  @inlinable
  public mutating func nextUInt32() -> UInt32 {
    if used == 4 {
      let (low, high) = Philox.halves(position, salt, key: key)
      words = SIMD4(
        UInt32(truncatingIfNeeded: low), UInt32(truncatingIfNeeded: low >> 32),
        UInt32(truncatingIfNeeded: high), UInt32(truncatingIfNeeded: high >> 32))
      position &+= 1
      used = 0
    }
    let word = words[used]
    used += 1
    return word
  }

  /// 64 random bits: two words, the first the lower half.
  @inlinable
  public mutating func nextUInt64() -> UInt64 {
    let low = UInt64(nextUInt32())
    return UInt64(nextUInt32()) << 32 | low
  }

  /// `nextUInt64()`, as the standard library's algorithms ask for it.
  @inlinable
  public mutating func next() -> UInt64 { nextUInt64() }

  /// An integer uniform on 0 ..< `bound`, without bias; 0 when `bound` is 1 or less.
  ///
  /// Multiply and reject: Lemire, "Fast random integer generation in an interval", 2019, algorithm 5.
  @inlinable
  public mutating func below(_ bound: Int) -> Int {
    guard bound > 1 else { return 0 }
    let width = UInt64(bound)
    var product = nextUInt64().multipliedFullWidth(by: width)
    if product.low < width {
      let threshold = (0 &- width) % width
      while product.low < threshold { product = nextUInt64().multipliedFullWidth(by: width) }
    }
    return Int(product.high)
  }

  /// An integer uniform on a closed range.
  @inlinable
  public mutating func integer(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + below(range.upperBound - range.lowerBound + 1)
  }

  // MARK: - Reals

  /// A multiple of 2^-53, uniform on [0, 1).
  @inlinable
  public mutating func uniform() -> Double { Double(nextUInt64() >> 11) * 0x1p-53 }

  /// A multiple of 2^-24, uniform on [0, 1).
  @inlinable
  public mutating func uniformFloat() -> Float { Float(nextUInt32() >> 8) * 0x1p-24 }

  /// Uniform between the bounds of `range`; the upper one may be reached by rounding only.
  @inlinable
  public mutating func uniform(in range: ClosedRange<Double>) -> Double {
    range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
  }

  /// A standard normal: one uniform through the inverse of the distribution function, so the n-th normal of a
  /// stream is a function of the n-th 64 bits alone.
  @inlinable
  public mutating func normal() -> Double {
    NormalQuantile.value((Double(nextUInt64() >> 12) + 0.5) * 0x1p-52)
  }

  /// `count` standard normals.
  @inlinable
  public mutating func normals(_ count: Int) -> [Double] {
    var values = [Double]()
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(normal()) }
    return values
  }

  // MARK: - Choices

  /// A uniformly random order of 0 ..< `count` (Fisher and Yates, from the front).
  public mutating func permutation(_ count: Int) -> [Int] {
    sample(count, of: count)
  }

  /// `count` different integers of 0 ..< `population`, in random order; at most `population` of them.
  public mutating func sample(_ count: Int, of population: Int) -> [Int] {
    var items = Array(0..<max(0, population))
    let taken = max(0, min(count, items.count))
    for i in 0..<taken { items.swapAt(i, i + below(items.count - i)) }
    return taken == items.count ? items : Array(items[0..<taken])
  }

  /// Shuffles in place.
  public mutating func shuffle<Element>(_ items: inout [Element]) {
    for i in items.indices.dropLast() { items.swapAt(i, i + below(items.count - i)) }
  }

  /// An index drawn in proportion to `weights`. Weights that are not positive are never drawn; when none is
  /// positive the answer is 0.
  @inlinable
  public mutating func choice(weights: some Collection<Double>) -> Int {
    var total = 0.0
    for weight in weights where weight > 0 { total += weight }
    let level = uniform() * total
    var running = 0.0
    var last = 0
    for (index, weight) in weights.enumerated() where weight > 0 {
      running += weight
      last = index
      if level < running { return index }
    }
    return last
  }
}
