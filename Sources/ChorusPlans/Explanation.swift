extension Plan {
  /// What the plan does and costs for one path, in words.
  public var explanation: String { explanation(size: nil) }

  /// What the plan does and costs, in words: order, exactness, visibility, counts, ratios and warnings.
  ///
  /// - Parameters:
  ///   - size: the model's sizes, for nominal FLOPs and bytes.
  ///   - paths: how many paths are drawn side by side.
  ///   - trainedCapacity: how many buffer rows the model saw in training, for the warning about more.
  public func explanation(size: ModelSize?, paths: Int = 1, trainedCapacity: Int? = nil) -> String {
    let seen = visibility.summary
    var lines = [
      "plan        \(template?.description ?? "made by hand")",
      "task        \(grouped(targets)) targets after \(grouped(contextRows)) observed rows, "
        + "paths: \(grouped(paths))",
      "order       each path has its own order of the targets; a position counts along it",
      "exactness   \(exactness.explanation)",
      "direct      a target sees min \(grouped(seen.minimum)), mean \(decimal(seen.mean, 2)), "
        + "max \(grouped(seen.maximum)) earlier targets",
      "effective   the same: the rows read have read nothing else",
    ]
    do {
      lines += try costLines(size: size, paths: paths)
    } catch {
      lines.append("cost        cannot be counted: \(error)")
    }
    lines += warnings(trainedCapacity: trainedCapacity).map { "warning     \($0)" }
    if targets > 0, targets <= 64 {
      lines.append("picture     row: target; c: as context, b: as buffer row, .: not read")
      lines.append(visibility.picture)
    }
    return lines.joined(separator: "\n")
  }

  /// What a user should know before running the plan on a model trained with `trainedCapacity` buffer rows.
  public func warnings(trainedCapacity: Int?) -> [String] {
    guard let trainedCapacity, peakBufferRows > trainedCapacity else { return [] }
    return [
      "\(grouped(peakBufferRows)) buffer rows exceed the \(grouped(trainedCapacity)) seen in training; "
        + "sequential(capacity:\(max(1, trainedCapacity))) merges in time"
    ]
  }

  private func costLines(size: ModelSize?, paths: Int) throws(PlanError) -> [String] {
    let cost = try cost(paths: paths)
    var lines = [
      "calls       S = \(grouped(cost.calls)) network calls, merges: \(grouped(cost.merges))",
      "encodes     E = \(grouped(cost.encodes)) rows through the network",
      "reads       R = \(grouped(cost.reads)) query-key pairs per layer and head",
      "peak        \(grouped(cost.peakRows)) context and buffer rows",
    ]
    if let size {
      let work = cost.work(size)
      lines.append(
        "work        \(mega(work.total)) MFLOP nominal: layers \(mega(work.trunk)), "
          + "embedders \(mega(work.embedders)), heads \(mega(work.heads))")
      lines.append("state       \(grouped(try cost.bytes(size))) bytes at the peak, if every row is kept")
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
        if let size { line += ", work \(ratio(cost.work(size).total, other.work(size).total))" }
        lines.append(line)
      } catch {
        lines.append("ratio       to \(name): cannot be counted: \(error)")
      }
    }
    return lines
  }
}

extension Plan.Exactness {
  /// The class in words, with what it is exact for.
  public var explanation: String {
    switch self {
    case .exactByVerification:
      "exact by verification: drafts side by side, accepted or corrected along the chain"
    case .exactChain: "exact chain of the model's conditionals in this order"
    case .blockwiseIndependent: "blockwise independent: targets of one call, given those of earlier calls"
    case .truncated: "truncated: some target does not read some earlier one"
    }
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
