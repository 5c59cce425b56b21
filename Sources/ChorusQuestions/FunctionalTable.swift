import ChorusData
import ChorusInference
import ChorusTables
import Foundation

/// The distributions of functionals: two rows for each, from joint draws and from independent ones.
package struct FunctionalTable {
  package let functionals: [Functional]
  package let levels: [Double]
  package let inputs: Inputs
  package let kinds: [ColumnKind]
  private let digits: Digits

  /// - Parameter levels: of quantiles.
  package init(
    functionals: [Functional], levels: [Double], inputs: Inputs, kinds: [ColumnKind], digits: Digits = .all
  ) {
    (self.functionals, self.levels, self.inputs, self.kinds) = (functionals, levels, inputs, kinds)
    self.digits = digits
  }

  /// The numbers named in an option, which may be absent. Inputs that a number is of are read by ``resolved(_:kind:)``.
  package static func functionals(_ option: String?) throws -> [Functional] {
    try (option?.split(separator: ",", omittingEmptySubsequences: false) ?? []).map { part in
      let name = part.trimmingCharacters(in: .whitespaces)
      guard let functional = Functional(written: name) else {
        throw QuestionError(
          "--functional: '\(name)' is none of \(Functional.forms.joined(separator: ", "))")
      }
      return functional
    }
  }

  /// The same with the inputs that they are of read as what a column holds.
  ///
  /// - Throws: `TableError` for one that is no number, or no date, where the column holds such.
  package static func resolved(_ functionals: [Functional], kind: ColumnKind, of column: String) throws
    -> [Functional]
  {
    func place(_ written: Functional.Place) throws -> Functional.Place {
      let point = try GridSpecification.parse(
        written.text, dimensions: 1, kinds: [kind], limit: 1, option: "--functional")
      try PointKinds.check(
        point.axes[0].kind, of: column, holding: kind, in: "--functional", what: "point")
      return Functional.Place(point.points[0], text: written.text)
    }
    return try functionals.map { functional in
      guard case .between(let first, let last) = functional else { return functional }
      return .between(first: try place(first), last: try place(last))
    }
  }

  /// Refuses numbers that are of points that are not asked for.
  ///
  /// - Parameter inputs: the first input of each point.
  package static func check(_ functionals: [Functional], at inputs: [Double], file: String) throws {
    for functional in functionals {
      guard let place = functional.missing(from: inputs) else { continue }
      throw QuestionError(
        "--functional: '\(functional)' is of \(place.text), which is none of the points to predict of \(file); ask for it too"
      )
    }
  }

  package static func columns(levels: [Double]) -> [String] {
    ["functional", "draws", "paths", "share", "share_se", "mean", "mean_se", "sd", "sd_se"]
      + levels.flatMap { ["q\($0)", "q\($0)_se"] } + ["note"]
  }

  /// A row of the table.
  package struct Row {
    package let functional: Functional
    package let draws: String
    package let summary: FunctionalSummary
    package let values: [Double]
  }

  /// - Parameter independent: nil for a model that draws no value on its own.
  package func rows(joint: [[Double]], independent: [[Double]]?) -> [Row] {
    let first = (0..<inputs.count).map { inputs.values[$0 * inputs.dimensions] }
    let draws = [("joint", joint)] + (independent.map { [("independent", $0)] } ?? [])
    return functionals.flatMap { functional in
      draws.map { name, paths in
        let values = functional.values(of: paths, at: first)
        return Row(
          functional: functional, draws: name, summary: FunctionalSummary(values, levels: levels),
          values: values)
      }
    }
  }

  /// A row but for its note.
  package func cells(_ row: Row) -> [Cell] {
    let summary = row.summary
    func number(_ value: Double) -> Cell { .number(digits.rounded(value, width: summary.deviation.value)) }
    func share(_ value: Double) -> Cell { .number(digits.probability(value)) }
    // An input is written as it was read; errors and deviations of dates are in days.
    func place(_ value: Double) -> Cell {
      row.functional.isInput && value.isFinite ? .value(value, kinds[0]) : number(value)
    }
    return [
      .text(row.functional.description), .text(row.draws), .integer(summary.count),
      share(summary.share.value), share(summary.share.error), place(summary.mean.value),
      number(summary.mean.error), number(summary.deviation.value), number(summary.deviation.error),
    ] + summary.quantiles.flatMap { [place($0.value), number($0.error)] }
  }
}
