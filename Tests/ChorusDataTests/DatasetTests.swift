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
    #expect(scaling.output.raw(1) == scaling.outputCentre + scaling.outputScale)
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
