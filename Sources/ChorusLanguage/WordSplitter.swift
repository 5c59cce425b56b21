/// How a text is cut into the words that merges stay within: the pre-tokenizer of a vocabulary, by the name that GGUF files
/// have for it.
public enum WordSplitter: String, Sendable, CaseIterable {
  /// GPT-2's pattern: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
  /// (Radford et al. 2019, encoder.py).
  case gpt2 = "gpt-2"
  /// Every digit alone, and between the digits GPT-2's pattern.
  case smollm

  /// What a character counts as in the pattern.
  private enum Kind { case letter, number, space, other }

  private static func kind(_ scalar: Unicode.Scalar) -> Kind {
    if scalar.properties.isWhitespace { return .space }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
    case .decimalNumber, .letterNumber, .otherNumber: return .number
    default: return .other
    }
  }

  /// Calls `body` with the UTF-8 bytes of each word, from the first to the last.
  public func split(_ text: String, _ body: (ArraySlice<UInt8>) -> Void) {
    let bytes = Array(text.utf8)
    var scalars: [Unicode.Scalar] = []
    var (kinds, starts): ([Kind], [Int]) = ([], [])
    var place = 0
    for scalar in text.unicodeScalars {
      scalars.append(scalar)
      kinds.append(Self.kind(scalar))
      starts.append(place)
      place += UTF8.width(scalar)
    }
    starts.append(place)
    func word(_ range: Range<Int>) { body(bytes[starts[range.lowerBound]..<starts[range.upperBound]]) }
    var piece = 0
    while piece < scalars.count {
      guard self == .smollm else {
        Self.words(0..<scalars.count, scalars, kinds, word)
        return
      }
      let end = kinds[piece...].firstIndex(of: .number) ?? scalars.count
      Self.words(piece..<end, scalars, kinds, word)
      if end < scalars.count { word(end..<end + 1) }
      piece = end + 1
    }
  }

  /// The pattern over the characters of `range`, as if nothing stood around them.
  private static func words(
    _ range: Range<Int>, _ scalars: [Unicode.Scalar], _ kinds: [Kind], _ word: (Range<Int>) -> Void
  ) {
    func end(of kind: Kind, from start: Int) -> Int {
      var end = start
      while end < range.upperBound, kinds[end] == kind { end += 1 }
      return end
    }
    var start = range.lowerBound
    while start < range.upperBound {
      if let length = contraction(scalars[start..<min(start + 3, range.upperBound)]) {
        word(start..<start + length)
        start += length
        continue
      }
      let first = scalars[start] == " " ? start + 1 : start
      var stop: Int
      if first < range.upperBound, kinds[first] != .space {
        stop = end(of: kinds[first], from: first)
      } else {
        stop = end(of: .space, from: start)
        // The last of several spaces belongs to the word behind them.
        if stop < range.upperBound, stop - start > 1 { stop -= 1 }
      }
      word(start..<stop)
      start = stop
    }
  }

  private static func contraction(_ next: ArraySlice<Unicode.Scalar>) -> Int? {
    guard next.first == "'" else { return nil }
    let letters = next.dropFirst()
    switch letters.first {
    case "s", "t", "m", "d": return 2
    case "r", "v": return letters.dropFirst().first == "e" ? 3 : nil
    case "l": return letters.dropFirst().first == "l" ? 3 : nil
    default: return nil
    }
  }
}
