import ChorusData
import Foundation
import Testing

@Suite("Data sets")
struct DatasetTests {
  @Test("Rows are kept, picked and joined")
  func rows() throws {
    var data = try Dataset(x: [[0, 1], [2, 3], [4, 5]], y: [10, 11, 12])
    data.outputColumn = Column("level", unit: "m")
    #expect(data.count == 3 && data.dimensions == 2)
    #expect(data.x == [0, 1, 2, 3, 4, 5])
    #expect(Array(data.inputs[1]) == [2, 3])
    let picked = data.rows([2, 0])
    #expect(picked.x == [4, 5, 0, 1] && picked.y == [12, 10])
    #expect(picked.outputColumn.unit == "m")
    #expect(try picked.appending(data).count == 5)
    #expect(throws: DataError.dimensions(what: "the appended part", expected: 2, found: 1)) {
      try data.appending(Dataset(x: [1], y: [1]))
    }
    #expect(try Dataset(x: [Double](), y: []).count == 0)
    #expect(try Inputs.grid(0...1, count: 3).values == [0, 0.5, 1])
  }

  @Test("Bad data are refused with their place")
  func refusals() {
    #expect(throws: DataError.ragged(row: 1, expected: 2, found: 1)) {
      try Dataset(x: [[1, 2], [3]], y: [1, 2])
    }
    #expect(throws: DataError.notFinite(row: 1, column: 0, value: "nan")) {
      try Dataset(x: [1, .nan], y: [1, 2])
    }
    #expect(throws: DataError.notFinite(row: 0, column: nil, value: "inf")) {
      try Dataset(x: [1, 2], y: [.infinity, 2])
    }
    #expect(throws: DataError.rowCount(what: "outputs for the inputs", expected: 2, found: 1)) {
      try Dataset(x: [1, 2], y: [1])
    }
    #expect(throws: DataError.partialRow(values: 3, dimensions: 2)) { try Inputs([1, 2, 3], dimensions: 2) }
    #expect(throws: DataError.size(what: "the number of input dimensions", found: 0)) {
      try Inputs([[], []])
    }
  }

  @Test("Missing outputs are split off as targets")
  func missing() throws {
    let parts = try Dataset.split(inputs: Inputs([0, 1, 2, 3]), outputs: [5, .nan, 7, .nan])
    #expect(parts.observed == (try Dataset(x: [0, 2], y: [5, 7])))
    #expect(parts.missing.values == [1, 3])
    #expect(parts.missingRows == [1, 3])
    #expect(throws: DataError.notFinite(row: 1, column: nil, value: "-inf")) {
      try Dataset.split(inputs: Inputs([0, 1]), outputs: [.nan, -.infinity])
    }
  }
}

