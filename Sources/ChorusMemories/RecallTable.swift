import CChorusKernels
import ChorusTensors
import Foundation

/// A sequence of multi-query associative recall (Arora et al. 2024, "Zoology"): keys with their values, then some of the
/// keys again, each of which asks for its value; everything between is token 0, or drawn at random.
package struct RecallSequence {
  package let tokens: [Int]
  /// Where a key stands that asks, ascending, and the value that it asks for.
  package let asked: [(place: Int, value: Int)]

  /// - Parameters:
  ///   - random: whether tokens between the questions are any of `vocabulary`. One of them may be a key, and what comes
  ///     behind it is then a second value.
  package init(
    length: Int, pairs: Int, vocabulary: Int, random: Bool, _ stream: inout RandomStream
  ) {
    func some(_ range: Range<Int>) -> [Int] {
      Array(stream.permutation(range.count).prefix(pairs)).map { range.lowerBound + $0 }
    }
    let (keys, values) = (some(1..<vocabulary / 2), some(vocabulary / 2..<vocabulary))
    var tokens = zip(keys, values).flatMap { [$0, $1] }
    tokens += (tokens.count..<length).map { _ in random ? stream.below(vocabulary) : 0 }
    // A question has one of the slots of two tokens, the first ones far more often: slot i with the weight i^(0.01 − 1).
    var weights = (1...(length - 2 * pairs) / 2).map { pow(Double($0), -0.99) }
    var asked: [(place: Int, value: Int)] = []
    for pair in 0..<pairs {
      var left = stream.uniform() * weights.reduce(0, +)
      let slot = weights.firstIndex { weight in
        left -= weight
        return left < 0 && weight > 0
      }
      guard let slot else { continue }
      weights[slot] = 0
      let place = 2 * pairs + 2 * slot
      tokens[place] = keys[pair]
      asked.append((place, values[pair]))
    }
    self.tokens = tokens
    self.asked = asked.sorted { $0.place < $1.place }
  }
}

extension GoldenTables {
  struct RecallSetting {
    let width: Int
    let length: Int
    let pairs: Int
    /// Of linear, delta, ridge and softmax, with zeros between and at random.
    let known: [[Double]]
  }

  static let recallSettings = [
    RecallSetting(
      width: 16, length: 64, pairs: 4, known: [[0.31, 0.51, 1, 1], [0.37, 0.14, 0.71, 0.99]]),
    RecallSetting(
      width: 32, length: 64, pairs: 4, known: [[0.69, 0.99, 1, 1], [0.89, 0.67, 0.98, 1]]),
    RecallSetting(
      width: 32, length: 256, pairs: 16, known: [[0.34, 0.46, 1, 1], [0.42, 0.15, 0.64, 1]]),
    RecallSetting(width: 64, length: 64, pairs: 4, known: [[0.75, 1, 1, 1], [1, 0.97, 1, 1]]),
    RecallSetting(
      width: 64, length: 256, pairs: 16, known: [[0.53, 0.97, 1, 1], [0.91, 0.56, 0.98, 0.99]]),
    RecallSetting(
      width: 64, length: 256, pairs: 64, known: [[0.72, 0.19, 0.98, 1], [0.72, 0.04, 0.93, 1]]),
    RecallSetting(
      width: 128, length: 256, pairs: 64, known: [[0.95, 0.82, 1, 1], [0.99, 0.79, 1, 1]]),
  ]

  /// The share of questions of multi-query associative recall that a memory answers without training: tokens are random unit
  /// vectors of 8192, a row's key is the token before it and its value and query are its own token, and the answer is the
  /// token that what is read is most like.
  ///
  /// The delta rule has the rate 1, ridge regression 10⁻², softmax the inverse temperature 16.
  public static func recall(repeats: Int = 24) throws(MemoryError) -> Table {
    var rows: [Table.Row] = []
    for (place, setting) in recallSettings.enumerated() {
      let subjects = try recallSubjects(setting.width)
      for (kind, between) in ["zeros", "random tokens"].enumerated() {
        var right = subjects.map { _ in 0 }
        var total = 0
        let sequences = setting.pairs > 16 ? max(1, repeats / 3) : repeats
        for index in 0..<sequences {
          var stream = RandomStream(seed: 33, UInt64(index), UInt64(2 * place + kind))
          let space = TokenSpace(width: setting.width, &stream)
          let sequence = RecallSequence(
            length: setting.length, pairs: setting.pairs, vocabulary: TokenSpace.count, random: kind == 1,
            &stream)
          let vectors = sequence.tokens.map { space[$0] }
          total += sequence.asked.count
          for (place, subject) in subjects.enumerated() {
            // Row i holds the pair of tokens i and i + 1.
            let read = subject.readPrefixes(
              Array(vectors.dropLast()), Array(vectors.dropFirst()),
              at: sequence.asked.map { vectors[$0.place] },
              limits: sequence.asked.map(\.place))
            let told = space.nearest(read)
            right[place] += zip(told, sequence.asked).count { $0 == $1.value }
          }
        }
        rows.append(
          row(
            "width \(setting.width), \(setting.length) tokens, \(setting.pairs) pairs, \(between) between",
            subjects, right.map { Double($0) / Double(max(1, total)) }, setting.known[kind]))
      }
    }
    return Table(title: "Share of recall without training", rows: rows)
  }

  private static func recallSubjects(_ width: Int) throws(MemoryError) -> [Subject] {
    [
      try Subject("linear", linear(.raw), width),
      try Subject(
        "delta", MemorySpec(features: "unit", function: .linear, optimiser: .online), width, ["rate": 40]),
      try Subject(
        "ridge", MemorySpec(features: "unit", function: .linear), width, ["ridge": log(expm1(9e-3))]),
      try Subject(
        "softmax-unit",
        MemorySpec(weights: .similarity, features: "unit", function: .localConstant, readOut: .normalised),
        width, ["temperature": log(16)]),
    ]
  }

  /// Random unit vectors, one a token.
  private struct TokenSpace {
    static let count = 8192
    private let width: Int
    private let vectors: [[Double]]
    private let packed: FloatBuffer

    init(width: Int, _ stream: inout RandomStream) {
      self.width = width
      vectors = (0..<Self.count).map { _ in
        let x = stream.normals(width)
        let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return x.map { $0 / length }
      }
      packed = FloatBuffer(count: ck_packed_count(Int32(width), Int32(Self.count)))
      ck_pack(
        Int32(width), Int32(Self.count), vectors.joined().map { Float($0) }, Int32(width), 1, packed.pointer)
    }

    subscript(token: Int) -> [Double] { vectors[token] }

    /// The tokens whose vectors have the largest products with some rows.
    func nearest(_ rows: [[Double]]) -> [Int] {
      let (asked, scores) = (
        FloatBuffer(rows.joined().map { Float($0) }), FloatBuffer(count: rows.count * Self.count)
      )
      var arguments = ck_matmul_args()
      (arguments.m, arguments.k, arguments.n) = (Int32(rows.count), Int32(width), Int32(Self.count))
      (arguments.a, arguments.lda) = (UnsafePointer(asked.pointer), Int32(width))
      arguments.packed = UnsafePointer(packed.pointer)
      (arguments.c, arguments.ldc) = (scores.pointer, Int32(Self.count))
      ck_matmul(&arguments)
      return rows.indices.map { row in
        let first = scores.pointer + row * Self.count
        return (0..<Self.count).max { first[$0] < first[$1] } ?? 0
      }
    }
  }
}
