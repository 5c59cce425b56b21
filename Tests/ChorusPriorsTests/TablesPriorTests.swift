import ChorusTensors
import Foundation
import Testing

@testable import ChorusPriors

@Suite("The prior of tables")
struct TablesPriorTests {
  private static func task(
    _ index: Int, context: Int = 40, dimensions: Int = 6, seed: UInt64 = 3
  ) throws -> PriorTask {
    try TaskGenerator(TablesPrior(), seed: seed).task(
      index, step: 0,
      shape: TaskShape(context: context, buffer: 8, targets: 12, dimensions: dimensions))
  }

  private static func column(_ index: Int, of task: PriorTask) -> [Double] {
    (0..<task.shape.rows).map { task.x[$0 * task.shape.dimensions + index] }
  }

  @Test("The same stream gives the same table, to the bit; another gives another")
  func purity() throws {
    for index in 0..<60 {
      let (first, second) = (try Self.task(index), try Self.task(index))
      #expect(first.x.map(\.bitPattern) == second.x.map(\.bitPattern))
      #expect(first.y == second.y && first.categories == second.categories)
      #expect(first.component == second.component)
      #expect(first.y != (try Self.task(index, seed: 4)).y)
    }
  }

  @Test("Tables of every size are usable: finite y that varies in the context, level numbers in categories")
  func sizes() throws {
    for (context, dimensions) in [(2, 1), (3, 30), (8, 2), (20, 7), (128, 1), (128, 30), (512, 10)] {
      for index in 0..<40 {
        let task = try Self.task(index, context: context, dimensions: dimensions)
        #expect(task.x.count == task.shape.rows * dimensions && task.y.count == task.shape.rows)
        #expect(task.y.allSatisfy(\.isFinite) && task.categories.count == dimensions)
        let (mean, deviation) = Array(task.y[task.contextRows]).moments
        #expect(deviation > 0)
        // Two rows are too few to hold the others near them in every draw.
        if context > 3 { #expect(task.y.allSatisfy { abs($0 - mean) <= 15.001 * deviation }) }
        for column in 0..<dimensions {
          let values = Self.column(column, of: task)
          #expect(values.allSatisfy { $0.isFinite || $0.isNaN })
          guard task.categories[column] else { continue }
          let codes = values.filter { !$0.isNaN }
          #expect(codes.allSatisfy { $0 == $0.rounded() && (0..<40).contains($0) })
        }
      }
    }
    for shape in [
      TaskShape(context: 0, targets: 0), .init(context: 0, targets: 1), .init(context: 1, targets: 1),
    ] {
      let task = try TaskGenerator(TablesPrior(), seed: 1).task(0, step: 0, shape: shape)
      #expect(task.y.count == shape.rows)
    }
    #expect(throws: PriorError.dimensions(asked: 31, supported: 1...30)) {
      try Self.task(0, dimensions: 31)
    }
  }

  @Test("A quarter of the tables has rows that belong together, and a quarter has missing cells")
  func shares() throws {
    let tasks = try (0..<600).map { try Self.task($0) }
    let unordered = tasks.filter { $0.component == "unordered" }
    #expect((390...510).contains(unordered.count))
    #expect(tasks.contains { $0.component == "ordered" } && tasks.contains { $0.component == "grouped" })
    let missing = tasks.filter { $0.x.contains(where: \.isNaN) }
    #expect((100...195).contains(missing.count))
    // Some columns are categories, most are not.
    let categories = tasks.reduce(0) { $0 + $1.categories.filter { $0 }.count }
    #expect((400...1400).contains(categories))
  }

  @Test("Most tables of independent rows tell something of y, and not all of it")
  func predictable() throws {
    var told = 0
    var tables = 0
    for index in 0..<300 {
      let task = try Self.task(index, context: 100)
      guard task.component == "unordered", !task.x.contains(where: \.isNaN) else { continue }
      tables += 1
      let columns = (0..<6).map {
        TableColumn(values: Self.column($0, of: task), isCategory: task.categories[$0])
      }
      if TablesPrior.isPredictable(task.y, from: columns) { told += 1 }
    }
    #expect(told > tables * 8 / 10 && told < tables)
    var stream = RandomStream(seed: 1)
    let alone = (0..<200).filter { _ in
      TablesPrior.isPredictable(stream.normals(200), from: [TableColumn(values: stream.normals(200))])
    }
    #expect(alone.count < 40)
  }

