// What implements a function of a C header has its name.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CChorus
import ChorusData
import ChorusFiles
import ChorusInference
import ChorusLayers
import ChorusModels
import ChorusTables

@c @implementation public func chorus_open(
  _ name: UnsafePointer<CChar>?, _ threads: Int32, _ model: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  doing {
    guard let name, let model else { throw CallError.usage("no name or no place for the model is given") }
    guard (0...1024).contains(threads) else {
      throw CallError.usage("the number of threads is \(threads); give 0 for all processors, or up to 1024")
    }
    model.pointee = nil
    let folder = chorus_place().map { String(cString: $0).folderOfPath }
    let path = try ModelLocation.resolve(String(cString: name), beside: folder)
    model.pointee = ModelHandle(try Model(path: path), threads: threads == 0 ? nil : Int(threads)).opaque()
  }
}

@c @implementation public func chorus_describe(_ handle: UnsafeRawPointer?) -> UnsafePointer<CChar>? {
  var text: UnsafePointer<CChar>?
  _ = doing {
    let handle: Handle = try Handle.of(handle.map { OpaquePointer($0) }, as: "handle")
    text = try handle.described()
  }
  return text
}

@c @implementation public func chorus_condition(
  _ model: OpaquePointer?, _ rows: UnsafePointer<chorus_rows>?, _ options: UnsafePointer<chorus_options>?,
  _ posterior: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  answering {
    guard let posterior else { throw CallError.usage("no place for the posterior is given") }
    posterior.pointee = nil
    let (model, rows, options) = (try ModelHandle.of(model), try ObservedParts(rows), try Options(options))
    let contexts = rows.parts.contexts
    let asked = try options.asked.map { try PointParts($0, contexts: contexts) }
    let members = try options.each(contexts, on: model) { context in
      try Member(
        model.model, rows, context, options,
        asked: model.model.blueprint.readsTables ? nil : asked?.inputs(context), on: model.pool)
    }
    posterior.pointee = PosteriorHandle(members, model).opaque()
    return members.map { notes($0) { $0.notes } }
  }
}

@c @implementation public func chorus_condition_series(
  _ model: OpaquePointer?, _ rows: UnsafePointer<chorus_rows>?, _ errors: UnsafePointer<Double>?,
  _ options: UnsafePointer<chorus_options>?, _ posterior: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  answering {
    guard let posterior else { throw CallError.usage("no place for the posterior is given") }
    posterior.pointee = nil
    let (model, options) = (try ModelHandle.of(model), try Options(options))
    let rows = try ObservedParts(rows, errors: errors)
    let contexts = rows.parts.contexts
    let asked = try options.asked.map { try PointParts($0, contexts: contexts) }
    let members = try options.each(contexts, on: model) { context in
      try Member(series: model.model, rows, context, options, asked: asked?.inputs(context), on: model.pool)
    }
    posterior.pointee = PosteriorHandle(members, model).opaque()
    return members.map { notes($0) { $0.notes } }
  }
}

@c @implementation public func chorus_append(
  _ posterior: OpaquePointer?, _ rows: UnsafePointer<chorus_rows>?, _ options: UnsafePointer<chorus_options>?,
  _ longer: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  answering {
    guard let longer else { throw CallError.usage("no place for the posterior is given") }
    longer.pointee = nil
    let (asked, rows, options) = (
      try PosteriorHandle.of(posterior), try ObservedParts(rows), try Options(options)
    )
    let contexts = asked.members.count
    guard rows.parts.contexts == contexts else {
      throw CallError.usage("rows of \(rows.parts.contexts) contexts are given to a posterior of \(contexts)")
    }
    let members = try options.each(contexts, on: asked.model) { context in
      try asked.members[context].get().observing(rows, context)
    }
    longer.pointee = PosteriorHandle(members, asked.model).opaque()
    return members.map { notes($0) { $0.notes } }
  }
}

