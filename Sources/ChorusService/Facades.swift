import ChorusData
import ChorusFiles
import ChorusInference
import ChorusModels
import ChorusPlans
import ChorusTables
import Foundation

/// Questions that bring their rows with them, in the forms of two other protocols. Nothing is kept.
struct StatelessQuestion: Sendable {
  let model: Model
  let data: Dataset
  let points: Inputs
  var template = PlanTemplate.auto
  var samples = 100
  var seed: UInt64 = 0

  /// Of reading the rows and drawing, by the plan for so many rows.
  func flops() throws -> Double {
    let (rows, work) = (data.count, model.network.rates)
    let plan = try template.resolve(
      context: max(rows, 1), targets: points.count,
      geometry: Plan.Geometry(inputs: points.values, dimensions: points.dimensions),
      capability: model.network.capability)
    return try Posterior.flops(toRead: rows, dimensions: data.dimensions, by: model)
      + plan.cost(paths: samples).work(work).total
  }

  func answer(flopLimit: Double) throws -> Posterior.Samples {
    try model.condition(on: data, asked: points).sample(
      samples, at: points, plan: template, seed: seed, flopLimit: flopLimit)
  }
}

extension Service {
  private func answers(
    _ questions: [StatelessQuestion], _ call: Call
  ) async throws -> [Posterior.Samples] {
    try check(
      points: questions.reduce(0) { $0 + $1.points.count },
      values: questions.reduce(0) { $0 + $1.points.count * $1.samples })
    let limit = settings.requestFlops
    let answers = try await work(
      call, cost: questions.reduce(0) { try $0 + $1.flops() }, deadline: nil
    ) { try questions.map { try $0.answer(flopLimit: limit) } }
    metrics.count(.paths, Double(questions.reduce(0) { $0 + $1.samples }))
    return answers
  }

  /// A body's JSON; of the Open Inference Protocol the bytes of tensors may follow it.
  private func object(_ body: [UInt8]) throws(ServiceError) -> JSON {
    guard body.count <= Incoming.jsonLimit else {
      throw ServiceError(413, "JSON has at most \(Incoming.jsonLimit >> 20) MiB")
    }
    let json: JSON
    do throws(JSONFault) { json = try JSON(parsing: body) } catch {
      throw ServiceError(400, error.description)
    }
    guard case .object = json else { throw ServiceError(400, "the body is JSON, but no object") }
    return json
  }

  private func model(_ name: String) throws(ServiceError) -> Model {
    guard let model = models[name] else {
      throw ServiceError(
        404, "there is no model '\(name.prefix(60))'; there are: \(modelNames.joined(separator: ", "))")
    }
    return model
  }

  /// A model that reads what these protocols send: values by their inputs.
  private func seriesModel(_ name: String) throws(ServiceError) -> Model {
    let model = try model(name)
    guard !model.blueprint.readsTables else {
      throw ServiceError(422, "model '\(name)' reads tables; keep one by POST /v1/contexts and ask that")
    }
    return model
  }

  // MARK: Open Inference Protocol

  func serverMetadata() -> ServiceResponse {
    ServiceResponse(
      200,
      .members([
        "name": .string("chorus"), "version": .string("1"),
        "extensions": .array([.string("binary_tensor_data")]),
      ]))
  }

  func modelMetadata(_ call: Call) throws -> ServiceResponse {
    _ = try model(call.id)
    func tensor(_ name: String, _ shape: [Int]) -> JSON {
      .members([
        "name": .string(name), "datatype": .string("FP64"), "shape": .array(shape.map(JSON.integer)),
      ])
    }
    return ServiceResponse(
      200,
      .members([
        "name": .string(call.id), "versions": .array([.string("1")]), "platform": .string("chorus"),
        "inputs": .array([tensor("x", [-1, -1]), tensor("y", [-1]), tensor("points", [-1, -1])]),
        "outputs": .array([
          tensor("paths", [-1, -1]), tensor("mean", [-1]),
          tensor("quantiles", [-1, Self.levels.count]),
        ]),
      ]))
  }

