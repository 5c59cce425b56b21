import CChorusKernels
import ChorusTensors
import Foundation

/// AdamW with clipping and a running average of the weights (Loshchilov & Hutter 2019, Alg. 2).
///
/// Gradients come in a fixed number of shards and are added in a fixed order, so the bytes do not depend on the number of
/// threads, nor, along a tree, on that of the processes which have a part of the shards each.
final class Optimiser: Sendable {
  let weights: Weights
  let average: Weights
  let first: FloatBuffer
  let second: FloatBuffer
  let shards: [FloatBuffer]
  private let additions: [(into: Int, from: Int)]
  private let chunks: [(range: Range<Int>, decays: Bool)]

  /// - Parameters:
  ///   - shards: how many there are here.
  ///   - asTree: add neighbours first, then their sums, in place of one shard after another.
  init(_ weights: Weights, shards: Int, asTree: Bool) {
    self.weights = weights
    average = Weights(weights.table)
    average.values.copy(from: weights.values)
    let count = weights.table.count
    first = FloatBuffer(count: count)
    second = FloatBuffer(count: count)
    self.shards = (0..<shards).map { _ in FloatBuffer(count: count) }
    additions = asTree ? Self.tree(shards) : (1..<shards).map { (0, $0) }
    chunks = weights.table.all.map { ($0.offset..<$0.offset + $0.count, $0.isWeight) }
  }

  /// The additions of a binary tree with a power of two of leaves.
  private static func tree(_ leaves: Int) -> [(into: Int, from: Int)] {
    var additions: [(into: Int, from: Int)] = []
    var distance = 1
    while distance < leaves {
      additions += stride(from: 0, to: leaves, by: 2 * distance).map { ($0, $0 + distance) }
      distance *= 2
    }
    return additions
  }

  /// One step from the gradients in the `shards` of all ranks, which are set to zero. Returns the norm before clipping; where that is
  /// no number, nothing has moved.
  func step(
    _ index: Int, _ configuration: TrainingConfiguration, on pool: ThreadPool, with exchange: any Exchange
  ) throws -> Double {
    let norms = Norms(chunks.count)
    pool.run(chunks.count) { [self] chunk in
      let (range, _) = chunks[chunk]
      for (into, from) in additions {
        ck_add(range.count, shards[from].pointer + range.lowerBound, shards[into].pointer + range.lowerBound)
      }
    }
    do { try exchange.sum(shards[0]) } catch {
      discard()
      throw error
    }
    pool.run(chunks.count) { [self] chunk in
      let (range, _) = chunks[chunk]
      norms.values[chunk] = ck_sum_squares(range.count, shards[0].pointer + range.lowerBound)
    }
    let norm = norms.total.squareRoot()
    guard norm.isFinite else {
      discard()
      return norm
    }
    let scale = norm > configuration.clip ? configuration.clip / norm : 1
    let rate = configuration.rate(at: index)
    let t = Double(index + 1)
    let keep = min(configuration.average, (1 + t) / (10 + t))
    let corrections = (1 - pow(configuration.beta1, t), 1 - pow(configuration.beta2, t))
    pool.run(chunks.count) { [self] chunk in
      let (range, decays) = chunks[chunk]
      let offset = range.lowerBound
      ck_adamw(
        range.count, weights.values.pointer + offset, shards[0].pointer + offset, first.pointer + offset,
        second.pointer + offset, Float(scale), Float(rate), Float(configuration.beta1),
        Float(configuration.beta2),
        Float(corrections.0), Float(corrections.1), Float(configuration.epsilon),
        decays ? Float(rate * configuration.decay) : 0, average.values.pointer + offset, Float(keep))
      for shard in shards { (shard.pointer + offset).update(repeating: 0, count: range.count) }
    }
    weights.pack(on: pool)
    return norm
  }

  /// Forgets gradients that will not be used.
  func discard() { for shard in shards { shard.fill(0) } }

  /// One number a chunk, each written by whichever thread does that chunk.
  private final class Norms: @unchecked Sendable {
    let values: UnsafeMutableBufferPointer<Double>
    init(_ count: Int) {
      values = .allocate(capacity: count)
      values.initialize(repeating: 0)
    }
    deinit { values.deallocate() }
    var total: Double { values.reduce(0, +) }
  }
}
