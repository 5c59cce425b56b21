import ChorusHints
import Foundation
import Testing

@Suite("--given and --scale", .enabled(if: executable != nil, Comment(rawValue: skipped)))
struct GivenOptionTests {
  let folder: Folder

  init() throws {
    folder = try Folder()
    try folder.writeModel("s.safetensors") {
      $0.scaling = .standardise
      $0.hints = Hints([SeriesLevelAndSeason(subtracts: true)])
    }
    let rows = (0..<48).map { month in
      let value = exp(2 + 0.03 * Double(month) + 0.5 * sin(Double(month) * .pi / 6))
      return "\(2020 + month / 12)-\(month % 12 < 9 ? "0" : "")\(month % 12 + 1)-01,\(value)\n"
    }
    try folder.write("sales.csv", "month,sales\n" + rows.joined())
  }

  private func predict(_ more: String...) throws -> Outcome {
    try folder.start(
      ["predict", "sales.csv", "--horizon", "3", "--model", "s.safetensors", "--output", "paths.csv"] + more
    ).1()
  }

  private func paths() throws -> [[Double]] {
    let rows = try folder.read("paths.csv").split(separator: "\n").dropFirst()
    let values = rows.compactMap { $0.split(separator: ",").last.flatMap { Double($0) } }
    return stride(from: 0, to: values.count, by: 3).map { Array(values[$0..<$0 + 3]) }
  }

  @Test("A pinned value moves what is beside it; bounds hold on every path")
  func given() throws {
    let plain = try predict()
    #expect(plain.code == 0, "\(plain.errors)")
    let sums = try paths().map { $0.reduce(0, +) }.sorted()
    let level = sums[sums.count / 2]
    let bound = try predict("--given", "sum>\(level)", "--given", "2024-02-01>0")
    #expect(bound.code == 0 && bound.errors.contains("the conditions hold for "), "\(bound.errors)")
    #expect(try paths().count == 100 && paths().allSatisfy { $0.reduce(0, +) > level })
    let pinned = try predict("--given", "2024-04-01=5")
    #expect(pinned.code == 0 && pinned.output != plain.output, "\(pinned.errors)")
  }

  @Test(
    "What is no statement is refused with what one looks like",
    arguments: [
      ("sum", "has no =, > or <"), ("sum=3", "give bounds"), ("2024-02-01>x", "is not a number"),
      (">3", "names no point"),
      ("7>3", "holds dates"), ("soon>3", "no number and no date"),
    ])
  func refused(text: String, words: String) throws {
    let outcome = try predict("--given", text)
    #expect((outcome.code == 64 || outcome.code == 65) && outcome.errors.contains(words), "\(outcome.errors)")
    #expect(outcome.output.isEmpty)
  }

  @Test("Conditions that no path meets are refused")
  func impossible() throws {
    let outcome = try predict("--given", "sum<-1", "--scale", "log")
    #expect(
      outcome.code == 65 && outcome.errors.contains("the conditions hold for 0 of "), "\(outcome.errors)")
  }

  @Test("The scale is found and told, or taken as told")
  func scale() throws {
    let found = try predict()
    #expect(
      found.errors.contains("'sales' is seen on a logarithmic scale (--scale raw: as it is)"),
      "\(found.errors)")
    #expect(try paths().joined().allSatisfy { $0 > 0 })
    let raw = try predict("--scale", "raw")
    #expect(raw.code == 0 && raw.output != found.output && !raw.errors.contains("logarithmic"))
    #expect(try predict("--scale", "log").output == found.output)
    #expect(try predict("--scale", "cube").code == 64)
    try folder.write("sales.csv", folder.read("sales.csv") + "2024-01-01,-3\n")
    let refused = try predict("--scale", "log")
    #expect(
      refused.code == 65 && refused.errors.contains("the value -3.0 cannot be seen on a logarithmic scale"),
      "\(refused.errors)")
  }

  @Test("Bounds hold, are refused where a row lies beyond them, and have to be bounds")
  func bounds() throws {
    let outcome = try predict("--min", "20", "--max", "31", "--scale", "raw")
    #expect(
      outcome.code == 65 && outcome.errors.contains("that values are said to have"), "\(outcome.errors)")
    let inside = try predict("--min", "0", "--max", "60", "--scale", "raw")
    #expect(inside.code == 0, "\(inside.errors)")
    #expect(try paths().joined().allSatisfy { (0...60).contains($0) })
    #expect(try predict("--min", "3", "--max", "-3").code == 64)
    #expect(try predict("--min", "inf").code == 64)
  }
}
