import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

/// Levels that come before the columns, or by rules: what Bayes' rule says of them is right, and tasks are easy, hard and in between.
@Suite struct TablesLevelsTests {
  @Test("Bayes' rule is that of the normal laws, by their densities written out")
  func bayes() {
    // Two columns; level 1 has two parts. Covariances are F·Fᵀ.
    let parts = [
      ClassMixture.Part(level: 0, share: log(0.5), mean: [0, 1], factor: [1, 0, 0.5, 2]),
      ClassMixture.Part(level: 1, share: log(0.2), mean: [1, -1], factor: [0.5, 0, 0, 0.7]),
      ClassMixture.Part(level: 1, share: log(0.3), mean: [-2, 0], factor: [2, 0, -1, 1]),
    ]
    let mixture = ClassMixture(2, told: 2, parts: parts)
    func density(_ part: ClassMixture.Part, _ x: [Double]) -> Double {
      let f = part.factor
      let (a, b, c) = (f[0] * f[0], f[0] * f[2], f[2] * f[2] + f[3] * f[3])
      let determinant = a * c - b * b
      let (u, v) = (x[0] - part.mean[0], x[1] - part.mean[1])
      let square = (c * u * u - 2 * b * u * v + a * v * v) / determinant
      return exp(part.share - square / 2) / (2 * Double.pi * determinant.squareRoot())
    }
    for x in [[0.0, 0], [1, -1], [-2, 3], [5, 5]] {
      let (one, other) = (density(parts[0], x), density(parts[1], x) + density(parts[2], x))
      let law = mixture.law(x)
      #expect(abs(law[0] - one / (one + other)) < 1e-12 && abs(law[0] + law[1] - 1) < 1e-12)
    }
  }

  @Test("Levels come as often as Bayes' rule says, and rows of a level are of that level")
  func calibration() {
    for seed in 0..<6 {
      var stream = RandomStream(seed: UInt64(seed), 77)
      let mixture = ClassMixture(3, columns: 4, from: &stream)
      var pairs: [(Double, Double)] = []
      for _ in 0..<4000 {
        let (level, values) = mixture.row(of: nil, from: &stream)
        let law = mixture.law(values)
        #expect(abs(law.reduce(0, +) - 1) < 1e-9 && values.count == mixture.told)
        pairs.append((law.reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) }, log(max(law[level], 1e-300))))
      }
      let (said, came) = (Average(pairs.map(\.0)), Average(pairs.map(\.1)))
      #expect(abs(said.mean - came.mean) < 4 * (said.error + came.error) + 1e-3)
      #expect((0..<3).allSatisfy { mixture.row(of: $0, from: &stream).level == $0 })
    }
  }

  @Test("A tree's levels have its leaves' laws")
  func rules() {
    var stream = RandomStream(seed: 4)
    let columns = (0..<3).map { _ in stream.normals(200) }
    var laws: Set<[Double]> = []
    for _ in 0..<20 {
      let tree = ClassTree(4, asking: columns, from: &stream)
      for row in 0..<200 {
        let law = tree.law { columns[$0][row] }
        #expect(law.count == 4 && abs(law.reduce(0, +) - 1) < 1e-9 && law.allSatisfy { $0 > 0 })
        laws.insert(law)
      }
    }
    #expect(laws.count > 40)
    let shares = Average((0..<4000).map { _ in stream.dirichlet(4, 2)[1] })
    #expect(abs(shares.mean - 0.25) < 4 * shares.error)
  }

  @Test("What can be known at best goes from nearly all to nearly nothing")
  func difficulty() throws {
    let shape = TaskShape(context: 60, targets: 40, dimensions: 6)
    let generator = TaskGenerator(TablesPrior.classes, seed: 8)
    var (ceilings, known, unknown) = ([Double](), 0, 0)
    for index in 0..<200 {
      let task = try generator.task(index, step: 0, shape: shape)
      guard let ceiling = task.ceiling else {
        unknown += 1
        continue
      }
      known += 1
      #expect(ceiling <= 0 && ceiling >= -log(10) - 1e-9 && task.component == "unordered")
      ceilings.append(ceiling)
    }
    #expect(known > 40 && unknown > 60)
    // Told apart surely, in between, and hardly at all: each is a good part.
    for range in [-0.1...0.0, -0.5 ... -0.1, -3 ... -0.5] {
      #expect(ceilings.count { range.contains($0) } > known / 10, "\(range)")
    }
  }
}
