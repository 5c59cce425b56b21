import ChorusData
import Foundation

/// All that a blueprint's tellers say of a row: what the first one tells; of a row with its value how far that lies from what was
/// said; what the others tell.
struct RowLayout: Sendable {
  /// Numbers that tell how far a value lies from what was said: a quarter of the distance, in the unit, and half the logarithm of
  /// its size.
  static let judged = 2
  private static let mostDistance = 8.0
  /// Where each teller's numbers begin, of a row without its value.
  let places: [Int]

  init(_ tellers: [any RowTeller]) {
    var next = 0
    places = tellers.map { teller in
      defer { next += teller.features }
      return next
    }
    first = tellers.first?.features ?? 0
  }

  private let first: Int

  /// Where a teller's numbers begin.
  func place(_ teller: Int, judged: Bool) -> Int {
    places[teller] + (judged && teller > 0 ? Self.judged : 0)
  }

  /// The surer of two units, the first one where they are as sure.
  static func surer(_ a: Scaling.Unit?, _ b: Scaling.Unit?) -> Scaling.Unit? {
    guard let a, let b else { return a ?? b }
    return b.scale < a.scale ? b : a
  }

  /// Writes how far a value lies from what was said.
  func judge(_ value: Float, _ unit: Scaling.Unit, into row: UnsafeMutablePointer<Float>) {
    let distance = min(max(unit.scaled(Double(value)), -Self.mostDistance), Self.mostDistance)
    row[first] = Float(distance / 4)
    row[first + 1] = Float(log(abs(distance) + 0.05) / 2)
  }
}

extension Scaling.Unit {
  /// That of a row of which nobody says anything.
  static let plain = Scaling.Unit(origin: 0, scale: 1)
}

/// A context as the tellers of a blueprint see it. Immutable, shared by threads.
package struct ToldContext: Sendable {
  private let tellers: [any RowTeller]
  private let layout: RowLayout
  private let rows: NetworkRows
  let parts: [any RowTellerContext]
  package var count: Int { rows.count }

  /// nil where nobody tells anything of rows.
  package init?(_ hints: Hints, _ rows: NetworkRows, _ fits: HintFits) {
    let tellers = hints.tellers
    guard !tellers.isEmpty else { return nil }
    self.init(tellers, rows, tellers.map { $0.read(rows, fits) })
  }

  private init(_ tellers: [any RowTeller], _ rows: NetworkRows, _ parts: [any RowTellerContext]) {
    (self.tellers, self.rows, self.parts) = (tellers, rows, parts)
    layout = RowLayout(tellers)
  }

  /// With further rows, which then come last, or (`removing`) without rows like these, one for each.
  package func changed(by some: NetworkRows, removing: Bool) -> ToldContext {
    let changed = removing ? rows.removing(some) : rows.appending(some)
    return ToldContext(
      tellers, changed, parts.map { $0.changed(to: changed, by: some, removing: removing) })
  }

  /// Writes what the other rows say of those in `range`, `[range, width]`.
  package func tell(_ range: Range<Int>, into out: UnsafeMutablePointer<Float>, width: Int) {
    var units = [Scaling.Unit?](repeating: nil, count: range.count)
    for (index, part) in parts.enumerated() {
      let said = part.tell(range, into: out + layout.place(index, judged: true), pitch: width)
      for place in units.indices { units[place] = RowLayout.surer(units[place], said[place]) }
    }
    for (place, row) in range.enumerated() {
      layout.judge(rows.y[row], units[place] ?? .plain, into: out + place * width)
    }
  }

  /// Looks at inputs that are asked for, `[inputs, dimensions]`.
  package func asked(_ x: [Float]) -> ToldInputs { ToldInputs(parts: parts.map { $0.asked(x) }) }
}

/// Inputs of a request as the tellers see them. Immutable, shared by threads.
package struct ToldInputs: Sendable {
  /// nil for a teller that says nothing of any.
  let parts: [(any RowTellerInputs)?]
}

/// What the tellers keep of some paths. Belongs to one thread at a time.
package final class ToldPaths {
  private let tellers: [any RowTeller]
  private let layout: RowLayout
  private let rows: PathRows
  let parts: [any RowTellerPaths]

  /// nil where nobody tells anything of rows.
  ///
  /// - Parameter inputDimensions: the most inputs that a row has.
  package init?(_ hints: Hints, paths: Int, capacity: Int, inputDimensions: Int) {
    tellers = hints.tellers
    guard !tellers.isEmpty else { return nil }
    layout = RowLayout(tellers)
    let rows = PathRows(paths: paths, capacity: capacity, inputDimensions: inputDimensions)
    self.rows = rows
    parts = tellers.map { $0.paths(rows) }
  }

  /// Keeps a committed row: the input of that number, `x` `[dimensions]`, and its value.
  package func keep(
    input: Int, _ x: UnsafePointer<Float>, dimensions: Int, _ value: Float, path: Int, slot: Int
  ) {
    rows.keep(x, value, path: path, slot: slot, dimensions: dimensions)
    for part in parts { part.keep(input: input, value, path: path, slot: slot) }
  }

  /// Writes what is said of a row by those that it reads.
  ///
  /// - Parameter value: of a committed row, whose distance from what was said is then told too.
  /// - Returns: what to predict it in.
  package func tell(
    _ row: RowRead, _ context: ToldContext, _ inputs: ToldInputs, value: Float? = nil,
    into out: UnsafeMutablePointer<Float>
  ) -> Scaling.Unit {
    var unit: Scaling.Unit?
    for (index, part) in parts.enumerated() {
      let own = out + layout.place(index, judged: value != nil)
      guard let asked = inputs.parts[index] else {
        own.update(repeating: 0, count: tellers[index].features)
        continue
      }
      unit = RowLayout.surer(unit, part.tell(row, context.parts[index], asked, into: own))
    }
    if let value { layout.judge(value, unit ?? .plain, into: out) }
    return unit ?? .plain
  }
}
