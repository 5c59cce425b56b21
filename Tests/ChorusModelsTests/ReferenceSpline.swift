import Foundation

@testable import ChorusHints
@testable import ChorusTensors

/// `LocalSpline` once more, by the other route: contrasts that no monomial of the form is seen through, under which the
/// generalised covariance is an ordinary one (Matheron 1973). No saddle point, no pivots, no tricks about order.
struct ReferenceSpline {
  typealias Row = [Double]
  let neighbours: Int
  /// ν of every form, distances in the network's units.
  let noise: [Double]

  init(_ context: [(x: Row, y: Double)], neighbours: Int) {
    self.neighbours = neighbours
    let choices = [1e-7, 1e-5, 1e-3, 1e-1, 1e1]
    let sorted = context.sorted { a, b in (a.x + [a.y]).lexicographicallyPrecedes(b.x + [b.y]) }
    let count = min(24, sorted.count)
    let judges = (0..<count).map { sorted[(2 * $0 + 1) * sorted.count / (2 * count)].x }
    let reaches = judges.map { Self.reach(Self.nearest(context, to: $0, neighbours), $0) }
    guard !judges.isEmpty else {
      noise = LocalSpline.forms.map { _ in 1e-5 }
      return
    }
    let typical = reaches.sorted()[count / 2]
    let once = min(1, Double(sorted.count) / Double(count * min(neighbours, sorted.count)))
    noise = LocalSpline.forms.map { form in
      let merits = choices.map { choice in
        zip(judges, reaches).reduce(0) { sum, judge in
          let rows = Self.nearest(context, to: judge.0, neighbours)
          let own = choice * pow(typical / judge.1, Double(form.power))
          guard let fit = Fit(form, rows, at: judge.0, reach: judge.1, noise: own) else { return sum }
          return sum - fit.logDeterminant / 2 - Double(fit.freedom) / 2 * log(fit.rest)
        }
      }
      let top = merits.max() ?? 0
      let weights = merits.map { exp(once * ($0 - top)) }
      let mean = zip(weights, choices).reduce(0) { $0 + $1.0 * log($1.1) } / weights.reduce(0, +)
      return exp(mean) * pow(typical, Double(form.power))
    }
  }

  private static func distance(_ a: Row, _ b: Row) -> Double {
    zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  }

  private static func nearest(_ rows: [(x: Row, y: Double)], to x: Row, _ count: Int) -> [(x: Row, y: Double)]
  {
    Array(rows.sorted { distance($0.x, x) < distance($1.x, x) }.prefix(count))
  }

  private static func reach(_ rows: [(x: Row, y: Double)], _ x: Row) -> Double {
    let far = rows.map { distance($0.x, x) }.max() ?? 0
    return far > 0 ? far : 1
  }

  /// Features of a row with its own value, given the other rows seen from there.
  func judge(_ y: Double, _ rows: [(x: Row, y: Double)], at x: Row) -> [Double] {
    let told = tell(rows, at: x)
    let distance = max(-8, min(8, (y - told.origin) / told.scale))
    return told.features + [distance / 4, log(abs(distance) + 0.05) / 2]
  }

  /// Features and unit at `x` given the rows seen from there.
  func tell(_ rows: [(x: Row, y: Double)], at x: Row) -> (features: [Double], origin: Double, scale: Double) {
    let near = Self.nearest(rows, to: x, neighbours)
    let reach = Self.reach(near, x)
    let told = zip(LocalSpline.forms, noise).map {
      form, noise -> (value: Double, scale: Double, noise: Double) in
      let own = noise / pow(reach, Double(form.power))
      guard let fit = Fit(form, near, at: x, reach: reach, noise: own) else { return (0, 1, 1) }
      let factor = fit.rest / Double(fit.freedom)
      return (
        max(-4, min(4, fit.value)), min(8, (factor * (max(0, fit.error) + own) + 1e-6).squareRoot()),
        min(8, (factor * own + 1e-6).squareRoot())
      )
    }
    let centre = told[1]
    func away(_ index: Int) -> Double {
      max(-8, min(8, (told[index].value - centre.value) / centre.scale)) / 4
    }
    return (
      [centre.value] + told.map { log($0.scale) / 2 } + [away(0), away(2), log(centre.noise) / 2],
      centre.value, centre.scale
    )
  }

  /// One form through some rows, seen from a point; distances in units of `reach`.
  private struct Fit {
    var value = 0.0
    var error = 0.0
    var rest = 0.0
    var logDeterminant = 0.0
    var freedom: Int

    init?(_ form: LocalSpline.Form, _ rows: [(x: Row, y: Double)], at x: Row, reach: Double, noise: Double) {
      let steps = rows.map { row in zip(row.x, x).map { ($0 - $1) / reach } }
      func monomials(_ step: Row) -> Row {
        var out: Row = [1]
        if form.degree > 0 { out += step }
        if form.degree > 1 {
          for i in step.indices { for j in i..<step.count { out.append(step[i] * step[j]) } }
        }
        return out
      }
      func covariance(_ a: Row, _ b: Row) -> Double {
        form.sign * pow(ReferenceSpline.distance(a, b), Double(form.power))
      }
      let origin = x.map { _ in 0.0 }
      let p = steps.map(monomials)
      let (n, q) = (rows.count, monomials(origin).count)
      freedom = n - q
      guard freedom > 0 else { return nil }
      var k = steps.map { a in steps.map { covariance(a, $0) } }
      for i in 0..<n { k[i][i] += noise + 1e-8 }
      // An orthonormal basis: first of the monomials, then of what they leave of every row.
      var basis: [Row] = []
      for start in (0..<q).map({ m in p.map { $0[m] } })
        + (0..<n).map({ i in (0..<n).map { $0 == i ? 1 : 0 } })
      {
        var vector = start
        for _ in 0..<2 {
          for known in basis {
            let part = zip(vector, known).reduce(0) { $0 + $1.0 * $1.1 }
            vector = zip(vector, known).map { $0 - part * $1 }
          }
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        if length > 1e-6, basis.count < n { basis.append(vector.map { $0 / length }) }
      }
      let contrasts = Array(basis.dropFirst(q))
      func times(_ a: Row) -> Row { k.map { row in zip(row, a).reduce(0) { $0 + $1.0 * $1.1 } } }
      func dot(_ a: Row, _ b: Row) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
      let s = contrasts.flatMap { a in contrasts.map { dot(a, times($0)) } }
      let y = rows.map(\.y)
      let z = contrasts.map { dot($0, y) }
      guard let factor = try? CholeskyFactor(lower: s, count: freedom) else { return nil }
      guard let white = try? factor.whiten(z) else { return nil }
      rest = max(dot(white, white), 1e-30)
      logDeterminant = factor.logDeterminant
      // Weights that see the point's monomials through the rows: any such, then the best.
      let gram = (0..<q).flatMap { a in (0..<q).map { b in p.reduce(0) { $0 + $1[a] * $1[b] } } }
      guard let inner = try? CholeskyFactor(lower: gram, count: q),
        let part = try? inner.solve(monomials(origin))
      else { return nil }
      var weights = p.map { dot($0, part) }
      let k0 = steps.map { covariance($0, origin) }
      let gap = zip(k0, times(weights)).map { $0 - $1 }
      guard let turn = try? factor.solve(contrasts.map { dot($0, gap) }) else { return nil }
      for (a, contrast) in zip(turn, contrasts) { for i in 0..<n { weights[i] += a * contrast[i] } }
      value = dot(weights, y)
      error = dot(weights, times(weights)) - 2 * dot(weights, k0)
    }
  }
}
