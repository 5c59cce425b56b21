extension Plan {
  /// Which target values each target may read: the one object from which the calls of the sampler, the
  /// passes of the density and the cost are derived, so that they cannot disagree.
  ///
  /// Every visible set is a prefix of the positions: `0..<merged` in the context and the next rows in the
  /// buffer. A run stands for all targets of one `.predict`, so a plan of K targets takes O(K) memory at
  /// most.
  public struct Visibility: Sendable, Hashable {
    /// The targets of one `.predict` and what was in place when they were drawn.
    public struct Run: Sendable, Hashable {
      /// The positions drawn.
      public let positions: Range<Int>
      /// Positions `0..<merged` are context rows.
      public let merged: Int
      /// Positions `merged..<committed` are buffer rows.
      public let committed: Int
      /// How many of the buffer rows are read.
      public let limit: Int

      /// The direct visibility V_k of each of these targets.
      public var visible: Visible { Visible(context: 0..<merged, buffer: merged..<(merged + limit)) }
    }

    /// What one target sees, by where it is held.
    public struct Visible: Sendable, Hashable {
      /// The positions read as context rows.
      public let context: Range<Int>
      /// The positions read as buffer rows.
      public let buffer: Range<Int>

      /// How many earlier targets are seen.
      public var count: Int { context.count + buffer.count }
      /// Whether the value at `position` is seen.
      public func contains(_ position: Int) -> Bool {
        context.contains(position) || buffer.contains(position)
      }
    }

    /// The smallest, mean and largest number of visible targets.
    public struct Summary: Sendable, Hashable {
      public let minimum: Int
      public let mean: Double
      public let maximum: Int
    }

    /// In position order, without gaps.
    public let runs: [Run]

    /// The number of targets K.
    public var targets: Int { runs.last?.positions.upperBound ?? 0 }

    /// The direct visibility of one target: what its own row reads. Nil where no such target exists.
    public func direct(of position: Int) -> Visible? {
      var low = 0
      var high = runs.count
      while low < high {
        let middle = low + (high - low) / 2
        if runs[middle].positions.upperBound <= position { low = middle + 1 } else { high = middle }
      }
      guard low < runs.count, runs[low].positions.contains(position) else { return nil }
      return runs[low].visible
    }

    /// The effective visibility of one target: what can reach it through the rows it reads, in any number of
    /// layers.
    ///
    /// Merged rows read each other and buffer row j reads the context, the rows before it and itself. Both
    /// sets are prefixes, so the closure adds nothing to what is read directly.
    public func effective(of position: Int) -> Visible? { direct(of: position) }

    /// How many targets each target sees.
    public var summary: Summary {
      guard let first = runs.first else { return Summary(minimum: 0, mean: 0, maximum: 0) }
      var minimum = first.visible.count
      var maximum = minimum
      var sum = 0.0
      for run in runs {
        let count = run.visible.count
        minimum = min(minimum, count)
        maximum = max(maximum, count)
        sum += Double(count) * Double(run.positions.count)
      }
      return Summary(minimum: minimum, mean: sum / Double(targets), maximum: maximum)
    }

    /// Refuses a visibility in which a value depends on itself, and names the pair.
    ///
    /// Runs are in drawing order and read prefixes: as soon as one reads as far as its own first position,
    /// that target reads itself; if none does, every read goes to a smaller position.
    func checkAcyclic() throws(PlanError) {
      for run in runs { try Self.checkAcyclic(run) }
    }

    static func checkAcyclic(_ run: Run) throws(PlanError) {
      let end = run.merged + run.limit
      guard end > run.positions.lowerBound else { return }
      throw .cyclic(reader: run.positions.lowerBound, read: min(end, run.positions.upperBound) - 1)
    }

    /// One line a target: `c` read as context, `b` read as a buffer row, `.` not read.
    public var picture: String {
      runs.flatMap { run in
        let seen = run.visible
        let line = (0..<targets).map { position in
          seen.context.contains(position) ? "c" : seen.buffer.contains(position) ? "b" : "."
        }.joined()
        return run.positions.map { _ in line }
      }.joined(separator: "\n")
    }
  }

  /// What a plan's joint distribution is, compared with the chain of the model's conditionals in its own
  /// order.
  public enum Exactness: String, Sendable, Hashable, Codable {
    /// Every target reads all earlier ones.
    case exactChain
    /// Every target reads all targets of earlier steps; those of one step are independent given these.
    case blockwiseIndependent
    /// Some target does not read some target of an earlier step.
    case truncated
  }
}

extension Plan.Visibility {
  /// The class of joint distribution this visibility gives.
  public var exactness: Plan.Exactness {
    var chain = true
    for run in runs {
      if run.visible.count < run.positions.lowerBound { return .truncated }
      chain = chain && run.positions.count == 1
    }
    return chain ? .exactChain : .blockwiseIndependent
  }
}
