// What implements a function of a C header has its name.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CChorus
import ChorusData
import ChorusInference

/// Bounds of a value at an input, or of a number made of all values.
struct Known: Sendable {
  private enum Subject: Sendable {
    case input([Double])
    case number(Functional)
  }
  private let subject: Subject
  let range: ClosedRange<Double>

  /// - Parameters:
  ///   - place: which of all it is, in words.
  ///   - columns: how many numbers an input has.
  init(_ known: chorus_known, place: Int, columns: Int) throws(CallError) {
    guard known.least <= known.most else {
      throw .usage("of what is known \(place), the least, \(known.least), is above the most, \(known.most)")
    }
    range = known.least...known.most
    let isExact = known.least == known.most
    if let input = known.input {
      let values = Array(UnsafeBufferPointer(start: input, count: columns))
      guard values.allSatisfy(\.isFinite), !isExact || known.least.isFinite else {
        throw CallError(
          code: CHORUS_DATA, "of what is known \(place), an input or the value is not a finite number")
      }
      subject = .input(values)
      return
    }
    let name = known.number.map { String(cString: $0) } ?? ""
    guard let functional = Functional(parsing: name), !functional.isInput else {
      throw .usage("of what is known \(place), '\(name)' is none of sum, mean, max, min, difference")
    }
    guard !isExact else {
      throw .usage("of what is known \(place), no path meets \(name) = \(known.least) exactly; give bounds")
    }
    if functional.needsOrder, columns > 1 {
      throw .usage("'\(functional)' goes along one input column and there are \(columns)")
    }
    subject = .number(functional)
  }

  /// Whether it is a value that is known, as good as an observed row.
  var isRow: Bool { range.lowerBound == range.upperBound }
  var input: [Double] { if case .input(let input) = subject { input } else { [] } }

  /// As a condition on paths through `inputs`.
  func event(at inputs: Inputs) -> PathEvent {
    switch subject {
    case .input(let input): return .row(input, in: range)
    case .number(let functional):
      let first = (0..<inputs.count).map { inputs[$0].first ?? 0 }
      return .path(in: range) { functional.values(of: [$0], at: first)[0] }
    }
  }
}

@c @implementation public func chorus_given(
  _ posterior: OpaquePointer?, _ known: UnsafePointer<chorus_known>?, _ count: Int32,
  _ options: UnsafePointer<chorus_options>?, _ informed: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  answering {
    guard let informed else { throw CallError.usage("no place for the posterior is given") }
    informed.pointee = nil
    let (asked, options) = (try PosteriorHandle.of(posterior), try Options(options))
    guard let known, (1...1000).contains(count) else {
      throw CallError.usage("\(count) things are known, of 1 to 1000, or the pointer is NULL")
    }
    let given = Array(UnsafeBufferPointer(start: known, count: Int(count)))
    let columns = asked.members.lazy.compactMap { try? $0.get().columns }.first ?? 1
    let all = try given.enumerated().map { try Known($1, place: $0, columns: columns) }
    let members = try options.each(asked.members.count, on: asked.model) { context in
      try asked.members[context].get().knowing(all)
    }
    informed.pointee = PosteriorHandle(members, asked.model).opaque()
    return members.map { notes($0) { $0.notes } }
  }
}
