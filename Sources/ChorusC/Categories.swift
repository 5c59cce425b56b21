// What implements a function of a C header has its name.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CChorus
import ChorusData
import ChorusInference

@c @implementation public func chorus_probabilities(
  _ posterior: OpaquePointer?, _ points: UnsafePointer<chorus_points>?,
  _ options: UnsafePointer<chorus_options>?, _ probabilities: UnsafeMutablePointer<Double>?
) -> Int32 {
  answering {
    let asked = try PosteriorHandle.of(posterior)
    let contexts = asked.members.count
    let (points, options) = (try PointParts(points, contexts: contexts), try Options(options))
    guard probabilities != nil || points.total == 0 else {
      throw CallError.usage("no place for the probabilities is given")
    }
    // All contexts of a posterior were read with one number of levels.
    let count = asked.members.lazy.compactMap { try? $0.get().classes?.levels }.first ?? 1
    let probabilities = Array2D(probabilities)
    let results = try options.each(contexts, on: asked.model) { context in
      let (before, size) = (points.parts.before(context), points.parts[context].count)
      do {
        let member = try asked.members[context].get()
        guard let classes = member.classes else {
          throw CallError.usage("the target is a number; only a category's levels have probabilities")
        }
        let said = try classes.probabilities(at: points.cells(context, categories: classes.categories))
        probabilities.write(said.joined(), at: before * count)
        return member.notes
      } catch {
        if case .success(let member) = asked.members[context], member.classes == nil { throw error }
        probabilities.write(repeatElement(.nan, count: size * count), at: before * count)
        throw error
      }
    }
    return results.map { notes($0) { $0 } }
  }
}

extension ClassPosterior {
  /// Levels drawn together, as numbers.
  func paths(
    _ count: Int, _ points: PointParts, _ context: Int, _ options: Options
  ) throws -> [[Double]] {
    try sample(
      count, at: points.cells(context, categories: categories), plan: options.plan ?? .sequential,
      seed: options.seed, flopLimit: options.flopLimit
    ).map { $0.map(Double.init) }
  }

  /// The logarithm of the probability of levels together that the caller has as numbers.
  func logProbability(
    _ values: [Double], _ points: PointParts, _ context: Int, _ options: Options
  ) throws -> Double {
    try logProbability(
      of: levelNumbers(values, of: levels), at: points.cells(context, categories: categories),
      plan: options.plan ?? .sequential, orders: options.orders, seed: options.seed,
      flopLimit: options.flopLimit)
  }

  /// The logarithms of the probabilities of levels, each by itself, that the caller has as numbers.
  func logProbabilities(_ values: [Double], _ points: PointParts, _ context: Int) throws -> [Double] {
    try logProbabilities(
      of: levelNumbers(values, of: levels), at: points.cells(context, categories: categories))
  }
}

/// The levels that numbers name.
func levelNumbers(_ values: [Double], of count: Int) throws(CallError) -> [Int] {
  var levels: [Int] = []
  for (row, value) in values.enumerated() {
    guard let level = Int(exactly: value), (0..<count).contains(level) else {
      throw CallError(
        code: CHORUS_DATA, "row \(row): \(value) is the number of no level; there are \(count), from 0")
    }
    levels.append(level)
  }
  return levels
}