@c @implementation public func chorus_sample(
  _ posterior: OpaquePointer?, _ points: UnsafePointer<chorus_points>?, _ paths: Int64,
  _ options: UnsafePointer<chorus_options>?, _ levels: UnsafePointer<Double>?, _ levelCount: Int32,
  _ values: UnsafeMutablePointer<Double>?, _ means: UnsafeMutablePointer<Double>?,
  _ quantiles: UnsafeMutablePointer<Double>?, _ outside: UnsafeMutablePointer<Int32>?
) -> Int32 {
  answering {
    let asked = try PosteriorHandle.of(posterior)
    let contexts = asked.members.count
    let (points, options) = (try PointParts(points, contexts: contexts), try Options(options))
    guard (0...10_000_000).contains(paths) else {
      throw CallError.usage("the number of paths is \(paths); ask for 0 to 10000000")
    }
    let (count, levels) = (Int(paths), try levelArray(levels, levelCount))
    let (values, means, quantiles) = (Array2D(values), Array2D(means), Array2D(quantiles))
    let outside = Array2D(outside)
    // Fewer than were asked for meet what is known of them; the others are no paths.
    @Sendable func write(_ paths: [[Double]], _ before: Int, _ size: Int) {
      guard size > 0 else { return }
      for path in 0..<count {
        let place = before * count + path * size
        if paths.indices.contains(path) {
          values.write(paths[path], at: place)
        } else {
          values.write(repeatElement(.nan, count: size), at: place)
        }
      }
    }
    let results = try options.each(contexts, on: asked.model) { context in
      let (before, size) = (points.parts.before(context), points.parts[context].count)
      do {
        let member = try asked.members[context].get()
        if let classes = member.classes {
          guard means.base == nil, quantiles.base == nil else { throw Member.noNumber }
          write(try classes.paths(count, points, context, options), before, size)
          outside.write(repeatElement(0, count: size), at: before)
          return member.notes
        }
        let samples = try member.sample(count, points, context, options)
        write(samples.paths, before, size)
        means.write(samples.means, at: before)
        if quantiles.base != nil {
          quantiles.write(samples.quantiles(levels).joined(), at: before * levels.count)
        }
        outside.write(samples.outside.lazy.map { Int32($0.rawValue) }, at: before)
        return samples.notes.map(\.description) + (try member.beyond(points, context))
      } catch {
        values.write(repeatElement(.nan, count: size * count), at: before * count)
        means.write(repeatElement(.nan, count: size), at: before)
        quantiles.write(repeatElement(.nan, count: size * levels.count), at: before * levels.count)
        outside.write(repeatElement(0, count: size), at: before)
        throw error
      }
    }
    return results.map { notes($0) { $0 } }
  }
}

@c @implementation public func chorus_log_density(
  _ posterior: OpaquePointer?, _ points: UnsafePointer<chorus_points>?, _ values: UnsafePointer<Double>?,
  _ options: UnsafePointer<chorus_options>?, _ densities: UnsafeMutablePointer<Double>?
) -> Int32 {
  answering {
    let asked = try PosteriorHandle.of(posterior)
    let contexts = asked.members.count
    let (points, options) = (try PointParts(points, contexts: contexts), try Options(options))
    let values = try Source(values, count: points.total, "values")
    guard densities != nil || contexts == 0 else {
      throw CallError.usage("no place for the densities is given")
    }
    let densities = Array2D(densities)
    let results = try options.each(contexts, on: asked.model) { context in
      let before = points.parts.before(context)
      densities.write(CollectionOfOne(.nan), at: context)
      let member = try asked.members[context].get()
      let own = values[before..<before + points.parts[context].count]
      if let classes = member.classes {
        let together = try classes.logProbability(own, points, context, options)
        densities.write(CollectionOfOne(together), at: context)
        return member.notes
      }
      let density = try member.laws().density(
        of: own, at: member.inputs(points, context),
        plan: options.plan ?? asked.model.model.defaultPlan, orders: options.orders, seed: options.seed,
        flopLimit: options.flopLimit)
      densities.write(CollectionOfOne(density.value), at: context)
      return density.notes.map(\.description)
    }
    return results.map { notes($0) { $0 } }
  }
}

