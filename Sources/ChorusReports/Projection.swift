import Foundation

/// An axis with its range: data to a fraction of the axis, and the ticks.
struct Projection: Sendable {
  let axis: Axis
  /// The values at the ends.
  let range: ClosedRange<Double>
  /// Of a linear axis with very large or small values.
  let unit: (factor: Double, text: String?)
  private let low: Double
  private let span: Double

  var isLogarithmic: Bool { axis.scale == .log10 }

  /// - Parameters:
  ///   - extent: of the data; may be empty.
  ///   - padding: room beyond the data at each end, as a fraction of its range.
  init(_ axis: Axis, _ extent: Extent, padding: Double) {
    self.axis = axis
    var extent = extent
    if axis.includesZero, axis.scale != .log10 { extent.add(0) }
    for tick in axis.ticks ?? [] { extent.add(tick) }
    range = Self.range(axis, extent, padding)
    unit = axis.scale == .linear && axis.ticks == nil ? Ticks.unit(range) : (1, nil)
    let isLog = axis.scale == .log10
    low = isLog ? log10(range.lowerBound) : range.lowerBound
    span = (isLog ? log10(range.upperBound) : range.upperBound) - low
  }

  private static func range(_ axis: Axis, _ extent: Extent, _ padding: Double) -> ClosedRange<Double> {
    if case .categories(let names) = axis.scale { return -0.5...max(0.5, Double(names.count) - 0.5) }
    let isLog = axis.scale == .log10
    if let bounds = axis.bounds, Extent.isWide(bounds.lowerBound, bounds.upperBound),
      !isLog || bounds.lowerBound > 0,
      max(abs(bounds.lowerBound), abs(bounds.upperBound)) < Extent.reach
    {
      return bounds
    }
    guard !extent.isEmpty else { return isLog ? 1...10 : 0...1 }
    let (low, high) = (extent.low, extent.high)
    if isLog {
      guard high > low * (1 + 1e-9) else { return low / 2...high * 2 }
      let room = pow(high / low, padding)
      return low / room...high * room
    }
    guard Extent.isWide(low, high) else {
      // Constant: a range in which ticks differ in the digits shown.
      let size = max(abs(low), abs(high))
      let room = axis.scale == .date ? 1 : size > 1e-140 ? 0.1 * size : 1
      return low - room...high + room
    }
    let room = (high - low) * padding
    // Bars and the like stand on the axis.
    let bottom = axis.includesZero && low == 0 ? 0 : low - room
    let top = axis.includesZero && high == 0 ? 0 : high + room
    return bottom...top
  }

  /// 0 at the lower end, 1 at the upper; nil for what can not be drawn. Values outside the range are beyond 0 and 1,
  /// by no more than 10.
  func callAsFunction(_ value: Double) -> Double? {
    guard abs(value) < Extent.reach, !isLogarithmic || value > 0 else { return nil }
    return min(max(((isLogarithmic ? log10(value) : value) - low) / span, -10), 11)
  }

  /// About `count` ticks.
  func ticks(count: Int) -> [Tick] {
    if let own = axis.ticks {
      return own.filter { range.contains($0) }.map {
        Tick(value: $0, label: NumberFormat.short($0, digits: 4))
      }
    }
    switch axis.scale {
    case .linear: return Ticks.linear(range, count: count, unit: unit.factor)
    case .log10: return Ticks.logarithmic(range, count: count)
    case .date: return CalendarTicks.ticks(range, count: count)
    case .categories(let names): return names.enumerated().map { Tick(value: Double($0), label: $1) }
    }
  }

  /// The ticks of a horizontal axis `length` pixels long: as many as stand side by side.
  func ticks(along length: Double, size: Double) -> [Tick] {
    if case .categories(let names) = axis.scale {
      let slot = length / Double(max(names.count, 1))
      let every = max(1, Int((size * 2.2 / slot).rounded(.up)))
      return ticks(count: 0).enumerated().filter { $0.offset % every == 0 }.map {
        Tick(
          value: $1.value,
          label: TextMetrics.shortened($1.label, to: slot * Double(every) - size * 0.6, size: size))
      }
    }
    var count = max(2, Int(length / (size * 4.6)))
    var ticks = ticks(count: count)
    while count > 1, collide(ticks, length, size) {
      count -= 1
      ticks = self.ticks(count: count)
    }
    if collide(ticks, length, size) { ticks = thinned(ticks, length, size) }
    return withoutCrowdedContext(ticks, length, size)
  }

  private func place(_ tick: Tick, _ length: Double) -> Double { (self(tick.value) ?? 0) * length }

  private func collide(_ ticks: [Tick], _ length: Double, _ size: Double) -> Bool {
    zip(ticks, ticks.dropFirst()).contains { one, other in
      let gap = place(other, length) - place(one, length)
      let width = { (tick: Tick) in TextMetrics.width(tick.label, size: size) }
      return gap < (width(one) + width(other)) / 2 + size * 0.8
    }
  }

  /// Leaves out labels, not ticks, that would run into the one before.
  private func thinned(_ ticks: [Tick], _ length: Double, _ size: Double) -> [Tick] {
    var end = -Double.infinity
    return ticks.map { tick in
      let half = TextMetrics.width(tick.label, size: size) / 2
      guard place(tick, length) - half > end else { return Tick(value: tick.value, label: "") }
      end = place(tick, length) + half + size * 0.6
      return tick
    }
  }

  /// The second lines are wider than the first and follow each other where a range begins late in a year.
  private func withoutCrowdedContext(_ ticks: [Tick], _ length: Double, _ size: Double) -> [Tick] {
    var ticks = ticks
    var next = Double.infinity
    for index in ticks.indices.reversed() {
      guard let context = ticks[index].context else { continue }
      let half = TextMetrics.width(context, size: size) / 2
      if place(ticks[index], length) + half + size * 0.6 > next {
        ticks[index].context = nil
      } else {
        next = place(ticks[index], length) - half
      }
    }
    return ticks
  }

  /// The title with its unit.
  var title: String {
    let parts = [unit.text.map { axis.unit.isEmpty ? "×" + $0 : $0 }, axis.unit.isEmpty ? nil : axis.unit]
    let bracket = parts.compactMap { $0 }.joined(separator: " ")
    if axis.title.isEmpty { return bracket }
    return bracket.isEmpty ? axis.title : "\(axis.title) (\(bracket))"
  }
}
