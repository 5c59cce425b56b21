extension String {
  /// The text with everything written out that a terminal or a log would act on: control characters, line ends, and marks that
  /// turn the direction of writing.
  ///
  /// What a file or an argument holds can so be quoted in a message: it can neither move the cursor nor begin a line that
  /// looks like one of ours.
  ///
  /// - Parameter keepingLines: leaves line feeds as they are, for a text of several lines.
  public func escapingControls(keepingLines: Bool = false) -> String {
    func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
      switch scalar.properties.generalCategory {
      case .control: keepingLines && scalar == "\n"
      case .lineSeparator, .paragraphSeparator: false
      // Soft hyphens and joiners, which some scripts need, are left.
      case .format: !scalar.properties.isBidiControl
      default: true
      }
    }
    guard !unicodeScalars.allSatisfy(isHarmless) else { return self }
    var result = ""
    for scalar in unicodeScalars {
      switch scalar {
      case _ where isHarmless(scalar): result.unicodeScalars.append(scalar)
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      default: result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
      }
    }
    return result
  }
}
