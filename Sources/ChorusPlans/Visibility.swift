extension Plan {
  /// Which target values each target may read.
  public var visibility: Visibility { Visibility(passes: densityPasses, targets: targets) }

  /// Which target values each target may read: made from the passes of the density, which are made from the
  /// instructions, so that the three cannot disagree.
  public struct Visibility: Sendable, Hashable {
    /// What one target sees, by where it is held.
    public struct Visible: Sendable, Hashable {
      /// The positions read as context rows.
      public let context: RangeSet<Int>
      /// The positions read as buffer rows.
      public let buffer: RangeSet<Int>
      /// How many earlier targets are seen.
      public let count: Int

      /// The positions read.
      public var all: RangeSet<Int> {
        if context.isEmpty { return buffer }
        return buffer.isEmpty ? context : context.union(buffer)
      }
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

      init(_ seen: some Collection<Visible>) {
        var minimum = Int.max
        var maximum = 0
        var sum = 0.0
        for visible in seen {
          let count = visible.count
          minimum = min(minimum, count)
          maximum = max(maximum, count)
          sum += Double(count)
        }
        self.minimum = seen.isEmpty ? 0 : minimum
        self.maximum = maximum
        mean = seen.isEmpty ? 0 : sum / Double(seen.count)
      }
    }

    /// The direct visibility V_k of each target: what its own row reads.
    public let direct: [Visible]
    let passes: [Pass]

    /// The number of targets K.
    public var targets: Int { direct.count }

    init(passes: [Pass], targets: Int) {
      self.passes = passes
      let nothing = Visible(context: RangeSet(), buffer: RangeSet(), count: 0)
      var direct = [Visible](repeating: nothing, count: targets)
      for pass in passes {
        let naming = Naming(pass)
        let held = pass.context.elements
        for query in pass.queries where direct.indices.contains(query.position) {
          direct[query.position] = Visible(
            context: pass.context, buffer: naming.positions(query.reads), count: held + query.readCount)
        }
      }
      self.direct = direct
    }

    /// The direct visibility of one target. Nil where no such target exists.
    public func direct(of position: Int) -> Visible? {
      direct.indices.contains(position) ? direct[position] : nil
    }

    /// How many targets each target sees directly.
    public var summary: Summary { Summary(direct) }

    /// One line a target: `c` read as context, `b` read as a buffer row, `.` not read.
    public var picture: String {
      direct.map { seen in
        (0..<targets).map { seen.context.contains($0) ? "c" : seen.buffer.contains($0) ? "b" : "." }.joined()
      }.joined(separator: "\n")
    }
  }

  /// The positions that the slots of a pass stand for.
  struct Naming {
    private let buffered: [Row]
    /// What has to be added to a slot, if it is the same for all.
    private let shift: Int?

    init(_ pass: Pass) {
      buffered = pass.buffered
      let shift = pass.buffered.first?.position ?? 0
      self.shift = pass.buffered.allSatisfy { $0.position - $0.slot == shift } ? shift : nil
    }

    func positions(_ slots: RangeSet<Int>) -> RangeSet<Int> {
      guard shift != 0 else { return slots }
      var set = RangeSet<Int>()
      if let shift {
        for range in slots.ranges {
          set.insert(contentsOf: range.lowerBound + shift..<range.upperBound + shift)
        }
      } else {
        for slot in slots.integers {
          set.insert(contentsOf: buffered[slot].position..<buffered[slot].position + 1)
        }
      }
      return set
    }
  }

  /// What a plan's joint distribution is, compared with the chain of the model's conditionals in its own order.
  public enum Exactness: String, Sendable, Hashable, Codable {
    /// Every target reads all earlier ones.
    case exactChain
    /// Every target reads all earlier ones; some are drafted without them and then verified along the chain.
    case exactByVerification
    /// Every target reads all targets of earlier steps; those of one step are independent given these.
    case blockwiseIndependent
    /// Some target does not read some target of an earlier step.
    case truncated
  }

  /// The class of joint distribution this plan gives.
  public var exactness: Exactness {
    var chain = true
    let seen = visibility.direct
    for instruction in instructions {
      switch instruction {
      case .verify(let verification):
        for position in verification.positions where seen[position].count < position { return .truncated }
      case .trust: continue
      case .call(let call):
        for row in call.predict where seen[row.position].count < call.positions.lowerBound {
          return .truncated
        }
        chain = chain && call.predict.count == 1
      }
    }
    if !chain { return .blockwiseIndependent }
    return requirements.rewind ? .exactByVerification : .exactChain
  }
}
