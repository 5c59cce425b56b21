import ChorusData
import ChorusInference
import ChorusTables
import Foundation

/// Something known of values that are not observed, as it was written, taken apart.
package struct KnownStatement: Sendable {
  package enum Relation: String, CaseIterable, Sendable {
    case atLeast = ">="
    case atMost = "<="
    case above = ">"
    case below = "<"
    case equal = "="
  }
  /// The names of numbers made of all points.
  package static let numbers = ["sum", "mean", "max", "min", "difference"]

  package let text: String
  package let subject: String
  package let relation: Relation
  /// What stands behind the relation: a number, or the level of a category.
  package let object: String

  package init(_ text: String) throws {
    self.text = text
    // The longer ones first: >= holds a >.
    guard
      let (relation, place) = Relation.allCases.compactMap({ relation in
        text.firstRange(of: relation.rawValue).map { (relation, $0) }
      }).min(by: { $0.1.lowerBound < $1.1.lowerBound })
    else {
      throw QuestionError(
        "--given: '\(text)' has no =, > or <; write 2026-03-01=120, 2026-06-01>100 or sum>1000")
    }
    subject = text[..<place.lowerBound].trimmingCharacters(in: .whitespaces)
    self.relation = relation
    object = text[place.upperBound...].trimmingCharacters(in: .whitespaces)
    guard !subject.isEmpty else { throw QuestionError("--given: '\(text)' names no point") }
    guard !object.isEmpty else { throw QuestionError("--given: '\(text)' says no value") }
    if relation != .equal { _ = try value }
    if relation == .equal, functional != nil {
      throw QuestionError(
        "--given: '\(text)' has no path that meets it exactly; give bounds, as \(subject)>\(object)")
    }
  }

  /// The number behind the relation. Throws `QuestionError` where it is none.
  package var value: Double {
    get throws(QuestionError) {
      guard let value = Double(object), value.isFinite else {
        throw QuestionError("--given: '\(object)' in '\(text)' is not a number")
      }
      return value
    }
  }

  package var functional: Functional? {
    Self.numbers.contains(subject) ? Functional(parsing: subject) : nil
  }

  package var range: ClosedRange<Double> {
    get throws(QuestionError) {
      let value = try value
      return switch relation {
      case .above: value.nextUp ... .infinity
      case .atLeast: value ... .infinity
      case .below: -.infinity...value.nextDown
      case .atMost: -.infinity...value
      case .equal: value...value
      }
    }
  }
}

/// Rows that are as good as observed, and bounds.
package struct Known: Sendable {
  package struct Bound: Sendable {
    enum Subject: Sendable {
      case point([Double])
      case functional(Functional)
    }
    let subject: Subject
    let range: ClosedRange<Double>
  }
  package let rows: Dataset?
  package let bounds: [Bound]

  /// What statements say of the points of a selection; nil where there are none.
  package init?(
    _ statements: [KnownStatement], of selection: Selection, at points: Inputs, columns: [Column],
    target: Column
  ) throws {
    guard !statements.isEmpty else { return nil }
    var (pins, values, bounds) = ([Double](), [Double](), [Known.Bound]())
    for statement in statements {
      if let functional = statement.functional {
        bounds.append(Bound(subject: .functional(functional), range: try statement.range))
        continue
      }
      let dimensions = selection.dimensions - selection.covariates
      let point = try GridSpecification.parse(
        statement.subject, dimensions: dimensions, kinds: Array(selection.kinds.prefix(dimensions)), limit: 1,
        option: "--given")
      for (axis, (name, kind)) in zip(point.axes, zip(selection.inputs, selection.kinds)) {
        try PointKinds.check(axis.kind, of: name, holding: kind, in: "--given", what: "point")
      }
      if selection.covariates > 0 {
        // Its other columns are those of the point.
        guard let place = (0..<points.count).first(where: { points[$0].first == point.points.first }) else {
          throw QuestionError(
            "--given: '\(statement.text)' is of no point that is asked for, so its columns beside time are not known; ask for it too, or put it into the file"
          )
        }
        guard statement.relation != .equal else {
          pins += points[place]
          values.append(try statement.value)
          continue
        }
        bounds.append(Bound(subject: .point(Array(points[place])), range: try statement.range))
      } else if statement.relation == .equal {
        pins += point.points
        values.append(try statement.value)
      } else {
        bounds.append(Bound(subject: .point(point.points), range: try statement.range))
      }
    }
    rows =
      values.isEmpty
      ? nil
      : try Dataset(
        inputs: Inputs(pins, dimensions: selection.dimensions), y: values, inputColumns: columns,
        outputColumn: target)
    self.bounds = bounds
  }

  /// As conditions on paths through `inputs`.
  package func conditions(at inputs: Inputs) -> [PathEvent] {
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
