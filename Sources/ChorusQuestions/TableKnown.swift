import ChorusData
import ChorusInference
import ChorusTables

/// What `--given` says of a table's cells: those that are pinned, and conditions on those that are drawn.
struct TableKnown {
  private(set) var pins: [TableChain.Pin] = []
  private(set) var conditions: [CellEvent] = []

  /// A statement of one cell, as `12.species=Adelie`, taken apart.
  private struct OfCell {
    let number: Int
    let column: String
  }

  /// What statements say of a table; of cells of rows that it has.
  ///
  /// - Throws: `QuestionError` for what is no statement of a table, `InferenceError` for one that the table has no place for.
  init(_ statements: [KnownStatement], of job: TableJob, _ steps: [TableChain.Step]) throws {
    for statement in statements {
      if let functional = statement.functional {
        conditions.append(try Self.condition(statement, functional, job, steps))
        continue
      }
      let cell = try Self.cell(statement)
      guard let row = job.asked.first(where: { job.numbers[$0] == cell.number }) else { continue }
      guard let column = job.frame.column(cell.column), let place = job.place(of: cell.column) else {
        throw InferenceError.input(
          "--given: '\(statement.text)': \(job.frame.source) has no column '\(cell.column)' that is used; it has: "
            + job.usedColumns.prefix(20).joined(separator: ", "))
      }
      guard job.cells[row, place].isNaN else {
        throw InferenceError.input(
          "--given: '\(statement.text)': row \(cell.number) has a value of '\(cell.column)'; only a missing cell can be given"
        )
      }
      guard statement.relation == .equal else {
        conditions.append(
          .cell(row: row, step: try Self.step(statement, column, place, steps), in: try statement.range))
        continue
      }
      pins.append(.init(row: row, column: place, value: try Self.value(statement, column)))
    }
  }

  /// Refuses statements of rows that none of the tables asks for.
  static func check(_ statements: [KnownStatement], _ jobs: [TableJob]) throws {
    let numbers = Set(jobs.flatMap { job in job.asked.map { job.numbers[$0] } })
    for statement in statements where statement.functional == nil {
      let number = try cell(statement).number
      guard numbers.contains(number) else {
        throw InferenceError.input(
          "--given: '\(statement.text)': no row \(number) is asked for; rows are numbered as in the output, from \(numbers.min() ?? 1) to \(numbers.max() ?? 1)"
        )
      }
    }
  }

  private static func cell(_ statement: KnownStatement) throws -> OfCell {
    let parts = statement.subject.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let number = Int(parts[0]), !parts[1].isEmpty else {
      throw QuestionError(
        "--given: '\(statement.text)' names no cell; write ROW.COLUMN=VALUE, as 12.species=Adelie or 12.mass>4000, or a bound of a number made of all rows, as sum>1000"
      )
    }
    return OfCell(number: number, column: String(parts[1]))
  }

  private static func value(_ statement: KnownStatement, _ column: TableFrame.Column) throws -> Double {
    switch column.kind {
    case .category(let levels):
      guard let level = levels.firstIndex(of: statement.object) else {
        throw InferenceError.input(
          "--given: '\(statement.text)': '\(statement.object)' is no level of '\(column.name)'; it has: "
            + levels.prefix(20).joined(separator: ", "))
      }
      return Double(level)
    case .date:
      throw InferenceError.input(
        "--given: '\(statement.text)': '\(column.name)' is a date; write it into the row of --at-file")
    case .number, .unused: return try statement.value
    }
  }

  /// The step that draws the number that bounds are of.
  private static func step(
    _ statement: KnownStatement, _ column: TableFrame.Column, _ place: Int, _ steps: [TableChain.Step]
  ) throws -> Int {
    guard let step = steps.firstIndex(where: { $0.column == place }) else {
      throw InferenceError.input(
        "--given: '\(statement.text)': '\(column.name)' is no target, so it is not drawn; give its value by ="
      )
    }
    guard column.kind == .number else {
      throw InferenceError.input(
        "--given: '\(statement.text)': '\(column.name)' is a category, which has no order; give its level by ="
      )
    }
    return step
  }

  private static func condition(
    _ statement: KnownStatement, _ functional: Functional, _ job: TableJob, _ steps: [TableChain.Step]
  ) throws -> CellEvent {
    guard !functional.needsOrder else {
      throw QuestionError(
        "--given: '\(statement.text)': '\(functional)' goes along an input, and rows of a table have no order"
      )
    }
    let numbers = steps.indices.filter { job.column(steps[$0]).kind == .number }
    guard numbers.count == 1 else {
      throw InferenceError.input(
        "--given: '\(statement.text)' is of one target of numbers, and there are \(numbers.count)")
    }
    return .column(numbers[0], in: try statement.range) { functional.values(of: [$0], at: [])[0] }
  }
}
