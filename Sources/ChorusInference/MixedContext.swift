import ChorusHints
import ChorusLayers
import ChorusMemories
import ChorusModels
import ChorusPlans
import ChorusTensors
import Foundation

/// A network's context beside a Gaussian process of the same rows: a path is drawn by one of the two, whole, so that the joint law
/// of any targets is (1 − share)·p_network + share·p_process.
///
/// Where one of two joint laws is right, their mixture loses at most the logarithm of its share once a path, however many
/// targets a path has; the mean of their laws target by target would lose it at each.
///
/// Inputs have the columns of the network, then those of the process.
struct MixedContext: AnyContext {
  let network: any AnyContext
  let process: JointProcess
  /// The rows that the process read, columns of its own, and their known errors; empty for none.
  let processRows: NetworkRows
  let processErrors: [Double]
  /// Of the process.
  let share: Double
  let rows: NetworkRows

  /// - Parameters:
  ///   - network: a context of rows with the network's columns alone.
  ///   - design: the process's columns of the same rows.
  init(
    _ network: any AnyContext, design: [Float], process: JointProcess, of processRows: NetworkRows,
    errors: [Double] = [], share: Double
  ) {
    (self.network, self.process, self.processRows) = (network, process, processRows)
    (self.processErrors, self.share) = (errors, share)
    let (own, columns) = (network.rows, process.columns)
    var x: [Float] = []
    x.reserveCapacity(own.count * (own.dimensions + columns))
    for row in 0..<own.count {
      x += own.x[row * own.dimensions..<(row + 1) * own.dimensions]
      x += design[row * columns..<(row + 1) * columns]
    }
    rows = NetworkRows(x: x, y: own.y, dimensions: own.dimensions + columns)
  }

  var fits: HintFits { network.fits }
  var raised: Double { network.raised }
  var arrays: [(array: StateArray, values: [Float])] { network.arrays }

  func notes(targets: Int) -> [Note] {
    targets > JointProcess.together ? [.processApart(targets: targets, together: JointProcess.together)] : []
  }

  /// The columns of the network, and those of the process.
  private func parts(_ x: [Float]) -> (told: [Float], design: [Double]) {
    let (all, own) = (rows.dimensions, network.rows.dimensions)
    var (told, design) = ([Float](), [Double]())
    for row in 0..<x.count / max(all, 1) {
      told += x[row * all..<row * all + own]
      design += x[row * all + own..<(row + 1) * all].map(Double.init)
    }
    return (told, design)
  }

  /// Whether a plan's targets are drawn each by itself.
  private func isIndependent(_ plan: Plan) -> Bool { plan.template == .independent }

  func sample(
    _ count: Int, at x: [Float], _ request: Request, latent: Bool
  ) throws(InferenceError) -> Drawn {
    let (told, design) = parts(x)
    guard !isIndependent(request.plan) else {
      return try independent(count, told, design, request, latent: latent)
    }
    // Which paths are the process's depends on their numbers alone.
    var streams: [Int: RandomStream] = [:]
    for path in 0..<count {
      var stream = Self.stream(request, path)
      if stream.uniform() < share { streams[path] = stream }
    }
    let others = count - streams.count
    let own = others > 0 ? try network.sample(others, at: told, request, latent: latent) : nil
    var (paths, next) = ([[Float]](repeating: [], count: count), 0)
    for path in 0..<count where streams[path] == nil {
      paths[path] = own?.paths[next] ?? []
      next += 1
    }
    var means: [Double] = []
    var drawing = streams.mapValues { stream in
      var stream = stream
      return (scale: Self.scale(&stream), stream: stream)
    }
    try process.laws(design, latent: latent) { (first, law) throws(InferenceError) in
      means += law.means
      for path in streams.keys.sorted() {
        if Cancellation.isWanted { throw .cancelled }
        guard var own = drawing[path] else { continue }
        var z: [Double] = []
        for row in 0..<law.count {
          let (mean, deviation) = Self.conditional(law, row, z, own.scale)
          let y = Self.value(mean, deviation, first + row, request, &own.stream)
          z.append((Double(y) - mean) / deviation)
          paths[path].append(y)
        }
        drawing[path] = own
      }
    }
    let drawn = Double(streams.count)
    return Drawn(
      paths: paths,
      means: means.indices.map { target in
        ((own?.means[target] ?? 0) * Double(others) + means[target] * drawn) / Double(max(count, 1))
      }, trace: own?.trace)
  }

