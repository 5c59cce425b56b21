import Testing

@testable import ChorusFiles

@Suite struct EscapingTests {
  @Test func whatATerminalWouldActOnIsWrittenOut() {
    let text = "a\u{1B}[2Jb\r\nerror: c\td\u{7}\u{8}\u{7F}\u{9B}0m\u{85}\u{2028}\u{202E}e\u{0}"
    #expect(
      text.escapingControls()
        == #"a\u{1B}[2Jb\r\nerror: c\td\u{7}\u{8}\u{7F}\u{9B}0m\u{85}\u{2028}\u{202E}e\u{0}"#)
    #expect("a\nb\rc".escapingControls(keepingLines: true) == "a\nb\\rc")
  }

  @Test func nothingElseChanges() {
    for text in ["", "plain", "é 日本語 \u{1F600}", "e\u{301}", "न\u{94D}\u{200D}य", "50 % – \\n"] {
      #expect(text.escapingControls() == text)
    }
  }

  /// No scalar of any category that moves a cursor, ends a line or turns the direction is left.
  @Test func everyScalarIsHarmlessAfterwards() {
    for value in UInt32(0)...0x2FFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let left = String(Character(scalar)).escapingControls().unicodeScalars
      #expect(
        left.allSatisfy {
          $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && !(0x2028...0x202E).contains($0.value)
            && !(0x2066...0x2069).contains($0.value)
        }, "\(value)")
    }
  }
}
