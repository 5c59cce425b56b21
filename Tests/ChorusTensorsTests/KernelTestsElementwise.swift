import CChorusKernels
import ChorusTensors
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct KernelTestsElementwise {
  static let counts = [0, 1, 7, 8, 9, 63, 64, 65, 200] + KernelShapes.vectors

  /// Largest deviation of a function over `count` points of an interval, with `allowed` a function of the
  /// right result.
  private func check(
    _ title: String, from low: Double, to high: Double, count: Int = 20_001,
    _ kernel: (Int, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void,
    _ reference: (Double) -> Double,
    allowed: (Double) -> Double
  ) {
    withMemory(seed: 1) { memory in
      let x = memory.floats(count)
      let y = memory.floats(count)
      for i in 0..<count { x[i] = Float(low + (high - low) * Double(i) / Double(max(count - 1, 1))) }
      kernel(count, x, y)
      var deviation = Deviation()
      for i in 0..<count {
        let wanted = reference(Double(x[i]))
        deviation.note(y[i], wanted, allowed: allowed(wanted), "x = \(x[i])")
      }
      deviation.expectSmall(title)
      // The tail of an array runs the same arithmetic as its middle.
      for short in Self.counts where short < count {
        let start = count - short
        let tail = memory.floats(short)
        kernel(short, x + start, tail)
        #expect(sameBytes(tail, y + start, short), "\(title), the last \(short)")
      }
    }
  }

  @Test(arguments: instances)
  func transcendentals(isa: Int32) {
    let table = kernels(isa)
    check("exp", from: -87.3, to: 88.7, { table.exp($0, $1, $2) }, { exp($0) }, allowed: { 1.5e-7 * $0 })
    check(
      "exp, too small", from: -150, to: -87.4, { table.exp($0, $1, $2) }, { exp($0) },
      allowed: { _ in 1.2e-38 })
    check(
      "log", from: 1e-30, to: 3, { table.log($0, $1, $2) }, { log($0) }, allowed: { 1e-7 * abs($0) + 1e-9 })
    check(
      "log, large", from: 1, to: 3e38, { table.log($0, $1, $2) }, { log($0) }, allowed: { 1e-7 * abs($0) })
    check(
      "softplus", from: -80, to: 80, { table.softplus($0, $1, $2) }, { max($0, 0) + log1p(exp(-abs($0))) },
      allowed: { 3e-7 * $0 })
    check(
      "positive ELU", from: -87.3, to: 20, { table.positive_elu($0, $1, $2) },
      { $0 > 0 ? $0 + 1 : exp($0) }, allowed: { 1.5e-7 * $0 })
  }

  @Test(arguments: instances)
  func activations(isa: Int32) {
    let table = kernels(isa)
    for kind in [CK_IDENTITY, CK_GELU, CK_RELU] {
      check(
        "activation \(kind)", from: -12, to: 12, { table.activate(Int32(kind), $0, $1, $2) },
        { referenceActivation(kind, $0) }, allowed: { _ in 5e-7 })
      check(
        "slope of activation \(kind)", from: -11.999, to: 12,
        { count, x, y in
          for i in 0..<count { y[i] = 1 }
          table.activate_backward(Int32(kind), count, x, y, y)
        },
        {
          (referenceActivation(kind, $0 + 1e-5) - referenceActivation(kind, $0 - 1e-5)) / 2e-5
        }, allowed: { _ in 1e-6 })
    }
  }

  @Test(arguments: instances)
  func specialValues(isa: Int32) {
    let table = kernels(isa)
    let x: [Float] = [.infinity, -.infinity, .nan, 0, 89, -200, 100, -0.0, Float(bitPattern: 70_000)]
    var y = [Float](repeating: 0, count: x.count)
    table.exp(x.count, x, &y)
    #expect(y[0] == .infinity && y[1] == 0 && y[2].isNaN && y[3] == 1 && y[4] == .infinity)
    #expect(y[5] == 0 && y[6] == .infinity && y[7] == 1 && y[8] == 1)
    table.activate(Int32(CK_GELU), x.count, x, &y)
    #expect(
      y[0] == .infinity && abs(y[1]) < 1e-9 && y[2].isNaN && y[3] == 0 && y[4] == 89 && abs(y[5]) < 1e-9)
    table.log(x.count, x, &y)
    #expect(y[0] == .infinity && y[2].isNaN && abs(Double(y[8]) - log(Double(x[8]))) < 1e-4)
    table.softplus(x.count, x, &y)
    #expect(y[0] == .infinity && y[1] == 0 && y[2].isNaN && y[5] == 0 && y[6] == 100)
    table.positive_elu(x.count, x, &y)
    #expect(y[0] == .infinity && y[1] == 0 && y[2].isNaN && y[3] == 1 && y[4] == 90 && y[5] == 0 && y[7] == 1)
  }

  @Test(arguments: instances, counts)
  func sumsAndScales(isa: Int32, count: Int) {
    let table = kernels(isa)
    withMemory(seed: count) { memory in
      let x = memory.normals(count)
      let y = memory.normals(count)
      let sum = memory.floats(count)
      sum.update(from: y, count: count)
      table.add(count, x, sum)
      for i in 0..<count { #expect(sum[i] == x[i] + y[i]) }
      table.scale(count, 0.3, sum)
      for i in 0..<count { #expect(sum[i] == (x[i] + y[i]) * 0.3) }
      let squares = (0..<count).reduce(0.0) { $0 + Double(x[$1]) * Double(x[$1]) }
      #expect(abs(table.sum_squares(count, x) - squares) <= 1e-12 * squares)
    }
  }

  static let norms =
    [1, 5, 7, 8, 9, 16, 17, 32, 63, 64, 65, 128, 200].map { KernelShapes.Rows(5, $0) } + KernelShapes.norms

  @Test(arguments: instances, norms)
  func layerNorm(isa: Int32, shape: KernelShapes.Rows) {
    let table = kernels(isa)
    let (rows, d) = (shape.rows, shape.width)
    withMemory(seed: d) { memory in
      let ldx = d + 1
      let ldy = d + 2
      let x = memory.matrix(rows, d, stride: ldx)
      let gain = memory.normals(d)
      let bias = memory.normals(d)
      let y = memory.matrix(rows, d, stride: ldy)
      let stats = memory.floats(2 * rows)
      table.layer_norm(Int32(rows), Int32(d), x, Int32(ldx), gain, bias, 1e-3, y, Int32(ldy), stats)
      func reference(_ x: [Double], _ gain: [Double], _ bias: [Double]) -> [Double] {
        let mean = x.reduce(0, +) / Double(d)
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(d)
        return (0..<d).map { (x[$0] - mean) / (variance + 1e-3).squareRoot() * gain[$0] + bias[$0] }
      }
      let g = (0..<d).map { Double(gain[$0]) }
      let b = (0..<d).map { Double(bias[$0]) }
      let dy = memory.matrix(rows, d, stride: ldy)
      let dx = memory.matrix(rows, d, stride: ldx)
      let dgain = memory.normals(d)
      let dbias = memory.normals(d)
      let oldDx = Array(UnsafeBufferPointer(start: dx, count: (rows - 1) * ldx + d))
      var wantedGain = (0..<d).map { Double(dgain[$0]) }
      var wantedBias = (0..<d).map { Double(dbias[$0]) }
      table.layer_norm_backward(
        Int32(rows), Int32(d), x, Int32(ldx), gain, stats, dy, Int32(ldy), dx, Int32(ldx), 1, dgain, dbias)

      var deviation = Deviation()
      let alone = memory.floats(d)
      for r in 0..<rows {
        let row = (0..<d).map { Double(x[r * ldx + $0]) }
        let out = reference(row, g, b)
        for j in 0..<d { deviation.note(y[r * ldy + j], out[j], allowed: 1e-5, "y \(r), \(j)") }
        table.layer_norm(1, Int32(d), x + r * ldx, Int32(ldx), gain, bias, 1e-3, alone, Int32(d), nil)
        #expect(sameBytes(alone, y + r * ldy, d))
        func loss(_ x: [Double], _ gain: [Double]) -> Double {
          let out = reference(x, gain, b)
          return (0..<d).reduce(0) { $0 + out[$1] * Double(dy[r * ldy + $1]) }
        }
        for j in 0..<d {
          var up = row
          var down = row
          up[j] += 1e-5
          down[j] -= 1e-5
          let slope = (loss(up, g) - loss(down, g)) / 2e-5
          deviation.note(
            dx[r * ldx + j], slope + Double(oldDx[r * ldx + j]), allowed: 2e-4 * (1 + abs(slope)),
            "dx \(r), \(j)")
          wantedGain[j] += Double(dy[r * ldy + j]) * (out[j] - b[j]) / g[j]
          wantedBias[j] += Double(dy[r * ldy + j])
        }
      }
      for j in 0..<d {
        deviation.note(dgain[j], wantedGain[j], allowed: 1e-4, "dgain \(j)")
        deviation.note(dbias[j], wantedBias[j], allowed: 1e-4, "dbias \(j)")
      }
      deviation.expectSmall("layer norm of \(d)")
    }
  }

  static let mixtures =
    [1, 2, 7, 8, 9, 16, 20, 70, 100].map { KernelShapes.Rows(6, $0) } + KernelShapes.mixtures

  @Test(arguments: instances, mixtures)
  func mixture(isa: Int32, shape: KernelShapes.Rows) {
    let table = kernels(isa)
    let (rows, components) = (shape.rows, shape.width)
    withMemory(seed: components) { memory in
      let width = 3 * components
      let params = memory.normals(rows * width)
      let y = memory.normals(rows)
      let weight = memory.normals(rows)
      let logp = memory.floats(rows)
      let gradient = memory.floats(rows * width)
      let again = memory.floats(rows)
      y[0] = 40  // far out in the tail of every component
      let (ownY, logUnit, local) = (memory.normals(rows), memory.normals(rows), shape.rows * components / 13)
      var arguments = ck_mixture_args()
      (arguments.rows, arguments.components, arguments.local) = (Int32(rows), Int32(components), Int32(local))
      (arguments.params, arguments.y, arguments.floor) = (UnsafePointer(params), UnsafePointer(y), 0.01)
      (arguments.own_y, arguments.log_unit) = (UnsafePointer(ownY), UnsafePointer(logUnit))
      arguments.logp = again
      table.mixture(&arguments)
      (arguments.logp, arguments.weight, arguments.dparams) = (logp, UnsafePointer(weight), gradient)
      table.mixture(&arguments)
      #expect(sameBytes(logp, again, rows))
      func reference(_ p: [Double], _ r: Int) -> Double {
        let joint = (0..<components).map { c in
          let sd = log1p(exp(p[2 * components + c])) + Double(Float(0.01))
          let z = (Double(c < local ? ownY[r] : y[r]) - p[components + c]) / sd
          let unit = c < local ? Double(logUnit[r]) : 0
          return p[c] - 0.5 * z * z - log(sd) - 0.5 * log(2 * .pi) - unit
        }
        let best = joint.max()!
        let most = p[..<components].max()!
        return best + log(joint.reduce(0) { $0 + exp($1 - best) }) - most
          - log(p[..<components].reduce(0) { $0 + exp($1 - most) })
      }
      var deviation = Deviation()
      for r in 0..<rows {
        let p = (0..<width).map { Double(params[r * width + $0]) }
        let wanted = reference(p, r)
        deviation.note(logp[r], wanted, allowed: 1e-5 * (1 + abs(wanted)), "row \(r)")
        for i in 0..<width {
          var up = p
          var down = p
          up[i] += 1e-5
          down[i] -= 1e-5
          let slope =
            (reference(up, r) - reference(down, r)) / 2e-5 * -Double(weight[r])
          deviation.note(
            gradient[r * width + i], slope, allowed: 3e-5 * (1 + abs(slope)), "gradient \(r), \(i)")
        }
      }
      deviation.expectSmall("\(components) components")
    }
  }

  @Test(arguments: instances, [false, true])
  func adamw(isa: Int32, averaged: Bool) {
    let table = kernels(isa)
    for count in Self.counts {
      withMemory(seed: count) { memory in
        let w = memory.normals(count)
        let gradient = memory.normals(count)
        let first = memory.normals(count)
        let second = memory.normals(count)
        let average = averaged ? memory.normals(count) : nil
        for i in 0..<count { second[i] = abs(second[i]) }
        let old = (0..<count).map { (w[$0], first[$0], second[$0], average?[$0] ?? 0) }
        table.adamw(
          count, w, gradient, first, second, 0.5, 0.01, 0.9, 0.99, 0.2, 0.1, 1e-6, 0.001, average, 0.9)
        var deviation = Deviation()
        for i in 0..<count {
          let g = Double(gradient[i]) * 0.5
          let m = 0.9 * Double(old[i].1) + 0.1 * g
          let v = 0.99 * Double(old[i].2) + 0.01 * g * g
          let change = 0.01 * (m / 0.2) / ((v / 0.1).squareRoot() + 1e-6)
          let value = Double(old[i].0) - change - 0.001 * Double(old[i].0)
          deviation.note(w[i], value, allowed: 1e-6, "w \(i)")
          deviation.note(first[i], m, allowed: 1e-6, "first \(i)")
          deviation.note(second[i], v, allowed: 1e-6, "second \(i)")
          if let average {
            deviation.note(average[i], Double(old[i].3) * 0.9 + 0.1 * value, allowed: 1e-6, "average \(i)")
          }
        }
        deviation.expectSmall("\(count) weights")
      }
    }
  }
}
