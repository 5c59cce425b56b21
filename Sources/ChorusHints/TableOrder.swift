import ChorusData

/// The one order in which a table is looked at, whatever order its rows and columns came in, and whatever its levels are called:
/// everything that is fitted to it is fitted in that order, so that equal tables give equal bytes.
///
/// A cell is known by its value, a level by the outputs of the rows that have it, a column by the outputs and cells of all rows:
/// sums of hashes, which know no order. An output with a known error is known by both.
struct TableOrder {
  /// Rows by their outputs; those with equal ones by the hash of their cells.
  let rows: [Int]
  /// A hash of each column.
  let signatures: [UInt64]
  /// A hash of the whole table.
  let seed: UInt64

  init(_ cells: Cells, _ y: [Double], _ errors: KnownErrors = .none) {
    let columns = cells.columns
    let outputs = y.indices.map { row in
      let error = errors.isEmpty ? 0 : errors.deviations[row]
      return Self.mix(Self.bits(y[row]) ^ (error > 0 ? Self.mix(error.bitPattern) : 0))
    }
    var hashes = [UInt64](repeating: 0, count: cells.values.count)
    var signatures: [UInt64] = []
    for column in 0..<columns {
      var levels: [Double: UInt64] = [:]
      if cells.categories[column] {
        for row in 0..<cells.count { levels[cells[row, column], default: 0] &+= outputs[row] }
      }
      var sum = UInt64(cells.categories[column] ? 1 : 2)
      for row in 0..<cells.count {
        let value = cells[row, column]
        let hash =
          value.isNaN ? 0x9E37_79B9 : Self.mix(levels[value].map { Self.mix($0) } ?? Self.bits(value))
        hashes[row * columns + column] = hash
        sum &+= Self.mix(outputs[row] ^ (hash << 1 | hash >> 63))
      }
      signatures.append(Self.mix(sum))
    }
    let rowHashes = (0..<cells.count).map { row in
      (0..<columns).reduce(outputs[row]) {
        $0 &+ Self.mix(signatures[$1] ^ hashes[row * columns + $1])
      }
    }
    rows = y.indices.sorted { a, b in y[a] != y[b] ? y[a] < y[b] : rowHashes[a] < rowHashes[b] }
    self.signatures = signatures
    seed = Self.mix(rowHashes.reduce(UInt64(cells.count)) { $0 &+ Self.mix($1) })
  }

  private static func bits(_ value: Double) -> UInt64 { (value == 0 ? 0 : value).bitPattern }

  /// The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
  static func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