  @Test("Neighbours in time are alike in ordered tables, and rows of independent ones are not")
  func ordered() throws {
    func likeness(_ component: String) throws -> Double {
      var products = [Double]()
      for index in 0..<900 {
        let task = try Self.task(index, dimensions: 1)
        guard task.component == component, !task.categories[0] else { continue }
        // The only column of an ordered table is its time.
        let order =
          component == "ordered"
          ? task.y.indices.sorted { (task.x[$0], $0) < (task.x[$1], $1) } : Array(task.y.indices)
        let y = order.map { task.y[$0] }.standardised
        products.append(zip(y, y.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / Double(y.count))
      }
      #expect(products.count > 50)
      return products.moments.mean
    }
    #expect(try likeness("ordered") > 0.3)
    #expect(abs(try likeness("unordered")) < 0.05)
  }

  @Test("Common noise has variance 1 and a length, in time; all of a group has the same, in groups")
  func common() throws {
    var stream = RandomStream(seed: 5)
    var (squares, neighbours, far) = ([Double](), [Double](), [Double]())
    for _ in 0..<400 {
      let rows = OrderedRows(TaskShape(context: 60, targets: 60), from: &stream)
      let process = try #require(rows.common([], &stream))
      squares.append(process.reduce(0) { $0 + $1 * $1 } / 120)
      neighbours.append(zip(process, process.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / 119)
      far.append(process[0] * process[119])
    }
    let (square, neighbour, end) = (Average(squares), Average(neighbours), Average(far))
    #expect(abs(square.mean - 1) < 4 * square.error)
    #expect((0.6...0.97).contains(neighbour.mean))
    #expect(abs(end.mean) < 4 * end.error)
    for _ in 0..<50 {
      let rows = GroupedRows(TaskShape(context: 60, targets: 60), from: &stream)
      let effects = try #require(rows.common([], &stream))
      let pairs = Set(zip(rows.groups, effects).map { [Double($0), $1] })
      #expect(pairs.count == Set(rows.groups).count)
    }
  }

  @Test("What is asked about lies ahead, in gaps or anywhere, in ordered tables")
  func geometry() throws {
    var stream = RandomStream(seed: 6)
    var (future, inside) = (0, 0)
    for _ in 0..<200 {
      let shape = TaskShape(context: 40, buffer: 8, targets: 12)
      let rows = OrderedRows(shape, from: &stream)
      #expect(rows.order.sorted() == Array(0..<60))
      #expect(zip(rows.times, rows.times.dropFirst()).allSatisfy { $0 < $1 })
      let context = rows.order[..<40]
      let asked = rows.order[40...].sorted()
      if asked == Array(40..<60) {
        future += 1
      } else if let first = asked.first, first + 19 == asked.last, context.contains(59) {
        inside += 1
      }
    }
    #expect((40...100).contains(future) && (10...50).contains(inside))
  }

  @Test("Asked rows of grouped tables lie in one to three groups, of which the context has few rows or none")
  func grouped() throws {
    var stream = RandomStream(seed: 8)
    var (unseen, shown) = (0, 0)
    for index in 0..<300 {
      let shape = TaskShape(context: [9, 40, 200][index % 3], buffer: 8, targets: 12)
      let rows = GroupedRows(shape, from: &stream)
      #expect(rows.order.sorted() == Array(0..<shape.rows) && (3...40).contains(rows.count))
      let groups = rows.order.map { rows.groups[$0] }
      let asked = Set(groups[shape.context...])
      #expect((1...3).contains(asked.count))
      let known = groups[..<shape.context].filter { asked.contains($0) }.count
      #expect(known <= 15 && known < shape.context)
      if known == 0 { unseen += 1 }
      guard let column = rows.shown.first else { continue }
      shown += 1
      // One name a group.
      let names = Set(zip(rows.groups, column.values).map { [Double($0), $1] })
      #expect(names.count == Set(rows.groups).count && names.count == Set(column.values).count)
    }
    #expect((100...230).contains(unseen) && (240...295).contains(shown))
    // The same of the tasks: a column of theirs has at most three values among what is asked about.
    var (tables, told) = (0, 0)
    for index in 0..<600 {
      let task = try Self.task(index)
      guard task.component == "grouped" else { continue }
      tables += 1
      let names = (0..<6).contains { column in
        let values = Self.column(column, of: task)
        let asked = Set(values[task.contextRows.upperBound...])
        return asked.count <= 3 && Set(values).count > asked.count
          && values[task.contextRows].filter { asked.contains($0) }.count <= 15
      }
      if names { told += 1 }
    }
    #expect(tables > 40 && told > tables * 3 / 4)
  }

  @Test("Categories move with their columns")
  func columns() throws {
    for index in 0..<40 {
      let task = try Self.task(index)
      let order = [3, 0, 5, 1, 4, 2]
      let moved = task.withColumns(in: order)
      #expect(moved.categories == order.map { task.categories[$0] })
      for (place, column) in order.enumerated() {
        #expect(
          Self.column(place, of: moved).map(\.bitPattern) == Self.column(column, of: task).map(\.bitPattern))
      }
    }
    let numbers = try TaskGenerator(FunctionsPrior(), seed: 1).task(
      0, step: 0, shape: .init(context: 4, targets: 2, dimensions: 2))
    #expect(numbers.categories.isEmpty && numbers.withColumns(in: [1, 0]).categories.isEmpty)
  }

  @Test("Laws of noise have mean 0 and variance 1, and gamma numbers mean and variance of their shape")
  func noise() {
    var stream = RandomStream(seed: 7)
    for law in [NoiseLaw.normal, .student(degrees: 6), .gamma(shape: 0.9, sign: -1), .laplace] {
      let values = law.values(20_000, from: &stream)
      let (mean, square) = (Average(values), Average(values.map { $0 * $0 }))
      #expect(abs(mean.mean) < 4 * mean.error && abs(square.mean - 1) < 5 * square.error, "\(law)")
    }
    for shape in [0.4, 1, 3.5] {
      let values = Average((0..<20_000).map { _ in stream.gamma(shape) })
      #expect(abs(values.mean - shape) < 4 * values.error)
      #expect(abs(values.error * 20_000.0.squareRoot() / shape.squareRoot() - 1) < 0.1)
    }
    let failures = Average((0..<20_000).map { _ in Double(stream.geometric(0.35)) })
    #expect(abs(failures.mean - 0.65 / 0.35) < 4 * failures.error)
  }

  @Test("The wave is the cosine")
  func wave() {
    let turns = stride(from: -3.0, through: 3, by: 0.01).map { $0 }
    var wave = Column(repeating: 0, count: turns.count)
    wave.addWave(turns, times: 2)
    for (turn, value) in zip(turns, wave) { #expect(abs(value - 2 * cos(2 * Double.pi * turn)) < 3e-4) }
  }

  @Test("Of classes y is a level: few or many, some rare, and numbers of levels mean nothing")
  func classes() throws {
    let shape = TaskShape(context: 60, buffer: 8, targets: 12, dimensions: 5)
    let generator = TaskGenerator(TablesPrior.classes, seed: 5)
    var (counts, first, together) = ([Int](), [Double](), 0)
    for index in 0..<150 {
      let task = try generator.task(index, step: 0, shape: shape)
      #expect(task.y.allSatisfy { $0 == $0.rounded() && (0..<10).contains($0) })
      let seen = Set(task.y[task.contextRows])
      #expect(seen.count >= 2)
      counts.append(seen.count)
      first.append(task.y[0])
      together += task.component == "unordered" ? 0 : 1
      #expect(task.y == (try generator.task(index, step: 0, shape: shape)).y)
    }
    #expect((45...105).contains(together))
    #expect(counts.contains(2) && counts.contains { $0 >= 5 } && counts.max() ?? 11 <= 10)
    #expect(Set(first).count >= 6)
    let least = try generator.task(0, step: 0, shape: TaskShape(context: 2, targets: 1))
    #expect(Set(least.y.prefix(2)).count == 2)
  }
}
