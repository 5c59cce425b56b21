/// A number with what people write around it: `1,234.5`, `1 234,5 €`, `-$5`, `12 %`, `−3`.
struct AmountText: Equatable {
  /// What tells the unit of a number.
  enum Sign: String, CaseIterable {
    case percent = "%"
    case dollar = "$"
    case euro = "€"
    case pound = "£"
    case yen = "¥"
    case rupee = "₹"
  }

  let value: Double
  var sign: Sign?
  /// Whether thousands are set apart by the mark that elsewhere is the decimal mark, and nothing else in the number
  /// says that it is not the decimal mark here: `1,234`.
  var isOpen = false
  /// Whether thousands are set apart by that mark beyond doubt: `1,234,567`.
  var isSettled = false

  /// The longest text that is looked at.
  private static let limit = 64

  /// Reads a number, or nil where `text` is none; what ``NumberText`` reads is read there.
  static func read(_ text: UnsafeBufferPointer<UInt8>, mark: DecimalMark) -> AmountText? {
    guard text.count <= limit, text.contains(where: { $0 &- 0x30 <= 9 }) else { return nil }
    var reader = Reader(rest: text[...])
    return reader.amount(mark)
  }

  private struct Reader {
    var rest: Slice<UnsafeBufferPointer<UInt8>>
    private var isNegative = false
    private var hasMinus = false
    private var sign: Sign?

    init(rest: Slice<UnsafeBufferPointer<UInt8>>) { self.rest = rest }

    mutating func amount(_ mark: DecimalMark) -> AmountText? {
      takeSpaces()
      guard takeSigns(allowing: { $0 != .percent }) else { return nil }
      var digits: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
      let whole = takeDigits()
      var groups = 0
      var separator: [UInt8] = []
      digits += whole
      while (1...3).contains(whole.count), whole.first != 0x30 {
        let before = rest
        let found = takeSeparator(mark)
        guard !found.isEmpty, groups == 0 || found == separator, isGroup else {
          rest = before
          break
        }
        separator = found
        digits += takeDigits()
        groups += 1
      }
      let hasMark = take([mark.rawValue])
      if hasMark { digits += [UInt8(ascii: ".")] + takeDigits() }
      takeSpaces()
      guard takeSigns(allowing: { _ in true }, minus: false), rest.isEmpty else { return nil }
      guard case .finite(let value) = digits.withUnsafeBufferPointer({ NumberText.read($0) }) else {
        return nil
      }
      let isGrouped = groups > 0 && separator == [mark.other.rawValue]
      let isSettled = groups > 1 || hasMark
      return AmountText(
        value: value, sign: sign, isOpen: isGrouped && !isSettled, isSettled: isGrouped && isSettled)
    }

    /// Three digits and no more.
    private var isGroup: Bool {
      let digits = rest.prefix(4).prefix { $0 &- 0x30 <= 9 }
      return digits.count == 3
    }

    /// At most one minus or plus and one sign, with spaces between them; false for two.
    private mutating func takeSigns(allowing isAllowed: (Sign) -> Bool, minus: Bool = true) -> Bool {
      while true {
        if minus, !hasMinus, take([0x2D]) || take([0xE2, 0x88, 0x92]) {
          (isNegative, hasMinus) = (true, true)
        } else if minus, !hasMinus, take([0x2B]) {
          hasMinus = true
        } else if let found = Sign.allCases.first(where: { isAllowed($0) && take(Array($0.rawValue.utf8)) }) {
          guard sign == nil else { return false }
          sign = found
        } else {
          return true
        }
        takeSpaces()
      }
    }

    private mutating func takeDigits() -> [UInt8] {
      let digits = Array(rest.prefix { $0 &- 0x30 <= 9 })
      rest.removeFirst(digits.count)
      return digits
    }

    /// What sets thousands apart: the other mark, an apostrophe or a space of any width.
    private mutating func takeSeparator(_ mark: DecimalMark) -> [UInt8] {
      let all: [[UInt8]] = [
        [mark.other.rawValue], [0x27], [0xE2, 0x80, 0x99], [0x20], [0xC2, 0xA0], [0xE2, 0x80, 0x89],
        [0xE2, 0x80, 0xAF],
      ]
      return all.first { take($0) } ?? []
    }

    private mutating func takeSpaces() {
      while take([0x20]) || take([0x09]) || take([0xC2, 0xA0]) || take([0xE2, 0x80, 0xAF]) {}
    }

    private mutating func take(_ bytes: [UInt8]) -> Bool {
      guard rest.starts(with: bytes) else { return false }
      rest.removeFirst(bytes.count)
      return true
    }
  }
}
