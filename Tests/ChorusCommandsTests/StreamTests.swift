import CChorusSignals
import Foundation
import Testing

@testable import ChorusCommands

#if os(Linux)
  /// What a program does whose streams can not be written: words are lost, lost data are an error, nothing traps.
  @Suite(.enabled(if: executable != nil, Comment(rawValue: skipped))) struct StreamTests {
    let folder: Folder
    /// One command of each way of writing.
    static let commands: [String] = [
      "--help", "--version", "help predict", "predict --help", "--generate-completion-script bash",
      "predict t.csv --input t --target level --model m.safetensors",
      "predict t.csv --input t --target level --model m.safetensors --functional sum --show",
      "explain --context 8 --targets 4 --model m.safetensors --format text",
      "explain --context 8 --targets 4 --model m.safetensors --format csv", "info m.safetensors",
      "memories list --format markdown", "memories list",
    ]

    init() throws {
      folder = try Folder()
      try folder.writeModel()
      try folder.writeTable()
    }

    @Test(arguments: ["2>/dev/full", "2>&-", "2>&1 >&3 3>&- | true", "2>/dev/null"])
    func wordsThatCanNotBeWrittenAreLostAndNothingElse(_ streams: String) throws {
      for command in Self.commands {
        let expected = try folder.shell("\"$CHORUS\" \(command)")
        let outcome = try folder.shell("exec 3>&1; \"$CHORUS\" \(command) \(streams)")
        #expect(outcome.code == 0 && !outcome.signalled, "\(command) \(streams): \(outcome.errors)")
        #expect(outcome.output == expected.output, "\(command) \(streams)")
      }
    }

    @Test(arguments: [">/dev/full", ">&-", ">/dev/full 2>/dev/full", ">&- 2>&-"])
    func dataThatCanNotBeWrittenAreAnError(_ streams: String) throws {
      for command in Self.commands {
        let outcome = try folder.shell("\"$CHORUS\" \(command) \(streams)")
        #expect(outcome.code == 74 && !outcome.signalled, "\(command) \(streams): \(outcome.errors)")
        if !streams.contains("2>") {
          #expect(outcome.errors.contains("error: standard output: can not be written"), "\(command)")
        }
      }
    }

    @Test func errorsThatCanNotBeToldKeepTheirCodes() throws {
      for streams in ["2>/dev/full", "2>&-", "2>&1 >/dev/full"] {
        #expect(try folder.shell("\"$CHORUS\" predict no.csv --input t --target u \(streams)").code == 66)
        #expect(try folder.shell("\"$CHORUS\" nosuch \(streams)").code == 64)
      }
    }

    /// A closed stream leaves its number to the next file, into which words would go.
    @Test func wordsNeverGoIntoAFile() throws {
      for closed in ["2>&-", ">&- 2>&-", "<&- 2>&-", "<&- >&- 2>&-"] {
        let outcome = try folder.shell(
          "\"$CHORUS\" predict t.csv --input t --target level --model m.safetensors --output p.csv --plot p.svg \(closed)"
        )
        #expect(outcome.code == (closed.contains(">&- 2") ? 74 : 0))
        let paths = try folder.read("p.csv")
        #expect(paths.hasPrefix("path,row,t,level\n") && !paths.contains("note"))
        #expect(try folder.read("p.svg").hasPrefix("<svg"))
      }
    }

    @Test func aReaderThatHasEnoughEndsTheCommandSilentlyAndFilesAreFinished() throws {
      let outcome = try folder.shell(
        "{ \"$CHORUS\" predict t.csv --input t --target level --model m.safetensors --plan independent --samples 2"
          + " --at 0..9000/1 --output p.csv; echo $? >code; } | head -1")
      #expect(outcome.output == "t,q0.5,q0.05,q0.95,mean,outside,note\n")
      #expect(
        outcome.errors.split(separator: "\n").allSatisfy { $0.hasPrefix("note: ") }, "\(outcome.errors)")
      #expect(try folder.read("code") == "\(128 + SIGPIPE)\n")
      #expect(try folder.read("p.csv").split(separator: "\n").count == 2 * 9001 + 1)
    }

    @Test func aFileBeyondTheLimitOfSizesIsAnError() throws {
      let outcome = try folder.shell(
        "ulimit -f 8; \"$CHORUS\" predict t.csv --input t --target level --model m.safetensors --at 0..900/1"
          + " --plan independent --output p.csv >/dev/null")
      #expect(outcome.code == 74 && outcome.errors.contains("p.csv: can not be written: File too large"))
      #expect(!folder.names.contains { $0.contains("p.csv") })
    }

    @Test func trainingEndsWithACheckpointWhereverItsWordsGo() throws {
      try folder.write("c.json", tinyConfiguration)
      for (index, streams) in ["2>/dev/full", "2>&-", "2>&1 | true"].enumerated() {
        let run = "run\(index)"
        let outcome = try folder.shell(
          "{ \"$CHORUS\" train c.json --out \(run) --steps 12; echo $? >code; } \(streams)")
        #expect(try folder.read("code") == "0\n" && !outcome.signalled)
        #expect(folder.names.contains(run))
        _ = try folder.bytes("\(run)/checkpoints/step-00000012.safetensors")
        _ = try folder.bytes("\(run)/model.safetensors")
      }
    }

    @Test func whatALimitOfMemoryCanNotHoldIsRefused() throws {
      let outcome = try folder.shell(
        "ulimit -v 300000; \"$CHORUS\" predict t.csv --input t --target level --model m.safetensors"
          + " --samples 1000000 --at 0..200/1 --plan independent --threads 1 --quiet")
      #expect(outcome.code == 64 && !outcome.signalled, "\(outcome.code) \(outcome.errors)")
      #expect(outcome.errors.contains("need about 4 GB and the limit is 0.1 GB"), "\(outcome.errors)")
    }

    /// What nobody counts beforehand: the rows of a table that are read.
    @Test func aLimitOfMemoryEndsInALine() throws {
      let rows = (0..<100_000).map { "\($0),\($0 % 7)\n" }.joined()
      try folder.write("long.csv", "t,level\n" + String(repeating: rows, count: 30))
      let outcome = try folder.shell(
        "ulimit -v 250000; \"$CHORUS\" predict long.csv --input t --target level --model m.safetensors --at 1"
          + " --threads 1 --quiet")
      #expect(outcome.code == 71 && !outcome.signalled, "\(outcome.code) \(outcome.errors)")
      #expect(outcome.errors.contains("error: the system gives no more memory"), "\(outcome.errors)")
    }

    /// Little memory is no reason to blame it for another end.
    @Test(arguments: [SIGSEGV, SIGABRT, SIGILL])
    func aSignalThatIsSentIsNoLackOfMemory(_ signal: Int32) throws {
      try folder.write("c.json", tinyConfiguration)
      let outcome = try folder.shell(
        """
        ulimit -v 300000; export SWIFT_BACKTRACE=enable=no
        "$CHORUS" train c.json --out run --steps 1000000 --threads 1 --quiet &
        for _ in $(seq 1000); do [ -s run/log.jsonl ] && break; sleep 0.02; done
        kill -\(signal) $!
        wait $!
        echo $? >code
        """)
      #expect(try folder.read("code") == "\(128 + signal)\n")
      #expect(!outcome.errors.contains("memory"), "\(outcome.errors)")
    }

    @Test func lackOfMemoryIsToldByWhereAProcessEndsAndByASign() {
      typealias Evidence = OutOfMemory.Evidence
      let refused = Evidence(error: ENOMEM)
      #expect(!refused.isRefusal, "an old error number alone")
      #expect(!Evidence(hasRoom: false).isRefusal)
      #expect(!Evidence(isAllocating: true).isRefusal, "a heap that is damaged")
      #expect(!Evidence(isAtNothing: true).isRefusal)
      #expect(Evidence(isAllocating: true, error: ENOMEM).isRefusal)
      #expect(Evidence(isAllocating: true, hasRoom: false).isRefusal)
      #expect(Evidence(isAtNothing: true, error: ENOMEM).isRefusal)
      #expect(!Evidence(isSent: true, isAllocating: true, error: ENOMEM, hasRoom: false).isRefusal)
      #expect(cs_is_allocating() == 0)
    }
  }
#endif
