import ArgumentParser
import ChorusData
import ChorusInference
import ChorusTables
import Foundation

/// What is known of values that the file does not have: `--given`.
struct GivenOptions: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      """
      Something known, as often as wanted: a value (2026-03-01=120), a bound of one (2026-06-01>100), or of a number made of all \
      points asked for (sum>1000; \(GivenOptions.numbers.joined(separator: ", "))).
      """, valueName: "point=value|point>value|sum>value"))
  var given: [String] = []

  static let numbers = ["sum", "mean", "max", "min", "difference"]

  /// A statement as it was written, taken apart.
  struct Statement {
    enum Relation: String, CaseIterable {
      case atLeast = ">="
      case atMost = "<="
      case above = ">"
      case below = "<"
      case equal = "="
    }
    let text: String
    let subject: String
    let relation: Relation
    let value: Double

    init(_ text: String) throws {
      self.text = text
      // The longer ones first: >= holds a >.
      guard
        let (relation, place) = Relation.allCases.compactMap({ relation in
          text.firstRange(of: relation.rawValue).map { (relation, $0) }
        }).min(by: { $0.1.lowerBound < $1.1.lowerBound })
      else {
        throw ValidationError(
          "--given: '\(text)' has no =, > or <; write 2026-03-01=120, 2026-06-01>100 or sum>1000")
      }
      subject = text[..<place.lowerBound].trimmingCharacters(in: .whitespaces)
      self.relation = relation
      let number = text[place.upperBound...].trimmingCharacters(in: .whitespaces)
      guard let value = Double(number), value.isFinite else {
        throw ValidationError("--given: '\(number)' in '\(text)' is not a number")
      }
      self.value = value
      guard !subject.isEmpty else { throw ValidationError("--given: '\(text)' names no point") }
      if relation == .equal, functional != nil {
        throw ValidationError(
          "--given: '\(text)' has no path that meets it exactly; give bounds, as \(subject)>\(number)")
      }
    }

    var functional: Functional? {
      GivenOptions.numbers.contains(subject) ? Functional(parsing: subject) : nil
    }

    var range: ClosedRange<Double> {
      switch relation {
      case .above: value.nextUp ... .infinity
      case .atLeast: value ... .infinity
      case .below: -.infinity...value.nextDown
      case .atMost: -.infinity...value
      case .equal: value...value
      }
    }
  }

  func validate() throws { _ = try statements }

  private var statements: [Statement] { get throws { try given.map(Statement.init) } }

  /// What is known of the points of a selection; nil where nothing is.
  func known(of selection: Selection, columns: [Column], target: Column) throws -> Known? {
    guard !given.isEmpty else { return nil }
    var (pins, values, bounds) = ([Double](), [Double](), [Known.Bound]())
    for statement in try statements {
      if let functional = statement.functional {
        bounds.append(Known.Bound(subject: .functional(functional), range: statement.range))
        continue
      }
      let point = try GridSpecification.parse(
        statement.subject, dimensions: selection.dimensions, kinds: selection.kinds, limit: 1,
        option: "--given")
      for (axis, (name, kind)) in zip(point.axes, zip(selection.inputs, selection.kinds)) {
        try PointKinds.check(axis.kind, of: name, holding: kind, in: "--given", what: "point")
      }
      if statement.relation == .equal {
        pins += point.points
        values.append(statement.value)
      } else {
        bounds.append(Known.Bound(subject: .point(point.points), range: statement.range))
      }
    }
    let rows =
      values.isEmpty
      ? nil
      : try Dataset(
        inputs: Inputs(pins, dimensions: selection.dimensions), y: values, inputColumns: columns,
        outputColumn: target)
    return Known(rows: rows, bounds: bounds)
  }

  /// Rows that are as good as observed, and bounds.
  struct Known: Sendable {
    struct Bound: Sendable {
      enum Subject: Sendable {
        case point([Double])
        case functional(Functional)
      }
      let subject: Subject
      let range: ClosedRange<Double>
    }
    let rows: Dataset?
    let bounds: [Bound]

    /// As conditions on paths through `inputs`.
    func conditions(at inputs: Inputs) -> [PathEvent] {
      let first = (0..<inputs.count).map { inputs[$0].first ?? 0 }
      return bounds.map { bound in
        switch bound.subject {
        case .point(let point): .row(point, in: bound.range)
        case .functional(let functional):
          .path(in: bound.range) { functional.values(of: [$0], at: first)[0] }
        }
      }
    }
  }
}