  /// Every target by itself, of one law or the other.
  private func independent(
    _ count: Int, _ told: [Float], _ design: [Double], _ request: Request, latent: Bool
  ) throws(InferenceError) -> Drawn {
    let own = try network.sample(count, at: told, request, latent: latent)
    let (means, deviations) = marginals(design, latent: latent)
    let paths = own.paths.enumerated().map { path, values in
      var stream = Self.stream(request, path)
      return values.indices.map { target in
        guard stream.uniform() < share else { return values[target] }
        let scale = Self.scale(&stream)
        return Self.value(means[target], scale * deviations[target], target, request, &stream)
      }
    }
    return Drawn(
      paths: paths, means: zip(own.means, means).map { (1 - share) * $0 + share * $1 }, trace: own.trace)
  }

  /// What the process says of each row by itself, before deviations are multiplied.
  private func marginals(_ design: [Double], latent: Bool = false) -> (means: [Double], deviations: [Double])
  {
    var (means, deviations) = ([Double](), [Double]())
    process.laws(design, latent: latent) { (_, law) in
      means += law.means
      deviations += law.variances.map { $0.squareRoot() }
    }
    return (means, deviations)
  }

  private static func stream(_ request: Request, _ path: Int) -> RandomStream {
    RandomStream(seed: request.seed, .paths, UInt64(path), 1 << 40)
  }

  /// The law of a row given those before it, by their whitened values.
  private static func conditional(
    _ law: JointProcess.Law, _ row: Int, _ z: [Double], _ scale: Double
  ) -> (mean: Double, deviation: Double) {
    var mean = law.means[row]
    for k in 0..<row { mean += scale * law.factor[row * law.count + k] * z[k] }
    return (mean, scale * law.factor[row * law.count + row])
  }

  /// What the deviations of a path are multiplied by.
  private static func scale(_ stream: inout RandomStream) -> Double {
    let weights = JointProcess.scales.map { exp($0.logWeight) }
    return JointProcess.scales[stream.choice(weights: weights)].factor.squareRoot()
  }

  private static func value(
    _ mean: Double, _ deviation: Double, _ target: Int, _ request: Request, _ stream: inout RandomStream
  ) -> Float {
    let law = GaussianMixture(mean: mean, deviation: deviation)
    let cut = request.bounds.flatMap { law.within($0[target]) } ?? law
    let drawn = cut.draw(from: &stream).stored
    return request.whole.map { Float($0[target].whole(Double(drawn)).value) } ?? drawn
  }

  func logDensities(
    of y: [Float], at x: [Float], _ request: Request, orders: Int
  ) throws(InferenceError) -> [Double] {
    let (told, design) = parts(x)
    let scores = try network.logDensities(of: y, at: told, request, orders: orders)
    if isIndependent(request.plan) {
      let laws = try self.laws(at: x, within: request.bounds, on: request.pool)
      let sum = laws.indices.reduce(0.0) {
        $0 + Self.logDensity(laws[$1], Double(y[$1]), $1, request)
      }
      return scores.map { _ in sum }
    }
    var each = JointProcess.scales.map(\.logWeight)
    process.laws(design) { (first, law) in
      for (index, scale) in JointProcess.scales.enumerated() {
        each[index] += Self.joint(y, law, first, request, scale: scale.factor.squareRoot())
      }
    }
    let own = Posterior.logSumExp(each)
    return scores.map { score in
      Posterior.logSumExp([score + log(1 - share), own + log(share)])
    }
  }