@c @implementation public func chorus_marginals(
  _ posterior: OpaquePointer?, _ points: UnsafePointer<chorus_points>?,
  _ options: UnsafePointer<chorus_options>?,
  _ levels: UnsafePointer<Double>?, _ levelCount: Int32, _ values: UnsafePointer<Double>?,
  _ means: UnsafeMutablePointer<Double>?, _ variances: UnsafeMutablePointer<Double>?,
  _ quantiles: UnsafeMutablePointer<Double>?, _ logDensities: UnsafeMutablePointer<Double>?
) -> Int32 {
  answering {
    let asked = try PosteriorHandle.of(posterior)
    let contexts = asked.members.count
    let (points, options) = (try PointParts(points, contexts: contexts), try Options(options))
    let levels = try levelArray(levels, levelCount)
    let values = try Source(values, count: logDensities == nil ? 0 : points.total, "values")
    let (means, variances, quantiles) = (Array2D(means), Array2D(variances), Array2D(quantiles))
    let logDensities = Array2D(logDensities)
    let results = try options.each(contexts, on: asked.model) { context in
      let (before, size) = (points.parts.before(context), points.parts[context].count)
      do {
        let member = try asked.members[context].get()
        if let classes = member.classes {
          guard means.base == nil, variances.base == nil, quantiles.base == nil else { throw Member.noNumber }
          if logDensities.base != nil {
            let own = values[before..<before + size]
            logDensities.write(try classes.logProbabilities(own, points, context), at: before)
          }
          return member.notes
        }
        let laws = try member.laws().laws(
          of: member.inputs(points, context), flopLimit: options.flopLimit)
        means.write(laws.lazy.map(\.mean), at: before)
        variances.write(laws.lazy.map(\.variance), at: before)
        if quantiles.base != nil {
          quantiles.write(laws.flatMap { law in levels.map(law.quantile) }, at: before * levels.count)
        }
        if logDensities.base != nil {
          let values = values[before..<before + size]
          logDensities.write(zip(laws, values).lazy.map { $0.logDensity($1) }, at: before)
        }
        return try member.notes(at: points, context)
      } catch {
        for array in [means, variances, logDensities] {
          array.write(repeatElement(.nan, count: size), at: before)
        }
        quantiles.write(repeatElement(.nan, count: size * levels.count), at: before * levels.count)
        throw error
      }
    }
    return results.map { notes($0) { $0 } }
  }
}

@c @implementation public func chorus_functionals(
  _ posterior: OpaquePointer?, _ points: UnsafePointer<chorus_points>?, _ paths: Int64,
  _ values: UnsafePointer<Double>?, _ names: UnsafePointer<CChar>?, _ numbers: UnsafeMutablePointer<Double>?
) -> Int32 {
  doing {
    let asked = try PosteriorHandle.of(posterior)
    let contexts = asked.members.count
    let points = try PointParts(points, contexts: contexts)
    guard (0...10_000_000).contains(paths), let names, let numbers else {
      throw CallError.usage("\(paths) paths, no names or no place for the numbers are given")
    }
    let count = Int(paths)
    let functionals = try String(cString: names).split(separator: ",", omittingEmptySubsequences: false).map {
      guard let functional = Functional(parsing: String($0)) else {
        throw CallError.usage("'\($0)' is none of \(Functional.forms.joined(separator: ", "))")
      }
      return functional
    }
    let values = try Source(values, count: points.total * count, "paths")
    let out = Array2D(numbers)
    for context in 0..<contexts {
      let (before, size) = (points.parts.before(context), points.parts[context].count)
      let (first, columns) = points.firsts(context)
      if columns > 1, let needy = functionals.first(where: \.needsOrder) {
        throw CallError.usage("'\(needy)' goes along one input column and there are \(columns)")
      }
      let drawn = (0..<count).map { path in
        values[before * count + path * size..<before * count + (path + 1) * size]
      }
      for (index, functional) in functionals.enumerated() {
        if let place = functional.missing(from: first) {
          throw CallError.usage("'\(functional)' is of \(place.text), which is none of the points")
        }
        out.write(
          functional.values(of: drawn, at: first), at: (context * functionals.count + index) * count)
      }
    }
  }
}

