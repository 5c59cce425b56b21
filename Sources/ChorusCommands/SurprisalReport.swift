import ChorusLanguage
import ChorusReports
import ChorusTables
import Foundation

/// What schemes gain with context, as rows and as a picture.
struct SurprisalReport {
  let curves: [SurprisalCurve]
  let tolerances: [Double]

  /// Context lengths at which ranks are told: 1, 2, 3, 4, 6, 8, 12, 16, … and the longest.
  private static func lengths(_ contexts: Int) -> [Int] {
    var lengths: Set<Int> = [contexts]
    var length = 1
    while length <= contexts {
      lengths.insert(length)
      if length > 1, length + length / 2 <= contexts { lengths.insert(length + length / 2) }
      length *= 2
    }
    return lengths.sorted()
  }

  func write(_ format: TableFormat) throws {
    let writer = try RowWriter(
      columns: ["scheme", "context", "measure", "value", "standard_error"], format: format,
      to: .standardOutput)
    for curve in curves {
      func row(_ context: Int?, _ measure: String, _ value: Double?, _ error: Double? = nil) throws {
        guard let value else { return }
        try writer.write([
          .text(curve.scheme.rawValue), context.map { .integer($0) } ?? .missing, .text(measure),
          .number(value), error.map { .number($0) } ?? .missing,
        ])
      }
      let ranked = Set(Self.lengths(curve.contexts))
      for context in 1...curve.contexts {
        let nats = curve.surprisal(context)
        let (change, signed) = (curve.change(context), curve.signedChange(context))
        try row(context, "nats", nats.value, nats.error)
        try row(context, "change", change?.value, change?.error)
        try row(context, "signed_change", signed?.value, signed?.error)
        guard ranked.contains(context) else { continue }
        try row(context, "bound", Double(curve.bound(context)))
        for (index, tolerance) in tolerances.enumerated() {
          let rank = Double(curve.rank(context, tolerance: tolerance))
          try row(context, "rank_\(tolerance)", rank)
          if index == 0, let change, change.value > 0 { try row(context, "efficiency", rank / change.value) }
        }
      }
      if let fit = curve.powerLaw { try row(nil, "power_law", fit.slope, fit.explained) }
      if let fit = curve.exponential { try row(nil, "exponential", fit.slope, fit.explained) }
      let own = SchemeCost(curve.scheme, contexts: curve.contexts)
      let others = [
        ("refining", SchemeCost(.sequential, contexts: curve.contexts)),
        ("one_pass", SchemeCost(onePass: curve.contexts)),
      ]
      for (name, count) in [
        ("iterations", \SchemeCost.iterations), ("encodes", \.encodes), ("reads", \.reads),
      ] {
        try row(nil, name, Double(own[keyPath: count]))
        for (other, cost) in others {
          try row(nil, "\(name)_of_\(other)", Double(own[keyPath: count]) / Double(cost[keyPath: count]))
        }
      }
    }
    try writer.finish()
  }

  /// The three panels B, C and D of the paper's figure.
  var figure: Figure {
    let names: [Scheme: String] = [.sequential: "every token", .hierarchical: "windows", .lags: "lags"]
    func panel(
      _ title: String, _ axis: Axis, _ series: (SurprisalCurve, String, Series.Colour) -> [Series]
    ) -> Chart {
      Chart(
        title: title, x: Axis("context", unit: "tokens", includesZero: true), y: axis,
        series: curves.enumerated().flatMap { index, curve in
          series(curve, names[curve.scheme] ?? "", .palette(index))
        }, height: 300)
    }
    func efficiency(_ curve: SurprisalCurve, _ context: Int) -> Double? {
      curve.change(context).flatMap { change in
        tolerances.first.map { Double(curve.rank(context, tolerance: $0)) / change.value }
      }
    }
    let share = tolerances.first.map { "above \($0) of the largest" } ?? ""
    return Figure(
      title: "What each step of context changes",
      charts: [
        panel("Change of surprisal", Axis("mean |ΔS|", unit: "nats", scale: .log10)) { curve, name, colour in
          let contexts = (2...curve.contexts).filter { curve.change($0) != nil }
          let changes = contexts.compactMap { curve.change($0) }
          let x = contexts.map(Double.init)
          return [
            .band(
              x: x, lower: changes.map { $0.value - $0.error }, upper: changes.map { $0.value + $0.error },
              colour: colour),
            .line(name, x: x, y: changes.map(\.value), colour: colour),
          ]
        },
        panel("Rank", Axis("singular values \(share)", scale: .log10)) { curve, name, colour in
          let contexts = Self.lengths(curve.contexts)
          let x = contexts.map(Double.init)
          let ranks = contexts.map { Double(curve.rank($0, tolerance: tolerances.first ?? 0.01)) }
          return [
            .law("", x: x, y: contexts.map { Double(curve.bound($0)) }),
            .line(name, x: x, y: ranks, colour: colour),
          ]
        },
        panel("Efficiency", Axis("rank by change", unit: "1/nat", scale: .log10)) { curve, name, colour in
          let contexts = Self.lengths(curve.contexts).filter { efficiency(curve, $0) != nil }
          return [
            .line(
              name, x: contexts.map(Double.init), y: contexts.compactMap { efficiency(curve, $0) },
              colour: colour)
          ]
        },
      ], columns: 3,
      caption:
        "\(curves.first?.nats.count ?? 0) target tokens; bands are standard errors over them. Windows and "
        + "lags double. Dashed: the most that the rank can be.", width: 1100)
  }
}
