/// Something that was asked for in a way that has no meaning, in words.
package struct QuestionError: Error, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
