import CChorusKernels

extension Machine {
  /// Reads an array that no cache holds, a part of it on every thread of `pool`: the bytes read.
  ///
  /// - Parameter array: larger than the last cache (at least 128 MiB), or what is measured is the cache.
  public static func readMemory(_ array: FloatBuffer, on pool: ThreadPool) -> Double {
    // Pieces of half a megabyte: few enough to cost nothing, enough for a busy neighbour to be worked around.
    let piece = 1 << 17
    let pieces = (array.count + piece - 1) / piece
    pool.run(pieces) { index in
      let first = index * piece
      // A sum that no value can have, so that the reading cannot be left out.
      if ck_probe_read(min(piece, array.count - first), array.pointer + first) == -.infinity {
        array.pointer[first] = 0
      }
    }
    return Double(array.count) * 4
  }
}
