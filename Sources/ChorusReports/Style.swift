/// Sizes, fonts and colours of all pictures.
enum Style {
  static let headSize = 19.0
  static let titleSize = 16.0
  static let textSize = 12.0
  static let tickSize = 11.5
  static let lineHeight = 1.35

  /// Names of the colours: those of ``Series/Colour`` and those of the frame.
  struct Tint {
    let name: String
    let light: String
    let dark: String
  }

  /// After Okabe and Ito (2008), each shade moved until its contrast with both papers is at least 3 to 1.
  static let palette = [
    Tint(name: "c0", light: "#0072b2", dark: "#56a9e8"), Tint(name: "c1", light: "#d55e00", dark: "#ff8f4d"),
    Tint(name: "c2", light: "#008a63", dark: "#35c39b"), Tint(name: "c3", light: "#b0508e", dark: "#e496c8"),
    Tint(name: "c4", light: "#b07800", dark: "#f0bb41"), Tint(name: "c5", light: "#2a8fc4", dark: "#93d4f7"),
    Tint(name: "c6", light: "#7a5c3a", dark: "#cbb08d"), Tint(name: "c7", light: "#6a4fb3", dark: "#b5a1f2"),
  ]
  static let frame = [
    Tint(name: "ink", light: "#1f2328", dark: "#e8eaed"),
    Tint(name: "muted", light: "#59636e", dark: "#a3acb7"),
    Tint(name: "grid", light: "#e4e7eb", dark: "#2d333b"),
    Tint(name: "axis", light: "#8c959f", dark: "#6e7781"),
    Tint(name: "paper", light: "#ffffff", dark: "#14171c"),
  ]

  static func name(_ colour: Series.Colour) -> String {
    switch colour {
    case .palette(let index): palette[((index % palette.count) + palette.count) % palette.count].name
    case .ink: "ink"
    case .muted: "muted"
    }
  }

  static let fonts =
    "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Noto Sans',Arial,sans-serif"

  /// Declarations of the variables, light and dark, for the elements of `selector`.
  static func variables(_ selector: String) -> String {
    func list(_ value: (Tint) -> String) -> String {
      (frame + palette).map { "--\($0.name):\(value($0))" }.joined(separator: ";")
    }
    return "\(selector){\(list(\.light))}\n"
      + "@media (prefers-color-scheme:dark){\(selector){\(list(\.dark))}}\n"
  }

  /// The style of a picture. Every rule begins with its class, so that it styles nothing else of a page; each colour is
  /// given as itself too, for converters that know no variables.
  static var sheet: String {
    var text = variables(".chorus-figure")
    func rule(_ selector: String, _ declarations: String) {
      text += ".chorus-figure \(selector){\(declarations)}\n"
    }
    rule("text", "font-family:\(fonts)")
    for (size, names) in [
      (headSize, "head"), (titleSize, "title"), (textSize, "text"), (tickSize, "tick"), (textSize, "note"),
    ] {
      rule(
        ".\(names)",
        "font-size:\(SVGText.number(size))px;"
          + fill(["head", "title", "text"].contains(names) ? "ink" : "muted")
          + (["head", "title"].contains(names) ? ";font-weight:600" : "")
          + (names == "tick" ? ";font-variant-numeric:tabular-nums" : ""))
    }
    rule(".paper", fill("paper"))
    rule(".grid", stroke("grid") + ";fill:none")
    rule(".axis", stroke("axis") + ";fill:none")
    // A halo keeps labels readable on lines.
    rule(
      ".label",
      "font-size:\(SVGText.number(textSize))px;font-weight:500;paint-order:stroke;stroke-width:3px;"
        + stroke("paper"))
    for tint in [frame[0], frame[1]] + palette {
      rule(".f-\(tint.name)", fill(tint.name))
      rule(".s-\(tint.name)", stroke(tint.name) + ";fill:none;stroke-linejoin:round;stroke-linecap:round")
    }
    return text
  }

  private static func colour(_ name: String) -> (plain: String, variable: String) {
    ((frame + palette).first { $0.name == name }?.light ?? "#000000", "var(--\(name))")
  }

  private static func fill(_ name: String) -> String {
    "fill:\(colour(name).plain);fill:\(colour(name).variable)"
  }

  private static func stroke(_ name: String) -> String {
    "stroke:\(colour(name).plain);stroke:\(colour(name).variable)"
  }
}
