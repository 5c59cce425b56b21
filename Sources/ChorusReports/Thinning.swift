/// Fewer points for the same picture, so that no amount of data makes a large file.
enum Thinning {
  struct Place: Equatable {
    var x: Double
    var y: Double
  }

  /// The most places of one series.
  static let limit = 16_000

  /// Of the places of each square cell the first; cells grow from half a pixel until at most `limit` are left.
  static func scattered(_ places: [Place], limit: Int = limit) -> [Place] {
    guard places.count > limit else { return places }
    var cell = 0.5
    while true {
      var seen: Set<Int64> = []
      let kept = places.filter { place in
        let column = Int64((place.x / cell).rounded(.down))
        let row = Int64((place.y / cell).rounded(.down))
        return seen.insert(column << 32 ^ (row & 0xFFFF_FFFF)).inserted
      }
      if kept.count <= limit { return kept }
      cell *= 1.5
    }
  }

  /// Of each run of places in one column of pixels the first, lowest, highest and last: the same line at this
  /// resolution (Jugel et al. 2014, "M4"). Columns are half a pixel wide, or as wide as `limit` asks for.
  static func line(_ places: [Place], limit: Int = limit) -> [Place] {
    guard places.count > min(limit, 400) else { return places }
    var column = 0.5
    while true {
      let kept = columns(places, width: column)
      if kept.count <= limit { return kept }
      // A line that runs to and fro has many short runs; wider columns at last leave few.
      column *= 2
      if column > 1e5 { return Array(kept.prefix(limit)) }
    }
  }

  private static func columns(_ places: [Place], width: Double) -> [Place] {
    var kept: [Place] = []
    var start = 0
    while start < places.count {
      let column = (places[start].x / width).rounded(.down)
      var end = start
      var (low, high) = (start, start)
      while end < places.count, (places[end].x / width).rounded(.down) == column {
        if places[end].y < places[low].y { low = end }
        if places[end].y > places[high].y { high = end }
        end += 1
      }
      var before = -1
      for index in [start, min(low, high), max(low, high), end - 1] where index > before {
        kept.append(places[index])
        before = index
      }
      start = end
    }
    return kept
  }
}
