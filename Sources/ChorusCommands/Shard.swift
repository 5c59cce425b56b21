import ArgumentParser

/// One of several parts that a file's series are predicted in, as `2/8`: one a job of an array.
struct Shard: ExpressibleByArgument {
  let index: Int
  let count: Int

  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let index = parts[0], let count = parts[1], (1...1_000_000).contains(count),
      (1...count).contains(index)
    else { return nil }
    (self.index, self.count) = (index, count)
  }

  /// Its questions of `total`: parts follow one another, and none is larger than another by more than one.
  func range(of total: Int) -> Range<Int> { total * (index - 1) / count..<total * index / count }
}
