import ChorusPlans
import ChorusTensors
import Foundation

/// Something known of cells that are drawn: that one lies within bounds, or that a number made of all those of a column does.
///
/// ```swift
/// let heavy = CellEvent.cell(row: 12, step: 1, in: 4_000 ... .infinity)
/// let total = CellEvent.column(1, in: 20_000 ... .infinity) { $0.reduce(0, +) }
/// let drawn = try chain.sample(200, given: [heavy, total])
/// ```
public struct CellEvent: Sendable {
  enum Subject: Sendable {
    case cell(row: Int, step: Int)
    case column(Int, @Sendable ([Double]) -> Double)
  }
  let subject: Subject
  let range: ClosedRange<Double>

  /// A number that is drawn, by its row and the step that draws it.
  public static func cell(row: Int, step: Int, in range: ClosedRange<Double>) -> CellEvent {
    CellEvent(subject: .cell(row: row, step: step), range: range)
  }

  /// A number made of all values that a step draws, row by row.
  public static func column(
    _ step: Int, in range: ClosedRange<Double>, _ number: @escaping @Sendable ([Double]) -> Double
  ) -> CellEvent {
    CellEvent(subject: .column(step, number), range: range)
  }
}

extension TableChain {
  /// Draws `count` times among the draws that meet conditions, and in proportion to the density of cells that were given while others
  /// of their rows are drawn before them.
  ///
  /// As `Posterior.sample(_:at:given:)`: a note says how many were drawn, or how many equal ones they are worth. What is expected is of
  /// the draws that are kept.
  ///
  /// - Throws: as `sample(_:)`; `InferenceError.input` where too few draws meet the conditions to say anything, or a condition is of a
  ///   cell that is not drawn.
  public func sample(
    _ count: Int, given conditions: [CellEvent], seed: UInt64 = 0, plan: PlanTemplate = .sequential,
    flopLimit: Double = Posterior.flopLimit, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> Drawn {
    guard count > 0, !conditions.isEmpty || isWeighing else {
      return try sample(count, seed: seed, plan: plan, flopLimit: flopLimit, progress: progress)
    }
    var found = Conditioning(count)
    var last: Drawn?
    while let number = found.next() {
      var seeds = RandomStream(seed: seed, .evaluation, UInt64(found.drawn))
      let (drawn, logWeights) = try draws(
        number, seed: found.drawn == 0 ? seed : seeds.nextUInt64(), plan: plan, flopLimit: flopLimit)
      let tests = try conditions.map { try test($0, drawn.cells) }
      found.add(drawn.paths, logWeights: logWeights) { path in tests.allSatisfy { $0(path) } }
      last = drawn
      progress?(min(Int(found.effective), count))
    }
    let (paths, note) = try found.result(seed: seed)
    guard let last else { throw InferenceError.input("nothing was drawn") }
    let expected = last.cells.enumerated().map { place, cell in
      let values = paths.map { $0[place] }
      guard let levels = steps[cell.step].levels else {
        return [values.reduce(0, +) / Double(values.count)]
      }
      return (0..<levels).map { level in
        Double(values.count { Int($0) == level }) / Double(values.count)
      }
    }
    return Drawn(
      cells: last.cells, paths: paths, expected: expected, notes: last.notes + [note.description])
  }

  private func test(_ condition: CellEvent, _ cells: [Cell]) throws -> @Sendable ([Double]) -> Bool {
    let range = condition.range
    switch condition.subject {
    case .cell(let row, let step):
      guard let place = cells.firstIndex(of: Cell(row: row, step: step)) else {
        throw InferenceError.input("a condition is of a cell that is not drawn")
      }
      return { range.contains($0[place]) }
    case .column(let step, let number):
      let places = cells.indices.filter { cells[$0].step == step }
      return { path in range.contains(number(places.map { path[$0] })) }
    }
  }
}
