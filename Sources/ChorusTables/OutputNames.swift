/// The name of a column of an output: one of the output's own, or one that the file read has.
///
/// Names of the file stay as they are. One of the output's own that the file has as well gets a line before it, so that a reader can
/// tell them apart.
///
/// ```swift
/// let names: [OutputName] = ["row", .file("note"), "probability", "note"]
/// names.header       // row, note, probability, _note
/// ```
public enum OutputName: Sendable, Hashable, ExpressibleByStringLiteral {
  case own(String)
  case file(String)

  public init(stringLiteral name: String) { self = .own(name) }
}

extension [OutputName] {
  /// The names of a header, no own one twice.
  public var header: [String] { apart.map(\.new) }

  /// Which own names had to give way, in words.
  public var words: [String] {
    apart.filter { $0.old != $0.new }.map {
      "the output's own column '\($0.old)' is called '\($0.new)', since the file has one of that name"
    }
  }

  private var apart: [(old: String, new: String)] {
    var taken = Set(compactMap { if case .file(let name) = $0 { name } else { nil } })
    return map { name in
      switch name {
      case .file(let name): return (name, name)
      case .own(let old):
        var new = old
        while taken.contains(new) { new = "_" + new }
        taken.insert(new)
        return (old, new)
      }
    }
  }
}