  func modelReady(_ call: Call) throws -> ServiceResponse {
    _ = try model(call.id)
    _ = try ready()
    return ServiceResponse(200, .members(["name": .string(call.id), "ready": .bool(true)]))
  }

  private static let levels = [0.05, 0.5, 0.95]

  /// Rows as tensors `x` `[N, D]` and `y` `[N]`, points as `points` `[K, D]`; one input needs no second dimension.
  func infer(_ call: Call) async throws -> ServiceResponse {
    let body = call.request.body
    var length = body.count
    if let text = call.request.headers["inference-header-content-length"] {
      guard let told = Int(text), (0...body.count).contains(told) else {
        throw ServiceError(400, "inference-header-content-length is not the length of a part of the body")
      }
      length = told
    }
    let (json, model) = (try object(Array(body[..<length])), try seriesModel(call.id))
    var bytes = body[length...]
    let tensors = try (json["inputs"]?.array ?? []).map { try Tensor($0, &bytes) }
    guard bytes.isEmpty else {
      throw ServiceError(422, "\(bytes.count) bytes after the JSON are of no tensor")
    }
    func tensor(_ name: String) throws(ServiceError) -> Tensor {
      guard let found = tensors.first(where: { $0.name == name }) else {
        throw ServiceError(422, "the tensor '\(name)' is missing; 'x', 'y' and 'points' are needed")
      }
      return found
    }
    let (x, y, points) = (try tensor("x"), try tensor("y"), try tensor("points"))
    let specs = [Ask.samples, Ask.seed, Ask.plan]
    let fields = try Fields(specs, query: "", json: json["parameters"].flatMap(Self.own))
    let question = StatelessQuestion(
      model: model,
      data: try Dataset(inputs: Inputs(x.values, dimensions: x.columns), y: y.values),
      points: try Inputs(points.values, dimensions: points.columns),
      template: try PlanTemplate(parsing: fields.text("plan") ?? "auto"),
      samples: fields.integer("samples") ?? 100, seed: fields.seed("seed") ?? 0)
    let samples = try await answers([question], call)[0]
    let count = question.points.count
    func output(_ name: String, _ shape: [Int], _ values: [Double]) -> JSON {
      .members([
        "name": .string(name), "datatype": .string("FP64"), "shape": .array(shape.map(JSON.integer)),
        "data": .array(values.map(JSON.double)),
      ])
    }
    let all = [
      output("paths", [samples.paths.count, count], samples.paths.flatMap { $0 }),
      output("mean", [count], samples.means),
      output("quantiles", [count, Self.levels.count], samples.quantiles(Self.levels).flatMap { $0 }),
    ]
    let wanted = (json["outputs"]?.array ?? []).compactMap { $0["name"]?.string }
    return ServiceResponse(
      200,
      .members([
        "model_name": .string(call.id), "model_version": .string("1"), "id": json["id"],
        "outputs": .array(
          all.filter { output in wanted.isEmpty || wanted.contains { $0 == output["name"]?.string } }),
      ]))
  }

  /// Parameters that clients send of their own accord say nothing here.
  private static func own(_ parameters: JSON) -> JSON? {
    guard case .object(let members) = parameters else { return nil }
    return .object(members.filter { $0.key != "binary_data_output" })
  }

  /// A tensor as JSON has it, or as bytes after the JSON.
  private struct Tensor {
    let name: String
    let values: [Double]
    /// Of the second dimension; 1 where there is none.
    let columns: Int