  /// The joint log-density of the values of a part, from row `first` on, with deviations multiplied by `scale`.
  private static func joint(
    _ y: [Float], _ law: JointProcess.Law, _ first: Int, _ request: Request, scale: Double
  ) -> Double {
    var (sum, z) = (0.0, [Double]())
    for row in 0..<law.count {
      let (mean, deviation) = conditional(law, row, z, scale)
      let whole = GaussianMixture(mean: mean, deviation: deviation)
      let cut = request.bounds.flatMap { whole.within($0[first + row]) } ?? whole
      let value = Double(y[first + row])
      sum += logDensity(cut, value, first + row, request)
      z.append((value - mean) / deviation)
    }
    return sum
  }

  /// The log-density of a target's value, or the logarithm of the probability of a whole number.
  private static func logDensity(
    _ law: any Predictive, _ value: Double, _ target: Int, _ request: Request
  ) -> Double {
    request.whole.map { law.logMass(in: $0[target].whole(value).range) } ?? law.logDensity(.number(value))
  }

  func laws(
    at x: [Float], within bounds: [ClosedRange<Double>]?, on pool: ThreadPool?
  ) throws(InferenceError) -> [any Predictive] {
    let (told, design) = parts(x)
    let own = try network.laws(at: told, within: bounds, on: pool)
    let (means, deviations) = marginals(design)
    var laws: [any Predictive] = []
    for (target, law) in own.enumerated() {
      let student = GaussianMixture(
        logWeights: JointProcess.scales.map(\.logWeight),
        means: JointProcess.scales.map { _ in means[target] },
        deviations: JointProcess.scales.map { $0.factor.squareRoot() * deviations[target] })
      if let law = law as? GaussianMixture {
        laws.append(law.mixed(with: student, share: share, within: bounds?[target]))
      } else if let law = law as? any ContinuousLaw {
        let cut = bounds.flatMap { student.within($0[target]) } ?? student
        laws.append(MixedLaw(parts: [law, cut], shares: [1 - share, share]))
      } else {
        throw .input("a network of levels cannot share its paths with a process of numbers")
      }
    }
    return laws
  }

  func observing(_ more: NetworkRows, removing: Bool) -> (any AnyContext)? {
    network.observing(columns(of: more, isProcess: false), removing: removing)
      .flatMap { changed($0, by: more, removing: removing) }
  }

  /// The columns of the network, or of the process, of some rows.
  func columns(of rows: NetworkRows, isProcess: Bool) -> NetworkRows {
    let own = network.rows.dimensions
    let range = isProcess ? own..<rows.dimensions : 0..<own
    return NetworkRows(
      x: (0..<rows.count).flatMap { row in
        rows.x[row * rows.dimensions + range.lowerBound..<row * rows.dimensions + range.upperBound]
      }, y: rows.y, dimensions: range.count)
  }

  /// Beside another state of the network, which has read further rows or (`removing`) no longer has some; nil where no process fits
  /// what is left.
  func changed(_ network: any AnyContext, by rows: NetworkRows, removing: Bool = false) -> MixedContext? {
    // A row with a known error is not told from others by what the network was told of it.
    guard processErrors.isEmpty || !removing else { return nil }
    let own = columns(of: rows, isProcess: true)
    let read = removing ? processRows.removing(own) : processRows.appending(own)
    let kept = removing ? self.rows.removing(rows) : self.rows.appending(rows)
    let errors =
      processErrors.isEmpty ? [] : processErrors + [Double](repeating: 0, count: rows.count)
    return JointProcess(
      x: read.x.map(Double.init), y: read.y.map(Double.init), errors: errors, columns: read.dimensions,
      names: process.names
    ).map {
      MixedContext(
        network, design: columns(of: kept, isProcess: true).x, process: $0, of: read, errors: errors,
        share: share)
    }
  }
}