@c @implementation public func chorus_horizon(
  _ values: UnsafePointer<Double>?, _ count: Int64, _ kind: Int32, _ after: UnsafePointer<Double>?,
  _ steps: Int64, _ every: UnsafePointer<CChar>?, _ points: UnsafeMutablePointer<Double>?
) -> Int32 {
  doing {
    guard (0...1 << 40).contains(count), (1...100_000).contains(steps), let points else {
      throw CallError.usage(
        "\(count) values, \(steps) steps (of 1 to 100000) or no place for the points is given")
    }
    let values = try Source(values, count: Int(count), "values")[0..<Int(count)]
    guard values.allSatisfy(\.isFinite), let last = after?.pointee ?? values.max(), last.isFinite else {
      throw CallError(code: CHORUS_DATA, "there are no values, or one is not a finite number")
    }
    let isDate = kind == CHORUS_DATE.rawValue
    let column: ColumnKind = isDate ? .date : .number
    var spacing = Spacing(of: values, kind: column)
    if let every {
      let text = String(cString: every)
      guard let step = Step(text, ofDates: isDate) else {
        throw CallError.usage("'\(text)' is no step; give one as 1M, 1q, 1D, 30min or 0.5")
      }
      spacing = Spacing(step, after: values, kind: column)
    }
    guard let spacing else {
      throw CallError(
        code: CHORUS_DATA, "the inputs are not evenly spaced; tell the step, or give the points themselves")
    }
    let found = spacing.points(Int(steps), after: last)
    guard found.count == Int(steps), found.allSatisfy({ $0 > last }) else {
      throw CallError.usage("\(steps) steps do not go forward, or go beyond the year 9999; take others")
    }
    Array2D(points).write(found, at: 0)
  }
}

@c @implementation public func chorus_save(
  _ posterior: OpaquePointer?, _ context: Int64, _ path: UnsafePointer<CChar>?
) -> Int32 {
  doing {
    let members = try PosteriorHandle.of(posterior).members
    guard let path, let context = Int(exactly: context), members.indices.contains(context) else {
      throw CallError.usage(
        "there is no context \(context), or no path is given; the posterior has \(members.count)")
    }
    let posterior = try members[context].get().kept()
    let kinds = posterior.inputColumns.map { $0.isDate ? "date" : "number" } + ["number"]
    try posterior.write(to: String(cString: path), card: ["kinds": kinds.joined(separator: "\n")])
  }
}

@c @implementation public func chorus_load(
  _ model: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ posterior: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  answering {
    guard let path, let posterior else {
      throw CallError.usage("no path or no place for the posterior is given")
    }
    posterior.pointee = nil
    let model = try ModelHandle.of(model)
    let context = try SavedContext(path: String(cString: path)).posterior(model.model, on: model.pool)
    posterior.pointee = PosteriorHandle([.success(Member(context))], model).opaque()
    return [notes(.success(Member(context))) { $0.notes }]
  }
}

@c @implementation public func chorus_token_create() -> OpaquePointer? { TokenHandle().opaque() }

@c @implementation public func chorus_cancel(_ token: OpaquePointer?) {
  _ = doing { try TokenHandle.of(token).cancellation.cancel() }
}

@c @implementation public func chorus_free(_ handle: UnsafeMutableRawPointer?) {
  if let handle { Unmanaged<Handle>.fromOpaque(handle).release() }
}

/// Levels between 0 and 1.
private func levelArray(_ levels: UnsafePointer<Double>?, _ count: Int32) throws(CallError) -> [Double] {
  guard count >= 0 else { throw .usage("the number of levels is \(count)") }
  let levels = try Source(levels, count: Int(count), "levels")[0..<Int(count)]
  if let wrong = levels.first(where: { !(0...1).contains($0) }) {
    throw .usage("the level \(wrong) is not between 0 and 1")
  }
  return levels
}

/// The words for a context: notes, or why there is no answer.
func notes<Value>(_ result: Result<Value, CallError>, _ notes: (Value) -> [String]) -> String {
  switch result {
  case .success(let value): notes(value).joined(separator: "; ")
  case .failure(let failure): failure.text
  }
}
