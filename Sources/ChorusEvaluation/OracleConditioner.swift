import ChorusInference
import ChorusLayers
import ChorusModels
import ChorusPlans
import ChorusPriors
import Foundation

/// A Gaussian process with known hyperparameters in the place of a network: every plan, drawn and verified by the same
/// executor, with exact conditionals. What a plan loses on it is the plan's own loss.
///
/// Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.2; the factor of a path's rows
/// grows by one row a value.
package struct OracleConditioner: Conditioner {
  /// Rows seen, the factor L of their covariance and z = L⁻¹y.
  package struct Context: Sendable {
    fileprivate var points: [Double] = []
    fileprivate var factor: [[Double]] = []
    fileprivate var z: [Double] = []

    /// Keeps the first `count` rows: a leading part of a factor is the factor of the leading rows.
    fileprivate mutating func truncate(to count: Int, dimensions: Int) {
      guard count < z.count else { return }
      points.removeSubrange(count * dimensions..<points.count)
      factor.removeSubrange(count..<factor.count)
      z.removeSubrange(count..<z.count)
    }
  }

  /// The rows of each path by slot, and the factor that goes on from the context's as far as it was asked for.
  package final class Paths {
    fileprivate struct Rows {
      var held: [(target: Int, value: Double)] = []
      var factored: Context?
      /// Rows of the factor that are the context's.
      var first = 0
    }
    fileprivate var rows: [Rows]
    init(count: Int) { rows = [Rows](repeating: Rows(), count: count) }
  }

  private let kernel: Kernel
  private let noise: Double
  private let targets: [Double]
  package let observed: Context

  /// - Parameters:
  ///   - noise: variance of the noise on every output.
  ///   - x: inputs of the observed rows, row-major; `y` their outputs.
  ///   - targets: inputs of the targets, row-major.
  package init(kernel: Kernel, noise: Double, x: [Double], y: [Double], targets: [Double]) {
    self.kernel = kernel
    self.noise = noise
    self.targets = targets
    var context = Context()
    let d = kernel.dimensions
    for row in y.indices {
      Self.append(Array(x[row * d..<(row + 1) * d]), y[row], to: &context, kernel, noise)
    }
    observed = context
  }

  package var capability: Plan.Capability { Plan.Capability() }

  package func encode(with rows: [(target: Int, value: Float)]) -> Context {
    var context = observed
    for row in rows { Self.append(point(row.target), Double(row.value), to: &context, kernel, noise) }
    return context
  }

  package func branch(paths: Int, capacity: Int) -> Paths { Paths(count: paths) }

  package func rewind(_ paths: Paths, path: Int, to count: Int) {
    let kept = min(count, paths.rows[path].held.count)
    paths.rows[path].held.removeSubrange(kept...)
    forget(paths, path, from: kept)
  }

  private func forget(_ paths: Paths, _ path: Int, from slot: Int) {
    let count = paths.rows[path].first + slot
    paths.rows[path].factored?.truncate(to: count, dimensions: kernel.dimensions)
  }

  package func advance(
    _ paths: Paths, _ context: Context, _ rows: RowBatch, _ body: (GaussianMixture) -> Void
  ) {
    var value = 0
    for row in 0..<rows.count where rows.slots[row] >= 0 {
      let (path, slot) = (Int(rows.path[row]), Int(rows.slots[row]))
      let new = (target: Int(rows.inputs[row]), value: Double(rows.values[value]))
      value += 1
      if slot < paths.rows[path].held.count {
        paths.rows[path].held[slot] = new
        forget(paths, path, from: slot)
      } else {
        paths.rows[path].held.append(new)
      }
    }
    for row in 0..<rows.count where rows.slots[row] < 0 {
      let path = Int(rows.path[row])
      let limit = Int(rows.limits[row])
      let point = point(Int(rows.inputs[row]))
      if rows.maskStarts[row] < 0 {
        var state = paths.rows[path].factored ?? context
        extend(&state, from: state.z.count - context.z.count, to: limit, paths.rows[path].held)
        body(law(of: point, given: state, rows: context.z.count + limit))
        (paths.rows[path].factored, paths.rows[path].first) = (state, context.z.count)
      } else {
        var state = context
        let start = Int(rows.maskStarts[row])
        for slot in 0..<limit where rows.masks[start + slot / 64] >> UInt64(slot % 64) & 1 == 1 {
          extend(&state, from: slot, to: slot + 1, paths.rows[path].held)
        }
        body(law(of: point, given: state, rows: state.z.count))
      }
    }
  }

  private func point(_ target: Int) -> [Double] {
    let d = kernel.dimensions
    return Array(targets[target * d..<(target + 1) * d])
  }

  private func extend(
    _ state: inout Context, from: Int, to: Int, _ held: [(target: Int, value: Double)]
  ) {
    for slot in from..<max(from, to) {
      Self.append(point(held[slot].target), held[slot].value, to: &state, kernel, noise)
    }
  }

  /// p(y | the first `rows` rows of the state).
  private func law(of point: [Double], given state: Context, rows: Int) -> GaussianMixture {
    let w = Self.whitened(point, state, rows, kernel)
    var mean = 0.0
    var variance = kernel(point, point) + noise
    for (index, value) in w.enumerated() {
      mean += value * state.z[index]
      variance -= value * value
    }
    return GaussianMixture(mean: mean, deviation: max(variance, 1e-12).squareRoot())
  }

  /// L⁻¹k for the covariance k of a point with the first `rows` rows.
  private static func whitened(_ point: [Double], _ state: Context, _ rows: Int, _ kernel: Kernel) -> [Double]
  {
    let d = kernel.dimensions
    var w = [Double](repeating: 0, count: rows)
    for row in 0..<rows {
      var sum = kernel(point, Array(state.points[row * d..<(row + 1) * d]))
      let factor = state.factor[row]
      for column in 0..<row { sum -= factor[column] * w[column] }
      w[row] = sum / factor[row]
    }
    return w
  }

  private static func append(
    _ point: [Double], _ value: Double, to state: inout Context, _ kernel: Kernel, _ noise: Double
  ) {
    var row = whitened(point, state, state.z.count, kernel)
    var (rest, residual) = (kernel(point, point) + noise, value)
    for (index, w) in row.enumerated() {
      rest -= w * w
      residual -= w * state.z[index]
    }
    row.append(max(rest, 1e-12).squareRoot())
    state.z.append(residual / row[row.count - 1])
    state.factor.append(row)
    state.points += point
  }
}
