import ArgumentParser
import ChorusReports
import ChorusStorage
import Foundation

/// Where a picture goes and in which form, by the end of the name.
enum PictureFile {
  static func check(_ path: String, option: String) throws {
    let name = path.lowercased()
    guard name.hasSuffix(".svg") || name.hasSuffix(".html") else {
      throw ValidationError("\(option): '\(path)' must end in .svg or .html")
    }
  }

  /// Writes the picture, whole or not at all.
  static func write(_ figure: Figure, title: String, to path: String) throws {
    let text = path.lowercased().hasSuffix(".html") ? Page(figure, title: title).html : figure.svg()
    try AtomicFile.write(text.utf8, to: path)
  }
}
