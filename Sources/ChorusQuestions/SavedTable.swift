import ChorusData
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusStorage
import ChorusTables
import ChorusTensors

/// A table that was read once and kept in a file, to be asked about further rows later.
///
/// It holds the rows themselves, to the bit, what each column is and what is asked of them: with that, answers have the bytes of asking
/// the table directly. Estimators are fitted again when it is asked, since cells that are given then count as rows. It depends on the
/// rows kept alone, and belongs to one model, and where a target is a category to the network of classes that was beside it. Tables of
/// earlier versions, and others without such a network, have their categories said by estimators alone.
package struct SavedTable: Sendable {
  static let format = "chorus-table-1"
  /// With a network of classes: an earlier version, which would not ask it, refuses the file.
  static let formatWithClasses = "chorus-table-2"
  /// With known errors of rows, which an earlier version would not read: it refuses the file.
  static let formatWithErrors = "chorus-table-3"

  /// What the file says of itself beside the cells.
  private struct Header: Codable, Sendable {
    var model: String
    var fingerprint: String
    /// The network that is asked of categories, beside the model.
    var classes: Network?
    var source: String
    var columns: [Column]
    package var targets: [String]
    /// nil: all other columns.
    var inputs: [String]?
    /// The column with the known error of each row's target; nil for none.
    var error: String?
    var least: Double?
    var most: Double?
    /// nil: numbers need not be whole.
    var whole: Bool?
    /// The column that tells groups apart; nil for one table of all rows.
    var group: String?
    /// The groups, in the order of their first rows.
    var labels: [String]?
  }

  private struct Network: Codable, Sendable {
    var model: String
    var fingerprint: String

    init(_ model: Model) throws { (self.model, fingerprint) = (model.name, try model.fingerprint) }
  }

  private struct Column: Codable, Sendable {
    var name: String
    /// number, category, unused, or how dates are written.
    var kind: String
    var levels: [String]?
    /// Why it is not used.
    var reason: String?

    init(_ column: TableFrame.Column) {
      name = column.name
      switch column.kind {
      case .number: kind = "number"
      case .category(let levels): (kind, self.levels) = ("category", levels)
      case .unused(let reason): (kind, self.reason) = ("unused", reason)
      case .date(let notation): kind = ContextCard.word(.calendar(notation))
      }
    }

    var frameKind: TableFrame.Column.Kind? {
      switch kind {
      case "number": .number
      case "category": levels.map { .category($0) }
      case "unused": .unused(reason ?? "left out")
      default: ContextCard.kind(kind)?.notation.map { .date($0) }
      }
    }
  }

  /// What errors call it.
  package let path: String
  /// nil: all other columns.
  package var inputs: [String]? { header.inputs }
  private let header: Header
  package let frame: TableFrame
  /// Its rows by groups, of which each is a table; nil where all rows are one.
  package let groups: Groups?

  package var limits: ClosedRange<Double>? {
    header.least == nil && header.most == nil
      ? nil : (header.least ?? -.infinity)...(header.most ?? .infinity)
  }
  package var isWhole: Bool { header.whole ?? false }
  package var targets: [String] { header.targets }
  /// The column with the known error of each row's target; nil for none.
  package var error: String? { header.error }

  /// Reads the file at `path`; nil where it is one of another kind.
  ///
  /// - Throws: `StorageError` where it cannot be read or is not as it was written.
  package init?(path: String) throws { try self.init(Safetensors(path: path)) }

  /// What was read of a file; nil where it is one of another kind.
  ///
  /// - Throws: `StorageError` where it is not as it was written.
  init?(_ content: Safetensors) throws {
    guard
      let file = try KeptFile(
        content, formats: [Self.format, Self.formatWithClasses, Self.formatWithErrors],
        description: "table",
        of: "the table in its metadata")
    else { return nil }
    path = content.file
    let header = try file.header(Header.self)
    let names = header.columns.map(\.name)
    guard !names.isEmpty, names.count <= TableFrame.mostColumns, Set(names).count == names.count,
      header.least ?? -.infinity < header.most ?? .infinity
    else { throw file.malformed("its columns or bounds contradict each other") }
    guard (header.classes != nil) == (file.format == Self.formatWithClasses),
      (header.error != nil) == (file.format == Self.formatWithErrors)
    else {
      throw file.malformed("its version and its models contradict each other")
    }
    let rows = (content["cells"]?.count ?? 0) / names.count
    let cells = try content.doubles("cells", shape: [names.count, rows])
    let groups = try Self.groups(header, rows, file)
    guard content.unused(after: groups == nil ? ["cells"] : ["cells", "groups"]).isEmpty,
      !cells.contains(where: \.isInfinite)
    else {
      throw file.malformed("it holds arrays or cells that no table has")
    }
    let columns = try header.columns.enumerated().map { index, column in
      let values = Array(cells[index * rows..<(index + 1) * rows])
      guard let kind = column.frameKind else {
        throw file.malformed("column '\(column.name)' is of no known kind")
      }
      if case .category(let levels) = kind {
        guard Set(levels).count == levels.count,
          values.allSatisfy({ $0.isNaN || Int(exactly: $0).map(levels.indices.contains) ?? false })
        else { throw file.malformed("column '\(column.name)' has levels that it does not name") }
      }
      return TableFrame.Column(name: column.name, kind: kind, values: values)
    }
    self.header = header
    self.groups = groups
    frame = TableFrame(source: header.source, columns: columns, rowCount: rows)
  }

  /// The groups of a file's rows, -1 where a row has none; nil without groups.
  private static func groups(_ header: Header, _ rows: Int, _ file: KeptFile) throws -> Groups? {
    guard let column = header.group, let labels = header.labels else { return nil }
    let places = try file.content.integers("groups", shape: [rows]).map { Int($0) }
    let groups = Groups(
      ofRows: places.map { labels.indices.contains($0) ? labels[$0] : nil }, column: column,
      source: header.source)
    // Only labels that rows have, each once and in the order of their first rows, are written.
    guard !labels.isEmpty, groups.labels == labels, zip(places, groups.ofRow).allSatisfy({ $0 == $1 ?? -1 })
    else { throw file.malformed("its groups and its rows contradict each other") }
    return groups
  }

  /// A table to be kept.
  ///
  /// - Parameters:
  ///   - inputs: names; nil for all other columns.
  ///   - error: the column with the known error of each row's target.
  ///   - groups: of the job's rows, each of which is to be a table.
  ///   - name: what errors call it.
  package init(
    _ job: TableJob, model: Model, targets: [String], inputs: [String]?, error: String? = nil,
    groups: Groups? = nil,
    limits: ClosedRange<Double>?, whole: Bool, name: String
  ) throws {
    func end(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
    frame = job.frame
    self.groups = groups
    path = name
    // A network that no target asks is none of the table's.
    let beside = model.blueprint.family == .table && job.hasCategories ? model.ofCategories : nil
    header = Header(
      model: model.name, fingerprint: try model.fingerprint, classes: try beside.map(Network.init),
      source: frame.source, columns: frame.columns.map(Column.init), targets: targets, inputs: inputs,
      error: error, least: end(limits?.lowerBound), most: end(limits?.upperBound),
      whole: whole ? true : nil, group: groups?.column, labels: groups?.labels)
  }

  private init(_ header: Header, _ frame: TableFrame, _ groups: Groups?, path: String) {
    var header = header
    header.columns = frame.columns.map(Column.init)
    header.labels = groups?.labels
    (self.header, self.frame, self.groups, self.path) = (header, frame, groups, path)
  }

  /// Writes the table, whole or not at all.
  package func write(to path: String) throws {
    var writer = SafetensorsWriter(metadata: [
      "format": header.error != nil
        ? Self.formatWithErrors : header.classes == nil ? Self.format : Self.formatWithClasses,
      "table": try JSON.encode(header),
    ])
    try writer.add(
      "cells", shape: [frame.columns.count, frame.rowCount], doubles: frame.columns.flatMap(\.values))
    if let groups {
      try writer.add("groups", shape: [frame.rowCount], integers: groups.ofRow.map { Int64($0 ?? -1) })
    }
    try writer.write(to: path)
  }

  /// The table with further rows, which may be of groups that it has not yet.
  package func appending(_ further: Table) throws -> SavedTable {
    if let error { try TableJob.check(further: error, of: targets, in: further) }
    return try SavedTable(
      header, frame.appending(TableJob.framed(further, [:], like: frame)), groups?.appending(further),
      path: path)
  }

  /// Some of the rows, in that order; what the columns are stays as it was found.
  package func rows(_ picked: [Int]) -> SavedTable {
    SavedTable(header, frame.rows(picked), groups?.picking(picked), path: path)
  }

  /// The rows themselves, of which none is asked for.
  package var job: TableJob {
    get throws {
      try TableJob(
        frame, at: nil, targets: header.targets, inputs: header.inputs, error: header.error,
        aside: groups?.column)
    }
  }

  /// The rows themselves, group by group.
  package func jobs(of whole: TableJob) throws -> [(group: String?, job: TableJob)] {
    try groups.map { try TableJobs.split(whole, $0, at: nil) } ?? [(nil, whole)]
  }

  /// What further rows are asked for.
  package func job(at further: Table) throws -> TableJob {
    try TableJob(
      frame, at: further, targets: header.targets, inputs: header.inputs, error: header.error,
      aside: groups?.column)
  }

  /// The model that it was kept for, with the network of classes that was beside it.
  ///
  /// - Parameter name: the name or path of either; nil for the shipped ones that the file names.
  package func model(_ name: String?, precision: Precision = .f32) throws -> Model {
    let given = try name.map { try Model(named: $0, precision: precision) }
    guard let classes = header.classes else {
      return try fitting(given ?? shipped(header.model, header.fingerprint, precision))
    }
    let isOfClasses = given?.blueprint.family == .classes
    let (numbers, beside) = isOfClasses ? (nil, given) : (given, nil)
    return try fitting(
      (numbers ?? shipped(header.model, header.fingerprint, precision))
        .with(ofCategories: beside ?? shipped(classes.model, classes.fingerprint, precision)))
  }

  /// A model that comes with Chorus. A stranger may have written the file: a path in it is never opened.
  private func shipped(_ name: String, _ fingerprint: String, _ precision: Precision) throws -> Model {
    guard ModelLocation.shipped.contains(name) else {
      throw ModelError.missing(
        "\(path): the table was kept for model '\(name)', which is not one that comes with Chorus; give the model's file with --model (fingerprint \(fingerprint.prefix(12)))"
      )
    }
    guard let file = ModelLocation.shipped(name) else {
      throw ModelError.missing(
        "\(path): the table was kept for model '\(name)', whose weights are not at hand; name their folder by CHORUS_WEIGHTS, or their file by --model"
      )
    }
    return try Model(path: file, precision: precision)
  }

  /// The name of the network of classes that it was kept for; nil without.
  package var classesName: String? { header.classes?.model }

  /// The model as the table is asked by it, where it is the one that the table was kept for: what else is beside it is left.
  ///
  /// - Throws: `InferenceError.input` for another one.
  package func fitting(_ model: Model) throws -> Model {
    guard try model.has(fingerprint: header.fingerprint) else {
      throw another(header.model, header.fingerprint, model.name, "Give that model")
    }
    guard let classes = header.classes else {
      return model.blueprint.family == .table ? try model.with(ofCategories: nil) : model
    }
    guard let beside = model.ofCategories, try beside.has(fingerprint: classes.fingerprint) else {
      throw another(
        classes.model, classes.fingerprint, model.ofCategories?.name,
        "Give that network of classes, which is asked of categories")
    }
    return model
  }

  private func another(
    _ name: String, _ fingerprint: String, _ other: String?, _ advice: String
  ) -> InferenceError {
    let found = other.map { "'\($0)' is another one" } ?? "it is not there"
    return .input(
      "\(path): the table was kept for model '\(name)' (\(fingerprint.prefix(12))), and \(found). \(advice), or condition anew."
    )
  }
}
