extension SolverRidgeMemory {
  static func reference(_ query: [Double], _ head: ReferenceHead) -> ReferenceRead {
    switch head.spec.optimiser {
    case .gradient(let steps): descent(query, head, steps)
    case .conjugateGradient(let steps): conjugate(query, head, steps)
    default: RidgeRule.reference(query, head)
    }
  }

  /// Hestenes & Stiefel 1952 on A x = φ(q), from zero; nothing more is done once the residual is nothing.
  private static func conjugate(_ query: [Double], _ head: ReferenceHead, _ steps: Int) -> ReferenceRead {
    let q = head.features(query)
    let (a, g) = head.normalEquations()
    var (x, r, p) = ([Double](repeating: 0, count: q.count), q, q)
    for _ in 0..<steps where head.dot(r, r) > 1e-28 * max(head.dot(q, q), 1e-300) {
      let ap = a.times(p)
      let alpha = head.dot(r, r) / head.dot(p, ap)
      let next = zip(r, ap).map { $0 - alpha * $1 }
      x = zip(x, p).map { $0 + alpha * $1 }
      let beta = head.dot(next, next) / head.dot(r, r)
      p = zip(next, p).map { $0 + beta * $1 }
      r = next
    }
    return ReferenceRead(head.read(x, g))
  }

  /// S ← S + (η/n)(G − A S) from zero, read as φ(q)·S.
  private static func descent(_ query: [Double], _ head: ReferenceHead, _ steps: Int) -> ReferenceRead {
    let (a, g) = head.normalEquations()
    let rate = head.softplus(head.numbers[1][head.head]) / Double(max(1, head.rows.count))
    var s = g.map { _ in head.nothing }
    for _ in 0..<steps {
      let old = s
      for i in s.indices {
        for j in s[i].indices {
          let product = old.indices.reduce(0.0) { $0 + a[i, $1] * old[$1][j] }
          s[i][j] = old[i][j] + rate * (g[i][j] - product)
        }
      }
    }
    return ReferenceRead(head.read(head.features(query), s))
  }
}
