/// The shapes at which kernels are timed (`chorus bench --op`) and tested: what a network of width 128 with 4 heads
/// asks of them, a smaller and a wider one, and rows that fill no whole register tile.
///
/// The tests add the edges of each kernel's loops; nothing is timed at a shape that is not tested.
package enum KernelShapes {
  /// A matrix product [m, k] · [k, n].
  package struct Product: Sendable, Hashable, CustomStringConvertible {
    package let m: Int, k: Int, n: Int
    package init(m: Int, k: Int, n: Int) { (self.m, self.k, self.n) = (m, k, n) }
    package var description: String { "\(m)x\(k)x\(n)" }
  }

  /// Rows of queries against shared keys and, of each path, up to `capacity` private ones.
  package struct Reading: Sendable, Hashable, CustomStringConvertible {
    package let rows: Int, heads: Int, width: Int
    /// Keys that all rows see.
    package let shared: Int
    package let rowsPerPath: Int
    /// Private keys of a path; the last row of a path sees all of them.
    package let capacity: Int

    package init(rows: Int, heads: Int, width: Int, shared: Int, rowsPerPath: Int = 1, capacity: Int = 0) {
      (self.rows, self.heads, self.width, self.shared) = (rows, heads, width, shared)
      (self.rowsPerPath, self.capacity) = (rowsPerPath, capacity)
    }

    package var description: String {
      "\(rows)x\(heads)x\(width):\(shared)" + (capacity > 0 ? "+\(capacity)/\(rowsPerPath)" : "")
    }
  }

  /// A number of rows of some width: norms, mixtures (width is the number of components), column sums.
  package struct Rows: Sendable, Hashable, CustomStringConvertible {
    package let rows: Int, width: Int
    package init(_ rows: Int, _ width: Int) { (self.rows, self.width) = (rows, width) }
    package var description: String { "\(rows)x\(width)" }
  }

  /// Maps of a network and the rows of one path, a few, a tile of paths, a tile of context rows, and many.
  package static let products: [Product] =
    [(128, 128), (128, 256), (256, 128)].flatMap { k, n in
      [1, 2, 3, 4, 7, 8, 16, 24, 32, 64].map { Product(m: $0, k: k, n: n) }
    } + [
      Product(m: 24, k: 256, n: 60), Product(m: 24, k: 14, n: 128), Product(m: 24, k: 64, n: 64),
      Product(m: 24, k: 256, n: 256), Product(m: 256, k: 128, n: 128),
    ]

  /// Gradients of weights [k, n] from m rows, as `Product`.
  package static let gradients = [
    Product(m: 208, k: 128, n: 128), Product(m: 208, k: 128, n: 256), Product(m: 208, k: 256, n: 128),
    Product(m: 64, k: 256, n: 60), Product(m: 800, k: 64, n: 64),
  ]

  package static let readings: [Reading] =
    [1, 2, 8, 24, 32, 64].map { Reading(rows: $0, heads: 4, width: 32, shared: 256) }
    + [
      Reading(rows: 24, heads: 4, width: 32, shared: 256, rowsPerPath: 2, capacity: 16),
      Reading(rows: 24, heads: 4, width: 32, shared: 256, rowsPerPath: 2, capacity: 32),
      Reading(rows: 128, heads: 4, width: 32, shared: 256, rowsPerPath: 32, capacity: 16),
      Reading(rows: 24, heads: 8, width: 16, shared: 256),
      Reading(rows: 24, heads: 2, width: 64, shared: 256),
      Reading(rows: 24, heads: 4, width: 32, shared: 1024),
    ]

  /// Backward passes over one segment; `capacity` private keys stand for a segment with limits.
  package static let readingsBackward = [
    Reading(rows: 208, heads: 4, width: 32, shared: 128),
    Reading(rows: 80, heads: 4, width: 32, shared: 0, rowsPerPath: 80, capacity: 16),
    Reading(rows: 208, heads: 8, width: 16, shared: 128), Reading(rows: 64, heads: 2, width: 64, shared: 128),
  ]

  package static let norms = [Rows(24, 128), Rows(32, 64), Rows(208, 128), Rows(16, 256)]
  package static let mixtures = [Rows(24, 20), Rows(64, 20), Rows(64, 5)]
  /// Numbers of a vector: of one row, of a tile, of a cache.
  package static let vectors = [128, 3_072, 16_384]
  /// Sides of a covariance matrix.
  package static let matrices = [32, 64, 150, 320]
  /// Rows and monomials of the splines through twelve rows, with one input and with three.
  package static let systems = [13, 14, 15, 22]
}
