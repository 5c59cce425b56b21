import ChorusPriors
import ChorusTensors
import Testing

@Suite("Sobol sets")
struct SobolTests {
  @Test("512 scrambled points: one in each of 512 cells, in every dimension", arguments: [1, 2, 3])
  func stratified(dimensions: Int) {
    for seed in 0..<5 as Range<UInt64> {
      var stream = RandomStream(seed: seed)
      let set = SobolSet(dimensions: dimensions, from: &stream)
      for k in 0..<dimensions {
        let cells = (0..<512).map { Int(set.coordinate($0, k) * 512) }
        #expect(cells.sorted() == Array(0..<512))
      }
    }
  }

  @Test("The first two dimensions are a (0, 8, 2)-net: one point in each of 256 boxes of any shape")
  func net() {
    var stream = RandomStream(seed: 9)
    let set = SobolSet(dimensions: 2, from: &stream)
    for split in 0...8 {
      let boxes = Set(
        (0..<256 as Range<UInt32>).map { index in
          let a = Int(set.coordinate(index, 0) * Double(1 << split))
          let b = Int(set.coordinate(index, 1) * Double(1 << (8 - split)))
          return a << (8 - split) | b
        })
      #expect(boxes.count == 256)
    }
  }

  @Test("Each scrambled point is uniform, and scramblings differ")
  func uniform() {
    let count = 20_000
    var (sum, squares, product) = (0.0, 0.0, 0.0)
    for seed in 0..<UInt64(count) {
      var stream = RandomStream(seed: seed)
      let set = SobolSet(dimensions: 2, from: &stream)
      let (u, v) = (set.coordinate(0, 0), set.coordinate(0, 1))
      sum += u
      squares += u * u
      product += u * v
    }
    let n = Double(count)
    #expect(abs(sum / n - 0.5) < 4 / (12 * n).squareRoot())
    #expect(abs(squares / n - 1 / 3.0) < 4 * (4 / (45 * n)).squareRoot())
    #expect(abs(product / n - 0.25) < 4 * (7 / (144 * n)).squareRoot())
  }
}
