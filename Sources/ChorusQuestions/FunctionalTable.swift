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

  /// - Parameter levels: of quantiles.
  package init(functionals: [Functional], levels: [Double], inputs: Inputs, kinds: [ColumnKind]) {
    (self.functionals, self.levels, self.inputs, self.kinds) = (functionals, levels, inputs, kinds)
  }

  /// The numbers named in an option, which may be absent.
  package static func functionals(_ option: String?) throws -> [Functional] {
    try (option?.split(separator: ",", omittingEmptySubsequences: false) ?? []).map { part in
      let name = part.trimmingCharacters(in: .whitespaces)
      guard let functional = Functional(parsing: name) else {
        throw QuestionError(
          "--functional: '\(name)' is none of \(Functional.forms.joined(separator: ", "))")
      }
      return functional
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
    // An input is written as it was read; errors and deviations of dates are in days.
    func place(_ value: Double) -> Cell {
      row.functional.isInput && value.isFinite ? .value(value, kinds[0]) : .number(value)
    }
    return [
      .text(row.functional.description), .text(row.draws), .integer(summary.count),
      .number(summary.share.value),
      .number(summary.share.error), place(summary.mean.value), .number(summary.mean.error),
      .number(summary.deviation.value), .number(summary.deviation.error),
    ] + summary.quantiles.flatMap { [place($0.value), .number($0.error)] }
  }
}