@Suite("Scaling")
struct ScalingTests {
  @Test("Standardised columns have mean 0 and deviation 1, and go back")
  func standardising() throws {
    let data = try Dataset(x: [[1, 5], [2, 5], [6, 5]], y: [10, 20, 60])
    let scaling = try Scaling.standardising(context: data)
    #expect(scaling.inputCentres == [3, 5])
    #expect(scaling.inputScales[1] == 1)  // a constant column is only centred
    let scaled = try scaling.apply(data)
    #expect(abs(scaled.y.reduce(0, +)) < 1e-12)
    #expect(abs(scaled.y.map { $0 * $0 }.reduce(0, +) / 3 - 1) < 1e-12)
    #expect(scaled.inputs[0].last == 0)
    let back = try scaling.invert(scaled)
    for (a, b) in zip(back.x + back.y, data.x + data.y) { #expect(abs(a - b) < 1e-12) }
    #expect(scaling.unit(at: [0]).raw(1) == scaling.outputCentre + scaling.outputScale)
    #expect(try Scaling.identity.apply(data) == data)
    #expect(try JSONDecoder().decode(Scaling.self, from: JSONEncoder().encode(scaling)) == scaling)
  }

  @Test("Densities agree in both units")
  func jacobian() throws {
    let scaling = try Scaling(inputCentres: [0], inputScales: [1], outputCentre: 3, outputScale: 4)
    // A standard normal in scaled units is N(3, 16) in raw ones.
    let raw = 5.0
    let scaled = try scaling.apply(Dataset(x: [0.5], y: [raw])).y[0]
    let density: Double = -0.5 * log(2 * Double.pi) - 0.5 * scaled * scaled - log(scaling.outputScale)
    let direct: Double = -0.5 * log(32 * Double.pi) - 4 / 32.0
    #expect(abs(density - direct) < 1e-14)
    #expect(try scaling.invert(Dataset(x: [0.5], y: [scaled])).y == [raw])
  }

  @Test("Of a season with noise, the noise is left: zero mean, unit spread, and back again")
  func residual() throws {
    let x = (0..<120).map { 3000 + 0.5 * Double($0) }
    let y = x.enumerated().map {
      40 + 0.1 * $1 + 5 * sin(2 * .pi * $1 / 7.3) + 0.2 * sin(Double(13 * $0 * $0))
    }
    let data = try Dataset(x: x, y: y)
    let scaling = try Scaling.residual(x: x, y: y, dimensions: 1, waves: 3)
    let scaled = try scaling.apply(data)
    let (mean, squares) = (scaled.y.reduce(0, +) / 120, scaled.y.reduce(0) { $0 + $1 * $1 } / 120)
    #expect(abs(mean) < 1e-6 && abs(squares - 1) < 1e-6)
    // The noise has a standard deviation of 0.14; the fit has taken little of it.
    #expect(scaling.outputScale > 0.1 && scaling.outputScale < 0.2)
    // Between the rows the unit is the same everywhere; beyond them it is what the fit missed beyond parts of them.
    let scales = try scaling.units(scaling.apply(Inputs([3000, 3030, 3059.5, 3062, 3080, 4000]))).map(\.scale)
    let beyond = try #require(scaling.periods?.beyond)
    #expect(beyond > 1 && scales.prefix(3).allSatisfy { abs($0 / scaling.outputScale - 1) < 1e-6 })
    #expect(scales[3] > scales[0] && scales[3] < scales[4] && scales[4] < scales[5])
    // 59.5 is the range; 3066.9375 is an eighth of it beyond the last row.
    let eighth = try scaling.unit(at: scaling.apply(Inputs([3066.9375]))[0]).scale
    #expect(abs(eighth - beyond * scaling.outputScale) < 1e-6 * eighth)
    let back = try scaling.invert(scaled)
    for (a, b) in zip(back.x + back.y, x + y) { #expect(abs(a - b) < 1e-9) }
    // The season goes on where nothing was seen.
    let ahead = 3000 + 0.5 * 130.0
    let origin = try scaling.units(scaling.apply(Inputs([ahead])))[0].origin
    #expect(abs(origin - (40 + 0.1 * ahead + 5 * sin(2 * .pi * ahead / 7.3))) < 0.5)
    let decoded = try JSONDecoder().decode(Scaling.self, from: JSONEncoder().encode(scaling))
    #expect(decoded == scaling)
  }

  @Test("Where nothing can be foretold, a residual scale is the plain one, whatever the rows")
  func residualOfNothing() throws {
    for (x, y) in [
      ([1.0, 2], [5.0, 9]), ([1, 1, 1], [5, 9, 2]),
      (Array(stride(from: 0.0, to: 20, by: 1)), [Double](repeating: 3, count: 20)),
    ] {
      let (plain, residual) = try (
        Scaling.standardising(x: x, y: y, dimensions: 1),
        Scaling.residual(x: x, y: y, dimensions: 1, waves: 2)
      )
      let data = try Dataset(x: x, y: y)
      let (a, b) = try (plain.apply(data), residual.apply(data))
      for (a, b) in zip(a.y, b.y) { #expect(abs(a - b) < 1e-9) }
    }
    // A fit that a file made up is refused and does not stop the process.
    let scaling = try Scaling.residual(
      x: (0..<60).map(Double.init), y: (0..<60).map { sin(Double($0)) }, dimensions: 1, waves: 1)
    let text = String(decoding: try JSONEncoder().encode(scaling), as: UTF8.self)
    for (good, bad) in [
      ("\"degree\":2", "\"degree\":-2"), ("\"harmonics\":2", "\"harmonics\":0"),
      ("\"fitScale\":", "\"fitScale\":-"),
    ] {
      #expect(text.contains(good))
      let data = Data(text.replacingOccurrences(of: good, with: bad).utf8)
      #expect(throws: (any Error).self) { try JSONDecoder().decode(Scaling.self, from: data) }
    }
  }

  @Test("A scale that cannot be made is refused")
  func refusals() throws {
    let one = try Dataset(x: [1], y: [2])
    #expect(throws: DataError.tooFewRowsToScale(found: 1)) { try Scaling.standardising(context: one) }
    #expect(DataError.tooFewRowsToScale(found: 1).description.contains("pass a Scaling"))
    #expect(throws: DataError.self) {
      try Scaling(inputCentres: [0], inputScales: [0], outputCentre: 0, outputScale: 1)
    }
    let json = Data(#"{"inputCentres":[0],"inputScales":[],"outputCentre":0,"outputScale":1}"#.utf8)
    #expect(throws: DataError.self) { try JSONDecoder().decode(Scaling.self, from: json) }
    let scaling = try Scaling.standardising(context: Dataset(x: [1, 2], y: [2, 3]))
    #expect(throws: DataError.dimensions(what: "the data to scale", expected: 1, found: 2)) {
      try scaling.apply(Inputs([1, 2], dimensions: 2))
    }
  }
}

@Suite("Task batches")
struct TaskBatchTests {
  @Test("A task lands in its place, scaled")
  func store() throws {
    var batch = try TaskBatch(tasks: 2, context: 1, buffer: 1, targets: 1, dimensions: 2)
    let scaling = try Scaling(inputCentres: [0, 1], inputScales: [1, 2], outputCentre: 1, outputScale: 2)
    try batch.store(1, x: [1, 2, 3, 4, 5, 6], y: [7, 8, 9], scaling: scaling)
    #expect(batch.x == [0, 0, 0, 0, 0, 0, 1, 0.5, 3, 1.5, 5, 2.5])
    #expect(batch.y == [0, 0, 0, 3, 3.5, 4])
    #expect(batch.targetRows == 2..<3)
    #expect(throws: DataError.size(what: "the index of a task", found: 2)) {
      try batch.store(2, x: [1, 2, 3, 4, 5, 6], y: [7, 8, 9])
    }
    #expect(throws: DataError.rowCount(what: "outputs of a task", expected: 3, found: 1)) {
      try batch.store(0, x: [1, 2, 3, 4, 5, 6], y: [7])
    }
    #expect(throws: DataError.size(what: "the number of context rows", found: -1)) {
      try TaskBatch(tasks: 1, context: -1, buffer: 0, targets: 1, dimensions: 1)
    }
  }
}