    /// - Parameter bytes: those of this tensor first, where it has some; they are taken.
    init(_ json: JSON, _ bytes: inout ArraySlice<UInt8>) throws(ServiceError) {
      let size: Int? =
        if case .number(let text) = json["parameters"]?["binary_data_size"] { Int(text) } else { nil }
      guard let name = json["name"]?.string, json["data"] != nil || size != nil else {
        throw ServiceError(422, "a tensor has a name, a shape, a datatype and data")
      }
      let shape = (json["shape"]?.array ?? []).compactMap {
        if case .number(let text) = $0 { Int(text) } else { nil }
      }
      var values: [Double] = []
      if let size {
        guard (0...bytes.count).contains(size),
          let read = Self.values(bytes.prefix(size), json["datatype"]?.string ?? "")
        else {
          throw ServiceError(
            422, "the bytes of tensor '\(name.prefix(60))' are no numbers of type FP64, FP32, INT64 or INT32")
        }
        (values, bytes) = (read, bytes.dropFirst(size))
      }
      guard size != nil || json["data"].map({ Self.flatten($0, into: &values) }) ?? false,
        (1...2).contains(shape.count), shape.allSatisfy({ $0 > 0 }),
        case (let product, let isTooLarge) = shape.reduce(
          (1, false),
          {
            let next = $0.0.multipliedReportingOverflow(by: $1)
            return (next.partialValue, $0.1 || next.overflow)
          }), !isTooLarge, product == values.count
      else {
        throw ServiceError(422, "the tensor '\(name.prefix(60))' has no numbers in a shape [N] or [N, D]")
      }
      (self.name, self.values, columns) = (name, values, shape.count == 2 ? shape[1] : 1)
    }

    /// Numbers as bytes, the least significant first; nil for what is none.
    private static func values(_ bytes: ArraySlice<UInt8>, _ type: String) -> [Double]? {
      let width = type.hasSuffix("64") ? 8 : 4
      guard bytes.count.isMultiple(of: width) else { return nil }
      let words = stride(from: bytes.startIndex, to: bytes.endIndex, by: width).map { start in
        bytes[start..<start + width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      }
      let values: [Double]
      switch type {
      case "FP64": values = words.map(Double.init(bitPattern:))
      case "FP32": values = words.map { Double(Float(bitPattern: UInt32($0))) }
      case "INT64": values = words.map { Double(Int64(bitPattern: $0)) }
      case "INT32": values = words.map { Double(Int32(bitPattern: UInt32($0))) }
      default: return nil
      }
      return values.allSatisfy(\.isFinite) ? values : nil
    }

    private static func flatten(_ json: JSON, into values: inout [Double]) -> Bool {
      switch json {
      case .number(let text):
        guard let value = Double(text) else { return false }
        values.append(value)
        return true
      case .array(let parts): return parts.allSatisfy { flatten($0, into: &values) }
      default: return false
      }
    }
  }

  // MARK: KServe's time series

  func forecastModels() -> ServiceResponse {
    ServiceResponse(
      200, .array(modelNames.filter { models[$0]?.blueprint.readsTables != true }.map(JSON.string)))
  }

