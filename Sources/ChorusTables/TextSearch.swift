extension String {
  /// Where `part` stands first; nil where it does not. The standard library's own search would bring regular expressions into the C library.
  func place(of part: String) -> Range<Index>? {
    var start = utf8.startIndex
    while start < utf8.endIndex {
      if utf8[start...].starts(with: part.utf8) {
        return start..<utf8.index(start, offsetBy: part.utf8.count)
      }
      utf8.formIndex(after: &start)
    }
    return nil
  }
}
