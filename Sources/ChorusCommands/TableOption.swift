import ArgumentParser
import ChorusQuestions

extension TableJob {
  /// What `--as` says, for a command's check of its options.
  static func checkTold(_ text: String?) throws {
    do throws(QuestionError) { _ = try told(text) } catch { throw ValidationError(error.description) }
  }
}
