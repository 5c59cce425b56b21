extension Plan {
  /// What the plan does and costs for one path, in words.
  public var explanation: String { explanation(rates: nil) }

  /// What the plan does and costs, in words: order, steps, exactness, visibility, counts, ratios and warnings.
  ///
  /// - Parameters:
  ///   - rates: the model's rates, for nominal FLOPs and bytes and for how far a value hops through buffer rows.
  ///   - paths: how many paths are drawn side by side.
  ///   - capability: what the model can do, for warnings.
  ///   - acceptance: the probability of accepting a draft, for the expectation of a plan that verifies.
  public func explanation(
    rates: WorkRates?, paths: Int = 1, capability: Capability = Capability(), acceptance: Double = 0.8
  ) -> String {
    let visibility = visibility
    let seen = visibility.summary
    let effective = visibility.effective(layers: rates?.layers.count)
    var lines = [
      "plan        \(template?.description ?? "made by hand")",
      "task        \(grouped(targets)) targets after \(grouped(contextRows)) observed rows, "
        + "paths: \(grouped(paths))",
      "order       \(orderInWords)",
      "steps       \(stepsInWords)",
      "exactness   \(exactness.explanation)",
      "direct      a target reads \(inWords(seen)) earlier targets",
      "effective   " + effectiveInWords(effective, seen, layers: rates?.layers.count),
    ]
    do {
      lines += try costLines(rates: rates, paths: paths, acceptance: acceptance)
    } catch {
      lines.append("cost        cannot be counted: \(error)")
    }
    lines += warnings(capability).map { "warning     \($0)" }
    if targets > 0, targets <= 64 {
      lines.append("picture     row: target; c: as context, b: as buffer row, +: through other rows, .: not")
      lines.append(picture(visibility, effective))
    }
    return lines.joined(separator: "\n")
  }

  /// What a user should know before running the plan on a model of that capability.
  public func warnings(_ capability: Capability) -> [String] {
    var warnings: [String] = []
    if let trained = capability.trainedBuffer, peakBufferRows > trained {
      let offer = template?.merging(at: trained) ?? .sequential(capacity: max(1, trained))
      warnings.append(
        "\(grouped(peakBufferRows)) buffer rows exceed the \(grouped(trained)) seen in training"
          + (capability.merges ? "; \(offer) merges in time" : ""))
    }
    let strict = template?.strictForm.map(\.description) ?? "its re-encoded form"
    if requirements.subsetReads {
      warnings.append(
        "some rows read a part of the buffer that is no prefix, which training has not shown; "
          + "\(strict) reads the same values as context")
    }
    let visibility = visibility
    if let effective = visibility.effective(), effective != visibility.direct {
      warnings.append(
        "buffer rows have read values that their readers do not, so more reaches a target than it reads; "
          + "in \(strict) nothing does")
    }
    return warnings
  }

  private var orderInWords: String {
    guard case .fixed(let order) = order else {
      return "each path has its own random order of the targets; a position counts along it"
    }
    let first = order.prefix(12).map(String.init).joined(separator: ", ")
    return "the same for all paths: \(first)" + (order.count > 12 ? ", ..." : "")
  }

  /// How many targets each instruction draws, runs of equal ones together.
  private var stepsInWords: String {
    var runs: [(kind: String, count: Int)] = []
    for instruction in instructions {
      var kind = instruction.encodes && !instruction.context.isEmpty ? "encode and " : ""
      let number = grouped(instruction.positions.count)
      switch instruction {
      case .call: kind += "draw \(number)"
      case .trust(let trust):
        kind +=
          "draw \(number) one after another, trusting up to \(grouped(trust.most)) of them before encoding anew"
      case .verify(let verification):
        kind += "verify \(number) by \(grouped(min(verification.draft, verification.positions.count)))"
      }
      if let last = runs.last, last.kind == kind {
        runs[runs.count - 1].count += 1
      } else if runs.count < 16 {
        runs.append((kind, 1))
      } else {
        return "encode; " + text(runs) + "; ..."
      }
    }
    return runs.isEmpty ? "none" : "encode; " + text(runs)
  }

  private func text(_ runs: [(kind: String, count: Int)]) -> String {
    runs.map { $0.count == 1 ? $0.kind : "\($0.kind) (\(grouped($0.count)) times)" }.joined(separator: "; ")
  }

  private func inWords(_ seen: Visibility.Summary) -> String {
    "min \(grouped(seen.minimum)), mean \(decimal(seen.mean, 2)), max \(grouped(seen.maximum))"
  }

  private func effectiveInWords(
    _ effective: [Visibility.Visible]?, _ seen: Visibility.Summary, layers: Int?
  ) -> String {
    guard let effective else { return "not followed for so many targets; more than the direct" }
    let summary = Visibility.Summary(effective)
    if summary == seen { return "the same: the rows read have read nothing else" }
    return inWords(summary) + " reach it through buffer rows, in "
      + (layers.map { "\($0) layers" } ?? "any number of layers")
  }

  private func costLines(rates: WorkRates?, paths: Int, acceptance: Double) throws(PlanError) -> [String] {
    let cost = try cost(paths: paths)
    let worst = requirements.rewind || requirements.decides ? ", at the worst" : ""
    var lines = [
      "calls       S = \(grouped(cost.calls)) network calls\(worst), merges: \(grouped(cost.merges))",
      "encodes     E = \(grouped(cost.encodes)) rows through the network\(worst)",
      "reads       R = \(grouped(cost.reads)) query-key pairs per layer and head\(worst)",
      "peak        \(grouped(cost.peakRows)) context and buffer rows, buffer slots of a path: "
        + grouped(cost.peakSlots),
    ]
    if requirements.rewind {
      let mean = try expectedCost(acceptance: acceptance, paths: paths)
      lines.append(
        "expected    S = \(decimal(mean.calls, 1)) of a path, E = \(decimal(mean.encodes, 1)), "
          + "R = \(decimal(mean.reads, 1)) if a draft is accepted with probability \(acceptance)")
    }
    if let rates {
      let work = cost.work(rates)
      lines.append(
        "work        \(mega(work.total)) MFLOP nominal: layers \(mega(work.layers)), "
          + "embedders \(mega(work.embedders)), heads \(mega(work.heads))")
      lines.append("state       \(grouped(try cost.bytes(rates))) bytes at the peak")
    }
    let references: [(String, PlanTemplate)] = [
      ("reencode", .reencode), ("sequential", .sequential), ("one marginal pass", .independent),
    ]
    for (name, reference) in references {
      do {
        let other = try reference.resolve(context: contextRows, targets: targets).cost(paths: paths)
        var line =
          "ratio       to \(name): calls \(ratio(cost.calls, other.calls)), "
          + "encodes \(ratio(cost.encodes, other.encodes)), reads \(ratio(cost.reads, other.reads))"
        if let rates { line += ", work \(ratio(cost.work(rates).total, other.work(rates).total))" }
        lines.append(line)
      } catch {
        lines.append("ratio       to \(name): cannot be counted: \(error)")
      }
    }
    return lines
  }

  private func picture(_ visibility: Visibility, _ effective: [Visibility.Visible]?) -> String {
    guard let effective else { return visibility.picture }
    return zip(visibility.direct, effective).map { seen, reached in
      (0..<targets).map { target in
        seen.context.contains(target)
          ? "c" : seen.buffer.contains(target) ? "b" : reached.contains(target) ? "+" : "."
      }.joined()
    }.joined(separator: "\n")
  }
}

extension PlanTemplate {
  /// The same rule with a buffer of so many rows; nil for rules that do not merge.
  fileprivate func merging(at capacity: Int) -> PlanTemplate? {
    guard arguments.takesCapacity, !isStrict else { return nil }
    var template = self
    template.capacity = max(1, capacity)
    return template
  }
}

/// An integer with a comma before every third digit.
private func grouped(_ value: Int) -> String {
  let digits = Array(String(value.magnitude))
  var text = value < 0 ? "-" : ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
    text.append(digit)
  }
  return text
}

/// A number rounded to some places after the point.
private func decimal(_ value: Double, _ places: Int) -> String {
  let scale = (0..<places).reduce(1.0) { scale, _ in scale * 10 }
  return String((value * scale).rounded() / scale)
}

private func mega(_ operations: Double) -> String { decimal(operations / 1e6, 1) }

private func ratio(_ value: Int, _ other: Int) -> String { ratio(Double(value), Double(other)) }

private func ratio(_ value: Double, _ other: Double) -> String {
  guard other > 0 else { return value > 0 ? "infinite" : "1.0x" }
  let ratio = value / other
  return decimal(ratio, ratio < 0.1 ? 4 : 2) + "x"
}
