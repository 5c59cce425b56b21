import ChorusData
import ChorusHints
import Testing

@Suite("Task batches")
struct TaskBatchTests {
  @Test("A task lands in its place, scaled")
  func store() throws {
    var batch = try TaskBatch(tasks: 2, context: 1, buffer: 1, targets: 1, dimensions: 2)
    let scaling = try Scaling(inputCentres: [0, 1], inputScales: [1, 2], outputCentre: 1, outputScale: 2)
    try batch.store(1, x: [1, 2, 3, 4, 5, 6], y: [7, 8, 9], preparation: Preparation(scaling: scaling))
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
