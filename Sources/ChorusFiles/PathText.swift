/// The parts of a path. Foundation's own functions for them trap on Linux for a name of one character.
extension String {
  /// The folder of the file that the path names: `.` where it names none.
  package var folderOfPath: String {
    let path = withoutLastSlashes
    guard let slash = path.unicodeScalars.lastIndex(of: "/") else { return "." }
    let folder = String(path[..<slash]).withoutLastSlashes
    return folder.isEmpty ? "/" : folder
  }

  /// The last name of the path.
  package var nameOfPath: String {
    let path = withoutLastSlashes
    guard let slash = path.unicodeScalars.lastIndex(of: "/") else { return path }
    return String(path[path.unicodeScalars.index(after: slash)...])
  }

  /// What follows the last point of the name, in small letters: empty where there is none, or only the first of a hidden file.
  package var endingOfPath: String {
    let name = nameOfPath
    guard let point = name.unicodeScalars.lastIndex(of: "."), point != name.startIndex else { return "" }
    return String(name[name.unicodeScalars.index(after: point)...]).lowercased()
  }

  private var withoutLastSlashes: String {
    var scalars = unicodeScalars[...]
    while scalars.count > 1, scalars.last == "/" { scalars.removeLast() }
    return String(scalars)
  }
}