  /// Series with a start and a frequency, each by itself.
  func forecast(_ call: Call) async throws -> ServiceResponse {
    let json = try object(call.request.body)
    let name = json["model"]?.string ?? ""
    let model = try seriesModel(name)
    guard let inputs = json["inputs"]?.array, !inputs.isEmpty else {
      throw ServiceError(422, "'inputs' has no series")
    }
    let options = try Fields(Self.forecastFields, query: "", json: json["options"] ?? .object([]))
    guard let horizon = options.integer("horizon") else {
      throw ServiceError(422, "'options' has no 'horizon'")
    }
    let levels = options.numbers("quantiles") ?? []
    guard levels.allSatisfy({ (0...1).contains($0) }) else {
      throw ServiceError(422, "'quantiles' must be levels between 0 and 1")
    }
    let series = try inputs.map { try ForecastSeries($0, horizon: horizon) }
    let samples = options.integer("samples") ?? 100
    let seed = options.seed("seed") ?? 0
    let questions = series.map {
      StatelessQuestion(model: model, data: $0.data, points: $0.points, samples: samples, seed: seed)
    }
    let answers = try await answers(questions, call)
    let contents = zip(series, answers).map { series, samples -> JSON in
      let quantiles = samples.quantiles(levels)
      return .members([
        "type": .string("univariate_time_series"), "name": .string(series.name),
        "mean_forecast": .array(samples.means.map(JSON.double)), "frequency": .string(series.frequency),
        "start_timestamp": .string(series.start),
        "quantiles": levels.isEmpty
          ? nil
          : .members(
            levels.enumerated().map { index, level in
              (JSON.double(level).text, .array(quantiles.map { JSON.double($0[index]) }))
            }),
      ])
    }
    let id = ContextDescription.newID()
    return ServiceResponse(
      200,
      .members([
        "id": .string(id), "created_at": .integer(Int(Date().timeIntervalSince1970)),
        "status": .string("completed"), "model": .string(name),
        "outputs": .array([
          .members([
            "type": .string("time_series_forecast"), "id": .string(id), "status": .string("completed"),
            "content": .array(contents),
          ])
        ]),
      ]))
  }

  private static let forecastFields = [
    FieldSpec("horizon", .integer(1...100_000), ""), Ask.quantiles, Ask.samples, Ask.seed,
  ]
}

/// One series of a forecast: values at even steps from a start on.
private struct ForecastSeries: Sendable {
  let name: String
  let frequency: String
  let data: Dataset
  let points: Inputs
  /// The first point, as dates are written.
  let start: String

  private static let steps = [
    "S": "1s", "second": "1s", "T": "1min", "minute": "1min", "H": "1h", "hour": "1h", "D": "1d", "day": "1d",
    "W": "1w", "week": "1w", "M": "1M", "month": "1M", "Q": "1q", "quarter": "1q", "Y": "1y", "year": "1y",
  ]

  init(_ json: JSON, horizon: Int) throws {
    let name = json["name"]?.string ?? ""
    func wrong(_ what: String) -> ServiceError { ServiceError(422, "series '\(name.prefix(60))': \(what)") }
    guard json["type"]?.string ?? "univariate_time_series" == "univariate_time_series" else {
      throw wrong("a series has one value at a time; send each of several by itself")
    }
    let frequency = json["frequency"]?.string ?? ""
    guard let step = Self.steps[frequency].flatMap({ Step($0) }) else {
      throw wrong("'frequency' must be one of \(Self.steps.keys.sorted().joined(separator: ", "))")
    }
    // What is missing in the middle of a series is null.
    let values = (json["series"]?.array ?? []).map { value -> Double? in
      if case .number(let text) = value { Double(text) } else { nil }
    }
    guard values.count(where: { $0 != nil }) >= 2, values.last.flatMap({ $0 }) != nil else {
      throw wrong("'series' needs at least two numbers, the last of which is its end")
    }
    let given = json["start_timestamp"]?.string ?? "1970-01-01T00:00:00"
    let begin = try GridSpecification.parse(given, limit: 1, option: "start_timestamp")
    guard let first = begin.points.first, let kind = begin.axes.first?.kind, kind.notation != nil else {
      throw wrong("'start_timestamp' is no date")
    }
    let spacing = Spacing(step, after: [first], kind: kind)
    let places = [first] + spacing.points(values.count - 1 + horizon, after: first)
    guard places.count == values.count + horizon else { throw wrong("it goes beyond the year 9999") }
    (self.name, self.frequency) = (name, frequency)
    let seen = values.indices.filter { values[$0] != nil }
    data = try Dataset(
      inputs: Inputs(seen.map { places[$0] }, dimensions: 1), y: seen.compactMap { values[$0] },
      inputColumns: [Column("time", isDate: true)], outputColumn: Column(name))
    points = try Inputs(Array(places[values.count...]), dimensions: 1)
    start = kind.text(places[values.count])
  }
}
