import ArgumentParser
import ChorusData
import ChorusInference
import ChorusMemories
import ChorusModels
import ChorusPlans
import ChorusPriors
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
  static let io: Int32 = 74
  static let interrupted: Int32 = 130

  /// The code that tells a script what kind of failure an error is.
  static func code(for error: any Error) -> Int32 {
    switch error {
    case let error as ModelError:
      if case .missing = error { noInput } else { data }
    case is DataError, is OracleError: data
    // What was asked for, not what a file holds.
    case is PlanTextError, is PlanError, is MemoryError: usage
    case let error as InferenceError:
      switch error {
      case .tooExpensive, .tooLarge: usage
      default: data
      }
    case let error as TableError:
      switch error.reason {
      case .missing: noInput
      case .system: io
      case .grid: usage
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
      if case .configuration = error { usage } else { data }
    case let error as SeriesError: code(for: error.underlying)
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
  } catch let error as ExitCode {
    throw error
  } catch {
    FileHandle.standardError.write(Data("error: \(error)\n".utf8))
    throw ExitCode(Exit.code(for: error))
  }
}
