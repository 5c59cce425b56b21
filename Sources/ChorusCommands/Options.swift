import ArgumentParser
import ChorusFiles
import ChorusTables
import ChorusTensors
import Foundation

/// What speaks to the person at the terminal.
protocol Speaking {
  var quiet: Bool { get }
}

extension Speaking {
  /// A line of words for the person at the terminal. What it quotes of files can not make it two.
  func say(_ text: @autoclosure () -> String) {
    if !quiet { StandardStreams.say(text().escapingControls() + "\n") }
  }

  /// Tells whose mean log-densities cannot be told, where that is for values of density 0.
  func sayDensityZero(_ whose: [String]) {
    if !whose.isEmpty {
      say(
        "values have density 0 in some tasks, so that these means are left empty: \(whose.joined(separator: "; "))"
      )
    }
  }

  /// Tells, however quiet a command is, how work goes on that stopped before its end; to be thrown.
  func stopped(_ folder: String) -> ExitCode {
    let words = "stopped; the same command goes on (folder \(folder))"
    StandardStreams.say(words.escapingControls() + "\n")
    return ExitCode(Exit.interrupted)
  }

  /// A line that overwrites itself, on a terminal only.
  func progress(_ text: @autoclosure () -> String) {
    guard !quiet, isatty(2) == 1 else { return }
    StandardStreams.say("\r\u{1B}[K" + text().escapingControls())
  }
}

/// For commands that only read and write.
struct WordOptions: ParsableArguments, Speaking {
  @Flag(name: .shortAndLong, help: "Say nothing on stderr but errors.")
  var quiet = false
}

/// For commands that compute without anything random.
struct WorkOptions: ParsableArguments, Speaking {
  @OptionGroup var words: WordOptions

  @Option(help: ArgumentHelp("Threads to work on; results do not depend on it.", valueName: "n"))
  var threads: Int?

  var quiet: Bool { words.quiet }
  var pool: ThreadPool { ThreadPool(threads: threads) }

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be within 1...1024")
    }
  }
}

/// For commands that draw.
struct CommonOptions: ParsableArguments, Speaking {
  @OptionGroup var work: WorkOptions

  @Option(
    name: .customLong("seed"),
    help: ArgumentHelp(
      "Seed of everything random; the same seed gives the same bytes. (default: 0)", valueName: "seed"))
  var givenSeed: UInt64?

  var seed: UInt64 { givenSeed ?? 0 }
  var quiet: Bool { work.quiet }
  var threads: Int? { work.threads }
  var pool: ThreadPool { work.pool }
}

extension Substring {
  /// Without the spaces around it; Foundation's sets of characters take longer to be there than a list to be read.
  fileprivate var trimmed: Substring {
    func isSpace(_ character: Character) -> Bool { character.isWhitespace && !character.isNewline }
    let start = drop(while: isSpace)
    return start.lastIndex { !isSpace($0) }.map { start[...$0] } ?? start
  }
}

/// Comma-separated numbers of an option.
func numberList(_ text: String, option: String) throws -> [Double] {
  let parts = text.split(separator: ",", omittingEmptySubsequences: false)
  return try parts.map { part in
    guard let value = Double(part.trimmed), value.isFinite else {
      throw ValidationError("\(option): '\(part)' is not a number; give numbers separated by commas")
    }
    return value
  }
}

/// The most rows, paths or layers that a list of sizes may ask for: what fits no machine must not reach an allocation.
private let largestSize = 1 << 24

/// Sizes separated by commas, of which none is beyond `largestSize`.
func sizeList(_ text: String, option: String) throws -> [Int] {
  let parts = text.split(separator: ",", omittingEmptySubsequences: false)
  return try parts.map { part in
    guard let value = Int(part.trimmed), value >= 0 else {
      throw ValidationError("\(option): '\(part)' is not a size; give whole numbers separated by commas")
    }
    guard value <= largestSize else {
      throw ValidationError("\(option): \(part) is more than can be run; give at most \(largestSize)")
    }
    return value
  }
}
