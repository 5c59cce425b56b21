import ArgumentParser
import ChorusInference
import ChorusModels
import ChorusQuestions
import ChorusStorage
import ChorusTables
import Foundation

struct Condition: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "condition",
    abstract: "Read the rows of a file once and keep what the model made of them.",
    discussion: """
      The rows with inputs and target are encoded and written to a file, which chorus predict --context asks as often \
      as wanted: with the same answers as from the rows, bit for bit on the same machine. It belongs to one model, by \
      a checksum of its weights, and keeps columns, units and dates.

      With --append the rows of FILE join a context that was encoded before, whose other rows are not read again: a \
      small part of the work, and close to what reading all rows would say. Columns, units and the model are those of \
      that context.

      Of a series with more rows than the model reads at once the latest are kept, which is said.

      A context reveals the data: the rows can be read back from it. Share it as you would share the file.

      Without --input and --target the columns are found as in chorus predict, and told on stderr.

      A table (as in chorus predict: a target or an input of texts, more than three inputs, --model tables or --as) is \
      kept as it was read, with what its columns are, its targets and bounds; chorus predict --context asks it for the \
      rows of --at-file. Where a target is a category it belongs to the model classes as well, unless --model names \
      another: tables leaves categories to estimators. With --group each group of its rows is a table by itself.

      Of several series, told apart by --group or with a column each (--wide, or found as in chorus predict), each is \
      encoded and kept by itself in the one file; rows of --append join the series that they are of.
      """)

  @Argument(help: "A file of rows: CSV, TSV, JSON lines, .npy or .npz, each also as .gz; or - for stdin.")
  var file: String

  @Option(help: ArgumentHelp("Input columns, separated by commas.", valueName: "col[,col]"))
  var input: String?

  @Option(help: ArgumentHelp("The column to predict.", valueName: "col"))
  var target: String?

  @Option(
    help: ArgumentHelp(
      "Add the rows to this context, encoded before; the answer goes to --output.",
      valueName: "context.safetensors"))
  var append: String?

  @Option(
    help: ArgumentHelp("Where to write it, whole or not at all.", valueName: "context.safetensors"))
  var output: String

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "functions, gp, tables, classes, or a path to a .safetensors file. (default: functions; of a table, tables, and classes for categories; of a context, its own)",
      valueName: "model"))
  var givenModel: String?

  @Option(
    help: ArgumentHelp(
      "Units of columns; without, what a header like \"accel (g)\" has in brackets.",
      valueName: "col=unit[,col=unit]"))
  var units: String?

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp(
      "What columns of a table are, where that is not found right: number, category, or skip.",
      valueName: "col=kind[,col=kind]"))
  var asOption: String?

  @Option(
    name: .customLong("with"),
    help: ArgumentHelp(
      "Columns that are known beside time, as in chorus predict; the rows are kept, and read when they are asked.",
      valueName: "col[,col]"))
  var covariates: String?

  @Option(
    help: ArgumentHelp(
      "Keep a series, or a table, for each value of this column; nothing is learned of one from the others.",
      valueName: "col"))
  var group: String?

  @Flag(
    help: """
      Keep what the model made of the rows in 16 bits: a file of half the size, whose answers differ by a hundred-thousandth \
      of a nat a value or so.
      """)
  var half = false

  @OptionGroup var wide: WideOption

  @OptionGroup var errors: ErrorOption

  @OptionGroup var scale: ScaleOption

  @OptionGroup var precise: PrecisionOption

  @OptionGroup var reading: ReadingOptions

  @OptionGroup var common: WorkOptions

  func validate() throws {
    try TableJob.checkTold(asOption)
    guard append != nil else {
      _ = try outputs()
      return
    }
    let own = [
      ("--input", input), ("--target", target), ("--units", units), (scale.named ?? "--scale", scale.named),
      ("--as", asOption), ("--group", group), ("--error", errors.column), ("--with", covariates),
      ("--wide", wide.isTold ? "" : nil), ("--half", half ? "" : nil),
    ]
    if let more = own.first(where: { $0.1 != nil }) {
      throw ValidationError("--append has columns and units of its own; leave out \(more.0)")
    }
    _ = try outputs()
  }

  func outputs() throws -> Outputs {
    var outputs = Outputs(reading: ["FILE": file, "--append": append], model: givenModel)
    try outputs.add(tensors: "--output", output)
    return outputs
  }

  func run() throws {
    try reporting {
      guard let append else {
        if try keepsTable() { return }
        if try keepsSeries() { return }
        return try keepRows()
      }
      switch try SavedFile(path: append) {
      case .table(let saved):
        _ = try saved.model(givenModel)
        try keep(saved.appending(reading.rows(file).table()))
      case .contexts(let saved): try addRows(to: saved)
      case .series(let saved):
        throw InferenceError.input(
          "\(saved.path): a series with columns beside time is kept as its rows; make it anew with chorus condition and all rows"
        )
      case .context(let saved): try addRows(to: saved)
      }
    }
  }

  /// Adds the rows of the file to a context.
  private func addRows(to saved: SavedContext) throws {
    let (observations, posterior, card) = try appended(to: saved)
    for word in observations.words { common.say("note: \(word.text)") }
    let incomplete = observations.selection.incomplete.count
    if incomplete > 0 { common.say("note: \(incomplete) rows lack an input and were left out") }
    try keep(posterior, card, half: saved.isHalf)
  }

  /// Rows that are kept as they are have no precision: no network reads them now.
  private func refusePrecision() throws {
    guard !half else {
      throw ValidationError(
        "--half is of rows that a network has read, and these are kept as they are; leave it out")
    }
    guard precise.precision == .f32 else {
      throw ValidationError(
        "--precision: these rows are kept as they are and read when they are asked; give it to chorus predict --context"
      )
    }
  }

  /// Keeps the rows of a series with columns beside time, of which no network has read what they move.
  private func keepsSeries() throws -> Bool {
    guard let covariates else { return false }
    if group != nil || wide.isTold {
      throw ValidationError(
        "--with keeps one series; leave out \(group == nil ? "--wide" : "--group"), and keep each by itself")
    }
    try refusePrecision()
    let observations = try Observations(
      reading.rows(file), input: input, target: target, units: units,
      with: Observations.names(covariates), error: errors.column)
    let model = try Model(named: givenModel ?? "functions")
    try outputs().checkPlaces()
    // What cannot be asked is refused now.
    _ = try CovariatePosterior(
      model, observations.data, observations.covariates, values: scale.choice, limits: scale.limits,
      whole: scale.isWhole, on: common.pool)
    try SavedSeries(
      observations, model: model,
      SavedSeries.Settings(values: scale.choice, limits: scale.limits, isWhole: scale.isWhole)
    ).write(to: output)
    if let found = observations.found { common.say(found) }
    for word in observations.words { common.say("note: \(word.text)") }
    common.say(
      "\(observations.data.count) rows kept in \(output); it reveals them: share it as you would share the data"
    )
    return true
  }

  /// Keeps the rows of a table, where the command line or the file tells that it is one.
  private func keepsTable() throws -> Bool {
    let isTold =
      try asOption != nil || givenModel.map { try Model(named: $0).blueprint.readsTables } ?? false
    guard
      isTold || givenModel == nil && target != nil && file != "-" && covariates == nil
    else { return false }
    if !isTold, try !TableJob.mayBe(input: input, target: target, reading.rows(file)) { return false }
    let table = try reading.rows(file).table()
    let (targets, inputs) = (TableJob.names(target, in: table) ?? [], TableJob.names(input, in: table))
    guard try isTold || TableJob.isTable(table, targets, inputs, error: errors.column, group: group)
    else { return false }
    guard !targets.isEmpty else {
      throw InferenceError.input(
        "\(file): name the column to predict with --target; it has: "
          + table.columns.prefix(20).joined(separator: ", "))
    }
    for (option, isGiven) in [
      ("--wide", wide.isTold), ("--units", units != nil), ("--with", covariates != nil),
      ("--scale", scale.choice != .automatic && scale.choice != .raw),
    ] where isGiven {
      throw ValidationError("\(option) goes with a series, and \(file) is read as a table; leave it out")
    }
    let groups = try group.map { try Groups(table, $0, besides: targets + (inputs ?? [])) }
    let job = try TableJob(
      table, targets: targets, inputs: inputs, error: errors.column, as: TableJob.told(asOption),
      aside: group)
    try refusePrecision()
    let asked = try TableModel(givenModel, categories: job.hasCategories)
    if let words = asked.note { common.say("note: \(words)") }
    try keep(
      SavedTable(
        job, model: asked.model, targets: targets, inputs: inputs, error: errors.column, groups: groups,
        limits: scale.limits, whole: scale.isWhole, name: file))
    return true
  }

  private func keep(_ table: SavedTable) throws {
    let job = try table.job
    let steps = job.steps(limits: table.limits, whole: table.isWhole)
    let refusals = try table.jobs(of: job).map { $0.job.refusal(steps) }
    guard refusals.contains(nil) else {
      let words = (refusals.first ?? nil) ?? "no row has a group"
      throw InferenceError.input(
        "\(file): \(table.groups == nil ? "" : "no group has enough rows: ")\(words)")
    }
    try outputs().checkPlaces()
    try table.write(to: output)
    common.say(job.found(steps) + (table.groups.map { ", each '\($0.column)' by itself" } ?? ""))
    for words in job.words + [table.groups?.namelessWords].compactMap({ $0 }) { common.say("note: \(words)") }
    common.say(
      "\(job.cells.count) rows kept in \(output); it reveals them: share it as you would share the data")
  }

  /// The rows of the file behind those of a context, what the model made of them, and the card to keep with it.
  private func appended(to context: SavedContext) throws -> (Observations, Posterior, [String: String]) {
    let card = try ContextCard(context)
    precise.warn(common)
    let model =
      try givenModel.map { try Model(named: $0, precision: precise.precision) }
      ?? Asking.shipped(for: context, precision: precise.precision)
    try outputs().checkPlaces()
    let earlier = try context.posterior(model, on: common.pool)
    let inputs = context.inputColumns.map(\.name)
    let observations = try Observations(
      reading.rows(file), input: inputs.joined(separator: ","), target: context.outputColumn.name, fewest: 1)
    for (name, (kind, held)) in zip(inputs, zip(observations.selection.kinds, card.kinds)) {
      try PointKinds.check(kind, of: name, holding: held, in: file, what: "rows")
    }
    // What earlier rows were is kept rounded; where they end is not.
    let entries = ContextCard.entries(observations.selection, after: card.end)
    return (observations, try earlier.observing(more: observations.data), entries)
  }
}
