import ChorusTensors
import Testing

@testable import ChorusMemories

/// What a read costs, beside the formulas that the registry tells people.
@Suite struct WorkTests {
  /// Multiply-adds by a formula of the registry: sums of products of numbers, letters and brackets, with powers.
  struct Formula {
    private var rest: Substring
    private let letters: [Character: Double]

    /// - Parameter text: what comes behind a comma is for people.
    init(_ text: String, _ letters: [Character: Double]) {
      rest = text.prefix { $0 != "," }[...]
      self.letters = letters
    }

    mutating func value() throws -> Double {
      let sum = try self.sum()
      try #require(rest.isEmpty, "not understood: \(rest)")
      return sum
    }

    private mutating func sum() throws -> Double {
      var sum = try product()
      while rest.first == "+" {
        rest.removeFirst()
        sum += try product()
      }
      return sum
    }

    private mutating func product() throws -> Double {
      var product = 1.0
      while let next = rest.first, next != "+", next != ")" {
        if next == "/" {
          rest.removeFirst()
          product /= try factor()
        } else {
          product *= try factor()
        }
      }
      return product
    }

    private mutating func factor() throws -> Double {
      var value: Double
      if rest.first == "(" {
        rest.removeFirst()
        value = try sum()
        try #require(rest.first == ")")
        rest.removeFirst()
      } else if let letter = rest.first, let known = letters[letter] {
        value = known
        rest.removeFirst()
      } else {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        value = try #require(Double(digits), "not understood: \(rest)")
        rest = rest.dropFirst(digits.count)
      }
      while let power = rest.first.flatMap({ ["²": 2, "³": 3][$0] }) {
        rest.removeFirst()
        let base = value
        for _ in 1..<power { value *= base }
      }
      return value
    }
  }

  static let sizes = AttentionSizes(heads: 3, width: 16)

  static func work(_ name: String) throws -> MemoryWork {
    try CompiledMemory(MemoryRegistry.named(name), sizes, set: false).work
  }

  /// Of a memory that keeps a path's rows: a context of N rows and k of the path. Of one that does not: in the mean over a chunk.
  @Test(arguments: MemoryRegistry.all.map(\.name)) func readsCostWhatTheRegistrySays(name: String) throws {
    let entry = try #require(MemoryRegistry.all.first { $0.name == name })
    let work = try Self.work(name)
    let (d, heads) = (Double(Self.sizes.width), Double(Self.sizes.heads))
    func formula(_ n: Double, _ k: Double) throws -> Double {
      var formula = Formula(entry.cost, ["d": d, "f": 1 + d + d * (d + 1) / 2, "N": n, "k": k])
      return try 2 * heads * formula.value()
    }
    guard work.pathNumbers == 0 else {
      let digits = entry.cost.reversed().prefix { $0.isNumber }
      let most = try #require(Double(String(digits.reversed())))
      let expected = try formula(0, (most + 1) / 2)
      #expect(abs(work.read / expected - 1) < 0.05, "\(work.read) beside \(expected)")
      #expect(work.contextRow == 0 && work.ownRow == 0)
      return
    }
    for (n, k) in [(40.0, 0.0), (40, 60), (700, 0), (700, 60)] {
      var expected = try formula(n, k)
      // What goes with the square of the rows is in no rate of a row.
      if name == "kernel-ridge" { expected -= heads * n * n }
      let found = work.read + n * work.contextRow + k * work.ownRow
      // Of its kernels it counts the distances, which the registry leaves out.
      let most = name == "kernel-ridge" ? 0.3 : 0.05
      #expect(abs(found / expected - 1) < most, "\(found) beside \(expected)")
    }
  }

  /// Whatever a fixed state has read, a read takes the same, and it holds the same.
  @Test func aFixedStateDoesNotGrow() throws {
    for entry in MemoryRegistry.all {
      let compiled = try CompiledMemory(entry.layer, Self.sizes, set: false)
      let work = compiled.work
      #expect((work.contextRow == 0) == compiled.capability.fixedState, "\(entry.name)")
      #expect((work.contextRowNumbers == 0) == compiled.capability.fixedState, "\(entry.name)")
      #expect(work.read > 0 || work.contextRow > 0, "\(entry.name)")
      #expect(work.write > 0 || !compiled.capability.fixedState, "\(entry.name)")
    }
  }

  /// A ridge counted by hand: a row's moments with its key and value, a factor and its inverse, a query's product with [L⁻ᵀ | W], and of
  /// a path's row its product with the probe and with its value.
  @Test func aRidgeByHand() throws {
    let work = try Self.work("ridge")
    let d = 16.0
    #expect(work.write == 3 * 2 * d * 2 * d)
    #expect(work.finish == 3 * (d * d * d / 3 + d * d * d + 2 * d * d * d))
    #expect(work.read == 3 * 2 * d * 2 * d)
    #expect(work.ownRow == 3 * 2 * 2 * d)
    // A row is read at its key, with what is there before it, whose projection is taken besides.
    #expect(work.append == work.read && work.appendRow == 3 * (4 * d + 4 * d))
    #expect(work.ownRowNumbers == 3 * 2 * 16)
  }
}
