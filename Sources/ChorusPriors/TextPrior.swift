import ChorusTensors

/// Windows of a text, byte by byte: every byte is asked, given those of its window before it.
public struct TextPrior: Prior {
  public let name = "text"
  public let dimensions = 1...1
  public let keepsColumns = true
  public let isSequence = true
  public let bytes: [UInt8]

  /// - Throws: `PriorError.stored` for a text that is shorter than a window.
  public init(_ bytes: [UInt8], window: Int) throws(PriorError) {
    guard !bytes.isEmpty else { throw .stored("the text is empty; name a file with some") }
    guard bytes.count >= window else {
      throw .stored(
        "the text has \(bytes.count) bytes, fewer than the \(window) of a window; bring a longer one, or a"
          + " configuration with fewer targets")
    }
    self.bytes = bytes
  }

  /// The beginning of a text to train on, and its end to be judged by.
  ///
  /// - Parameter held: the share at the end; at least a window.
  /// - Throws: `PriorError.stored` for a text that is too short to be cut.
  public static func split(
    _ bytes: [UInt8], window: Int, held: Double = 0.1
  ) throws(PriorError) -> (training: TextPrior, validation: TextPrior) {
    _ = try TextPrior(bytes, window: window)
    let end = max(window, Int(Double(bytes.count) * held))
    guard bytes.count - end >= window else {
      throw .stored(
        "the text has \(bytes.count) bytes, too few for a window of \(window) to train on and one to be judged by;"
          + " bring a longer one, or a configuration with fewer targets")
    }
    return (
      try TextPrior(Array(bytes.dropLast(end)), window: window),
      try TextPrior(Array(bytes.suffix(end)), window: window)
    )
  }

  public func draw(_ shape: TaskShape, from stream: inout RandomStream) throws(PriorError) -> PriorTask {
    try shape.check(dimensions)
    guard shape.rows <= bytes.count else { throw .rows(asked: shape.rows, limit: bytes.count) }
    let first = stream.below(bytes.count - shape.rows + 1)
    return PriorTask(
      shape: shape, x: (0..<shape.rows).map(Double.init),
      y: bytes[first..<first + shape.rows].map(Double.init), component: name)
  }
}
