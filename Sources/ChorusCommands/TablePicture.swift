import ChorusInference
import ChorusQuestions
import ChorusReports
import ChorusTables

/// A picture of what a table's missing cells were drawn as. Of one row that is asked: the numbers' histograms, those of a number split by
/// the level that was drawn with it. Of several: the numbers' intervals, row by row, and the levels' probabilities.
struct TablePicture {
  let job: TableJob
  let steps: [TableChain.Step]
  let drawn: TableChain.Drawn

  private static let bins = 24

  func figure() -> Figure {
    let rows = Set(drawn.cells.map(\.row))
    let charts = steps.indices.map { step in
      let places = drawn.cells.indices.filter { drawn.cells[$0].step == step }
      if case .category(let names) = job.column(steps[step]).kind { return levels(step, places, names) }
      return rows.count == 1 ? histogram(step, places) : intervals(step, places)
    }
    let what = rows.count == 1 ? "row \(rows.first.map { job.numbers[$0] } ?? 0)" : "\(rows.count) rows"
    return Figure(
      title: "\(steps.map { job.column($0).name }.joined(separator: ", ")) of \(what)", charts: charts,
      columns: min(charts.count, 2))
  }

  private func rowAxis(_ rows: Int) -> Axis {
    var axis = Axis("row asked, in order")
    if rows <= 12 { axis.ticks = (0..<rows).map { Double($0 + 1) } }
    return axis
  }

  private var note: String { "\(drawn.paths.count) draws" }

  /// Probabilities of the levels, a group of bars for each row.
  private func levels(_ step: Int, _ places: [Int], _ names: [String]) -> Chart {
    let name = job.column(steps[step]).name
    let width = 0.8 / Double(max(names.count, 1))
    let series = names.enumerated().map { level, label in
      Series(
        label,
        .bars(
          places.enumerated().map { index, place in
            let left = Double(index) + 0.6 + width * Double(level)
            return Series.Bar(left, left + width, value: drawn.expected[place][level])
          }, horizontal: false), colour: .palette(level), opacity: 0.75)
    }
    return Chart(
      title: name, subtitle: "probabilities",
      summary: places.prefix(20).map { place in
        "Row \(job.numbers[drawn.cells[place].row]): "
          + zip(names, drawn.expected[place]).map { "\($0) \(ChartNumber.text($1, digits: 2))" }.joined(
            separator: ", ")
      }.joined(separator: ". ") + ".",
      x: rowAxis(places.count), y: Axis("probability", bounds: 0...1), series: series, height: 300)
  }

  /// What was drawn of a number in the one row, beside the level of the first category that was drawn with it.
  private func histogram(_ step: Int, _ places: [Int]) -> Chart {
    let name = job.column(steps[step]).name
    let place = places[0]
    let draws = drawn.paths.map { $0[place] }
    let (low, high) = (draws.min() ?? 0, draws.max() ?? 1)
    let width = max(high - low, 1e-9 * max(abs(high), 1)) / Double(Self.bins)
    func bars(_ values: [Double]) -> Series.Mark {
      var counts = [Double](repeating: 0, count: Self.bins)
      for value in values { counts[min(Int((value - low) / width), Self.bins - 1)] += 1 }
      return .bars(
        counts.enumerated().map {
          Series.Bar(
            low + width * Double($0), low + width * Double($0 + 1), value: $1 / Double(draws.count))
        }, horizontal: false)
    }
    var series = [Series(name, bars(draws), colour: .palette(0), opacity: 0.6)]
    let beside = drawn.cells.indices.first {
      drawn.cells[$0].row == drawn.cells[place].row && steps[drawn.cells[$0].step].levels != nil
    }
    if let beside, case .category(let names) = job.column(steps[drawn.cells[beside].step]).kind {
      series = names.enumerated().compactMap { level, label in
        let own = drawn.paths.filter { Int($0[beside]) == level }.map { $0[place] }
        return own.isEmpty ? nil : Series(label, bars(own), colour: .palette(level), opacity: 0.6)
      }
    }
    let mean = draws.reduce(0, +) / Double(max(draws.count, 1))
    return Chart(
      title: name, subtitle: note,
      summary:
        "Draws from \(ChartNumber.text(low)) to \(ChartNumber.text(high)), mean \(ChartNumber.text(mean)).",
      x: Axis(name), y: Axis("share of draws", includesZero: true), series: series, height: 300)
  }

  private func intervals(_ step: Int, _ places: [Int]) -> Chart {
    let name = job.column(steps[step]).name
    let quantiles = places.map { place in
      Posterior.Samples.quantiles(of: drawn.paths.map { $0[place] }, [0.05, 0.25, 0.5, 0.75, 0.95])
    }
    let x = places.indices.map { Double($0 + 1) }
    func intervals(_ low: Int, _ high: Int) -> Series.Mark {
      .intervals(zip(x, quantiles).map { Series.Interval($0, low: $1[low], high: $1[high]) })
    }
    return Chart(
      title: name, subtitle: note,
      summary: zip(places, quantiles).prefix(20).map { place, own in
        "Row \(job.numbers[drawn.cells[place].row]): \(ChartNumber.text(own[2])), "
          + "\(ChartNumber.text(own[0])) to \(ChartNumber.text(own[4]))"
      }.joined(separator: ". ") + ".",
      x: rowAxis(places.count), y: Axis(name),
      series: [
        Series("90 %", intervals(0, 4), colour: .palette(0), opacity: 0.5),
        Series("50 %", intervals(1, 3), colour: .palette(0)),
        .points("median", x: x, y: quantiles.map { $0[2] }, colour: .ink),
      ], height: 300)
  }
}
