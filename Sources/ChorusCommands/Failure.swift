import ArgumentParser
import ChorusData
import ChorusExperiments
import ChorusFiles
import ChorusInference
import ChorusLanguage
import ChorusMemories
import ChorusModels
import ChorusPlans
import ChorusPriors
import ChorusQuestions
import ChorusStorage
import ChorusTables
import ChorusTraining
import Foundation

/// Exit codes as in BSD's sysexits.
enum Exit {
  static let usage: Int32 = 64
  static let data: Int32 = 65
  static let noInput: Int32 = 66
  static let `internal`: Int32 = 70
  static let memory: Int32 = 71
  static let io: Int32 = 74
  static let interrupted: Int32 = 130

  /// The code that tells a script what kind of failure an error is.
  static func code(for error: any Error) -> Int32 {
    switch error {
    case let error as ModelError:
      if case .missing = error { noInput } else { data }
    case is DataError, is OracleError: data
    // What was asked for, not what a file holds.
    case is PlanTextError, is PlanError, is MemoryError, is AccessError: usage
    case let error as LanguageError:
      if case .leavesOut = error { usage } else { data }
    case let error as InferenceError:
      switch error {
      case .tooExpensive, .tooLarge: usage
      default: data
      }
    case let error as TableError:
      switch error.reason {
      case .missing: noInput
      case .system: io
      case .grid, .choice: usage
      default: data
      }
    case let error as StorageError:
      switch error.reason {
      case .missing: noInput
      case .system, .unwritable, .busy: io
      default: data
      }
    case let error as PriorError:
      if case .unknown = error { usage } else { data }
    case let error as TrainingError:
      switch error {
      case .configuration: usage
      case .rank: io
      default: data
      }
    case let error as ExperimentError:
      if case .run = error { usage } else { data }
    case let error as SeriesError: code(for: error.underlying)
    case is FileError, is POSIXError: io
    case let error as CocoaError:
      [.fileNoSuchFile, .fileReadNoSuchFile].contains(error.code) ? noInput : io
    case is DecodingError, is EncodingError: data
    default: `internal`
    }
  }
}

/// Runs a command's body and turns a failure into one line on stderr and an exit code.
func reporting(_ body: () throws -> Void) throws {
  do {
    try body()
  } catch let error as ValidationError {
    throw error
  } catch let error as QuestionError {
    throw ValidationError(error.description)
  } catch let error as ExitCode {
    throw error
  } catch {
    throw ExitCode(report(error))
  }
}

/// Says what failed: one line on stderr, whatever it quotes. The exit code that goes with it.
///
/// Where only the reader of the output has gone there is nothing to say, and the process ends as its like do.
func report(_ error: any Error) -> Int32 {
  if (error as? TableError)?.reason == .unread || (error as? FileError)?.isReaderGone == true {
    StandardStreams.endForLackOfReader()
  }
  StandardStreams.say("error: \(words(for: error).escapingControls())\n")
  return Exit.code(for: error)
}

/// An error in words. Those of the system's libraries have none of their own that are fit to be read.
private func words(for error: any Error) -> String {
  switch error {
  case let error as CocoaError:
    (error.filePath.map { $0 + ": " } ?? "") + error.localizedDescription
  case let error as POSIXError: error.localizedDescription
  case EncodingError.invalidValue(let value, let context):
    "\(value) can not be written (\(context.codingPath.map(\.stringValue).joined(separator: ".")))"
  case DecodingError.dataCorrupted(let context), DecodingError.keyNotFound(_, let context),
    DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
    "can not be read: \(context.debugDescription)"
  default: "\(error)"
  }
}

extension Model {
  /// Refuses a model that predicts each value from those before it, where values are asked for in other ways.
  func refuseOrder(_ why: String) throws(ModelError) {
    guard network.capability.inOrder else { return }
    throw .input("this model predicts each value from those before it alone; \(why)")
  }
}
