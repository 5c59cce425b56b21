import ChorusData
import ChorusInference
import ChorusModels

/// What has read the rows of a function or a series: all at once, or, of a series with more than the model reads at once, in windows
/// of which the one around a point answers it, as in the program.
struct RowsRead<Part: Conditionable>: Sendable {
  /// What tells of the rows as a whole, and answers alone where there are no windows.
  let main: Part
  /// Words about the window that `main` has read.
  let notes: [Note]
  private let windows: SectionedPosterior<Part>?

  /// All rows, read at once.
  init(_ main: Part) { (self.main, notes, windows) = (main, [], nil) }

  private init(_ windows: SectionedPosterior<Part>, asked: Inputs? = nil) throws {
    main = try asked.map { try windows.main(at: $0) } ?? windows.newest()
    (notes, self.windows) = (windows.notes(at: asked), windows)
  }

  /// - Parameters:
  ///   - columns: how many columns are known beside time.
  ///   - asked: points that will be asked for, if they are known.
  ///   - read: reads rows, those near to such points first where they are too many and no series.
  init(
    _ model: Model, _ data: Dataset, columns: Int = 0, asked: Inputs?,
    read: @escaping @Sendable (Dataset, Inputs?) throws -> Part
  ) throws {
    if let windows = SectionedPosterior(model, data, covariates: columns, read: { try read($0, nil) }) {
      try self.init(windows, asked: asked)
    } else {
      self.init(try read(data, asked))
    }
  }

  /// What answers at any point.
  var answering: any Conditionable { if let windows { windows } else { main } }

  /// How many rows were given, where `main` has read a part of them.
  var count: Int? { windows?.count }

  /// Words about the windows that answer some points.
  func notes(at inputs: Inputs) -> [Note] { windows?.notes(at: inputs) ?? [] }

  /// What is kept in a file: the rows as a whole, the latest of them where they are too many.
  func kept() throws -> Part { try windows?.whole() ?? main }

  /// The same with further rows.
  ///
  /// - Parameter extended: what becomes of what has read rows when it takes in those.
  func appending(_ more: Dataset, _ extended: (Part) throws -> Part) throws -> RowsRead {
    guard let windows else { return RowsRead(try extended(main)) }
    return try RowsRead(windows.appending(more, extended))
  }

  /// The same with rows that are read as if they had been there from the first.
  ///
  /// - Parameter extended: what becomes of what has read rows when it reads those too.
  func rereading(_ more: Dataset, _ extended: (Part) throws -> Part) throws -> RowsRead {
    guard let windows else { return RowsRead(try extended(main)) }
    return try RowsRead(windows.rereading(more))
  }
}
