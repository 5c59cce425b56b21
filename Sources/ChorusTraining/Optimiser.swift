import CChorusKernels
import ChorusTensors
import Foundation

/// AdamW with clipping and a running average of the weights (Loshchilov & Hutter 2019, Alg. 2).
///
/// Gradients come in a fixed number of shards and are added in the order of the shards, so the bytes do not depend
/// on the number of threads.
final class Optimiser: Sendable {
  let weights: Weights
  let average: Weights
  let first: FloatBuffer
  let second: FloatBuffer
  let shards: [FloatBuffer]
  private let chunks: [(range: Range<Int>, decays: Bool)]

  static let shardCount = 8

  init(_ weights: Weights) {
    self.weights = weights
    average = Weights(weights.table)
    average.values.copy(from: weights.values)
    let count = weights.table.count
    first = FloatBuffer(count: count)
    second = FloatBuffer(count: count)
    shards = (0..<Self.shardCount).map { _ in FloatBuffer(count: count) }
    chunks = weights.table.all.map { ($0.offset..<$0.offset + $0.count, $0.isWeight) }
  }

  /// One step from the gradients in `shards`, which are set to zero. Returns the norm before clipping; where that is
  /// no number, nothing has moved.
  func step(_ index: Int, _ configuration: TrainingConfiguration, on pool: ThreadPool) -> Double {
    let norms = Norms(chunks.count)
    pool.run(chunks.count) { [self] chunk in
      let (range, _) = chunks[chunk]
      let sum = shards[0].pointer + range.lowerBound
      for shard in shards.dropFirst() { ck_add(range.count, shard.pointer + range.lowerBound, sum) }
      norms.values[chunk] = ck_sum_squares(range.count, sum)
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
