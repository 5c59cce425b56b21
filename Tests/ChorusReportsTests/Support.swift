import Foundation
import Testing

@testable import ChorusReports

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// What a strict XML parser found in a document.
final class Document: NSObject, XMLParserDelegate {
  struct Element {
    let name: String
    let attributes: [String: String]
    var text = ""
  }

  private(set) var elements: [Element] = []
  private var open: [Int] = []

  init(_ text: String) throws {
    super.init()
    let parser = XMLParser(data: Data(text.utf8))
    parser.delegate = self
    guard parser.parse() else { throw parser.parserError ?? CocoaError(.fileReadCorruptFile) }
  }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String] = [:]
  ) {
    open.append(elements.count)
    elements.append(Element(name: name, attributes: attributes))
  }

  func parser(
    _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
  ) {
    open.removeLast()
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) {
    if let last = open.last { elements[last].text += string }
  }

  /// The texts of a class, in order.
  func texts(_ name: String) -> [String] {
    elements.filter { $0.name == "text" && $0.attributes["class"] == name }.map(\.text)
  }

  func elements(_ name: String, class style: String) -> [Element] {
    elements.filter { $0.name == name && $0.attributes["class"] == style }
  }

  /// The numbers of a path.
  static func numbers(_ data: String) -> [Double] {
    data.split { !"-.0123456789".contains($0) }.compactMap { Double($0) }
  }
}
