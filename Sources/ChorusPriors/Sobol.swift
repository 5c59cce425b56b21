import ChorusTensors

/// Points of the Sobol sequence in up to three dimensions, with Owen's nested uniform scrambling.
///
/// Direction numbers: Joe and Kuo, "Constructing Sobol sequences with better two-dimensional projections",
/// SIAM J. Sci. Comput. 30 (2008), set new-joe-kuo-6. Scrambling: Owen, "Randomly permuted (t,m,s)-nets and
/// (t,s)-sequences", 1995; each node of the binary tree flips by one hashed bit instead of a stored one.
public struct SobolSet: Sendable {
  /// The largest number of dimensions.
  public static let maximumDimensions = 3

  /// Numbers a point has, 1 to 3.
  public let dimensions: Int
  private let seeds: [UInt64]

  /// A scrambling drawn from the stream; `dimensions` is clipped to 1...3.
  public init(dimensions: Int, from stream: inout RandomStream) {
    self.dimensions = min(max(dimensions, 1), Self.maximumDimensions)
    seeds = (0..<self.dimensions).map { _ in stream.nextUInt64() }
  }

  /// Number `dimension` of point `index`, in (0, 1): the middle of one of 2^32 cells.
  public func coordinate(_ index: UInt32, _ dimension: Int) -> Double {
    (Double(scramble(Self.digits(index, dimension), seed: seeds[dimension])) + 0.5) * 0x1p-32
  }

  /// The unscrambled binary digits of a coordinate, the first one highest.
  static func digits(_ index: UInt32, _ dimension: Int) -> UInt32 {
    let directions = directions[dimension]
    var digits: UInt32 = 0
    for bit in 0..<32 where index >> bit & 1 == 1 { digits ^= directions[bit] }
    return digits
  }

  /// Flips each digit by a random bit that belongs to the digits before it.
  private func scramble(_ digits: UInt32, seed: UInt64) -> UInt32 {
    var flips: UInt32 = 0
    for level in 0..<32 {
      // The node: a one followed by the digits above this level, so nodes of all levels differ.
      let node = level == 0 ? 1 : UInt64(digits >> (32 - level)) | 1 << level
      flips = flips << 1 | UInt32(truncatingIfNeeded: Self.mix(seed ^ Self.mix(node)) >> 63)
    }
    return digits ^ flips
  }

  /// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), with its increment.
  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// 32 direction numbers a dimension: van der Corput's, then those of the primitive polynomials of degree 1
  /// (s=1, a=0, m=1) and 2 (s=2, a=1, m=1,3).
  private static let directions: [[UInt32]] = {
    let first = (0..<32).map { UInt32(1) << (31 - $0) }
    func expand(degree: Int, coefficients: UInt32, initial: [UInt32]) -> [UInt32] {
      var v = [UInt32](repeating: 0, count: 32)
      for i in 0..<degree { v[i] = initial[i] << (31 - i) }
      for i in degree..<32 {
        v[i] = v[i - degree] ^ v[i - degree] >> degree
        for k in 1..<max(degree, 1) where coefficients >> (degree - 1 - k) & 1 == 1 { v[i] ^= v[i - k] }
      }
      return v
    }
    return [
      first, expand(degree: 1, coefficients: 0, initial: [1]),
      expand(degree: 2, coefficients: 1, initial: [1, 3]),
    ]
  }()

  /// `count` points on [low, high]^dimensions, row-major: a random subset, in random order, of the first
  /// 2^m scrambled points, m at least 9 and large enough.
  static func subset(
    _ count: Int, dimensions: Int, low: Double, high: Double, from stream: inout RandomStream
  ) -> [Double] {
    var population = 512
    while population < count { population *= 2 }
    let set = SobolSet(dimensions: dimensions, from: &stream)
    var x = [Double]()
    x.reserveCapacity(count * set.dimensions)
    for index in stream.sample(count, of: population) {
      for k in 0..<set.dimensions {
        x.append(low + (high - low) * set.coordinate(UInt32(truncatingIfNeeded: index), k))
      }
    }
    return x
  }
}
