import ChorusTensors

/// What the numbers of a chunk's rows make of its beginning and of their gradients, with derivatives.
///
/// Behind t rows A = start·A₀ + carried·P₀ − Σ weights_j u_j and P = left·P₀ − Σ steps_j u_j. With what a row keeps, its
/// momentum and its rate,
///
///     steps_t = momentum_t steps_(t−1) + rate_t,  weights_t = keep_t weights_(t−1) + steps_t
///
/// and left, carried and start go on the same way. Where steps are paced, weights_t are the reader's pace times the rates.
struct FrozenShares {
  let count: Int
  /// Row t, behind t rows, with `stride` numbers: weights, then carried, then start.
  let weights: UnsafeMutablePointer<Double>
  /// Likewise: steps, then left.
  let steps: UnsafeMutablePointer<Double>
  var stride: Int { count + 2 }

  /// Numbers of a chunk's rows; without momentum its numbers are nil.
  struct Rows {
    let rates: UnsafePointer<Double>
    var keeps: UnsafePointer<Double>?
    var momenta: UnsafePointer<Double>?
    var paces: UnsafePointer<Double>?
  }

  /// Gradients of such numbers.
  struct Gradients {
    let rates: UnsafeMutablePointer<Double>
    let keeps: UnsafeMutablePointer<Double>
    let momenta: UnsafeMutablePointer<Double>
    let paces: UnsafeMutablePointer<Double>

    init(_ rows: Int, _ paces: Int, _ arena: Arena) {
      func zeros(_ count: Int) -> UnsafeMutablePointer<Double> {
        let out = arena.doubles(count)
        out.update(repeating: 0, count: count)
        return out
      }
      (rates, keeps, momenta, self.paces) = (zeros(rows), zeros(rows), zeros(rows), zeros(paces))
    }
  }

  /// All zeros: gradients of shares.
  init(zeros count: Int, _ arena: Arena) {
    self.count = count
    let size = (count + 1) * (count + 2)
    (weights, steps) = (arena.doubles(size), arena.doubles(size))
    weights.update(repeating: 0, count: size)
    steps.update(repeating: 0, count: size)
  }

  init(_ count: Int, _ rows: Rows, _ arena: Arena) {
    self.init(zeros: count, arena)
    weights[count + 1] = 1
    steps[count] = 1
    for t in 1..<count + 1 {
      let (now, before) = (weights + t * stride, weights + (t - 1) * stride)
      if let paces = rows.paces {
        for j in 0..<t { now[j] = paces[t - 1] * rows.rates[j] }
        now[count + 1] = 1
        continue
      }
      let (step, last) = (steps + t * stride, steps + (t - 1) * stride)
      if let momenta = rows.momenta {
        for j in 0..<count + 1 { step[j] = momenta[t - 1] * last[j] }
      }
      step[t - 1] = rows.rates[t - 1]
      let keep = rows.keeps?[t - 1] ?? 1
      for j in 0..<stride { now[j] = keep * before[j] + step[j] }
    }
  }

  func start(_ t: Int) -> Float { Float(weights[t * stride + count + 1]) }
  func carried(_ t: Int) -> Float { Float(weights[t * stride + count]) }
  func left(_ t: Int) -> Float { Float(steps[t * stride + count]) }

  /// From gradients by shares, which are used up, to those by the rows' numbers, `first` rows further on.
  func backward(_ by: FrozenShares, _ rows: Rows, first: Int, into out: Gradients) {
    for t in (1..<count + 1).reversed() {
      let now = by.weights + t * stride
      if let paces = rows.paces {
        for j in 0..<t {
          out.paces[t - 1] += now[j] * rows.rates[j]
          out.rates[first + j] += now[j] * paces[t - 1]
        }
        continue
      }
      let (step, before) = (by.steps + t * stride, weights + (t - 1) * stride)
      let (earlier, keep) = (by.weights + (t - 1) * stride, rows.keeps?[t - 1] ?? 1)
      for j in 0..<stride {
        step[j] += now[j]
        out.keeps[first + t - 1] += now[j] * before[j]
        earlier[j] += keep * now[j]
      }
      out.rates[first + t - 1] += step[t - 1]
      guard let momenta = rows.momenta else { continue }
      let (last, to) = (steps + (t - 1) * stride, by.steps + (t - 1) * stride)
      for j in 0..<count + 1 {
        out.momenta[first + t - 1] += step[j] * last[j]
        to[j] += momenta[t - 1] * step[j]
      }
    }
  }
}
