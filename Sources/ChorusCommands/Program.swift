import ArgumentParser
import ChorusFiles
import Foundation

extension Chorus {
  /// Parses the command line, runs the command and ends the process.
  ///
  /// In place of the argument parser's own `main`, whose `print` traps or says nothing where stdout can not be written, and which
  /// shows arguments as they are.
  public static func run() -> Never {
    StandardStreams.prepare()
    OutOfMemory.tell()
    let arguments = joiningNegatives(Array(CommandLine.arguments.dropFirst()))
    do {
      var command = try command(arguments)
      try command.run()
      Foundation.exit(0)
    } catch {
      Foundation.exit(finish(error, arguments: arguments))
    }
  }

  /// The command that arguments are of.
  ///
  /// One that is named by the first argument parses the others by itself. The parser would look at all commands first, which takes longer
  /// than a small question does; it has its turn where that fails, and whenever help is asked for, so that words stay its own.
  static func command(_ arguments: [String]) throws -> any ParsableCommand {
    if let name = arguments.first,
      let named = configuration.subcommands.first(where: { $0.configuration.commandName == name }),
      named.configuration.subcommands.isEmpty,
      let command = try? named.parseAsRoot(Array(arguments.dropFirst())),
      // Help is a command too, which would take the named one for the program.
      type(of: command) == named
    {
      return command
    }
    return try parseAsRoot(arguments)
  }

  /// Writes `--at -20..0/1` as `--at=-20..0/1`: the parser takes what begins with a dash for an option, and no option begins with
  /// a digit.
  static func joiningNegatives(_ arguments: [String]) -> [String] {
    var result: [String] = []
    for (index, argument) in arguments.enumerated() {
      guard argument != "--" else { return result + arguments[index...] }
      let digits = argument.dropFirst().drop { $0 == "." }
      let isNegative =
        argument.hasPrefix("-") && digits.first?.isASCII == true && digits.first?.isNumber == true
      if isNegative, let option = result.last, option.hasPrefix("--"), !option.contains("=") {
        result[result.count - 1] = option + "=" + argument
      } else {
        result.append(argument)
      }
    }
    return result
  }

  /// Says what ended the parser or a command: help goes to stdout, errors to stderr.
  private static func finish(_ error: any Error, arguments: [String]) -> Int32 {
    let (text, code) = (fullMessage(for: error), exitCode(for: error).rawValue)
    guard !text.isEmpty else { return code }
    guard code == 0 else {
      StandardStreams.say(quotable(text, arguments) + "\n")
      return code
    }
    do throws(FileError) { try StandardStreams.write((text + "\n").utf8) } catch {
      return report(error)
    }
    return 0
  }

  /// A message of the parser with the arguments that it quotes made harmless: it has lines of its own, they have none.
  static func quotable(_ message: String, _ arguments: [String]) -> String {
    var message = message
    // Long ones first: one may be a part of another.
    for argument in arguments.flatMap(parts).sorted(by: { $0.utf8.count > $1.utf8.count }) {
      let escaped = argument.escapingControls()
      if escaped != argument { message = message.replacingOccurrences(of: argument, with: escaped) }
    }
    return message.escapingControls(keepingLines: true)
  }

  /// An argument, and the value in it where it is like `--name=value`.
  private static func parts(_ argument: String) -> [String] {
    [argument] + (argument.firstIndex(of: "=").map { [String(argument[argument.index(after: $0)...])] } ?? [])
  }
}
